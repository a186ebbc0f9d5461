/* clan remove, rename: machines of the clan. */
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/change.h"
#include "cli/names.h"
#include "cli/out.h"

#include <stdlib.h>
#include <string.h>

#define REVOKE_WAIT_MS 5000
#define INVITES_MAX    1024

static clan_status find_machine(struct cli *c, const struct session_machines *m, const char *name,
    const clan_api_Machine **ret_machine)
{
    *ret_machine = session_find(m, name);
    if (*ret_machine)
        return CLAN_OK;
    err_set(&c->e, CLAN_E_NOENT, "there is no machine %.60s in this clan", name);
    err_remedy(&c->e, "`clan machines` lists all");
    return CLAN_E_NOENT;
}

static bool same_invitation(const clan_api_Machine *a, const clan_api_Machine *b)
{
    return a->invite_id.size == 16 && b->invite_id.size == 16 &&
           memcmp(a->invite_id.bytes, b->invite_id.bytes, 16) == 0 && memcmp(a->id, b->id, 32) != 0;
}

/* Other guests of the same link: whoever leaked it once may have let them in as well (SECURITY
 * A10). */
static void companions(
    const struct session_machines *m, const clan_api_Machine *gone, char *ret, size_t cap)
{
    size_t len = 0;
    ret[0] = 0;
    for (size_t i = 0; i < m->count && len < cap; i++)
        if (same_invitation(gone, &m->rows[i]))
            len += (size_t)snprintf(ret + len, cap - len, "%s%s", len ? ", " : "", m->rows[i].name);
}

/* Invitations that are open now: a removal closes them (SECURITY A3). */
struct open_invites {
    clan_api_Invitation *rows;
    size_t count;
};

static clan_status take_open(void *arg, const clan_api_Answer *a)
{
    struct open_invites *o = arg;
    if (a->which_m != clan_api_Answer_invitation_tag ||
        strcmp(a->m.invitation.state, "open") != 0 || o->count == INVITES_MAX)
        return CLAN_OK;
    clan_api_Invitation *more = realloc(o->rows, (o->count + 1) * sizeof *more);
    if (!more)
        return CLAN_E_NOMEM;
    o->rows = more;
    o->rows[o->count++] = a->m.invitation;
    return CLAN_OK;
}

static json_t *open_json(const struct open_invites *o)
{
    json_t *list = json_array();
    for (size_t i = 0; i < o->count; i++)
        json_array_append_new(
            list, json_pack("{s:o, s:s, s:I, s:I}", "id", json_b32(o->rows[i].id, 16), "for",
                      o->rows[i].for_name, "uses", (json_int_t)o->rows[i].uses, "used",
                      (json_int_t)o->rows[i].used));
    return list;
}

static void say_closed(struct cli *c, const struct open_invites *o)
{
    if (o->count == 0)
        return;
    out_note(c, "- closes the invitations that are open now; to make them anew afterwards:");
    for (size_t i = 0; i < o->count; i++) {
        const clan_api_Invitation *v = &o->rows[i];
        char id[32], uses[32] = "";
        uint32_t left = v->uses > v->used ? v->uses - v->used : 1;
        text_base32(v->id, 16, id);
        if (left > 1)
            snprintf(uses, sizeof uses, " --uses %u", left);
        out_note(c, "    %.8s: clan invite%s%s%s", id, v->for_name[0] ? " --for " : "", v->for_name,
            uses);
    }
}

static void say_consequences(struct cli *c, const struct session_machines *m,
    const clan_api_Machine *gone, const struct open_invites *open)
{
    char others[300];
    companions(m, gone, others, sizeof others);
    out_note(c, "Removing %s:", gone->name);
    out_note(c,
        "- ends its connections to every machine, and it never comes back with its present key;");
    if (gone->invite_id.size)
        out_note(c, "- closes the invitation that it came by%s%s%s;",
            others[0] ? "; by the same one came " : "", others, others[0] ? " (they stay)" : "");
    say_closed(c, open);
    out_note(c, "- stops the services placed on it; what they stored lies on its disk;");
    out_note(c, "- takes back nothing that it copied while it was a member.");
}

static clan_status sign_revocation(struct cli *c, const clan_api_Context *x,
    const uint8_t machine[32], uint8_t *ret_raw, size_t *ret_size, uint8_t ret_id[32])
{
    static const uint8_t nobody[32];
    struct admin_ring ring;
    struct stmt_revocation r = {.reason = STMT_REVOKE_REMOVED, .config_version = x->config_version};
    uint8_t body[STMT_MAX];
    size_t size;
    memcpy(r.machine, machine, 32);
    r.time = clock_wall_s();
    clan_status st = adminring_open(c, x, x->threshold ? x->threshold : 1, &ring);
    if (st != CLAN_OK)
        return st;
    st = stmt_put_revocation(&r, body, sizeof body, &size);
    clan_assert(st == CLAN_OK);
    st = change_sign_statement(
        c, STMT_REVOCATION, x->clan_id, nobody, 1, body, size, &ring, ret_raw, ret_size, ret_id);
    adminring_close(&ring);
    return st;
}

