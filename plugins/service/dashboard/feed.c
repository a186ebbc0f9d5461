/* What the pages of one session are shown: every list as it was told last, and one watch of the core for all of them.
 * The core says which lists have other rows; those are asked for, and what is different goes to each page. */
#include "feed.h"

#include "json/json.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MS  500 /* after the core went away */
#define MINI_MS   250 /* questions are one machine's own: cheap to ask */
#define ALIVE_S   2   /* without news, then the core is asked: one that hangs says nothing either */
#define DEAF_S    3   /* without a word to what it was asked, then pages show that it is away */
#define QUIET_S   15  /* without news, then a comment shows that the page still listens */
#define BIT(name) clan_api_Topic_TOPIC_##name
#define ASK(name) clan_api_Request_##name##_tag

static const struct topic {
    const char *name, *key; /* of a row; key NULL: there is one */
    pb_size_t request;
    uint32_t bits; /* of Changed */
} topics[FEED_TOPICS] = {
    {"status", NULL, ASK(status), BIT(STATUS)},
    {"machines", "id", ASK(machines), BIT(MACHINES) | BIT(TRAFFIC)},
    {"services", "name", ASK(services), BIT(SERVICES)},
    {"proposals", "id", ASK(proposals), BIT(PROPOSALS)},
    {"activity", "id", ASK(activity), BIT(ACTIVITY)}, /* the last that the first page waits for */
    {"invitations", "id", ASK(invitations), BIT(INVITATIONS)},
    {"config", NULL, ASK(status), BIT(CONFIG)}, {"plugins", "plugin", ASK(plugins), BIT(PLUGINS)},
    {"questions", "id", ASK(ui_state), BIT(QUESTIONS)}, /* where there is no clan, and only there */
};
enum { STATUS, CONFIG = 6 };

struct feed {
    struct feed *next;
    struct dashboard *d;
    struct door *door;
    clan_api_SessionUse use;
    struct listener *listeners;
    unsigned listener_count, id, topic, quiet_s, deaf_s;
    struct call *watch, *call;
    uint64_t timer;
    uint32_t due;  /* bits of topics to ask for */
    json_t *whole; /* of a topic that is one row */
    struct rows known[FEED_TOPICS], fresh;
    bool away, over, waits; /* waits: for others to have asked */
};

static void turn(struct feed *f);
static void watch(void *user);

/* ---- to the pages ---- */

static void give(struct feed *f, struct chunk *c)
{
    for (struct listener *l = f->listeners; l; l = l->next)
        listener_put(l, c);
    f->quiet_s = 0;
}

static void say(struct feed *f, const char *kind)
{
    char text[64];
    int n = snprintf(text, sizeof text, "id: %u\nevent: %s\ndata: {}\n\n", ++f->id, kind);
    struct chunk *c = chunk_new(text, (size_t)n);
    if (c)
        give(f, c);
    chunk_free(c);
}

static void end(struct feed *f)
{
    f->over = true;
    for (struct listener *l = f->listeners; l; l = l->next)
        listener_end(l);
}

static void set_away(struct feed *f, bool is)
{
    if (f->away != is)
        say(f, is ? "away" : "back");
    f->away = is;
}

/* A page that misses one event has lists that never were: it begins anew. */
static void tell(struct feed *f)
{
    struct rows *old = &f->known[f->topic];
    const char *name = topics[f->topic].name;
    bool failed = f->fresh.failed;
    struct chunk *c = NULL;
    f->fresh.told = true;
    if (!failed)
        c = old->told ? rows_delta(old, &f->fresh, name, f->id + 1, &failed)
                      : rows_snapshot(&f->fresh, name, f->id + 1, &failed);
    if (c) {
        f->id++;
        give(f, c);
        chunk_free(c);
    }
    rows_free(old);
    *old = f->fresh;
    f->fresh = (struct rows){0};
    if (failed)
        end(f);
}

/* ---- asking ---- */

static bool take(void *arg, const clan_api_Answer *a)
{
    struct feed *f = arg;
    f->deaf_s = 0;
    if (f->whole)
        return route_take(f->whole, a);
    const char *list;
    json_t *row = route_row(a, &list);
    if (row && list && strcmp(list, topics[f->topic].name) == 0)
        rows_add(&f->fresh, topics[f->topic].key, row);
    else
        json_decref(row);
    return !f->fresh.failed;
}

