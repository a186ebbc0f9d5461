/* Fork, one step after the other, exec; a step that fails is named to the parent. */
#include "base/error.h"
#include "base/log.h"
#include "sandbox/profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FD_TARGET_MAX 64 /* fixed descriptors of a child are below */

/* Child to parent.  READY is the last word before exec and carries the notification descriptor. */
struct report {
    int32_t step;  /* 0: ready */
    int32_t value; /* errno, or the descriptor, -1 for none */
};

struct child_state {
    const struct sandbox_spec *spec;
    const struct profile *profile;
    int program_fd, status_fd;
    int trees[SANDBOX_BINDS_MAX];
};

static int step_session(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL); /* SIGKILL, SIGSTOP and glibc's own say no */
    umask(022);             /* the root is for another user */
    if (sigprocmask(SIG_SETMASK, &none, NULL) != 0 || setsid() < 0)
        return -1;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int write_at(int dir, const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    int saved = errno;
    close(fd);
    errno = saved;
    return n < 0 ? -1 : 0;
}

static int set_limit(int what, rlim_t value)
{
    struct rlimit now, want = {value, value};
    if (getrlimit((__rlimit_resource_t)what, &now) != 0)
        return -1;
    if (setrlimit((__rlimit_resource_t)what, &want) == 0)
        return 0;
    want.rlim_cur = want.rlim_max = now.rlim_max < value ? now.rlim_max : value;
    return setrlimit((__rlimit_resource_t)what, &want);
}

/* Limits go to the cgroup where its controllers are (v2), to rlimits otherwise. */
static int step_cgroup(const struct child_state *c)
{
    const struct sandbox_spec *s = c->spec;
    char text[32];
    uint32_t mib = s->memory_mib ? s->memory_mib : c->profile->memory_mib;
    bool limited = false;
    if (s->cgroup_fd >= 0) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)mib << 20);
        limited = write_at(s->cgroup_fd, "memory.max", text) == 0;
        snprintf(text, sizeof text, "%u", s->pids ? s->pids : c->profile->nproc);
        write_at(s->cgroup_fd, "pids.max", text); /* RLIMIT_NPROC holds without it */
        if (write_at(s->cgroup_fd, "cgroup.procs", "0") != 0 &&
            !(s->weaker & SANDBOX_WEAKER_CGROUP))
            return -1;
    }
#ifdef CLAN_SANITIZE
    return 0;
#else
    return limited ? 0 : set_limit(RLIMIT_DATA, (rlim_t)mib << 20);
#endif
}

static int step_namespaces(const struct profile *p)
{
    int net = p->flags & PROFILE_NET ? 0 : CLONE_NEWNET;
    if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | net) != 0)
        return -1;
    return sethostname("clan", 4);
}

/*
 * A directory from outside would lead out of the root ("..", and mounts without noexec), so it is
 * opened again at the place where it is bound.
 */
