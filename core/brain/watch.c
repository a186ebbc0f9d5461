/* Telling who watches that something changed: which topics, coalesced.
 * What changed is found by comparing: the answers that a topic has are made and hashed, so that no place
 * that changes something can forget to say so. */
#include "brain/watch.h"

#include "base/error.h"
#include "brain/client.h"
#include "brain/events.h"
#include "brain/proposals.h"
#include "brain/sessions.h"

#include <sodium.h>
#include <string.h>

#define WATCH_GUEST                                                                                \
    (clan_api_Topic_TOPIC_STATUS | clan_api_Topic_TOPIC_MACHINES | clan_api_Topic_TOPIC_SERVICES | \
        clan_api_Topic_TOPIC_TRAFFIC)
#define WATCH_ALL 0x1ff /* of a core; questions are others' */

enum {
    STATUS,
    MACHINES,
    SERVICES,
    INVITATIONS,
    CONFIG,
    PROPOSALS,
    PLUGINS,
    ACTIVITY,
    TRAFFIC,
    SLOTS
};

static const uint32_t topic_of[SLOTS] = {clan_api_Topic_TOPIC_STATUS, clan_api_Topic_TOPIC_MACHINES,
    clan_api_Topic_TOPIC_SERVICES, clan_api_Topic_TOPIC_INVITATIONS, clan_api_Topic_TOPIC_CONFIG,
    clan_api_Topic_TOPIC_PROPOSALS, clan_api_Topic_TOPIC_PLUGINS, clan_api_Topic_TOPIC_ACTIVITY,
    clan_api_Topic_TOPIC_TRAFFIC};

typedef uint8_t digest[32];
static digest told[SLOTS];
static uint64_t traffic_ms; /* told last */
static crypto_generichash_state rows, traffic;
static struct client probe = {.probe = true};
static uv_timer_t timer;
static bool has_timer, armed;
static uint64_t pause_ms; /* after comparing what takes long: four fifths of the time are others' */

static bool anybody(const struct brain *b)
{
    for (const struct client *c = b->clients; c; c = c->next)
        if (c->watching)
            return true;
    return false;
}

bool watch_signer(const struct brain *b)
{
    for (const struct client *c = b->clients; c; c = c->next)
        if (c->watching && !c->plugin && client_owns(c))
            return true;
    return false;
}

/* ---- what a topic's answers are made of ---- */

#define TAKE(what) crypto_generichash_update(&rows, (const uint8_t *)(what), sizeof *(what))

/* What moves all the time is no news of a machine: it is told once a second, as traffic. */
static void take_machine(clan_api_Machine *m)
{
    if (m->rx_bytes || m->tx_bytes || m->rtt_us || m->path[0]) {
        crypto_generichash_update(&traffic, m->id, sizeof m->id);
        crypto_generichash_update(&traffic, (const uint8_t *)&m->rx_bytes, sizeof m->rx_bytes);
        crypto_generichash_update(&traffic, (const uint8_t *)&m->tx_bytes, sizeof m->tx_bytes);
        crypto_generichash_update(&traffic, (const uint8_t *)&m->rtt_us, sizeof m->rtt_us);
        crypto_generichash_update(&traffic, (const uint8_t *)m->path, sizeof m->path);
    }
    m->rx_bytes = m->tx_bytes = 0;
    m->rtt_us = 0;
    m->clock_offset = 0;
    if (m->connected)
        m->last_seen = 0;             /* now */
    char *why = strchr(m->path, '('); /* "(tor has not answered for 12 s)" */
    if (why)
        memset(why, 0, sizeof m->path - (size_t)(why - m->path));
    TAKE(m);
}

void watch_take(clan_api_Answer *a)
{
    switch (a->which_m) {
    case clan_api_Answer_status_tag:
        TAKE(&a->m.status);
        break;
    case clan_api_Answer_health_tag:
        TAKE(&a->m.health);
        break;
    case clan_api_Answer_machine_tag:
        take_machine(&a->m.machine);
        break;
    case clan_api_Answer_service_tag:
        TAKE(&a->m.service);
        break;
    case clan_api_Answer_invitation_tag:
        TAKE(&a->m.invitation);
        break;
    case clan_api_Answer_plugin_tag:
        TAKE(&a->m.plugin);
        break;
    default:
        break;
    }
}

