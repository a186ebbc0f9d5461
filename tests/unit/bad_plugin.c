/* A service plugin that is good, or bad in the one way that -DBAD_... names: for plugin_check.py.  C and C++. */
#include <clan/service.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef BAD_THREAD
#include <pthread.h>
#endif
#ifdef BAD_LIBRARY
#include <sodium.h>
#endif

#define BAD_CONSTRUCTOR __attribute__((constructor)) static void constructor(void)

struct bad {
    const struct clan_host *host;
    const struct clan_program_host *programs;
    uint64_t timer;
    int started;
};

static clan_status fail(struct clan_error *e, const char *why)
{
    e->status = CLAN_E_INVAL;
    snprintf(e->what, sizeof e->what, "the plugin of the test does not start");
    snprintf(e->why, sizeof e->why, "%s", why);
    snprintf(e->remedy, sizeof e->remedy, "remove that line");
    return CLAN_E_INVAL;
}

/* ---- what is bad while it is loaded ---- */

#if defined BAD_CRASH
BAD_CONSTRUCTOR
{
    abort();
}
#elif defined BAD_SLOW
BAD_CONSTRUCTOR
{
    const struct timespec t = {0, 300000000};
    nanosleep(&t, NULL);
}
#elif defined BAD_THREAD
static void *wait_for_ever(void *arg)
{
    for (;;)
        pause();
    return arg;
}
BAD_CONSTRUCTOR
{
    pthread_t t;
    pthread_create(&t, NULL, wait_for_ever, NULL);
}
#elif defined BAD_DESCRIPTOR
BAD_CONSTRUCTOR
{
    if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
        abort();
}
#elif defined BAD_CHILD
BAD_CONSTRUCTOR
{
    /* in the sandbox it cannot, and goes on */
    if (geteuid() >= 0x70000000u)
        return;
    if (fork() == 0)
        for (;;)
            pause();
}
#elif defined BAD_UNDEFINED
int of_nobody(void);
#endif

/* ---- life ---- */

static void tick(void *user)
{
    (void)user;
}

static clan_status bad_start(void *instance, struct clan_error *reterr)
{
    struct bad *b = (struct bad *)instance;
    (void)reterr;
#ifdef BAD_CALL
    int fd = socket(AF_NETLINK, SOCK_RAW, 0);
    if (fd >= 0)
        close(fd);
#endif
#ifdef BAD_LEFTOVER
    clan_timer_start(b->host, 60000, tick, b, &b->timer);
#else
    clan_timer_start(b->host, 5, tick, b, &b->timer);
#endif
    b->started = 1;
    b->programs->service_state(b->host->host_data, 1, NULL);
    return CLAN_OK;
}

static void bad_stop(void *instance)
{
    struct bad *b = (struct bad *)instance;
#ifdef BAD_LEFTOVER
    (void)b;
#else
    clan_timer_stop(b->host, b->timer);
#endif
}

static void bad_health(void *instance, uint32_t request)
{
    struct bad *b = (struct bad *)instance;
#ifdef BAD_ANSWER
    b->programs->health_result(b->host->host_data, request, 1, "");
#endif
#ifdef BAD_PEER
    if (request == 4) /* one question more than the quiet checks ask */
        abort();
#endif
    b->programs->health_result(b->host->host_data, request, 1, "");
}

static const struct clan_service bad_service = {
    sizeof(struct clan_service), 0, bad_start, bad_stop, bad_health};

static clan_status bad_create(const struct clan_host *host, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
#ifdef BAD_SMALL_HOST
    const struct clan_program_host *programs =
        (const struct clan_program_host *)host->get_interface(host->host_data, CLAN_PROGRAM_HOST);
#else
    const struct clan_program_host *programs =
        (const struct clan_program_host *)clan_host_interface(host, CLAN_PROGRAM_HOST);
#endif
    if (!programs || !programs->service_state || !programs->health_result)
        return fail(reterr, "the host has no programs");
#ifdef BAD_FUZZ
    if (config->setting_count > 3)
        abort();
#endif
#ifdef BAD_SETTINGS
    /* letter by letter, so that fuzzing does not find the word in the file */
    const char *k = config->setting_count ? config->settings[0].key : "";
    if (k[0] == 'u' && k[1] == 'r' && k[2] == 'l' && !k[3])
        return CLAN_E_INVAL;
#endif
#ifdef BAD_NEEDS /* not bad: it cannot do without two settings, and knows no others */
    if (config->setting_count != 2 || strcmp(config->settings[0].key, "where") != 0 ||
        strcmp(config->settings[0].value, "a=b") != 0 || strcmp(config->settings[1].value, "") != 0)
        return fail(reterr, "it needs where: a=b and an empty title");
#else
    if (config->setting_count)
        return fail(reterr, "it has no settings at all");
#endif
    struct bad *b = (struct bad *)calloc(1, sizeof *b);
    if (!b)
        return fail(reterr, "out of memory");
#ifdef BAD_LEAK
    static void *volatile lost;
    lost = malloc(64);
#endif
    b->host = host;
    b->programs = programs;
    *ret_instance = b;
    return CLAN_OK;
}

static void bad_destroy(void *instance)
{
    free(instance);
}

static const void *bad_get_interface(void *instance, const char *id)
{
    (void)instance;
#ifdef BAD_INTERFACE
    if (strcmp(id, "clan.service") == 0)
        return &bad_service;
#endif
#ifdef BAD_LIBRARY
    if (!sodium_version_string())
        return NULL;
#endif
#ifdef BAD_UNDEFINED
    if (of_nobody())
        return NULL;
#endif
    return strcmp(id, CLAN_SERVICE) == 0 ? &bad_service : NULL;
}

#ifdef BAD_DECLARED
CLAN_PLUGIN_LIBRARIES("libsodium.so.23");
#endif

#ifdef BAD_NOTE
CLAN_PLUGIN_DEFINE(CLAN_KIND_SERVICE, "Bad Name", "1.0", "Bad", "For a test.", 0,
    CLAN_ASKS("net.service"), "Clan", "same as Clan", bad_create, bad_destroy, bad_get_interface)
#else
CLAN_PLUGIN_DEFINE(CLAN_KIND_SERVICE, "bad", "1.0", "Bad", "For a test.", 0,
    CLAN_ASKS("net.service"), "Clan", "same as Clan", bad_create, bad_destroy, bad_get_interface)
#endif

#ifdef BAD_SYMBOL
__attribute__((visibility("default"))) int one_more(void);
int one_more(void)
{
    return 1;
}
#endif
