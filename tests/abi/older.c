/* Today's plugins in hosts whose tables are shorter or have holes: they work, or refuse with a text. */
/*
 * older FILE...  Each host's table, configuration and error record end where a page without access begins, so that
 * a plugin that reads or writes beyond what is there is killed.  Each host is a process of its own.
 */
#include "mock/mock.h"

#include <dlfcn.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MS 2000

/* The functions of struct clan_host that may be missing, in order. */
static const struct {
    const char *name;
    size_t at;
} functions[] = {
#define FUNCTION(f)                                                                                \
    {                                                                                              \
#f, offsetof(struct clan_host, f)                                                          \
    }
    FUNCTION(log), FUNCTION(io_watch), FUNCTION(io_unwatch), FUNCTION(timer_start),
    FUNCTION(timer_stop), FUNCTION(wake), FUNCTION(random), FUNCTION(get_interface)};
#define FUNCTIONS (sizeof functions / sizeof functions[0])

enum outcome { WORKS = 0, REFUSED = 10, SILENT = 20 /* neither an answer nor a text */ };

/* The bytes end at the end of a page; the next one is not there. */
static void *at_the_edge(const void *data, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *p =
        mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + page, page, PROT_NONE) != 0)
        abort();
    return memcpy(p + page - size, data, size);
}

static int listener(char ret_endpoint[64])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 4) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        abort();
    snprintf(ret_endpoint, 64, "127.0.0.1:%u", ntohs(a.sin_port));
    return fd;
}

static enum outcome told(const struct clan_error *e, clan_status st)
{
    if (!e->what[0] || !e->why[0] || !e->remedy[0]) {
        printf("refused with %d and \"%s\", \"%s\", \"%s\"\n", st, e->what, e->why, e->remedy);
        return SILENT;
    }
    printf("refused: %s: %s (%s)\n", e->what, e->why, e->remedy);
    return REFUSED;
}

static bool any_event(struct mock *m, void *arg)
{
    (void)arg;
    return m->event_count > 0;
}

static enum outcome try_dial(
    struct mock *m, const struct clan_transport_stream *t, const char *endpoint)
{
    struct clan_error err = CLAN_ERROR_INIT;
    m->event_count = 0;
    clan_status st = t->dial(m->instance, 7, endpoint, 500, &err);
    if (st != CLAN_OK)
        return told(&err, st);
    if (mock_run(m, ANSWER_MS, any_event, NULL))
        return WORKS;
    printf("dial(%s): no answer\n", endpoint);
    return SILENT;
}

static enum outcome try_transport(struct mock *m, const char *endpoint)
{
    const struct clan_transport_stream *t = mock_interface(m, CLAN_TRANSPORT_STREAM);
    struct clan_error *err =
        at_the_edge(&(struct clan_error)CLAN_ERROR_INIT, offsetof(struct clan_error, remedy) + 240);
    clan_status st = t->start(m->instance, err);
    if (st != CLAN_OK)
        return told(err, st);
    enum outcome result = try_dial(m, t, endpoint), other = try_dial(m, t, "pair");
    t->stop(m->instance);
    return other == SILENT ? other : result;
}

static enum outcome try_service(struct mock *m)
{
    const struct clan_service *s = mock_interface(m, CLAN_SERVICE);
    struct clan_error *err =
        at_the_edge(&(struct clan_error)CLAN_ERROR_INIT, offsetof(struct clan_error, remedy) + 240);
    clan_status st = s->start(m->instance, err);
    enum outcome result = WORKS;
    if (st != CLAN_OK)
        return told(err, st);
    struct mock_event e;
    if (!mock_wait(m, ANSWER_MS, MOCK_SERVICE_STATE, &e)) {
        printf("start(): neither up nor given up\n");
        result = SILENT;
    } else if (!e.value)
        result = told(&e.error, e.error.status);
    s->health(m->instance, 1);
    if (!mock_wait(m, ANSWER_MS, MOCK_HEALTH, &e)) {
        printf("health(): no answer\n");
        result = SILENT;
    }
    s->stop(m->instance);
    return result;
}