static int inside(const struct sandbox_spec *s, int fd, int above)
{
    struct stat st, at;
    if (fstat(fd, &st) != 0)
        return -1;
    if (!S_ISDIR(st.st_mode))
        return fcntl(fd, F_DUPFD_CLOEXEC, above);
    for (unsigned i = 0; i < s->bind_count; i++) {
        int dir = open(s->binds[i].target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
            continue;
        if (fstat(dir, &at) == 0 && at.st_dev == st.st_dev && at.st_ino == st.st_ino) {
            int high = fcntl(dir, F_DUPFD_CLOEXEC, above);
            close(dir);
            return high;
        }
        close(dir);
    }
    return errno = EXDEV, -1;
}

/* Afterwards: the targets, and above RLIMIT_NOFILE, where nothing new can go, program and status.
 */
static int step_descriptors(struct child_state *c)
{
    const struct sandbox_spec *s = c->spec;
    int base = (int)c->profile->nofile, above = base + 8, high[SANDBOX_FDS_MAX];
    struct rlimit files;
    bool wanted[FD_TARGET_MAX] = {false};
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return -1;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        return -1;
    for (unsigned i = 0; i < s->fd_count; i++)
        if ((high[i] = inside(s, s->fds[i].from, above)) < 0)
            return -1;
    int program = fcntl(c->program_fd, F_DUPFD_CLOEXEC, above);
    int status = fcntl(c->status_fd, F_DUPFD_CLOEXEC, above);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (program < 0 || status < 0 || null < 0 || (null = fcntl(null, F_DUPFD_CLOEXEC, above)) < 0)
        return -1;
    if (dup3(program, base, O_CLOEXEC) < 0 || dup3(status, base + 1, O_CLOEXEC) < 0)
        return -1;
    c->program_fd = base;
    c->status_fd = base + 1;
    for (unsigned i = 0; i < s->fd_count; i++) {
        if (dup2(high[i], s->fds[i].to) < 0)
            return -1;
        wanted[s->fds[i].to] = true;
    }
    for (int fd = 0; fd < FD_TARGET_MAX; fd++)
        if (!wanted[fd] && (fd > 2 ? close(fd) : dup2(null, fd)) < 0 && errno != EBADF)
            return -1;
    if (close_range(FD_TARGET_MAX, (unsigned)base - 1, 0) != 0)
        return -1;
    return close_range((unsigned)base + 2, ~0U, 0);
}

static int step_limits(const struct child_state *c)
{
    const struct profile *p = c->profile;
    /* 1, not 0: a core_pattern with a pipe ignores 0 and takes 1 for a refusal (core(5),
     * coredump.c) */
    if (set_limit(RLIMIT_CORE, 1) != 0 ||
        set_limit(RLIMIT_MEMLOCK, (rlim_t)p->memlock_kib << 10) != 0)
        return -1;
    if (set_limit(RLIMIT_NPROC, c->spec->pids ? c->spec->pids : p->nproc) != 0)
        return -1;
    if (set_limit(RLIMIT_MSGQUEUE, 0) != 0 || set_limit(RLIMIT_SIGPENDING, 256) != 0)
        return -1;
    return set_limit(RLIMIT_NOFILE, p->nofile);
}

static int step_capabilities(void)
{
    /* root means nothing any more, and no bit of it can be moved again */
    unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                         SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                         SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) != 0)
        return -1;
    for (int cap = 0; cap <= 63; cap++)
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
            return -1;
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static int step_user(const struct sandbox_spec *s)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}, {0}};
    umask(077);
    if (setgroups(s->extra_gid ? 1 : 0, &s->extra_gid) != 0)
        return -1;
    if (setresgid(s->gid, s->gid, s->gid) != 0 || setresuid(s->uid, s->uid, s->uid) != 0)
        return -1;
    if (syscall(SYS_capset, &head, none) != 0)
        return -1;
    /* exec resets dumpable; this covers the steps until then, the program sets its own */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

static int step_exec(const struct child_state *c)
{
    return (int)syscall(
        SYS_execveat, c->program_fd, "", c->spec->argv, c->spec->envp, AT_EMPTY_PATH);
}

static int step_seccomp(const struct child_state *c)
{
    struct report ready = {.step = 0};
    char go;
    if (filter_load(c->profile, c->program_fd, &ready.value) != 0)
        return -1;
    /* the parent takes the notification descriptor before exec closes it */
    if (write(c->status_fd, &ready, sizeof ready) != sizeof ready)
        return -1;
    return read(c->status_fd, &go, 1) == 1 ? 0 : -1;
}

static int run_step(struct child_state *c, int step)
{
    switch (step) {
    case SANDBOX_STEP_SESSION:
        return step_session();
    case SANDBOX_STEP_CGROUP:
        return step_cgroup(c);
    case SANDBOX_STEP_BINDS:
        return root_binds(c->spec, c->trees);
    case SANDBOX_STEP_NAMESPACES:
        return step_namespaces(c->profile);
    case SANDBOX_STEP_ROOT:
        return root_enter(c->spec, c->trees);
    case SANDBOX_STEP_DESCRIPTORS:
        return step_descriptors(c);
    case SANDBOX_STEP_LIMITS:
        return step_limits(c);
    case SANDBOX_STEP_LANDLOCK:
        return landlock_apply(c->spec, c->profile, c->program_fd);
    case SANDBOX_STEP_CAPABILITIES:
        return step_capabilities();
    case SANDBOX_STEP_USER:
        return step_user(c->spec);
    case SANDBOX_STEP_SECCOMP:
        return step_seccomp(c);
    default:
        return step_exec(c);
    }
}

static _Noreturn void run_child(struct child_state *c)
{
    for (int step = 1; step < SANDBOX_STEP_COUNT; step++) {
        if (run_step(c, step) == 0)
            continue;
        struct report failed = {step, errno};
        ssize_t ignored = write(c->status_fd, &failed, sizeof failed);
        (void)ignored;
        _exit(SANDBOX_EXIT_BASE + step);
    }
    _exit(SANDBOX_EXIT_BASE + SANDBOX_STEP_EXEC);
}

