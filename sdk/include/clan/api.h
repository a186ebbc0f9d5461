/*
 * clan.api.host/draft-1: for a service that shows the clan to the people of this machine, as the dashboard does.
 *
 * Such a plugin asks for "api.session".  It passes on what a person asks, with the session that the person
 * signed in to, and the core decides about each request; the plugin itself may nothing.  It runs on each
 * machine whose owner granted it, without being named in the clan's configuration.
 *
 * One that asks for "net.service" too may also be named there: it then runs once more, as that service, with the
 * service's socket and no listeners.  Its session_open and session_use say where the browser's connection came
 * from (`from`, an overlay address), and the sessions are other machines', which read only.
 *
 * Draft: ids end in draft-N and change with every change until SDK 1.0.
 */
#ifndef CLAN_API_H
#define CLAN_API_H

#include <clan/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLAN_API_HOST "clan.api.host/draft-1" /* of the host */

#define CLAN_API_LISTENERS_MAX 16

/* A listening TCP socket on loopback that one user of this computer reaches, and nobody else.  since 0.5 */
struct clan_api_listener {
    int32_t fd;      /* non-blocking; the plugin's until the process ends, not to be closed */
    uint32_t uid;    /* of that user */
    char origin[48]; /* "127.64.117.2:7180" */
};

/* fd: a connected stream socket to the core, the plugin's to close; frames of clan.api.v1.  Nothing may be
 * asked on it before session_open or session_use.  -1 with an error: the core is not there now; else that is
 * NULL.  [loop] */
typedef void clan_api_opened_fn(void *user, int fd, const struct clan_error *error);

/* What the host offers: clan_api_host_get(host).  since 0.5 */
struct clan_api_host {
    uint32_t struct_size; /* of the host's table */
    uint32_t zero;
    /* A connection of its own for each session, or for each request.  CLAN_OK: answered by opened(), later.
     * LIMIT: 64 wait for their answer.  [loop, created|started]  since 0.5 */
    clan_status (*open)(
        void *host_data, clan_api_opened_fn *opened, void *user, struct clan_error *reterr);
    /* Fills up to `max` rows, returns how many there are.  [loop, created|started]  since 0.5 */
    uint32_t (*listeners)(void *host_data, struct clan_api_listener *ret, uint32_t max);
};

/* The stub's calls. */
static inline clan_status clan_api_nosys_open_(
    void *host_data, clan_api_opened_fn *opened, void *user, struct clan_error *reterr)
{
    (void)host_data;
    (void)opened;
    (void)user;
    return clan_error_set(reterr, CLAN_E_NOSYS, "the clan cannot be asked",
        "this Clan has no " CLAN_API_HOST " for the plugin", "use a newer Clan");
}
static inline uint32_t clan_api_nosys_listeners_(
    void *host_data, struct clan_api_listener *ret, uint32_t max)
{
    (void)host_data;
    (void)ret;
    (void)max;
    return 0;
}

/* The host's table.  Never NULL: without one comes a stub; its struct_size is 0.
 * [loop]  Valid until the process ends.  since 0.5 */
static inline const struct clan_api_host *clan_api_host_get(const struct clan_host *host)
{
    static const struct clan_api_host stub = {
        0, 0, clan_api_nosys_open_, clan_api_nosys_listeners_};
    const void *found = clan_host_interface(host, CLAN_API_HOST);
    const struct clan_api_host *table = (const struct clan_api_host *)found;
    return table && table->struct_size >= sizeof stub ? table : &stub;
}

#ifdef __cplusplus
}
#endif
#endif
