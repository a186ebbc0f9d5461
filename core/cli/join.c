/* clan join: two questions between a link and membership; the link itself never acts (SECURITY A6,
 * A7). */
#include "base/clock.h"
#include "base/error.h"
#include "cli/joinlink.h"
#include "cli/out.h"
#include "cli/session.h"
#include "noise/keys.h"

#include <ctype.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define JOIN_WAIT_MAX 120

struct join {
    struct cli *c;
    struct api_client *api;
    struct invite_link link;
    char text[JOINLINK_TEXT_MAX];
    char petname[33];
    clan_api_JoinFacts facts;
    bool got_facts;
    clan_api_Joined joined;
    bool got_joined;
    uint32_t wait_ms; /* for the confirmation */
    bool known;       /* the six words were given in advance */
    uint64_t began_ms, ended_ms;
};

/* Lower case, words joined by single hyphens, zero-padded: comparable in constant time. */
static void normal_words(const char *words, char ret[KEYS_WORDS_MAX])
{
    size_t len = 0;
    memset(ret, 0, KEYS_WORDS_MAX);
    for (; *words && len < KEYS_WORDS_MAX - 1; words++) {
        bool gap = *words == '-' || isspace((unsigned char)*words);
        if (!gap)
            ret[len++] = (char)tolower((unsigned char)*words);
        else if (len && ret[len - 1] != '-')
            ret[len++] = '-';
    }
    while (len && ret[len - 1] == '-')
        ret[--len] = 0;
    if (*words)
        ret[0] = 0; /* longer than any six words */
}

/* The genesis is what the link's clan ID is the hash of: its words are known before anything is
 * dialled. */
static clan_status check_fingerprint(struct join *j)
{
    struct cli *c = j->c;
    const char *given = cli_opt(c, "fingerprint");
    char want[KEYS_WORDS_MAX], a[KEYS_WORDS_MAX], b[KEYS_WORDS_MAX];
    if (!given && !c->yes)
        return CLAN_OK;
    if (!given) {
        err_set(&c->e, CLAN_E_INVAL, "--yes needs --fingerprint");
        err_why(&c->e,
            "a link alone does not say whose clan it is; without a look at the six words a "
            "stranger's link would be joined as well");
        err_remedy(&c->e,
            "add --fingerprint with the six words that `clan invite` showed, or run it on a "
            "terminal without --yes");
        return CLAN_E_INVAL;
    }
    keys_words("clan", j->link.clan_id, j->link.clan_id, want);
    normal_words(want, a);
    normal_words(given, b);
    if (!b[0] || sodium_memcmp(a, b, sizeof a) != 0) {
        err_set(&c->e, CLAN_E_AUTH, "the fingerprint does not fit: the link is for another clan");
        err_why(&c->e, "the link's clan has the words %s", want);
        err_remedy(&c->e,
            "ask the inviter for the link and the words again, by another way than the link "
            "came");
        return CLAN_E_AUTH;
    }
    j->known = true;
    return CLAN_OK;
}

static clan_status read_link(struct join *j)
{
    struct cli *c = j->c;
    const char *given = c->arg_count ? c->args[0] : NULL;
    if (given && strcmp(given, "-") != 0) {
        joinlink_take_argument(given, j->text);
        out_warn(c,
            "the link was on the command line, where other users and the shell's history see it; "
            "next time paste it when `clan join` asks");
    } else if (given || !c->in_tty) {
        if (!fgets(j->text, sizeof j->text, c->in))
            j->text[0] = 0;
        ask_on_terminal(c);
    } else if (!ask_line(c, "Paste the invitation link: ", j->text, sizeof j->text)) {
        return err_set(&c->e, CLAN_E_CANCELLED, "cancelled; nothing was changed");
    }
    return link_parse(j->text, &j->link, &c->e);
}

