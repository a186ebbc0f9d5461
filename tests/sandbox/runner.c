/* Starts attempt.c under one profile, once per attempt, answers its notifications, compares. */
#include "base/error.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST_UID 0x7000ff01u
#define SKIP     77
#define KILLED   (-SIGSYS)
#define CRASHED  (-SIGSEGV)
#define SAME     (-1000)
#define WAIT_MS  10000

/* Expected errno (0: it works) or signal: for profiles without and with notifications. */
struct expectation {
    const char *name;
    int quiet, notified;
    const char *text; /* what the warden says, NULL: nothing */
    int net;          /* in host-net, SAME: as notified */
};
static const struct expectation expectations[] = {
    {"open_shadow", ENOENT, EACCES, "openat /etc/shadow refused", SAME},
    {"open_core_state", ENOENT, EACCES, "openat /var/lib/clan/seed refused", SAME},
    {"open_above", ENOENT, EACCES, "openat ../../../../etc/shadow refused", SAME},
    {"open_device", ENOENT, EACCES, "openat /dev/vda refused", SAME},
    {"open_own_memory", EROFS, EACCES, "openat /proc/self/mem refused", SAME},
    {"open_library_dir", 0, EACCES, "openat /usr/lib refused", SAME},
    {"open_root_dir", EACCES, EACCES, "openat / refused", SAME}, /* Landlock alone */
    {"write_usr", EROFS, EACCES, "openat /usr/lib/clan-was-here refused", SAME},
    {"write_root", EROFS, EACCES, "openat /clan-was-here refused", SAME},
    {"write_state", 0, 0, NULL, SAME},
    {"map_state", EPERM, EPERM, "mmap of executable memory refused", SAME},
    {"map_state_fd", EPERM, EPERM, "mmap of executable memory refused", SAME},
    {"exec_sh", KILLED, EPERM, "execve /bin/sh refused", SAME},
    {"exec_loader", KILLED, EPERM, "execve /lib64/ld-linux-x86-64.so.2 refused", SAME},
    {"exec_again", EBADF, EBADF, NULL, SAME},
    {"memfd", EPERM, EPERM, "memfd_create refused", SAME},
    {"socket_inet", EPERM, EPERM, "socket AF_INET refused", 0},
    {"socket_inet6", EPERM, EPERM, "socket AF_INET6 refused", 0},
    {"socket_udp", EPERM, EPERM, "socket AF_INET refused", SAME},
    {"socket_raw", EPERM, EPERM, "socket AF_INET refused", SAME},
    {"socket_unix", EPERM, EPERM, "socket AF_UNIX refused", SAME},
    {"socket_netlink", EPERM, EPERM, "socket AF_NETLINK refused", SAME},
    {"socket_packet", EPERM, EPERM, "socket AF_PACKET refused", SAME},
    {"try_connect", EPERM, EPERM, "connect refused",
        ENETUNREACH}, /* the runner's own empty network */
    {"try_bind", EPERM, EPERM, "bind refused", SAME},
    {"try_listen", EPERM, EPERM, "listen refused", SAME},
    {"try_socketpair", 0, 0, NULL, SAME},
    {"attach_filter", ENOSYS, ENOSYS, "setsockopt 26 refused", SAME},
    {"try_ptrace", KILLED, EPERM, "ptrace of ", SAME},
    {"read_other", KILLED, EPERM, "process_vm_readv refused", SAME},
    {"kill_other", ENOSYS, EPERM, "kill of ", SAME},
    {"kill_all", ENOSYS, EPERM, "kill of -1 refused", SAME},
    {"kill_self", 0, 0, NULL, SAME},
    {"try_mount", KILLED, EPERM, "mount /state refused", SAME},
    {"unshare_user", KILLED, EPERM, "unshare refused", SAME},
    {"try_setns", KILLED, EPERM, "setns refused", SAME},
    {"proc_other", ENOENT, ENOENT, NULL, SAME},
    {"proc_system", ENOENT, ENOENT, NULL, SAME},
    {"mmap_exec", EPERM, EPERM, "mmap of executable memory refused", SAME},
    {"mmap_write_exec", EPERM, EPERM, "mmap of executable memory refused", SAME},
    {"mprotect_exec", EPERM, EPERM, "mprotect of executable memory refused", SAME},
    {"pkey_exec", KILLED, EPERM, "pkey_mprotect refused", SAME},
    {"read_implies_exec", KILLED, EPERM, "personality refused", SAME},
    {"try_shmat", KILLED, EPERM, "shmat refused", SAME},
    {"io_uring", EPERM, EPERM, "io_uring_setup refused", SAME},
    {"try_keyctl", KILLED, EPERM, "keyctl refused", SAME},
    {"try_bpf", KILLED, EPERM, "bpf refused", SAME},
    {"try_userfaultfd", KILLED, EPERM, "userfaultfd refused", SAME},
    {"perf_event", KILLED, EPERM, "perf_event_open refused", SAME},
    {"push_input", KILLED, EPERM, "ioctl 0x5412 refused", SAME},
    {"try_fork", EPERM, EPERM, "clone refused", SAME},
    {"try_clone3", ENOSYS, ENOSYS, NULL, SAME},
    {"thread_new_user", ENOSYS, EPERM, "clone refused", SAME},
    {"thread", 0, 0, NULL, SAME},
    {"set_clock", KILLED, EPERM, "clock_settime refused", SAME},
    {"try_mknod", KILLED, EPERM, "mknod", SAME},
    {"become_root", KILLED, EPERM, "setuid refused", SAME},
    {"raise_limit", ENOSYS, ENOSYS, "prlimit64 refused", SAME},
    {"core_limit", 0, 0, NULL, SAME},
    {"crash", CRASHED, CRASHED, NULL, SAME},
    {"extra_descriptors", 0, 0, NULL, SAME},
    {"terminal", ENOENT, EACCES, "openat /dev/tty refused", SAME},
    {"x32_call", KILLED, KILLED, NULL, SAME},
    {"unknown_call", ENOSYS, ENOSYS, "getpriority refused", SAME},
};

