/* What the facts of a network mean: ok, not known, warn or fail, and what to do.  Logic without I/O. */
#include "base/error.h"
#include "base/text.h"
#include "netcheck/netcheck.h"
#include "wire/grants.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_WARN_S 30
#define CLOCK_FAIL_S 300 /* a machine that is so far off answers no invitations */

const char *net_verdict_word(enum net_verdict v)
{
    static const char *const words[] = {"ok", "unknown", "warn", "fail"};
    return words[v];
}

/* The row; what follows fills in why and what to do. */
static struct net_check *say(struct net_checks *l, const char *id, enum net_verdict v,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void why(struct net_check *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void todo(struct net_check *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static struct net_check *say(
    struct net_checks *l, const char *id, enum net_verdict v, const char *fmt, ...)
{
    va_list ap;
    clan_assert(l->count < NET_CHECKS_MAX);
    struct net_check *n = &l->rows[l->count++];
    *n = (struct net_check){.verdict = v};
    snprintf(n->id, sizeof n->id, "%s", id);
    va_start(ap, fmt);
    vsnprintf(n->what, sizeof n->what, fmt, ap);
    va_end(ap);
    if (v > l->worst)
        l->worst = v;
    return n;
}

static void why(struct net_check *n, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(n->why, sizeof n->why, fmt, ap);
    va_end(ap);
}

static void todo(struct net_check *n, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(n->remedy, sizeof n->remedy, fmt, ap);
    va_end(ap);
}

/* ---- the machine ---- */

static void daemon_of(const struct net_facts *f, struct net_checks *l)
{
    const clan_api_Status *s = &f->status;
    char ago[48];
    struct net_check *n;
    if (!f->daemon) {
        n = say(l, "daemon", NET_FAIL, "%s", f->trouble.what);
        why(n, "%s", f->trouble.why);
        todo(n, "%s", f->trouble.remedy);
        return;
    }
    n = say(l, "daemon", s->catching_up ? NET_WARN : NET_OK, "Clan runs; it started %s",
        text_ago(f->core.runs_s, ago));
    if (s->catching_up)
        why(n, "this machine was away and looks for somebody who knows where the clan is");
    if (s->machines <= 1)
        say(l, "machines", NET_UNKNOWN, "there is no other machine in this clan yet");
    else if (s->reachable == s->machines)
        say(l, "machines", NET_OK, "all %u machines of the clan are connected", s->machines);
    else {
        n = say(l, "machines", s->reachable > 1 ? NET_WARN : NET_FAIL,
            "%u of %u machines are connected", s->reachable, s->machines);
        why(n, "the others are off, or the two do not reach each other");
        todo(n, "see which: clan machines; then run clan netcheck there");
    }
}

static void overlay_of(const struct net_facts *f, struct net_checks *l)
{
    char address[64];
    if (f->overlay[0]) {
        say(l, "overlay", NET_OK, "%s has %s, packets of up to %u bytes", f->overlay,
            inet_ntop(AF_INET6, f->status.address, address, sizeof address), f->overlay_mtu);
        return;
    }
    struct net_check *n = say(l, "overlay", NET_FAIL, "no interface has this machine's address %s",
        inet_ntop(AF_INET6, f->status.address, address, sizeof address));
    why(n, f->core.net_up ? "somebody took it away, or IPv6 is switched off on this computer"
                          : "the network of the clan is not up yet");
    todo(n, "see: clan status; clan down and clan up build it anew; sysctl "
            "net.ipv6.conf.all.disable_ipv6 must be 0");
}

static void addresses_of(const struct net_facts *f, struct net_checks *l)
{
    char list[200] = "";
    size_t len = 0;
    bool v6 = false;
    for (unsigned i = 0; i < f->address_count; i++) {
        const struct net_address *a = &f->addresses[i];
        v6 |= a->v6 && a->is_public;
        if (len + 80 < sizeof list)
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%s %s%s", len ? ", " : "",
                a->ifname, a->text, a->is_public ? "" : " (private)");
        else if (len < sizeof list && list[len - 1] != '.')
            len += (size_t)snprintf(list + len, sizeof list - len, ", ...");
    }
    if (!f->address_count) {
        struct net_check *n =
            say(l, "addresses", NET_FAIL, "this computer has no address but of the clan");
        why(n, "no interface is up and has one");
        todo(n, "connect it to a network: ip address shows what there is");
        return;
    }
    say(l, "addresses", NET_OK, "%s", list);
    say(l, "ipv6", NET_OK, "%s",
        v6 ? "this computer has an IPv6 address of the internet"
           : "no IPv6 address of the internet: IPv4 is enough for Clan");
}

static void clock_of(const struct net_facts *f, struct net_checks *l)
{
    int64_t off = llabs(f->core.clock_offset_s);
    if (f->core.clocks == 0) {
        struct net_check *n = say(l, "clock", NET_UNKNOWN, "the clock could not be compared");
        why(n, "no confirmed machine of the clan is connected");
        return;
    }
    if (off <= CLOCK_WARN_S) {
        say(l, "clock", NET_OK, "the clock agrees with %u other%s", f->core.clocks,
            f->core.clocks == 1 ? "" : "s");
        return;
    }
    struct net_check *n = say(l, "clock", off > CLOCK_FAIL_S ? NET_FAIL : NET_WARN,
        "the clock is %" PRId64 " seconds %s the others'", off,
        f->core.clock_offset_s > 0 ? "behind" : "ahead of");
    why(n, off > CLOCK_FAIL_S ? "so this machine answers no invitations, and times in logs mislead"
                              : "times in logs mislead");
    todo(n, "set it, or turn on time synchronisation: timedatectl set-ntp true");
}

/* ---- names ---- */

static void wrong_names(const struct net_facts *f, struct net_checks *l)
{
    struct net_check *n;
    if (f->names == NET_NAMES_SLOW) {
        n = say(l, "names", NET_FAIL, "asking for %s takes longer than a program waits", f->name);
        why(n, f->resolver == NET_ANSWER_NO
                   ? "Clan's resolver does not answer"
                   : "another name server of this computer does not answer: /etc/resolv.conf");
    } else if (f->names == NET_NAMES_OTHER) {
        n = say(l, "names", NET_FAIL, "%s is another machine's address here", f->name);
        why(n, "the hosts file or another name server says so");
    } else {
        n = say(l, "names", NET_FAIL, "programs do not find %s", f->name);
        why(n, f->resolver == NET_ANSWER_YES
                   ? "Clan's resolver knows it, but this computer does not ask it"
                   : "Clan's resolver does not answer");
    }
    todo(n, f->resolver == NET_ANSWER_YES
                ? "look at dns: in machine.yaml, at /etc/nsswitch.conf and at resolvectl status"
                : "see: clan logs --process resolver; clan down and clan up start it anew");
}

static void names_of(const struct net_facts *f, struct net_checks *l)
{
    struct net_check *n;
    if (f->names == NET_NAMES_OK && f->resolver != NET_ANSWER_NO) {
        say(l, "names", NET_OK, "programs find %s", f->name);
    } else if (f->names == NET_NAMES_OK) {
        n = say(
            l, "names", NET_WARN, "programs find %s, but Clan's resolver does not answer", f->name);
        why(n, "the names come from the hosts file; who asks a name server gets none");
        todo(n, "see: clan logs --process resolver; clan down and clan up start it anew");
    } else if (f->core.dns == GRANT_DNS_OFF) {
        n = say(l, "names", NET_WARN, "programs do not find %s", f->name);
        why(n, "machine.yaml says dns: off");
        todo(n, "for names: dns: auto there, then run as root: clan machine apply");
    } else if (f->names != NET_NAMES_UNKNOWN) {
        wrong_names(f, l);
    } else {
        say(l, "names", NET_UNKNOWN, "names could not be asked for");
    }
}

/* ---- the firewall ---- */

static void firewall_of(const struct net_facts *f, struct net_checks *l)
{
    struct net_check *n;
    if (f->firewall == NET_ANSWER_NO) {
        n = say(l, "firewall", NET_FAIL, "the table %s of the firewall is not there", f->table);
        why(n, "something emptied the rules of this computer, so what listens here is open to "
               "every machine of the clan; a restart of nftables.service does that");
        todo(n, "run: clan down, then clan up; and take `flush ruleset` out of /etc/nftables.conf");
    } else if (!f->core.firewall_told) {
        n = say(l, "firewall", NET_WARN, "the firewall does not have all of its rules yet");
        why(n, "they are being told to it; until then it lets in less");
        todo(n, "if it stays so, see: clan logs --process cland");
    } else if (f->firewall == NET_ANSWER_YES) {
        say(l, "firewall", NET_OK, "the table %s stands, with all rules", f->table);
    } else {
        n = say(l, "firewall", NET_UNKNOWN, "all rules were told to the firewall");
        why(n, "whether they are still there, root alone may see");
        todo(n, "run: sudo clan netcheck");
    }
}

/* ---- transports ---- */

static void runs(const clan_api_NetTransport *t, struct net_checks *l)
{
    char id[64], list[160] = "";
    size_t len = 0;
    struct net_check *n;
    snprintf(id, sizeof id, "%s", t->transport);
    for (unsigned i = 0; i < t->endpoints_count && len + 70 < sizeof list; i++)
        len += (size_t)snprintf(
            list + len, sizeof list - len, "%s%.64s", len ? ", " : "", t->endpoints[i]);
    if (strcmp(t->state, "up") == 0 && t->endpoints_count) {
        say(l, id, NET_OK, "%s runs and listens at %s", t->transport, list);
    } else if (strcmp(t->state, "up") == 0) {
        n = say(l, id, NET_WARN, "%s runs, but listens at no address", t->transport);
        why(n, "%s", t->why[0] ? t->why : "so nobody can come to this machine by it");
        todo(n, "%s", t->remedy[0] ? t->remedy : "look at net.listen of it in machine.yaml");
    } else if (strcmp(t->state, "not granted") == 0) {
        n = say(l, id, NET_WARN, "%s does not run: it is not granted here", t->transport);
        why(n, "clan.yaml names it, and the owner of this computer has not allowed it");
        todo(n, "if it is wanted: sudo clan plugin grant %s", t->transport);
    } else {
        bool starting = strcmp(t->state, "starting") == 0;
        n = say(l, id, starting ? NET_WARN : NET_FAIL, "%s %s", t->transport,
            starting ? "is starting" : "does not run");
        why(n, "%s", t->why);
        todo(n, "%s%s", t->remedy[0] ? t->remedy : "see: clan logs --process ",
            t->remedy[0] ? "" : t->transport);
    }
}

static void goes_out(const clan_api_NetTransport *t, struct net_checks *l)
{
    char id[64], ago[48];
    struct net_check *n;
    snprintf(id, sizeof id, "%s out", t->transport);
    if (t->out_s && (t->sessions || !t->failures)) {
        say(l, id, NET_OK, "this machine reached %s by %s %s", t->out_to, t->transport,
            text_ago(t->out_s, ago));
    } else if (t->failures) {
        n = say(l, id, t->sessions ? NET_WARN : NET_FAIL,
            "%u call%s by %s came to nothing, the last one to %s %s", t->failures,
            t->failures == 1 ? "" : "s", t->transport, t->failed_to, text_ago(t->failed_s, ago));
        why(n, "that machine is off or elsewhere, or a firewall on the way or there lets nothing "
               "through");
        todo(n, "if it is on, run clan netcheck there");
    } else {
        say(l, id, NET_UNKNOWN, "%s",
            t->machines ? "no other machine has been called by it yet"
                        : "no other machine listens by it");
    }
}

static void comes_in(
    const struct net_facts *f, const clan_api_NetTransport *t, struct net_checks *l)
{
    char id[64], ago[48];
    const char *port = t->endpoints_count ? strrchr(t->endpoints[0], ':') : NULL;
    snprintf(id, sizeof id, "%s in", t->transport);
    if (t->in_s) {
        say(l, id, NET_OK, "%s came to this machine by %s %s%s", t->in_from, t->transport,
            text_ago(t->in_s, ago), t->far_s ? "; others did from another network" : "");
        return;
    }
    bool missed = f->status.reachable < f->status.machines;
    struct net_check *n = say(l, id, missed ? NET_WARN : NET_UNKNOWN,
        "nobody came to this machine by %s since it started", t->transport);
    why(n, "either nobody had to, or a firewall or router in front of it lets nothing in");
    if (t->meets)
        todo(n, "nothing, unless machines stay away: it needs no open port");
    else
        todo(n, "let port %.5s in to this computer, in its own firewall and in its router",
            port ? port + 1 : "of it");
}

static void passes(const struct net_facts *f, unsigned i, struct net_checks *l)
{
    const clan_api_NetTransport *t = &f->transports[i];
    char id[64];
    struct net_check *n;
    snprintf(id, sizeof id, "%s mtu", t->transport);
    if (!t->via[0])
        return;
    if (f->path[i].small == NET_ANSWER_NO) {
        n = say(l, id, NET_FAIL, "%s is connected by %s, but no packet comes back", t->via_machine,
            t->transport);
        why(n, "the tunnel stands, but what goes into it is lost");
        todo(n, "see: clan paths %s; clan status there", t->via_machine);
    } else if (f->path[i].big == NET_ANSWER_NO) {
        n = say(l, id, NET_FAIL, "small packets pass to %s by %s, full ones of %u bytes do not",
            t->via_machine, t->transport, f->overlay_mtu);
        why(n,
            "something on the way drops long packets and does not say so; the kernel takes "
            "%u bytes for the path",
            f->path[i].mtu);
        todo(n, "set a smaller MTU on this computer's interface (ip link set dev NAME mtu 1280), "
                "or let ICMP \"packet too big\" through the routers");
    } else if (f->path[i].big == NET_ANSWER_YES) {
        say(l, id, NET_OK, "full packets pass to %s by %s; path MTU %u", t->via_machine,
            t->transport, f->path[i].mtu ? f->path[i].mtu : f->overlay_mtu);
    } else if (f->path[i].mtu) {
        say(l, id, NET_OK, "the path to %s by %s takes packets of %u bytes, as far as is known",
            t->via_machine, t->transport, f->path[i].mtu);
    }
}

/* ---- behind a router ---- */

static void nat_of(const struct net_facts *f, struct net_checks *l)
{
    bool is_public = false, far = false, meets = false;
    for (unsigned i = 0; i < f->address_count; i++)
        is_public |= f->addresses[i].is_public;
    for (unsigned i = 0; i < f->transport_count; i++) {
        far |= f->transports[i].far_s != 0;
        meets |= f->transports[i].meets && strcmp(f->transports[i].state, "up") == 0;
    }
    if (!f->address_count)
        return;
    if (far) {
        say(l, "nat", NET_OK, "machines of other networks come to this one");
    } else if (is_public) {
        say(l, "nat", NET_OK, "this computer has an address of the internet");
    } else if (meets) {
        say(l, "nat", NET_OK,
            "only private addresses, but a transport runs that needs no open port");
    } else {
        bool missed = f->status.reachable < f->status.machines;
        struct net_check *n = say(l, "nat", missed ? NET_WARN : NET_UNKNOWN,
            "only private addresses, and nobody ever came from another network");
        why(n, "this computer is probably behind a router: only machines of its own network can "
               "call it, while it can call those that have an open port");
        todo(n, "if others cannot reach it: forward a port on the router to it, or use the "
                "transport tor");
    }
}

void net_judge(const struct net_facts *f, struct net_checks *ret)
{
    bool any = false;
    *ret = (struct net_checks){0};
    daemon_of(f, ret);
    if (f->probed)
        addresses_of(f, ret);
    if (!f->daemon)
        return;
    if (f->probed)
        overlay_of(f, ret);
    for (unsigned i = 0; i < f->transport_count; i++) {
        const clan_api_NetTransport *t = &f->transports[i];
        bool up = strcmp(t->state, "up") == 0;
        any |= up;
        runs(t, ret);
        if (!up || f->status.machines <= 1)
            continue;
        goes_out(t, ret);
        comes_in(f, t, ret);
        passes(f, i, ret);
    }
    if (!any) {
        struct net_check *n = say(ret, "transports", NET_FAIL, "no transport runs");
        why(n, "this machine reaches nobody and nobody reaches it");
        todo(n, "see the lines above");
    }
    nat_of(f, ret);
    names_of(f, ret);
    firewall_of(f, ret);
    clock_of(f, ret);
}
