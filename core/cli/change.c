/* Review, envelope, signatures and submission of a new version of clan.yaml. */
#include "cli/change.h"

#include "base/clock.h"
#include "base/error.h"
#include "cli/out.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define ACK_WAIT_MS       5000
#define PROTOCOL_MIN      1
#define KEEPER_GENERATION 1

clan_status change_open(struct cli *c, struct change *ret)
{
    *ret = (struct change){.context = calloc(1, sizeof *ret->context)};
    clan_assert(ret->context);
    clan_status st = session_open(c, &ret->api);
    if (st == CLAN_OK)
        st = session_context(c, ret->api, ret->context);
    if (st == CLAN_OK && ret->context->config_version < 2)
        st = err_set(&c->e, CLAN_E_STATE, "the clan has no configuration yet");
    if (st == CLAN_OK)
        st = session_body(c, ret->api, 0, ret->context->body_hash, &ret->text, &ret->size);
    ret->version = ret->context->config_version + 1;
    if (st != CLAN_OK)
        change_close(ret);
    return st;
}

void change_close(struct change *ch)
{
    api_close(ch->api);
    free(ch->context);
    free(ch->text);
    free(ch->wanted);
    *ch = (struct change){0};
}

static json_t *problems_json(const struct config_problems *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < config_problems_count(p); i++) {
        const struct config_problem *q = config_problems_at(p, i);
        json_array_append_new(
            list, json_pack("{s:i, s:i, s:s, s:s}", "line", (int)q->line, "column", (int)q->column,
                      "path", q->path, "text", q->text));
    }
    return list;
}

void change_problems(struct cli *c, const struct config_problems *p)
{
    if (c->json)
        out_json(c, json_pack("{s:o}", "problems", problems_json(p)));
    else
        config_problems_print(p, c->err, c->colour && c->err_tty);
}

clan_status change_check(
    struct cli *c, const char *name, const char *text, size_t size, struct clan_config **ret_config)
{
    struct config_problems *p = config_problems_new(name);
    if (!p)
        return err_set(&c->e, CLAN_E_NOMEM, "out of memory");
    clan_status st = config_clan_parse(text, size, p, ret_config);
    size_t count = config_problems_count(p);
    if (st != CLAN_OK) {
        change_problems(c, p);
        err_set(&c->e, st, "%s has %zu problem%s", name, count, count == 1 ? "" : "s");
        err_remedy(&c->e, "correct what is marked; `clan config example` shows every key");
    }
    config_problems_free(p);
    return st;
}

/* `clan sign` shows with one run of a command and signs with another: what it signs is what it showed, to the byte. */
static struct {
    uint8_t last[32], only[32];
    bool is_set;
} shown;

void change_shown(uint8_t ret[32])
{
    memcpy(ret, shown.last, 32);
}

void change_only(const uint8_t only[32])
{
    shown.is_set = only != NULL;
    if (only)
        memcpy(shown.only, only, 32);
}

static clan_status is_what_was_shown(struct cli *c, const struct change *ch)
{
    crypto_generichash_state h;
    crypto_generichash_init(&h, NULL, 0, sizeof shown.last);
    crypto_generichash_update(&h, ch->context->clan_id, sizeof ch->context->clan_id);
    crypto_generichash_update(&h, ch->context->config_id, sizeof ch->context->config_id);
    crypto_generichash_update(&h, (const uint8_t *)ch->wanted, ch->wanted_size);
    crypto_generichash_final(&h, shown.last, sizeof shown.last);
    if (!shown.is_set || memcmp(shown.last, shown.only, sizeof shown.last) == 0)
        return CLAN_OK;
    err_set(&c->e, CLAN_E_CONFLICT, "it would change something else now");
    err_why(&c->e, "the configuration changed meanwhile; nothing was signed");
    err_remedy(&c->e, "ask for it again");
    return CLAN_E_CONFLICT;
}

