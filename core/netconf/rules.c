/* Templates of the firewall's tables, and the commands that change their sets. */
#include "netconf/rules.h"

#include "base/error.h"
#include "wire/grants.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* {i} interface, {d} the one of a device transport, {p} /48, {r} resolver, {c} port of control; the users
 * that may speak follow as a set.  Every packet of the machine passes here: what is not ours leaves
 * after comparing names. */
static const char clan_rules[] =
    "chain entering {\n"
    " meta nfproto ipv4 counter drop\n"
    " ip6 saddr != {p} counter drop\n"
    "}\n"
    "chain raw { type filter hook prerouting priority raw; policy accept;\n"
    " iifname \"{i}\" goto entering\n"
    " iifname \"{d}\" goto entering\n"
    " iifname \"lo\" accept\n"
    " ip6 saddr {p} counter drop\n"
    " ip6 daddr {p} counter drop\n"
    "}\n"
    "chain forward { type filter hook forward priority filter; policy accept;\n"
    " iifname { \"{i}\", \"{d}\" } counter drop\n"
    " oifname { \"{i}\", \"{d}\" } counter drop\n"
    "}\n"
    "chain inside {\n"
    " ct state established,related accept\n"
    " ip6 daddr {r} counter reject with icmpv6 type admin-prohibited\n"
    " ip6 saddr @members icmpv6 type echo-request accept\n"
    " ip6 saddr . ip6 daddr . meta l4proto . th dport @allow accept\n"
    " iifname \"{d}\" ip6 saddr @members tcp dport {c} accept\n"
    " meta l4proto tcp counter reject with tcp reset\n"
    " counter reject with icmpv6 type admin-prohibited\n"
    "}\n"
    "chain input { type filter hook input priority filter; policy accept;\n"
    " iifname \"{i}\" goto inside\n"
    " iifname \"{d}\" goto inside\n"
    "}\n"
    "chain leaving {\n"
    " ct state established,related accept\n"
    " meta skuid @speakers accept\n"
    " meta l4proto tcp counter reject with tcp reset\n"
    " counter reject with icmpv6 type admin-prohibited\n"
    "}\n"
    "chain local {\n"
    " ip6 daddr {r} meta l4proto { tcp, udp } th dport 53 accept\n"
    " ip6 daddr != {p} accept\n"
    " meta nfproto ipv4 accept\n"
    " goto leaving\n"
    "}\n"
    "chain output { type filter hook output priority filter; policy accept;\n"
    " oifname \"{i}\" goto leaving\n"
    " oifname \"{d}\" goto leaving\n"
    " oifname \"lo\" goto local\n"
    " ip6 saddr {p} counter drop\n"
    " ip6 daddr {p} counter drop\n"
    "}\n}\n";

/* The one exception to "nothing is forwarded": {a} phones behind this machine, between their tunnel {d} and the
 * clan, before routing, so that the machine is no router for anybody.  A phone reaches what is in {p}, and what
 * is in {p} reaches it.  {i} {d} as above. */
static const char phones_rules[] =
    "set phones { type ipv6_addr; elements = { {a} } }\n"
    "chain tunnel { type filter hook ingress device \"{d}\" priority 0; policy accept;\n"
    " meta protocol != ip6 accept\n"                      /* and is dropped on its way up */
    " ip6 daddr @phones ip6 saddr @phones counter drop\n" /* allow: could not be asked */
    " ip6 daddr @phones ip6 saddr {p} fwd to \"{d}\"\n"   /* from a member of this device */
    " ip6 daddr @phones counter drop\n"
    " ip6 saddr != @phones accept\n"
    " ip6 daddr != {p} counter drop\n"
    " fib daddr type local accept\n" /* this machine and what it holds: as for any member */
    " fib daddr oifname \"{d}\" fwd to \"{d}\"\n"
    " fwd to \"{i}\"\n"
    "}\n"
    "chain members { type filter hook ingress device \"{i}\" priority 0; policy accept;\n"
    " meta protocol != ip6 accept\n"
    " ip6 saddr @phones counter drop\n" /* they come by their tunnel */
    " ip6 daddr != @phones accept\n"
    " ip6 saddr != {p} counter drop\n"
    " fwd to \"{d}\"\n"
    "}\n}\n";

