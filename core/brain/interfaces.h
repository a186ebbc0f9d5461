/* Names of the SDK's interfaces that core asks for; the SDK's headers have a struct clan_config too. */
#ifndef BRAIN_INTERFACES_H
#define BRAIN_INTERFACES_H

extern const char *const interface_rendezvous, *const interface_device;

#endif
