/* Runs the files plugin with a real lighttpd for the tests: serve PLUGIN STATE VOLUME
 * [KEY=VALUE...] Prints "port N", then "up", "down WHY", "health 0|1 TEXT", "exited STATUS"; reads
 * health, kill, quit. */
#include "mock/mock.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool quitting;
static const struct clan_service *service;

static int tcp_listener(uint16_t *ret_port)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 64) != 0)
        return -1;
    getsockname(fd, (struct sockaddr *)&a, &len);
    *ret_port = ntohs(a.sin6_port);
    return fd;
}

static void command(struct mock *m, char c)
{
    static uint32_t request;
    if (c == 'q')
        quitting = true;
    else if (c == 'h')
        service->health(m->instance, ++request);
    else if (c == 'k')
        kill(m->last_pid, SIGKILL);
    else if (c == 's') {
        kill(m->last_pid, SIGSTOP);
        printf("stopped %d\n", (int)m->last_pid);
        fflush(stdout);
    }
}

/* One word a line; several may come at once. */
static void on_command(void *user, int32_t fd, uint32_t events)
{
    char text[256], *rest = text, *line;
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)events;
    quitting = quitting || n <= 0;
    text[n > 0 ? n : 0] = 0;
    while ((line = strsep(&rest, "\n")))
        command(user, line[0]);
}

static bool turn(struct mock *m, void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < m->event_count; i++) {
        const struct mock_event *e = &m->events[i];
        if (e->kind == MOCK_SERVICE_STATE && e->value)
            printf("up\n");
        else if (e->kind == MOCK_SERVICE_STATE)
            printf("down %s: %s\n", e->error.what, e->error.why);
        else if (e->kind == MOCK_HEALTH)
            printf("health %u %s\n", e->value, e->text);
        else if (e->kind == MOCK_EXITED)
            printf("exited %u\n", e->value);
    }
    m->event_count = 0;
    fflush(stdout);
    return quitting;
}

static int refused(struct mock *m, const struct clan_error *e)
{
    printf("refused %s: %s (%s)\n", e->what, e->why, e->remedy);
    mock_close(m);
    return 1;
}

int main(int argc, char **argv)
{
    struct clan_setting settings[8];
    struct clan_error e = CLAN_ERROR_INIT;
    struct clan_config c = {.struct_size = sizeof c,
        .setting_size = sizeof settings[0],
        .settings = settings,
        .instance = "files",
        .clan = "home",
        .machine = "nas"};
    if (argc < 4)
        return 64;
    int32_t fd = tcp_listener(&c.service_port);
    c.listen_fds = &fd;
    c.listen_count = 1;
    c.service_address[15] = 1;
    c.state_dir = argv[2];
    c.volume_dir = argv[3];
    for (int i = 4; i < argc && i < 12; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            return 64;
        *value = 0;
        settings[c.setting_count++] = (struct clan_setting){argv[i], value + 1};
    }
    char conf[256];
    snprintf(conf, sizeof conf, "%s/lighttpd.conf", argv[2]);
    struct mock *m = mock_new();
    m->verbose = true;
    m->program_fd = fd;
    /* as Clan runs it: its own network is empty, only the socket is there */
    const char *const run[] = {"/usr/bin/unshare", "--user", "--map-current-user", "--net",
        "/usr/sbin/lighttpd", "-Df", conf, NULL};
    bool plain = getenv("FILES_TEST_PLAIN") != NULL;
    memcpy(m->argv, plain ? run + 4 : run, plain ? 4 * sizeof run[0] : sizeof run);
    if (fd < 0)
        return 71;
    if (mock_create(m, argv[1], &c, &e) != CLAN_OK) {
        return refused(m, &e);
    }
    service = mock_interface(m, CLAN_SERVICE);
    printf("port %u\n", c.service_port);
    clan_io_watch(&m->host, 0, CLAN_IO_READ, on_command, m);
    if (service->start(m->instance, &e) != CLAN_OK) {
        return refused(m, &e);
    }
    while (!mock_run(m, 1000, turn, NULL))
        ;
    service->stop(m->instance);
    mock_close(m);
    return 0;
}
