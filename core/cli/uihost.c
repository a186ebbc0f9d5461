/* The mini host: its address, its life, and the codes that let this user's browser in. */
#include "cli/uihost.h"

#include "base/clock.h"
#include "base/error.h"
#include "cli/desktop.h"
#include "cli/machine.h"
#include "cli/out.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define START_MS  15000
#define LOOK_MS   1000
#define ADDRESSES 254 /* 127.x.117.1 to .254 */

/* The kernel gives a port that nobody has there: whoever has this address in a URL comes to us. */
static bool listen_at(struct uihost *h, const uint8_t a[4])
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    memcpy(&at.sin_addr, a, 4);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 16) == 0 &&
        getsockname(fd, (struct sockaddr *)&at, &size) == 0) {
        snprintf(h->origin, sizeof h->origin, "%u.%u.%u.%u:%u", a[0], a[1], a[2], a[3],
            ntohs(at.sin_port));
        h->listen_fd = fd;
        return true;
    }
    int why = errno;
    if (fd >= 0)
        close(fd);
    errno = why;
    return false;
}

/* An address of loopback that is this user's by custom: cookies go by the address, not by the port, so that
 * another user's page never sees ours.  Its end is a new one each time: who sits at one did not know which. */
static clan_status listen_here(struct uihost *h, struct clan_error *e)
{
    uint8_t first = (uint8_t)randombytes_uniform(ADDRESSES);
    for (unsigned i = 0; i < ADDRESSES; i++) {
        const uint8_t a[4] = {
            127, (uint8_t)(96 + getuid() % 32), 117, (uint8_t)(1 + (first + i) % ADDRESSES)};
        if (listen_at(h, a))
            return CLAN_OK;
    }
    err_errno(e, CLAN_E_IO, "the dashboard has no address of loopback");
    err_remedy(e, "see who has the ports of 127.%u.117.*: ss -ltnp", 96 + getuid() % 32);
    return CLAN_E_IO;
}

static void on_signal(void *arg, int fd, uint32_t events)
{
    struct uihost *h = arg;
    struct signalfd_siginfo info;
    (void)events;
    if (read(fd, &info, sizeof info) == sizeof info)
        loop_stop(h->loop, 0);
}

static clan_status take_signals(struct uihost *h, struct clan_error *e)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, &h->signals);
    h->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (h->signal_fd < 0 || loop_fd_add(h->loop, h->signal_fd, EPOLLIN, on_signal, h) != CLAN_OK)
        return err_errno(e, CLAN_E_IO, "signals cannot be taken");
    return CLAN_OK;
}

static void too_late(void *arg)
{
    struct uihost *h = arg;
    err_set(&h->error, CLAN_E_TIMEOUT, "the dashboard does not start");
    h->failed = true;
    loop_stop(h->loop, 0);
}

static clan_status wait_up(struct uihost *h, struct clan_error *e)
{
    uint64_t timer = loop_timer_in(h->loop, START_MS, too_late, h);
    if (!h->up && !h->failed)
        loop_run(h->loop);
    loop_timer_cancel(h->loop, timer);
    if (h->up)
        return CLAN_OK;
    if (!h->failed)
        return err_set(e, CLAN_E_CANCELLED, "cancelled; nothing was changed");
    *e = h->error;
    return e->status != CLAN_OK ? e->status : err_set(e, CLAN_E_DEFECT, "the dashboard gave up");
}

clan_status uihost_open(struct cli *c, struct uihost **ret)
{
    struct uihost *h = calloc(1, sizeof *h);
    clan_assert(h);
    h->c = c;
    h->listen_fd = h->signal_fd = h->open_fd = h->lock_fd = h->create_fd = -1;
    h->error = (struct clan_error)CLAN_ERROR_INIT;
    h->asked_ms = clock_mono_ms();
    h->loop = loop_new();
    clan_status st = h->loop ? CLAN_OK : err_set(&c->e, CLAN_E_NOMEM, "out of memory");
    if (st == CLAN_OK)
        st = listen_here(h, &c->e);
    if (st == CLAN_OK)
        st = uiplugin_load(h, machine_plugin_dir(c), &c->e);
    if (st == CLAN_OK)
        st = take_signals(h, &c->e);
    if (st == CLAN_OK)
        st = wait_up(h, &c->e);
    if (st == CLAN_OK)
        *ret = h;
    else
        uihost_free(h);
    return st;
}

