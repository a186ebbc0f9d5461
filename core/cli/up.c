/* clan up: makes a clan of one machine, or starts one that was put down. */
#include "cli/up.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/adminkey.h"
#include "cli/change.h"
#include "cli/machine.h"
#include "cli/names.h"
#include "cli/out.h"
#include "cli/session.h"
#include "noise/keys.h"

#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define START_WAIT_MS 10000
#define START_POLL_MS 50
#define UP_IDLE_MS    60000
#define FIRST_VERSION 2
#define WORD_TRIES    3

struct up {
    struct cli *c;
    struct api_client *api;
    char name[33], machine[33], admin[33];
    struct admin_key key;
    bool key_is_new;
    uint8_t genesis[STMT_MAX], genesis_id[32];
    size_t genesis_size;
    clan_api_Created created;
    bool got_created;
    clan_api_Joined joined;
    bool got_joined;
    char *text; /* of version 2 */
    size_t text_size;
};

static clan_status take(void *arg, const clan_api_Answer *a)
{
    struct up *u = arg;
    if (a->which_m == clan_api_Answer_created_tag) {
        u->created = a->m.created;
        u->got_created = true;
    } else if (a->which_m == clan_api_Answer_joined_tag) {
        u->joined = a->m.joined;
        u->got_joined = true;
    }
    return CLAN_OK;
}

static json_t *up_json(const struct up *u, const char *what, const char *petname)
{
    json_t *o = json_pack("{s:s, s:s}", "state", what, "petname", petname);
    if (u->got_joined) {
        json_object_set_new(o, "machine", json_string(u->joined.machine));
        json_object_set_new(o, "machine_id", json_b32(u->joined.machine_id, 32));
        json_object_set_new(o, "address", json_address(u->joined.address));
        json_object_set_new(o, "network_up", json_boolean(u->joined.network_up));
    }
    return o;
}

static void say_up(struct up *u, const char *petname, const char *what)
{
    struct cli *c = u->c;
    char address[64];
    if (c->json) {
        out_json(c, up_json(u, what, petname));
        return;
    }
    out_line(c, "clan %s is %s", petname, what);
    if (u->got_joined && u->joined.machine[0])
        out_para(c, 0, "this machine is %s (%s.%s.clan, %s)", u->joined.machine, u->joined.machine,
            petname, out_address(u->joined.address, address));
    out_note(c, "Next: `clan status`");
}

static clan_status ask_start(struct up *u)
{
    struct cli *c = u->c;
    clan_status st = api_connect(c->run_dir, NULL, &u->api, &c->e);
    if (st != CLAN_OK)
        return st;
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req);
    req->which_m = clan_api_Request_start_tag;
    snprintf(req->m.start.petname, sizeof req->m.start.petname, "%s", u->name);
    st = session_call(c, u->api, req, UP_IDLE_MS, take, u);
    free(req);
    api_close(u->api);
    u->api = NULL;
    return st;
}

/* "Started" means that commands work now. */
static clan_status wait_listening(struct up *u)
{
    struct cli *c = u->c;
    clan_status st;
    uint64_t end = clock_mono_ms() + START_WAIT_MS;
    while ((st = api_connect(c->run_dir, u->name, &u->api, &c->e)) == CLAN_E_NOTRUNNING &&
           clock_mono_ms() < end)
        poll(NULL, 0, START_POLL_MS);
    return st;
}

/* A clan of that name that is here already: up, or put down.  NOENT: there is none. */
static clan_status start_existing(struct up *u)
{
    struct cli *c = u->c;
    uint64_t end = clock_mono_ms() + START_WAIT_MS;
    clan_status st = api_connect(c->run_dir, u->name, &u->api, &c->e);
    if (st == CLAN_OK) {
        say_up(u, u->name, "up");
        return CLAN_OK;
    }
    if (st != CLAN_E_NOTRUNNING)
        return st;
    while ((st = ask_start(u)) == CLAN_E_AGAIN && clock_mono_ms() < end)
        poll(NULL, 0, START_POLL_MS); /* it is still going down */
    if (st == CLAN_OK)
        st = wait_listening(u);
    if (st == CLAN_OK)
        say_up(u, u->name, "started");
    return st;
}

