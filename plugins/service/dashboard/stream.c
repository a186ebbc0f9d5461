/* The event stream: what the page shows, whole at first, then each list that became another one. */
#include "dashboard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LOOK_MS   1000         /* until the core tells by itself that something changed */
#define QUEUE_MAX (256u << 10) /* of a page that does not read: it is hung up on, and comes back */
#define QUIET     15  /* looks without news, then a comment shows that the page still listens */
#define MINI_MS   250 /* questions are one machine's own: cheap to ask */
#define TOPICS    6

static const struct topic {
    const char *name, *list; /* NULL: the whole answer is the one row */
    pb_size_t request;
    bool mini; /* where there is no clan, and only there */
} topics[TOPICS] = {
    {"status", NULL, clan_api_Request_status_tag, false},
    {"machines", "machines", clan_api_Request_machines_tag, false},
    {"services", "services", clan_api_Request_services_tag, false},
    {"invitations", "invitations", clan_api_Request_invitations_tag, false},
    {"proposals", "proposals", clan_api_Request_proposals_tag, false},
    {"questions", "questions", clan_api_Request_ui_state_tag, true},
};

struct stream {
    struct request *r;
    struct dashboard *d;
    uint64_t timer;
    struct call *call;
    json_t *answer, *last[TOPICS];
    unsigned topic, quiet, id;
    bool suspended, over, away;
    char *queue;
    size_t size;
};

static void wake_up(struct stream *s)
{
    if (!s->suspended)
        return;
    s->suspended = false;
    http_resume(s->r->door, s->r->connection);
}

static void end(struct stream *s)
{
    s->over = true;
    wake_up(s);
}

static void put(struct stream *s, const char *text, size_t size)
{
    char *grown = s->size + size <= QUEUE_MAX ? realloc(s->queue, s->size + size) : NULL;
    if (!grown) {
        end(s);
        return;
    }
    s->queue = grown;
    memcpy(s->queue + s->size, text, size);
    s->size += size;
}

/* Takes data. */
static void event(struct stream *s, const char *kind, json_t *data)
{
    char head[64], *text = json_dumps(data, JSON_COMPACT); /* which has no line breaks */
    int n = snprintf(head, sizeof head, "id: %u\nevent: %s\ndata: ", ++s->id, kind);
    json_decref(data);
    if (!text) {
        end(s);
        return;
    }
    put(s, head, (size_t)n);
    put(s, text, strlen(text));
    put(s, "\n\n", 2);
    free(text);
    s->quiet = 0;
    wake_up(s);
}

static void look(void *user);

/* The server does not look at a connection that waits. */
static bool hung_up(const struct stream *s)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(s->r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char c;
    ssize_t n = info ? recv(info->connect_fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) : 0;
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* The first topic from this one on that there is here; false: none. */
static bool find_topic(struct stream *s, unsigned from)
{
    for (s->topic = from; s->topic < TOPICS; s->topic++)
        if (topics[s->topic].mini == s->d->mini)
            return true;
    return false;
}

static void next(struct stream *s)
{
    if (!s->over && hung_up(s))
        end(s);
    if (s->over)
        return;
    if (find_topic(s, s->topic + 1)) {
        look(s);
        return;
    }
    find_topic(s, 0);
    if (++s->quiet > QUIET) {
        s->quiet = 0;
        put(s, ":\n\n", 3);
        wake_up(s);
    }
    if (!s->over &&
        clan_timer_start(s->d->host, s->d->mini ? MINI_MS : LOOK_MS, look, s, &s->timer) != CLAN_OK)
        end(s);
}

static void away(struct stream *s, bool is)
{
    if (s->away != is)
        event(s, is ? "away" : "back", json_object());
    s->away = is;
}

static void compare(struct stream *s, json_t *answer)
{
    const struct topic *t = &topics[s->topic];
    json_t *rows =
        t->list ? json_incref(json_object_get(answer, t->list)) : json_pack("[O]", answer);
    if (!rows || json_equal(rows, s->last[s->topic])) {
        json_decref(rows);
        return;
    }
    json_decref(s->last[s->topic]);
    s->last[s->topic] = rows;
    event(s, "snapshot", json_pack("{s:s, s:O}", "topic", t->name, "rows", rows));
}

static void looked(void *arg, const clan_wire_Error *error)
{
    struct stream *s = arg;
    json_t *answer = s->answer;
    s->call = NULL;
    s->answer = NULL;
    if (error && (error->status == CLAN_E_AUTH || error->status == CLAN_E_PERM))
        end(s); /* the page asks for itself, and hears why */
    else {
        away(s, error != NULL);
        if (!error && !s->over)
            compare(s, answer);
        if (error)
            s->topic = TOPICS - 1;
        next(s);
    }
    json_decref(answer);
}

static bool take(void *arg, const clan_api_Answer *a)
{
    struct stream *s = arg;
    return route_take(s->answer, a);
}

static void look(void *user)
{
    struct stream *s = user;
    const struct topic *t = &topics[s->topic];
    s->timer = 0;
    s->answer = json_pack("{s:i}", "v", 1);
    if (s->answer && t->list)
        json_object_set_new(s->answer, t->list, json_array());
    s->call =
        call_start(s->d, &s->r->use, &(clan_api_Request){.which_m = t->request}, take, looked, s);
    if (s->call)
        return;
    json_decref(s->answer); /* others ask: later */
    s->answer = NULL;
    s->topic = TOPICS - 1;
    next(s);
}

static ssize_t reader(void *cls, uint64_t at, char *buf, size_t max)
{
    struct stream *s = cls;
    size_t some = s->size < max ? s->size : max;
    (void)at;
    if (some == 0 && s->over)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (some == 0) {
        s->suspended = true;
        MHD_suspend_connection(s->r->connection);
        return 0;
    }
    memcpy(buf, s->queue, some);
    s->size -= some;
    memmove(s->queue, s->queue + some, s->size);
    return (ssize_t)some;
}

static void stream_free(void *cls)
{
    struct stream *s = cls;
    clan_timer_stop(s->d->host, s->timer);
    if (s->call)
        call_cancel(s->call);
    json_decref(s->answer);
    for (unsigned i = 0; i < TOPICS; i++)
        json_decref(s->last[i]);
    if (s->d->streams)
        s->d->streams--;
    free(s->queue);
    free(s);
}

struct MHD_Response *stream_open(struct request *r)
{
    struct dashboard *d = r->door->d;
    struct stream *s = d->streams < STREAMS_MAX ? calloc(1, sizeof *s) : NULL;
    if (!s)
        return NULL;
    s->r = r;
    s->d = d;
    struct MHD_Response *m =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, reader, s, stream_free);
    if (!m) {
        free(s);
        return NULL;
    }
    d->streams++;
    find_topic(s, 0);
    look(s);
    return m;
}
