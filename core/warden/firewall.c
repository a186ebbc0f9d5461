/* What nft is told and when.  Tables outlive us: closed when we die. */
#include "warden/warden.h"

#include <netinet/in.h>

_Static_assert(GRANTS_USERS_MAX + 2 + WARD_CHILDREN_MAX <= RULES_SPEAKERS_MAX, "all may speak");

/* May use the overlay: root, the owner, who was named, and the plugins with that permission. */
static struct rules_table table_of(struct clan *c)
{
    const struct grants *g = &c->warden->grants;
    struct rules_table f = rules_table_of(&c->net);
    f.speaker_count = grants_people(g, f.speakers);
    for (struct child *ch = NULL; (ch = children_next(c, ch));) {
        const struct grant_plugin *p =
            ch->kind == WARD_KIND_HOST ? grants_find(g, ch->plugin) : NULL;
        if (p && (p->permissions & GRANT_NET_CONNECT_OVERLAY))
            rules_speaker(&f, ch->uid);
    }
    return f;
}

static void tell(struct clan *c, rules_fn *what, const void *request, ward_handler *then)
{
    struct text t = {0};
    struct rules_table f = table_of(c);
    what(&t, &f);
    nft_apply(&t, monitor_done, monitor_job(c, "firewall", then, request));
}

void firewall_up(struct clan *c, const void *request, ward_handler *then)
{
    rules_forget(&c->fw);
    tell(c, rules_table, request, then);
}

void firewall_speakers(struct clan *c)
{
    if (c->net_up)
        tell(c, rules_speakers, NULL, NULL);
}

void firewall_down(struct clan *c)
{
    tell(c, rules_remove, NULL, NULL);
    tell(c, rules_phones_remove, NULL, NULL);
    c->fw.count = 0;
}

void firewall_host(
    struct clan *c, uid_t uid, uint32_t permissions, const void *request, ward_handler *then)
{
    const struct ward_host_start *r = request; /* a service has no people of its own */
    struct text t = {0};
    rules_host(&t, uid, permissions);
    rules_people(&t, &c->net, &c->warden->grants, uid, r->service ? 0 : permissions);
    nft_apply(&t, monitor_done, monitor_job(c, "firewall", then, request));
}

void firewall_member(struct clan *c, const void *request, struct ward_reply *a)
{
    const struct ward_fw_member *r = request;
    struct rules_element e = rules_element(r->peer, NULL, 0, 0, r->add != 0);
    rules_want(&c->fw, &c->net, &e, &a->error);
}

void firewall_allow(struct clan *c, const void *request, struct ward_reply *a)
{
    const struct ward_fw_allow *r = request;
    struct rules_element e = rules_element(r->peer, r->dest, r->protocol, r->port, r->add != 0);
    a->later = r->protocol != IPPROTO_TCP && r->protocol != IPPROTO_UDP;
    if (a->later)
        monitor_kill(c, "asked for a protocol that is neither TCP nor UDP");
    else
        rules_want(&c->fw, &c->net, &e, &a->error);
}

void firewall_phones(struct clan *c, const void *request, struct ward_reply *a)
{
    struct text t = {0};
    a->later = rules_phones(&t, &c->net, &c->device, request, &a->error) == CLAN_OK;
    if (a->later)
        nft_apply(&t, monitor_done, monitor_job(c, "phones", NULL, request));
}

void firewall_clear(struct clan *c, const void *request, struct ward_reply *a)
{
    (void)request, (void)a;
    rules_clear(&c->fw);
}

static void committed(struct clan *c, const void *request, struct ward_reply *a)
{
    (void)request;
    c->fw.unsure |= a->error.status != CLAN_OK;
}

void firewall_commit(struct clan *c, const void *request, struct ward_reply *a)
{
    struct text t = {0};
    struct rules_table f = table_of(c);
    rules_changes(&t, f.name, &c->fw);
    a->later = t.len > 0;
    if (a->later)
        nft_apply(&t, monitor_done, monitor_job(c, "firewall", committed, request));
}