static clan_status choose_names(struct up *u)
{
    struct cli *c = u->c;
    const char *name = cli_opt(c, "name") ? cli_opt(c, "name") : c->clan;
    const char *machine = cli_opt(c, "machine");
    snprintf(u->name, sizeof u->name, "%s", name ? name : "home");
    names_of_host(u->machine);
    names_of_user(u->admin);
    if (machine)
        snprintf(u->machine, sizeof u->machine, "%s", machine);
    if ((name && strlen(name) > TEXT_NAME_MAX) || !text_name_ok(u->name))
        return names_refuse(c, "clan", name);
    if ((machine && strlen(machine) > TEXT_NAME_MAX) || !text_name_ok(u->machine))
        return names_refuse(c, "machine", machine);
    return CLAN_OK;
}

/* What an agent asks before it signs is nothing that it tells (SECURITY B7): its owner says so. */
static clan_status ask_agent(struct up *u)
{
    struct cli *c = u->c;
    out_note(c,
        "%s signs all that its agent is asked to sign, also from a machine to which the agent is "
        "forwarded. It has to ask you each time: `ssh-add -c FILE`.",
        u->key.name);
    return ask_go_on(c, "Does your agent ask before each signature?");
}

/* The file of an agent's key only says which one it is; it lies where a key file would. */
static clan_status open_agent_key(struct up *u, const char *given)
{
    struct cli *c = u->c;
    struct admin_key before;
    char path[ADMINKEY_PATH_MAX];
    clan_status st = adminkey_open(given, &u->key, &c->e);
    if (st == CLAN_OK)
        st = adminkey_path(u->name, path, &c->e);
    if (st != CLAN_OK)
        return st;
    memcpy(u->key.path, path, sizeof path);
    st = adminkey_load(path, &before, &c->e);
    u->key_is_new = st == CLAN_E_NOENT;
    if (st != CLAN_OK && !u->key_is_new)
        return st;
    if (!u->key_is_new) {
        bool same = before.in_agent && memcmp(before.public_key, u->key.public_key, 32) == 0;
        adminkey_wipe(&before);
        if (same)
            return CLAN_OK;
        err_set(&c->e, CLAN_E_EXIST, "there is another admin key for a clan %s already", u->name);
        err_why(&c->e, "it is in %s", path);
        err_remedy(&c->e, "use that one, without --key, or give the clan another name with --name");
        return CLAN_E_EXIST;
    }
    return ask_agent(u);
}

static clan_status new_key(struct up *u, const char *path)
{
    uint8_t entropy[16];
    randombytes_buf(entropy, sizeof entropy);
    clan_status st = adminkey_from_entropy(entropy, &u->key);
    sodium_memzero(entropy, sizeof entropy);
    snprintf(u->key.path, sizeof u->key.path, "%s", path);
    snprintf(u->key.name, sizeof u->key.name, "%s", path);
    u->key_is_new = true;
    return st == CLAN_OK ? st : err_set(&u->c->e, st, "out of memory");
}

/* A key that an interrupted `clan up` left is used again. */
static clan_status open_key(struct up *u)
{
    struct cli *c = u->c;
    char path[ADMINKEY_PATH_MAX];
    const char *given = cli_opt(c, "key");
    clan_status st = CLAN_OK;
    if (given && strncmp(given, ADMINKEY_AGENT, strlen(ADMINKEY_AGENT)) == 0)
        return open_agent_key(u, given);
    if (given && strlen(given) >= sizeof path)
        st = err_set(&c->e, CLAN_E_LIMIT, "the path of the key is longer than %zu characters",
            sizeof path - 1);
    else if (given)
        strcpy(path, given);
    else
        st = adminkey_path(u->name, path, &c->e);
    if (st == CLAN_OK)
        st = adminkey_open(path, &u->key, &c->e);
    if (st == CLAN_OK)
        out_note(c, "using the admin key in %s", path);
    return st == CLAN_E_NOENT ? new_key(u, path) : st;
}

static clan_status make_genesis(struct up *u)
{
    static const uint8_t nobody[32];
    struct stmt_genesis g = {.time = clock_wall_s(), .threshold = 1, .admin_count = 1};
    struct admin_ring ring = {.count = 1};
    uint8_t body[STMT_MAX];
    size_t size;
    randombytes_buf(g.nonce, sizeof g.nonce);
    memcpy(g.clan, u->name, sizeof g.clan);
    memcpy(g.admins[0].key, u->key.public_key, 32);
    memcpy(g.admins[0].name, u->admin, sizeof g.admins[0].name);
    ring.keys[0] = u->key;
    clan_assert(stmt_put_genesis(&g, body, sizeof body, &size) == CLAN_OK);
    return change_sign_statement(u->c, STMT_GENESIS, nobody, nobody, 1, body, size, &ring,
        u->genesis, &u->genesis_size, u->genesis_id);
}

