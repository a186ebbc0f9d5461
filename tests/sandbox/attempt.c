/* Runs inside a sandbox: tries one forbidden (or needed) thing, tells the errno on descriptor 3. */
#include "sandbox/sandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t victim;

static int result(long r)
{
    return r < 0 ? errno : 0;
}

static int try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return result(fd);
}

static int open_shadow(void)
{
    return try_open("/etc/shadow", O_RDONLY);
}
static int open_core_state(void)
{
    return try_open("/var/lib/clan/seed", O_RDONLY);
}
static int open_above(void)
{
    return result(openat(6, "../../../../etc/shadow", O_RDONLY));
}
static int open_device(void)
{
    return try_open("/dev/vda", O_RDONLY);
}
static int open_own_memory(void)
{
    return try_open("/proc/self/mem", O_RDWR);
}
static int open_library_dir(void)
{
    return try_open("/usr/lib", O_RDONLY | O_DIRECTORY);
}
static int open_root_dir(void)
{
    return try_open("/", O_RDONLY | O_DIRECTORY);
}
static int write_usr(void)
{
    return try_open("/usr/lib/clan-was-here", O_WRONLY | O_CREAT);
}
static int write_root(void)
{
    return try_open("/clan-was-here", O_WRONLY | O_CREAT);
}
static int write_state(void)
{
    int e = try_open("/state/file", O_RDWR | O_CREAT);
    return e ? e : result(openat(6, "file2", O_RDWR | O_CREAT, 0600));
}
static int map_exec_of(int fd)
{
    if (fd < 0 || write(fd, "\xc3", 1) != 1)
        return errno;
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    return p == MAP_FAILED ? errno : 0;
}
static int map_state(void)
{
    return map_exec_of(open("/state/code", O_RDWR | O_CREAT, 0700));
}
static int map_state_fd(void)
{
    return map_exec_of(openat(6, "code2", O_RDWR | O_CREAT, 0700));
}
static int exec_sh(void)
{
    char *argv[] = {(char *)(uintptr_t) "sh", NULL};
    return result(execve("/bin/sh", argv, argv + 1));
}
static int exec_loader(void)
{
    char *argv[] = {(char *)(uintptr_t) "ld", NULL};
    return result(execve("/lib64/ld-linux-x86-64.so.2", argv, argv + 1));
}
static int exec_again(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    int fd = 5, number = (int)files.rlim_max;
    char *argv[] = {(char *)(uintptr_t) "again", NULL};
    if (dup2(fd, number) >= 0 || fcntl(fd, F_DUPFD, number) >= 0)
        return 0;
    return result(syscall(SYS_execveat, number, "", argv, argv + 1, AT_EMPTY_PATH));
}
static int memfd(void)
{
    return result(memfd_create("x", 0));
}
static int sock(int family, int type)
{
    return result(socket(family, type, 0));
}
static int socket_inet(void)
{
    return sock(AF_INET, SOCK_STREAM | SOCK_CLOEXEC);
}
static int socket_inet6(void)
{
    return sock(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK);
}
static int socket_udp(void)
{
    return sock(AF_INET, SOCK_DGRAM);
}
static int socket_raw(void)
{
    return sock(AF_INET, SOCK_RAW);
}
static int socket_unix(void)
{
    return sock(AF_UNIX, SOCK_STREAM);
}
static int socket_netlink(void)
{
    return sock(AF_NETLINK, SOCK_RAW);
}
static int socket_packet(void)
{
    return sock(AF_PACKET, SOCK_RAW);
}
static const struct sockaddr_in there = {
    .sin_family = AF_INET, .sin_port = 0x0100, .sin_addr = {0x0100007f}};