/* Question 1, from the link alone: nothing has been dialled. */
static clan_status ask_dialling(struct join *j)
{
    struct cli *c = j->c;
    char list[400] = "", text[JOINLINK_ENDPOINT_MAX];
    unsigned allowed = 0;
    for (unsigned i = 0; i < link_endpoint_count(&j->link); i++) {
        if (joinlink_endpoint(&j->link, i, text, &c->e) != CLAN_OK) {
            if (link_endpoint_count(&j->link) > 1)
                out_warn(c, "%s: %s", c->e.what, c->e.why);
            continue;
        }
        size_t len = strlen(list);
        snprintf(list + len, sizeof list - len, "%s%s", allowed++ ? " or " : "", text);
    }
    if (!allowed)
        return joinlink_usable(&j->link, &c->e);
    out_note(c,
        "The link asks this machine to contact %s about an invitation to a clan. Nothing has been "
        "contacted yet.",
        list);
    return ask_go_on(c, "Contact it?");
}

static clan_status take(void *arg, const clan_api_Answer *a)
{
    struct join *j = arg;
    if (a->which_m == clan_api_Answer_join_facts_tag) {
        j->facts = a->m.join_facts;
        j->got_facts = true;
    } else if (a->which_m == clan_api_Answer_joined_tag) {
        j->joined = a->m.joined;
        j->got_joined = true;
        j->ended_ms = clock_mono_ms();
    }
    return CLAN_OK;
}

static clan_status preview(struct join *j)
{
    struct cli *c = j->c;
    clan_status st = api_connect(c->run_dir, NULL, &j->api, &c->e);
    if (st != CLAN_OK)
        return st;
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req);
    req->which_m = clan_api_Request_join_preview_tag;
    link_format(&j->link, req->m.join_preview.link);
    st = session_call(c, j->api, req, JOIN_IDLE_MS, take, j);
    sodium_memzero(req, sizeof *req);
    free(req);
    if (st != CLAN_OK)
        return st;
    return joinlink_check(j->got_facts ? &j->facts : NULL, &j->link, &c->e);
}

static void fact(struct cli *c, const char *label, const char *text)
{
    char first[32];
    if (c->json || c->quiet)
        return;
    snprintf(first, sizeof first, "  %-14s ", label);
    out_fold(c->err, c->err_tty ? c->width : 0, first, 17, text);
}

/* Question 2: only facts of verified statements. */
static clan_status ask_joining(struct join *j)
{
    struct cli *c = j->c;
    const clan_api_JoinFacts *f = &j->facts;
    char words[KEYS_WORDS_MAX], expires[48], inviter[160], may[200];
    keys_words("clan", j->link.clan_id, j->link.clan_id, words);
    out_note(c, "\n%sJoin the clan %s?%s", c->err_tty ? out_on(c, OUT_BOLD) : "", f->clan,
        c->err_tty ? out_off(c) : "");
    snprintf(inviter, sizeof inviter, "%s (%s)", f->inviter, f->inviter_words);
    snprintf(
        may, sizeof may, "reach what this machine shares with the clan; %s.", joinlink_consent());
    fact(c, "its six words:", words);
    fact(c, "invited by:", inviter);
    fact(c, "asked through:", f->door[0] ? f->door : "a machine of the clan");
    if (f->for_name[0])
        fact(c, "your name:", f->for_name);
    fact(c, "good until:", out_time(f->expires, expires));
    if (strcmp(j->petname, f->clan) != 0)
        fact(c, "here called:", j->petname);
    fact(c, "It may:", may);
    fact(c, "It never may:", "read your files, act as you, or allow itself more.");
    if (!c->yes)
        out_note(c, "Compare the words with those on the inviter's screen.");
    return ask_go_on(c, "Join?");
}

static clan_status join_yes(struct join *j)
{
    struct cli *c = j->c;
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req);
    req->which_m = clan_api_Request_join_yes_tag;
    memcpy(req->m.join_yes.petname, j->petname, sizeof j->petname);
    req->m.join_yes.wait_ms = j->wait_ms;
    req->m.join_yes.known_fingerprint = j->known;
    j->began_ms = clock_mono_ms();
    clan_status st = session_call(c, j->api, req, JOIN_IDLE_MS + (int)j->wait_ms, take, j);
    free(req);
    if (st == CLAN_OK && !j->got_joined)
        st = err_set(&c->e, CLAN_E_PROTO, "Clan did not say how the joining ended");
    return st;
}

