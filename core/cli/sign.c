/* clan sign: what a page asks for and an admin's key has to sign, shown again and asked about here (SECURITY K3). */
#include "cli/sign.h"

#include "base/error.h"
#include "base/text.h"
#include "cli/adminkey.h"
#include "cli/change.h"
#include "cli/out.h"
#include "cli/session.h"
#include "cli/signwords.h"

#include <poll.h>
#include <sodium.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <termios.h>

#define SIGN_LIST_MAX 64
#define SIGN_IDLE_MS  (12 * 3600 * 1000) /* a clan where nothing changes */
#define SIGN_AWAY_MS  500
#define SIGN_ARGS_MAX 64

struct sign {
    struct cli *c;
    struct api_client *watch, *api;
    bool goes_on, told, over;
    clan_api_Proposal *list; /* of the last look */
    unsigned count;
    uint8_t shown[32]; /* of the request that is asked about */
};

/* ---- the list ---- */

static clan_status take(void *arg, const clan_api_Answer *a)
{
    struct sign *s = arg;
    if (a->which_m == clan_api_Answer_proposal_tag && s->count < SIGN_LIST_MAX)
        s->list[s->count++] = a->m.proposal;
    return CLAN_OK;
}

static void forget_list(struct sign *s)
{
    if (s->list)
        sodium_memzero(s->list, SIGN_LIST_MAX * sizeof *s->list); /* links */
    s->count = 0;
}

static clan_status look(struct sign *s)
{
    if (!s->list)
        s->list = calloc(SIGN_LIST_MAX, sizeof *s->list);
    clan_assert(s->list);
    forget_list(s);
    return session_ask(s->c, s->api, clan_api_Request_proposals_tag, take, s);
}

static const clan_api_Proposal *find(const struct sign *s, uint32_t id)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->list[i].id == id)
            return &s->list[i];
    return NULL;
}

static clan_status tell(
    struct sign *s, uint32_t id, const char *state, const char *text, const char *result)
{
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req);
    clan_api_ProposalSet *m = &req->m.proposal_set;
    req->which_m = clan_api_Request_proposal_set_tag;
    m->id = id;
    snprintf(m->state, sizeof m->state, "%s", state);
    snprintf(m->text, sizeof m->text, "%s", text);
    snprintf(m->result, sizeof m->result, "%s", result);
    clan_status st = session_call(s->c, s->api, req, SESSION_IDLE_MS, NULL, NULL);
    sodium_memzero(req, sizeof *req);
    free(req);
    return st;
}

/* ---- running a command of the table ---- */

struct ran {
    char *out, *err;
    size_t out_size, err_size;
    int code;
};

static void ran_free(struct ran *r)
{
    if (r->out)
        sodium_memzero(r->out, r->out_size);
    free(r->out);
    free(r->err);
    *r = (struct ran){0};
}

static unsigned add_keys(const struct cli *c, char **argv, unsigned n)
{
    const char *key;
    for (unsigned i = 0; (key = cli_opt_at(c, "key", i)) && n + 2 < SIGN_ARGS_MAX; i++) {
        argv[n++] = (char *)(uintptr_t) "--key";
        argv[n++] = (char *)(uintptr_t)key;
    }
    return n;
}

/* The words were checked; what is added to them is ours. */
static void run(struct sign *s, const clan_api_Proposal *p, bool for_real, struct ran *ret)
{
    const struct cli *c = s->c;
    const char *before[] = {
        "clan", "--socket-dir", c->run_dir, "--clan", c->petname, "--color", "never"};
    char *argv[SIGN_ARGS_MAX + 1];
    unsigned n = 0;
    *ret = (struct ran){0};
    for (; n < sizeof before / sizeof *before; n++)
        argv[n] = (char *)(uintptr_t)before[n];
    if (for_real)
        argv[n++] = (char *)(uintptr_t) "--json";
    for (unsigned i = 0; i < p->words_count; i++)
        argv[n++] = (char *)(uintptr_t)p->words[i];
    if (p->body.size)
        argv[n++] = (char *)(uintptr_t) "-";
    argv[n++] = (char *)(uintptr_t)(for_real ? "--yes" : "--dry-run");
    n = add_keys(c, argv, n);
    argv[n] = NULL;
    FILE *in = p->body.size ? fmemopen((void *)(uintptr_t)p->body.bytes, p->body.size, "r")
                            : fopen("/dev/null", "re");
    FILE *out = open_memstream(&ret->out, &ret->out_size);
    FILE *err = open_memstream(&ret->err, &ret->err_size);
    clan_assert(in && out && err);
    ret->code = cli_main((int)n, argv, out, err, in);
    fclose(in);
    fclose(out);
    fclose(err);
}

