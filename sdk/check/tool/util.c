/* Small things that several checks need. */
#include "check/tool/tool.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fill(
    struct try_report *r, enum try_result result, const char *remedy, const char *fmt, va_list ap)
{
    vsnprintf(r->why, sizeof r->why, fmt, ap);
    snprintf(r->remedy, sizeof r->remedy, "%s", remedy);
    r->result = result;
}

void try_pass(struct try_report *r)
{
    if (r->result == TRY_NOT_RUN && !r->why[0])
        r->result = TRY_PASSED;
}

void try_fail(struct try_report *r, const char *remedy, const char *why_fmt, ...)
{
    va_list ap;
    va_start(ap, why_fmt);
    fill(r, TRY_FAILED, remedy, why_fmt, ap);
    va_end(ap);
}

void try_skip(struct try_report *r, const char *remedy, const char *why_fmt, ...)
{
    va_list ap;
    va_start(ap, why_fmt);
    fill(r, TRY_NOT_RUN, remedy, why_fmt, ap);
    va_end(ap);
}

void try_error(struct try_report *r, const struct clan_error *e)
{
    try_fail(r, e->remedy, "%s: %s", e->what, e->why);
}

const char *try_text_fault(clan_status status, const struct clan_error *e)
{
    if (status == CLAN_OK)
        return "";
    if (!memchr(e->what, 0, sizeof e->what) || !memchr(e->why, 0, sizeof e->why) ||
        !memchr(e->remedy, 0, sizeof e->remedy))
        return "a text without an end";
    return !e->what[0] ? "no `what`" : !e->why[0] ? "no `why`" : !e->remedy[0] ? "no `remedy`" : "";
}

bool note_asks(const struct clan_note_body *n, const char *word)
{
    size_t len = strlen(word);
    for (unsigned i = 0; i < n->asks_count && i < CLAN_NOTE_ASKS_MAX; i++)
        if (strncmp(n->asks[i], word, len) == 0 && (!n->asks[i][len] || n->asks[i][len] == ':'))
            return true;
    return false;
}

unsigned count_entries(const char *dir)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int loopback_listener(uint16_t *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && (bind(fd, (const struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 64) != 0 ||
                       getsockname(fd, (struct sockaddr *)&a, &len) != 0)) {
        close(fd);
        return -1;
    }
    *ret_port = ntohs(a.sin_port);
    return fd;
}
