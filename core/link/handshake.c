/* Noise_IK for links and control, Noise_XXpsk0 for doors; nothing is answered to who is not known.
 */
#include "handshake.h"

#include "core.h"
#include "peers.h"
#include "session.h"
#include "tx.h"

#include "base/buf.h"
#include "base/clock.h"
#include "noise/keys.h"

#include <sodium.h>
#include <string.h>

#define DOOR_FETCH         1 /* member/join.h: modes of message 3 */
#define DOOR_JOIN          2
#define MACHINE_RECORD_MAX 4096

static bool is_door(const struct link_session *s)
{
    return s->purpose == clan_link_Purpose_PURPOSE_DOOR;
}

static void fail(struct link_session *s, int counter, clan_link_Reason reason)
{
    link_count(s->link, counter);
    link_session_close(s, reason);
}

/* --- keys --- */

static enum key_purpose key_purpose_of(clan_link_Purpose purpose)
{
    if (purpose == clan_link_Purpose_PURPOSE_LINK)
        return KEY_LINK;
    return purpose == clan_link_Purpose_PURPOSE_CONTROL ? KEY_CONTROL : KEY_DOOR;
}

static const uint8_t *secret_of(const struct link *l, clan_link_Purpose purpose)
{
    if (purpose == clan_link_Purpose_PURPOSE_LINK)
        return l->keys->link;
    return purpose == clan_link_Purpose_PURPOSE_CONTROL ? l->keys->control : l->keys->door;
}

struct begin {
    const uint8_t *clan_id, *responder_id, *secret, *rs, *psk;
};

static bool begin(struct link_session *s, const struct begin *b)
{
    uint8_t prologue[KEYS_PROLOGUE_MAX];
    struct noise_params p = {
        .pattern = is_door(s) ? "XXpsk0" : "IK",
        .initiator = s->dialed,
        .prologue = prologue,
        .prologue_size =
            keys_prologue(key_purpose_of(s->purpose), b->clan_id, b->responder_id, prologue),
        .s_secret = b->secret,
        .rs = b->rs,
        .psk = b->psk,
    };
    s->state = LINK_HANDSHAKE;
    return noise_new(&p, &s->hs) == CLAN_OK;
}

/* The next message of ours.  false: the session is closed. */
static bool write_message(struct link_session *s, const uint8_t *payload, size_t size)
{
    uint8_t message[LINK_HANDSHAKE_MAX];
    size_t n;
    if (noise_write(s->hs, payload, size, message, sizeof message, &n) != CLAN_OK) {
        fail(s, LINK_COUNT_HANDSHAKE_BAD, clan_link_Reason_REASON_HANDSHAKE);
        return false;
    }
    link_lock(s->link);
    tx_handshake(s, message, n);
    link_unlock(s->link);
    link_watch(s);
    return true;
}

static void say_hello(struct link_session *s)
{
    uint8_t body[LINK_HELLO_SIZE];
    struct buf_writer w = buf_writer_of(body, sizeof body);
    struct link *l = s->link;
    if (s->dialed) {
        s->serial = ++l->serial;
        if (s->peer)
            memcpy(s->replaces, link_session_last_id(s), 8);
    }
    buf_put_u16(&w, LINK_VERSION);
    buf_put_u16(&w, 0);
    buf_put_u64(&w, LINK_FEATURES);
    buf_put_u64(&w, l->process);
    buf_put_u64(&w, s->serial);
    buf_put(&w, s->replaces, 8);
    link_lock(l);
    bool sent = tx_record(s, LINK_HELLO, body, w.len);
    link_unlock(l);
    if (!sent)
        link_session_close(s, clan_link_Reason_REASON_HANDSHAKE);
    else
        link_watch(s);
}

/* The handshake is done: keys, then hello.  Nothing of the other is believed before its hello. */
static void to_keys(struct link_session *s)
{
    uint8_t send[32], recv[32];
    bool good = noise_split(s->hs, send, recv) == CLAN_OK;
    memcpy(s->id, noise_hash(s->hs), sizeof s->id);
    link_lock(s->link);
    if (good) {
        tx_new_key(s, aead_new(send), LINK_FRAME_KEY_A);
        s->rx.key[0] = aead_new(recv);
    }
    link_unlock(s->link);
    sodium_memzero(send, sizeof send);
    sodium_memzero(recv, sizeof recv);
    noise_free(s->hs);
    s->hs = NULL;
    if (!s->tx.key || !s->rx.key[0]) {
        link_session_close(s, clan_link_Reason_REASON_HANDSHAKE);
        return;
    }
    s->state = LINK_CONFIRM;
    say_hello(s);
}

/* --- we dialed --- */

static bool dial_door(struct link_session *s, const clan_link_Stream *m)
{
    uint8_t responder[32] = {0}, thrown[32];
    struct link *l = s->link;
    memcpy(s->invite_id, m->invite_id, 16);
    memcpy(responder, m->invite_id, 16);
    if (!m->throwaway && !l->have_keys)
        return false;
    randombytes_buf(thrown, sizeof thrown);
    struct begin b = {m->clan_id, responder, m->throwaway ? thrown : l->keys->door, NULL, m->psk};
    bool good = begin(s, &b);
    sodium_memzero(thrown, sizeof thrown);
    return good;
}