/* {n} table, {a} the addresses of loopback of a clan, {u} the user who answers there, and nobody else; a rule
 * for each person is between.  No "established": a SYN can look like that, and every packet of a socket that
 * lives has its user. */
static const char people_rules[] =
    "add table inet {n}\ndelete table inet {n}\ntable inet {n} {\n"
    "chain input { type filter hook input priority filter; policy accept;\n"
    " iifname != \"lo\" ip daddr {a} counter drop\n" /* where somebody set route_localnet */
    "}\n"
    "chain output { type filter hook output priority filter; policy accept;\n"
    " oifname != \"lo\" accept\n";
static const char people_last[] = " ip saddr {a} meta skuid != {u} counter drop\n}\n}\n";

#define LAN4 "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, 100.64.0.0/10, 224.0.0.0/4"
#define LAN6 "fc00::/7, fe80::/10, ff00::/8"

/* For plugins on the machine's network: their uids, whatever the clan ({a}-{b} are all of ours). */
static const char hosts_rules[] =
    "add table inet clan_hosts\ndelete table inet clan_hosts\ntable inet clan_hosts {\n"
    "set lan { type uid; }\nset internet { type uid; }\nset overlay { type uid; }\n"
    "set lan4 { type ipv4_addr; flags interval; auto-merge; elements = { " LAN4 " } }\n"
    "set lan6 { type ipv6_addr; flags interval; auto-merge; elements = { " LAN6 " } }\n"
    "chain output { type filter hook output priority filter; policy accept;\n"
    " ct state established,related accept\n" /* before a look at the socket: that is dear */
    " meta skuid {a}-{b} jump ours\n"        /* packets of the kernel have no user and pass */
    "}\n"
    "chain ours {\n"
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

static void speakers(struct text *t, const struct rules_table *f)
{
    for (unsigned i = 0; i < f->speaker_count; i++)
        text_add(t, "%s%u", i ? ", " : "", f->speakers[i]);
}

struct rules_table rules_table_of(const struct netconf *n)
{
    struct rules_table f = {.slot = n->slot, .speaker_count = 1}; /* root */
    const uint8_t *p = n->prefix;
    char prefix[INET6_ADDRSTRLEN];
    snprintf(f.name, sizeof f.name, "clan_%02x%02x%02x%02x%02x", p[1], p[2], p[3], p[4], p[5]);
    snprintf(f.ifname, sizeof f.ifname, "%s", n->ifname);
    netconf_device_name(n, f.device);
    inet_ntop(AF_INET6, p, prefix, sizeof prefix);
    snprintf(f.prefix, sizeof f.prefix, "%s/48", prefix);
    inet_ntop(AF_INET6, n->resolver, f.resolver, sizeof f.resolver);
    return f;
}

void rules_speaker(struct rules_table *f, uid_t uid)
{
    for (unsigned i = 0; i < f->speaker_count; i++)
        if (f->speakers[i] == uid)
            return;
    clan_assert(f->speaker_count < RULES_SPEAKERS_MAX);
    f->speakers[f->speaker_count++] = uid;
}

