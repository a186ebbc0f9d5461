/* Fork, one step after the other, exec; a step that fails is named to the parent. */
#include "base/error.h"
#include "base/log.h"
#include "cgroup/cgroup.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
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
#define EXIT_BASE     60 /* exit status of a failed step: base + step */

struct report {    /* child to parent; ready (step 0) is the last word before exec */
    int32_t step;  /* place in steps, from 1 */
    int32_t value; /* errno; when ready the descriptor of the notifications or -1 */
};

static int step_session(struct sandbox_work *w)
{
    sigset_t none;
    (void)w;
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL); /* SIGKILL, SIGSTOP and glibc's own say no */
    sigemptyset(&none);
    TRY(sigprocmask(SIG_SETMASK, &none, NULL));
    TRY(setsid());
    umask(022); /* the root is made for another user */
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int set_limit(int what, rlim_t value)
{
    struct rlimit now, want = {value, value};
    if (setrlimit(what, &want) == 0)
        return 0;
    TRY(getrlimit(what, &now)); /* raising may not be allowed here: as far as it goes */
    want.rlim_cur = want.rlim_max = now.rlim_max < value ? now.rlim_max : value;
    return setrlimit(what, &want);
}

/* Limits go to the cgroup where its controllers are (v2), to rlimits otherwise. */
static int step_cgroup(struct sandbox_work *w)
{
    const struct sandbox_spec *s = w->spec;
    uint32_t mib = s->memory_mib ? s->memory_mib : w->profile->memory_mib;
    bool limited =
        cgroup_limit(s->cgroup_fd, (uint64_t)mib << 20, s->pids ? s->pids : w->profile->nproc);
    if (s->cgroup_fd >= 0 && !cgroup_enter(s->cgroup_fd) && !(s->weaker & SANDBOX_WEAKER_CGROUP))
        return -1;
#ifdef CLAN_SANITIZE
    limited = true; /* its shadow memory is no limit's business */
#endif
    return limited ? 0 : set_limit(RLIMIT_DATA, (rlim_t)mib << 20);
}

static int step_namespaces(struct sandbox_work *w)
{
    int net = w->profile->flags & PROFILE_NET ? 0 : CLONE_NEWNET;
    TRY(unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | net));
    return sethostname("clan", 4);
}

/*
 * A directory from outside leads out of the root ("..", mounts without noexec): it is opened again
 * where it is bound.
 */
static int inside(const struct sandbox_spec *s, int fd, int above)
{
    struct stat st, at;
    TRY(fstat(fd, &st));
    if (!S_ISDIR(st.st_mode))
        return fcntl(fd, F_DUPFD_CLOEXEC, above);
    for (unsigned i = 0; i < s->bind_count; i++) {
        int dir = open(s->binds[i].target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fstat(dir, &at) == 0 && at.st_dev == st.st_dev && at.st_ino == st.st_ino)
            return fcntl(dir, F_DUPFD_CLOEXEC, above);
    }
    return errno = EXDEV, -1;
}

/* Afterwards: the targets, and above RLIMIT_NOFILE, where nothing new can go, program and status. */
static int step_descriptors(struct sandbox_work *w)
{
    const struct sandbox_spec *s = w->spec;
    int base = (int)w->profile->nofile, above = base + 8, high[SANDBOX_FDS_MAX];
    struct rlimit files;
    TRY(getrlimit(RLIMIT_NOFILE, &files));
    TRY(set_limit(RLIMIT_NOFILE, files.rlim_max));
    for (unsigned i = 0; i < s->fd_count; i++)
        TRY(high[i] = inside(s, s->fds[i].from, above));
    TRY(w->program_fd = fcntl(w->program_fd, F_DUPFD_CLOEXEC, above));
    TRY(w->status_fd = fcntl(w->status_fd, F_DUPFD_CLOEXEC, above));
    int null = fcntl(open("/dev/null", O_RDWR | O_CLOEXEC), F_DUPFD_CLOEXEC, above);
    TRY(null);
    TRY(w->program_fd = dup3(w->program_fd, base, O_CLOEXEC));
    TRY(w->status_fd = dup3(w->status_fd, base + 1, O_CLOEXEC));
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        TRY(dup2(null, fd));
    TRY(close_range(STDERR_FILENO + 1, (unsigned)base - 1, 0));
    for (unsigned i = 0; i < s->fd_count; i++)
        TRY(dup2(high[i], s->fds[i].to));
    return close_range((unsigned)base + 2, ~0U, 0);
}