static bool dial_peer(struct link_session *s, const clan_link_Stream *m)
{
    struct link *l = s->link;
    s->peer = peers_find(l, m->peer_id);
    memcpy(s->peer_id, m->peer_id, 32);
    memcpy(s->peer_static, m->peer_static, 32);
    if (!l->have_keys || (s->peer && !peers_takes(s->peer, s->transport)))
        return false;
    if (s->purpose == clan_link_Purpose_PURPOSE_LINK &&
        (!s->peer || memcmp(s->peer->link_key, m->peer_static, 32) != 0))
        return false;
    if (s->peer && s->purpose == clan_link_Purpose_PURPOSE_CONTROL &&
        memcmp(s->peer->control_key, m->peer_static, 32) != 0)
        s->peer = NULL; /* core knows this key from a record it has not taken over yet */
    struct begin b = {l->clan_id, m->peer_id, secret_of(l, s->purpose), m->peer_static, NULL};
    return begin(s, &b);
}

void handshake_dial(struct link_session *s, const clan_link_Stream *m)
{
    uint8_t preface[LINK_PREFACE_SIZE] = {'c', 'l', 'a', 'n', LINK_PREFACE_VERSION};
    s->purpose = m->purpose;
    bool good = false;
    if (is_door(s)) {
        good = dial_door(s, m);
        memcpy(preface + 8, m->invite_id, 16);
    } else if (s->purpose == clan_link_Purpose_PURPOSE_LINK ||
               s->purpose == clan_link_Purpose_PURPOSE_CONTROL) {
        good = dial_peer(s, m);
    }
    if (!good) {
        s->state = LINK_HANDSHAKE;
        link_session_close(s, clan_link_Reason_REASON_UNKNOWN_KEY);
        return;
    }
    preface[5] = (uint8_t)s->purpose; /* the kinds of the preface are core's purposes */
    link_lock(s->link);
    tx_raw(s, preface, sizeof preface);
    link_unlock(s->link);
    write_message(s, NULL, 0);
}

static void dialer_message(struct link_session *s, const uint8_t *message, size_t size)
{
    struct link *l = s->link;
    uint8_t payload[LINK_HANDSHAKE_MAX];
    size_t n;
    if (noise_read(s->hs, message, size, payload, sizeof payload, &n) != CLAN_OK || n) {
        fail(s, LINK_COUNT_HANDSHAKE_BAD, clan_link_Reason_REASON_HANDSHAKE);
        return;
    }
    if (!is_door(s)) {
        to_keys(s);
        return;
    }
    memcpy(s->peer_static, noise_remote_static(s->hs), 32);
    s->state = LINK_NEED_PAYLOAD;
    clan_link_NeedPayload *need = &l->from.m.need_payload;
    memset(need, 0, sizeof *need);
    l->from.which_m = clan_link_FromLink_need_payload_tag;
    need->session = s->number;
    memcpy(need->handshake_hash, noise_hash(s->hs), 64);
    link_report(l);
}

void handshake_payload(struct link_session *s, const uint8_t *payload, size_t size)
{
    if (s->state != LINK_NEED_PAYLOAD)
        return;
    s->state = LINK_HANDSHAKE;
    if (write_message(s, payload, size))
        to_keys(s);
}

/* --- we were dialed --- */

void handshake_preface(struct link_session *s, const uint8_t *preface)
{
    static const uint8_t start[5] = {'c', 'l', 'a', 'n', LINK_PREFACE_VERSION};
    static const uint8_t zero[16];
    struct link *l = s->link;
    uint8_t kind = preface[5], responder[32] = {0};
    bool good = memcmp(preface, start, sizeof start) == 0 && kind >= LINK_KIND_LINK &&
                kind <= LINK_KIND_DOOR && preface[6] == 0 && preface[7] == 0;
    if (!good || (kind != LINK_KIND_DOOR && memcmp(preface + 8, zero, 16) != 0)) {
        fail(s, LINK_COUNT_PREFACE_BAD, clan_link_Reason_REASON_PROTOCOL);
        return;
    }
    s->purpose = (clan_link_Purpose)kind;
    if (!l->have_keys) {
        link_session_close(s, clan_link_Reason_REASON_CORE);
        return;
    }
    struct begin b = {l->clan_id, l->machine_id, secret_of(l, s->purpose), NULL, NULL};
    if (is_door(s)) {
        const struct link_invite *v = peers_invite(l, preface + 8);
        if (!v || l->door_count >= LINK_DOORS_MAX) {
            int counter = v ? LINK_COUNT_HANDSHAKE_LIMIT : LINK_COUNT_HANDSHAKE_NO_INVITE;
            fail(s, counter, v ? clan_link_Reason_REASON_LIMIT : clan_link_Reason_REASON_NO_INVITE);
            return;
        }
        memcpy(s->invite_id, v->id, 16);
        memcpy(responder, v->id, 16);
        b.responder_id = responder;
        b.psk = v->psk;
    }
    if (!begin(s, &b))
        link_session_close(s, clan_link_Reason_REASON_HANDSHAKE);
}

