/* Configuration bodies: kept as config/<version>.yaml, found by their hash, used when the head
 * names them. */
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "brain/brain.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BODIES_KEPT 100

/* A body that came before the envelope which names it (local API). */
static struct {
    uint8_t hash[32], *data;
    uint32_t total, have;
    bool complete;
} upload;

static struct { /* the last one read, for gossip's chunks */
    uint8_t hash[32];
    uint8_t *data;
    size_t size;
} cached;

static int config_dir(struct brain *b)
{
    if (mkdirat(b->state_fd, "config", 0700) != 0 && errno != EEXIST)
        return -1;
    return openat(b->state_fd, "config", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool hash_is(const void *data, size_t size, const uint8_t hash[32])
{
    uint8_t h[32];
    crypto_generichash(h, sizeof h, data, size, NULL, 0);
    return memcmp(h, hash, 32) == 0;
}

/* Version of the live envelope with this body, 0: none. */
static uint64_t version_of(struct brain *b, const uint8_t hash[32])
{
    for (size_t i = 0; i < member_stmt_count(b->set); i++) {
        const uint8_t *raw, *id;
        uint8_t kind;
        size_t size;
        struct stmt st;
        struct stmt_envelope env;
        if (member_stmt_at(b->set, i, &raw, &size, &id, &kind) != CLAN_OK || kind != STMT_ENVELOPE)
            continue;
        if (stmt_parse(raw, size, &st, NULL) == CLAN_OK &&
            stmt_get_envelope(&st, &env) == CLAN_OK && memcmp(env.body_hash, hash, 32) == 0)
            return env.version;
    }
    return 0;
}

static clan_status read_version(struct brain *b, uint64_t version, uint8_t **ret, size_t *ret_size)
{
    char name[40];
    int dir = config_dir(b);
    if (dir < 0)
        return CLAN_E_IO;
    snprintf(name, sizeof name, "%llu.yaml", (unsigned long long)version);
    clan_status st = file_read(dir, name, CONFIG_FILE_MAX, ret, ret_size, NULL);
    close(dir);
    return st;
}

clan_status bodies_version(struct brain *b, uint64_t version, char **ret, size_t *ret_size)
{
    return read_version(b, version, (uint8_t **)ret, ret_size);
}

bool bodies_get(void *arg, const uint8_t hash[32], const uint8_t **ret_data, size_t *ret_size)
{
    struct brain *b = arg;
    if (!cached.data || memcmp(cached.hash, hash, 32) != 0) {
        uint8_t *data;
        size_t size;
        uint64_t version = b->set ? version_of(b, hash) : 0;
        if (!version || read_version(b, version, &data, &size) != CLAN_OK)
            return false;
        if (!hash_is(data, size, hash)) {
            free(data);
            return false;
        }
        free(cached.data);
        cached.data = data;
        cached.size = size;
        memcpy(cached.hash, hash, 32);
    }
    *ret_data = cached.data;
    *ret_size = cached.size;
    return true;
}

static bool write_version(struct brain *b, uint64_t version, const uint8_t *data, size_t size)
{
    char name[40], old[40];
    struct clan_error e = CLAN_ERROR_INIT;
    int dir = config_dir(b);
    if (dir < 0)
        return false;
    snprintf(name, sizeof name, "%llu.yaml", (unsigned long long)version);
    clan_status st = file_write_durable(dir, name, data, size, 0600, &e);
    if (st == CLAN_OK && version > BODIES_KEPT) {
        snprintf(old, sizeof old, "%llu.yaml", (unsigned long long)(version - BODIES_KEPT));
        unlinkat(dir, old, 0);
    }
    close(dir);
    if (st != CLAN_OK) {
        if (b->disk_trouble.status == CLAN_OK)
            log_clan_error(LOG_LEVEL_ERROR, &e);
        b->disk_trouble = e;
    }
    return st == CLAN_OK;
}

bool bodies_put(void *arg, const uint8_t hash[32], const uint8_t *data, size_t size)
{
    struct brain *b = arg;
    uint64_t version = version_of(b, hash);
    if (!version || !write_version(b, version, data, size))
        return false;
    brain_soon(b);
    return true;
}

/* Whom it brings back (SECURITY C4), before anybody signs it.  A machine that left and is still
 * named where nobody signed since is in nobody's way. */
static clan_status may_return(struct brain *b, struct clan_error *e)
{
    struct clan_config *cfg = NULL;
    struct config_problems *p = config_problems_new("clan.yaml");
    clan_status st = CLAN_OK;
    if (config_clan_parse((const char *)upload.data, upload.total, p, &cfg) == CLAN_OK) {
        unsigned n = 0;
        for (unsigned i = 0; i < cfg->machine_count; i++)
            if (!member_row(b->cfg, cfg->machines[i].id))
                cfg->machines[n++] = cfg->machines[i];
        cfg->machine_count = n;
        st = member_body_allowed(b->set, cfg, e);
        config_clan_free(cfg);
    }
    config_problems_free(p);
    return st;
}

clan_status bodies_chunk(struct brain *b, const clan_api_BlobPut *put, struct clan_error *e)
{
    if (put->total == 0 || put->total > CONFIG_FILE_MAX || put->offset > put->total ||
        put->data.size > put->total - put->offset)
        return err_set(e, CLAN_E_LIMIT, "a configuration has at most %u bytes", CONFIG_FILE_MAX);
    if (put->offset == 0) {
        free(upload.data);
        upload.data = malloc(put->total);
        upload.total = put->total;
        upload.have = 0;
        upload.complete = false;
        memcpy(upload.hash, put->hash, 32);
    }
    if (!upload.data || put->offset != upload.have || put->total != upload.total ||
        memcmp(upload.hash, put->hash, 32) != 0)
        return err_set(e, CLAN_E_PROTO, "the pieces of the configuration came out of order");
    memcpy(upload.data + put->offset, put->data.bytes, put->data.size);
    upload.have += put->data.size;
    if (upload.have < upload.total)
        return CLAN_OK;
    upload.complete = hash_is(upload.data, upload.total, upload.hash);
    if (!upload.complete)
        return err_set(
            e, CLAN_E_PROTO, "the configuration does not have the hash that was announced");
    clan_status st = b->bound && b->set ? may_return(b, e) : CLAN_OK;
    upload.complete = st == CLAN_OK;
    return st;
}

static void forget_upload(bool used)
{
    if (!used)
        return;
    free(upload.data);
    upload.data = NULL;
    upload.complete = false;
}

bool bodies_uploaded(const uint8_t hash[32])
{
    return upload.complete && memcmp(upload.hash, hash, 32) == 0;
}

clan_status bodies_keep(struct brain *b, const struct stmt_envelope *env, struct clan_error *e)
{
    const uint8_t *id;
    const struct stmt_envelope *head;
    if (!bodies_uploaded(env->body_hash) || env->version <= member_head(b->set, &id, &head))
        return CLAN_OK;
    if (write_version(b, env->version, upload.data, upload.total))
        return CLAN_OK;
    *e = b->disk_trouble;
    return e->status;
}

static void use_body(struct brain *b, const struct stmt_envelope *env, uint8_t *data, size_t size)
{
    struct config_problems *problems = config_problems_new("clan.yaml");
    struct clan_config *cfg = NULL;
    struct clan_error e = CLAN_ERROR_INIT;
    clan_status st = member_body_understood(env, BRAIN_VERSION_PROTO, &e);
    if (st == CLAN_OK && config_clan_parse((const char *)data, size, problems, &cfg) != CLAN_OK)
        st = err_set(&e, CLAN_E_INVAL, "configuration %llu cannot be read by this version of Clan",
            (unsigned long long)env->version);
    if (st == CLAN_OK && (st = member_body_matches(b->set, env, cfg, &e)) != CLAN_OK)
        config_clan_free(cfg);
    if (st != CLAN_OK)
        log_warn("%s; the configuration before stays in use", e.what);
    config_problems_free(problems);
    b->body_version = env->version;
    b->body_readable = st == CLAN_OK;
    if (st != CLAN_OK) {
        free(data);
        return;
    }
    config_clan_free(b->cfg);
    b->cfg = cfg;
    free(b->body);
    b->body = (char *)data;
    b->body_size = size;
    gossip_config(b->gossip, b->cfg);
    log_info("configuration %llu is in use", (unsigned long long)env->version);
    services_changed(b); /* also what its owner has not granted here is known to others so */
}

void bodies_reconcile(struct brain *b)
{
    const uint8_t *id;
    const struct stmt_envelope *env;
    uint8_t *data;
    size_t size;
    uint64_t head = member_head(b->set, &id, &env);
    if (!env || head == b->body_version)
        return;
    bool uploaded = bodies_uploaded(env->body_hash);
    for (unsigned tries = 0; tries < 1u + uploaded; tries++) {
        if (tries && !write_version(b, head, upload.data, upload.total))
            return;
        if (read_version(b, head, &data, &size) != CLAN_OK)
            continue;
        if (hash_is(data, size, env->body_hash)) {
            use_body(b, env, data, size);
            forget_upload(uploaded);
            return;
        }
        free(data);
    }
    const struct member_machine *self = brain_self(b);
    if (self && self->standing == MEMBER_CONFIRMED)
        gossip_want_body(b->gossip, env->body_hash, brain_now());
}
