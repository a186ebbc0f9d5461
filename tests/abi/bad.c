/* A plugin with one thing wrong, chosen by a macro: each has a text of its own. */
#include <clan/service.h>
#include <stdlib.h>
#include <string.h>

/* What the macro says goes here; everything else is as it should be. */
#define MAGIC       CLAN_PLUGIN_MAGIC
#define STRUCT_SIZE sizeof(struct clan_plugin)
#define MAJOR       CLAN_ABI_MAJOR
#define MINOR       CLAN_ABI_MINOR
#define KIND        CLAN_KIND_SERVICE
#define FLAGS       0
#define ID          "bad"
#define CREATE      create
#define QUERY       &plugin
#define OFFERED     &service
#define NOTE_MAJOR  CLAN_ABI_MAJOR
#define NOTE_NEEDS  1
#define NOTE_KIND   CLAN_KIND_SERVICE

#if defined(BAD_MAGIC)
#undef MAGIC
#define MAGIC 0x12345678u
#elif defined(BAD_HEAD) /* the frozen 16 bytes and nothing more */
#undef STRUCT_SIZE
#define STRUCT_SIZE 16
#elif defined(BAD_MAJOR)
#undef NOTE_MAJOR
#define NOTE_MAJOR CLAN_ABI_MAJOR + 1
#elif defined(BAD_MAJOR_DESCRIPTOR)
#undef MAJOR
#define MAJOR CLAN_ABI_MAJOR + 1
#elif defined(BAD_MINOR)
#undef NOTE_NEEDS
#define NOTE_NEEDS CLAN_ABI_MINOR + 1
#elif defined(BAD_MINOR_DESCRIPTOR)
#undef MINOR
#define MINOR CLAN_ABI_MINOR + 1
#elif defined(BAD_KIND)
#undef KIND
#define KIND CLAN_KIND_TRANSPORT
#elif defined(BAD_KIND_NOTE)
#undef NOTE_KIND
#define NOTE_KIND 9
#elif defined(BAD_KIND_INTERFACE)
#undef OFFERED
#define OFFERED NULL
#elif defined(BAD_FLAGS)
#undef FLAGS
#define FLAGS 4
#elif defined(BAD_ID)
#undef ID
#define ID "good"
#elif defined(BAD_FUNCTION)
#undef CREATE
#define CREATE NULL
#elif defined(BAD_QUERY)
#undef QUERY
#define QUERY NULL
#elif defined(BAD_SYMBOL)
__attribute__((visibility("default"))) int open_to_all;
#endif

#if defined(BAD_CRASH) || defined(BAD_ABORT) || defined(BAD_EXIT)
__attribute__((constructor)) static void at_load(void)
{
#if defined(BAD_CRASH)
    static volatile int *volatile nowhere;
    *nowhere = 1;
#elif defined(BAD_ABORT)
    abort();
#else
    exit(0);
#endif
}
#endif

static const struct clan_host *host;

static clan_status start(void *instance, struct clan_error *reterr)
{
    (void)instance;
    (void)reterr;
    clan_program_host_get(host)->service_state(host->host_data, 1, NULL);
    return CLAN_OK;
}

static void stop(void *instance)
{
    (void)instance;
}

static void health(void *instance, uint32_t request)
{
    (void)instance;
    (void)request;
}

/* used: a variant may leave it out */
__attribute__((used)) static const struct clan_service service = {
    sizeof service, 0, start, stop, health};

__attribute__((used)) static clan_status create(const struct clan_host *h,
    const struct clan_config *config, void **ret_instance, struct clan_error *reterr)
{
    (void)config;
    (void)reterr;
    host = h;
    *ret_instance = (void *)&host;
    return CLAN_OK;
}

static void destroy(void *instance)
{
    (void)instance;
}

static const void *get_interface(void *instance, const char *id)
{
    (void)instance;
    return strcmp(id, CLAN_SERVICE) == 0 ? OFFERED : NULL;
}

#ifndef BAD_NOTE
CLAN_PLUGIN_NOTE(.kind = NOTE_KIND, .abi_major = NOTE_MAJOR, .abi_minor = CLAN_ABI_MINOR,
    .needs_minor = NOTE_NEEDS, .id = "bad", .version = "1.0", .title = "Bad",
    .sentence = "Has one thing wrong.");
#endif

__attribute__((used)) static const struct clan_plugin plugin = {MAGIC, STRUCT_SIZE, MAJOR, MINOR,
    KIND, FLAGS, ID, "1.0", "Clan", "same as Clan", CREATE, destroy, get_interface};

CLAN_PLUGIN_EXPORT const struct clan_plugin *clan_plugin_query(void)
{
    return QUERY;
}
