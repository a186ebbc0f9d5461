/*
 * clan.service/draft-1: a plugin that runs something for the clan at an address of its own.
 * The warden makes the listening socket at the service's address; the plugin serves on it or lets a program
 * inherit it (LISTEN_FDS).  Health is answered without the overlay.
 */
#ifndef CLAN_SERVICE_H
#define CLAN_SERVICE_H

#include <clan/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLAN_SERVICE      "clan.service/draft-1"
#define CLAN_PROGRAM_HOST "clan.program.host/draft-1"

/* What the plugin implements.  Verbs not needed yet (quiesce, resume, restore, upgrade) come as an
 * interface of their own with the first service that has them. */
struct clan_service {
    uint32_t struct_size;
    uint32_t zero;
    /* Brings the service up and answers by service_state(); may take long.  [loop, created|stopped] */
    clan_status (*start)(void *instance, struct clan_error *reterr);
    /* Ends it gracefully.  [loop, started]  Programs that it ran are ended by Clan at the latest. */
    void (*stop)(void *instance);
    /* Asked every few seconds: answers by health_result() with `request`, once, within 5 s.  [loop, started] */
    void (*health)(void *instance, uint32_t request);
};

/* exit_status: as wait(2) gives it */
typedef void clan_program_exit_fn(void *user, uint32_t run, uint32_t exit_status);
/* error NULL: it runs under the number `run`; CLAN_E_CANCELLED: Clan was started anew meanwhile, ask again */
typedef void clan_program_started_fn(void *user, uint32_t run, const struct clan_error *error);

/* What the host offers: get_interface(host, CLAN_PROGRAM_HOST), never NULL for a service. */
struct clan_program_host {
    uint32_t struct_size;
    uint32_t zero;
    /*
     * Runs the program of a profile that the plugin asks for in its note ("exec:PROFILE") and the owner
     * granted.  Arguments are the profile's; {state} and {volume} stand for the plugin's directories.  The
     * program has the service's listening socket as descriptor 3 (LISTEN_FDS=1), no network.
     * Answers by started(), later by exited().  [loop, created|started]  GRANT, LIMIT (8 at once).
     */
    clan_status (*run)(void *host_data, const char *profile, clan_program_started_fn *started,
        clan_program_exit_fn *exited, void *user, struct clan_error *reterr);
    /* Ends a program: TERM, KILL after 5 s; exited() follows.  [loop, created|started] */
    void (*end)(void *host_data, uint32_t run);
    /* The service answers (up 1, error NULL), or the plugin gives up (0, error): Clan then ends the host and
     * starts it anew with back-off.  What the plugin mends by itself is told by health.  [loop, started] */
    void (*service_state)(void *host_data, uint32_t up, const struct clan_error *error);
    /* Answers health().  text: why not, one line; "" when healthy.  [loop, started] */
    void (*health_result)(void *host_data, uint32_t request, uint32_t healthy, const char *text);
};

#ifdef __cplusplus
}
#endif
#endif
