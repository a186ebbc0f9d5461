/* nft reads its commands from standard input. */
#include "netconf/nft.h"

#include "base/error.h"

void nft_apply(struct text *rules, tool_fn *done, void *arg)
{
    static const char *const argv[] = {"/usr/sbin/nft", "-f", "-", NULL};
    tool_run(TOOL_RULES, argv, rules, done, arg);
}

static void failed(struct nft_guard *g, const char *doing, const struct clan_error *e)
{
    g->failed((void *)(uintptr_t)doing, e);
}

static void lans_done(void *arg, const struct clan_error *e)
{
    if (e)
        failed(arg, "what is local", e);
}

void nft_guard_lans(struct nft_guard *g)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct ward_local_addrs local = {0};
    struct text t = {0};
    if (!g->stands)
        return;
    if (netconf_local(g->skip, g->arg, &local, &e) != CLAN_OK)
        failed(g, "addresses", &e); /* the private ranges hold anyway */
    rules_lans(&t, &local);
    nft_apply(&t, lans_done, g);
}

static void guard_done(void *arg, const struct clan_error *e)
{
    struct nft_guard *g = arg;
    g->stands = !e;
    if (e)
        failed(g, "no plugin gets the machine's network", e);
    nft_guard_lans(g);
}

void nft_guard_begin(struct nft_guard *g, uid_t first, uid_t last)
{
    struct text t = {0};
    g->stands = true; /* until its job says no; jobs run in order */
    rules_hosts(&t, first, last);
    nft_apply(&t, guard_done, g);
}
