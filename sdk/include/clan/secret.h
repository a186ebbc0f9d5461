/*
 * clan.secret.host/draft-1: a secret that is this plugin's alone, in this clan, on this machine.
 *
 * Clan derives it from the machine's identity: the same every time, told to no other plugin, stored nowhere.
 * A plugin makes its lasting keys from it instead of writing them to a disk, from which they could be copied.
 *
 * Draft: ids end in draft-N and change with every change until SDK 1.0.
 */
#ifndef CLAN_SECRET_H
#define CLAN_SECRET_H

#include <clan/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLAN_SECRET_HOST "clan.secret.host/draft-1" /* of the host */

/* What the host offers to any plugin: clan_secret_host_get(host).  since 0.2 */
struct clan_secret_host {
    uint32_t struct_size; /* of the host's table */
    uint32_t zero;
    /*
     * Writes the secret.  [loop]  It never goes into settings, arguments, files or log lines.  Derive a key for
     * each use from it, by a hash with a text of its own.  *ret_counter: from 1; Clan raises it when the old
     * secret may be known to others, and then the keys of the old one are to be used no more.
     * STATE: the machine has no identity in a clan yet.  since 0.2
     */
    clan_status (*secret)(void *host_data, uint8_t ret_secret[32], uint32_t *ret_counter);
};

/* The stub's call. */
static inline clan_status clan_secret_nosys_(
    void *host_data, uint8_t ret_secret[32], uint32_t *ret_counter)
{
    (void)host_data;
    (void)ret_secret;
    (void)ret_counter;
    return CLAN_E_NOSYS;
}

/* The host's table.  Never NULL: without one comes a stub, which answers CLAN_E_NOSYS; its struct_size is 0.
 * [loop]  Valid until the process ends.  since 0.2 */
static inline const struct clan_secret_host *clan_secret_host_get(const struct clan_host *host)
{
    static const struct clan_secret_host stub = {0, 0, clan_secret_nosys_};
    const void *found = clan_host_interface(host, CLAN_SECRET_HOST);
    const struct clan_secret_host *table = (const struct clan_secret_host *)found;
    return table && table->struct_size >= sizeof stub ? table : &stub;
}

#ifdef __cplusplus
}
#endif
#endif
