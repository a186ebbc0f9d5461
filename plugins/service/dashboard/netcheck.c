/* What this machine's network lets through, as far as the core can tell; `clan netcheck` looks at more. */
#include "dashboard.h"

#include "base/text.h"
#include "json/json.h"

#include <stdlib.h>

static bool take_net(void *arg, const clan_api_Answer *a)
{
    struct request *r = arg;
    struct net_facts *f = r->job;
    if (a->which_m == clan_api_Answer_net_facts_tag)
        f->core = a->m.net_facts;
    if (a->which_m == clan_api_Answer_net_transport_tag && f->transport_count < NET_TRANSPORTS_MAX)
        f->transports[f->transport_count++] = a->m.net_transport;
    return true;
}

static void done(void *arg, const clan_wire_Error *error)
{
    struct request *r = arg;
    r->call = NULL;
    if (error) {
        http_failed(r, error);
        return;
    }
    struct net_checks *l = calloc(1, sizeof *l);
    json_t *o = NULL;
    if (l) {
        net_judge(r->job, l);
        for (unsigned i = 0; i < l->count; i++) {
            text_sanitize(l->rows[i].what);
            text_sanitize(l->rows[i].why);
        }
        o = json_of_net_checks(l);
        json_object_set_new(o, "v", json_integer(1));
    }
    free(l);
    http_answer(r, MHD_HTTP_OK, o);
}

static bool take_status(void *arg, const clan_api_Answer *a)
{
    struct request *r = arg;
    struct net_facts *f = r->job;
    if (a->which_m == clan_api_Answer_status_tag)
        f->status = a->m.status;
    return true;
}

static void then_net(void *arg, const clan_wire_Error *error)
{
    struct request *r = arg;
    r->call = NULL;
    if (error)
        http_failed(r, error);
    else
        route_call(
            r, &(clan_api_Request){.which_m = clan_api_Request_netcheck_tag}, take_net, done);
}

void netcheck_get(struct request *r)
{
    struct net_facts *f = calloc(1, sizeof *f);
    if (!f) {
        http_answer(r, MHD_HTTP_OK, NULL);
        return;
    }
    f->daemon = true;
    r->job = f;
    r->job_free = free;
    route_call(
        r, &(clan_api_Request){.which_m = clan_api_Request_status_tag}, take_status, then_net);
}
