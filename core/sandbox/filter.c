/* System call filters: the lists of profiles.c and the calls whose arguments decide. */
#include "base/error.h"
#include "sandbox/profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALLOW   SCMP_ACT_ALLOW
#define REFUSE  SCMP_ACT_ERRNO(EPERM)
#define KILL    SCMP_ACT_KILL_PROCESS
#define SELF    (UINT64_MAX - 1) /* stands for the own PID: exec does not change it */
#define PROGRAM (UINT64_MAX - 2) /* stands for the descriptor of the program */
#define NEW_NS                                                                                     \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
        CLONE_NEWNET | CLONE_NEWTIME)
#define BITS(arg, mask, value)                                                                     \
    {                                                                                              \
        arg, SCMP_CMP_MASKED_EQ, mask, value                                                       \
    }
#define IS(arg, value)         BITS(arg, UINT64_MAX, value)
#define STREAM                 BITS(1, ~(uint64_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), SOCK_STREAM)
#define BELOW(arg, power_of_2) BITS(arg, ~(uint64_t)((power_of_2)-1), 0)

struct rule {
    const char *call;
    uint32_t only; /* PROFILE_ bits that must be set */
    uint32_t action;
    struct scmp_arg_cmp cmp[2]; /* ends at mask 0 */
};

/*
 * Allowing rules carry the safety: what none allows gets the profile's default.  The others only
 * choose a better answer, as the kernel ignores argument bits that a comparison sees; they are left
 * out where the warden answers.
 */
static const struct rule rules[] = {
    /* W^X: pages become executable only by mapping a file, and never while writable */
    {"mmap", 0, ALLOW, {BITS(2, PROT_EXEC, 0)}},
    {"mmap", 0, ALLOW, {BITS(2, PROT_EXEC | PROT_WRITE, PROT_EXEC), BITS(3, MAP_ANONYMOUS, 0)}},
    {"mmap", 0, REFUSE, {BITS(2, PROT_EXEC | PROT_WRITE, PROT_EXEC | PROT_WRITE)}},
    {"mmap", 0, REFUSE,
        {BITS(2, PROT_EXEC | PROT_WRITE, PROT_EXEC), BITS(3, MAP_ANONYMOUS, MAP_ANONYMOUS)}},
    {"mprotect", 0, ALLOW, {BITS(2, PROT_EXEC, 0)}},
    {"mprotect", 0, REFUSE, {BITS(2, PROT_EXEC, PROT_EXEC)}},
    /* threads; clone3 has its flags in memory, so it is not offered and glibc takes clone */
    {"clone", 0, ALLOW, {BITS(0, CLONE_THREAD | NEW_NS, CLONE_THREAD)}},
    {"clone", 0, REFUSE, {BITS(0, CLONE_THREAD, 0)}},
    {"clone3", PROFILE_NOTIFY, SCMP_ACT_ERRNO(ENOSYS), {{0}}}, /* every thread tries it: no word */
    {"kill", 0, ALLOW, {IS(0, SELF)}},
    {"tgkill", 0, ALLOW, {IS(0, SELF)}},
    /* this exec only: the number is beyond RLIMIT_NOFILE, nothing can be put there again */
    {"execveat", 0, ALLOW, {IS(0, PROGRAM), IS(4, AT_EMPTY_PATH)}},
    {"prlimit64", 0, ALLOW, {IS(0, 0), IS(2, 0)}}, /* reading its own */
    {"prctl", 0, ALLOW, {IS(0, PR_SET_NAME)}},
    {"prctl", 0, ALLOW, {IS(0, PR_SET_DUMPABLE), IS(1, 0)}},
    {"prctl", 0, ALLOW, {IS(0, 0x53564d41)}}, /* PR_SET_VMA: names of maps */
    {"prctl", PROFILE_CLOSES, ALLOW, {IS(0, PR_SET_NO_NEW_PRIVS), IS(1, 1)}},
    {"seccomp", PROFILE_CLOSES, ALLOW, {{0}}},
    {"ioctl", 0, ALLOW, {IS(1, FIONBIO)}},
    {"ioctl", 0, ALLOW, {IS(1, FIONREAD)}},
    {"ioctl", 0, ALLOW, {IS(1, FIOCLEX)}},
    {"ioctl", 0, KILL, {IS(1, TIOCSTI)}},
    {"socketpair", 0, ALLOW, {IS(0, AF_UNIX)}},
    /* not SO_ATTACH_FILTER (26) and its kin: programs for the kernel; not the tables of netfilter
     */
    {"setsockopt", 0, ALLOW, {IS(1, IPPROTO_TCP)}},
    {"setsockopt", 0, ALLOW, {IS(1, IPPROTO_IPV6), BELOW(2, 64)}},
    {"setsockopt", 0, ALLOW, {IS(1, IPPROTO_IP), BELOW(2, 64)}},
    {"setsockopt", 0, ALLOW, {IS(1, SOL_SOCKET), BELOW(2, 16)}},
    {"setsockopt", 0, ALLOW, {IS(1, SOL_SOCKET), BITS(2, ~UINT64_C(7), 16)}}, /* 16 to 23 */
    {"setsockopt", 0, ALLOW, {IS(1, SOL_SOCKET), IS(2, SO_MAX_PACING_RATE)}},
    {"socket", PROFILE_NET, ALLOW, {IS(0, AF_INET), STREAM}},
    {"socket", PROFILE_NET, ALLOW, {IS(0, AF_INET6), STREAM}},
    {"connect", PROFILE_NET, ALLOW, {{0}}},
};

/*
 * The last filter of clan-link (SECURITY E5): nothing here reaches a name, a new socket, a device
 * or another process.
 */
