/* Runs one Noise test vector: both sides, every message, the hash, the transport messages. */
#include "vector_run.h"

#include "base/text.h"
#include "noise/noise.h"

#include <stdio.h>
#include <string.h>

#define BYTES_MAX 1024

struct bytes {
    uint8_t data[BYTES_MAX];
    size_t size;
    bool have;
};

struct side {
    struct bytes prologue, s, e, rs, psk;
    struct noise_handshake *h;
    struct aead *send, *recv;
};

static bool get_hex(json_t *obj, const char *key, struct bytes *ret)
{
    json_t *v = json_object_get(obj, key);
    ret->have = json_is_string(v);
    ret->size = 0;
    if (!ret->have)
        return true;
    ret->size = json_string_length(v) / 2;
    return ret->size <= BYTES_MAX &&
           text_hex_decode(json_string_value(v), json_string_length(v), ret->data, ret->size);
}

static bool get_psk(json_t *obj, const char *key, struct bytes *ret)
{
    json_t *psks = json_object_get(obj, key), *first = json_array_get(psks, 0);
    if (!psks)
        return true;
    ret->have = json_array_size(psks) == 1 && json_is_string(first) &&
                text_hex_decode(json_string_value(first), json_string_length(first), ret->data, 32);
    return ret->have;
}

static bool read_side(json_t *v, const char *prefix, struct side *s)
{
    char key[32];
    struct {
        const char *name;
        struct bytes *to;
    } fields[] = {{"prologue", &s->prologue}, {"static", &s->s}, {"ephemeral", &s->e},
        {"remote_static", &s->rs}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        snprintf(key, sizeof key, "%s_%s", prefix, fields[i].name);
        if (!get_hex(v, key, fields[i].to))
            return false;
    }
    snprintf(key, sizeof key, "%s_psks", prefix);
    return get_psk(v, key, &s->psk);
}

static bool start(struct side *s, const char *pattern, bool initiator)
{
    struct noise_params p = {.pattern = pattern,
        .initiator = initiator,
        .prologue = s->prologue.data,
        .prologue_size = s->prologue.size,
        .s_secret = s->s.have ? s->s.data : NULL,
        .e_secret = s->e.have ? s->e.data : NULL,
        .rs = s->rs.have ? s->rs.data : NULL,
        .psk = s->psk.have ? s->psk.data : NULL};
    return noise_new(&p, &s->h) == CLAN_OK;
}

static bool split(struct side *s)
{
    uint8_t send[32], recv[32];
    if (noise_split(s->h, send, recv) != CLAN_OK)
        return false;
    s->send = aead_new(send);
    s->recv = aead_new(recv);
    return s->send && s->recv;
}

static bool handshake_message(
    struct side *from, struct side *to, const struct bytes *plain, const struct bytes *wire)
{
    uint8_t message[BYTES_MAX], payload[BYTES_MAX];
    size_t size = 0, got = 0;
    return noise_write(from->h, plain->data, plain->size, message, sizeof message, &size) ==
               CLAN_OK &&
           size == wire->size && memcmp(message, wire->data, size) == 0 &&
           noise_read(to->h, wire->data, wire->size, payload, sizeof payload, &got) == CLAN_OK &&
           got == plain->size && memcmp(payload, plain->data, got) == 0;
}

static bool transport_message(
    struct side *from, struct side *to, const struct bytes *plain, const struct bytes *wire)
{
    uint8_t data[BYTES_MAX + AEAD_TAG];
    memcpy(data, plain->data, plain->size);
    return plain->size + AEAD_TAG == wire->size &&
           aead_seal(from->send, NULL, 0, data, plain->size) &&
           memcmp(data, wire->data, wire->size) == 0 &&
           aead_open(to->recv, NULL, 0, data, wire->size) &&
           memcmp(data, plain->data, plain->size) == 0;
}

static bool run_messages(json_t *v, struct side *init, struct side *resp, char *why, size_t cap)
{
    json_t *messages = json_object_get(v, "messages"), *m;
    struct bytes plain, wire, hash;
    size_t i;
    if (!get_hex(v, "handshake_hash", &hash) || json_array_size(messages) < 2) {
        snprintf(why, cap, "malformed vector");
        return false;
    }
    json_array_foreach(messages, i, m)
    {
        struct side *from = i % 2 ? resp : init, *to = i % 2 ? init : resp;
        bool transport = noise_done(init->h) && noise_done(resp->h);
        snprintf(why, cap, "message %zu differs", i + 1);
        if (!get_hex(m, "payload", &plain) || !get_hex(m, "ciphertext", &wire))
            return false;
        if (transport && !init->send && (!split(init) || !split(resp)))
            return false;
        if (!(transport ? transport_message : handshake_message)(from, to, &plain, &wire))
            return false;
    }
    snprintf(why, cap, "handshake hash differs");
    return init->send && (!hash.have || (hash.size == NOISE_HASH_SIZE &&
                                            !memcmp(noise_hash(init->h), hash.data, hash.size) &&
                                            !memcmp(noise_hash(resp->h), hash.data, hash.size)));
}

/* The twelve interactive patterns with at most one psk; others a collection may hold are no
 * failure. */
static bool ours(json_t *vector, const char *pattern)
{
    return strchr("NKXI", pattern[0]) && pattern[1] && strchr("NKX", pattern[1]) &&
           (!pattern[2] || (strncmp(pattern + 2, "psk", 3) == 0 && !strchr(pattern, '+'))) &&
           json_array_size(json_object_get(vector, "init_psks")) <= 1;
}

enum vector_result vector_run(json_t *vector, char *ret_why, size_t cap)
{
    static struct side init, resp;
    char pattern[32] = "", rest[64] = "";
    const char *name = json_string_value(json_object_get(vector, "protocol_name"));
    enum vector_result result = VECTOR_FAILED;
    snprintf(ret_why, cap, "no protocol_name of the usual form");
    if (!name || sscanf(name, "Noise_%31[^_]_%63s", pattern, rest) != 2)
        return VECTOR_FAILED;
    snprintf(ret_why, cap, "%s is not what Clan uses", rest);
    if (strcmp(rest, "25519_ChaChaPoly_BLAKE2b") != 0)
        return VECTOR_SKIPPED;
    snprintf(ret_why, cap, "pattern %s is not built", pattern);
    if (!ours(vector, pattern))
        return VECTOR_SKIPPED;
    memset(&init, 0, sizeof init);
    memset(&resp, 0, sizeof resp);
    snprintf(ret_why, cap, "malformed or unknown pattern");
    if (read_side(vector, "init", &init) && read_side(vector, "resp", &resp) &&
        start(&init, pattern, true) && start(&resp, pattern, false) &&
        run_messages(vector, &init, &resp, ret_why, cap))
        result = VECTOR_PASSED;
    noise_free(init.h);
    noise_free(resp.h);
    aead_free(init.send);
    aead_free(init.recv);
    aead_free(resp.send);
    aead_free(resp.recv);
    return result;
}
