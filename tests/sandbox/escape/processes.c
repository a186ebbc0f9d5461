/* Attempts on other processes, on users and namespaces, and on memory made executable. */
#include "attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The parent is the warden; signal 0 asks whether one could be sent. */
static int trace(void)
{
    int r = result(ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
    if (r == 0)
        ptrace(PTRACE_DETACH, getppid(), NULL, NULL);
    return r;
}
static int read_memory(void)
{
    char byte;
    struct iovec v = {&byte, 1};
    return result(syscall(SYS_process_vm_readv, getppid(), &v, 1, &v, 1, 0));
}
static int write_memory(void)
{
    char byte = 0;
    struct iovec v = {&byte, 1}, none = {NULL, 0};
    return result(syscall(SYS_process_vm_writev, getppid(), &v, 1, &none, 1, 0));
}
static int signal_parent(void)
{
    return result(kill(getppid(), 0));
}
static int signal_all(void)
{
    return result(kill(-1, 0));
}
static int signal_thread(void)
{
    return result(syscall(SYS_tgkill, getppid(), getppid(), 0));
}
static int signal_any_thread(void)
{
    return result(syscall(SYS_tkill, getppid(), 0));
}
static int signal_queue(void)
{
    siginfo_t info = {.si_code = SI_QUEUE};
    return result(syscall(SYS_rt_sigqueueinfo, getppid(), 0, &info));
}
static int open_process(void)
{
    return result(syscall(SYS_pidfd_open, getppid(), 0));
}
static int steal_descriptor(void)
{
    int pidfd = (int)syscall(SYS_pidfd_open, getppid(), 0);
    return result(syscall(SYS_pidfd_getfd, pidfd, 0, 0));
}
static int signal_process(void)
{
    int pidfd = (int)syscall(SYS_pidfd_open, getppid(), 0);
    return result(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0));
}
static int compare_process(void)
{
    return result(syscall(SYS_kcmp, getppid(), getppid(), 0, 0, 0));
}
static int priority_of_other(void)
{
    return result(setpriority(PRIO_PROCESS, (id_t)getppid(), 0));
}
static int scheduler_of_other(void)
{
    struct sched_param p = {0};
    return result(sched_setscheduler(getppid(), SCHED_OTHER, &p));
}
static int processors_of_other(void)
{
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    return result(sched_setaffinity(getppid(), sizeof set, &set));
}
static int limits_of_other(void)
{
    struct rlimit old;
    return result(syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, &old));
}
static int raise_limit(void)
{
    struct rlimit more;
    getrlimit(RLIMIT_CORE, &more);
    return result(setrlimit(RLIMIT_CORE, &more));
}
static int child(long pid)
{
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid((pid_t)pid, NULL, 0);
    return result(pid);
}
static int by_fork(void)
{
    return child(fork());
}
static int by_old_fork(void)
{
    return child(syscall(SYS_fork));
}
static int new_user_namespace(void)
{
    return child(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
}
static int by_clone3(void)
{
    uint64_t args[11] = {[4] = SIGCHLD};
    return child(syscall(SYS_clone3, args, sizeof args));
}
static int unshare_user(void)
{
    return result(unshare(CLONE_NEWUSER));
}
static int unshare_network(void)
{
    return result(unshare(CLONE_NEWNET));
}
static int join_namespace(void)
{
    return result(setns((int)syscall(SYS_pidfd_open, getppid(), 0), CLONE_NEWUTS));
}
static int shell(void)
{
    char *argv[] = {
        (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t) ":", NULL};
    int status = 1;
    pid_t pid = fork(); /* refused in the sandbox: then in place */
    if (pid <= 0) {
        execve("/bin/sh", argv, argv + 3);
        status = errno;
    }
    if (pid == 0)
        _exit(status);
    if (pid > 0 && waitpid(pid, &status, 0) == pid)
        status = WEXITSTATUS(status);
    return status;
}
static int own_binary(void)
{
    char *argv[] = {(char *)(uintptr_t) "x", NULL};
    return result(syscall(SYS_execveat, 5, "", argv, argv + 1, AT_EMPTY_PATH));
}
static int map(int prot, int flags, int fd)
{
    void *p = mmap(NULL, 4096, prot, flags, fd, 0);
    if (p != MAP_FAILED)
        munmap(p, 4096);
    return p == MAP_FAILED ? errno : 0;
}
static int map_write_exec(void)
{
    return map(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}
static int map_exec(void)
{
    return map(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}
static int map_own_file(void)
{
    int fd = open("/state/code", O_RDWR | O_CREAT | O_CLOEXEC, 0700);
    if (fd < 0 || write(fd, "\xc3", 1) != 1)
        return errno;
    int r = map(PROT_READ | PROT_EXEC, MAP_PRIVATE, fd);
    close(fd);
    return r;
}
static int map_shared(void)
{
    return map(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
}
static int protect(int call)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int r = result(syscall(call, p, 4096, PROT_READ | PROT_EXEC, -1));
    munmap(p, 4096);
    return r;
}
static int protect_exec(void)
{
    return protect(SYS_mprotect);
}
static int protect_key(void)
{
    return protect(SYS_pkey_mprotect);
}
static int memory_file(void)
{
    return result(memfd_create("x", MFD_CLOEXEC));
}
static int secret_file(void)
{
    return result(syscall(SYS_memfd_secret, 0));
}
static int read_implies_exec(void)
{
    return result(syscall(SYS_personality, 0x0400000 | 0xffffffff));
}
static int descriptor_table(void)
{
    char table[16] = {0};
    return result(syscall(SYS_modify_ldt, 0, table, sizeof table));
}
static int shared_segment(void)
{
    int id = (int)syscall(SYS_shmget, IPC_PRIVATE, 4096, 0600);
    int r = result(id);
    if (id >= 0)
        shmctl(id, IPC_RMID, NULL);
    return r;
}
static int shared_attach(void)
{
    return result(syscall(SYS_shmat, 0, NULL, 0));
}
static int faults(void)
{
    return result(syscall(SYS_userfaultfd, O_CLOEXEC));
}
static int user_root(void)
{
    return result(syscall(SYS_setuid, 0));
}
static int group_root(void)
{
    return result(syscall(SYS_setresgid, 0, 0, 0));
}
static int groups_root(void)
{
    gid_t none = 0;
    return result(syscall(SYS_setgroups, 1, &none));
}
static int capabilities(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    syscall(SYS_capget, &head, data);
    return result(syscall(SYS_capset, &head, data));
}
static int ambient(void)
{
    return result(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
}
static int dumpable(void)
{
    return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}
static int own_filter(void)
{
    return result(syscall(SYS_seccomp, 2 /* GET_ACTION_AVAIL */, 0, &(uint32_t){0x7fff0000}));
}

const struct attempt attempts_processes[] = {{"ptrace", "ptrace of ", trace},
    {"process_vm_readv", "process_vm_readv refused", read_memory},
    {"process_vm_writev", "process_vm_writev refused", write_memory},
    {"signal to the warden", "kill of 1 refused", signal_parent},
    {"signal to all", "kill of -1 refused", signal_all},
    {"tgkill", "tgkill of 1 refused", signal_thread}, {"tkill", "tkill refused", signal_any_thread},
    {"rt_sigqueueinfo", "rt_sigqueueinfo refused", signal_queue},
    {"pidfd_open", "pidfd_open refused", open_process},
    {"pidfd_getfd", "pidfd_getfd refused", steal_descriptor},
    {"pidfd_send_signal", "pidfd_send_signal refused", signal_process},
    {"kcmp", "kcmp refused", compare_process},
    {"priority of another", "setpriority refused", priority_of_other},
    {"scheduler of another", "sched_setscheduler refused", scheduler_of_other},
    {"processors of another", "sched_setaffinity refused", processors_of_other},
    {"limits of another", "prlimit64 refused", limits_of_other},
    {"limits", "prlimit64 refused", raise_limit}, {"fork", "clone refused", by_fork},
    {"fork, the old call", "fork refused", by_old_fork},
    {"clone with a new user", "clone refused", new_user_namespace}, {"clone3", NULL, by_clone3},
    {"unshare user", "unshare refused", unshare_user},
    {"unshare network", "unshare refused", unshare_network},
    {"setns", "setns refused", join_namespace}, {"a shell", "execve /bin/sh refused", shell},
    {"own file as a program", "execveat", own_binary},
    {"memory to write and execute", "mmap of executable memory refused", map_write_exec},
    {"executable memory", "mmap of executable memory refused", map_exec},
    {"own file as code", "mmap of executable memory refused", map_own_file},
    {"shared memory beside the limit", "mmap of shared memory refused", map_shared},
    {"mprotect", "mprotect of executable memory refused", protect_exec},
    {"pkey_mprotect", "pkey_mprotect refused", protect_key},
    {"memfd_create", "memfd_create refused", memory_file},
    {"memfd_secret", "memfd_secret refused", secret_file},
    {"personality", "personality refused", read_implies_exec},
    {"modify_ldt", "modify_ldt refused", descriptor_table},
    {"shmget", "shmget refused", shared_segment}, {"shmat", "shmat refused", shared_attach},
    {"userfaultfd", "userfaultfd refused", faults}, {"setuid", "setuid refused", user_root},
    {"setresgid", "setresgid refused", group_root}, {"setgroups", "setgroups refused", groups_root},
    {"capset", "capset refused", capabilities}, {"ambient capabilities", "prctl refused", ambient},
    {"dumpable", "prctl refused", dumpable}, {"seccomp", "seccomp refused", own_filter}, {0}};
