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
static char endpoint[CLAN_ENDPOINT_MAX + 1];

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
        .volume_dir = ""};
    return mock_open(so, &config, ret_error);
}

static void take_endpoint(void *user, const char *text)
{
    (void)user;
    snprintf(endpoint, sizeof endpoint, "%s", text);
}

/* It dials itself: one dial gives two streams, which are the two ends of one connection. */
static void test_connects(void)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct mock_event one, two;
    uint8_t local[16] = {[15] = 1}; /* ::1 */
    char word[8] = "";
    struct mock *m = open_plugin(NULL, NULL, &e);
    CHECK(m);
    const struct clan_transport_stream *t = mock_interface(m, CLAN_TRANSPORT_STREAM);
    CHECK(t && !mock_interface(m, "clan.nothing/1"));
    CHECK(t->start(m->instance, &e) == CLAN_OK);
    t->endpoints(m->instance, local, 1, take_endpoint, NULL);
    CHECK(endpoint[0]);
    CHECK(t->dial(m->instance, 7, endpoint, 2000, &e) == CLAN_OK);
    CHECK(mock_wait(m, 3000, MOCK_STREAM, &one) && mock_wait(m, 3000, MOCK_STREAM, &two));
    CHECK(one.request + two.request == 7); /* the dial's and an accepted one */
    CHECK(write(one.fd, "hello", 5) == 5 && recv(two.fd, word, 5, 0) == 5);
    close(one.fd);
    close(two.fd);
    t->stop(m->instance);
    CHECK(mock_watches(m) == 0 && mock_timers(m) == 0);
    mock_close(m);
}

static void test_refuses(void)
{
    struct clan_error e = CLAN_ERROR_INIT;
    CHECK(!open_plugin("colour", "blue", &e));
    CHECK(e.status == CLAN_E_INVAL && strstr(e.what, "colour") && e.remedy[0]);
    struct mock *m = open_plugin(NULL, NULL, &e);
    CHECK(m);
    const struct clan_transport_stream *t = mock_interface(m, CLAN_TRANSPORT_STREAM);
    CHECK(t->start(m->instance, &e) == CLAN_OK);
    static const char *const bad[] = {
        "", "nas", "1.2.3.4", "1.2.3.4:0", "1.2.3.4:65536", "[::1]", "[::1]:80x", "999.1.1.1:80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(t->dial(m->instance, 1, bad[i], 1000, &e) == CLAN_E_INVAL && e.what[0]);
    t->stop(m->instance);
    mock_close(m);
}

int main(int argc, char **argv)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    so = argc == 2 ? argv[1] : "./my-plugin.so";
    listen_fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(bind(listen_fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(listen_fd, 8) == 0);
    test_connects();
    test_refuses();
    printf("ok\n");
    return 0;
}