static void take_whole(struct feed *f)
{
    json_t *row = f->whole;
    f->whole = NULL;
    if (f->topic == CONFIG && row) {
        json_t *o = json_pack("{s:O, s:O}", "version", json_object_get(row, "config_version"),
            "readable", json_object_get(row, "config_readable"));
        json_decref(row);
        row = o;
    }
    rows_add(&f->fresh, NULL, row);
}

/* Others wait for their turn when too much is asked at once. */
static void let_others(struct dashboard *d)
{
    for (struct feed *f = d->feeds; f; f = f->next)
        if (f->waits) {
            f->waits = false;
            turn(f);
        }
}

static void signed_out(struct feed *f)
{
    say(f, "ended");
    end(f);
}

static void on_again(void *user)
{
    struct feed *f = user;
    f->timer = 0;
    turn(f);
}

/* Whoever watches hears when the core is there again; where the core only was slow, it is asked again. */
static void trouble(struct feed *f)
{
    set_away(f, true);
    if (f->watch && !f->timer &&
        clan_timer_start(f->d->host, AGAIN_MS, on_again, f, &f->timer) != CLAN_OK)
        end(f);
}

static void asked(void *arg, const clan_wire_Error *error)
{
    struct feed *f = arg;
    f->call = NULL;
    if (!error && f->whole)
        take_whole(f);
    json_decref(f->whole);
    f->whole = NULL;
    if (!error || error->status == CLAN_E_PERM) { /* a guest sees an empty list */
        tell(f);
        if (f->watch || f->d->mini)
            set_away(f, false);
        turn(f);
    } else {
        rows_free(&f->fresh);
        f->due |= topics[f->topic].bits;
        if (error->status == CLAN_E_AUTH)
            signed_out(f);
        else
            trouble(f);
    }
    let_others(f->d);
}

/* Asks for the first list that may have become another one. */
static void turn(struct feed *f)
{
    if (f->call || f->over || !f->due)
        return;
    for (f->topic = 0; !(topics[f->topic].bits & f->due); f->topic++)
        ;
    f->whole = topics[f->topic].key ? NULL : json_object();
    const clan_api_Request q = {.which_m = topics[f->topic].request};
    f->call = call_start(f->door, CALL_LIST, &f->use, &q, take, asked, f);
    f->deaf_s = 0;
    if (f->call)
        f->due &= ~topics[f->topic].bits;
    else {
        json_decref(f->whole);
        f->whole = NULL;
        f->waits = true;
    }
}

/* ---- hearing what changed ---- */

static void look_again(void *user)
{
    struct feed *f = user;
    f->timer = 0;
    f->due |= BIT(QUESTIONS);
    turn(f);
    if (clan_timer_start(f->d->host, MINI_MS, look_again, f, &f->timer) != CLAN_OK)
        end(f);
}

static bool changed(void *arg, const clan_api_Answer *a)
{
    uint32_t known = 0;
    struct feed *f = arg;
    if (a->which_m != clan_api_Answer_changed_tag)
        return true;
    for (unsigned i = 0; i < FEED_TOPICS; i++)
        known |= topics[i].bits;
    f->due |= a->m.changed.topics & known & ~(uint32_t)BIT(QUESTIONS);
    set_away(f, false);
    turn(f);
    return true;
}

static void unwatched(void *arg, const clan_wire_Error *error)
{
    struct feed *f = arg;
    f->watch = NULL;
    if (error && error->status == CLAN_E_AUTH) {
        signed_out(f);
        return;
    }
    set_away(f, true);
    clan_timer_stop(f->d->host, f->timer);
    f->timer = 0;
    if (!f->over && clan_timer_start(f->d->host, AGAIN_MS, watch, f, &f->timer) != CLAN_OK)
        end(f);
}

static void watch(void *user)
{
    struct feed *f = user;
    const clan_api_Request q = {.which_m = clan_api_Request_watch_tag};
    f->timer = 0;
    f->watch = call_start(f->door, CALL_WATCH, &f->use, &q, changed, unwatched, f);
    if (!f->watch)
        unwatched(f, NULL);
}

