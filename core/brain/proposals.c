/* What people ask for in a browser and an admin's key has to sign: a short list, in memory. */
#include "brain/proposals.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "brain/client.h"
#include "brain/watch.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* What may be asked for.  `clan sign` runs these very words, so that nothing is here that names a key or a
 * file, answers a question beforehand, or prints a secret but the link.  Each option takes a value. */
static const struct {
    const char *first, *second; /* second NULL: of one word */
    unsigned args;              /* exactly so many */
    bool text;                  /* a clan.yaml comes with it */
    const char *options[4];
} PROPOSAL_WORDS[] = {
    {"enable", NULL, 1, false, {"--on", "--as", "--allow", "--set"}},
    {"disable", NULL, 1, false, {NULL}},
    {"invite", "withdraw", 1, false, {NULL}},
    {"invite", NULL, 0, false, {"--for", "--uses", "--expires"}},
    {"remove", NULL, 1, false, {NULL}},
    {"machines", "rename", 2, false, {NULL}},
    {"config", "apply", 0, true, {"--from"}},
};

/* as in api.options */
#define PROPOSAL_WORDS_MAX                                                                         \
    (sizeof((clan_api_Propose *)0)->words / sizeof((clan_api_Propose *)0)->words[0])

static struct proposal {
    uint32_t id; /* 0: free */
    uint32_t uid;
    uint8_t session[16];
    char by[33], state[16], text[4096], result[512];
    char words[PROPOSAL_WORDS_MAX][128];
    unsigned word_count;
    int64_t wall;
    uint64_t until_ms;
    uint8_t *body; /* owned */
    size_t body_size;
} proposals[PROPOSALS_MAX];

static uint32_t last_id;
static uint64_t serial;

uint64_t proposals_serial(void)
{
    return serial;
}

void proposals_changed(struct brain *b)
{
    serial++;
    watch_touch(b);
}

static void forget(struct proposal *p)
{
    free(p->body);
    sodium_memzero(p, sizeof *p); /* the result may be a link */
}

/* ---- what may be asked for ---- */

/* Names, numbers, times, lists of them: all that these commands take. */
static bool is_value(const char *word, bool option)
{
    size_t n = strspn(word, option ? "abcdefghijklmnopqrstuvwxyz0123456789-:," /* tag:a,b */
                                   : "abcdefghijklmnopqrstuvwxyz0123456789-");
    return word[0] && word[0] != '-' && !word[n];
}

static bool is_option(const char *const options[4], const char *word)
{
    for (unsigned i = 0; i < 4 && options[i]; i++)
        if (strcmp(options[i], word) == 0)
            return true;
    return false;
}

static bool follows(size_t row, const clan_api_Propose *m)
{
    unsigned at = PROPOSAL_WORDS[row].second ? 2 : 1, args = 0;
    for (; at < m->words_count; at++) {
        if (!is_option(PROPOSAL_WORDS[row].options, m->words[at])) {
            if (!is_value(m->words[at], false))
                return false;
            args++;
        } else if (++at == m->words_count ||
                   !(strcmp(m->words[at - 1], "--set") == 0 ? text_setting_ok(m->words[at])
                                                            : is_value(m->words[at], true))) {
            return false;
        }
    }
    return args == PROPOSAL_WORDS[row].args;
}

/* It is shown in a terminal before anybody says yes: no character that could hide another. */
static bool is_plain(const uint8_t *text, size_t size)
{
    char *copy = malloc(size + 1);
    bool ok = copy && !memchr(text, 0, size);
    if (ok) {
        memcpy(copy, text, size);
        copy[size] = 0;
        for (size_t i = 0; i < size; i++)
            if (copy[i] == '\n' || copy[i] == '\t')
                copy[i] = ' ';
        char *clean = strdup(copy);
        if (clean)
            text_sanitize(clean);
        ok = clean && strcmp(clean, copy) == 0;
        free(clean);
    }
    free(copy);
    return ok;
}