/* After sandbox_close_link(). */
static const struct expectation link_expectations[] = {
    {"link_works", 0, 0, NULL, SAME},
    {"link_opens", KILLED, 0, NULL, SAME},
    {"link_socket", KILLED, 0, NULL, SAME},
    {"link_mprotect_exec", KILLED, 0, NULL, SAME},
    {"link_ioctl", KILLED, 0, NULL, SAME},
    {"link_new_thread", KILLED, 0, NULL, SAME},
    {"link_other_thread", KILLED, 0, NULL, SAME},
};

static const char *profile, *program, *plugin;
static bool notified;
static int state_fd, plugin_fd, failures;
static pid_t victim;

struct outcome {
    int result;      /* errno, or minus a signal */
    char said[512];  /* all notification texts, a line each */
    char words[400]; /* what the program said before the result */
    bool dumped;
};

static void fail(const char *name, const char *what, const char *detail)
{
    fprintf(stderr, "FAIL %s %s: %s %s\n", profile, name, what, detail);
    failures++;
}

/* One message of the program; true when it is the last. */
static bool hear(int channel, struct sandbox_child *child, struct outcome *out)
{
    char text[400];
    ssize_t n = recv(channel, text, sizeof text - 1, MSG_DONTWAIT);
    if (n <= 0)
        return n == 0;
    text[n] = 0;
    if (strcmp(text, "ready") == 0) {
        struct clan_error err = CLAN_ERROR_INIT;
        if (sandbox_readback(child, profile, &err) != CLAN_OK)
            fail("readback", err.what, err.why);
        send(channel, "g", 1, MSG_NOSIGNAL);
    } else if (sscanf(text, "errno %d", &out->result) != 1) {
        snprintf(out->words, sizeof out->words, "%s", text);
    }
    return false;
}

