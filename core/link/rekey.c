/*
 * Key A and key B take turns.  Streams keep order, so a sender changes right behind its own
 * message; the receiver keeps the old key until the first record under the new one verified.
 */
#include "rekey.h"

#include "peers.h"
#include "session.h"
#include "tx.h"

#include "base/clock.h"
#include "noise/keys.h"

#include <sodium.h>
#include <string.h>

#define ANSWER_MS   10000
#define MESSAGE_MAX 512

static bool begin(struct link_session *s, struct noise_handshake **ret)
{
    struct link *l = s->link;
    uint8_t prologue[KEYS_PROLOGUE_MAX];
    bool link = s->purpose == clan_link_Purpose_PURPOSE_LINK;
    const uint8_t *responder = s->dialed ? s->peer->machine_id : l->machine_id;
    struct noise_params p = {
        .pattern = "IK",
        .initiator = s->dialed,
        .prologue = prologue,
        .prologue_size =
            keys_prologue(link ? KEY_LINK : KEY_CONTROL, l->clan_id, responder, prologue),
        .s_secret = link ? l->keys->link : l->keys->control,
        .rs = s->dialed ? s->peer_static : NULL,
    };
    return noise_new(&p, ret) == CLAN_OK;
}

static void give_up(struct link_session *s)
{
    link_count(s->link, LINK_COUNT_HANDSHAKE_BAD);
    link_session_close(s, clan_link_Reason_REASON_HANDSHAKE);
}

static void install(struct link_session *s, struct noise_handshake *hs)
{
    uint8_t send[32], recv[32];
    uint8_t next = s->rx.slot ^ 1;
    if (noise_split(hs, send, recv) != CLAN_OK) {
        give_up(s);
        return;
    }
    link_lock(s->link);
    aead_free(s->rx.key[next]);
    s->rx.key[next] = aead_new(recv);
    tx_new_key(s, aead_new(send), next ? LINK_FRAME_KEY_B : LINK_FRAME_KEY_A);
    link_unlock(s->link);
    sodium_memzero(send, sizeof send);
    sodium_memzero(recv, sizeof recv);
    s->rx.used = 0;
    s->keyed_ms = clock_mono_ms();
    if (!s->rx.key[next] || !s->tx.key)
        give_up(s);
}

/* Caller: holds the lock (timers do). */
void rekey_tick(struct link_session *s, uint64_t now_ms)
{
    if (!s->dialed || !s->peer || s->state != LINK_UP)
        return;
    if (s->rekey) {
        if (link_since(now_ms, s->rekey_ms) > ANSWER_MS)
            give_up(s);
        return;
    }
    uint64_t used = s->tx.used + s->rx.used;
    bool old = link_since(now_ms, s->keyed_ms) >= LINK_REKEY_MS && used > 0;
    if (!old && used < LINK_REKEY_BYTES)
        return;
    uint8_t message[MESSAGE_MAX];
    size_t n;
    s->rekey_ms = now_ms;
    if (!begin(s, &s->rekey) ||
        noise_write(s->rekey, NULL, 0, message, sizeof message, &n) != CLAN_OK ||
        !tx_record(s, LINK_REKEY_1, message, n))
        give_up(s);
}

static void answer(struct link_session *s, const uint8_t *message, size_t size)
{
    struct noise_handshake *hs = NULL;
    uint8_t payload[MESSAGE_MAX], reply[MESSAGE_MAX];
    size_t n;
    bool fresh = s->rx.key[s->rx.slot ^ 1] == NULL; /* the last change is complete */
    bool good = fresh && begin(s, &hs) &&
                noise_read(hs, message, size, payload, sizeof payload, &n) == CLAN_OK && n == 0 &&
                memcmp(noise_remote_static(hs), s->peer_static, 32) == 0 &&
                peers_by_key(s->link, s->purpose, s->peer_static) == s->peer &&
                noise_write(hs, NULL, 0, reply, sizeof reply, &n) == CLAN_OK;
    if (good) {
        link_lock(s->link);
        good = tx_record(s, LINK_REKEY_2, reply, n);
        if (good)
            install(s, hs);
        link_unlock(s->link);
    }
    noise_free(hs);
    if (!good)
        give_up(s);
}

void rekey_message(struct link_session *s, uint8_t kind, const uint8_t *message, size_t size)
{
    uint8_t payload[MESSAGE_MAX];
    size_t n;
    bool ours = kind == LINK_REKEY_2;
    if (!s->peer || size > MESSAGE_MAX || ours != s->dialed || (ours && !s->rekey)) {
        link_count(s->link, LINK_COUNT_PEER_BAD_HEAD);
        link_session_close(s, clan_link_Reason_REASON_PROTOCOL);
        return;
    }
    if (!ours) {
        answer(s, message, size);
        return;
    }
    struct noise_handshake *hs = s->rekey;
    s->rekey = NULL;
    if (noise_read(hs, message, size, payload, sizeof payload, &n) == CLAN_OK && n == 0)
        install(s, hs);
    else
        give_up(s);
    noise_free(hs);
}