clan_status change_review(struct cli *c, struct change *ch)
{
    struct clan_config *cfg;
    clan_status st = is_what_was_shown(c, ch);
    if (st == CLAN_OK)
        st = change_check(c, "clan.yaml", ch->wanted, ch->wanted_size, &cfg);
    if (st != CLAN_OK)
        return st;
    uint64_t version = cfg->version;
    config_clan_free(cfg);
    if (version != ch->version) {
        err_set(&c->e, CLAN_E_CONFLICT,
            "the text is version %" PRIu64 ", but version %" PRIu64 " is next", version,
            ch->version);
        err_why(&c->e, "the clan's configuration changed since the text was made");
        err_remedy(&c->e, "start from `clan config show` again");
        return CLAN_E_CONFLICT;
    }
    if (!c->json) {
        char now[32], next[32];
        snprintf(now, sizeof now, "version %" PRIu64, ch->version - 1);
        snprintf(next, sizeof next, "version %" PRIu64, ch->version);
        config_diff(ch->text, ch->size, ch->wanted, ch->wanted_size, now, next, c->out, c->colour);
        fflush(c->out);
    }
    if (cli_opt(c, "dry-run"))
        return CLAN_OK;
    return ask_go_on(c, "Sign this and send it to every machine of the clan?");
}

static const uint8_t *machine_id(const struct clan_config *cfg, const char *name)
{
    for (unsigned i = 0; i < cfg->machine_count; i++)
        if (strcmp(cfg->machines[i].name, name) == 0)
            return cfg->machines[i].id;
    return NULL;
}

clan_status change_envelope(struct cli *c, const struct clan_config *cfg, const char *text,
    size_t size, const uint8_t previous[32], int64_t wall, struct stmt_envelope *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->version = cfg->version;
    memcpy(ret->previous, previous, 32);
    ret->time = wall;
    ret->threshold = (uint8_t)cfg->threshold;
    ret->admin_count = (uint8_t)cfg->admin_count;
    for (unsigned i = 0; i < cfg->admin_count; i++) {
        memcpy(ret->admins[i].key, cfg->admins[i].key, 32);
        memcpy(ret->admins[i].name, cfg->admins[i].name, sizeof ret->admins[i].name);
    }
    crypto_generichash(ret->body_hash, 32, (const uint8_t *)text, size, NULL, 0);
    ret->body_size = (uint32_t)size;
    ret->keeper_generation = KEEPER_GENERATION;
    ret->min_protocol = PROTOCOL_MIN;
    for (unsigned i = 0; i < cfg->keeper_count; i++) {
        const uint8_t *id = machine_id(cfg, cfg->keepers[i]);
        if (!id) {
            err_set(&c->e, CLAN_E_INVAL, "the keeper %s is not known by its ID", cfg->keepers[i]);
            err_why(&c->e, "machines: does not name it");
            err_remedy(&c->e, "add it under machines: (`clan machines --json` shows the IDs)");
            return CLAN_E_INVAL;
        }
        memcpy(ret->keepers[ret->keeper_count++], id, 32);
    }
    return CLAN_OK;
}

static bool has_admin(const struct stmt_envelope *e, const uint8_t key[32])
{
    for (unsigned i = 0; i < e->admin_count; i++)
        if (memcmp(e->admins[i].key, key, 32) == 0)
            return true;
    return false;
}

/* Removed keys are carried on for ever; admins that the new version leaves out join them. */
static clan_status add_removed(struct cli *c, const clan_api_Context *x, struct stmt_envelope *e)
{
    if (x->removed_keys_count + x->admin_keys_count > STMT_REMOVED_MAX + e->admin_count)
        return err_set(
            &c->e, CLAN_E_LIMIT, "more than %d admin keys were removed", STMT_REMOVED_MAX);
    for (unsigned i = 0; i < x->removed_keys_count; i++) {
        if (has_admin(e, x->removed_keys[i])) {
            err_set(&c->e, CLAN_E_INVAL, "the new version lists an admin key that was removed");
            err_why(&c->e, "a removed key never returns: somebody else may have it");
            err_remedy(&c->e, "give that admin a new key");
            return CLAN_E_INVAL;
        }
        memcpy(e->removed[e->removed_count++], x->removed_keys[i], 32);
    }
    for (unsigned i = 0; i < x->admin_keys_count; i++) {
        if (has_admin(e, x->admin_keys[i]))
            continue;
        if (e->removed_count == STMT_REMOVED_MAX)
            return err_set(
                &c->e, CLAN_E_LIMIT, "more than %d admin keys were removed", STMT_REMOVED_MAX);
        memcpy(e->removed[e->removed_count++], x->admin_keys[i], 32);
    }
    return CLAN_OK;
}

