/* clan ping: over the data path where it is allowed, else over the control channel, saying which.
 */
#include "base/error.h"
#include "cli/echo.h"
#include "cli/out.h"
#include "cli/session.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define PING_TIMEOUT_MS 2000
#define PING_SIZE       56

struct ping {
    struct cli *c;
    struct api_client *api;
    clan_api_PingResult r;
    bool got;
    struct echo echo; /* fd -1: over the control channel */
    unsigned sent, received;
    uint64_t min_us, max_us, sum_us;
};

static clan_status take(void *arg, const clan_api_Answer *a)
{
    struct ping *p = arg;
    if (a->which_m == clan_api_Answer_ping_tag) {
        p->r = a->m.ping;
        p->got = true;
    }
    return CLAN_OK;
}

static clan_status ask_core(struct ping *p, const char *name)
{
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req);
    req->which_m = clan_api_Request_ping_tag;
    snprintf(req->m.ping.machine, sizeof req->m.ping.machine, "%s", name);
    p->got = false;
    clan_status st = session_call(p->c, p->api, req, SESSION_IDLE_MS, take, p);
    free(req);
    if (st == CLAN_OK && !p->got)
        st = err_set(&p->c->e, CLAN_E_PROTO, "Clan did not answer the ping");
    return st;
}

static void count_reply(struct ping *p, uint64_t us)
{
    p->received++;
    p->sum_us += us;
    if (us < p->min_us || p->received == 1)
        p->min_us = us;
    if (us > p->max_us)
        p->max_us = us;
}

static bool one_round(struct ping *p, unsigned seq, uint64_t *ret_us)
{
    if (p->echo.fd >= 0)
        return echo_once(&p->echo, p->r.address, (uint16_t)seq, PING_SIZE, PING_TIMEOUT_MS, ret_us);
    if (ask_core(p, p->c->args[0]) != CLAN_OK || !p->r.reachable)
        return false;
    *ret_us = p->r.control_rtt_us;
    return true;
}

static void run_rounds(struct ping *p, unsigned count, unsigned interval_ms)
{
    struct cli *c = p->c;
    char rtt[32];
    for (unsigned seq = 1; seq <= count; seq++) {
        uint64_t us = 0;
        p->sent++;
        bool ok = one_round(p, seq, &us);
        if (ok)
            count_reply(p, us);
        if (c->json && count > 1)
            out_json(c, json_pack("{s:{s:i, s:b, s:I}}", "reply", "seq", (int)seq, "ok", ok,
                            "rtt_us", (json_int_t)us));
        else if (!c->json && ok)
            out_line(c, "%u: %s", seq, out_rtt((uint32_t)us, rtt));
        else if (!c->json)
            out_line(c, "%u: no answer", seq);
        fflush(c->out);
        if (seq < count)
            poll(NULL, 0, (int)interval_ms);
    }
}

static void summary_json(struct ping *p)
{
    uint64_t mean_us = p->received ? p->sum_us / p->received : 0;
    json_t *o = json_pack("{s:s, s:s, s:i, s:i, s:s}", "machine", p->r.machine, "over",
        p->echo.fd >= 0 ? "data" : "control", "sent", (int)p->sent, "received", (int)p->received,
        "path", p->r.path);
    json_object_set_new(o, "min_us", json_integer((json_int_t)p->min_us));
    json_object_set_new(o, "mean_us", json_integer((json_int_t)mean_us));
    json_object_set_new(o, "max_us", json_integer((json_int_t)p->max_us));
    json_object_set_new(o, "control_rtt_ms",
        p->r.reachable ? json_real(p->r.control_rtt_us / 1000.0) : json_null());
    out_json(p->c, o);
}

static clan_status summary(struct ping *p)
{
    struct cli *c = p->c;
    char min[32], mean[32], max[32];
    if (c->json)
        summary_json(p);
    else if (p->received)
        out_line(c, "%u of %u answered; least %s, mean %s, most %s", p->received, p->sent,
            out_rtt((uint32_t)p->min_us, min), out_rtt((uint32_t)(p->sum_us / p->received), mean),
            out_rtt((uint32_t)p->max_us, max));
    if (p->received)
        return CLAN_OK;
    err_set(&c->e, CLAN_E_UNREACHABLE, "%s does not answer", p->r.machine);
    err_why(&c->e, p->echo.fd < 0
                       ? "it was connected, but nothing came back over the control channel"
                       : "the control channel to it works, but nothing came back over the data "
                         "path");
    err_remedy(&c->e, "look at `clan status`; if it is switched on, look at `clan logs` there");
    return CLAN_E_UNREACHABLE;
}

/* No control session: nobody has refused anything. */
static clan_status not_connected(struct ping *p)
{
    struct clan_error *e = &p->c->e;
    err_set(e, CLAN_E_UNREACHABLE, "%s is not reachable", p->r.machine);
    err_why(e, p->r.connected ? "it is connected but does not answer"
                              : "there is no connection to it; it may be switched off");
    err_remedy(
        e, "try again in a moment: asking made this machine look for it; see `clan machines`");
    return CLAN_E_UNREACHABLE;
}

static clan_status refused(struct ping *p)
{
    struct clan_error *e = &p->c->e;
    if (!p->r.refusal[0])
        return not_connected(p);
    bool removed = strstr(p->r.refusal, "removed") || strstr(p->r.refusal, "revoked");
    clan_status st = removed ? CLAN_E_REVOKED : CLAN_E_PROVISIONAL;
    err_set(e, st, "packets to %s are refused: %.120s", p->r.machine, p->r.refusal);
    err_why(e, "the control channel to it works; packets are a matter of standing");
    err_remedy(e, "`clan status` shows the standing of both machines");
    return st;
}

clan_status cmd_ping(struct cli *c)
{
    struct ping p = {.c = c, .echo.fd = -1};
    uint32_t count = 4, interval = 1000;
    char address[64];
    clan_status st = cli_opt_number(c, "count", 1, 100000, &count);
    if (st == CLAN_OK)
        st = cli_opt_number(c, "interval", 10, 60000, &interval);
    if (st == CLAN_OK)
        st = session_open(c, &p.api);
    if (st == CLAN_OK)
        st = ask_core(&p, c->args[0]);
    if (st == CLAN_OK && !p.r.data_allowed && !(cli_opt(c, "control") && p.r.reachable)) {
        if (c->json)
            summary_json(&p); /* that nobody answered is an answer, too */
        st = refused(&p);
    }
    if (st == CLAN_OK) {
        out_line(c, "%s (%s)%s%s", p.r.machine, out_address(p.r.address, address),
            p.r.path[0] ? " by " : "", p.r.path);
        if (!cli_opt(c, "control"))
            echo_open(&p.echo);
        if (p.echo.fd < 0 && !cli_opt(c, "control"))
            out_note(c, "this user may not send echo requests; these are round trips of the "
                        "control channel");
        run_rounds(&p, count, interval);
        st = summary(&p);
    }
    echo_close(&p.echo);
    api_close(p.api);
    return st;
}