static int step_limits(struct sandbox_work *w)
{
    const struct profile *p = w->profile;
    TRY(set_limit(RLIMIT_CORE, 1)); /* not 0: a core_pattern with a pipe ignores 0 and heeds 1 */
    TRY(set_limit(RLIMIT_MEMLOCK, (rlim_t)p->memlock_kib << 10));
    TRY(set_limit(RLIMIT_NPROC, w->spec->pids ? w->spec->pids : p->nproc));
    TRY(set_limit(RLIMIT_MSGQUEUE, 0));
    if (w->spec->file_mib)
        TRY(set_limit(RLIMIT_FSIZE, (rlim_t)w->spec->file_mib << 20));
    return set_limit(RLIMIT_NOFILE, p->nofile);
}

static int step_capabilities(struct sandbox_work *w)
{
    unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                         SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                         SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    (void)w;
    TRY(prctl(PR_SET_SECUREBITS, bits, 0, 0, 0));
    for (int cap = 0; cap <= 63; cap++)
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
            TRY(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0));
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static int step_user(struct sandbox_work *w)
{
    const struct sandbox_spec *s = w->spec;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}, {0}};
    umask(077);
    if (s->without & SANDBOX_WITHOUT_USER) /* who is another only in its own eyes may not say so */
        return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0
                   ? (int)syscall(SYS_capset, &head, none)
                   : -1;
    TRY(setgroups(s->extra_gid ? 1 : 0, &s->extra_gid));
    TRY(setresgid(s->gid, s->gid, s->gid));
    TRY(setresuid(s->uid, s->uid, s->uid));
    TRY(syscall(SYS_capset, &head, none));
    TRY(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)); /* until exec, which sets it anew */
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

static int step_seccomp(struct sandbox_work *w)
{
    struct report ready = {.step = 0};
    char go;
    TRY(filter_load(w->profile, w->program_fd, w->spec->weaker, &ready.value));
    TRY(write(w->status_fd, &ready, sizeof ready));
    /* the parent takes the descriptor of the notifications before exec closes it */
    return read(w->status_fd, &go, 1) == 1 ? 0 : -1;
}

static int step_exec(struct sandbox_work *w)
{
    const struct sandbox_spec *s = w->spec;
    return (int)syscall(SYS_execveat, w->program_fd, "", s->argv, s->envp, AT_EMPTY_PATH);
}

/* clang-format off */
static const struct {
    const char *name;
    int (*run)(struct sandbox_work *w);
    uint32_t skip; /* SANDBOX_WITHOUT_ bits that leave it out */
} steps[] = {
#define STEP(name) {#name, step_##name, 0}
#define ROOT(name) {#name, step_##name, SANDBOX_WITHOUT_ROOT}
    STEP(session), STEP(cgroup), ROOT(binds), ROOT(namespaces), ROOT(root), STEP(descriptors),
    STEP(limits), STEP(landlock), ROOT(capabilities), STEP(user), STEP(seccomp), STEP(exec)
};
/* clang-format on */
#define STEP_COUNT ((int)(sizeof steps / sizeof steps[0]))

static _Noreturn void run_child(struct sandbox_work *w)
{
    int i = 0;
    while ((steps[i].skip & w->spec->without) ||
           steps[i].run(w) == 0) /* the last one comes back only when it failed */
        i++;
    struct report failed = {i + 1, errno};
    ssize_t ignored = write(w->status_fd, &failed, sizeof failed);
    (void)ignored;
    _exit(EXIT_BASE + i + 1);
}

static const char *step_name(int step)
{
    return step > 0 && step <= STEP_COUNT ? steps[step - 1].name : NULL;
}

void sandbox_exit_text(int wait_status, char *ret_text, size_t cap)
{
    int sig = WTERMSIG(wait_status), code = WEXITSTATUS(wait_status);
    const char *name = sigdescr_np(sig), *step = step_name(code - EXIT_BASE);
    if (WIFSIGNALED(wait_status) && name)
        snprintf(ret_text, cap, "killed by signal %d (%c%s)", sig, name[0] | 0x20, name + 1);
    else if (WIFSIGNALED(wait_status))
        snprintf(ret_text, cap, "killed by signal %d", sig);
    else if (!WIFEXITED(wait_status))
        snprintf(ret_text, cap, "stopped");
    else if (step)
        snprintf(ret_text, cap, "sandbox step %s failed", step);
    else
        snprintf(ret_text, cap, "ended with status %d", code);
}

