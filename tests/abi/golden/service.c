/* A service that uses every call of its host; what is missing in an older host makes it refuse with a text. */
#include <clan/service.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct golden {
    const struct clan_host *host;
    const struct clan_program_host *programs;
    uint64_t timer;
    uint32_t question;
    int pipe[2];
};

static struct golden golden = {.pipe = {-1, -1}};

static void say(struct golden *g, const char *text)
{
    clan_log(g->host, CLAN_LOG_INFO, text);
}

/* start -> timer -> wake -> descriptor -> up */
static void on_readable(void *user, int32_t fd, uint32_t events)
{
    struct golden *g = user;
    char byte;
    if (events == CLAN_IO_READ && read(fd, &byte, 1) == 1 && byte == 'g')
        g->programs->service_state(g->host->host_data, 1, NULL);
    clan_io_unwatch(g->host, fd);
}

static void on_wake(void *user)
{
    struct golden *g = user;
    if (write(g->pipe[1], "g", 1) != 1)
        say(g, "the pipe is broken");
}

static void on_timer(void *user)
{
    struct golden *g = user;
    if (clan_wake(g->host, on_wake, g) != CLAN_OK)
        say(g, "no wake");
}

static clan_status lacking(struct clan_error *reterr, clan_status status, const char *what)
{
    return clan_error_set(
        reterr, status, "the golden service cannot start", what, "use a newer Clan");
}

static clan_status start(void *instance, struct clan_error *reterr)
{
    struct golden *g = instance;
    unsigned char bytes[16] = {0}, zero[16] = {0};
    if (!CLAN_HOST_HAS(g->host, wake))
        return lacking(reterr, CLAN_E_NOSYS, "the host has no wake");
    if (clan_random(g->host, bytes, sizeof bytes) != CLAN_OK || !memcmp(bytes, zero, sizeof zero))
        return lacking(reterr, CLAN_E_NOSYS, "the host has no random bytes");
    if (g->pipe[0] < 0 && pipe(g->pipe) != 0)
        return lacking(reterr, CLAN_E_IO, "there is no pipe");
    clan_status st = clan_io_watch(g->host, g->pipe[0], CLAN_IO_READ, on_readable, g);
    if (st == CLAN_OK)
        st = clan_timer_start(g->host, 1, on_timer, g, &g->timer);
    return st == CLAN_OK ? st : lacking(reterr, st, "the host has no timer or watches nothing");
}

static void stop(void *instance)
{
    struct golden *g = instance;
    clan_timer_stop(g->host, g->timer);
    clan_io_unwatch(g->host, g->pipe[0]);
}

static void answer(void *user)
{
    struct golden *g = user;
    g->programs->health_result(g->host->host_data, g->question, 0, "golden and well");
}

static void health(void *instance, uint32_t request)
{
    struct golden *g = instance;
    uint64_t timer;
    g->question = request;
    if (clan_timer_start(g->host, 1, answer, g, &timer) != CLAN_OK)
        answer(g);
}

static const struct clan_service service = {
    .struct_size = sizeof service, .start = start, .stop = stop, .health = health};

static clan_status create(const struct clan_host *host, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    char text[128];
    golden.host = host;
    golden.programs = clan_program_host_get(host);
    if (golden.programs->struct_size == 0)
        return lacking(reterr, CLAN_E_NOSYS, "the host has no " CLAN_PROGRAM_HOST);
    for (uint32_t i = 0; i < config->setting_count; i++) {
        const struct clan_setting *s = clan_setting_at(config, i);
        snprintf(text, sizeof text, "setting %s=%s of %s", s->key, s->value, config->instance);
        say(&golden, text);
    }
    *ret_instance = &golden;
    return CLAN_OK;
}

static void destroy(void *instance)
{
    say(instance, "destroyed");
}

static const void *get_interface(void *instance, const char *id)
{
    (void)instance;
    return strcmp(id, CLAN_SERVICE) == 0 ? &service : NULL;
}

CLAN_PLUGIN_NOTE(.kind = CLAN_KIND_SERVICE, .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR, .needs_minor = 1, .id = "golden-service", .version = "1.0",
    .title = "Golden service", .sentence = "Uses every call.");

static const struct clan_plugin plugin = {.magic = CLAN_PLUGIN_MAGIC,
    .struct_size = sizeof plugin,
    .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR,
    .kind = CLAN_KIND_SERVICE,
    .id = "golden-service",
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
