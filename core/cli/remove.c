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

static void say_consequences(
    struct cli *c, const struct session_machines *m, const clan_api_Machine *gone)
{
    char others[300];
    companions(m, gone, others, sizeof others);
    out_note(c, "Removing %s:", gone->name);
    out_note(c,
        "- ends its connections to every machine, and it never comes back with its present key;");
    if (gone->invite_id.size)
        out_note(c, "- closes the invitation that it came by%s%s%s;",
            others[0] ? "; by the same one came " : "", others, others[0] ? " (they stay)" : "");
    out_note(c, "- closes every invitation that is open now: make new ones afterwards;");
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

static bool names_it(const struct change *ch, const uint8_t id[32])
{
    char text[TEXT_ID_CHARS + 1];
    text_base32(id, 32, text);
    return strstr(ch->text, text) != NULL;
}

/* Its name and tags leave clan.yaml too; the revocation counts without it. */
static void clean_config(struct cli *c, const clan_api_Machine *gone)
{
    struct change ch;
    clan_status st = change_open(c, &ch);
    if (st == CLAN_OK && names_it(&ch, gone->id)) {
        st = config_edit_machine_gone(
            ch.text, ch.size, gone->id, &ch.wanted, &ch.wanted_size, &c->e);
        if (st == CLAN_OK)
            st = change_publish(c, &ch, NULL);
    }
    if (st != CLAN_OK) {
        out_warn(c, "%s is removed, but clan.yaml still names it: %s", gone->name, c->e.what);
        c->e = (struct clan_error)CLAN_ERROR_INIT;
    }
    change_close(&ch);
}

static clan_status revoke(struct cli *c, struct change *ch, const struct session_machines *m,
    const clan_api_Machine *gone)
{
    uint8_t raw[STMT_MAX], id[32];
    size_t size;
    char others[300], question[100];
    clan_status st = check_roles(c, ch, gone);
    if (st != CLAN_OK)
        return st;
    if (!c->json)
        say_consequences(c, m, gone);
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
    clan_api_WaitFor wait = clan_api_WaitFor_init_zero;
    memcpy(wait.revocation_id.bytes, id, 32);
    wait.revocation_id.size = 32;
    wait.timeout_ms = REVOKE_WAIT_MS;
    st = session_wait_acks(c, ch->api, wait, json);
    if (st == CLAN_OK)
        clean_config(c, gone);
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
    const clan_api_Machine *gone = NULL;
    clan_status st = change_open(c, &ch);
    if (st != CLAN_OK)
        return st;
    st = session_machines(c, ch.api, &m);
    if (st == CLAN_OK)
        st = find_machine(c, &m, c->args[0], &gone);
    if (st == CLAN_OK && gone->self) {
        st = err_set(&c->e, CLAN_E_STATE, "%s is this machine", gone->name);
        err_remedy(&c->e, "`clan leave` takes this machine out of the clan");
    } else if (st == CLAN_OK && strcmp(gone->standing, "removed") == 0) {
        st = err_set(&c->e, CLAN_E_STATE, "%s is removed already", gone->name);
    }
    if (st == CLAN_OK)
        st = revoke(c, &ch, &m, gone);
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
