/* The firewall: text for nft from addresses and numbers only.  Tables outlive us: closed when we
 * die. */
#include "warden/warden.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* {n} table, {i} interface, {p} /48, {r} resolver; the users that may speak follow as a set. */
static const char clan_rules[] =
    "chain raw { type filter hook prerouting priority raw; policy accept;\n"
    " iifname \"{i}\" meta nfproto ipv4 counter drop\n"
    " iifname \"{i}\" ip6 saddr != {p} counter drop\n"
    " iifname { \"{i}\", \"lo\" } accept\n"
    " ip6 saddr {p} counter drop\n"
    " ip6 daddr {p} counter drop\n"
    "}\n"
    "chain forward { type filter hook forward priority filter; policy accept;\n"
    " iifname \"{i}\" counter drop\n"
    " oifname \"{i}\" counter drop\n"
    "}\n"
    "chain input { type filter hook input priority filter; policy accept;\n"
    " iifname != \"{i}\" accept\n"
    " ct state established,related accept\n"
    " ip6 daddr {r} counter reject with icmpv6 type admin-prohibited\n"
    " ip6 saddr @members icmpv6 type echo-request accept\n"
    " ip6 saddr . ip6 daddr . meta l4proto . th dport @allow accept\n"
    " meta l4proto tcp counter reject with tcp reset\n"
    " counter reject with icmpv6 type admin-prohibited\n"
    "}\n"
    "chain output { type filter hook output priority filter; policy accept;\n"
    " oifname != { \"{i}\", \"lo\" } ip6 saddr {p} counter drop\n"
    " oifname != { \"{i}\", \"lo\" } ip6 daddr {p} counter drop\n"
    " oifname \"lo\" ip6 daddr {r} meta l4proto { tcp, udp } th dport 53 accept\n"
    " oifname \"lo\" ip6 daddr != {p} accept\n"
    " oifname != { \"{i}\", \"lo\" } accept\n"
    " ct state established,related accept\n"
    " meta skuid @speakers accept\n"
    " meta l4proto tcp counter reject with tcp reset\n"
    " counter reject with icmpv6 type admin-prohibited\n"
    "}\n}\n";

#define LAN4 "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, 100.64.0.0/10, 224.0.0.0/4"
#define LAN6 "fc00::/7, fe80::/10, ff00::/8"

/* For plugins on the machine's network: their uids, whatever the clan ({a}-{b} are all of ours). */
static const char hosts_rules[] =
    "add table inet clan_hosts\ndelete table inet clan_hosts\ntable inet clan_hosts {\n"
    "set lan { type uid; }\nset internet { type uid; }\nset overlay { type uid; }\n"
    "set lan4 { type ipv4_addr; flags interval; auto-merge; elements = { " LAN4 " } }\n"
    "set lan6 { type ipv6_addr; flags interval; auto-merge; elements = { " LAN6 " } }\n"
    "chain output { type filter hook output priority filter; policy accept;\n"
    " meta skuid {a}-{b} jump ours\n" /* packets of the kernel have no user and pass */
    "}\n"
    "chain ours {\n"
    " ct state established,related accept\n"
    " oifname \"clan*\" meta skuid @overlay accept\n"
    " oifname { \"clan*\", \"lo\" } counter reject with icmpx type admin-prohibited\n"
    " ip daddr @lan4 meta skuid @lan accept\n"
    " ip6 daddr @lan6 meta skuid @lan accept\n"
    " ip daddr @lan4 counter reject with icmpx type admin-prohibited\n"
    " ip6 daddr @lan6 counter reject with icmpx type admin-prohibited\n"
    " meta skuid @internet accept\n"
    " counter reject with icmpx type admin-prohibited\n"
    "}\n}\n";

/* Copies a template; "{x}" becomes values[x - 'a']. */
static void expand(struct text *t, const char *from, const char *const values['z' - 'a' + 1])
{
    for (const char *p; (p = strchr(from, '{')); from = p) {
        const char *value = p[1] >= 'a' && p[1] <= 'z' && p[2] == '}' ? values[p[1] - 'a'] : NULL;
        text_add(t, "%.*s%s", (int)(p - from), from, value ? value : "{");
        p += value ? 3 : 1;
    }
    text_add(t, "%s", from);
}

