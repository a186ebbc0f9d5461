/* Programs that plugin hosts run: asked of the warden, their ends told to the hosts. */
#include "base/error.h"
#include "brain/brain.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run_ask {
    struct host *host;
    uint32_t request, child_of;
};

static void on_run_answer(struct brain *b, void *arg, const struct ward_answer *a, int fd)
{
    (void)b;
    struct run_ask ask = *(struct run_ask *)arg;
    struct host *h = ask.host;
    free(arg);
    if (fd >= 0)
        close(fd);
    if (!h->used || h->child != ask.child_of)
        return;
    clan_host_ToHost *m = host_blank(clan_host_ToHost_run_result_tag);
    m->m.run_result.request = ask.request;
    for (unsigned i = 0; i < 8; i++) {
        if (h->runs[i].request != ask.request)
            continue;
        h->runs[i].request = 0;
        if (a->error.status == CLAN_OK) {
            h->runs[i].run = a->child; /* the warden's number: a later core knows it too */
            m->m.run_result.run = a->child;
        }
        break;
    }
    m->m.run_result.has_error = true;
    wire_from_error(&m->m.run_result.error, &a->error);
    host_tell(h, m);
}

void programs_run(struct host *h, const clan_host_Run *r)
{
    struct clan_error e = CLAN_ERROR_INIT;
    unsigned slot = host_may_run(h, false) ? 0 : 8;
    while (slot < 8 && (h->runs[slot].run || h->runs[slot].request))
        slot++;
    struct run_ask *ask = slot < 8 && r->request ? malloc(sizeof *ask) : NULL;
    if (!ask) {
        clan_host_ToHost *m = host_blank(clan_host_ToHost_run_result_tag);
        m->m.run_result.request = r->request;
        m->m.run_result.has_error = true;
        err_set(&e, CLAN_E_LIMIT, "the plugin runs too many programs");
        wire_from_error(&m->m.run_result.error, &e);
        host_tell(h, m);
        return;
    }
    *ask = (struct run_ask){.host = h, .request = r->request, .child_of = h->child};
    h->runs[slot].request = r->request;
    struct ward_run req = {.host = h->child};
    snprintf(req.profile, sizeof req.profile, "%s", r->profile);
    ward_ask(h->b, WARD_REQ_RUN, &req, sizeof req, on_run_answer, ask);
}

void programs_end(struct host *h, uint32_t run)
{
    for (unsigned i = 0; run && i < 8; i++)
        if (h->runs[i].run == run && host_may_run(h, true)) {
            struct ward_child_end end = {.child = run, .grace_ms = 5000};
            ward_ask(h->b, WARD_REQ_CHILD_END, &end, sizeof end, NULL, NULL);
        }
}

/* A program that a host ran under an earlier core. */
void programs_adopted(struct brain *b, const struct ward_child *c)
{
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++)
        for (unsigned k = 0; b->hosts[i].used && b->hosts[i].child == c->host && k < 8; k++)
            if (!b->hosts[i].runs[k].run && !b->hosts[i].runs[k].request) {
                b->hosts[i].runs[k].run = c->child;
                return;
            }
}

void programs_died(struct brain *b, const struct ward_child_died *d)
{
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++)
        for (unsigned k = 0; b->hosts[i].used && k < 8; k++) {
            if (b->hosts[i].runs[k].run != d->child)
                continue;
            clan_host_ToHost *m = host_blank(clan_host_ToHost_run_exited_tag);
            m->m.run_exited.run = d->child;
            m->m.run_exited.status = (uint32_t)d->wait_status;
            snprintf(m->m.run_exited.text, sizeof m->m.run_exited.text, "%.199s", d->last_words);
            b->hosts[i].runs[k].run = 0;
            host_tell(&b->hosts[i], m);
        }
}