static void watch(
    struct sandbox_child *child, int channel, bool loaded_at_ready, struct outcome *out)
{
    struct pollfd fds[3] = {{.fd = channel, .events = POLLIN},
        {.fd = child->notify_fd, .events = POLLIN}, {.fd = child->pidfd, .events = POLLIN}};
    for (;;) {
        if (poll(fds, 3, WAIT_MS) <= 0) {
            fail("watch", "no answer in time", out->said);
            kill(child->pid, SIGKILL);
            return;
        }
        if (fds[0].revents && hear(channel, child, out))
            fds[0].fd = -1;
        else if (fds[0].revents)
            child->loaded = loaded_at_ready;
        if (fds[1].revents & POLLIN) {
            char text[256];
            size_t n = strlen(out->said);
            sandbox_notification(child, text, sizeof text);
            if (text[0])
                snprintf(out->said + n, sizeof out->said - n, "%s\n", text);
        } else if (fds[1].revents) {
            fds[1].fd = -1;
        }
        if (fds[2].revents && fds[0].fd < 0)
            return;
    }
}

static clan_status spawn(struct sandbox_spec *spec, const char *name, int *ret_channel,
    struct sandbox_child *ret_child, struct clan_error *err)
{
    static char number[16];
    int pair[2];
    char *argv[] = {(char *)(uintptr_t) "attempt", (char *)(uintptr_t)name, number, NULL};
    char *envp[] = {NULL};
    snprintf(number, sizeof number, "%d", (int)victim);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        abort();
    struct sandbox_fd fds[] = {{pair[1], 3}, {plugin_fd, 5}, {state_fd, 6}};
    struct sandbox_bind binds[] = {{state_fd, "/state", true, false}};
    spec->profile = profile;
    spec->argv = argv;
    spec->envp = envp;
    spec->uid = spec->gid = TEST_UID;
    if (!spec->program)
        spec->program = program;
    if (!spec->fds) {
        spec->fds = fds;
        spec->fd_count = 3;
    }
    if (!spec->binds) {
        spec->binds = binds;
        spec->bind_count = 1;
    }
    clan_status st = sandbox_spawn(spec, ret_child, err);
    close(pair[1]);
    *ret_channel = pair[0];
    return st;
}

static void run(const char *name, bool loaded, struct outcome *out)
{
    struct sandbox_spec spec = {.cgroup_fd = -1};
    struct sandbox_child child;
    struct clan_error err = CLAN_ERROR_INIT;
    int channel, status = 0;
    memset(out, 0, sizeof *out);
    out->result = SAME;
    if (spawn(&spec, name, &channel, &child, &err) != CLAN_OK) {
        fail(name, err.what, err.why);
        close(channel);
        return;
    }
    watch(&child, channel, loaded, out);
    waitpid(child.pid, &status, 0);
    if (WIFSIGNALED(status)) {
        out->result = -WTERMSIG(status);
        out->dumped = WCOREDUMP(status);
    }
    close(channel);
    close(child.pidfd);
    if (child.notify_fd >= 0)
        close(child.notify_fd);
}

static void test_attempts(const struct expectation *list, size_t count, const char *only)
{
    for (size_t i = 0; i < count; i++) {
        const struct expectation *e = &list[i];
        struct outcome out;
        int want = notified ? e->notified : e->quiet;
        const char *text = notified ? e->text : NULL;
        if (only && strcmp(only, e->name) != 0)
            continue;
        if (strcmp(profile, "host-net") == 0 && e->net != SAME) {
            want = e->net;
            text = NULL;
        }
        run(e->name, true, &out);
        char detail[600];
        snprintf(detail, sizeof detail, "got %d, expected %d; %s", out.result, want, out.said);
        if (out.result != want || out.dumped)
            fail(e->name, "wrong outcome:", detail);
        if (text ? !strstr(out.said, text) : out.said[0] != 0)
            fail(e->name, "wrong words:", detail);
    }
}

