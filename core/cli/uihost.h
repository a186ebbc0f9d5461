/* The mini host: the dashboard plugin in a process of the user's own, on a machine that is in no clan yet or for the
 * question whether to join one.  It answers in place of a core: signing in, making a clan, joining. */
#ifndef CLI_UIHOST_H
#define CLI_UIHOST_H

#include "base/loop.h"
#include "cli/cli.h"
#include "cli/joinlink.h"
#include "wire/frame.h"

#include <signal.h>

#define UIHOST_CODE_S        30
#define UIHOST_CODES_MAX     8
#define UIHOST_SESSIONS_MAX  8
#define UIHOST_SESSION_S     (12 * 3600)
#define UIHOST_CLIENTS_MAX   64
#define UIHOST_QUESTIONS_MAX 8
#define UIHOST_IDLE_MS       (30 * 60 * 1000) /* nobody looked for so long: it ends */
#define UIHOST_DONE_MS       60000            /* the same, when all is answered */
#define UIHOST_PAGE_MS       2000             /* a page asks at least so often while it is open */

struct uihost;

struct uiplugin; /* uiplugin.c */

struct uihost_session {
    uint8_t cookie[64], token[32];
    int64_t expires; /* 0: free */
};

/* One connection of the plugin, as to a core. */
struct uihost_client {
    struct uihost_client *next;
    struct uihost *h;
    int fd;
    struct uihost_session *session; /* NULL: nobody signed in */
    bool creates;                   /* the answer comes from the child that makes the clan */
    struct frame_reader reader;
    uint8_t in[FRAME_HEAD + WIRE_FRAME_MAX];
};

enum uijoin_step {
    UIJOIN_ASK,
    UIJOIN_ASKING,
    UIJOIN_FACTS,
    UIJOIN_JOINING,
    UIJOIN_JOINED,
    UIJOIN_FAILED
};

struct uijoin {
    struct uihost *h;
    uint32_t id; /* 0: free */
    enum uijoin_step step;
    struct invite_link link;
    uint8_t mark[16];          /* of the link: the same one is not asked about twice */
    clan_api_UiQuestion shown; /* endpoints, facts, error, progress, url */
    char petname[33];
    int fd; /* to new.sock; -1: none */
    uint64_t timer, url_ms;
    struct frame_reader reader;
    uint8_t in[FRAME_HEAD + WIRE_FRAME_MAX];
};

struct uihost {
    struct cli *c;
    struct loop *loop;
    int listen_fd, signal_fd, open_fd,
        lock_fd; /* open_fd: links from later `clan open`s; -1: none */
    char origin[48], open_path[256];
    sigset_t signals;  /* as they were before */
    uint64_t asked_ms; /* a session asked last */
    uint64_t shown_ms; /* a page was opened last; 0: none */
    bool joins;        /* it was started for a link */
    bool browses;      /* pages are opened in a browser, not printed */

    struct uiplugin *plugin;
    bool up, failed;
    struct clan_error error; /* of the plugin */

    struct {
        uint8_t code[16];
        uint64_t until_ms; /* 0: free */
    } codes[UIHOST_CODES_MAX];
    struct uihost_session sessions[UIHOST_SESSIONS_MAX];
    struct uihost_client *clients;

    struct uijoin
        *questions[UIHOST_QUESTIONS_MAX]; /* in order; the first that is not over is asked */
    unsigned question_count;
    uint32_t next_question;

    int create_fd; /* from the child that makes a clan; -1: none */
    int create_pid;
    struct frame_reader create_reader;
    uint8_t *create_in;
    char created[33];         /* the clan that was made, "" none */
    clan_api_UiCreated *made; /* nobody heard the answer: kept for who asks again */
};

/* uihost.c.  Loads the dashboard and waits until it answers.  NOENT: it is not installed. */
clan_status uihost_open(struct cli *c, struct uihost **ret);
/* An address with a new code, for a browser of this user. */
#define UIHOST_URL_MAX 96
void uihost_code(struct uihost *h, clan_api_UiCode *ret_code);
/* Of a code: the mini host's or a core's. */
void uihost_url(const clan_api_UiCode *code, char ret_url[UIHOST_URL_MAX]);
/* Opens it in the browser, or prints it: `clan ui` says which. */
clan_status uihost_open_url(struct cli *c, const clan_api_UiCode *code, bool browse);
clan_status uihost_show(struct uihost *h);
/* A page is open that shows what is new, or the browser is about to show one. */
bool uihost_is_shown(const struct uihost *h);
/* Until all is answered, nobody looks any more, or a signal comes. */
clan_status uihost_run(struct uihost *h);
void uihost_free(struct uihost *h); /* takes NULL */

/* uiplugin.c: the plugin's side */
clan_status uiplugin_load(struct uihost *h, const char *folder, struct clan_error *e);
void uiplugin_unload(struct uihost *h);

/* uiserve.c: what the plugin asks */
clan_status uiserve_connect(struct uihost *h, int *ret_fd);
void uiserve_answer(struct uihost_client *k, clan_api_Answer *a, bool last);
void uiserve_error(struct uihost_client *k, const struct clan_error *e);
void uiserve_close(struct uihost_client *k);
/* A core's dashboard of this user with a new code; "": it has none (yet). */
void uiserve_url_of(struct uihost *h, const char *petname, char ret_url[160]);

/* uicreate.c */
void uicreate_begin(struct uihost_client *k, const clan_api_UiCreate *m);
void uicreate_end(struct uihost *h);

/* uijoin.c.  INVAL: it names nothing that may be dialled; LIMIT: so many wait already. */
clan_status uijoin_add(struct uihost *h, const struct invite_link *link, struct clan_error *e);
clan_status uijoin_act(struct uihost *h, const clan_api_UiJoin *m, struct clan_error *e);
/* Fills the i-th question as it is now. */
void uijoin_show(struct uihost *h, unsigned i, clan_api_UiQuestion *ret);
bool uijoin_over(const struct uihost *h); /* all are answered */
void uijoin_end(struct uihost *h);

/* uisocket.c: one mini host for each user; who comes later hands over to it.  NOENT: none runs.  LIMIT: so many wait
 * already.  link NULL: a code for another page is all that is wanted. */
clan_status uisocket_hand(struct cli *c, const struct invite_link *link, clan_api_UiCode *ret_code);
clan_status uisocket_listen(struct uihost *h, struct clan_error *e);
void uisocket_close(struct uihost *h);

#endif