static void speakers(struct text *t, const struct fw_table *f)
{
    for (unsigned i = 0; i < f->speaker_count; i++)
        text_add(t, "%s%u", i ? ", " : "", f->speakers[i]);
}

void firewall_table(struct text *t, const struct fw_table *f)
{
    const char *values['z' - 'a' + 1] = {0};
    values['i' - 'a'] = f->ifname;
    values['p' - 'a'] = f->prefix;
    values['r' - 'a'] = f->resolver;
    text_add(
        t, "add table inet %s\ndelete table inet %s\ntable inet %s {\n", f->name, f->name, f->name);
    text_add(t, "set members { type ipv6_addr; }\n");
    text_add(t, "set allow { type ipv6_addr . ipv6_addr . inet_proto . inet_service; }\n");
    text_add(t, "set speakers { type uid; elements = { ");
    speakers(t, f);
    text_add(t, " } }\n");
    expand(t, clan_rules, values);
}

void firewall_hosts_table(struct text *t, uid_t base)
{
    char first[16], last[16];
    const char *values['z' - 'a' + 1] = {first, last};
    snprintf(first, sizeof first, "%u", base);
    snprintf(last, sizeof last, "%u", base + WARD_SLOTS * WARD_UIDS - 1);
    expand(t, hosts_rules, values);
}

static void changes_of(
    struct text *t, const char *table, struct fw_element *e, size_t count, bool add, bool members)
{
    char peer[INET6_ADDRSTRLEN], dest[INET6_ADDRSTRLEN];
    unsigned printed = 0;
    for (size_t i = 0; i < count; i++) {
        if (e[i].want == e[i].have || e[i].want != add || (e[i].protocol == 0) != members)
            continue;
        if (printed++ == 0)
            text_add(t, "%s element inet %s %s { ", add ? "add" : "delete", table,
                members ? "members" : "allow");
        inet_ntop(AF_INET6, e[i].peer, peer, sizeof peer);
        inet_ntop(AF_INET6, e[i].dest, dest, sizeof dest);
        text_add(t, "%s%s", printed > 1 ? ", " : "", peer);
        if (!members)
            text_add(t, " . %s . %s . %u", dest, e[i].protocol == IPPROTO_TCP ? "tcp" : "udp",
                e[i].port);
    }
    if (printed)
        text_add(t, " }\n");
}

/* Tools run in order, so what was told counts as there for the next text.  Returns how many remain.
 */
size_t firewall_changes(struct text *t, const char *table, struct fw_element *e, size_t count)
{
    size_t kept = 0;
    for (unsigned k = 0; k < 4; k++)
        changes_of(t, table, e, count, k & 1, k & 2);
    for (size_t i = 0; i < count; i++) {
        e[i].have = e[i].want;
        if (e[i].want)
            e[kept++] = e[i];
    }
    return kept;
}

static struct fw_table table_of(const struct clan *c)
{
    const struct grants *g = &c->warden->grants;
    struct fw_table f = {.speaker_count = 1}; /* root */
    uint8_t resolver[16];
    char prefix[INET6_ADDRSTRLEN];
    snprintf(f.name, sizeof f.name, "clan_%02x%02x%02x%02x%02x", c->prefix[1], c->prefix[2],
        c->prefix[3], c->prefix[4], c->prefix[5]);
    snprintf(f.ifname, sizeof f.ifname, "%s", c->ifname);
    inet_ntop(AF_INET6, c->prefix, prefix, sizeof prefix);
    snprintf(f.prefix, sizeof f.prefix, "%s/48", prefix);
    memcpy(resolver, c->prefix, 16);
    resolver[15] = 0x53;
    inet_ntop(AF_INET6, resolver, f.resolver, sizeof f.resolver);
    if (c->warden->have_grants && g->owner_uid)
        f.speakers[f.speaker_count++] = g->owner_uid;
    for (unsigned i = 0; c->warden->have_grants && i < g->user_count; i++)
        if (g->users[i] && g->users[i] != g->owner_uid)
            f.speakers[f.speaker_count++] = g->users[i];
    for (unsigned i = 0; i < WARD_CHILDREN_MAX; i++) {
        const struct child *ch = &c->children[i];
        const struct grant_plugin *p =
            ch->clan && ch->kind == WARD_KIND_HOST ? grants_find(g, ch->plugin) : NULL;
        if (p && (p->permissions & GRANT_NET_CONNECT_OVERLAY))
            f.speakers[f.speaker_count++] = ch->uid;
    }
    return f;
}