void uihost_code(struct uihost *h, clan_api_UiCode *ret)
{
    unsigned at = 0;
    for (unsigned i = 0; i < UIHOST_CODES_MAX; i++) /* a free one, else the oldest */
        if (h->codes[i].until_ms < h->codes[at].until_ms)
            at = i;
    randombytes_buf(h->codes[at].code, sizeof h->codes[at].code);
    h->codes[at].until_ms = clock_mono_ms() + UIHOST_CODE_S * 1000;
    memcpy(ret->code, h->codes[at].code, sizeof ret->code);
    snprintf(ret->origin, sizeof ret->origin, "%s", h->origin);
    ret->valid_s = UIHOST_CODE_S;
}

void uihost_url(const clan_api_UiCode *code, char ret_url[UIHOST_URL_MAX])
{
    char hex[2 * sizeof code->code + 1];
    sodium_bin2hex(hex, sizeof hex, code->code, sizeof code->code);
    snprintf(ret_url, UIHOST_URL_MAX, "http://%s/#code=%s", code->origin, hex);
    sodium_memzero(hex, sizeof hex);
}

clan_status uihost_open_url(struct cli *c, const clan_api_UiCode *code, bool browse)
{
    char url[UIHOST_URL_MAX];
    clan_status st = CLAN_OK;
    uihost_url(code, url);
    if (browse) {
        st = desktop_browse(url, &c->e);
        if (st == CLAN_OK)
            out_note(c, "The page is open in your browser.");
    } else if (c->json) {
        out_json(c, json_pack("{s:s, s:s, s:s, s:i}", "url", url, "origin", code->origin, "code",
                        strchr(url, '=') + 1, "valid_s", (int)code->valid_s));
    } else {
        out_line(c, "%s", url);
        out_note(c,
            "Open it in a browser of this computer within %u seconds: it signs you in once.",
            code->valid_s);
    }
    fflush(c->out);
    sodium_memzero(url, sizeof url);
    return st;
}

clan_status uihost_show(struct uihost *h)
{
    clan_api_UiCode code = clan_api_UiCode_init_zero;
    uihost_code(h, &code);
    h->shown_ms = clock_mono_ms();
    clan_status st = uihost_open_url(h->c, &code, h->browses);
    sodium_memzero(&code, sizeof code);
    return st;
}

/* A browser may take long to start.  Each link of a page that has many would open another one meanwhile, and its code
 * would push out the first one's. */
bool uihost_is_shown(const struct uihost *h)
{
    uint64_t now = clock_mono_ms();
    bool comes =
        h->shown_ms && h->asked_ms < h->shown_ms && now - h->shown_ms < UIHOST_CODE_S * 1000;
    return comes || now - h->asked_ms <= UIHOST_PAGE_MS;
}

static void on_look(void *arg)
{
    struct uihost *h = arg;
    uint64_t quiet = clock_mono_ms() - h->asked_ms;
    bool over =
        h->create_fd < 0 && (h->question_count ? uijoin_over(h) : h->joins || h->created[0]);
    if (quiet >= UIHOST_IDLE_MS || (over && quiet >= UIHOST_DONE_MS) ||
        (h->joins && h->question_count == 0 && quiet >= UIHOST_PAGE_MS))
        loop_stop(h->loop, 0);
    else
        loop_timer_in(h->loop, LOOK_MS, on_look, h);
}

clan_status uihost_run(struct uihost *h)
{
    on_look(h);
    loop_run(h->loop);
    return CLAN_OK;
}

void uihost_free(struct uihost *h)
{
    if (!h)
        return;
    uiplugin_unload(h);
    while (h->clients)
        uiserve_close(h->clients);
    uicreate_end(h);
    uijoin_end(h);
    uisocket_close(h);
    if (h->signal_fd >= 0) {
        close(h->signal_fd);
        sigprocmask(SIG_SETMASK, &h->signals, NULL);
    }
    if (h->listen_fd >= 0)
        close(h->listen_fd);
    loop_free(h->loop);
    sodium_memzero(h, sizeof *h);
    free(h);
}