/* Who dialed us, by its static key (SECURITY E1: before anything is answered). */
static bool known_caller(struct link_session *s)
{
    uint8_t own[32];
    memcpy(s->peer_static, noise_remote_static(s->hs), 32);
    s->peer = peers_by_key(s->link, s->purpose, s->peer_static);
    if (s->peer)
        return peers_takes(s->peer, s->transport);
    if (s->purpose != clan_link_Purpose_PURPOSE_CONTROL)
        return false;
    if (crypto_scalarmult_base(own, s->link->keys->control) == 0 &&
        memcmp(own, s->peer_static, 32) == 0)
        return false; /* ourselves */
    s->stranger = true;
    return true;
}

static void door_hello(struct link_session *s, const uint8_t *payload, size_t size)
{
    struct link *l = s->link;
    clan_link_DoorHello *hello = &l->from.m.door_hello;
    struct buf_reader r = buf_reader_of(payload, size);
    memset(hello, 0, sizeof *hello);
    l->from.which_m = clan_link_FromLink_door_hello_tag;
    bool version = buf_get_u8(&r) == 1;
    hello->mode = buf_get_u8(&r);
    buf_get(&r, hello->proof, sizeof hello->proof);
    size_t record = r.left ? buf_get_u16(&r) : 0;
    if (record <= MACHINE_RECORD_MAX) {
        buf_get(&r, hello->record.bytes, record);
        hello->record.size = (pb_size_t)record;
    }
    bool mode = hello->mode == DOOR_FETCH ? record == 0 : hello->mode == DOOR_JOIN && record > 0;
    if (!version || !mode || !buf_done(&r)) {
        fail(s, LINK_COUNT_HANDSHAKE_BAD, clan_link_Reason_REASON_PROTOCOL);
        return;
    }
    hello->session = s->number;
    memcpy(hello->invite_id, s->invite_id, 16);
    memcpy(hello->peer_static, s->peer_static, 32);
    memcpy(hello->handshake_hash, s->hash2, 64);
    memcpy(hello->remote, s->remote, 16);
    link_report(l);
    to_keys(s);
}

static void responder_message(struct link_session *s, const uint8_t *message, size_t size)
{
    uint8_t payload[LINK_HANDSHAKE_MAX];
    size_t n;
    if (noise_read(s->hs, message, size, payload, sizeof payload, &n) != CLAN_OK) {
        fail(s, LINK_COUNT_HANDSHAKE_BAD, clan_link_Reason_REASON_HANDSHAKE);
        return;
    }
    if (noise_done(s->hs)) { /* XX, message 3 */
        memcpy(s->peer_static, noise_remote_static(s->hs), 32);
        door_hello(s, payload, n);
        return;
    }
    if (n) { /* message 1 carries nothing */
        fail(s, LINK_COUNT_HANDSHAKE_BAD, clan_link_Reason_REASON_HANDSHAKE);
        return;
    }
    if (!is_door(s) && !known_caller(s)) {
        fail(s, LINK_COUNT_HANDSHAKE_UNKNOWN, clan_link_Reason_REASON_UNKNOWN_KEY);
        return;
    }
    if (!write_message(s, NULL, 0))
        return;
    memcpy(s->hash2, noise_hash(s->hs), sizeof s->hash2);
    if (noise_done(s->hs))
        to_keys(s);
}

void handshake_message(struct link_session *s, const uint8_t *message, size_t size)
{
    if (s->state != LINK_HANDSHAKE || !s->hs || noise_my_turn(s->hs)) {
        fail(s, LINK_COUNT_FRAME_BAD, clan_link_Reason_REASON_PROTOCOL);
        return;
    }
    if (s->dialed)
        dialer_message(s, message, size);
    else
        responder_message(s, message, size);
}

/* --- both --- */

void handshake_hello(struct link_session *s, const uint8_t *body, size_t size)
{
    struct buf_reader r = buf_reader_of(body, size);
    uint16_t version = buf_get_u16(&r);
    uint8_t replaced[8];
    buf_get_u16(&r);
    s->features = buf_get_u64(&r) & LINK_FEATURES;
    s->their_process = buf_get_u64(&r);
    uint64_t serial = buf_get_u64(&r);
    buf_get(&r, replaced, sizeof replaced);
    if (r.failed || version == 0) { /* a later version may say more behind it */
        fail(s, LINK_COUNT_HANDSHAKE_BAD, clan_link_Reason_REASON_PROTOCOL);
        return;
    }
    s->version = version < LINK_VERSION ? version : LINK_VERSION;
    if (!s->dialed) {
        s->serial = serial;
        memcpy(s->replaces, replaced, sizeof replaced);
    }
    link_session_up(s);
}
