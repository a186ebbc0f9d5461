/* Phones behind this machine: admitted here, set in its device, forwarded by its firewall. */
#ifndef BRAIN_PHONES_H
#define BRAIN_PHONES_H

#include "brain/devices.h"

/* The local API: admits one, or says what it would get. */
void phones_add(struct brain *b, struct client *c, const clan_api_PhoneAdd *m);
/* Peers of the device, routes and firewall as the statements say; d is new when it has none of them yet. */
void phones_reconcile(struct brain *b, struct device *d);
void phones_forget(struct brain *b);           /* the device is gone */
bool phones_settled(const struct brain *b);    /* what was removed is out of device and firewall */
const struct clan_error *phones_trouble(void); /* status OK: none */
/* How the device says that one does; false: it is no phone of ours. */
bool phones_state(const struct brain *b, const uint8_t key[32], uint64_t handshake_ms,
    uint64_t rx_bytes, uint64_t tx_bytes);
/* Keys to ask the kernel about; how many. */
unsigned phones_keys(const struct brain *b, uint8_t ret[MEMBER_PHONES_MAX][32]);
/* What `clan machines` says of a phone here; false: this machine is not its gateway. */
bool phones_show(const struct brain *b, const uint8_t id[32], clan_api_Machine *ret);

#endif