const char profile_link_last[] =
    "read write readv writev "             /* records of streams, packets of the TUN */
    "recvmsg sendmsg "                     /* control messages, and new streams as descriptors */
    "epoll_wait epoll_pwait epoll_ctl "    /* where the threads wait */
    "futex "                               /* locks between them */
    "close shutdown "                      /* a stream's end */
    "fstat getsockopt setsockopt "         /* what a descriptor from a plugin is; its buffers */
    "getrandom "                           /* ephemeral keys */
    "clock_gettime "                       /* where the vdso has no clock */
    "madvise munmap brk mlock munlock "    /* the allocator, sodium_malloc of session keys */
    "rseq set_robust_list rt_sigprocmask " /* first steps of a thread that did not run yet */
    "restart_syscall "                     /* a wait that was frozen and thawed */
    "exit_group";                          /* the end; threads live as long as the process */
static const struct rule link_rules[] = {
    {"mmap", 0, ALLOW, {BITS(2, PROT_EXEC, 0)}},      /* the allocator */
    {"mprotect", 0, ALLOW, {BITS(2, PROT_EXEC, 0)}},  /* its arenas, guard pages of sodium_malloc */
    {"newfstatat", 0, ALLOW, {IS(3, AT_EMPTY_PATH)}}, /* glibc's fstat */
    {"sendto", 0, ALLOW, {IS(4, 0)}},                 /* glibc's send, to the log: no address */
};

static int add_list(scmp_filter_ctx ctx, const char *list, uint32_t action)
{
    char word[32];
    int r = 0;
    while (r == 0 && profile_word(&list, word)) {
        int nr = seccomp_syscall_resolve_name(word);
        if (nr >= 0) /* negative: not on this architecture */
            r = seccomp_rule_add(ctx, action, nr, 0);
    }
    return r;
}

static int add_rules(
    scmp_filter_ctx ctx, const struct rule *rule, size_t count, uint32_t flags, int program_fd)
{
    int r = 0;
    for (; r == 0 && count-- > 0; rule++) {
        struct scmp_arg_cmp cmp[2];
        unsigned n = 0;
        bool answer = rule->action == REFUSE || rule->action == KILL;
        if ((flags & rule->only) != rule->only || (answer && (flags & PROFILE_NOTIFY)))
            continue;
        for (; n < 2 && rule->cmp[n].datum_a; n++) {
            cmp[n] = rule->cmp[n];
            if (cmp[n].datum_b == SELF)
                cmp[n].datum_b = (uint64_t)getpid();
            else if (cmp[n].datum_b == PROGRAM)
                cmp[n].datum_b = (uint64_t)program_fd;
        }
        int nr = seccomp_syscall_resolve_name(rule->call);
        r = seccomp_rule_add_array(ctx, rule->action, nr, n, cmp);
    }
    return r;
}

static int load(scmp_filter_ctx ctx, int r)
{
    if (r == 0)
        r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, KILL);
    if (r == 0)
        r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: link's calls are many */
#ifndef CLAN_SANITIZE
    if (r == 0)
        r = seccomp_load(ctx);
#endif
    errno = -r;
    return r == 0 ? 0 : -1;
}

static int load_profile(const struct profile *p, uint32_t flags, int program_fd, int *ret_notify_fd)
{
    bool notify = flags & PROFILE_NOTIFY;
    scmp_filter_ctx ctx = seccomp_init(notify ? SCMP_ACT_NOTIFY : SCMP_ACT_ERRNO(ENOSYS));
    int r = ctx ? 0 : -ENOMEM;
    for (unsigned i = 0; r == 0 && i < sizeof p->calls / sizeof p->calls[0] && p->calls[i]; i++)
        r = add_list(ctx, p->calls[i], ALLOW);
    if (r == 0)
        r = add_rules(ctx, rules, sizeof rules / sizeof rules[0], flags, program_fd);
    if (r == 0 && !notify)
        r = add_list(ctx, profile_fatal, KILL);
    if (r == 0 && !notify)
        r = add_list(ctx, profile_refused, REFUSE);
    if (r == 0 && !notify && (p->flags & PROFILE_NOTIFY))
        r = add_list(ctx, "open openat", ALLOW); /* nobody answers */
    TRY(load(ctx, r)); /* not released: that would close the descriptor of the notifications */
    if (notify)
        TRY(*ret_notify_fd = seccomp_notify_fd(ctx));
    return 0;
}

int filter_load(const struct profile *p, int program_fd, uint32_t weaker, int *ret_notify_fd)
{
    *ret_notify_fd = -1;
#ifdef CLAN_SANITIZE
    return load_profile(p, p->flags & ~(uint32_t)PROFILE_NOTIFY, program_fd, ret_notify_fd);
#endif
    if (load_profile(p, p->flags, program_fd, ret_notify_fd) == 0)
        return 0;
    /* no such kernel, or a container has the one listener that there can be */
    if (!(p->flags & PROFILE_NOTIFY) || !(weaker & SANDBOX_WEAKER_NOTIFY))
        return -1;
    return load_profile(p, p->flags & ~(uint32_t)PROFILE_NOTIFY, program_fd, ret_notify_fd);
}

clan_status sandbox_close_link(struct clan_error *reterr)
{
    scmp_filter_ctx ctx = seccomp_init(KILL);
    int r = ctx ? seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1) : -ENOMEM; /* all threads */
    if (r == 0)
        r = add_list(ctx, profile_link_last, ALLOW);
    if (r == 0)
        r = add_rules(ctx, link_rules, sizeof link_rules / sizeof link_rules[0], 0, -1);
    r = load(ctx, r);
    seccomp_release(ctx);
    return r == 0 ? CLAN_OK : err_errno(reterr, CLAN_E_NOSYS, "clan-link cannot close its filter");
}