/* ---- who listens ---- */

/* Who shares a limit: the people of one address, and of them those of one machine. */
static bool is_beside(const struct feed *f, const struct request *r)
{
    return f->door == r->door && f->use.from.size == r->use.from.size &&
           memcmp(f->use.from.bytes, r->use.from.bytes, r->use.from.size) == 0;
}

static bool is_session(const clan_api_SessionUse *a, const clan_api_SessionUse *b)
{
    return a->cookie.size == b->cookie.size && a->token.size == b->token.size &&
           sodium_memcmp(a->cookie.bytes, b->cookie.bytes, a->cookie.size) == 0 &&
           sodium_memcmp(a->token.bytes, b->token.bytes, a->token.size) == 0;
}

static struct feed *feed_new(struct request *r)
{
    struct feed *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->d = r->door->d;
    f->door = r->door;
    f->use = r->use;
    f->next = f->d->feeds;
    f->d->feeds = f;
    if (f->d->mini)
        look_again(f);
    else
        watch(f);
    return f;
}

static void feed_free(struct feed *f)
{
    struct feed **p = &f->d->feeds;
    while (*p != f)
        p = &(*p)->next;
    *p = f->next;
    clan_timer_stop(f->d->host, f->timer);
    if (f->watch)
        call_cancel(f->watch);
    if (f->call)
        call_cancel(f->call);
    json_decref(f->whole);
    rows_free(&f->fresh);
    for (unsigned i = 0; i < FEED_TOPICS; i++)
        rows_free(&f->known[i]);
    sodium_memzero(f, sizeof *f);
    free(f);
}

static void catch_up(struct feed *f, struct listener *l)
{
    bool failed = false;
    for (unsigned i = 0; i < FEED_TOPICS && !failed; i++) {
        if (!f->known[i].told)
            continue;
        struct chunk *c = rows_snapshot(&f->known[i], topics[i].name, f->id, &failed);
        if (c)
            listener_put(l, c);
        chunk_free(c);
    }
    if (failed || f->over)
        listener_end(l);
}

clan_status feed_join(struct listener *l)
{
    struct feed *f = NULL;
    unsigned count = 0, max = l->r->use.from.size ? FEEDS_VISITOR_MAX : FEEDS_MAX;
    for (struct feed *x = l->r->door->d->feeds; x; x = x->next) {
        count += is_beside(x, l->r);
        if (is_beside(x, l->r) && !x->over && is_session(&x->use, &l->r->use))
            f = x;
    }
    if (f ? f->listener_count == LISTENERS_MAX : count >= max)
        return CLAN_E_LIMIT;
    if (!f)
        f = feed_new(l->r);
    if (!f)
        return CLAN_E_NOMEM;
    l->feed = f;
    l->next = f->listeners;
    f->listeners = l;
    f->listener_count++;
    catch_up(f, l);
    if (f->away) {
        static const char text[] = "event: away\ndata: {}\n\n";
        struct chunk *c = chunk_new(text, sizeof text - 1);
        if (c)
            listener_put(l, c);
        chunk_free(c);
    }
    return CLAN_OK;
}

void feed_leave(struct listener *l)
{
    struct feed *f = l->feed;
    struct listener **p = &f->listeners;
    while (*p != l)
        p = &(*p)->next;
    *p = l->next;
    if (--f->listener_count == 0)
        feed_free(f);
}

/* The server does not look at connections that wait. */
void feed_tick(struct dashboard *d)
{
    static const char comment[] = ":\n\n";
    for (struct feed *f = d->feeds; f; f = f->next) {
        if (f->quiet_s % ALIVE_S == ALIVE_S - 1 && f->watch) {
            f->due |= BIT(STATUS);
            turn(f);
        }
        if (f->call && f->watch && ++f->deaf_s == DEAF_S) /* its answer may still come */
            set_away(f, true);
        for (struct listener *l = f->listeners; l; l = l->next)
            if (listener_gone(l))
                listener_end(l);
        if (++f->quiet_s < QUIET_S)
            continue;
        struct chunk *c = chunk_new(comment, sizeof comment - 1);
        if (c)
            give(f, c);
        chunk_free(c);
    }
}