void rules_table(struct text *t, const struct rules_table *f)
{
    const char *values['z' - 'a' + 1] = {0};
    char control[8];
    snprintf(control, sizeof control, "%u", WARD_DEVICE_PORT);
    values['i' - 'a'] = f->ifname;
    values['d' - 'a'] = f->device;
    values['c' - 'a'] = control;
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

void rules_speakers(struct text *t, const struct rules_table *f)
{
    text_add(t, "flush set inet %s speakers\nadd element inet %s speakers { ", f->name, f->name);
    speakers(t, f);
    text_add(t, " }\n");
}

void rules_phones_remove(struct text *t, const struct rules_table *f)
{
    text_add(t, "add table netdev %s\ndelete table netdev %s\n", f->name, f->name);
}

void rules_remove(struct text *t, const struct rules_table *f)
{
    text_add(t, "add table inet %s\ndelete table inet %s\n", f->name, f->name); /* or it fails */
    text_add(
        t, "add table inet clan_people_%u\ndelete table inet clan_people_%u\n", f->slot, f->slot);
}

void rules_people(
    struct text *t, struct netconf *n, const struct grants *g, uid_t uid, uint32_t permissions)
{
    char table[24], addresses[INET_ADDRSTRLEN + 3], user[16], one[INET_ADDRSTRLEN];
    const char *values['z' - 'a' + 1] = {addresses};
    uint8_t at[16];
    if (!(permissions & GRANT_API_SESSION))
        return;
    n->people_count = grants_people(g, n->people);
    grants_address(n->slot, 0, at);
    snprintf(table, sizeof table, "clan_people_%u", n->slot); /* a slot has its name later */
    snprintf(addresses, sizeof addresses, "%u.%u.%u.0/24", at[12], at[13], at[14]);
    snprintf(user, sizeof user, "%u", uid);
    values['n' - 'a'] = table;
    values['u' - 'a'] = user;
    expand(t, people_rules, values);
    for (unsigned i = 0; i < n->people_count; i++) {
        grants_address(n->slot, i, at);
        inet_ntop(AF_INET, at + 12, one, sizeof one);
        text_add(t,
            " ip daddr %s meta l4proto tcp meta skuid != %u counter reject with tcp reset\n", one,
            n->people[i]);
    }
    expand(t, people_last, values);
}

bool rules_people_told(
    const struct netconf *n, const struct grants *g, const struct grant_plugin *p)
{
    uint32_t uids[GRANTS_PEOPLE_MAX];
    unsigned count = grants_people(g, uids);
    return !(p->permissions & GRANT_API_SESSION) ||
           (count == n->people_count && memcmp(uids, n->people, count * sizeof *uids) == 0);
}

clan_status rules_phones(struct text *t, const struct netconf *n, const struct netconf_device *d,
    const struct ward_device_phones *phones, struct clan_error *e)
{
    char list[WARD_PHONES_MAX * (INET6_ADDRSTRLEN + 2)] = "", address[INET6_ADDRSTRLEN];
    const char *values['z' - 'a' + 1] = {list};
    struct rules_table f = rules_table_of(n);
    size_t len = 0;
    if (phones->count > WARD_PHONES_MAX)
        return err_set(e, CLAN_E_INVAL, "more than %d phones", WARD_PHONES_MAX);
    if (phones->count && d->ifindex == 0)
        return err_set(e, CLAN_E_STATE, "there is no interface that a phone could be behind");
    for (unsigned i = 0; i < phones->count; i++) {
        const uint8_t *a = phones->addresses[i];
        if (!netconf_has(n, a) || !memcmp(a, n->address, 16) || !memcmp(a, n->resolver, 16))
            return err_set(e, CLAN_E_INVAL, "a phone's address that is not in the clan, or ours");
        inet_ntop(AF_INET6, a, address, sizeof address);
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", address);
    }
    values['i' - 'a'] = f.ifname;
    values['d' - 'a'] = f.device;
    values['p' - 'a'] = f.prefix;
    rules_phones_remove(t, &f);
    if (phones->count) {
        text_add(t, "table netdev %s {\n", f.name);
        expand(t, phones_rules, values);
    }
    return CLAN_OK;
}

struct rules_element rules_element(
    const uint8_t peer[16], const uint8_t *dest, uint8_t protocol, uint16_t port, bool want)
{
    struct rules_element e = {.port = port, .protocol = protocol, .want = want};
    memcpy(e.peer, peer, sizeof e.peer);
    if (dest)
        memcpy(e.dest, dest, sizeof e.dest);
    return e;
}

clan_status rules_want(struct rules_set *set, const struct netconf *n,
    const struct rules_element *want, struct clan_error *e)
{
    if (!netconf_has(n, want->peer) || (want->protocol && !netconf_has(n, want->dest)))
        return err_set(e, CLAN_E_INVAL, "an address outside of the clan");
    if (!set->elements)
        set->elements = calloc(RULES_MAX, sizeof *set->elements);
    for (size_t i = 0; set->elements && i < set->count; i++) {
        struct rules_element *at = &set->elements[i];
        if (memcmp(at->peer, want->peer, 16) == 0 && memcmp(at->dest, want->dest, 16) == 0 &&
            at->port == want->port && at->protocol == want->protocol) {
            at->want = want->want;
            return CLAN_OK;
        }
    }
    if (!want->want)
        return CLAN_OK;
    if (!set->elements || set->count == RULES_MAX)
        return err_set(e, CLAN_E_LIMIT, "more than %d firewall entries", RULES_MAX);
    set->elements[set->count++] = *want;
    return CLAN_OK;
}

static void changes_of(struct text *t, const char *table, struct rules_element *e, size_t count,
    bool add, bool members)
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

void rules_changes(struct text *t, const char *table, struct rules_set *set)
{
    size_t kept = 0;
    if (set->unsure) {
        text_add(t, "flush set inet %s members\nflush set inet %s allow\n", table, table);
        rules_forget(set);
    }
    set->unsure = false;
    for (unsigned k = 0; k < 4; k++)
        changes_of(t, table, set->elements, set->count, k & 1, k & 2);
    for (size_t i = 0; i < set->count; i++) {
        set->elements[i].have = set->elements[i].want;
        if (set->elements[i].want)
            set->elements[kept++] = set->elements[i];
    }
    set->count = kept;
}

void rules_clear(struct rules_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        set->elements[i].want = false;
}

void rules_forget(struct rules_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        set->elements[i].have = false;
}

void rules_hosts(struct text *t, uid_t first_uid, uid_t last_uid)
{
    char first[16], last[16];
    const char *values['z' - 'a' + 1] = {first, last};
    snprintf(first, sizeof first, "%u", first_uid);
    snprintf(last, sizeof last, "%u", last_uid);
    expand(t, hosts_rules, values);
}

void rules_host(struct text *t, uid_t uid, uint32_t permissions)
{
    static const struct {
        uint32_t bit;
        const char *set;
    } sets[] = {{GRANT_NET_CONNECT_LAN, "lan"}, {GRANT_NET_CONNECT_INTERNET, "internet"},
        {GRANT_NET_CONNECT_OVERLAY, "overlay"}};
    for (unsigned i = 0; i < 3; i++) /* add first: deleting what is not there fails */
        text_add(t, "add element inet clan_hosts %s { %u }\n%s element inet clan_hosts %s { %u }\n",
            sets[i].set, uid, permissions & sets[i].bit ? "add" : "delete", sets[i].set, uid);
}

void rules_lans(struct text *t, const struct ward_local_addrs *local)
{
    char address[INET6_ADDRSTRLEN];
    for (unsigned v6 = 0; v6 < 2; v6++) {
        text_add(t, "flush set inet clan_hosts lan%u\nadd element inet clan_hosts lan%u { %s",
            v6 ? 6 : 4, v6 ? 6 : 4, v6 ? LAN6 : LAN4);
        for (unsigned i = 0; i < local->count; i++) {
            const uint8_t *a = local->addrs[i].address;
            if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)a) == (v6 != 0))
                continue;
            inet_ntop(v6 ? AF_INET6 : AF_INET, v6 ? a : a + 12, address, sizeof address);
            text_add(t, ", %s/%u", address, local->addrs[i].prefix_len - (v6 ? 0 : 96));
        }
        text_add(t, " }\n");
    }
}