static enum outcome lead(
    const char *file, const struct clan_host *shape, size_t size, const char *dir)
{
    static const struct clan_setting none[1];
    char endpoint[64];
    int32_t fds[] = {listener(endpoint)};
    struct clan_config config = {.struct_size = sizeof config,
        .setting_size = sizeof none[0],
        .settings = none,
        .listen_count = 1,
        .listen_fds = fds,
        .instance = "one",
        .clan = "home",
        .machine = "nas",
        .state_dir = dir,
        .volume_dir = dir,
        .service_port = 80};
    struct mock *m = mock_new();
    m->argv[0] = "/bin/sleep"; /* a program that runs; what it serves is another test */
    m->argv[1] = "60";
    struct clan_host host = *shape;
    host.host_data = m;
    host.size = (uint32_t)size;
    struct clan_host *h = at_the_edge(&host, size);
    struct clan_error *err =
        at_the_edge(&(struct clan_error)CLAN_ERROR_INIT, offsetof(struct clan_error, remedy) + 240);
    void *so = dlopen(file, RTLD_NOW | RTLD_LOCAL),
         *symbol = so ? dlsym(so, CLAN_PLUGIN_QUERY_NAME) : NULL;
    clan_plugin_query_fn *query;
    memcpy(&query, &symbol, sizeof query);
    if (!query) {
        printf("%s\n", dlerror());
        return SILENT;
    }
    m->plugin = query();
    clan_status st = m->plugin->create(h, at_the_edge(&config, sizeof config), &m->instance, err);
    enum outcome result = st != CLAN_OK                            ? told(err, st)
                          : m->plugin->kind == CLAN_KIND_TRANSPORT ? try_transport(m, endpoint)
                                                                   : try_service(m);
    mock_close(m);
    return result;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static enum outcome in_a_process(const char *file, const struct clan_host *shape, size_t size)
{
    char dir[] = "/tmp/clan-abi-XXXXXX";
    int status = 0;
    if (!mkdtemp(dir))
        abort();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        enum outcome result = lead(file, shape, size, dir);
        fflush(stdout);
        _exit((int)result);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        abort();
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    if (WIFSIGNALED(status)) {
        printf("killed by signal %d\n", WTERMSIG(status));
        return SILENT;
    }
    return (enum outcome)WEXITSTATUS(status);
}

static unsigned try_host(
    const char *file, const struct clan_host *shape, size_t size, bool whole, const char *host_name)
{
    const char *name = strrchr(file, '/');
    printf("%s, %s: ", name ? name + 1 : file, host_name);
    enum outcome result = in_a_process(file, shape, size);
    if (result == WORKS)
        printf("works\n");
    return result == SILENT || (result != WORKS && result != REFUSED) || (whole && result != WORKS);
}

/* Short ones from the end of host_data on; then whole ones with one function NULL. */
static unsigned try_plugin(const char *file)
{
    struct mock *m = mock_new();
    struct clan_host whole = m->host, holes;
    char name[96];
    unsigned bad = try_host(file, &whole, sizeof whole, true, "a whole host");
    whole.abi_minor = 0;
    for (size_t i = 0; i < FUNCTIONS; i++) {
        snprintf(name, sizeof name, "a host without %s() and all later", functions[i].name);
        bad += try_host(file, &whole, functions[i].at, false, name);
    }
    for (size_t i = 0; i < FUNCTIONS; i++) {
        holes = whole;
        memset((unsigned char *)&holes + functions[i].at, 0, sizeof(void *));
        snprintf(name, sizeof name, "a host with NULL for %s()", functions[i].name);
        bad += try_host(file, &holes, sizeof holes, false, name);
    }
    mock_close(m);
    return bad;
}

int main(int argc, char **argv)
{
    unsigned bad = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 1; i < argc; i++)
        bad += try_plugin(argv[i]);
    printf("%u hosts in which a plugin neither works nor says why not\n", bad);
    return argc > 1 && bad == 0 ? 0 : 1;
}