/* Who counts invitations cannot be taken out before somebody else does (SECURITY D5). */
static clan_status check_roles(struct cli *c, const struct change *ch, const clan_api_Machine *gone)
{
    struct clan_config *cfg;
    clan_status st = change_check(c, "clan.yaml", ch->text, ch->size, &cfg);
    if (st != CLAN_OK)
        return st;
    for (unsigned i = 0; i < cfg->keeper_count; i++)
        if (strcmp(cfg->keepers[i], gone->name) == 0) {
            st = err_set(&c->e, CLAN_E_STATE, "%s is a keeper of the clan", gone->name);
            err_why(&c->e, "keepers confirm who joins; a removed one cannot hand that over");
            err_remedy(&c->e,
                "name another machine under keeper: with `clan config apply`, then remove it");
        }
    for (unsigned i = 0; st == CLAN_OK && i < cfg->service_count; i++)
        if (strcmp(cfg->services[i].on, gone->name) == 0)
            out_warn(c, "the service %s is placed on %s and ends with it", cfg->services[i].name,
                gone->name);
    config_clan_free(cfg);
    return st;
}

/* Its name and tags leave clan.yaml too.  There is a new version in any case: what is issued from
 * now on is told from what the removal closed by the version it names, and the floor of new links
 * is one that the removed machine cannot show. */
static uint64_t next_version(struct cli *c, struct change *ch, const clan_api_Machine *gone)
{
    clan_status st = config_change_remove(
        ch->text, ch->size, ch->version, gone->id, &ch->wanted, &ch->wanted_size, &c->e);
    if (st == CLAN_OK)
        st = change_submit(c, ch);
    if (st == CLAN_OK)
        return ch->version;
    out_warn(c,
        "%s is removed, but clan.yaml has no new version: %s; invitations that are made before its "
        "next change are closed from the start",
        gone->name, c->e.what);
    c->e = (struct clan_error)CLAN_ERROR_INIT;
    return 0;
}

static clan_status revoke(struct cli *c, struct change *ch, const struct session_machines *m,
    const clan_api_Machine *gone, const struct open_invites *open)
{
    uint8_t raw[STMT_MAX], id[32];
    size_t size;
    char others[300], question[100];
    clan_status st = check_roles(c, ch, gone);
    if (st != CLAN_OK)
        return st;
    if (!c->json)
        say_consequences(c, m, gone, open);
    snprintf(question, sizeof question, "This is final.");
    st = ask_type(c, question, gone->name);
    if (st == CLAN_OK)
        st = sign_revocation(c, ch->context, gone->id, raw, &size, id);
    if (st == CLAN_OK)
        st = session_submit(c, ch->api, raw, size);
    if (st != CLAN_OK)
        return st;
    json_t *json =
        json_pack("{s:s, s:o}", "removed", gone->name, "machine_id", json_b32(gone->id, 32));
    companions(m, gone, others, sizeof others);
    json_object_set_new(json, "came_by_the_same_invitation", json_string(others));
    json_object_set_new(json, "closed_invitations", open_json(open));
    clan_api_WaitFor wait = clan_api_WaitFor_init_zero;
    wait.config_version = next_version(c, ch, gone);
    memcpy(wait.revocation_id.bytes, id, 32);
    wait.revocation_id.size = 32;
    wait.timeout_ms = REVOKE_WAIT_MS;
    st = session_wait_acks(c, ch->api, wait, json);
    if (st == CLAN_OK && c->json)
        out_json(c, json_incref(json));
    else if (st == CLAN_OK)
        out_line(c, "%s is removed", gone->name);
    json_decref(json);
    return st;
}

clan_status cmd_remove(struct cli *c)
{
    struct change ch;
    struct session_machines m = {0};
    struct open_invites open = {0};
    const clan_api_Machine *gone = NULL;
    clan_status st = change_open(c, &ch);
    if (st != CLAN_OK)
        return st;
    st = session_machines(c, ch.api, &m);
    if (st == CLAN_OK)
        st = find_machine(c, &m, c->args[0], &gone);
    if (st == CLAN_OK)
        st = session_ask(c, ch.api, clan_api_Request_invitations_tag, take_open, &open);
    if (st == CLAN_OK && gone->self) {
        st = err_set(&c->e, CLAN_E_STATE, "%s is this machine", gone->name);
        err_remedy(&c->e, "`clan leave` takes this machine out of the clan");
    } else if (st == CLAN_OK && strcmp(gone->standing, "removed") == 0) {
        st = err_set(&c->e, CLAN_E_STATE, "%s is removed already", gone->name);
    }
    if (st == CLAN_OK)
        st = revoke(c, &ch, &m, gone, &open);
    free(open.rows);
    free(m.rows);
    change_close(&ch);
    return st;
}

clan_status cmd_rename(struct cli *c)
{
    struct change ch;
    struct session_machines m = {0};
    const clan_api_Machine *machine = NULL;
    if (!text_name_ok(c->args[1]))
        return names_refuse(c, "machine", c->args[1]);
    clan_status st = change_open(c, &ch);
    if (st != CLAN_OK)
        return st;
    st = session_machines(c, ch.api, &m);
    if (st == CLAN_OK)
        st = find_machine(c, &m, c->args[0], &machine);
    if (st == CLAN_OK)
        st = config_edit_machine(
            ch.text, ch.size, machine->id, c->args[1], &ch.wanted, &ch.wanted_size, &c->e);
    if (st == CLAN_OK)
        st = change_review(c, &ch);
    if (st == CLAN_OK && !cli_opt(c, "dry-run")) {
        json_t *json = json_pack("{s:s, s:s}", "machine", machine->name, "name", c->args[1]);
        st = change_publish(c, &ch, json);
        if (st == CLAN_OK && c->json)
            out_json(c, json_incref(json));
        else if (st == CLAN_OK)
            out_line(c, "%s is now called %s", machine->name, c->args[1]);
        json_decref(json);
    }
    free(m.rows);
    change_close(&ch);
    return st;
}
