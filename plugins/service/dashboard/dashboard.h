/* The dashboard: HTTP on loopback for the people of this machine, and the clan's API behind it as JSON. */
#ifndef DASHBOARD_H
#define DASHBOARD_H

#include "wire/api.pb.h"

#include <clan/api.h>
#include <clan/service.h>

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <sys/socket.h>

#define HTTP_BODY_MAX        (64u << 10)
#define HTTP_CONNECTIONS_MAX 192 /* of one address */
#define HTTP_HEADERS_MAX     (16u << 10)
#define HTTP_IDLE_S          30
#define CALL_MS              10000
#define ANSWER_MAX           (9u << 20) /* more than a core answers */

struct dashboard;
struct feed;

/* Connections to the core, which has 64 for a plugin: none takes the places of the others.  One person has no more of
 * a kind than are left for others: half of them alone. */
enum call_kind {
    CALL_ASKED, /* a request of a page: 16 at once, the others hear 503 */
    CALL_LIST,  /* for the event streams: 8 at once, the others wait */
    CALL_WATCH, /* 32: one for each session whose pages listen */
    CALL_KINDS
};

/* One address of one person. */
struct door {
    struct dashboard *d;
    struct clan_api_listener at;
    struct MHD_Daemon *http;
    int poll_fd;
    bool due; /* its server runs soon */
    unsigned calls[CALL_KINDS];
};

struct dashboard {
    const struct clan_host *host;
    const struct clan_api_host *api;
    struct door doors[CLAN_API_LISTENERS_MAX];
    uint32_t door_count;
    unsigned calls[CALL_KINDS];
    struct feed *feeds;
    uint64_t timer;
    bool started;
    char visited
        [33]; /* the service of clan.yaml that this is, for browsers of other machines; "" none */
    uint16_t port; /* of that */
    bool mini;     /* in `clan ui` or `clan open`: no clan, but one to be made or joined */
};

/* ---- call.c: a question to the core ---- */

struct call;
/* Each answer but the last "ok"; false ends the call with an error. */
typedef bool call_answer_fn(void *arg, const clan_api_Answer *a);
/* error NULL: all answers came.  Once; never before call_start() returned.  [loop] */
typedef void call_done_fn(void *arg, const clan_wire_Error *error);
/* use: the session that asks, NULL: nobody (for session_open).  NULL: too many at once. */
struct call *call_start(struct door *door, enum call_kind kind, const clan_api_SessionUse *use,
    const clan_api_Request *request, call_answer_fn *answer, call_done_fn *done, void *arg);
void call_cancel(struct call *c);            /* done() is not called any more */
void call_wait(struct call *c, uint64_t ms); /* so long instead of CALL_MS */

/* ---- http.c: requests and answers ---- */

struct request {
    struct door *door;
    struct MHD_Connection *connection;
    const char *method, *path;
    const struct route *route;
    char *body; /* NULL: none */
    size_t body_size;
    bool suspended, too_long, streams;
    struct call *call;
    clan_api_SessionUse use;
    bool signed_in; /* cookie and token are well formed; whether they are good says the core */
    clan_api_Session session;
    json_t *answer;
    unsigned status;
    char cookie[160]; /* Set-Cookie, "" none */
    uint16_t port;    /* of that */
    void *job;        /* of what takes several questions to the core */
    void (*job_free)(void *job);
};

clan_status http_start(struct dashboard *d, struct clan_error *e);
void http_stop(struct dashboard *d);
void http_answer(struct request *r, unsigned status, json_t *json); /* takes json */
void http_error(
    struct request *r, unsigned status, const char *what, const char *why, const char *remedy);
void http_wait(struct request *r); /* until http_answer(), later */
/* The server does not notice by itself that a connection goes on. */
void http_resume(struct door *o, struct MHD_Connection *c);
void http_failed(struct request *r, const clan_wire_Error *e);

/* ---- peer.c: whose connection it is ---- */

/* Is the other end of a connection to this address that user's?  false also when it cannot be seen. */
bool peer_is(const struct clan_api_listener *at, const struct sockaddr *from, socklen_t size);

/* ---- stream.c ---- */

/* NULL: too many listen. */
struct MHD_Response *stream_open(struct request *r);

/* ---- routes.c: what may be asked ---- */

struct route {
    const char *method, *path; /* below /v1; a word in braces stands for any */
    const char *words;         /* for the description */
    bool open;                 /* without a session */
    void (*handle)(struct request *r);
};
/* An answer of the core that is a row of a list: it, and the list's name.  NULL: none (*ret_list NULL), or out of memory. */
json_t *route_row(const clan_api_Answer *a, const char **ret_list);
/* Puts an answer of the core into the object that becomes the answer of a path; false: out of memory. */
bool route_take(json_t *o, const clan_api_Answer *a);
/* Asks the core with the request's session (or without one, for open routes).  What comes is the caller's to answer. */
void route_call(
    struct request *r, const clan_api_Request *q, call_answer_fn *answer, call_done_fn *done);
/* The answer goes out by itself.  list: of that name, also when it is empty; NULL: none. */
void route_ask(struct request *r, const clan_api_Request *q, const char *list);
/* What stands for the word in braces; false: it is longer. */
bool route_word(const struct request *r, char *ret, size_t cap);
uint32_t route_id(const struct request *r); /* as a number; 0: it is none */
/* NULL: no such path; *ret_known: it has another method. */
const struct route *route_find(const char *method, const char *path, bool *ret_known);

/* ---- session.c ---- */

void session_post(struct request *r);
void session_get(struct request *r);
void session_delete(struct request *r);

/* ---- config.c: clan.yaml ---- */

void config_get(struct request *r);
void config_get_version(struct request *r);
void config_check(struct request *r);
void config_preview(struct request *r);

/* ---- netcheck.c, qr.c ---- */

void netcheck_get(struct request *r);
void qr_post(struct request *r);

/* ---- first.c: a machine that is in no clan, and the question whether to join one ---- */

void first_look(struct dashboard *d); /* is it one?  Tells the host then that the service is up. */
void first_mode(struct request *r);
void first_create(struct request *r);
void first_questions(struct request *r);
void first_act(struct request *r);

/* ---- proposals.c: what an admin's key has to sign ---- */

void proposals_get(struct request *r);
void proposals_post(struct request *r);
void proposals_delete(struct request *r);

/* ---- assets.c, written by the build ---- */

struct asset {
    const char *path, *type, *etag;
    const unsigned char *gzip;
    size_t size;
};
extern const struct asset dashboard_assets[];
extern const size_t dashboard_asset_count;

#endif
