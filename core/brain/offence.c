/* What a host does that no clan-host does, and what its sandbox refused it: counted, named, not borne for long. */
#include "base/error.h"
#include "base/log.h"
#include "brain/brain.h"

#define OFFENCES_MAX  20 /* then the host is ended */
#define MESSAGES_MAX  500
#define RUNS_MAX      8 /* of all hosts in a second: the warden kills a core that asks too often */
#define ENDS_MAX      16
#define REFUSED_WORTH 10 /* fewer are a library that looks around */

bool rate_within(struct rate *r, unsigned limit)
{
    uint64_t second = brain_now() / 1000;
    if (r->second != second)
        *r = (struct rate){.second = second};
    return ++r->count <= limit;
}

void host_offence(struct host *h, const char *what)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (h->state == HOST_FAILED || h->state == HOST_ENDING)
        return; /* it is being ended already */
    log_warn("the plugin %s (%s) %s", h->plugin, h->instance, what);
    if (++h->offences < OFFENCES_MAX)
        return;
    err_set(&e, CLAN_E_PROTO, "the plugin %s does what no plugin does", h->plugin);
    err_why(&e, "%u times; last: it %s", h->offences, what);
    err_remedy(&e, "take it out of machine.yaml and run as root: clan machine apply");
    h->offences = 0;
    host_fail(h, &e);
}

bool host_may_talk(struct host *h)
{
    if (rate_within(&h->messages, MESSAGES_MAX))
        return true;
    if (h->messages.count == MESSAGES_MAX + 1 || h->messages.count % MESSAGES_MAX == 0)
        host_offence(h, "sends more than 500 messages a second");
    return false;
}

bool host_may_run(struct host *h, bool ends)
{
    bool ok = rate_within(ends ? &h->b->ends : &h->b->runs, ends ? ENDS_MAX : RUNS_MAX);
    if (!ok)
        host_offence(h, "starts or ends programs without end");
    return ok;
}

void hosts_refused(struct brain *b, const struct ward_child_refused *r)
{
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        struct host *h = &b->hosts[i];
        bool its = h->used && h->child == r->child;
        for (unsigned k = 0; h->used && k < 8; k++)
            its |= h->runs[k].run == r->child;
        if (its)
            h->refused = r->count;
    }
}

bool host_suspect(const struct host *h, char *ret_text, size_t cap)
{
    if (!h->used || h->refused < REFUSED_WORTH)
        return false;
    snprintf(ret_text, cap, "the plugin %s tried what it may not: %u calls were refused to it",
        h->instance, h->refused);
    return true;
}
