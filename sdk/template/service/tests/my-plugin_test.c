/* My plugin on the mock host: my-plugin_test FILE.so.  Needs neither Clan nor root. */
#include <clan/mock.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                     \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static const char *so;
static int listen_fd;
static struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

static struct mock *open_plugin(const char *key, const char *value, struct clan_error *ret_error)
{
    struct clan_setting setting = {key, value};
    struct clan_config config = {.struct_size = sizeof config,
        .setting_count = key ? 1 : 0,
        .setting_size = sizeof setting,
        .listen_count = 1,
        .settings = &setting,
        .listen_fds = &listen_fd,
        .instance = "my-plugin",
        .clan = "home",
        .machine = "nas",
        .state_dir = "",
        .volume_dir = "",
        .service_port = 80};
    return mock_open(so, &config, ret_error);
}

static bool readable(struct mock *m, void *arg)
{
    char c;
    (void)m;
    return recv(*(int *)arg, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/* The plugin and its visitor share this thread: ask, turn the plugin's loop, read. */
static void visit(struct mock *m, const char *request, char *ret_answer, size_t cap)
{
    size_t size = 0;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(write(fd, request, strlen(request)) == (ssize_t)strlen(request));
    CHECK(mock_run(m, 5000, readable, &fd));
    for (ssize_t n; (n = read(fd, ret_answer + size, cap - 1 - size)) > 0;)
        size += (size_t)n;
    ret_answer[size] = 0;
    close(fd);
}

static void test_serves(void)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct mock_event event;
    char answer[1024];
    struct mock *m = open_plugin(NULL, NULL, &e);
    CHECK(m);
    const struct clan_service *service = mock_interface(m, CLAN_SERVICE);
    CHECK(service && !mock_interface(m, "clan.nothing/1"));
    CHECK(service->start(m->instance, &e) == CLAN_OK);
    CHECK(mock_wait(m, 1000, MOCK_SERVICE_STATE, &event) && event.value == 1);
    visit(m, "GET / HTTP/1.1\r\nHost: my-plugin.home.clan\r\n\r\n", answer, sizeof answer);
    CHECK(strstr(answer, "200 OK") && strstr(answer, "Hello from my-plugin on nas"));
    service->health(m->instance, 7);
    CHECK(mock_wait(m, 1000, MOCK_HEALTH, &event) && event.request == 7 && event.value == 1);
    service->stop(m->instance);
    CHECK(mock_watches(m) == 0 && mock_timers(m) == 0);
    mock_close(m);
}

static void test_settings(void)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct mock *m = open_plugin("greeting", "Good morning", &e);
    CHECK(m);
    mock_close(m);
    CHECK(!open_plugin("colour", "blue", &e));
    CHECK(e.status == CLAN_E_INVAL && strstr(e.what, "colour") && e.remedy[0]);
}

int main(int argc, char **argv)
{
    socklen_t size = sizeof address;
    so = argc == 2 ? argv[1] : "./my-plugin.so";
    listen_fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(bind(listen_fd, (struct sockaddr *)&address, size) == 0 && listen(listen_fd, 8) == 0);
    CHECK(getsockname(listen_fd, (struct sockaddr *)&address, &size) == 0);
    test_serves();
    test_settings();
    printf("ok\n");
    return 0;
}