/* The plugin comes as the file itself, then as a sealed copy. */
static void test_plugin(const char *how)
{
    static const char *const named[] = {"openat /usr/lib/evil.so refused", "socket AF_INET refused",
        "socket AF_UNIX refused", "vfork refused", "mmap of executable memory refused"};
    struct outcome out;
    run("load_plugin", false, &out);
    /* not loaded yet: reading goes on to the root, which has no such file */
    if (out.result != 0 || strcmp(out.words, "shadow 2 make 13 net 1 unix 1 fork 1 code 1") != 0)
        fail(how, "the plugin was not held:", out.words);
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        if (!strstr(out.said, named[i]))
            fail(how, "not named:", named[i]);
}

static void seal_plugin(void)
{
    struct stat st;
    int copy = memfd_create("plugin", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    off_t at = 0;
    if (copy < 0 || fstat(plugin_fd, &st) != 0 ||
        sendfile(copy, plugin_fd, &at, (size_t)st.st_size) != st.st_size ||
        fcntl(copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        fail("sealed copy", "cannot make it", strerror(errno));
    close(plugin_fd);
    plugin_fd = copy;
}

static void expect_step(const char *name, struct sandbox_spec *spec, const char *words)
{
    struct sandbox_child child;
    struct clan_error err = CLAN_ERROR_INIT;
    int channel;
    spec->cgroup_fd = spec->cgroup_fd ? spec->cgroup_fd : -1;
    clan_status st = spawn(spec, "wait", &channel, &child, &err);
    close(channel);
    if (st == CLAN_OK || !strstr(err.what, words))
        fail(name, "the step is not named:", err.what);
    if (waitpid(-1, NULL, WNOHANG) > 0)
        fail(name, "a dead child", "was left");
}

static void test_steps(void)
{
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct sandbox_fd outside = {root, 6};
    struct sandbox_bind closed = {999, "/state", false, false};
    struct sandbox_bind both = {state_fd, "/state", true, true};
    expect_step("directory", &(struct sandbox_spec){.fds = &outside, .fd_count = 1},
        "sandbox step descriptors failed");
    expect_step("bind", &(struct sandbox_spec){.binds = &closed, .bind_count = 1},
        "sandbox step binds failed");
    expect_step("writable and executable", &(struct sandbox_spec){.binds = &both, .bind_count = 1},
        "sandbox step binds failed");
    expect_step("cgroup", &(struct sandbox_spec){.cgroup_fd = root}, "sandbox step cgroup failed");
    expect_step(
        "no program", &(struct sandbox_spec){.program = "/etc/passwd"}, "sandbox step exec failed");
    expect_step(
        "missing program", &(struct sandbox_spec){.program = "/no/such"}, "cannot open /no/such");
    close(root);
}

/* A container that listens already: refused by name, or without notifications when the owner said
 * so. */
static void test_weaker(void)
{
    struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {1, &pass};
    int status = 1, channel;
    pid_t pid = fork();
    if (pid == 0) {
        struct sandbox_spec spec = {.cgroup_fd = -1},
                            weaker = {.cgroup_fd = -1, .weaker = SANDBOX_WEAKER_NOTIFY};
        struct sandbox_child child;
        struct clan_error err = CLAN_ERROR_INIT;
        failures = 0;
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                &filter) < 0)
            fail("weaker", "no listener", strerror(errno));
        expect_step("listener", &spec, "sandbox step seccomp failed");
        if (spawn(&weaker, "open_shadow", &channel, &child, &err) != CLAN_OK ||
            child.notify_fd >= 0)
            fail("weaker", "not started:", err.what);
        struct outcome out = {.result = SAME};
        watch(&child, channel, true, &out);
        if (out.result != ENOENT)
            fail("weaker", "it saw", "/etc/shadow");
        _exit(failures != 0);
    }
    waitpid(pid, &status, 0);
    failures += status != 0;
}

/* A group of its own: joined before exec, and its kill ends the child. */
static void test_cgroup(void)
{
    char dir[64];
    snprintf(dir, sizeof dir, "/sys/fs/cgroup/unified/clan-test-%s", profile);
    if (access("/sys/fs/cgroup/unified", F_OK) != 0)
        snprintf(dir, sizeof dir, "/sys/fs/cgroup/clan-test-%s", profile);
    if (mkdir(dir, 0755) != 0) {
        printf("cgroup v2 is not writable here: not tested\n");
        return;
    }
    struct sandbox_spec spec = {.cgroup_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    struct sandbox_child child;
    struct clan_error err = CLAN_ERROR_INIT;
    char text[64] = "";
    int channel, status = 0;
    if (spawn(&spec, "wait", &channel, &child, &err) != CLAN_OK) {
        fail("cgroup", err.what, err.why);
    } else {
        int fd = openat(spec.cgroup_fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "1", 1) != 1 || waitpid(child.pid, &status, 0) != child.pid)
            fail("cgroup", "cannot be killed", strerror(errno));
        close(fd);
        sandbox_exit_text(status, text, sizeof text);
        if (strcmp(text, "killed by signal 9 (killed)") != 0)
            fail("cgroup", "ended otherwise:", text);
    }
    close(channel);
    close(spec.cgroup_fd);
    for (int i = 0; rmdir(dir) != 0 && errno == EBUSY && i < 100; i++)
        poll(NULL, 0, 20);
}

static void victim_main(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (setresgid(TEST_UID, TEST_UID, TEST_UID) != 0 ||
        setresuid(TEST_UID, TEST_UID, TEST_UID) != 0)
        _exit(1);
    for (;;)
        pause();
}

static int all(const char *only)
{
    char dir[] = "/tmp/clan-sandbox-XXXXXX";
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("proc", "/proc", "proc", 0, NULL) != 0 || !mkdtemp(dir) ||
        chown(dir, TEST_UID, TEST_UID) != 0)
        return 1;
    state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    plugin_fd = open(plugin, O_RDONLY | O_CLOEXEC);
    victim = fork();
    if (victim == 0)
        victim_main();
    /* descriptors that no one named, inheritable, below and above every limit */
    if (dup2(state_fd, 40) < 0 || dup2(state_fd, 200) < 0 || dup2(state_fd, 9000) < 0)
        fail("runner", "cannot make descriptors:", strerror(errno));
    test_attempts(expectations, sizeof expectations / sizeof expectations[0], only);
    if (strcmp(profile, "link") == 0)
        test_attempts(
            link_expectations, sizeof link_expectations / sizeof link_expectations[0], only);
    if (!only) {
        test_steps();
        test_cgroup();
    }
    if (notified && !only) {
        test_plugin("plugin file");
        test_weaker();
        seal_plugin();
        test_plugin("sealed plugin");
    }
    if (waitpid(victim, NULL, WNOHANG) != 0)
        fail("victim", "another process", "was ended");
    kill(victim, SIGKILL);
    static const char *const left[] = {"file", "file2", "code", "code2"};
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
        unlinkat(state_fd, left[i], 0);
    rmdir(dir);
    if (failures == 0)
        printf("%s: every attempt had its expected end\n", profile);
    return failures != 0;
}

/* runner PROFILE ATTEMPT PLUGIN [ONE]; in namespaces of its own */
int main(int argc, char **argv)
{
    struct clan_error err = CLAN_ERROR_INIT;
    int status;
    if (argc < 4)
        return 2;
    profile = argv[1];
    program = argv[2];
    plugin = argv[3];
    notified = strncmp(profile, "host", 4) == 0;
#ifdef CLAN_SANITIZE
    printf("SKIP: a sanitizer build has no seccomp and no Landlock\n");
    return SKIP;
#endif
    if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) != 0) {
        printf("SKIP: needs root\n");
        return SKIP;
    }
    if (kernel_probe(0, &err) != CLAN_OK) {
        fprintf(stderr, "%s: %s\n", err.what, err.why);
        return 1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        exit(all(argc > 4 ? argv[4] : NULL));
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
