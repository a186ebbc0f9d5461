/* The names of interfaces, out of the headers that plugins are built with. */
#include "brain/interfaces.h"

#include <clan/device.h>
#include <clan/rendezvous.h>

const char *const interface_rendezvous = CLAN_TRANSPORT_RENDEZVOUS;
const char *const interface_device = CLAN_TRANSPORT_DEVICE;
