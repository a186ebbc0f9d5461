/* Our own tor: written for, started, started again when it ends. */
#include "tor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Read by tor, which is another user of our group. */
static clan_status write_torrc(const struct tor *t, struct clan_error *e)
{
    char text[TORRC_MAX], path[TOR_DIR_MAX + 16];
    size_t size = torrc_write(&t->conf, text);
    snprintf(path, sizeof path, "%s/torrc", t->state_dir);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    bool ok = size && fd >= 0 && fchmod(fd, 0640) == 0 && write(fd, text, size) == (ssize_t)size;
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (ok)
        return CLAN_OK;
    return tor_fail(e, CLAN_E_IO, "see that the disk is not full",
        "tor's configuration cannot be written", "%s: %s", path, strerror(error));
}

/* What an earlier tor left would answer, or seem to. */
static void clean(const struct tor *t)
{
    static const char *const names[] = {"socks", "control", "cookie"};
    char path[TOR_DIR_MAX + 16];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", t->dir, names[i]);
        unlink(path);
    }
}

static void on_again(void *user)
{
    struct tor *t = user;
    struct clan_error e = CLAN_ERROR_INIT;
    t->again_timer = 0;
    if (child_start(t, &e) != CLAN_OK)
        child_restart(t, e.what);
}

static void again(struct tor *t, const char *why)
{
    uint64_t life = t->begun_ms ? tor_now_ms() - t->begun_ms : 0;
    uint64_t wait = policy_restart(&t->restart, life);
    t->child = CHILD_NONE;
    t->run = 0;
    t->begun_ms = 0;
    command_close(t);
    service_lost(t);
    dial_lost(t);
    tor_tell(t, false, "Tor is not running: %s", why);
    tor_log(t, CLAN_LOG_WARN, "%s; tor starts again in %u s", why, (unsigned)(wait / 1000));
    clan_timer_stop(t->host, t->again_timer);
    if (clan_timer_start(t->host, wait, on_again, t, &t->again_timer) != CLAN_OK)
        t->again_timer = 0;
}

void child_restart(struct tor *t, const char *why)
{
    uint32_t run = t->run;
    if (t->child == CHILD_NONE && t->again_timer)
        return;
    again(t, why);
    if (run)
        t->programs->end(t->host->host_data, run);
}

void child_now(struct tor *t)
{
    t->restart.failures = 0;
    if (!t->again_timer)
        child_restart(t, "it begins anew in another network");
    clan_timer_stop(t->host, t->again_timer);
    if (t->again_timer)
        on_again(t);
}

static void on_started(void *user, uint32_t run, const struct clan_error *error)
{
    struct tor *t = user;
    if (t->child != CHILD_ASKED) {
        if (!error)
            t->programs->end(t->host->host_data, run); /* stopped meanwhile */
        return;
    }
    if (error) {
        char why[200];
        snprintf(why, sizeof why, "%.90s%s%.100s", error->what, error->remedy[0] ? ": " : "",
            error->remedy);
        again(t, why);
        return;
    }
    t->child = CHILD_RUNS;
    t->run = run;
    t->begun_ms = tor_now_ms();
    tor_tell(t, false, "Tor is starting");
    command_open(t);
}

static void on_exited(void *user, uint32_t run, uint32_t exit_status)
{
    struct tor *t = user;
    int s = (int)exit_status;
    char why[64];
    if (run != t->run || t->child != CHILD_RUNS)
        return; /* one that was replaced or stopped */
    if (WIFSIGNALED(s))
        snprintf(why, sizeof why, "it was ended by signal %d", WTERMSIG(s));
    else
        snprintf(why, sizeof why, "it ended with status %d, see clan logs", WEXITSTATUS(s));
    again(t, why);
}

clan_status child_start(struct tor *t, struct clan_error *reterr)
{
    clan_status st = write_torrc(t, reterr);
    if (st != CLAN_OK)
        return st;
    clean(t);
    t->child = CHILD_ASKED;
    st = t->programs->run(t->host->host_data, "tor", on_started, on_exited, t, reterr);
    if (st != CLAN_OK)
        t->child = CHILD_NONE;
    return st;
}

void child_stop(struct tor *t)
{
    clan_timer_stop(t->host, t->again_timer);
    t->again_timer = 0;
    command_close(t); /* tor ends when its owner is gone */
    if (t->run)
        t->programs->end(t->host->host_data, t->run);
    t->child = CHILD_NONE;
    t->run = 0;
}
