/* A relay that counts frames and can be slow: what a plugin or a thin line is to clan-link. */
#include "link_lab.h"

#include "base/clock.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct way { /* one direction */
    int in, out;
    uint8_t bytes[4096], head[4];
    size_t from, end;
    size_t skip, head_len; /* of the parser: bytes until the next head */
    uint64_t sent, start_ms;
};

static void parse(struct lab_relay *r, struct way *w, const uint8_t *p, size_t n)
{
    while (n) {
        if (w->skip) {
            size_t k = w->skip < n ? w->skip : n;
            w->skip -= k;
            p += k;
            n -= k;
            continue;
        }
        w->head[w->head_len++] = *p++;
        n--;
        if (w->head_len < 4)
            continue;
        w->head_len = 0;
        w->skip = (size_t)w->head[0] << 8 | w->head[1];
        if (w->head[2] < 3)
            __atomic_fetch_add(&r->frames[w->head[2]], 1, __ATOMIC_RELAXED);
        if (w->skip > r->longest)
            r->longest = w->skip;
    }
}

/* false: one end is gone */
static bool pump(struct lab_relay *r, struct way *w, uint64_t rate)
{
    if (w->from == w->end) {
        ssize_t n = recv(w->in, w->bytes, sizeof w->bytes, MSG_DONTWAIT);
        if (n == 0)
            return false;
        if (n < 0)
            return true;
        w->from = 0;
        w->end = (size_t)n;
        parse(r, w, w->bytes, w->end);
    }
    uint64_t now_ms = clock_mono_ms();
    if (rate && w->sent > rate * (now_ms - w->start_ms) / 1000) /* earned, but not saved up */
        return true;
    if (rate && w->sent + rate / 50 < rate * (now_ms - w->start_ms) / 1000) {
        w->start_ms = now_ms;
        w->sent = 0;
    }
    ssize_t n = send(w->out, w->bytes + w->from, w->end - w->from, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
        w->from += (size_t)n;
        w->sent += (size_t)n;
        __atomic_fetch_add(&r->bytes, (uint64_t)n, __ATOMIC_RELAXED);
    }
    return true;
}

static void relay_main(struct lab_relay *r, int a, int b, uint64_t rate)
{
    static struct way ways[2];
    ways[0] = (struct way){.in = a, .out = b, .skip = 24, .start_ms = clock_mono_ms()};
    ways[1] = (struct way){.in = b, .out = a, .start_ms = clock_mono_ms()};
    for (;;) {
        struct pollfd p[2] = {{a, 0, 0}, {b, 0, 0}};
        bool waits = false;
        for (int i = 0; i < 2; i++) {
            if (ways[i].from == ways[i].end)
                p[i].events |= POLLIN;
            else if (rate)
                waits = true;
            else
                p[!i].events |= POLLOUT;
        }
        poll(p, 2, waits ? 1 : 1000);
        for (int i = 0; i < 2; i++)
            if (!pump(r, &ways[i], rate))
                _exit(0);
    }
}

struct lab_relay *lab_relay(int from, uint64_t rate)
{
    int a[2], b[2], small = 8192;
    struct lab_relay *r =
        mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    lab_require(r != MAP_FAILED);
    lab_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a) == 0);
    lab_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b) == 0);
    setsockopt(a[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    setsockopt(b[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(a[0]);
        close(b[0]);
        relay_main(r, a[1], b[1], rate);
    }
    lab_require(pid > 0);
    r->pid = pid; /* by the parent alone: this memory is shared */
    close(a[1]);
    close(b[1]);
    lab_accept(!from, b[0], NULL);
    lab_dial(from, clan_link_Purpose_PURPOSE_LINK, a[0]);
    for (int i = 0; i < 2; i++)
        lab_require(lab_wait(i, clan_link_FromLink_up_tag, 5000));
    return r;
}

void lab_relay_end(struct lab_relay *r)
{
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
    munmap(r, sizeof *r);
}