/* The last object with such a key that a command printed, a line each. */
static json_t *said(const char *text, const char *key)
{
    json_t *found = NULL;
    while (text && *text) {
        size_t len = strcspn(text, "\n");
        json_t *o = json_loadb(text, len, 0, NULL);
        if (json_object_get(o, key)) {
            json_decref(found);
            found = json_incref(o);
        }
        json_decref(o);
        text += len + (text[len] == '\n');
    }
    return found;
}

static const char *word_of(json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

/* ---- one request ---- */

static void show_command(struct cli *c, const clan_api_Proposal *p)
{
    char line[4096] = "";
    size_t len = 0;
    for (unsigned i = 0; i < p->words_count && len < sizeof line; i++) {
        const char *w = p->words[i], *quote = strpbrk(w, " \"'$`\\&|;<>()*?[]!#~") ? "'" : "";
        len += (size_t)snprintf(line + len, sizeof line - len, " %s", quote);
        for (; *w && len + 5 < sizeof line; w++) /* as a shell would take it */
            len += (size_t)snprintf(line + len, sizeof line - len, *w == '\'' ? "'\\''" : "%c", *w);
        len += len < sizeof line ? (size_t)snprintf(line + len, sizeof line - len, "%s", quote) : 0;
    }
    text_sanitize(line); /* of one that is refused, too */
    out_line(c, "\n%s asks for:\n    %sclan%s%s", p->by[0] ? p->by : "somebody",
        out_on(c, OUT_BOLD), line, out_off(c));
}

static void show_diff(struct cli *c, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        enum out_colour colour = text[0] == '+' ? OUT_GOOD : text[0] == '-' ? OUT_BAD : OUT_PLAIN;
        out_line(c, "%s%.*s%s", out_on(c, colour), (int)len, text, out_off(c));
        text += len + (text[len] == '\n');
    }
}

/* Told to the page and to the terminal. */
static clan_status give_up(struct sign *s, uint32_t id, const char *text)
{
    fprintf(s->c->err, "%s%s", text, text[0] && text[strlen(text) - 1] == '\n' ? "" : "\n");
    return tell(s, id, "failed", text, "");
}

