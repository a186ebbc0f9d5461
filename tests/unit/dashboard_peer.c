/* Whose connection the dashboard of a user's own program takes. */
#include "dashboard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct clan_api_listener here;

static int setup(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)state;
    here.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    here.uid = getuid();
    return bind(here.fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(here.fd, 4) != 0;
}

/* Another process of this user connects; leaves: it hangs up at once.  Is it taken for ours? */
static bool taken(bool leaves)
{
    struct sockaddr_in to, from;
    socklen_t size = sizeof to, from_size = sizeof from;
    int go[2], status;
    char c = 0;
    assert_int_equal(pipe(go), 0);
    assert_int_equal(getsockname(here.fd, (struct sockaddr *)&to, &size), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
            _exit(1);
        if (leaves)
            close(fd);
        _exit(!leaves && read(go[0], &c, 1) < 0);
    }
    close(go[0]);
    int fd = accept(here.fd, (struct sockaddr *)&from, &from_size);
    if (leaves) {
        struct pollfd end = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&end, 1, 10000), 1);
    }
    bool is = peer_is(&here, (struct sockaddr *)&from, from_size);
    close(go[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(fd);
    return is;
}

static void ours_is_taken(void **state)
{
    (void)state;
    assert_true(taken(false));
}

/* A socket that nobody holds any more is root's in the table, whoever had it. */
static void who_hung_up_is_nobody(void **state)
{
    (void)state;
    assert_false(taken(true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ours_is_taken),
        cmocka_unit_test(who_hung_up_is_nobody),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