struct fw_job {
    unsigned slot;
    uint32_t generation;
    firewall_fn *fn;
    _Alignas(8) uint8_t request[128];
};

static void job_done(struct warden *w, void *arg, const struct clan_error *e)
{
    struct fw_job *j = arg;
    struct clan *c = &w->clans[j->slot];
    struct clan_error none = CLAN_ERROR_INIT;
    if (e)
        logs_error(c->generation == j->generation && c->used ? c : NULL, "firewall", e);
    if (j->fn && c->used && c->generation == j->generation)
        j->fn(c, j->request, e ? e : &none);
}

static void nft(struct clan *c, struct text *t, firewall_fn *fn, const void *request, size_t size)
{
    static const char *const argv[] = {"/usr/sbin/nft", "-f", "-", NULL};
    struct fw_job *j = calloc(1, sizeof *j);
    clan_assert(j && size <= sizeof j->request);
    *j = (struct fw_job){.slot = c->slot, .generation = c->generation, .fn = fn};
    memcpy(j->request, request, size);
    tool_run(c->warden, TOOL_RULES, argv, t, job_done, j);
}

void firewall_up(struct clan *c, const void *request, size_t size, firewall_fn *fn)
{
    struct text t = {0};
    struct fw_table f = table_of(c);
    firewall_table(&t, &f);
    for (size_t i = 0; i < c->fw_count; i++)
        c->fw[i].have = false; /* the new table has no elements */
    nft(c, &t, fn, request, size);
}

void firewall_speakers(struct clan *c)
{
    struct text t = {0};
    struct fw_table f = table_of(c);
    if (!c->net_up)
        return;
    text_add(&t, "flush set inet %s speakers\nadd element inet %s speakers { ", f.name, f.name);
    speakers(&t, &f);
    text_add(&t, " }\n");
    nft(c, &t, NULL, "", 0);
}

void firewall_host(struct clan *c, uid_t uid, uint32_t permissions, const void *request,
    size_t size, firewall_fn *fn)
{
    static const struct {
        uint32_t bit;
        const char *set;
    } sets[] = {{GRANT_NET_CONNECT_LAN, "lan"}, {GRANT_NET_CONNECT_INTERNET, "internet"},
        {GRANT_NET_CONNECT_OVERLAY, "overlay"}};
    struct text t = {0};
    for (unsigned i = 0; i < 3; i++) /* add first: deleting what is not there fails */
        text_add(&t,
            "add element inet clan_hosts %s { %u }\n%s element inet clan_hosts %s { %u }\n",
            sets[i].set, uid, permissions & sets[i].bit ? "add" : "delete", sets[i].set, uid);
    nft(c, &t, fn, request, size);
}

void firewall_down(struct clan *c)
{
    struct text t = {0};
    struct fw_table f = table_of(c);
    text_add(&t, "add table inet %s\ndelete table inet %s\n", f.name, f.name);
    nft(c, &t, NULL, "", 0);
    c->fw_count = 0;
}

static void hosts_table_done(struct warden *w, void *arg, const struct clan_error *e)
{
    (void)arg;
    w->hosts_table = !e;
    if (e)
        logs_error(NULL, "no plugin gets the machine's network", e);
    else
        firewall_lans(w);
}

static void run(struct warden *w, struct text *t, tool_fn *fn)
{
    static const char *const argv[] = {"/usr/sbin/nft", "-f", "-", NULL};
    tool_run(w, TOOL_RULES, argv, t, fn, NULL);
}

void firewall_begin(struct warden *w)
{
    struct text t = {0};
    firewall_hosts_table(&t, w->opt.uid_base);
    run(w, &t, hosts_table_done);
}