bool proposals_words_ok(const clan_api_Propose *m, struct clan_error *e)
{
    size_t rows = sizeof PROPOSAL_WORDS / sizeof *PROPOSAL_WORDS;
    for (size_t i = 0; m->words_count && i < rows; i++) {
        const char *second = PROPOSAL_WORDS[i].second;
        if (strcmp(PROPOSAL_WORDS[i].first, m->words[0]) != 0 ||
            (second && (m->words_count < 2 || strcmp(second, m->words[1]) != 0)))
            continue;
        if (PROPOSAL_WORDS[i].text != (m->text.size > 0) || !follows(i, m))
            break;
        if (m->text.size && !is_plain(m->text.bytes, m->text.size)) {
            err_set(e, CLAN_E_INVAL, "the text holds characters that a terminal does not show");
            return false;
        }
        return true;
    }
    err_set(e, CLAN_E_INVAL, "that command is not signed on request");
    err_why(e, "enable, disable, invite, invite withdraw, remove, machines rename and config apply "
               "are, with the options of a page");
    err_remedy(e, "run it in a terminal");
    return false;
}

/* ---- the list ---- */

static struct proposal *find(uint32_t id)
{
    for (unsigned i = 0; id && i < PROPOSALS_MAX; i++)
        if (proposals[i].id == id)
            return &proposals[i];
    return NULL;
}

static bool is_over(const struct proposal *p)
{
    return strcmp(p->state, "waiting") != 0 && strcmp(p->state, "taken") != 0;
}

/* A free place, else that of the oldest that came to an end; of this user's where they have all that is theirs. */
static struct proposal *slot(uint32_t uid, unsigned *ret_of_user)
{
    struct proposal *nobodys = NULL, *oldest = NULL, *own = NULL;
    *ret_of_user = 0;
    for (unsigned i = 0; i < PROPOSALS_MAX; i++) {
        struct proposal *p = &proposals[i];
        bool mine = p->id && p->uid == uid;
        *ret_of_user += mine;
        if (!p->id)
            nobodys = p;
        else if (is_over(p) && (!oldest || p->id < oldest->id))
            oldest = p;
        if (mine && is_over(p) && (!own || p->id < own->id))
            own = p;
    }
    struct proposal *p = own || *ret_of_user >= PROPOSALS_OF_MAX ? own : oldest;
    if (nobodys && *ret_of_user < PROPOSALS_OF_MAX)
        return nobodys;
    if (p)
        forget(p);
    return p;
}

static bool is_mine(const struct proposal *p, const struct client *c)
{
    return p->uid == c->uid && memcmp(p->session, c->session_id, sizeof p->session) == 0;
}

clan_status proposals_add(struct brain *b, const struct client *c, const clan_api_Propose *m,
    uint32_t *ret_id, struct clan_error *e)
{
    if (!proposals_words_ok(m, e))
        return CLAN_E_INVAL;
    uint8_t *body = m->text.size ? malloc(m->text.size) : NULL;
    if (m->text.size && !body)
        return err_set(e, CLAN_E_NOMEM, "there is no memory for it");
    unsigned of_user;
    struct proposal *p = slot(c->uid, &of_user);
    if (!p) {
        free(body);
        if (of_user < PROPOSALS_OF_MAX)
            err_set(e, CLAN_E_LIMIT, "%d requests wait for a signature already", PROPOSALS_MAX);
        else
            err_set(e, CLAN_E_LIMIT, "%u of your requests wait for a signature already", of_user);
        err_remedy(e, "sign or refuse some: clan sign --watch; or take some back");
        return CLAN_E_LIMIT;
    }
    if (!last_id) /* a page that outlived a core must not take another's for its own */
        last_id = 1 + randombytes_uniform(1u << 24);
    *p = (struct proposal){.id = last_id++, .uid = c->uid, .wall = clock_wall_s()};
    memcpy(p->session, c->session_id, sizeof p->session);
    if (c->session.person[0])
        snprintf(p->by, sizeof p->by, "%s", c->session.person);
    else
        snprintf(p->by, sizeof p->by, "user %u", (unsigned)c->uid);
    snprintf(p->state, sizeof p->state, "waiting");
    p->word_count = m->words_count;
    memcpy(p->words, m->words, sizeof p->words);
    p->until_ms = brain_now() + PROPOSALS_S * 1000u;
    p->body = body;
    p->body_size = m->text.size;
    if (body)
        memcpy(body, m->text.bytes, m->text.size);
    *ret_id = p->id;
    proposals_changed(b);
    return CLAN_OK;
}

