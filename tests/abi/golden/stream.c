/* A stream transport that uses every call of its host's table for transports. */
#include <clan/transport.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct golden {
    const struct clan_host *host;
    const struct clan_transport_host *to;
    uint32_t request; /* of the dial that waits for its timer */
};

static struct golden golden;

static void fail_dial(struct golden *g, uint32_t request)
{
    struct clan_error e = CLAN_ERROR_INIT;
    clan_error_set(
        &e, CLAN_E_UNREACHABLE, "failed as asked", "the endpoint is not \"pair\"", "dial \"pair\"");
    g->to->dial_failed(g->host->host_data, request, &e);
}

static void on_timer(void *user)
{
    struct golden *g = user;
    int sv[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) != 0) {
        fail_dial(g, g->request);
        return;
    }
    if (write(sv[1], "g", 1) != 1)
        clan_log(g->host, CLAN_LOG_ERROR, "the pair is broken");
    close(sv[1]);
    g->to->offer_stream(g->host->host_data, g->request, sv[0], "golden");
}

static clan_status dial(void *instance, uint32_t request, const char *endpoint, uint32_t timeout_ms,
    struct clan_error *reterr)
{
    struct golden *g = instance;
    uint64_t timer;
    (void)timeout_ms;
    if (strcmp(endpoint, "pair") != 0) {
        fail_dial(g, request);
        return CLAN_OK;
    }
    g->request = request;
    clan_status st = clan_timer_start(g->host, 1, on_timer, g, &timer);
    if (st != CLAN_OK)
        clan_error_set(reterr, st, "the golden stream cannot dial", "the host has no timer",
            "use a newer Clan");
    return st;
}

static void cancel(void *instance, uint32_t request)
{
    (void)instance;
    (void)request;
}

static void endpoints(void *instance, const uint8_t *local_addresses, uint32_t addr_count,
    void (*add)(void *user, const char *endpoint), void *user)
{
    char text[CLAN_ENDPOINT_MAX + 1];
    (void)instance;
    (void)local_addresses;
    snprintf(text, sizeof text, "golden:%u", addr_count);
    add(user, text);
}

static clan_status start(void *instance, struct clan_error *reterr)
{
    struct golden *g = instance;
    (void)reterr;
    g->to->endpoints_changed(g->host->host_data);
    return CLAN_OK;
}

static void stop(void *instance)
{
    (void)instance;
}

static const struct clan_transport_stream stream = {.struct_size = sizeof stream,
    .start = start,
    .stop = stop,
    .dial = dial,
    .cancel = cancel,
    .endpoints = endpoints};

static clan_status create(const struct clan_host *host, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    char text[128];
    golden.host = host;
    golden.to = clan_transport_host_get(host);
    if (golden.to->struct_size == 0)
        return clan_error_set(reterr, CLAN_E_NOSYS, "the golden stream cannot be used",
            "the host has no " CLAN_TRANSPORT_HOST, "use a newer Clan");
    for (uint32_t i = 0; i < config->setting_count; i++) {
        const struct clan_setting *s = clan_setting_at(config, i);
        snprintf(text, sizeof text, "setting %s=%s of %s", s->key, s->value, config->instance);
        clan_log(host, CLAN_LOG_INFO, text);
    }
    *ret_instance = &golden;
    return CLAN_OK;
}

static void destroy(void *instance)
{
    const struct golden *g = instance;
    clan_log(g->host, CLAN_LOG_INFO, "destroyed");
}

static const void *get_interface(void *instance, const char *id)
{
    (void)instance;
    return strcmp(id, CLAN_TRANSPORT_STREAM) == 0 ? &stream : NULL;
}

CLAN_PLUGIN_NOTE(.kind = CLAN_KIND_TRANSPORT, .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR, .needs_minor = 1, .id = "golden-stream", .version = "1.0",
    .title = "Golden stream", .sentence = "Uses every call.");

static const struct clan_plugin plugin = {.magic = CLAN_PLUGIN_MAGIC,
    .struct_size = sizeof plugin,
    .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR,
    .kind = CLAN_KIND_TRANSPORT,
    .id = "golden-stream",
    .version = "1.0",
    .vendor = "Clan",
    .licence = "same as Clan",
    .create = create,
    .destroy = destroy,
    .get_interface = get_interface};

CLAN_PLUGIN_EXPORT const struct clan_plugin *clan_plugin_query(void)
{
    return &plugin;
}