static int try_connect(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return result(connect(fd < 0 ? 0 : fd, (const struct sockaddr *)&there, sizeof there));
}
static int try_bind(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return result(bind(fd < 0 ? 0 : fd, (const struct sockaddr *)&there, sizeof there));
}
static int try_listen(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return result(listen(fd < 0 ? 0 : fd, 1));
}
static int try_socketpair(void)
{
    int pair[2];
    return result(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}
static int attach_filter(void)
{
    char prog[16] = {0};
    return result(setsockopt(3, SOL_SOCKET, SO_ATTACH_FILTER, prog, sizeof prog));
}
static int try_ptrace(void)
{
    return result(ptrace(PTRACE_ATTACH, victim, NULL, NULL));
}
static int read_other(void)
{
    char byte;
    struct iovec v = {&byte, 1};
    return result(syscall(SYS_process_vm_readv, victim, &v, 1, &v, 1, 0));
}
static int kill_other(void)
{
    return result(kill(victim, SIGTERM));
}
static int kill_all(void)
{
    return result(kill(-1, SIGTERM));
}
static int kill_self(void)
{
    return result(kill(getpid(), 0));
}
static int try_mount(void)
{
    return result(mount("none", "/state", "tmpfs", 0, NULL));
}
static int unshare_user(void)
{
    return result(unshare(CLONE_NEWUSER));
}
static int try_setns(void)
{
    return result(setns(3, 0));
}
static int proc_other(void)
{
    char name[32];
    struct stat st;
    snprintf(name, sizeof name, "/proc/%d", (int)victim);
    return result(stat(name, &st));
}
static int proc_system(void)
{
    struct stat st;
    return result(stat("/proc/kallsyms", &st));
}
static int mmap_exec(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? errno : 0;
}
static int mmap_write_exec(void)
{
    int fd = open("/proc/self/exe", O_RDONLY);
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, fd < 0 ? 5 : fd, 0);
    return p == MAP_FAILED ? errno : 0;
}
static int mprotect_exec(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}
static int pkey_exec(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return result(syscall(SYS_pkey_mprotect, p, 4096, PROT_READ | PROT_EXEC, -1));
}
static int read_implies_exec(void)
{
    return result(syscall(SYS_personality, 0x0400000));
}
static int try_shmat(void)
{
    return result(syscall(SYS_shmat, 0, NULL, 0));
}
static int io_uring(void)
{
    char params[256] = {0};
    return result(syscall(425, 8, params));
}
static int try_keyctl(void)
{
    return result(syscall(SYS_keyctl, 0, -3, 0));
}
static int try_bpf(void)
{
    char attr[128] = {0};
    return result(syscall(SYS_bpf, 0, attr, sizeof attr));
}
static int try_userfaultfd(void)
{
    return result(syscall(SYS_userfaultfd, 1));
}
static int perf_event(void)
{
    char attr[128] = {0};
    return result(syscall(SYS_perf_event_open, attr, 0, -1, -1, 0));
}
static int push_input(void)
{
    return result(ioctl(0, TIOCSTI, "x"));
}
static int try_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return result(pid);
}
static int try_clone3(void)
{
    char args[88] = {0};
    return result(syscall(435, args, sizeof args));
}
static int thread_new_user(void)
{
    return result(
        syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWUSER, 0, 0, 0, 0));
}
static void *thread_main(void *arg)
{
    return arg;
}
static int thread(void)
{
    pthread_t t;
    int e = pthread_create(&t, NULL, thread_main, NULL);
    return e ? e : pthread_join(t, NULL);
}
static int set_clock(void)
{
    struct timespec ts = {0, 0};
    return result(clock_settime(CLOCK_REALTIME, &ts));
}
static int try_mknod(void)
{
    return result(mknod("/state/dev", S_IFBLK | 0600, 0xfe00));
}
static int become_root(void)
{
    return result(syscall(SYS_setuid, 0));
}
static int raise_limit(void)
{
    struct rlimit more = {1 << 20, 1 << 20};
    return result(setrlimit(RLIMIT_NOFILE, &more));
}
static int core_limit(void)
{
    struct rlimit r;
    return getrlimit(RLIMIT_CORE, &r) == 0 && r.rlim_max <= 1 ? 0 : EINVAL;
}
static int crash(void)
{
    volatile char *volatile nowhere =
        NULL; /* raise() would not end the first process of a PID namespace */
    return *nowhere;
}
static int extra_descriptors(void)
{
    for (int fd = 0; fd < 20000; fd++) /* 3 channel, 5 plugin, 6 state */
        if (fd > 3 && fd != 5 && fd != 6 && fcntl(fd, F_GETFD) >= 0)
            return fd;
    return 0;
}
static int terminal(void)
{
    return result(open("/dev/tty", O_RDWR));
}
static int x32_call(void)
{
    return result(syscall(0x40000000 | 39));
}
static int unknown_call(void)
{
    return result(syscall(SYS_getpriority, 0, 0));
}
static int load_plugin(void)
{
    void *so = dlopen("/proc/self/fd/5", RTLD_NOW | RTLD_LOCAL);
    if (!so)
        return dprintf(3, "%s", dlerror()) > 0 ? ELIBBAD : 0;
    const char *(*words)(void);
    *(void **)&words = dlsym(so, "evil_words");
    return words && dprintf(3, "%s", words()) > 0 ? 0 : ELIBBAD;
}

