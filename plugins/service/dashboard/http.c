/* HTTP: who may knock, what a request must look like, and the answers. */
#include "feed.h"

#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'none'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/* ---- answers ---- */

static void add(struct MHD_Response *m, const char *name, const char *value)
{
    MHD_add_response_header(m, name, value);
}

static enum MHD_Result send_out(
    const struct request *r, unsigned status, struct MHD_Response *m, const char *type)
{
    if (!m)
        return MHD_NO;
    add(m, "Content-Type", type);
    add(m, "Content-Security-Policy", policy);
    add(m, "X-Content-Type-Options", "nosniff");
    add(m, "X-Frame-Options", "DENY");
    add(m, "Referrer-Policy", "no-referrer");
    if (!r->door->d
             ->visited[0]) /* browsers complain of it where the way there is not theirs to trust */
        add(m, "Cross-Origin-Opener-Policy", "same-origin");
    add(m, "Cross-Origin-Resource-Policy", "same-origin");
    enum MHD_Result ok = MHD_queue_response(r->connection, status, m);
    MHD_destroy_response(m);
    return ok;
}

static enum MHD_Result send_json(struct request *r)
{
    char *text = json_dumps(r->answer, JSON_COMPACT);
    struct MHD_Response *m =
        text ? MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE) : NULL;
    json_decref(r->answer);
    r->answer = NULL;
    if (!m)
        return MHD_NO;
    add(m, "Cache-Control", "no-store");
    if (r->cookie[0])
        add(m, "Set-Cookie", r->cookie);
    return send_out(r, r->status, m, "application/json");
}

void http_answer(struct request *r, unsigned status, json_t *json)
{
    r->status = json ? status : MHD_HTTP_INTERNAL_SERVER_ERROR;
    r->answer = json ? json : json_object();
    if (r->suspended) {
        r->suspended = false;
        http_resume(r->door, r->connection);
    }
}

void http_error(
    struct request *r, unsigned status, const char *what, const char *why, const char *remedy)
{
    json_decref(r->answer);
    r->answer = NULL;
    http_answer(r, status,
        json_pack("{s:i, s:{s:s, s:s, s:s}}", "v", 1, "error", "what", what, "why", why, "remedy",
            remedy));
}

static unsigned http_status(clan_status s)
{
    switch (s) {
    case CLAN_E_AUTH:
        return MHD_HTTP_UNAUTHORIZED;
    case CLAN_E_PERM:
    case CLAN_E_GRANT:
        return MHD_HTTP_FORBIDDEN;
    case CLAN_E_NOENT:
        return MHD_HTTP_NOT_FOUND;
    case CLAN_E_INVAL:
        return MHD_HTTP_BAD_REQUEST;
    case CLAN_E_STATE:
    case CLAN_E_EXIST:
        return MHD_HTTP_CONFLICT;
    default:
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    }
}

void http_failed(struct request *r, const clan_wire_Error *e)
{
    http_error(r, http_status((clan_status)e->status), e->what, e->why, e->remedy);
}

void http_wait(struct request *r)
{
    if (r->suspended) /* the second of its questions; the server takes no second wait */
        return;
    r->suspended = true;
    MHD_suspend_connection(r->connection);
}

/* ---- files ---- */

