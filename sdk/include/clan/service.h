/*
 * clan.service/draft-1: a plugin that runs something for the clan at an address of its own.
 *
 * Clan makes the listening socket at the service's address, so that it is there before, between and after
 * the plugin's processes; the plugin serves on it, or lets a program inherit it.  Who may connect is
 * decided by the clan's configuration and enforced outside of the plugin.
 *
 * Draft: ids end in draft-N and change with every change until SDK 1.0.
 */
#ifndef CLAN_SERVICE_H
#define CLAN_SERVICE_H

#include <clan/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLAN_SERVICE      "clan.service/draft-1"      /* of the plugin */
#define CLAN_PROGRAM_HOST "clan.program.host/draft-1" /* of the host */

/*
 * What the plugin implements; it returns the table from get_interface(CLAN_SERVICE).  All calls must be
 * there.  Verbs not needed yet (quiesce, resume, restore, upgrade) come as an interface of their own with
 * the first service that has them.  since 0.1
 */
struct clan_service {
    uint32_t struct_size; /* sizeof(struct clan_service) */
    uint32_t zero;        /* 0 */
    /* Brings the service up and tells by service_state() when it answers: before it returns or later, it
     * may take long.  [loop, created|stopped]  A failure that is known at once is returned with *reterr
     * filled, and then no service_state() follows.  since 0.1 */
    clan_status (*start)(void *instance, struct clan_error *reterr);
    /* Ends it gracefully and returns soon.  [loop, started]  Programs that it ran are ended by Clan at the
     * latest, with the process.  since 0.1 */
    void (*stop)(void *instance);
    /* Does it work?  Asked every few seconds: answers by health_result() with `request` (> 0), once, within
     * 5 s, before it returns or later.  [loop, started]  since 0.1 */
    void (*health)(void *instance, uint32_t request);
};

/* A program ended.  exit_status: as wait(2) gives it.  [loop] */
typedef void clan_program_exit_fn(void *user, uint32_t run, uint32_t exit_status);
/* The answer to run().  error NULL: it runs under the number `run`.  CLAN_E_CANCELLED: Clan was started
 * anew meanwhile, ask again.  [loop] */
typedef void clan_program_started_fn(void *user, uint32_t run, const struct clan_error *error);

/* What the host offers to a service: clan_program_host_get(host).  since 0.1 */
struct clan_program_host {
    uint32_t struct_size; /* of the host's table */
    uint32_t zero;
    /*
     * Runs the program of a profile that the plugin asks for in its note ("exec:PROFILE") and the owner
     * granted.  Arguments are the profile's; {state} and {volume} stand for the plugin's directories.  The
     * program has the service's listening socket as descriptor 3 (LISTEN_FDS=1, non-blocking), no network.
     * It is another user: it reads state_dir by its group, so give files there 0640 (the umask leaves
     * 0600) and directories 0750, and it may write in the volume only.
     * CLAN_OK: answered by started(), and after a good start once by exited(); both must be given.
     * [loop, created|started]  STATE; INVAL; GRANT: the note does not ask for it; LIMIT: 8 at once.
     * since 0.1
     */
    clan_status (*run)(void *host_data, const char *profile, clan_program_started_fn *started,
        clan_program_exit_fn *exited, void *user, struct clan_error *reterr);
    /* Ends a program: TERM, KILL after 5 s; exited() follows.  A number that is not known: nothing happens.
     * [loop, created|started]  since 0.1 */
    void (*end)(void *host_data, uint32_t run);
    /* The service answers (up 1, error NULL), or the plugin gives up (0, error): Clan then ends the process
     * and starts it anew with back-off.  What the plugin mends by itself is told by health.  [loop, started]
     * since 0.1 */
    void (*service_state)(void *host_data, uint32_t up, const struct clan_error *error);
    /* Answers health().  text: why not, one line; "" when healthy.  An answer that nobody waits for is
     * dropped.  [loop, started]  since 0.1 */
    void (*health_result)(void *host_data, uint32_t request, uint32_t healthy, const char *text);
};

/* The stub's calls: an answer that is always true, and nothing else. */
static inline clan_status clan_program_nosys_run_(void *host_data, const char *profile,
    clan_program_started_fn *started, clan_program_exit_fn *exited, void *user,
    struct clan_error *reterr)
{
    (void)host_data;
    (void)profile;
    (void)started;
    (void)exited;
    (void)user;
    return clan_error_set(reterr, CLAN_E_NOSYS, "no program can be run",
        "this Clan has no " CLAN_PROGRAM_HOST " for the plugin", "use a newer Clan");
}
static inline void clan_program_nosys_end_(void *host_data, uint32_t run)
{
    (void)host_data;
    (void)run;
}
static inline void clan_program_nosys_state_(
    void *host_data, uint32_t up, const struct clan_error *error)
{
    (void)host_data;
    (void)up;
    (void)error;
}
static inline void clan_program_nosys_health_(
    void *host_data, uint32_t request, uint32_t healthy, const char *text)
{
    (void)host_data;
    (void)request;
    (void)healthy;
    (void)text;
}

/*
 * The host's table for services.  Never NULL: from a host without it, or with one that is older than this
 * header, comes a stub: run() answers CLAN_E_NOSYS, the others do nothing; its struct_size is 0.
 * [loop]  Valid until the process ends.  since 0.1
 */
static inline const struct clan_program_host *clan_program_host_get(const struct clan_host *host)
{
    static const struct clan_program_host stub = {0, 0, clan_program_nosys_run_,
        clan_program_nosys_end_, clan_program_nosys_state_, clan_program_nosys_health_};
    const void *found = clan_host_interface(host, CLAN_PROGRAM_HOST);
    const struct clan_program_host *table = (const struct clan_program_host *)found;
    return table && table->struct_size >= sizeof stub ? table : &stub;
}

#ifdef __cplusplus
}
#endif
#endif
