/* Statements as bytes: sizes of each kind, reading and building the outer form. */
#include "statement/statement.h"

#include "base/buf.h"
#include "base/error.h"
#include "statement/internal.h"

#include <sodium.h>
#include <string.h>

#define STMT_FORMAT        1
#define STMT_UNKNOWN_LIMIT 4096

/* SECURITY L2: the whole stored statement, signatures included. */
static const struct {
    const char *name;
    size_t limit;
} kinds[STMT_KINDS] = {
    [STMT_GENESIS] = {"genesis", 4096},
    [STMT_ENVELOPE] = {"envelope", 16384},
    [STMT_INVITATION] = {"invitation", 1024},
    [STMT_ADMISSION] = {"admission", 4096},
    [STMT_RECEIPT] = {"receipt", 1024},
    [STMT_RECORD] = {"record", 4096},
    [STMT_ROTATION] = {"rotation", 1024},
    [STMT_SUSPEND] = {"suspend", 1024},
    [STMT_REVOCATION] = {"revocation", 1024},
    [STMT_ACK] = {"acknowledgement", 256},
    [STMT_KEEPERS] = {"keeper generation", 2048},
    [STMT_OFFER] = {"offer", 2048},
    [STMT_EPOCH] = {"epoch", 1024},
    [STMT_TAKEOVER] = {"takeover", 1024},
    [STMT_MANIFEST] = {"manifest", 1024},
};

static bool kind_known(uint8_t kind)
{
    return kind > 0 && kind < STMT_KINDS;
}

size_t stmt_size_limit(uint8_t kind)
{
    kind &= (uint8_t)~STMT_CRITICAL;
    return kind_known(kind) ? kinds[kind].limit : STMT_UNKNOWN_LIMIT;
}

const char *stmt_kind_name(uint8_t kind)
{
    kind &= (uint8_t)~STMT_CRITICAL;
    return kind_known(kind) ? kinds[kind].name : "unknown";
}

size_t stmt_signed_bytes(const struct stmt *s, uint8_t ret_text[STMT_SIGNED_MAX])
{
    struct buf_writer w = buf_writer_of(ret_text, STMT_SIGNED_MAX);
    buf_put(&w, STMT_DOMAIN, sizeof STMT_DOMAIN - 1);
    buf_put_u8(&w, (uint8_t)(s->kind | (s->critical ? STMT_CRITICAL : 0)));
    buf_put(&w, s->clan, 32);
    buf_put(&w, s->author, 32);
    buf_put_u64(&w, s->seq);
    buf_put(&w, s->body, s->body_size);
    clan_assert(!w.failed);
    return w.len;
}

static clan_status malformed(struct clan_error *reterr, const char *why)
{
    err_set(reterr, CLAN_E_INVAL, "a malformed statement");
    err_why(reterr, "%s", why);
    return CLAN_E_INVAL;
}

static void get_signatures(struct buf_reader *r, struct stmt *s)
{
    s->sig_count = buf_get_u8(r);
    if (s->sig_count > STMT_SIGS_MAX) {
        s->sig_count = 0;
        r->failed = true;
    }
    for (unsigned i = 0; i < s->sig_count; i++) {
        s->sigs[i].type = buf_get_u8(r);
        s->sigs[i].key = buf_view(r, 32);
        s->sigs[i].signature = buf_view(r, 64);
    }
}

clan_status stmt_parse(const void *raw, size_t size, struct stmt *ret, struct clan_error *reterr)
{
    struct stmt s = {.raw = raw, .raw_size = size};
    if (size < STMT_HEAD + 1 || size > STMT_MAX)
        return malformed(reterr, size > STMT_MAX ? "it is too long" : "it is too short");
    struct buf_reader r = buf_reader_of(raw, size);
    if (buf_get_u8(&r) != STMT_FORMAT)
        return malformed(reterr, "its format is of another version");
    uint8_t kind = buf_get_u8(&r);
    s.kind = kind & (uint8_t)~STMT_CRITICAL;
    s.critical = kind & STMT_CRITICAL;
    if (s.kind == 0)
        return malformed(reterr, "its kind is zero");
    s.clan = buf_view(&r, 32);
    s.author = buf_view(&r, 32);
    s.seq = buf_get_u64(&r);
    s.body_size = buf_get_u16(&r);
    s.body = buf_view(&r, s.body_size);
    get_signatures(&r, &s);
    if (!buf_done(&r))
        return malformed(reterr, "its sizes do not add up");
    if (size > stmt_size_limit(s.kind)) {
        err_set(reterr, CLAN_E_LIMIT, "a statement that is too large");
        err_why(reterr, "kind %s has at most %zu bytes, not %zu", stmt_kind_name(s.kind),
            stmt_size_limit(s.kind), size);
        return CLAN_E_LIMIT;
    }
    uint8_t text[STMT_SIGNED_MAX];
    size_t text_size = stmt_signed_bytes(&s, text);
    crypto_generichash(s.id, sizeof s.id, text, text_size, NULL, 0);
    *ret = s;
    return CLAN_OK;
}

clan_status stmt_build(uint8_t kind, const uint8_t clan[32], const uint8_t author[32], uint64_t seq,
    const void *body, size_t body_size, uint8_t *ret_raw, size_t *ret_size)
{
    clan_assert((kind & ~STMT_CRITICAL) != 0);
    if (body_size > UINT16_MAX)
        return CLAN_E_LIMIT;
    struct buf_writer w = buf_writer_of(ret_raw, stmt_size_limit(kind));
    buf_put_u8(&w, STMT_FORMAT);
    buf_put_u8(&w, kind);
    buf_put(&w, clan, 32);
    buf_put(&w, author, 32);
    buf_put_u64(&w, seq);
    buf_put_u16(&w, (uint16_t)body_size);
    buf_put(&w, body, body_size);
    buf_put_u8(&w, 0);
    if (w.failed)
        return CLAN_E_LIMIT;
    *ret_size = w.len;
    return CLAN_OK;
}