static void show(struct client *c, const struct proposal *p, bool signer)
{
    clan_api_Answer *a = api_blank();
    clan_api_Proposal *m = &a->m.proposal;
    a->which_m = clan_api_Answer_proposal_tag;
    m->id = p->id;
    _Static_assert(sizeof m->words == sizeof p->words, "api.options");
    memcpy(m->words, p->words, sizeof m->words);
    m->words_count = (pb_size_t)p->word_count;
    snprintf(m->state, sizeof m->state, "%s", p->state);
    snprintf(m->by, sizeof m->by, "%s", p->by);
    m->wall = p->wall;
    snprintf(m->text, sizeof m->text, "%s", p->text);
    m->mine = is_mine(p, c);
    m->signer = signer;
    if (m->mine)
        snprintf(m->result, sizeof m->result, "%s", p->result);
    if (!c->plugin && client_owns(c) && p->body_size <= sizeof m->body.bytes) {
        m->body.size = (pb_size_t)p->body_size;
        if (p->body_size)
            memcpy(m->body.bytes, p->body, p->body_size);
    }
    api_answer(c, a, false);
    sodium_memzero(m->result, sizeof m->result);
}

void proposals_show(struct brain *b, struct client *c)
{
    bool signer = watch_signer(b);
    uint32_t after = 0;
    for (;;) { /* by age: places are taken anew in any order */
        const struct proposal *next = NULL;
        for (unsigned i = 0; i < PROPOSALS_MAX; i++)
            if (proposals[i].id > after && (!next || proposals[i].id < next->id))
                next = &proposals[i];
        if (!next)
            break;
        show(c, next, signer);
        after = next->id;
    }
    api_ok(c);
}

/* ---- what becomes of one ---- */

static clan_status not_there(struct clan_error *e)
{
    err_set(e, CLAN_E_NOENT, "that request is not there any more");
    err_why(e, "it was taken back, or is older than an hour, or the daemon was started anew");
    err_remedy(e, "ask for it again");
    return CLAN_E_NOENT;
}

clan_status proposals_set(struct brain *b, const clan_api_ProposalSet *m, struct clan_error *e)
{
    static const char *const states[] = {"taken", "done", "refused", "failed"};
    struct proposal *p = find(m->id);
    unsigned i = 0;
    while (i < 4 && strcmp(states[i], m->state) != 0)
        i++;
    if (i == 4)
        return err_set(e, CLAN_E_INVAL, "a request is taken, done, refused or failed");
    if (!p)
        return not_there(e);
    if (is_over(p) || (i == 0 && strcmp(p->state, "taken") == 0)) {
        err_set(e, CLAN_E_STATE, "that request is %s already", p->state);
        err_why(e, "somebody else signs too");
        return CLAN_E_STATE;
    }
    snprintf(p->state, sizeof p->state, "%s", states[i]);
    if (m->text[0])
        snprintf(p->text, sizeof p->text, "%s", m->text);
    snprintf(p->result, sizeof p->result, "%s", m->result);
    if (is_over(p)) { /* nobody signs it any more */
        free(p->body);
        p->body = NULL;
        p->body_size = 0;
    }
    proposals_changed(b);
    return CLAN_OK;
}

clan_status proposals_drop(
    struct brain *b, const struct client *c, uint32_t id, struct clan_error *e)
{
    struct proposal *p = find(id);
    if (!p)
        return not_there(e);
    if (!is_mine(p, c) && (c->plugin || !client_owns(c)))
        return err_set(e, CLAN_E_PERM, "somebody else asked for that");
    forget(p);
    proposals_changed(b);
    return CLAN_OK;
}

void proposals_nobody_signs(struct brain *b)
{
    for (unsigned i = 0; i < PROPOSALS_MAX; i++)
        if (proposals[i].id && strcmp(proposals[i].state, "taken") == 0)
            snprintf(proposals[i].state, sizeof proposals[i].state, "waiting");
    proposals_changed(b); /* pages also show whether somebody signs */
}

void proposals_tick(struct brain *b)
{
    for (unsigned i = 0; i < PROPOSALS_MAX; i++)
        if (proposals[i].id && brain_now() >= proposals[i].until_ms) {
            forget(&proposals[i]);
            proposals_changed(b);
        }
}

void proposals_forget(void)
{
    for (unsigned i = 0; i < PROPOSALS_MAX; i++)
        forget(&proposals[i]);
}