/* The core made the machine's identity; what it says is checked before anything is signed for it.
 */
static clan_status check_created(struct up *u)
{
    struct stmt s;
    const clan_api_Created *k = &u->created;
    if (u->got_created && memcmp(k->clan_id, u->genesis_id, 32) == 0 &&
        stmt_parse(k->record.bytes, k->record.size, &s, NULL) == CLAN_OK && s.kind == STMT_RECORD &&
        memcmp(s.id, k->machine_id, 32) == 0 && memcmp(s.clan, u->genesis_id, 32) == 0 &&
        text_name_ok(k->petname))
        return CLAN_OK;
    err_set(&u->c->e, CLAN_E_PROTO, "the record that Clan made for this machine does not verify");
    err_remedy(&u->c->e, "restart cland after an update and try again");
    return CLAN_E_PROTO;
}

static clan_status create(struct up *u)
{
    struct cli *c = u->c;
    clan_status st = api_connect(c->run_dir, NULL, &u->api, &c->e);
    if (st != CLAN_OK)
        return st;
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req && u->genesis_size <= sizeof req->m.create.genesis.bytes);
    req->which_m = clan_api_Request_create_tag;
    memcpy(req->m.create.genesis.bytes, u->genesis, u->genesis_size);
    req->m.create.genesis.size = (pb_size_t)u->genesis_size;
    snprintf(req->m.create.petname, sizeof req->m.create.petname, "%s", u->name);
    st = session_call(c, u->api, req, UP_IDLE_MS, take, u);
    free(req);
    return st == CLAN_OK ? check_created(u) : st;
}

static clan_status sign_admission(
    struct up *u, struct admin_ring *ring, uint8_t *ret_raw, size_t *ret_size)
{
    uint8_t body[STMT_MAX], id[32];
    size_t size;
    struct stmt_admission a = {.how = STMT_ADMIT_FOUNDER, .time = clock_wall_s()};
    a.record = u->created.record.bytes;
    a.record_size = (uint16_t)u->created.record.size;
    clan_status st = stmt_put_admission(&a, body, sizeof body, &size);
    if (st != CLAN_OK)
        return err_set(&u->c->e, st, "the record of this machine is too large");
    return change_sign_statement(u->c, STMT_ADMISSION, u->genesis_id, u->key.public_key, 1, body,
        size, ring, ret_raw, ret_size, id);
}

/* The genesis is version 1, so the first text is version 2 whatever number its template has. */
static clan_status first_text(struct up *u, struct clan_config **ret_config)
{
    char *raised = NULL;
    size_t raised_size;
    char transports[CONFIG_TRANSPORTS_MAX][33];
    unsigned count = machine_transports(transports);
    clan_status st = config_clan_first(u->name, u->admin, u->key.public_key, u->created.machine_id,
        u->machine, transports, count, &u->text, &u->text_size);
    if (st != CLAN_OK)
        return err_set(&u->c->e, st, "the first configuration could not be written");
    st = change_check(u->c, "clan.yaml", u->text, u->text_size, ret_config);
    if (st != CLAN_OK || (*ret_config)->version == FIRST_VERSION)
        return st;
    config_clan_free(*ret_config);
    st = config_edit_version(u->text, u->text_size, FIRST_VERSION, &raised, &raised_size, &u->c->e);
    if (st != CLAN_OK)
        return st;
    free(u->text);
    u->text = raised;
    u->text_size = raised_size;
    return change_check(u->c, "clan.yaml", u->text, u->text_size, ret_config);
}

static clan_status sign_second(
    struct up *u, struct admin_ring *ring, uint8_t *ret_raw, size_t *ret_size)
{
    struct clan_config *cfg;
    struct stmt_envelope e;
    clan_status st = first_text(u, &cfg);
    if (st != CLAN_OK)
        return st;
    st = change_envelope(u->c, cfg, u->text, u->text_size, u->genesis_id, clock_wall_s(), &e);
    config_clan_free(cfg);
    return st == CLAN_OK ? change_sign(u->c, u->genesis_id, &e, ring, ret_raw, ret_size) : st;
}

