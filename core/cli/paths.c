/* clan paths: by which transports a machine is reached, and when packets moved from one to another. */
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/out.h"
#include "cli/session.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 64

struct paths {
    clan_api_Path rows[ROWS_MAX];
    unsigned count;
    clan_api_PathEvent events[ROWS_MAX];
    unsigned event_count;
};

static clan_status take(void *arg, const clan_api_Answer *a)
{
    struct paths *x = arg;
    if (a->which_m == clan_api_Answer_path_tag && x->count < ROWS_MAX)
        x->rows[x->count++] = a->m.path;
    if (a->which_m == clan_api_Answer_path_event_tag && x->event_count < ROWS_MAX)
        x->events[x->event_count++] = a->m.path_event;
    return CLAN_OK;
}

static void put_row(struct cli *c, struct out_table *t, const clan_api_Path *p)
{
    char name[48], state[48], facts[sizeof p->barred] = "", rtt[32], ago[48], via[sizeof p->via];
    enum out_colour colour;
    const char *shape = out_shape(c,
        p->in_use      ? "up"
        : p->connected ? "connected"
                       : "not connected",
        &colour);
    snprintf(name, sizeof name, "%s %s", shape, p->transport);
    snprintf(state, sizeof state, "%s", json_path_state(p));
    if (p->connected)
        snprintf(facts, sizeof facts, "%s%sconnected %s", p->rtt_us ? out_rtt(p->rtt_us, rtt) : "",
            p->rtt_us ? ", " : "", text_ago(p->since_s, ago));
    else if (p->barred[0])
        snprintf(facts, sizeof facts, "%s", p->barred);
    else if (p->possible && p->failures)
        snprintf(facts, sizeof facts, "failed %u time%s lately, watched for %u s before it is used",
            p->failures, p->failures == 1 ? "" : "s", p->watched_s);
    else if (!p->possible)
        snprintf(facts, sizeof facts, "one of the two machines does not have it");
    const char *cells[] = {
        name, state, p->connected ? out_short(p->via, via, sizeof via) : "", p->why, facts};
    out_table_row(t, colour, cells);
}

static void print(struct cli *c, const struct paths *x)
{
    struct out_table t;
    out_table_init(&t, 5);
    for (unsigned i = 0; i < x->count; i++)
        put_row(c, &t, &x->rows[i]);
    out_table_print(c, &t);
    if (x->event_count)
        out_line(c, "%s", "");
    for (unsigned i = 0; i < x->event_count; i++) {
        const clan_api_PathEvent *e = &x->events[i];
        char ago[48], moved[120];
        if (!e->to[0])
            snprintf(moved, sizeof moved, "%s is gone", e->from);
        else
            snprintf(moved, sizeof moved, "%s%s%s%s", e->from[0] ? "from " : "", e->from,
                e->from[0] ? " to " : "packets take ", e->to);
        out_para(c, 4, "%s: %s: %s", text_ago(clock_wall_s() - e->wall, ago), moved, e->why);
    }
}

static void print_json(struct cli *c, const struct paths *x)
{
    json_t *rows = json_array(), *events = json_array();
    for (unsigned i = 0; i < x->count; i++)
        json_array_append_new(rows, json_of_path(&x->rows[i]));
    for (unsigned i = 0; i < x->event_count; i++)
        json_array_append_new(events, json_of_path_event(&x->events[i]));
    out_json(
        c, json_pack("{s:s, s:o, s:o}", "machine", c->args[0], "paths", rows, "history", events));
}

clan_status cmd_paths(struct cli *c)
{
    struct api_client *api = NULL;
    struct paths *x = calloc(1, sizeof *x);
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(x && req);
    req->which_m = clan_api_Request_paths_tag;
    snprintf(req->m.paths.machine, sizeof req->m.paths.machine, "%s", c->args[0]);
    clan_status st = session_open(c, &api);
    if (st == CLAN_OK)
        st = session_call(c, api, req, SESSION_IDLE_MS, take, x);
    if (st == CLAN_OK && c->json)
        print_json(c, x);
    else if (st == CLAN_OK)
        print(c, x);
    api_close(api);
    free(req);
    free(x);
    return st;
}