static const char *header(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result send_file(struct request *r)
{
    const char *path = strcmp(r->path, "/") == 0 ? "/index.html" : r->path, *known;
    for (size_t i = 0; i < dashboard_asset_count; i++) {
        const struct asset *a = &dashboard_assets[i];
        if (strcmp(a->path, path) != 0)
            continue;
        known = header(r, "If-None-Match");
        bool same = known && strcmp(known, a->etag) == 0;
        struct MHD_Response *m = MHD_create_response_from_buffer(
            same ? 0 : a->size, (void *)(uintptr_t)a->gzip, MHD_RESPMEM_PERSISTENT);
        if (!m)
            return MHD_NO;
        add(m, "ETag", a->etag);
        add(m, "Cache-Control", "no-cache");
        if (!same)
            add(m, "Content-Encoding", "gzip");
        return send_out(r, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, m, a->type);
    }
    http_error(r, MHD_HTTP_NOT_FOUND, "there is no such page", "", "begin at /");
    return send_json(r);
}

static enum MHD_Result send_stream(struct request *r)
{
    struct MHD_Response *m = stream_open(r);
    if (!m) {
        http_error(r, MHD_HTTP_TOO_MANY_REQUESTS, "too many pages listen", "",
            "close some of them, or wait a moment");
        return send_json(r);
    }
    add(m, "Cache-Control", "no-store");
    return send_out(r, MHD_HTTP_OK, m, "text/event-stream");
}

/* ---- who knocks ---- */

struct counted {
    unsigned host, length, coding;
};

static enum MHD_Result count(
    void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct counted *n = cls;
    (void)kind, (void)value;
    n->host += strcasecmp(name, "Host") == 0;
    n->length += strcasecmp(name, "Content-Length") == 0;
    n->coding += strcasecmp(name, "Transfer-Encoding") == 0;
    return MHD_YES;
}

/* What two readers of one request could read in two ways. */
static bool ambiguous(const struct request *r)
{
    struct counted n = {0};
    MHD_get_connection_values(r->connection, MHD_HEADER_KIND, count, &n);
    return n.host != 1 || n.length > 1 || n.coding > 1 || (n.length && n.coding);
}

static bool is(const char *value, const char *wanted)
{
    return value && strcmp(value, wanted) == 0;
}

/* A name that was bent to this address is another's.  Each machine has its own word for the clan: what stands
 * between the service and "clan" is the browser's. */
static bool is_own(const struct request *r, const char *host)
{
    const struct dashboard *d = r->door->d;
    char want[80];
    size_t own = strlen(d->visited), word;
    if (!own || !host || strncmp(host, d->visited, own) != 0 || host[own] != '.')
        return !own && is(host, r->door->at.origin);
    word = strspn(host + own + 1, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (word < 1 || word > 32)
        return false;
    if (d->port == 80 && is(host + own + 1 + word, ".clan")) /* as browsers say it */
        return true;
    snprintf(want, sizeof want, ".clan:%u", d->port);
    return is(host + own + 1 + word, want);
}

/* Whose browser it is, by the address that the clan's network vouches for. */
static bool find_from(struct request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!r->door->d->visited[0])
        return true;
    if (!info || !info->client_addr || info->client_addr->sa_family != AF_INET6)
        return false;
    r->use.from.size = 16;
    memcpy(r->use.from.bytes,
        &((const struct sockaddr_in6 *)(const void *)info->client_addr)->sin6_addr, 16);
    return true;
}

/* Both halves of a session, if they look like one. */
static void find_session(struct request *r)
{
    const char *cookie =
        MHD_lookup_connection_value(r->connection, MHD_COOKIE_KIND, "clan_session");
    const char *token = header(r, "Clan-Token");
    size_t a = 0, b = 0;
    if (!cookie || !token || strlen(token) != 64 ||
        sodium_base642bin(r->use.cookie.bytes, 64, cookie, strlen(cookie), NULL, &a, NULL,
            sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        sodium_hex2bin(r->use.token.bytes, 32, token, 64, NULL, &b, NULL) != 0)
        return;
    r->use.cookie.size = (pb_size_t)a;
    r->use.token.size = (pb_size_t)b;
    r->signed_in = a == 64 && b == 32;
}

/* A page of another origin can make a browser ask, but neither with our origin nor with JSON. */
static bool refuse_write(struct request *r)
{
    char own[96];
    const char *type = header(r, "Content-Type");
    snprintf(own, sizeof own, "http://%s", header(r, "Host")); /* which is ours */
    if (!is(header(r, "Origin"), own))
        http_error(r, MHD_HTTP_FORBIDDEN, "another page asks for this",
            "what changes something is asked by this page itself", "open it by: clan ui");
    else if (!is(type, "application/json"))
        http_error(r, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "JSON was expected", "",
            "send Content-Type: application/json");
    else
        return false;
    return true;
}

static bool refuse(struct request *r)
{
    bool known, write = strcmp(r->method, "GET") != 0;
    const char *site = header(r, "Sec-Fetch-Site");
    r->route = route_find(r->method, r->path + 3, &known);
    find_session(r);
    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        http_error(r, MHD_HTTP_FORBIDDEN, "another site asks for this", "", "open it by: clan ui");
    else if (!r->route)
        http_error(r, known ? MHD_HTTP_METHOD_NOT_ALLOWED : MHD_HTTP_NOT_FOUND,
            known ? "that is not done to this path" : "there is no such path", "",
            "see /v1/openapi.json");
    else if (!r->route->open && !r->signed_in)
        http_error(r, MHD_HTTP_UNAUTHORIZED, "you are not signed in",
            "the cookie and the token of a session are both needed", "sign in: clan ui");
    else if (r->too_long)
        http_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "that is too much at once",
            "a request has at most 64 KiB", "");
    else
        return write && refuse_write(r);
    return true;
}

static enum MHD_Result take(struct request *r)
{
    if (ambiguous(r))
        http_error(r, MHD_HTTP_BAD_REQUEST, "the request can be read in two ways", "", "");
    else if (!is_own(r, header(r, "Host")) || !find_from(r))
        http_error(r, MHD_HTTP_MISDIRECTED_REQUEST, "this is another address's page", "",
            "open it by: clan ui");
    else if (strncmp(r->path, "/v1/", 4) != 0)
        return strcmp(r->method, "GET") == 0 ? send_file(r) : MHD_NO;
    else if (!refuse(r))
        r->route->handle(r);
    return r->streams ? send_stream(r) : r->suspended ? MHD_YES : send_json(r);
}

/* What is too long is read to its end, for an answer. */
static bool take_body(struct request *r, const char *data, size_t size)
{
    size_t some = size < HTTP_BODY_MAX - r->body_size ? size : HTTP_BODY_MAX - r->body_size;
    char *more = some ? realloc(r->body, r->body_size + some) : r->body;
    r->too_long = r->too_long || some < size;
    if (some && !more)
        return false;
    r->body = more;
    if (some)
        memcpy(r->body + r->body_size, data, some);
    r->body_size += some;
    return true;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
    const char *method, const char *version, const char *data, size_t *size, void **state)
{
    struct request *r = *state;
    (void)version;
    if (!r) {
        r = calloc(1, sizeof *r);
        if (!r)
            return MHD_NO;
        *r = (struct request){.door = cls, .connection = c};
        *state = r;
        return MHD_YES; /* the body comes first */
    }
    r->method = method;
    r->path = url;
    if (*size) {
        bool ok = take_body(r, data, *size);
        *size = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    return r->answer && !r->call ? send_json(r) : take(r);
}

static void on_end(
    void *cls, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
    struct request *r = *state;
    (void)cls, (void)c, (void)why;
    if (!r)
        return;
    if (r->call)
        call_cancel(r->call);
    if (r->job)
        r->job_free(r->job);
    json_decref(r->answer);
    if (r->body)
        sodium_memzero(r->body, r->body_size); /* a code */
    free(r->body);
    sodium_memzero(r, sizeof *r); /* a session */
    free(r);
    *state = NULL;
}

/* ---- the loop ---- */

#define TURNS_MAX 32 /* then the loop's other events have their turn */

static void run(struct door *o)
{
    MHD_UNSIGNED_LONG_LONG wait;
    for (int i = 0; i < TURNS_MAX; i++) {
        MHD_run(o->http);
        if (MHD_get_timeout(o->http, &wait) != MHD_YES || wait > 0)
            return;
    }
}

static void on_due(void *user)
{
    struct door *o = user;
    o->due = false;
    run(o);
}

void http_resume(struct door *o, struct MHD_Connection *c)
{
    MHD_resume_connection(c);
    if (!o->due)
        o->due = clan_wake(o->d->host, on_due, o) == CLAN_OK; /* else the timer finds it */
}

static void on_ready(void *user, int32_t fd, uint32_t events)
{
    (void)fd, (void)events;
    run(user);
}

static void on_timer(void *user) /* connections that idle are closed */
{
    struct dashboard *d = user;
    d->timer = 0;
    for (uint32_t i = 0; i < d->door_count; i++)
        run(&d->doors[i]);
    feed_tick(d);
    clan_timer_start(d->host, 1000, on_timer, d, &d->timer);
}

static enum MHD_Result on_connect(void *cls, const struct sockaddr *from, socklen_t size)
{
    const struct door *o = cls;
    return !o->d->mini || peer_is(&o->at, from, size) ? MHD_YES : MHD_NO;
}

static clan_status open_door(struct dashboard *d, struct door *o)
{
    o->d = d;
    o->http = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, on_connect, o,
        on_request, o, MHD_OPTION_LISTEN_SOCKET, o->at.fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADERS_MAX, MHD_OPTION_STRICT_FOR_CLIENT,
        1, MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        o->http ? MHD_get_daemon_info(o->http, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info)
        return CLAN_E_IO;
    o->poll_fd = info->epoll_fd;
    return clan_io_watch(d->host, o->poll_fd, CLAN_IO_READ, on_ready, o);
}

clan_status http_start(struct dashboard *d, struct clan_error *e)
{
    for (uint32_t i = 0; i < d->door_count; i++)
        if (open_door(d, &d->doors[i]) != CLAN_OK)
            return clan_error_set(e, CLAN_E_IO, "the dashboard cannot answer",
                "its HTTP server does not start at one of its addresses", "see: clan logs");
    on_timer(d);
    return CLAN_OK;
}

/* The process ends soon after: connections that wait for the core end with it. */
void http_stop(struct dashboard *d)
{
    clan_timer_stop(d->host, d->timer);
    d->timer = 0;
    for (uint32_t i = 0; i < d->door_count; i++)
        if (d->doors[i].http)
            clan_io_unwatch(d->host, d->doors[i].poll_fd);
}