/* Lines of a command's own words; those that speak of the dry run are not about the request. */
static void show_notes(struct cli *c, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (len && !memmem(text, len, "(--dry-run)", 11))
            fprintf(c->err, "%.*s\n", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

static void sanitize_lines(char *text)
{
    for (char *line = text; line; line = text) {
        text = strchr(line, '\n');
        if (text)
            *text = 0;
        text_sanitize(line);
        if (text)
            *text++ = '\n';
    }
}

/* What a yes would change; CANCELLED: it cannot be done, and that was told. */
static clan_status show(
    struct sign *s, const clan_api_Proposal *p, const struct signwords *row, char **ret_diff)
{
    static const char own[] = "clan: ";
    struct ran ran;
    show_command(s->c, p);
    if (!row->dry_run) {
        out_para(s->c, 0, "%s", row->means);
        *ret_diff = strdup("");
        clan_assert(*ret_diff);
        return CLAN_OK;
    }
    run(s, p, false, &ran);
    change_shown(s->shown);
    clan_status st = CLAN_OK;
    sanitize_lines(ran.out);
    sanitize_lines(ran.err);
    if (ran.code == 0) {
        show_diff(s->c, ran.out);
        show_notes(s->c, ran.err);
        *ret_diff = ran.out;
        ran.out = NULL;
    } else {
        bool prefix = strncmp(ran.err, own, sizeof own - 1) == 0;
        st = give_up(s, p->id, ran.err + (prefix ? sizeof own - 1 : 0));
        st = st == CLAN_OK ? CLAN_E_CANCELLED : st;
    }
    ran_free(&ran);
    return st;
}

/* A line that was typed before the question stood there is no answer to it: a page chooses when it asks. */
static void forget_typed(struct cli *c)
{
    tcflush(fileno(c->in), TCIFLUSH);
    __fpurge(c->in);
}

/* NOENT: the input ended. */
static clan_status ask(struct sign *s, const clan_api_Proposal *p)
{
    struct cli *c = s->c;
    char line[128];
    bool final = strcmp(p->words[0], "remove") == 0;
    const char *name = final ? p->words[p->words_count - 1] : "";
    char prompt[256];
    if (final)
        snprintf(prompt, sizeof prompt, "This is final. Type %s to sign it: ", name);
    else
        snprintf(prompt, sizeof prompt, "Sign this? [y/N] ");
    forget_typed(c);
    if (!ask_line(c, prompt, line, sizeof line))
        return CLAN_E_NOENT;
    bool yes = final ? strcmp(line, name) == 0
                     : strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0;
    return yes ? CLAN_OK : CLAN_E_CANCELLED;
}

/* It may have been taken back while the question stood. */
static clan_status still_there(struct sign *s, uint32_t id)
{
    clan_status st = look(s);
    const clan_api_Proposal *p = st == CLAN_OK ? find(s, id) : NULL;
    if (st == CLAN_OK && !(p && strcmp(p->state, "taken") == 0)) {
        out_note(s->c, "it was taken back meanwhile; nothing was signed");
        st = CLAN_E_CANCELLED;
    }
    return st;
}

/* The question may have stood for long: what was shown is what is signed, or nothing. */
static clan_status sign(
    struct sign *s, const clan_api_Proposal *p, const struct signwords *row, const char *diff)
{
    struct cli *c = s->c;
    struct ran ran;
    clan_status st;
    change_only(row->dry_run ? s->shown : NULL);
    run(s, p, true, &ran);
    change_only(NULL);
    if (ran.code == 0) {
        json_t *link = said(ran.out, "link"), *version = said(ran.out, "config_version");
        st = tell(s, p->id, "done", diff, word_of(link, "link"));
        if (link)
            out_para(c, 0, "signed; the link is shown on the page that asked for it");
        else if (version)
            out_para(c, 0, "signed; version %" JSON_INTEGER_FORMAT " is in force",
                json_integer_value(json_object_get(version, "config_version")));
        else
            out_para(c, 0, "signed");
        json_decref(link);
        json_decref(version);
    } else {
        char text[1024];
        json_t *o = said(ran.err, "error"), *e = json_object_get(o, "error");
        snprintf(text, sizeof text, "%s%s%s%s%s\n", word_of(e, "what"),
            word_of(e, "why")[0] ? "\n why: " : "", word_of(e, "why"),
            word_of(e, "remedy")[0] ? "\n  do: " : "", word_of(e, "remedy"));
        sanitize_lines(text);
        st = give_up(s, p->id, e ? text : "the command failed\n");
        json_decref(o);
    }
    ran_free(&ran);
    return st;
}

static clan_status refuse_words(struct sign *s, const clan_api_Proposal *p)
{
    show_command(s->c, p);
    return give_up(s, p->id, "that command is not signed on request\n");
}

static clan_status answer(
    struct sign *s, const clan_api_Proposal *p, const struct signwords *row, const char *diff)
{
    clan_status yes = ask(s, p);
    if (yes == CLAN_E_NOENT) {
        s->over = true; /* whoever signs next is asked */
        return CLAN_OK;
    }
    if (yes != CLAN_OK) {
        out_note(s->c, "refused; nothing was signed");
        return tell(s, p->id, "refused", diff, "");
    }
    yes = still_there(s, p->id);
    return yes == CLAN_OK ? sign(s, p, row, diff) : yes;
}

/* *p is the caller's: the list is read anew meanwhile. */
static clan_status handle(struct sign *s, const clan_api_Proposal *p)
{
    const char *words[SIGNWORDS_MAX];
    char *diff = NULL;
    for (unsigned i = 0; i < p->words_count && i < SIGNWORDS_MAX; i++)
        words[i] = p->words[i];
    const struct signwords *row = signwords_find(words, p->words_count, p->body.size > 0);
    if (!row)
        return refuse_words(s, p);
    clan_status st = show(s, p, row, &diff);
    if (st == CLAN_OK)
        st = tell(s, p->id, "taken", diff, "");
    if (st == CLAN_OK)
        st = answer(s, p, row, diff);
    free(diff);
    return st;
}

/* Taken back, signed elsewhere, not possible: that is told, and the next one has its turn. */
static clan_status settle(struct sign *s, clan_status st)
{
    if (st != CLAN_E_CANCELLED && st != CLAN_E_STATE && st != CLAN_E_NOENT)
        return st;
    if (st != CLAN_E_CANCELLED)
        out_note(s->c, "%s", s->c->e.what);
    s->c->e = (struct clan_error)CLAN_ERROR_INIT;
    return CLAN_OK;
}

static clan_status handle_all(struct sign *s)
{
    clan_status st = CLAN_OK;
    clan_api_Proposal *p = malloc(sizeof *p);
    clan_assert(p);
    for (bool found = true; found && st == CLAN_OK && !s->over;) {
        found = false;
        st = look(s);
        for (unsigned i = 0; i < s->count && st == CLAN_OK && !found; i++) {
            found = strcmp(s->list[i].state, "waiting") == 0;
            if (found)
                *p = s->list[i];
        }
        forget_list(s);
        if (found)
            st = settle(s, handle(s, p));
    }
    sodium_memzero(p, sizeof *p);
    free(p);
    return st;
}

/* ---- waiting ---- */

static clan_status on_changed(void *arg, const clan_api_Answer *a)
{
    struct sign *s = arg;
    clan_status st = CLAN_OK;
    if (s->goes_on && !s->told)
        out_note(s->c, "What a page asks for and needs your key comes here. Ctrl-C ends this.");
    s->told = true;
    if (a->which_m == clan_api_Answer_changed_tag &&
        (a->m.changed.topics & clan_api_Topic_TOPIC_PROPOSALS))
        st = handle_all(s);
    s->over = s->over || !s->goes_on;
    return s->over && st == CLAN_OK ? CLAN_E_CANCELLED : st;
}

static void close_both(struct sign *s)
{
    api_close(s->watch);
    api_close(s->api);
    s->watch = s->api = NULL;
}

/* Until the core is there again, as the pages do. */
static clan_status open_both(struct sign *s, bool again)
{
    clan_status st;
    struct cli *c = s->c;
    const char *clan = c->clan;
    char petname[33];
    if (again) {
        snprintf(petname, sizeof petname, "%s", c->petname);
        c->clan = petname;
    }
    while ((st = session_open(c, &s->watch)) == CLAN_E_NOTRUNNING && again)
        poll(NULL, 0, SIGN_AWAY_MS);
    if (st == CLAN_OK)
        st = session_open(c, &s->api);
    c->clan = clan;
    return st;
}

static clan_status has_key(struct sign *s)
{
    struct admin_ring ring;
    clan_api_Context *x = calloc(1, sizeof *x);
    clan_assert(x);
    clan_status st = session_context(s->c, s->api, x);
    if (st == CLAN_OK)
        st = adminring_open(s->c, x, 1, &ring);
    if (st == CLAN_OK)
        adminring_close(&ring);
    free(x);
    return st;
}

clan_status sign_run(struct cli *c, bool watch)
{
    struct sign s = {.c = c, .goes_on = watch};
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req);
    req->which_m = clan_api_Request_watch_tag;
    clan_status st = open_both(&s, false);
    if (st == CLAN_OK)
        st = has_key(&s);
    while (st == CLAN_OK) {
        st = api_call(s.watch, req, SIGN_IDLE_MS, on_changed, &s, &c->e);
        if (s.over || (st != CLAN_E_NOTRUNNING && st != CLAN_E_TIMEOUT))
            break;
        close_both(&s);
        out_note(c, "Clan is away; waiting for it");
        st = open_both(&s, true);
    }
    close_both(&s);
    forget_list(&s);
    free(s.list);
    free(req);
    return s.over ? CLAN_OK : st;
}

/* ---- the command ---- */

static clan_status show_list(struct cli *c)
{
    struct sign s = {.c = c};
    json_t *list = json_array();
    clan_status st = session_open(c, &s.api);
    if (st == CLAN_OK)
        st = look(&s);
    for (unsigned i = 0; i < s.count && st == CLAN_OK; i++)
        json_array_append_new(list, json_of_proposal(&s.list[i]));
    if (st == CLAN_OK)
        out_json(c, json_pack("{s:O}", "proposals", list));
    json_decref(list);
    close_both(&s);
    forget_list(&s);
    free(s.list);
    return st;
}

clan_status cmd_sign(struct cli *c)
{
    if (c->json)
        return show_list(c);
    if (c->yes || !ask_possible(c)) {
        err_set(&c->e, CLAN_E_INVAL, "a person at a terminal answers `clan sign`");
        err_why(&c->e, c->yes ? "--yes would sign whatever a page asks for"
                              : "standard input or standard error is not a terminal");
        err_remedy(&c->e, "run it on a terminal, without --yes; `clan sign --json` only lists");
        return CLAN_E_INVAL;
    }
    return sign_run(c, cli_opt(c, "watch") != NULL);
}