static clan_status step_error(
    struct clan_error *reterr, const struct sandbox_spec *s, int step, int err)
{
    bool missing =
        err == ENOSYS || err == EOPNOTSUPP || (step == SANDBOX_STEP_SECCOMP && err == EINVAL);
    errno = err;
    clan_status st = err_errno(reterr, missing ? CLAN_E_NOSYS : CLAN_E_IO,
        "%s (profile %s) was not started: sandbox step %s failed", s->program, s->profile,
        sandbox_step_name(step));
    if (step == SANDBOX_STEP_LANDLOCK && missing)
        err_remedy(reterr, "boot with Landlock (lsm=landlock,...), or allow less in machine.yaml: "
                           "sandbox: {weaker: [landlock]}");
    else if (step == SANDBOX_STEP_DESCRIPTORS && err == EXDEV)
        err_remedy(reterr, "a directory descriptor needs a bind of the same directory");
    else if (step == SANDBOX_STEP_DESCRIPTORS && (err == EINVAL || err == EMFILE))
        err_remedy(reterr, "raise the limit of open files of the service (LimitNOFILE=)");
    return st;
}

/* Reads what the child says until exec closes its end. */
static clan_status collect(
    const struct sandbox_spec *s, int fd, struct sandbox_child *child, struct clan_error *reterr)
{
    struct report rep;
    ssize_t n;
    bool ready = false;
    for (;;) {
        do
            n = read(fd, &rep, sizeof rep);
        while (n < 0 && errno == EINTR);
        if (n != sizeof rep)
            break;
        if (rep.step != 0 || ready)
            return step_error(reterr, s, rep.step, rep.value);
        ready = true;
        if (rep.value >= 0 && (child->notify_fd = pidfd_getfd(child->pidfd, rep.value, 0)) < 0)
            return step_error(reterr, s, SANDBOX_STEP_SECCOMP, errno);
        if (send(fd, "", 1, MSG_NOSIGNAL) != 1)
            return step_error(reterr, s, SANDBOX_STEP_EXEC, errno);
    }
    if (ready)
        return CLAN_OK;
    err_set(reterr, CLAN_E_IO, "%s (profile %s) was not started", s->program, s->profile);
    err_why(reterr, "it ended before its sandbox was complete");
    return CLAN_E_IO;
}

static void end_child(struct sandbox_child *child)
{
    kill(child->pid, SIGKILL);
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    close(child->pidfd);
    if (child->notify_fd >= 0)
        close(child->notify_fd);
}

static clan_status start(
    struct child_state *c, struct sandbox_child *ret_child, struct clan_error *reterr)
{
    struct sandbox_child child = {.pidfd = -1, .notify_fd = -1};
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return err_errno(reterr, CLAN_E_IO, "no channel to a new process");
    unsigned long flags =
        CLONE_PIDFD | SIGCHLD | (c->profile->flags & PROFILE_PIDNS ? CLONE_NEWPID : 0);
    child.pid = (pid_t)syscall(SYS_clone, flags, NULL, &child.pidfd, NULL, 0);
    if (child.pid == 0) {
        close(pair[0]);
        c->status_fd = pair[1];
        run_child(c);
    }
    clan_status st =
        child.pid < 0 ? step_error(reterr, c->spec, SANDBOX_STEP_NAMESPACES, errno) : CLAN_OK;
    close(pair[1]);
    if (st == CLAN_OK && (st = collect(c->spec, pair[0], &child, reterr)) != CLAN_OK)
        end_child(&child);
    close(pair[0]);
    if (st == CLAN_OK)
        *ret_child = child;
    return st;
}

clan_status sandbox_spawn(
    const struct sandbox_spec *spec, struct sandbox_child *ret_child, struct clan_error *reterr)
{
    struct child_state c = {.spec = spec, .profile = profile_find(spec->profile)};
    clan_assert(
        c.profile && spec->fd_count <= SANDBOX_FDS_MAX && spec->bind_count <= SANDBOX_BINDS_MAX);
    clan_assert(spec->uid != 0 && spec->gid != 0);
    for (unsigned i = 0; i < spec->fd_count; i++)
        clan_assert(spec->fds[i].to >= 0 && spec->fds[i].to < FD_TARGET_MAX);
#ifdef CLAN_SANITIZE
    log_warn("SANITIZER BUILD: %s runs WITHOUT seccomp and Landlock, never use this build",
        spec->program);
#endif
    c.program_fd = open(spec->program, O_PATH | O_CLOEXEC);
    if (c.program_fd < 0) {
        err_errno(
            reterr, errno == ENOENT ? CLAN_E_NOENT : CLAN_E_IO, "cannot open %s", spec->program);
        err_remedy(reterr, "install the package that it belongs to");
        return reterr ? reterr->status : CLAN_E_NOENT;
    }
    clan_status st = start(&c, ret_child, reterr);
    close(c.program_fd);
    return st;
}