static void print_joined(struct join *j)
{
    struct cli *c = j->c;
    const clan_api_Joined *d = &j->joined;
    char address[64];
    double seconds = (double)(j->ended_ms - j->began_ms) / 1000;
    if (c->json) {
        out_json(c, json_pack("{s:s, s:s, s:o, s:o, s:s, s:s, s:b, s:f}", "state", "joined",
                        "petname", d->petname, "clan_id", json_b32(j->link.clan_id, 32),
                        "machine_id", json_b32(d->machine_id, 32), "machine", d->machine,
                        "standing", d->standing, "network_up", d->network_up, "seconds", seconds));
        return;
    }
    out_line(c, "joined in %.1f s", seconds);
    out_para(c, 0, "this machine is %s.%s.clan, %s", d->machine, d->petname,
        out_address(d->address, address));
    if (strcmp(d->standing, "provisional") == 0)
        out_para(c, 0,
            "Standing: provisional. The clan has taken this machine in, but the keeper that counts "
            "invitations has not confirmed it yet, or an admin has to. Until then it reaches only "
            "what is open to guests. It is confirmed by itself when the keeper is reachable.");
    else if (strcmp(d->standing, "member") != 0)
        out_para(c, 0,
            "Standing: %s. The keeper has confirmed this machine, but only the machine that let it "
            "in has shown it the clan so far; until a keeper or an admin's machine does, nothing "
            "is hosted here.",
            d->standing);
    else
        out_para(c, 0, "Standing: %s.", d->standing);
    if (!d->network_up)
        out_warn(c, "the network interface is not up yet; look at `clan status`");
    out_note(c, "Next: `clan status`, `clan services`");
}

static clan_status read_wait(struct join *j)
{
    const char *text = cli_opt(j->c, "wait");
    uint64_t seconds;
    j->wait_ms = JOIN_WAIT_MS;
    if (!text)
        return CLAN_OK;
    if (!cli_duration(text, &seconds) || seconds > JOIN_WAIT_MAX) {
        err_set(&j->c->e, CLAN_E_INVAL, "--wait %s is not what it takes", text);
        err_why(&j->c->e, "it takes a time like 5s or 1m, at most %d s", JOIN_WAIT_MAX);
        return CLAN_E_INVAL;
    }
    j->wait_ms = (uint32_t)seconds * 1000;
    return CLAN_OK;
}

static clan_status run(struct join *j)
{
    struct cli *c = j->c;
    clan_status st = check_fingerprint(j);
    if (st == CLAN_OK)
        st = ask_dialling(j);
    if (st == CLAN_OK)
        st = preview(j);
    sodium_memzero(j->text, sizeof j->text);
    sodium_memzero(j->link.seed, sizeof j->link.seed);
    if (st == CLAN_OK)
        st = joinlink_petname(c->run_dir, cli_opt(c, "as"), &j->facts, j->petname, &c->e);
    if (st == CLAN_OK)
        st = ask_joining(j);
    if (st == CLAN_OK)
        st = join_yes(j);
    if (st == CLAN_OK)
        print_joined(j);
    return st;
}

static void close_join(struct join *j)
{
    api_close(j->api);
    sodium_memzero(j, sizeof *j);
    free(j);
}

clan_status join_by(struct cli *c, const struct invite_link *link)
{
    struct join *j = calloc(1, sizeof *j);
    clan_assert(j);
    j->c = c;
    j->link = *link;
    j->wait_ms = JOIN_WAIT_MS;
    clan_status st = run(j);
    close_join(j);
    return st;
}

clan_status cmd_join(struct cli *c)
{
    struct join *j = calloc(1, sizeof *j);
    clan_assert(j);
    j->c = c;
    clan_status st = read_wait(j);
    if (st == CLAN_OK)
        st = read_link(j);
    if (st == CLAN_OK)
        st = run(j);
    close_join(j);
    return st;
}