/* Version 2 (machines, keeper) and the founder's admission, signed and handed over. */
static clan_status commit(struct up *u)
{
    struct cli *c = u->c;
    struct admin_ring ring = {.count = 1};
    uint8_t envelope[STMT_MAX], admission[STMT_MAX], hash[32];
    size_t envelope_size, admission_size;
    ring.keys[0] = u->key;
    clan_status st = sign_admission(u, &ring, admission, &admission_size);
    if (st == CLAN_OK)
        st = sign_second(u, &ring, envelope, &envelope_size);
    if (st == CLAN_OK)
        st = session_blob_put(c, u->api, u->text, u->text_size, hash);
    if (st != CLAN_OK)
        return st;
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req && admission_size <= sizeof req->m.create_commit.admission.bytes &&
                envelope_size <= sizeof req->m.create_commit.envelope.bytes);
    req->which_m = clan_api_Request_create_commit_tag;
    memcpy(req->m.create_commit.admission.bytes, admission, admission_size);
    req->m.create_commit.admission.size = (pb_size_t)admission_size;
    memcpy(req->m.create_commit.envelope.bytes, envelope, envelope_size);
    req->m.create_commit.envelope.size = (pb_size_t)envelope_size;
    st = session_call(c, u->api, req, UP_IDLE_MS, take, u);
    free(req);
    return st;
}

/* Word number `which` (from 1) of words joined by blanks or hyphens. */
static void nth_word(const char *words, unsigned which, char ret[32])
{
    size_t len;
    for (;; words += len) {
        words += strspn(words, " -");
        len = strcspn(words, " -");
        if (--which == 0 || !*words)
            break;
    }
    snprintf(ret, 32, "%.*s", (int)len, words);
}

static void ask_words_back(struct up *u, const char *words)
{
    struct cli *c = u->c;
    unsigned first = randombytes_uniform(6) + 1, second = randombytes_uniform(6) + 7, tries = 0;
    if (!ask_possible(c) || c->yes || cli_opt(c, "no-questions"))
        return;
    out_note(c, "Write them down now. Two of them are asked back:");
    for (unsigned which = first; tries < WORD_TRIES;) {
        char want[32], got[64], prompt[48];
        nth_word(words, which, want);
        snprintf(prompt, sizeof prompt, "word number %u: ", which);
        if (!ask_line(c, prompt, got, sizeof got))
            break;
        bool right = strcasecmp(want, got) == 0;
        sodium_memzero(want, sizeof want);
        sodium_memzero(got, sizeof got);
        if (!right)
            tries++;
        else if (which == second)
            return;
        else
            which = second;
        if (!right && tries < WORD_TRIES)
            out_note(c, "that is another word; look again");
    }
    out_warn(c,
        "the words were not confirmed. Without them and without %s nobody can ever change this "
        "clan.",
        u->key.path);
}

static void show_words(struct up *u, char words[KEYS_RECOVERY_MAX])
{
    struct cli *c = u->c;
    out_line(c, "%s", "");
    out_para(c, 0,
        "Twelve recovery words. They are the admin key: whoever knows them can change this clan; "
        "without them and without the key file nobody can. They are shown once.");
    for (unsigned row = 0; row < 4; row++) {
        char w[3][32];
        for (unsigned i = 0; i < 3; i++)
            nth_word(words, row * 3 + i + 1, w[i]);
        out_line(c, "  %2u %-12s %2u %-12s %2u %s", row * 3 + 1, w[0], row * 3 + 2, w[1],
            row * 3 + 3, w[2]);
        sodium_memzero(w, sizeof w);
    }
    ask_words_back(u, words);
}

/* Nobody but the agent's owner has the key, so nothing here can bring it back. */
static void say_no_words(struct up *u)
{
    out_para(u->c, 0,
        "There are no recovery words: the key never leaves your ssh-agent. Keep a copy of its "
        "private key file, or add a second admin: without one of the two nobody can ever change "
        "this clan once the key is lost.");
}

static void created_json(struct up *u, const char *words)
{
    json_t *o = up_json(u, "created", u->created.petname);
    json_object_set_new(o, "clan_id", json_b32(u->genesis_id, 32));
    json_object_set_new(o, "key_file", json_string(u->key.path));
    json_object_set_new(o, "key", json_string(u->key.name));
    json_object_set_new(o, "recovery_words", words[0] ? json_string(words) : json_null());
    out_json(u->c, o);
}

