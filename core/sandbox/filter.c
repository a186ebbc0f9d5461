/* System call filters: the lists of profiles.def and the rules of rules.def. */
#include "base/error.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <seccomp.h>
#include <unistd.h>

#define ALLOW   SCMP_ACT_ALLOW
#define REFUSE  SCMP_ACT_ERRNO(EPERM)
#define KILL    SCMP_ACT_KILL_PROCESS
#define SELF    (UINT64_MAX - 1) /* stands for the own PID: exec does not change it */
#define PROGRAM (UINT64_MAX - 2) /* stands for the descriptor of the program */

struct rule {
    const char *call;
    uint32_t only; /* PROFILE_ bits that must be set */
    uint32_t action;
    struct scmp_arg_cmp cmp[2]; /* ends at mask 0 */
};
#include "profiles/rules.def"

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

static int add_rules(scmp_filter_ctx ctx, const struct rule *rule, uint32_t flags, int program_fd)
{
    int r = 0;
    for (; r == 0 && rule->call; rule++) {
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

/* r: 0, or what went wrong before */
static int load(scmp_filter_ctx ctx, int r)
{
    r = r ?: seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, KILL);
    r = r ?: seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: link's calls are many */
#ifndef CLAN_SANITIZE
    r = r ?: seccomp_load(ctx);
#endif
    errno = -r;
    return r == 0 ? 0 : -1;
}

static int load_profile(const struct profile *p, uint32_t flags, int program_fd, int *ret_notify_fd)
{
    bool notify = flags & PROFILE_NOTIFY;
    flags |= notify ? 0 : PROFILE_ALONE;
    const struct {
        const char *list;
        uint32_t action;
    } quiet[] = {{profile_fatal, KILL}, {profile_refused, REFUSE},
        {flags & (PROFILE_NET | PROFILE_UNIX) ? "" : profile_unconnected, REFUSE},
        {p->flags & PROFILE_NOTIFY ? profile_unnamed : "", ALLOW}}; /* nobody answers */
    scmp_filter_ctx ctx = seccomp_init(notify ? SCMP_ACT_NOTIFY : SCMP_ACT_ERRNO(ENOSYS));
    int r = ctx ? add_rules(ctx, rules, flags, program_fd) : -ENOMEM;
    for (unsigned i = 0; r == 0 && i < 4 && p->calls[i]; i++)
        r = add_list(ctx, p->calls[i], ALLOW);
    for (unsigned i = 0; r == 0 && i < 4 && !notify; i++)
        r = add_list(ctx, quiet[i].list, quiet[i].action);
    TRY(load(ctx, r)); /* not released: that would close the descriptor of the notifications */
    *ret_notify_fd = notify ? seccomp_notify_fd(ctx) : -1;
    return notify ? *ret_notify_fd : 0;
}

int filter_load(const struct profile *p, int program_fd, uint32_t weaker, int *ret_notify_fd)
{
    uint32_t without = p->flags & ~(uint32_t)PROFILE_NOTIFY;
#ifdef CLAN_SANITIZE
    (void)weaker;
#else
    if (load_profile(p, p->flags, program_fd, ret_notify_fd) >= 0)
        return 0;
    /* no such kernel, or a container has the one listener that there can be */
    if (without == p->flags || !(weaker & SANDBOX_WEAKER_NOTIFY))
        return -1;
#endif
    return load_profile(p, without, program_fd, ret_notify_fd);
}

clan_status sandbox_close_link(struct clan_error *reterr)
{
    scmp_filter_ctx ctx = seccomp_init(KILL);
    int r = ctx ? seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1) : -ENOMEM; /* all threads */
    r = r ?: add_list(ctx, profile_link_last, ALLOW);
    r = r ?: add_rules(ctx, link_rules, 0, -1);
    r = load(ctx, r);
    seccomp_release(ctx);
    return r == 0 ? CLAN_OK : err_errno(reterr, CLAN_E_NOSYS, "clan-link cannot close its filter");
}
