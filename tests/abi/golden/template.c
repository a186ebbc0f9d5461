/* The smallest service: asks nothing of its host but its table for services. */
#define CLAN_PLUGIN_NEEDS_MINOR 1
#include <clan/service.h>
#include <string.h>

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
    clan_program_host_get(host)->health_result(host->host_data, request, 1, "");
}

static const struct clan_service service = {sizeof service, 0, start, stop, health};

static clan_status create(const struct clan_host *h, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    (void)config;
    if (clan_program_host_get(h)->struct_size == 0)
        return clan_error_set(reterr, CLAN_E_NOSYS, "the template cannot be used with this Clan",
            "it has no " CLAN_PROGRAM_HOST, "use a newer Clan");
    host = h;
    *ret_instance = (void *)&host;
    return CLAN_OK;
}

static void destroy(void *instance)
{
    (void)instance;
    clan_log(host, CLAN_LOG_INFO, "destroyed");
}

static const void *get_interface(void *instance, const char *id)
{
    (void)instance;
    return strcmp(id, CLAN_SERVICE) == 0 ? &service : NULL;
}

CLAN_PLUGIN_DEFINE(CLAN_KIND_SERVICE, "golden-template", "1.0", "Template", "Does nothing.", 0,
    CLAN_ASKS_NONE, "Clan", "same as Clan", create, destroy, get_interface)