static bool same_proposal(const uint8_t *raw, size_t size, const struct stmt_envelope *want)
{
    struct stmt s;
    struct stmt_envelope have;
    if (stmt_parse(raw, size, &s, NULL) != CLAN_OK || stmt_get_envelope(&s, &have) != CLAN_OK)
        return false;
    have.time = want->time;
    return memcmp(&have, want, sizeof have) == 0;
}

static clan_status signed_another(struct cli *c, uint64_t version, const struct admin_key *k)
{
    char path[ADMINKEY_PATH_MAX] = "";
    signed_dir(k, path, NULL);
    err_set(
        &c->e, CLAN_E_CONFLICT, "this key has signed another version %" PRIu64 " already", version);
    err_why(&c->e,
        "two different versions %" PRIu64
        " signed by one key would stop the clan; the first is noted in %.160s",
        version, path);
    err_remedy(&c->e,
        "make the first change again; if its signature surely never left this machine, "
        "add --forget-signed");
    return CLAN_E_CONFLICT;
}

/* The proposal that one of the keys signed before, when it is the same; a different one is refused.
 * ret_noted: which keys. */
static clan_status find_earlier(struct cli *c, const uint8_t clan_id[32],
    const struct stmt_envelope *envelope, struct admin_ring *ring, uint8_t *raw, size_t *size,
    bool ret_noted[STMT_ADMINS_MAX], bool *ret_found)
{
    uint8_t earlier[STMT_MAX];
    size_t earlier_size;
    *ret_found = false;
    for (unsigned i = 0; i < ring->count; i++) {
        struct admin_key *k = &ring->keys[i];
        if (cli_opt(c, "forget-signed")) {
            clan_status forgot = signed_forget(k, clan_id, envelope->version, &c->e);
            if (forgot != CLAN_OK)
                return forgot;
        }
        clan_status st = signed_find(k, clan_id, envelope->version, earlier, &earlier_size, &c->e);
        if (st == CLAN_E_NOENT)
            continue;
        if (st != CLAN_OK)
            return st;
        if (!same_proposal(earlier, earlier_size, envelope))
            return signed_another(c, envelope->version, k);
        if (*ret_found && stmt_merge(raw, size, earlier, earlier_size) != CLAN_OK)
            return signed_another(c, envelope->version, k);
        if (!*ret_found) {
            memcpy(raw, earlier, earlier_size);
            *size = earlier_size;
        }
        *ret_found = ret_noted[i] = true;
    }
    return CLAN_OK;
}

/* Signs with each key.  What a key surely did not sign is not held against it: its agent said no, or it
 * was not asked any more. */
static clan_status sign_noted(struct cli *c, const uint8_t clan_id[32], uint64_t version,
    struct admin_ring *ring, const bool noted[STMT_ADMINS_MAX], uint8_t *raw, size_t *size)
{
    clan_status st = CLAN_OK;
    unsigned i = 0;
    while (i < ring->count && (st = adminkey_sign(&ring->keys[i], raw, size, &c->e)) == CLAN_OK)
        i++;
    for (unsigned k = i + (st != CLAN_E_PERM); k < ring->count; k++)
        if (!noted[k])
            signed_forget(&ring->keys[k], clan_id, version, NULL);
    return st;
}

