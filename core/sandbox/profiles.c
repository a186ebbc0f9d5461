/* Policy of the sandbox as data: profiles, calls, argument conditions, programs. */
#include "sandbox/profiles.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* A process of glibc, its allocator, threads, clocks and event loop. */
static const char base_calls[] =
    "read write readv writev pread64 pwrite64 lseek close close_range dup dup2 dup3 fcntl pipe "
    "pipe2 "
    "fstat newfstatat statx fstatfs brk munmap mremap madvise mlock munlock futex set_robust_list "
    "get_robust_list rseq set_tid_address arch_prctl membarrier getpid gettid getppid getpgrp "
    "getuid "
    "geteuid getgid getegid getgroups getrandom getcpu clock_gettime clock_getres clock_nanosleep "
    "nanosleep gettimeofday time times getrusage sysinfo uname sched_yield sched_getaffinity "
    "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait sigaltstack "
    "restart_syscall pause alarm getitimer setitimer umask exit exit_group epoll_create "
    "epoll_create1 "
    "epoll_ctl epoll_wait epoll_pwait epoll_pwait2 poll ppoll select pselect6 eventfd eventfd2 "
    "timerfd_create timerfd_settime timerfd_gettime signalfd4 getrlimit";
/* Sockets that were handed over. */
static const char socket_calls[] = "recvmsg sendmsg recvfrom sendto recvmmsg sendmmsg accept "
                                   "accept4 shutdown getsockopt getsockname "
                                   "getpeername";
/* Reading by name: ld.so needs it; the root and Landlock say what there is. */
static const char open_calls[] = "open openat";
/* Names without opening, and work on what is open. */
static const char file_calls[] =
    "access faccessat faccessat2 stat lstat readlink readlinkat getcwd chdir fchdir getdents64 "
    "mkdir "
    "mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat "
    "truncate "
    "ftruncate fsync fdatasync sync_file_range fallocate fadvise64 readahead flock fchmod fchmodat "
    "chmod utimensat copy_file_range sendfile splice preadv pwritev preadv2 pwritev2 msync statfs "
    "inotify_init1 inotify_add_watch inotify_rm_watch";

/* In a profile without notifications these end the process. */
const char profile_fatal[] =
    "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd pidfd_send_signal kcmp "
    "mount "
    "umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr "
    "unshare "
    "setns bpf keyctl add_key request_key userfaultfd perf_event_open kexec_load kexec_file_load "
    "init_module finit_module delete_module reboot swapon swapoff acct quotactl shmget shmat "
    "shmctl "
    "memfd_secret pkey_mprotect execve clock_settime settimeofday adjtimex clock_adjtime "
    "personality iopl ioperm modify_ldt open_by_handle_at name_to_handle_at mknod mknodat setuid "
    "setgid "
    "setreuid setregid setresuid setresgid setgroups capset sethostname setdomainname vhangup "
    "syslog "
    "fanotify_init lookup_dcookie move_pages migrate_pages mbind set_mempolicy rt_sigqueueinfo "
    "rt_tgsigqueueinfo tkill setpriority sched_setscheduler ioprio_set landlock_create_ruleset";
const char profile_refused[] = "socket connect bind listen memfd_create io_uring_setup "
                               "io_uring_enter io_uring_register fork vfork "
                               "fchown fchownat chown lchown setxattr lsetxattr fsetxattr seccomp";

static const struct profile profiles[] = {
    {"core", 0, {base_calls, socket_calls, open_calls, file_calls}, 4096, 64, 8192, 512},
    {"link", PROFILE_CLOSES, {base_calls, socket_calls, open_calls}, 4096, 64, 8192, 512},
    {"resolver", 0, {base_calls, socket_calls, open_calls}, 256, 16, 1024, 64},
    {"keeper", 0, {base_calls, socket_calls, open_calls, file_calls}, 1024, 64, 1024, 512},
    {"host", PROFILE_NOTIFY | PROFILE_PLUGIN, {base_calls, socket_calls, file_calls}, 1024, 64,
        1024, 256},
    {"host-net", PROFILE_NOTIFY | PROFILE_PLUGIN | PROFILE_NET,
        {base_calls, socket_calls, file_calls}, 1024, 64, 1024, 256},
    {"program-lighttpd", PROFILE_PIDNS, {base_calls, socket_calls, open_calls, file_calls}, 2048,
        16, 64, 256},
};
#define PROFILE_COUNT (sizeof profiles / sizeof profiles[0])

