/* The plugin that needs nothing: what its host takes is the host's, and a call of it is the way there and back. */
#include <clan/service.h>

#include <string.h>

static const struct clan_host *empty_host;

static clan_status start(void *instance, struct clan_error *reterr)
{
    (void)instance;
    (void)reterr;
    clan_program_host_get(empty_host)->service_state(empty_host->host_data, 1, NULL);
    return CLAN_OK;
}

static void stop(void *instance)
{
    (void)instance;
}

static void health(void *instance, uint32_t request)
{
    (void)instance;
    clan_program_host_get(empty_host)->health_result(empty_host->host_data, request, 1, "");
}

static const struct clan_service service = {
    .struct_size = sizeof service,
    .start = start,
    .stop = stop,
    .health = health,
};

static clan_status create(const struct clan_host *host, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    (void)config;
    (void)reterr;
    empty_host = host;
    *ret_instance = &empty_host;
    return CLAN_OK;
}

static void destroy(void *instance)
{
    (void)instance;
}

static const void *get_interface(void *instance, const char *id)
{
    (void)instance;
    return strcmp(id, CLAN_SERVICE) == 0 ? &service : NULL;
}

CLAN_PLUGIN_DEFINE(CLAN_KIND_SERVICE, "bench-empty", "1.0", "Nothing",
    "Does nothing, to be measured.", 80, CLAN_ASKS("net.service"), "Clan", "same as Clan", create,
    destroy, get_interface)
