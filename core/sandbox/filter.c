/* System call filters, built from the rows of profiles.c by libseccomp. */
#include "base/error.h"
#include "sandbox/profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The last filter of clan-link, before its first outside byte (SECURITY E5).  "read" also stands
 * for what the C library makes of a call on this kernel; nothing here reaches a name, a new socket,
 * a device or another process.
 */
const char profile_link_last[] =
    "read write readv writev "          /* records of streams, packets of the TUN */
    "recvmsg sendmsg "                  /* control messages and new streams as descriptors */
    "epoll_wait epoll_pwait epoll_ctl " /* the three threads wait here */
    "futex "                            /* locks between the three threads */
    "close shutdown "                   /* a stream's end */
    "fstat getsockopt setsockopt "      /* what a descriptor from a plugin really is; its buffers */
    "getrandom "                        /* ephemeral keys */
    "clock_gettime "                    /* where the vdso has none */
    "madvise munmap brk " /* the allocator; mmap and mprotect below, never executable */
    "mlock munlock "      /* sodium_malloc of session keys */
    "restart_syscall "    /* a frozen and thawed wait */
    "exit exit_group";    /* a thread's end, the process's end */

static int add_list(scmp_filter_ctx ctx, const char *list, const char *except, uint32_t action)
{
    char word[32];
    while (profile_word(&list, word)) {
        int nr = seccomp_syscall_resolve_name(word), r;
        if (nr < 0 || (except && profile_lists(except, word)))
            continue; /* this machine's architecture has no such call */
        if ((r = seccomp_rule_add(ctx, action, nr, 0)) != 0)
            return r;
    }
    return 0;
}

static int add_rule(scmp_filter_ctx ctx, const struct filter_rule *rule, int program_fd)
{
    static const uint32_t actions[] = {
        SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(EPERM), SCMP_ACT_KILL_PROCESS};
    struct scmp_arg_cmp cmp[2];
    unsigned n = 0;
    int nr = seccomp_syscall_resolve_name(rule->call);
    if (nr < 0)
        return 0;
    for (unsigned i = 0; i < 2 && rule->if_arg[i].mask; i++) {
        uint64_t v = rule->if_arg[i].value;
        if (rule->if_arg[i].kind == FILTER_SELF)
            v = (uint64_t)getpid();
        else if (rule->if_arg[i].kind == FILTER_PROGRAM)
            v = (uint64_t)program_fd;
        cmp[n++] = (struct scmp_arg_cmp){.arg = rule->if_arg[i].arg,
            .op = SCMP_CMP_MASKED_EQ,
            .datum_a = rule->if_arg[i].mask,
            .datum_b = v};
    }
    return seccomp_rule_add_array(ctx, actions[rule->verdict], nr, n, cmp);
}

/* A call whose arguments decide cannot be in a list for all its arguments too. */
static bool has_rule(const struct profile *p, const char *call)
{
    for (unsigned i = 0; i < filter_rule_count; i++) {
        const struct filter_rule *r = &filter_rules[i];
        if ((p->flags & r->with) == r->with && !(p->flags & r->without) &&
            profile_lists(call, r->call))
            return true;
    }
    return false;
}

static int add_refusals(
    scmp_filter_ctx ctx, const struct profile *p, const char *list, uint32_t action)
{
    char word[32];
    int r = 0;
    while (r == 0 && profile_word(&list, word)) {
        bool listed = has_rule(p, word);
        for (unsigned i = 0; i < PROFILE_CALLS_MAX && p->calls[i]; i++)
            listed = listed || profile_lists(p->calls[i], word);
        if (!listed)
            r = add_list(ctx, word, NULL, action);
    }
    return r;
}

static int add_profile(scmp_filter_ctx ctx, const struct profile *p, int program_fd)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < PROFILE_CALLS_MAX && p->calls[i]; i++)
        r = add_list(ctx, p->calls[i], NULL, SCMP_ACT_ALLOW);
    for (unsigned i = 0; r == 0 && i < filter_rule_count; i++) {
        const struct filter_rule *rule = &filter_rules[i];
        if ((p->flags & rule->with) == rule->with && !(p->flags & rule->without))
            r = add_rule(ctx, rule, program_fd);
    }
    if (r == 0 && (p->flags & PROFILE_NOTIFY)) /* every thread tries it: not worth a word */
        return add_list(ctx, "clone3", NULL, SCMP_ACT_ERRNO(ENOSYS));
    if (r == 0)
        r = add_refusals(ctx, p, profile_fatal, SCMP_ACT_KILL_PROCESS);
    return r ? r : add_refusals(ctx, p, profile_refused, SCMP_ACT_ERRNO(EPERM));
}

static int load(scmp_filter_ctx ctx, int r)
{
    if (r == 0)
        r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (r == 0)
        r = seccomp_attr_set(
            ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* binary tree: link's calls are many */
    if (r == 0)
        r = seccomp_load(ctx);
    return r;
}

int filter_load(const struct profile *p, int program_fd, int *ret_notify_fd)
{
    bool notify = p->flags & PROFILE_NOTIFY;
    *ret_notify_fd = -1;
#ifdef CLAN_SANITIZE
    (void)add_profile, (void)load, (void)program_fd, (void)notify;
    return 0;
#else
    scmp_filter_ctx ctx = seccomp_init(notify ? SCMP_ACT_NOTIFY : SCMP_ACT_ERRNO(ENOSYS));
    int r = ctx ? load(ctx, add_profile(ctx, p, program_fd)) : -ENOMEM;
    if (r == 0 && notify)
        r = *ret_notify_fd = seccomp_notify_fd(ctx);
    /* not released: that would close the notification descriptor before the parent has it */
    errno = r < 0 ? -r : 0;
    return r < 0 ? -1 : 0;
#endif
}

clan_status sandbox_close_link(struct clan_error *reterr)
{
#ifdef CLAN_SANITIZE
    (void)reterr;
    return CLAN_OK;
#else
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int r =
        ctx ? seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1) : -ENOMEM; /* all threads at once */
    if (r == 0)
        r = add_list(ctx, profile_link_last, NULL, SCMP_ACT_ALLOW);
    const struct filter_rule rules[] = {
        /* arenas of the allocator and guard pages of sodium_malloc, never executable */
        {"mmap", 0, 0, FILTER_ALLOW, {{PROT_EXEC, 0, 2, 0}}},
        {"mprotect", 0, 0, FILTER_ALLOW, {{PROT_EXEC, 0, 2, 0}}},
        /* glibc's fstat: no name, only the descriptor */
        {"newfstatat", 0, 0, FILTER_ALLOW, {{UINT64_MAX, AT_EMPTY_PATH, 3, 0}}},
        /* glibc's send() to the log: no address */
        {"sendto", 0, 0, FILTER_ALLOW, {{UINT64_MAX, 0, 4, 0}}},
    };
    for (unsigned i = 0; r == 0 && i < sizeof rules / sizeof rules[0]; i++)
        r = add_rule(ctx, &rules[i], -1);
    r = ctx ? load(ctx, r) : r;
    seccomp_release(ctx);
    if (r == 0)
        return CLAN_OK;
    errno = r < 0 ? -r : EINVAL;
    return err_errno(
        reterr, CLAN_E_NOSYS, "the last system call filter of clan-link cannot be loaded");
#endif
}
