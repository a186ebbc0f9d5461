/* The control connection: what tor is told to do, and what it says about itself. */
#include "tor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRY_MS      100
#define TRY_FOR_MS  20000 /* then it is started anew */
#define COOKIE_SIZE 32

static void on_control(void *user, int32_t fd, uint32_t events);

static void on_try(void *user)
{
    struct tor *t = user;
    t->ctl_timer = 0;
    command_open(t);
}

static void try_later(struct tor *t)
{
    command_close(t);
    if (tor_now_ms() - t->begun_ms > TRY_FOR_MS)
        child_restart(t, "it does not answer");
    else if (clan_timer_start(t->host, TRY_MS, on_try, t, &t->ctl_timer) != CLAN_OK)
        child_restart(t, "the host has no timer left");
}

static bool read_cookie(const struct tor *t, char ret_hex[2 * COOKIE_SIZE + 1])
{
    char path[TOR_DIR_MAX + 16];
    uint8_t cookie[COOKIE_SIZE + 1];
    snprintf(path, sizeof path, "%s/cookie", t->dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = fd >= 0 ? read(fd, cookie, sizeof cookie) : -1;
    if (fd >= 0)
        close(fd);
    for (int i = 0; n == COOKIE_SIZE && i < COOKIE_SIZE; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", cookie[i]);
    explicit_bzero(cookie, sizeof cookie);
    return n == COOKIE_SIZE;
}

void command_open(struct tor *t)
{
    char text[2 * COOKIE_SIZE + 32], hex[2 * COOKIE_SIZE + 1];
    command_close(t);
    if (read_cookie(t, hex))
        t->ctl = tor_connect(t->dir, "control");
    if (t->ctl < 0 || clan_io_watch(t->host, t->ctl, CLAN_IO_READ, on_control, t) != CLAN_OK) {
        try_later(t);
        return;
    }
    snprintf(text, sizeof text, "AUTHENTICATE %s\r\n", hex);
    command_send(t, TOR_LOGIN, NULL, 0, text);
    explicit_bzero(text, sizeof text);
    explicit_bzero(hex, sizeof hex);
}

void command_close(struct tor *t)
{
    clan_timer_stop(t->host, t->ctl_timer);
    t->ctl_timer = 0;
    if (t->ctl >= 0) {
        clan_io_unwatch(t->host, t->ctl);
        close(t->ctl);
    }
    t->ctl = -1;
    t->ready = false;
    watch_end(t);
    t->asked_count = 0;
    t->control = (struct control){0};
}

bool command_send(
    struct tor *t, enum tor_command what, struct tor_onion *onion, uint32_t dial, const char *text)
{
    size_t size = strlen(text);
    if (t->ctl < 0)
        return false;
    if (t->asked_count == TOR_ASKED_MAX ||
        send(t->ctl, text, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size) {
        child_restart(t, "it does not read its commands");
        return false;
    }
    unsigned at = (t->asked_first + t->asked_count++) % TOR_ASKED_MAX;
    t->asked[at].what = what;
    t->asked[at].onion = onion;
    t->asked[at].dial = dial;
    t->asked[at].said[0] = 0;
    return true;
}

/* ---- what it says ---- */

/* "HS_DESC UPLOADED ADDRESS ..." */
static void on_uploaded(struct tor *t, const char *text)
{
    char address[ONION_ADDRESS + 1];
    snprintf(address, sizeof address, "%.*s", (int)strcspn(text, " "), text);
    own_uploaded(t, address);
}

static void on_event(struct tor *t, const char *text)
{
    if (strncmp(text, "HS_DESC UPLOADED ", 17) == 0)
        on_uploaded(t, text + 17);
    else if (health_event(&t->health, text))
        tor_tell_health(t);
    if (strcmp(text, "NETWORK_LIVENESS UP") == 0)
        policy_peers_forget(&t->off);
}

static void on_login(struct tor *t, bool good)
{
    if (!good) { /* a cookie of the tor before */
        try_later(t);
        return;
    }
    t->ready = true;
    t->health = (struct health){0};
    watch_begin(t);
    /* from here on it ends with this connection.  Its owner's number means nothing to it: it is the first
     * process of a PID namespace; until now the warden ends it with us */
    if (command_send(t, TOR_OWN, NULL, 0, "TAKEOWNERSHIP\r\n") &&
        command_send(t, TOR_EVENTS, NULL, 0,
            "SETEVENTS STATUS_CLIENT STATUS_GENERAL NETWORK_LIVENESS HS_DESC\r\n") &&
        command_send(t, TOR_PHASE, NULL, 0, "GETINFO status/bootstrap-phase\r\n")) {
        service_publish(t, &t->members);
        service_publish(t, &t->door);
        dial_ready(t);
    }
}

static void on_reply(struct tor *t, const struct control_line *l)
{
    char said[ONION_ADDRESS + 1];
    if (!t->asked_count) {
        child_restart(t, "it answers what nobody asked");
        return;
    }
    unsigned at = t->asked_first;
    bool good = l->code >= 250 && l->code < 260;
    if (t->asked[at].what == TOR_PHASE && good)
        on_event(t, l->text);
    if (t->asked[at].what == TOR_ADD && control_value(l->text, "ServiceID", said, sizeof said))
        memcpy(t->asked[at].said, said, sizeof said);
    if (!l->last)
        return;
    t->asked_first = (at + 1) % TOR_ASKED_MAX;
    t->asked_count--;
    switch (t->asked[at].what) {
    case TOR_LOGIN:
        on_login(t, good);
        break;
    case TOR_OWN:
    case TOR_EVENTS:
        if (!good)
            child_restart(t, "it does not take its first commands");
        break;
    case TOR_ADD:
        if (!good)
            tor_log(t, CLAN_LOG_WARN, "tor does not publish the place for %s: %.120s",
                t->asked[at].onion->name, l->text);
        service_added(t, t->asked[at].onion, good ? t->asked[at].said : "");
        break;
    case TOR_KEY:
        dial_key_told(t, t->asked[at].dial);
        break;
    default:
        break;
    }
}

static void on_line(void *user, const struct control_line *l)
{
    struct tor *t = user;
    if (t->ctl < 0)
        return; /* given up by an earlier line of the same bytes */
    if (l->code >= 600)
        on_event(t, l->text);
    else
        on_reply(t, l);
}

static void on_control(void *user, int32_t fd, uint32_t events)
{
    struct tor *t = user;
    char bytes[4096];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 && !t->ready)
        try_later(t);
    else if (n <= 0)
        child_restart(t, "it hung up");
    else if (!control_feed(&t->control, bytes, (size_t)n, on_line, t))
        child_restart(t, "what it says cannot be understood");
}
