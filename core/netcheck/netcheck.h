/* What is known of this machine's network, and what is made of it. */
#ifndef NETCHECK_NETCHECK_H
#define NETCHECK_NETCHECK_H

#include "wire/api.pb.h"

#include <clan/status.h>
#include <stdbool.h>

#define NET_ADDRESSES_MAX  32
#define NET_TRANSPORTS_MAX 8
#define NET_CHECKS_MAX     48

/* One address of an interface of this computer that is no overlay. */
struct net_address {
    char ifname[16], text[64];
    bool v6, is_public;
};

enum net_names { NET_NAMES_UNKNOWN, NET_NAMES_OK, NET_NAMES_NONE, NET_NAMES_OTHER, NET_NAMES_SLOW };
enum net_answer { NET_ANSWER_UNKNOWN, NET_ANSWER_YES, NET_ANSWER_NO };

struct net_facts {
    bool daemon;               /* the core answered */
    struct clan_error trouble; /* why not */
    clan_api_Status status;
    clan_api_NetFacts core;
    clan_api_NetTransport transports[NET_TRANSPORTS_MAX];
    unsigned transport_count;

    bool probed; /* what follows was looked at: a plugin cannot */
    struct net_address addresses[NET_ADDRESSES_MAX];
    unsigned address_count;
    char overlay[16]; /* the interface with the machine's own clan address; "": none has it */
    unsigned overlay_mtu;

    char name[80];            /* that was asked for */
    enum net_names names;     /* as a program asks */
    enum net_answer resolver; /* Clan's own, asked directly */
    enum net_answer firewall; /* the table stands; UNKNOWN: only root may look */
    char table[24];
    struct {
        unsigned mtu; /* that the kernel knows to the peer's address; 0: no such address */
        enum net_answer small, big; /* echoes through the tunnel, both ways */
    } path[NET_TRANSPORTS_MAX];     /* of transports[] */
};

enum net_verdict { NET_OK, NET_UNKNOWN, NET_WARN, NET_FAIL };
struct net_check {
    char id[48]; /* "clock", "tcp-noise in" */
    enum net_verdict verdict;
    char what[240], why[360], remedy[280];
};
struct net_checks {
    struct net_check rows[NET_CHECKS_MAX];
    unsigned count;
    enum net_verdict worst;
};

/* Without I/O. */
void net_judge(const struct net_facts *f, struct net_checks *ret);
const char *net_verdict_word(enum net_verdict v);

#endif