clan_status change_sign(struct cli *c, const uint8_t clan_id[32], struct stmt_envelope *envelope,
    struct admin_ring *ring, uint8_t *ret_raw, size_t *ret_size)
{
    static const uint8_t nobody[32];
    uint8_t body[STMT_MAX];
    size_t size;
    bool found, noted[STMT_ADMINS_MAX] = {false};
    clan_status st = find_earlier(c, clan_id, envelope, ring, ret_raw, ret_size, noted, &found);
    if (st != CLAN_OK)
        return st;
    if (!found) {
        st = stmt_put_envelope(envelope, body, sizeof body, &size);
        if (st == CLAN_OK)
            st = stmt_build(
                STMT_ENVELOPE, clan_id, nobody, envelope->version, body, size, ret_raw, ret_size);
        if (st != CLAN_OK)
            return err_set(
                &c->e, st, "the version's admins, keepers or features are too many or malformed");
    }
    /* noted before it is signed: a crash in between can only refuse, never sign twice */
    for (unsigned i = 0; i < ring->count && st == CLAN_OK; i++)
        st = signed_note(&ring->keys[i], clan_id, envelope->version, ret_raw, *ret_size, &c->e);
    return st == CLAN_OK ? sign_noted(c, clan_id, envelope->version, ring, noted, ret_raw, ret_size)
                         : st;
}

clan_status change_sign_statement(struct cli *c, uint8_t kind, const uint8_t clan_id[32],
    const uint8_t author[32], uint64_t seq, const void *body, size_t body_size,
    struct admin_ring *ring, uint8_t *ret_raw, size_t *ret_size, uint8_t ret_id[32])
{
    struct stmt s;
    clan_status st = stmt_build(kind, clan_id, author, seq, body, body_size, ret_raw, ret_size);
    if (st == CLAN_OK)
        st = stmt_parse(ret_raw, *ret_size, &s, NULL);
    if (st != CLAN_OK)
        return err_set(&c->e, st, "the %s could not be signed", stmt_kind_name(kind));
    for (unsigned i = 0; i < ring->count && st == CLAN_OK; i++)
        st = adminkey_sign(&ring->keys[i], ret_raw, ret_size, &c->e);
    if (st != CLAN_OK)
        return st;
    memcpy(ret_id, s.id, 32);
    return CLAN_OK;
}

clan_status change_submit(struct cli *c, struct change *ch)
{
    struct admin_ring ring;
    struct stmt_envelope envelope;
    struct clan_config *cfg;
    uint8_t raw[STMT_MAX], hash[32];
    size_t size;
    const clan_api_Context *x = ch->context;
    clan_status st = adminring_open(c, x, x->threshold ? x->threshold : 1, &ring);
    if (st != CLAN_OK)
        return st;
    st = change_check(c, "clan.yaml", ch->wanted, ch->wanted_size, &cfg);
    if (st == CLAN_OK) {
        st = change_envelope(
            c, cfg, ch->wanted, ch->wanted_size, x->config_id, clock_wall_s(), &envelope);
        if (st == CLAN_OK)
            st = add_removed(c, x, &envelope);
        config_clan_free(cfg);
    }
    /* the body first: when the daemon is not there, nothing has been signed */
    if (st == CLAN_OK)
        st = session_blob_put(c, ch->api, ch->wanted, ch->wanted_size, hash);
    if (st == CLAN_OK)
        st = change_sign(c, x->clan_id, &envelope, &ring, raw, &size);
    if (st == CLAN_OK)
        st = session_submit(c, ch->api, raw, size);
    adminring_close(&ring);
    return st;
}

clan_status change_publish(struct cli *c, struct change *ch, json_t *json)
{
    clan_status st = change_submit(c, ch);
    if (st != CLAN_OK)
        return st;
    out_note(c, "version %" PRIu64 " is signed", ch->version);
    if (json)
        json_object_set_new(json, "config_version", json_integer((json_int_t)ch->version));
    clan_api_WaitFor wait = clan_api_WaitFor_init_zero;
    wait.config_version = ch->version;
    wait.timeout_ms = ACK_WAIT_MS;
    return session_wait_acks(c, ch->api, wait, json);
}