static void say_created(struct up *u)
{
    struct cli *c = u->c;
    char words[KEYS_RECOVERY_MAX] = "", address[64], f[KEYS_WORDS_MAX];
    const char *petname = u->created.petname;
    if (!u->key.in_agent)
        keys_recovery_words(ADMINKEY_ENTROPY(&u->key), words);
    if (c->json) {
        created_json(u, words);
    } else {
        keys_words("clan", u->genesis_id, u->genesis_id, f);
        out_line(c, "clan %s is created", petname);
        out_para(c, 0, "this machine is %s (%s.%s.clan, %s)", u->machine, u->machine, petname,
            out_address(u->created.address, address));
        out_para(c, 0, "the clan's six words: %s", f);
        out_para(c, 0, "admin key of %s: %s", u->admin, u->key.name);
        if (u->key.in_agent)
            say_no_words(u);
        else
            show_words(u, words);
        out_note(c,
            "Next: `clan invite` makes a link for a second machine, `clan status` shows this one.");
    }
    sodium_memzero(words, sizeof words);
}

static clan_status make_clan(struct up *u)
{
    struct cli *c = u->c;
    c->e = (struct clan_error)CLAN_ERROR_INIT;
    clan_status st = open_key(u);
    if (st == CLAN_OK)
        st = make_genesis(u);
    if (st == CLAN_OK)
        st = create(u);
    /* durable before anything that needs it exists */
    if (st == CLAN_OK && u->key_is_new)
        st = adminkey_store(&u->key, u->name, u->admin, &c->e);
    if (st == CLAN_OK)
        st = commit(u);
    return st;
}

static clan_status ask_name(struct up *u)
{
    struct cli *c = u->c;
    char line[64];
    if (cli_opt(c, "name") || c->clan || cli_opt(c, "no-questions") || c->yes || !ask_possible(c))
        return CLAN_OK;
    if (!ask_line(c, "Name of the new clan [home]: ", line, sizeof line))
        return err_set(&c->e, CLAN_E_CANCELLED, "cancelled; nothing was changed");
    if (!line[0])
        return CLAN_OK;
    if (!text_name_ok(line))
        return names_refuse(c, "clan", line);
    snprintf(u->name, sizeof u->name, "%s", line);
    return CLAN_OK;
}

static void close_up(struct up *u)
{
    adminkey_wipe(&u->key);
    api_close(u->api);
    free(u->text);
    free(u);
}

clan_status cmd_up(struct cli *c)
{
    struct up *u = calloc(1, sizeof *u);
    clan_assert(u);
    u->c = c;
    clan_status st = choose_names(u);
    if (st == CLAN_OK)
        st = start_existing(u);
    if (st == CLAN_E_NOENT) {
        st = ask_name(u);
        if (st == CLAN_OK)
            st = make_clan(u);
        if (st == CLAN_OK)
            say_created(u);
    }
    close_up(u);
    return st;
}

clan_status up_by_name(
    struct cli *c, const char *name, const char *machine, clan_api_UiCreated *ret)
{
    struct up *u = calloc(1, sizeof *u);
    clan_assert(u);
    u->c = c;
    _Static_assert(sizeof ret->words >= KEYS_RECOVERY_MAX, "all twelve fit");
    clan_status st = choose_names(u);
    if (st == CLAN_OK && !(strlen(name) <= TEXT_NAME_MAX && text_name_ok(name)))
        st = names_refuse(c, "clan", name);
    if (st == CLAN_OK && machine[0] && !(strlen(machine) <= TEXT_NAME_MAX && text_name_ok(machine)))
        st = names_refuse(c, "machine", machine);
    if (st == CLAN_OK) {
        snprintf(u->name, sizeof u->name, "%s", name);
        if (machine[0])
            snprintf(u->machine, sizeof u->machine, "%s", machine);
        st = start_existing(u);
    }
    if (st == CLAN_OK)
        snprintf(ret->petname, sizeof ret->petname, "%s", u->name);
    if (st == CLAN_E_NOENT) {
        st = make_clan(u);
        if (st == CLAN_OK)
            snprintf(ret->petname, sizeof ret->petname, "%s", u->created.petname);
        if (st == CLAN_OK && !u->key.in_agent)
            keys_recovery_words(ADMINKEY_ENTROPY(&u->key), ret->words);
    }
    close_up(u);
    return st;
}