static clan_status step_error(
    struct clan_error *reterr, const struct sandbox_spec *s, const char *step, int err)
{
    step = step ? step : "unknown";
    bool missing =
        err == ENOSYS || err == EOPNOTSUPP || (err == EINVAL && strcmp(step, "seccomp") == 0);
    clan_status st = missing ? CLAN_E_NOSYS : CLAN_E_IO;
    errno = err;
    err_errno(reterr, st, "%s (profile %s) was not started: sandbox step %s failed", s->program,
        s->profile, step);
    if (strcmp(step, "landlock") == 0 && missing)
        err_remedy(reterr, "boot with lsm=landlock,... or allow less in machine.yaml: "
                           "sandbox: {weaker: [landlock]}");
    else if (strcmp(step, "descriptors") == 0 && (err == EINVAL || err == EMFILE))
        err_remedy(reterr, "raise the limit of open files of the service (LimitNOFILE=)");
    return st;
}

/* Reads what the child says until exec closes its end. */
static clan_status collect(
    const struct sandbox_spec *s, int fd, struct sandbox_child *child, struct clan_error *reterr)
{
    struct report rep;
    bool ready = false;
    while (TEMP_FAILURE_RETRY(read(fd, &rep, sizeof rep)) == sizeof rep) {
        if (rep.step != 0 || ready)
            return step_error(reterr, s, step_name(rep.step), rep.value);
        ready = true;
        if (rep.value >= 0 && (child->notify_fd = pidfd_getfd(child->pidfd, rep.value, 0)) < 0)
            return step_error(reterr, s, "seccomp", errno);
        if (send(fd, "", 1, MSG_NOSIGNAL) != 1)
            return step_error(reterr, s, "exec", errno);
    }
    if (ready)
        return CLAN_OK;
    err_set(reterr, CLAN_E_IO, "%s (profile %s) was not started", s->program, s->profile);
    err_why(reterr, "it was ended before its sandbox was complete");
    return CLAN_E_IO;
}

clan_status sandbox_spawn(
    const struct sandbox_spec *s, struct sandbox_child *ret_child, struct clan_error *reterr)
{
    struct sandbox_work w = {.spec = s, .profile = profile_find(s->profile)};
    struct sandbox_child child = {
        .uid = s->uid, .gid = s->gid, .pidfd = -1, .notify_fd = -1, .without = s->without};
    int pair[2];
    clan_assert(w.profile && s->uid != 0 && s->gid != 0);
    clan_assert(!(s->without & SANDBOX_WITHOUT_ROOT) || s->bind_count == 0);
    clan_assert(s->fd_count <= SANDBOX_FDS_MAX && s->bind_count <= SANDBOX_BINDS_MAX);
    for (unsigned i = 0; i < s->fd_count; i++)
        clan_assert(s->fds[i].to >= 0 && s->fds[i].to < FD_TARGET_MAX);
#ifdef CLAN_SANITIZE
    log_warn("SANITIZER BUILD: %s runs WITHOUT seccomp and Landlock", s->program);
#endif
    w.program_fd = open(s->program, O_PATH | O_CLOEXEC);
    if (w.program_fd < 0) {
        clan_status st = errno == ENOENT ? CLAN_E_NOENT : CLAN_E_IO;
        err_errno(reterr, st, "cannot open %s", s->program);
        err_remedy(reterr, "install the package that it belongs to");
        return st;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        close(w.program_fd);
        return err_errno(reterr, CLAN_E_IO, "no channel to a new process");
    }
    w.status_fd = pair[1];
    int flags = CLONE_PIDFD | SIGCHLD | (w.profile->flags & PROFILE_PIDNS ? CLONE_NEWPID : 0);
    child.pid = (pid_t)syscall(SYS_clone, flags, NULL, &child.pidfd, NULL, 0);
    if (child.pid == 0)
        run_child(&w);
    clan_status st = child.pid > 0 ? CLAN_OK : step_error(reterr, s, "namespaces", errno);
    close(w.program_fd);
    close(pair[1]); /* else no end would be read */
    if (st == CLAN_OK && (st = collect(s, pair[0], &child, reterr)) != CLAN_OK) {
        kill(child.pid, SIGKILL);
        TEMP_FAILURE_RETRY(waitpid(child.pid, NULL, 0));
        close(child.pidfd);
        if (child.notify_fd >= 0)
            close(child.notify_fd);
    }
    close(pair[0]);
    if (st == CLAN_OK)
        *ret_child = child;
    return st;
}