/* What "lan" means: private ranges and the subnets that are directly attached right now. */
void firewall_lans(struct warden *w)
{
    struct ward_local_addrs local = {0};
    struct text t = {0};
    char address[INET6_ADDRSTRLEN];
    unsigned n = net_local(w, &local);
    for (unsigned v6 = 0; v6 < 2; v6++) {
        text_add(&t, "flush set inet clan_hosts lan%u\nadd element inet clan_hosts lan%u { %s",
            v6 ? 6 : 4, v6 ? 6 : 4, v6 ? LAN6 : LAN4);
        for (unsigned i = 0; i < n; i++) {
            const uint8_t *a = local.addrs[i].address;
            if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)a) == (v6 != 0))
                continue;
            inet_ntop(v6 ? AF_INET6 : AF_INET, v6 ? a : a + 12, address, sizeof address);
            text_add(&t, ", %s/%u", address, local.addrs[i].prefix_len - (v6 ? 0 : 96));
        }
        text_add(&t, " }\n");
    }
    if (w->hosts_table)
        run(w, &t, NULL);
    else
        free(t.data);
}

static void element_set(struct clan *c, const struct fw_element *want, uint32_t serial)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct fw_element *at = NULL;
    if (!c->fw)
        c->fw = calloc(WARD_FW_MAX, sizeof *c->fw);
    for (size_t i = 0; c->fw && i < c->fw_count && !at; i++)
        if (memcmp(c->fw[i].peer, want->peer, 16) == 0 &&
            memcmp(c->fw[i].dest, want->dest, 16) == 0 && c->fw[i].port == want->port &&
            c->fw[i].protocol == want->protocol)
            at = &c->fw[i];
    if (!net_in_prefix(c, want->peer) || (want->protocol && !net_in_prefix(c, want->dest)))
        err_set(&e, CLAN_E_INVAL, "an address outside of the clan");
    else if (!at && want->want && (!c->fw || c->fw_count == WARD_FW_MAX))
        err_set(&e, CLAN_E_LIMIT, "more than %d firewall entries", WARD_FW_MAX);
    else if (at)
        at->want = want->want;
    else if (want->want)
        c->fw[c->fw_count++] = *want;
    monitor_answer(c, serial, &e, 0, 0, -1);
}

void firewall_member(struct clan *c, const void *request)
{
    const struct ward_fw_member *r = request;
    struct fw_element e = {.want = r->add != 0};
    memcpy(e.peer, r->peer, 16);
    element_set(c, &e, r->head.serial);
}

void firewall_allow(struct clan *c, const void *request)
{
    const struct ward_fw_allow *r = request;
    struct fw_element e = {.port = r->port, .protocol = r->protocol, .want = r->add != 0};
    memcpy(e.peer, r->peer, 16);
    memcpy(e.dest, r->dest, 16);
    if (r->protocol != IPPROTO_TCP && r->protocol != IPPROTO_UDP)
        monitor_kill(c, "asked for a protocol that is neither TCP nor UDP");
    else
        element_set(c, &e, r->head.serial);
}

void firewall_clear(struct clan *c, const void *request)
{
    for (size_t i = 0; i < c->fw_count; i++)
        c->fw[i].want = false;
    monitor_answer(c, ((const struct ward_head *)request)->serial, NULL, 0, 0, -1);
}

static void committed(struct clan *c, const void *request, const struct clan_error *e)
{
    c->fw_unsure |= e->status != CLAN_OK;
    monitor_answer(c, ((const struct ward_head *)request)->serial, e, 0, 0, -1);
}

void firewall_commit(struct clan *c, const void *request)
{
    struct clan_error none = CLAN_ERROR_INIT;
    struct text t = {0};
    struct fw_table f = table_of(c);
    if (c->fw_unsure) { /* an earlier transaction failed: say everything again */
        text_add(&t, "flush set inet %s members\nflush set inet %s allow\n", f.name, f.name);
        for (size_t i = 0; i < c->fw_count; i++)
            c->fw[i].have = false;
        c->fw_unsure = false;
    }
    c->fw_count = firewall_changes(&t, f.name, c->fw, c->fw_count);
    if (t.len)
        nft(c, &t, committed, request, sizeof(struct ward_simple));
    else
        committed(c, request, &none);
}
