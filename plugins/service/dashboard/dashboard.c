/* The plugin: one HTTP server for each person's address, as long as it runs. */
#include "dashboard.h"

#include <stdlib.h>
#include <string.h>

static clan_status dashboard_start(void *instance, struct clan_error *reterr)
{
    struct dashboard *d = instance;
    struct clan_api_listener rows[CLAN_API_LISTENERS_MAX];
    uint32_t count = d->api->listeners(d->host->host_data, rows, CLAN_API_LISTENERS_MAX);
    if (d->visited[0])
        count = d->door_count; /* the service's */
    if (count == 0)
        return clan_error_set(reterr, CLAN_E_GRANT, "the dashboard has no address",
            "none of loopback was free, or no firewall guards it", "see: clan logs");
    d->door_count = count < CLAN_API_LISTENERS_MAX ? count : CLAN_API_LISTENERS_MAX;
    for (uint32_t i = 0; i < d->door_count && !d->visited[0]; i++)
        d->doors[i].at = rows[i];
    clan_status st = http_start(d, reterr);
    if (st != CLAN_OK)
        return st;
    d->started = true;
    first_look(d);
    return CLAN_OK;
}

static void dashboard_stop(void *instance)
{
    struct dashboard *d = instance;
    if (d->started)
        http_stop(d);
    d->started = false;
}

/* It answers from the loop that is asked: that it is asked says that it runs. */
static void dashboard_health(void *instance, uint32_t request)
{
    struct dashboard *d = instance;
    clan_program_host_get(d->host)->health_result(d->host->host_data, request, 1, "");
}

static const struct clan_service service = {
    .struct_size = sizeof service,
    .start = dashboard_start,
    .stop = dashboard_stop,
    .health = dashboard_health,
};

static clan_status dashboard_create(const struct clan_host *host, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    const struct clan_api_host *api = clan_api_host_get(host);
    if (!api->struct_size)
        return clan_error_set(reterr, CLAN_E_ABI, "the dashboard cannot be used with this Clan",
            "differing item: " CLAN_API_HOST, "use the dashboard of this Clan");
    if (config->setting_count)
        return clan_error_set(reterr, CLAN_E_INVAL, "the dashboard has no settings",
            "machine.yaml gives it some", "take them out");
    struct dashboard *d = calloc(1, sizeof *d);
    if (!d)
        return clan_error_set(
            reterr, CLAN_E_NOMEM, "the dashboard cannot start", "out of memory", NULL);
    d->host = host;
    d->api = api;
    if (config->service_port && config->listen_count) { /* named in clan.yaml */
        snprintf(d->visited, sizeof d->visited, "%s", config->instance);
        d->port = config->service_port;
        d->doors[0].at = (struct clan_api_listener){
            .fd = config->listen_fds[config->listen_count - 1], .uid = UINT32_MAX};
        d->door_count = 1;
    }
    *ret_instance = d;
    return CLAN_OK;
}

static void dashboard_destroy(void *instance)
{
    free(instance);
}

static const void *dashboard_get_interface(void *instance, const char *id)
{
    (void)instance;
    return strcmp(id, CLAN_SERVICE) == 0 ? &service : NULL;
}

CLAN_PLUGIN_LIBRARIES(
    "libmicrohttpd.so.12 libjansson.so.4 libsodium.so.23 libqrencode.so.4 libyaml-0.so.2");
CLAN_PLUGIN_DEFINE(CLAN_KIND_SERVICE, "dashboard", "0.1.0", "Dashboard",
    "Shows the clan to the people of this machine, in the browser.", 7180,
    CLAN_ASKS("api.session", "net.service"), "Clan", "same as Clan", dashboard_create,
    dashboard_destroy, dashboard_get_interface)
