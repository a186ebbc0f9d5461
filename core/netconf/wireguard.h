/*
 * Kernel WireGuard, set from fixed records (SECURITY F2): the plugin proposes endpoints only, keys and
 * addresses come from the core.  Source: linux/wireguard.h, the generic netlink family "wireguard".
 */
#ifndef NETCONF_WIREGUARD_H
#define NETCONF_WIREGUARD_H

#include "wire/warden_requests.h"

#include <clan/status.h>
#include <stdint.h>

/* Makes the interface; NOSYS: this kernel has no WireGuard. */
clan_status wireguard_create(const char *name, struct clan_error *e);
/* secret: X25519.  port: UDP, all addresses; AGAIN: it is taken. */
clan_status wireguard_key(
    unsigned index, const uint8_t secret[32], uint16_t port, struct clan_error *e);
/* Adds, replaces or removes one peer. */
clan_status wireguard_peer(
    unsigned index, const struct ward_device_peer *peer, struct clan_error *e);
/* Calls seen() for every peer that the kernel knows. */
typedef void wireguard_fn(void *arg, const struct ward_device_state *state);
clan_status wireguard_states(unsigned index, wireguard_fn *seen, void *arg, struct clan_error *e);

#endif
