/* The process around the table: core's channel and the UDP socket. */
#include "resolver/serve.h"

#include "base/error.h"
#include "base/log.h"
#include "wire/channel.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define READY_AGAIN_MS 100
#define COUNTS_MS      60000
#define UDP_BATCH      32 /* datagrams before the loop looks at core's channel again */

size_t resolver_handle(
    struct resolver *r, const uint8_t *query, size_t size, uint8_t ret_reply[RESOLVER_REPLY_MAX])
{
    enum resolver_outcome outcome;
    size_t len = resolver_answer(r->table, query, size, ret_reply, RESOLVER_REPLY_MAX, &outcome);
    uint64_t *counts[] = {[RESOLVER_ANSWERED] = &r->counts.answered,
        [RESOLVER_UNKNOWN] = &r->counts.unknown,
        [RESOLVER_REFUSED] = &r->counts.refused,
        [RESOLVER_MALFORMED] = &r->counts.malformed};
    ++*counts[outcome];
    return len;
}

static void on_datagram(void *arg, int fd, uint32_t events)
{
    struct resolver *r = arg;
    (void)events;
    for (unsigned i = 0; i < UDP_BATCH; i++) {
        uint8_t query[RESOLVER_QUERY_MAX + 1], reply[RESOLVER_REPLY_MAX];
        struct sockaddr_in6 from;
        socklen_t from_size = sizeof from;
        ssize_t n =
            recvfrom(fd, query, sizeof query, MSG_DONTWAIT, (struct sockaddr *)&from, &from_size);
        if (n < 0)
            return;
        size_t len = resolver_handle(r, query, (size_t)n, reply);
        if (len) /* a full buffer loses the reply, as UDP does */
            (void)sendto(
                fd, reply, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&from, from_size);
    }
}

static void send_ready(void *arg)
{
    struct resolver *r = arg;
    clan_resolver_FromResolver m = {.which_m = clan_resolver_FromResolver_ready_tag};
    snprintf(m.m.ready.build, sizeof m.m.ready.build, "%s", CLAN_VERSION);
    clan_status st =
        channel_send(RESOLVER_CHANNEL_FD, clan_resolver_FromResolver_fields, &m, NULL, 0);
    if (st == CLAN_E_AGAIN)
        loop_timer_in(r->loop, READY_AGAIN_MS, send_ready, r);
}

static void send_counts(void *arg)
{
    struct resolver *r = arg;
    clan_resolver_FromResolver m = {
        .which_m = clan_resolver_FromResolver_counts_tag, .m.counts = r->counts};
    if (memcmp(&r->counts, &r->told, sizeof r->told) != 0 &&
        channel_send(RESOLVER_CHANNEL_FD, clan_resolver_FromResolver_fields, &m, NULL, 0) ==
            CLAN_OK)
        r->told = r->counts;
    loop_timer_in(r->loop, COUNTS_MS, send_counts, r);
}

static void apply(struct resolver *r, const clan_resolver_ToResolver *m)
{
    clan_status st = CLAN_OK;
    switch (m->which_m) {
    case clan_resolver_ToResolver_zone_tag:
        st = resolver_zone(r->table, m->m.zone.petname);
        send_ready(r);
        break;
    case clan_resolver_ToResolver_name_tag:
        st = resolver_name_set(r->table, m->m.name.name, m->m.name.address);
        break;
    case clan_resolver_ToResolver_name_gone_tag:
        resolver_name_gone(r->table, m->m.name_gone.name);
        break;
    default:
        st = CLAN_E_PROTO;
    }
    if (st != CLAN_OK)
        log_warn("a message about names was refused: %s", clan_status_text(st));
}

static void on_core(void *arg, int fd, uint32_t events)
{
    struct resolver *r = arg;
    (void)events;
    for (;;) {
        clan_resolver_ToResolver m = clan_resolver_ToResolver_init_zero;
        int none[1];
        size_t fd_count;
        clan_status st = channel_recv(fd, clan_resolver_ToResolver_fields, &m, none, 0, &fd_count);
        if (st == CLAN_E_AGAIN)
            return;
        if (st != CLAN_OK) { /* the warden ends the channel with us, or it is another build */
            if (st == CLAN_E_PROTO)
                log_error("core sent something that is no message: ending");
            loop_stop(r->loop, st == CLAN_E_PROTO);
            return;
        }
        apply(r, &m);
    }
}

int resolver_serve(void)
{
    static struct resolver r;
    log_init(RESOLVER_LOG_FD, LOG_LEVEL_INFO);
    r.loop = loop_new();
    r.table = resolver_table_new();
    if (!r.loop || !r.table ||
        loop_fd_add(r.loop, RESOLVER_CHANNEL_FD, EPOLLIN, on_core, &r) != CLAN_OK ||
        loop_fd_add(r.loop, RESOLVER_UDP_FD, EPOLLIN, on_datagram, &r) != CLAN_OK ||
        resolver_tcp_open(&r, RESOLVER_TCP_FD) != CLAN_OK) {
        log_error("the resolver cannot start: a descriptor is missing or memory is short");
        return 1;
    }
    loop_timer_in(r.loop, COUNTS_MS, send_counts, &r);
    int result = loop_run(r.loop);
    resolver_table_free(r.table);
    loop_free(r.loop);
    return result;
}
