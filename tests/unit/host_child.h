/* Runs clan-host as a child and speaks core's side of its channel: for tests with a plugin of their own. */
#ifndef HOST_CHILD_H
#define HOST_CHILD_H

#include "base/clock.h"
#include "wire/channel.h"
#include "wire/host.pb.h"

#include <clan/status.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

struct child {
    pid_t pid;
    int channel, log;
    char log_text[65536];
    size_t log_len;
    bool loaded;
};

static inline void exec_host(
    const char *host, const char *plugin, const char *id, int channel, int log)
{
    char dir[] = "/tmp/clan-host-XXXXXX";
    int fds[5] = {channel, log, open(plugin, O_RDONLY), -1, open("/dev/null", O_RDONLY)};
    if (mkdtemp(dir)) {
        fds[3] = open(dir, O_RDONLY | O_DIRECTORY);
        rmdir(dir);
    }
    for (int i = 0; i < 5; i++)
        fds[i] = fcntl(fds[i], F_DUPFD, 20);
    for (int i = 0; i < 5; i++)
        dup2(fds[i], 3 + i);
    close_range(8, ~0u, 0);
    execl(host, "clan-host", id, "instance", "0", NULL);
    _exit(127);
}

/* `host`: the program clan-host */
static inline struct child *start_host(const char *host, const char *plugin, const char *id)
{
    struct child *c = calloc(1, sizeof *c);
    int ch[2], log[2];
    assert_int_equal(channel_pair(ch), CLAN_OK);
    assert_int_equal(channel_pair(log), CLAN_OK);
    c->pid = fork();
    if (c->pid == 0)
        exec_host(host, plugin, id, ch[1], log[1]);
    close(ch[1]);
    close(log[1]);
    c->channel = ch[0];
    c->log = log[0];
    return c;
}

static inline void read_log(struct child *c)
{
    char text[2048];
    ssize_t n;
    while ((n = recv(c->log, text, sizeof text - 1, MSG_DONTWAIT)) > 0) {
        text[n] = 0;
        if (text[0] == 1 && strcmp(text + 1, "loaded") == 0)
            c->loaded = true;
        int put = snprintf(c->log_text + c->log_len, sizeof c->log_text - c->log_len, "%s\n", text);
        if (c->log_len + (size_t)put < sizeof c->log_text)
            c->log_len += (size_t)put;
    }
}

static inline int finish(struct child *c)
{
    int status = 0;
    if (c->channel >= 0)
        close(c->channel);
    uint64_t end = clock_mono_ms() + 5000;
    while (waitpid(c->pid, &status, WNOHANG) == 0) {
        if (clock_mono_ms() > end)
            kill(c->pid, SIGKILL);
        poll(NULL, 0, 2);
    }
    read_log(c);
    close(c->log);
    free(c);
    return status;
}

static inline clan_host_ToHost *to(pb_size_t which)
{
    static clan_host_ToHost m;
    memset(&m, 0, sizeof m);
    m.which_m = which;
    return &m;
}

static inline void send_to(struct child *c, const clan_host_ToHost *m)
{
    assert_int_equal(channel_send(c->channel, clan_host_ToHost_fields, m, NULL, 0), CLAN_OK);
}

/* The next message; which 0 is the end of the channel.  ret_fd: -1 without a descriptor. */
static inline clan_host_FromHost *next(struct child *c, int *ret_fd)
{
    static clan_host_FromHost m;
    uint64_t end = clock_mono_ms() + 5000;
    memset(&m, 0, sizeof m);
    for (;;) {
        int fds[4];
        size_t n;
        clan_status st = channel_recv(c->channel, clan_host_FromHost_fields, &m, fds, 4, &n);
        if (st == CLAN_OK && n == 1 && ret_fd)
            *ret_fd = fds[0];
        else if (st == CLAN_OK)
            channel_close_fds(fds, n);
        if (st == CLAN_OK)
            return &m;
        if (st == CLAN_E_IO) {
            m.which_m = 0;
            return &m;
        }
        if (clock_mono_ms() > end) {
            read_log(c);
            fail_msg("no message in time; log: %s", c->log_text);
        }
        struct pollfd p = {c->channel, POLLIN, 0};
        poll(&p, 1, 100);
    }
}

static inline clan_host_StateIs expect_state(struct child *c, clan_host_State state)
{
    clan_host_FromHost *m = next(c, NULL);
    assert_int_equal(m->which_m, clan_host_FromHost_state_is_tag);
    if (m->m.state_is.state != state)
        fail_msg("state %d, not %d: %s: %s", m->m.state_is.state, state, m->m.state_is.error.what,
            m->m.state_is.error.why);
    return m->m.state_is;
}

static inline clan_host_HelloAck hello(struct child *c, uint64_t incarnation)
{
    to(clan_host_ToHost_hello_tag)->m.hello.incarnation = incarnation;
    clan_host_ToHost *m = to(clan_host_ToHost_hello_tag);
    m->m.hello.incarnation = incarnation;
    send_to(c, m);
    clan_host_FromHost *a = next(c, NULL);
    assert_int_equal(a->which_m, clan_host_FromHost_hello_ack_tag);
    assert_int_equal(a->m.hello_ack.incarnation, incarnation);
    return a->m.hello_ack;
}

static inline void create(struct child *c, const char *key, const char *value)
{
    clan_host_ToHost *m = to(clan_host_ToHost_create_tag);
    strcpy(m->m.create.instance, "one");
    strcpy(m->m.create.clan, "home");
    strcpy(m->m.create.machine, "nas");
    if (key) {
        m->m.create.settings_count = 1;
        strcpy(m->m.create.settings[0].key, key);
        strcpy(m->m.create.settings[0].value, value);
    }
    send_to(c, m);
}

static inline void wait_log(struct child *c, const char *word)
{
    uint64_t end = clock_mono_ms() + 5000;
    for (;;) {
        read_log(c);
        if (strstr(c->log_text, word))
            return;
        if (clock_mono_ms() > end)
            fail_msg("no \"%s\" in the log: %s", word, c->log_text);
        struct pollfd p = {c->log, POLLIN, 0};
        poll(&p, 1, 100);
    }
}

#endif