#define ALL UINT64_MAX
#define NEW_NS                                                                                     \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
        CLONE_NEWNET | CLONE_NEWTIME)
#define SOCK_BITS (~(uint64_t)(SOCK_CLOEXEC | SOCK_NONBLOCK))

/*
 * Allowing rules carry the safety: what no rule allows falls to the profile's default.  The others
 * only choose a better answer, for the kernel ignores argument bits that a comparison would see.
 */
const struct filter_rule filter_rules[] = {
    /* W^X: pages become executable only by mapping a file, and never while writable */
    {"mmap", 0, 0, FILTER_ALLOW, {{PROT_EXEC, 0, 2, 0}}},
    {"mmap", 0, 0, FILTER_ALLOW,
        {{PROT_EXEC | PROT_WRITE, PROT_EXEC, 2, 0}, {MAP_ANONYMOUS, 0, 3, 0}}},
    {"mmap", 0, PROFILE_NOTIFY, FILTER_REFUSE,
        {{PROT_EXEC | PROT_WRITE, PROT_EXEC | PROT_WRITE, 2, 0}}},
    {"mmap", 0, PROFILE_NOTIFY, FILTER_REFUSE,
        {{PROT_EXEC | PROT_WRITE, PROT_EXEC, 2, 0}, {MAP_ANONYMOUS, MAP_ANONYMOUS, 3, 0}}},
    {"mprotect", 0, 0, FILTER_ALLOW, {{PROT_EXEC, 0, 2, 0}}},
    {"mprotect", 0, PROFILE_NOTIFY, FILTER_REFUSE, {{PROT_EXEC, PROT_EXEC, 2, 0}}},
    /* threads; clone3 has its flags in memory, so it is not offered and glibc takes clone */
    {"clone", 0, 0, FILTER_ALLOW, {{CLONE_THREAD | NEW_NS, CLONE_THREAD, 0, 0}}},
    {"clone", 0, PROFILE_NOTIFY, FILTER_REFUSE, {{CLONE_THREAD, 0, 0, 0}}},
    /* to itself only; a PID never changes at exec */
    {"kill", 0, 0, FILTER_ALLOW, {{ALL, 0, 0, FILTER_SELF}}},
    {"tgkill", 0, 0, FILTER_ALLOW, {{ALL, 0, 0, FILTER_SELF}}},
    /* this exec: the number is beyond RLIMIT_NOFILE, so nothing can be put there again */
    {"execveat", 0, 0, FILTER_ALLOW, {{ALL, 0, 0, FILTER_PROGRAM}, {ALL, AT_EMPTY_PATH, 4, 0}}},
    {"prlimit64", 0, 0, FILTER_ALLOW, {{ALL, 0, 0, 0}, {ALL, 0, 2, 0}}}, /* reading its own */
    {"prctl", 0, 0, FILTER_ALLOW, {{ALL, PR_SET_NAME, 0, 0}}},
    {"prctl", 0, 0, FILTER_ALLOW, {{ALL, PR_SET_DUMPABLE, 0, 0}, {ALL, 0, 1, 0}}},
    {"prctl", 0, 0, FILTER_ALLOW, {{ALL, 0x53564d41 /* PR_SET_VMA: names of maps */, 0, 0}}},
    {"prctl", PROFILE_CLOSES, 0, FILTER_ALLOW, {{ALL, PR_SET_NO_NEW_PRIVS, 0, 0}, {ALL, 1, 1, 0}}},
    {"seccomp", PROFILE_CLOSES, 0, FILTER_ALLOW, {{0}}},
    {"ioctl", 0, 0, FILTER_ALLOW, {{ALL, FIONBIO, 1, 0}}},
    {"ioctl", 0, 0, FILTER_ALLOW, {{ALL, FIONREAD, 1, 0}}},
    {"ioctl", 0, 0, FILTER_ALLOW, {{ALL, FIOCLEX, 1, 0}}},
    {"ioctl", 0, 0, FILTER_ALLOW, {{ALL, FIONCLEX, 1, 0}}},
    {"ioctl", 0, PROFILE_NOTIFY, FILTER_KILL, {{ALL, TIOCSTI, 1, 0}}},
    {"socketpair", 0, 0, FILTER_ALLOW, {{ALL, AF_UNIX, 0, 0}}},
    /* SO_ATTACH_FILTER and its kin hand programs to the kernel; the options below 26 do not */
    {"setsockopt", 0, 0, FILTER_ALLOW, {{ALL, IPPROTO_TCP, 1, 0}}},
    {"setsockopt", 0, 0, FILTER_ALLOW, {{ALL, IPPROTO_IPV6, 1, 0}, {~UINT64_C(0x3f), 0, 2, 0}}},
    {"setsockopt", 0, 0, FILTER_ALLOW, {{ALL, IPPROTO_IP, 1, 0}, {~UINT64_C(0x1f), 0, 2, 0}}},
    {"setsockopt", 0, 0, FILTER_ALLOW, {{ALL, SOL_SOCKET, 1, 0}, {~UINT64_C(0x0f), 0, 2, 0}}},
    {"setsockopt", 0, 0, FILTER_ALLOW, {{ALL, SOL_SOCKET, 1, 0}, {~UINT64_C(0x07), 16, 2, 0}}},
    {"setsockopt", 0, 0, FILTER_ALLOW, {{ALL, SOL_SOCKET, 1, 0}, {ALL, SO_MAX_PACING_RATE, 2, 0}}},
    {"socket", PROFILE_NET, 0, FILTER_ALLOW,
        {{ALL, AF_INET, 0, 0}, {SOCK_BITS, SOCK_STREAM, 1, 0}}},
    {"socket", PROFILE_NET, 0, FILTER_ALLOW,
        {{ALL, AF_INET6, 0, 0}, {SOCK_BITS, SOCK_STREAM, 1, 0}}},
    {"connect", PROFILE_NET, 0, FILTER_ALLOW, {{0}}},
};
const unsigned filter_rule_count = sizeof filter_rules / sizeof filter_rules[0];