static void take_config(struct brain *b)
{
    const uint8_t *id;
    const struct stmt_envelope *env;
    uint64_t head = member_head(b->set, &id, &env);
    TAKE(&head);
    crypto_generichash_update(&rows, id, 32);
    TAKE(&b->body_version);
    TAKE(&b->body_readable);
}

static void take(struct brain *b, unsigned slot)
{
    uint64_t serial = slot == PROPOSALS ? proposals_serial() : events_serial();
    switch (slot) {
    case STATUS:
        api_status(b, &probe);
        break;
    case MACHINES:
        api_machines(b, &probe); /* asks link for the traffic, at most once a second */
        break;
    case SERVICES:
        api_services(b, &probe);
        break;
    case INVITATIONS:
        api_invitations(b, &probe);
        break;
    case CONFIG:
        take_config(b);
        break;
    case PLUGINS:
        api_plugins(b, &probe);
        break;
    default:
        TAKE(&serial);
        break;
    }
}

/* The topics whose answers are others than those told last. */
static uint32_t compare(struct brain *b)
{
    uint32_t topics = 0;
    digest now;
    crypto_generichash_init(&traffic, NULL, 0, sizeof now);
    for (unsigned i = 0; i < SLOTS; i++) {
        if (i == TRAFFIC) {
            crypto_generichash_final(&traffic, now, sizeof now);
        } else {
            crypto_generichash_init(&rows, NULL, 0, sizeof now);
            take(b, i);
            crypto_generichash_final(&rows, now, sizeof now);
        }
        if (memcmp(told[i], now, sizeof now) == 0 ||
            (i == TRAFFIC && brain_now() - traffic_ms < WATCH_TRAFFIC_MS))
            continue;
        if (i == TRAFFIC)
            traffic_ms = brain_now();
        memcpy(told[i], now, sizeof now);
        topics |= topic_of[i];
    }
    return topics;
}

/* ---- telling ---- */

static void tell(struct client *c, uint32_t topics)
{
    c->topics |= topics & (client_is_guest(c) ? WATCH_GUEST : WATCH_ALL);
    if (!c->topics || c->out_len) /* who does not read is told later, all at once */
        return;
    clan_api_Answer *a = api_blank();
    a->which_m = clan_api_Answer_changed_tag;
    a->m.changed.topics = c->topics;
    c->topics = 0;
    api_answer(c, a, false);
}

/* false: it watches no more. */
static bool may_go_on(struct brain *b, struct client *c)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (!c->plugin || sessions_good(b, &c->session, c->session_id)) {
        if (c->plugin)
            sessions_refresh(b, &c->session);
        return true;
    }
    c->watching = false;
    err_set(&e, CLAN_E_AUTH, "the session has ended");
    err_remedy(&e, "sign in: clan ui");
    api_error(c, &e);
    return false;
}

static void on_timer(uv_timer_t *t)
{
    struct brain *b = t->data;
    armed = false;
    if (!anybody(b) || !b->bound || b->leaving)
        return;
    uint64_t began = uv_hrtime();
    uint32_t topics = compare(b);
    pause_ms = (uv_hrtime() - began) * 4 / 1000000;
    for (struct client *c = b->clients, *next; c; c = next) {
        next = c->next;
        if (c->watching && may_go_on(b, c))
            tell(c, topics);
    }
}

void watch_touch(struct brain *b)
{
    if (!has_timer || armed || !anybody(b))
        return;
    armed = true;
    uv_timer_start(
        &timer, on_timer, pause_ms > WATCH_COALESCE_MS ? pause_ms : WATCH_COALESCE_MS, 0);
}

void watch_begin(struct brain *b, struct client *c)
{
    if (!has_timer) {
        uv_timer_init(&b->loop, &timer);
        timer.data = b;
        has_timer = true;
    }
    if (!anybody(b))
        compare(b); /* nobody was told since */
    c->watching = true;
    tell(c, WATCH_ALL);
    if (!c->plugin && client_owns(c))
        proposals_changed(b); /* pages show that somebody signs */
}

void watch_gone(struct brain *b, struct client *c)
{
    bool signer = c->watching && !c->plugin && client_owns(c);
    c->watching = false;
    if (signer && !watch_signer(b))
        proposals_nobody_signs(b);
}

void watch_stop(struct brain *b)
{
    (void)b;
    if (has_timer)
        uv_close((uv_handle_t *)&timer, NULL);
    has_timer = armed = false;
}
