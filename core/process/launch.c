/* Gathers what a process inherits, and starts it. */
#include "process/process.h"

#include "base/error.h"
#include "cgroup/cgroup.h"
#include "wire/channel.h"
#include "wire/warden_requests.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void launch_own(struct launch *l, int fd)
{
    clan_assert(l->close_count < SANDBOX_FDS_MAX);
    l->close[l->close_count++] = fd;
}

void launch_fd(struct launch *l, int from, int to, bool own)
{
    clan_assert(l->spec.fd_count < SANDBOX_FDS_MAX);
    l->fds[l->spec.fd_count++] = (struct sandbox_fd){from, to};
    if (own)
        launch_own(l, from);
}

void launch_bind(struct launch *l, int fd, const char *target, bool writable)
{
    clan_assert(l->spec.bind_count < sizeof l->binds / sizeof l->binds[0]);
    l->binds[l->spec.bind_count++] =
        (struct sandbox_bind){.source_fd = fd, .target = target, .writable = writable};
}

void launch_null(struct launch *l, int to)
{
    launch_fd(l, open("/dev/null", O_RDWR | O_CLOEXEC), to, true);
}

void launch_or_null(struct launch *l, int from, int to)
{
    if (from >= 0)
        launch_fd(l, from, to, false);
    else
        launch_null(l, to);
}

void launch_dir(struct launch *l, int dir, int to, const char *target, bool writable)
{
    if (dir >= 0)
        launch_bind(l, dir, target, writable);
    if (dir >= 0 && to >= 0)
        launch_fd(l, dir, to, true);
    else if (dir >= 0)
        launch_own(l, dir);
    else if (to >= 0)
        launch_null(l, to);
}

void launch_path(struct launch *l, const char *path, const char *target)
{
    int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0)
        launch_dir(l, dir, -1, target, false);
}

static const char *argument(const char *from, char *ret_text, size_t cap)
{
    static const char *const places[][2] = {{"{state}", "/state"}, {"{volume}", "/volume"}};
    for (unsigned i = 0; i < 2; i++) {
        const char *at = strstr(from, places[i][0]);
        if (at) {
            snprintf(ret_text, cap, "%.*s%s%s", (int)(at - from), from, places[i][1],
                at + strlen(places[i][0]));
            return ret_text;
        }
    }
    return from;
}

void launch_ours(struct launch *l, const char *directory, const char *name)
{
    int at = snprintf(l->path, sizeof l->path, "%s/", directory);
    clan_assert(at > 0 && (size_t)at + strlen(name) + 6 <= sizeof l->path);
    snprintf(l->path + at, sizeof l->path - (size_t)at, "clan-%s", name);
    l->argv[0] = l->path + at;
    l->spec.profile = name;
    l->spec.program = l->path;
}

void launch_program(struct launch *l, const struct profile_program *row)
{
    const unsigned args = sizeof l->argv / sizeof l->argv[0] - 1, /* the last one ends the list */
        envs = sizeof l->envp / sizeof l->envp[0] - 2;            /* and one is added here */
    unsigned n = 0;
    for (; row->argv[n] && n < args; n++)
        l->argv[n] = argument(row->argv[n], l->text[n], sizeof l->text[n]);
    clan_assert(!row->argv[n]);
    for (n = 0; row->envp && row->envp[n] && n < envs; n++)
        l->envp[n] = row->envp[n];
    clan_assert(!row->envp || !row->envp[n]);
    l->envp[n] =
        "LISTEN_FDS=1"; /* LISTEN_PID=1 is in the row: the first process of its namespace */
    l->spec.profile = row->sandbox;
    l->spec.program = row->program;
}

void launch_owner(struct launch *l, const char *grants, const struct profile_program *row)
{
    const char *slash = strrchr(grants, '/');
    char path[512];
    if (row->owner && slash &&
        snprintf(path, sizeof path, "%.*s/%s", (int)(slash - grants), grants, row->owner) <
            (int)sizeof path)
        launch_path(l, path, "/owner");
}

void launch_close(struct launch *l)
{
    for (unsigned i = 0; i < l->close_count; i++)
        close(l->close[i]);
    l->close_count = 0;
}

clan_status proc_launch(struct proc *p, struct launch *l, const char *name, struct clan_error *e)
{
    int channel[2] = {-1, -1}, log[2] = {-1, -1};
    clan_status s = channel_pair(log);
    if (s == CLAN_OK && !p->log.plain)
        s = channel_pair(channel);
    if (s != CLAN_OK)
        err_errno(e, s, "no channel for a new process");
    p->id = ++p->of->last_id;
    snprintf(p->cgroup, sizeof p->cgroup, "%s-%u", name, p->id);
    p->cgroup_fd = cgroup_make(p->of->cgroup_fd, p->cgroup);
    if (channel[1] >= 0)
        launch_fd(l, channel[1], CHILD_FD_CHANNEL, true);
    launch_fd(l, log[1], p->log.plain ? STDERR_FILENO : CHILD_FD_LOG, true);
    l->spec.fds = l->fds;
    l->spec.binds = l->binds;
    l->spec.argv = (char *const *)(uintptr_t)l->argv;
    l->spec.envp = (char *const *)(uintptr_t)l->envp;
    l->spec.cgroup_fd = p->cgroup_fd;
    if (s == CLAN_OK)
        s = sandbox_spawn(&l->spec, &p->sandbox, e);
    launch_close(l);
    p->log_fd = log[0];
    p->channel = channel[0];
    if (s == CLAN_OK) {
        proc_watch(p);
        return CLAN_OK;
    }
    p->sandbox = (struct sandbox_child){.pidfd = -1, .notify_fd = -1};
    proc_gone(p);
    return s;
}