static const char *const lighttpd_argv[] = {"lighttpd", "-D", "-f", "{state}/lighttpd.conf", NULL};
/* First process of its PID namespace, so LISTEN_PID is known; the warden adds LISTEN_FDS */
static const char *const lighttpd_envp[] = {"PATH=/usr/bin:/bin", "LISTEN_PID=1", NULL};

static const struct sandbox_program programs[] = {
    {"lighttpd", "/usr/sbin/lighttpd", lighttpd_argv, lighttpd_envp, "program-lighttpd",
        "lighttpd lighttpd-mod-webdav"},
};

const struct sandbox_program *sandbox_program_find(const char *profile)
{
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
        if (strcmp(programs[i].profile, profile) == 0)
            return &programs[i];
    return NULL;
}

const struct profile *profile_at(unsigned i)
{
    return i < PROFILE_COUNT ? &profiles[i] : NULL;
}

const struct profile *profile_find(const char *name)
{
    for (unsigned i = 0; i < PROFILE_COUNT; i++)
        if (strcmp(profiles[i].name, name) == 0)
            return &profiles[i];
    return NULL;
}

bool profile_word(const char **list, char ret_word[32])
{
    const char *p = *list + strspn(*list, " ");
    size_t n = strcspn(p, " ");
    if (n == 0 || n >= 32)
        return false;
    memcpy(ret_word, p, n);
    ret_word[n] = 0;
    *list = p + n;
    return true;
}

bool profile_lists(const char *list, const char *name)
{
    char word[32];
    while (profile_word(&list, word))
        if (strcmp(word, name) == 0)
            return true;
    return false;
}