/* clan-link after it closed its last filter, with a thread that was there before */
static int thread_opens;
static void *early_thread(void *arg)
{
    char go;
    int *fds = arg;
    if (read(fds[0], &go, 1) == 1 && thread_opens)
        open("/proc/self/fd", O_RDONLY);
    if (write(fds[3], "d", 1) == 1) /* then waits for the end of the process */
        while (read(fds[0], &go, 1) >= 0)
            continue;
    return NULL;
}
static int closed(int pipe_fds[4], pthread_t *ret_thread)
{
    struct clan_error err = CLAN_ERROR_INIT;
    if (pipe(pipe_fds) != 0 || pipe(pipe_fds + 2) != 0 ||
        pthread_create(ret_thread, NULL, early_thread, pipe_fds) != 0)
        return EAGAIN;
    return sandbox_close_link(&err) == CLAN_OK ? 0 : ENOSYS;
}
static int link_works(void)
{
    static int fds[4];
    pthread_t t;
    int e = closed(fds, &t);
    struct stat st;
    struct timeval limit = {1, 0};
    void *block = malloc(8 << 20);
    if (e || !block)
        return e ? e : ENOMEM;
    memset(block, 1, 8 << 20);
    free(block);
    void *page = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || mprotect(page, 4096, PROT_READ | PROT_WRITE) != 0 ||
        mlock(page, 4096) != 0)
        return errno;
    if (fstat(3, &st) != 0 || setsockopt(3, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0)
        return errno;
    if (send(fds[1], "", 0, MSG_NOSIGNAL) >= 0 || errno != ENOTSOCK || write(fds[1], "g", 1) != 1)
        return errno;
    return read(fds[2], page, 1) == 1 ? 0 : EPIPE;
}
static int link_opens(void)
{
    static int fds[4];
    pthread_t t;
    return closed(fds, &t) ? EAGAIN : open_library_dir();
}
static int link_socket(void)
{
    static int fds[4];
    pthread_t t;
    return closed(fds, &t) ? EAGAIN : socket_unix();
}
static int link_mprotect_exec(void)
{
    static int fds[4];
    pthread_t t;
    return closed(fds, &t) ? EAGAIN : mprotect_exec();
}
static int link_ioctl(void)
{
    static int fds[4];
    int n;
    pthread_t t;
    return closed(fds, &t) ? EAGAIN : result(ioctl(3, FIONREAD, &n));
}
static int link_new_thread(void)
{
    static int fds[4];
    pthread_t t;
    return closed(fds, &t) ? EAGAIN : thread();
}
static int link_other_thread(void)
{
    static int fds[4];
    pthread_t t;
    thread_opens = 1;
    char done;
    if (closed(fds, &t) != 0 || write(fds[1], "g", 1) != 1)
        return EAGAIN;
    return read(fds[2], &done, 1) == 1 ? 0 : EPIPE;
}

static const struct {
    const char *name;
    int (*fn)(void);
} attempts[] = {
#define A(fn)                                                                                      \
    {                                                                                              \
#fn, fn                                                                                    \
    }
    A(open_shadow),
    A(open_core_state),
    A(open_above),
    A(open_device),
    A(open_own_memory),
    A(open_library_dir),
    A(open_root_dir),
    A(write_usr),
    A(write_root),
    A(write_state),
    A(map_state),
    A(map_state_fd),
    A(exec_sh),
    A(exec_loader),
    A(exec_again),
    A(memfd),
    A(socket_inet),
    A(socket_inet6),
    A(socket_udp),
    A(socket_raw),
    A(socket_unix),
    A(socket_netlink),
    A(socket_packet),
    A(try_connect),
    A(try_bind),
    A(try_listen),
    A(try_socketpair),
    A(attach_filter),
    A(try_ptrace),
    A(read_other),
    A(kill_other),
    A(kill_all),
    A(kill_self),
    A(try_mount),
    A(unshare_user),
    A(try_setns),
    A(proc_other),
    A(proc_system),
    A(mmap_exec),
    A(mmap_write_exec),
    A(mprotect_exec),
    A(pkey_exec),
    A(read_implies_exec),
    A(try_shmat),
    A(io_uring),
    A(try_keyctl),
    A(try_bpf),
    A(try_userfaultfd),
    A(perf_event),
    A(push_input),
    A(try_fork),
    A(try_clone3),
    A(thread_new_user),
    A(thread),
    A(set_clock),
    A(try_mknod),
    A(become_root),
    A(raise_limit),
    A(core_limit),
    A(crash),
    A(extra_descriptors),
    A(terminal),
    A(x32_call),
    A(unknown_call),
    A(load_plugin),
    A(link_works),
    A(link_opens),
    A(link_socket),
    A(link_mprotect_exec),
    A(link_ioctl),
    A(link_new_thread),
    A(link_other_thread),
};

/* attempt NAME VICTIM: says "ready", waits for the word to start, tries, says "errno N" */
int main(int argc, char **argv)
{
    char go, text[32];
    victim = argc > 2 ? atoi(argv[2]) : 0;
    if (argc < 2 || write(3, "ready", 5) != 5 || read(3, &go, 1) != 1)
        return 1;
    if (strcmp(argv[1], "wait") == 0)
        return read(3, &go, 1) == 1 ? 0 : 1;
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++)
        if (strcmp(attempts[i].name, argv[1]) == 0) {
            int n = snprintf(text, sizeof text, "errno %d", attempts[i].fn());
            return write(3, text, (size_t)n) == n ? 0 : 1; /* not dprintf: it seeks */
        }
    return 2;
}
