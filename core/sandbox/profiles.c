/* Policy of the sandbox as data: profiles, their system calls, programs. */
#include "sandbox/profiles.h"

#include <string.h>

/* A process of glibc, its allocator, threads, clocks and event loop. */
static const char base_calls[] =
    "read write readv writev pread64 pwrite64 lseek close close_range dup dup2 dup3 fcntl pipe "
    "pipe2 "
    "fstat newfstatat statx fstatfs brk munmap mremap madvise mlock munlock futex set_robust_list "
    "rseq set_tid_address arch_prctl membarrier getpid gettid getppid getpgrp getuid geteuid "
    "getgid "
    "getegid getgroups getrandom getcpu clock_gettime clock_getres clock_nanosleep nanosleep time "
    "gettimeofday times getrusage sysinfo uname sched_yield sched_getaffinity rt_sigaction umask "
    "rt_sigprocmask rt_sigreturn rt_sigtimedwait sigaltstack restart_syscall pause setitimer exit "
    "exit_group epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 poll "
    "ppoll "
    "select pselect6 eventfd eventfd2 timerfd_create timerfd_settime signalfd4 getrlimit";
/* Sockets that were handed over. */
static const char socket_calls[] =
    "recvmsg sendmsg recvfrom sendto recvmmsg sendmmsg accept accept4 shutdown getsockopt "
    "getsockname getpeername";
/* Opening by name: ld.so needs it; the root and Landlock say what there is. */
static const char open_calls[] = "open openat";
/* Names without opening, and work on what is open. */
static const char file_calls[] =
    "access faccessat faccessat2 stat lstat readlink readlinkat getcwd chdir fchdir getdents64 "
    "mkdir "
    "mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat "
    "truncate "
    "ftruncate fsync fdatasync sync_file_range fallocate fadvise64 flock fchmod fchmodat chmod "
    "utimensat copy_file_range sendfile splice preadv pwritev preadv2 pwritev2 msync statfs";

const char profile_fatal[] =
    "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd pidfd_send_signal kcmp "
    "mount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount mount_setattr "
    "unshare setns bpf keyctl add_key request_key userfaultfd perf_event_open kexec_load "
    "kexec_file_load init_module finit_module delete_module reboot swapon swapoff acct quotactl "
    "shmget shmat memfd_secret pkey_mprotect execve clock_settime settimeofday adjtimex "
    "personality "
    "clock_adjtime iopl ioperm modify_ldt open_by_handle_at mknod mknodat setuid setgid setreuid "
    "setregid setresuid setresgid setgroups capset sethostname setdomainname vhangup syslog tkill "
    "fanotify_init move_pages migrate_pages rt_sigqueueinfo rt_tgsigqueueinfo";
const char profile_refused[] =
    "socket connect bind listen memfd_create io_uring_setup io_uring_enter io_uring_register fork "
    "vfork chown fchown fchownat lchown setxattr lsetxattr fsetxattr";

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

/* First process of its PID namespace, so LISTEN_PID is known; the warden adds LISTEN_FDS. */
static const struct sandbox_program programs[] = {
    {"lighttpd", "/usr/sbin/lighttpd",
        (const char *const[]){"lighttpd", "-D", "-f", "{state}/lighttpd.conf", NULL},
        (const char *const[]){"PATH=/usr/bin:/bin", "LISTEN_PID=1", NULL}, "program-lighttpd",
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
