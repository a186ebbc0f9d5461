/* clan netcheck: what of this machine's network works, and what to do about the rest. */
#include "base/error.h"
#include "base/text.h"
#include "cli/netprobe.h"
#include "cli/out.h"
#include "cli/session.h"

#include <stdlib.h>
#include <string.h>

static clan_status take_status(void *arg, const clan_api_Answer *a)
{
    struct net_facts *f = arg;
    if (a->which_m == clan_api_Answer_status_tag) {
        f->status = a->m.status;
        f->daemon = true;
    }
    return CLAN_OK;
}

static clan_status take_net(void *arg, const clan_api_Answer *a)
{
    struct net_facts *f = arg;
    if (a->which_m == clan_api_Answer_net_facts_tag)
        f->core = a->m.net_facts;
    if (a->which_m == clan_api_Answer_net_transport_tag && f->transport_count < NET_TRANSPORTS_MAX)
        f->transports[f->transport_count++] = a->m.net_transport;
    return CLAN_OK;
}

/* A daemon that does not run or does not answer is a finding, not the end. */
static clan_status ask_core(struct cli *c, struct net_facts *f)
{
    struct api_client *api = NULL;
    clan_status st = session_open(c, &api);
    if (st == CLAN_OK)
        st = session_ask(c, api, clan_api_Request_status_tag, take_status, f);
    if (st == CLAN_OK)
        st = session_ask(c, api, clan_api_Request_netcheck_tag, take_net, f);
    api_close(api);
    if (st == CLAN_OK)
        return CLAN_OK;
    if (st == CLAN_E_INVAL) /* which clan? */
        return st;
    f->daemon = false;
    f->trouble = c->e;
    c->e = (struct clan_error)CLAN_ERROR_INIT;
    return CLAN_OK;
}

static void print(struct cli *c, const struct net_checks *l)
{
    static const char *const like[] = {"up", "note", "warning", "alarm"}; /* their shapes */
    for (unsigned i = 0; i < l->count; i++) {
        const struct net_check *n = &l->rows[i];
        bool good = n->verdict == NET_OK;
        enum out_colour colour;
        const char *shape = out_shape(c, like[n->verdict], &colour);
        out_para(c, 4, "%s%s %s%s  %s: %s%s%s%s%s", out_on(c, colour), shape,
            net_verdict_word(n->verdict), out_off(c), n->id, n->what,
            !good && n->why[0] ? "\nwhy: " : "", good ? "" : n->why,
            !good && n->remedy[0] ? "\nto do: " : "", good ? "" : n->remedy);
    }
}

static void sanitize(struct net_checks *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        text_sanitize(l->rows[i].what);
        text_sanitize(l->rows[i].why);
        text_sanitize(l->rows[i].remedy);
    }
}

clan_status cmd_netcheck(struct cli *c)
{
    struct net_facts *f = calloc(1, sizeof *f);
    struct net_checks *l = calloc(1, sizeof *l);
    clan_assert(f && l);
    clan_status st = ask_core(c, f);
    if (st == CLAN_OK) {
        f->probed = true;
        net_probe_addresses(f);
        if (f->daemon) {
            net_probe_names(f);
            net_probe_firewall(f);
            net_probe_paths(f);
        }
        net_judge(f, l);
        sanitize(l);
        if (c->json)
            out_json(c, json_of_net_checks(l));
        else
            print(c, l);
        c->exit = l->worst == NET_FAIL;
    }
    free(f);
    free(l);
    return st;
}
