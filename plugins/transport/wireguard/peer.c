/* Sessions of one peer: its three pairs of keys, what waits for them, what is sent under them. */
#include "device.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void wg_peer_event(struct wg_peer *p, unsigned events, uint64_t now_ms)
{
    if (events & (WG_EV_INITIATED | WG_EV_DERIVED)) /* not for each packet: it is a system call */
        p->jitter_ms = randombytes_uniform(WG_JITTER_MS);
    wg_timers_event(&p->timers, events, now_ms, p->jitter_ms);
    uint64_t next = wg_timers_next(&p->timers);
    if (next < p->device->next_ms)
        p->device->next_ms = next;
}

bool wg_index_new(struct wg_device *d, struct wg_peer *p, uint32_t *ret_index)
{
    uint32_t index;
    do
        index = randombytes_random();
    while (wg_map_get(&d->by_index, &index));
    if (!wg_map_put(&d->by_index, &index, p))
        return false;
    *ret_index = index;
    return true;
}

void wg_index_drop(struct wg_device *d, uint32_t index)
{
    d->last.peer = NULL;
    wg_map_remove(&d->by_index, &index);
}

void wg_keypair_drop(struct wg_device *d, struct wg_keypair **k)
{
    if (!*k)
        return;
    wg_index_drop(d, (*k)->local_index);
    wg_bulk_end(&(*k)->send);
    wg_bulk_end(&(*k)->receive);
    sodium_memzero(*k, sizeof **k);
    (*k)->next = d->spare_keys;
    d->spare_keys = *k;
    *k = NULL;
}

static struct wg_keypair *keypair_take(struct wg_device *d)
{
    if (!d->spare_keys && d->key_chunk_count < sizeof d->key_chunks / sizeof *d->key_chunks) {
        struct wg_keypair *chunk = sodium_malloc(WG_KEY_CHUNK * sizeof *chunk);
        if (!chunk)
            return NULL;
        memset(chunk, 0, WG_KEY_CHUNK * sizeof *chunk);
        d->key_chunks[d->key_chunk_count++] = chunk;
        for (unsigned i = 0; i < WG_KEY_CHUNK; i++) {
            chunk[i].next = d->spare_keys;
            d->spare_keys = &chunk[i];
        }
    }
    struct wg_keypair *k = d->spare_keys;
    if (k)
        d->spare_keys = k->next;
    return k;
}

static struct wg_keypair *keypair_new(struct wg_peer *p, bool initiator, uint64_t now_ms)
{
    struct wg_keypair *k = keypair_take(p->device);
    uint8_t send[WG_KEY], receive[WG_KEY];
    if (!k) {
        wg_index_drop(p->device, p->handshake.local_index);
        return NULL;
    }
    k->local_index = p->handshake.local_index;
    k->remote_index = p->handshake.remote_index;
    k->initiator = initiator;
    k->created_ms = now_ms;
    wg_handshake_keys(&p->handshake, initiator, send, receive);
    bool ok = wg_bulk_begin(&k->send, send);
    ok = wg_bulk_begin(&k->receive, receive) && ok;
    sodium_memzero(send, sizeof send);
    sodium_memzero(receive, sizeof receive);
    if (!ok)
        wg_keypair_drop(p->device, &k); /* the index, too */
    return k;
}

/* 5.4.5 and 6.2: the initiator may send at once; the responder when a packet proved the session. */
bool wg_session_begin(struct wg_peer *p, bool initiator, uint64_t now_ms)
{
    struct wg_keypair *k = keypair_new(p, initiator, now_ms);
    if (!k)
        return false;
    wg_lock(p->device);
    if (initiator) {
        struct wg_keypair **old = p->upcoming ? &p->upcoming : &p->current;
        struct wg_keypair *keep = *old;
        *old = NULL;
        wg_keypair_drop(p->device, &p->previous);
        wg_keypair_drop(p->device, &p->current);
        p->previous = keep;
        p->current = k;
    } else {
        wg_keypair_drop(p->device, &p->upcoming);
        p->upcoming = k;
    }
    wg_unlock(p->device);
    p->device->counts.handshakes++;
    wg_peer_event(p, WG_EV_DERIVED, now_ms);
    return true;
}

void wg_session_confirm(struct wg_peer *p, uint64_t now_ms)
{
    wg_lock(p->device);
    wg_keypair_drop(p->device, &p->previous);
    p->previous = p->current;
    p->current = p->upcoming;
    p->upcoming = NULL;
    wg_unlock(p->device);
    p->handshake_ms = now_ms;
    wg_peer_event(p, WG_EV_COMPLETE, now_ms);
    wg_peer_flush(p, now_ms);
}

void wg_peer_erase(struct wg_peer *p)
{
    struct wg_device *d = p->device;
    wg_lock(d);
    wg_keypair_drop(d, &p->current);
    wg_keypair_drop(d, &p->previous);
    wg_keypair_drop(d, &p->upcoming);
    wg_unlock(d);
    if (p->initiating)
        wg_index_drop(d, p->handshake.local_index);
    p->initiating = false;
    sodium_memzero(&p->handshake, sizeof p->handshake);
}

static void drop_first(struct wg_peer *p)
{
    struct wg_staged *s = p->staged;
    p->staged = s->next;
    if (!p->staged)
        p->staged_end = &p->staged;
    p->staged_count--;
    p->device->staged_bytes -= s->size;
    free(s);
}

void wg_peer_purge(struct wg_peer *p)
{
    wg_lock(p->device);
    for (; p->staged; drop_first(p))
        p->device->counts.no_session_dropped++;
    wg_unlock(p->device);
}

static void add_news(struct wg_peer *p)
{
    struct wg_device *d = p->device;
    pthread_mutex_lock(&d->news_lock);
    if (!p->in_news) {
        p->in_news = true;
        p->next_news = d->news;
        d->news = p;
    }
    pthread_mutex_unlock(&d->news_lock);
    atomic_store(&d->has_news, true);
}

void wg_peer_sent(struct wg_peer *p, unsigned events)
{
    /* most of the time it was said before and is not read yet */
    if ((atomic_load(&p->sent) & events) != events) {
        atomic_fetch_or(&p->sent, events);
        add_news(p);
    }
}

void wg_peer_want(struct wg_peer *p)
{
    if (atomic_exchange(&p->want, true))
        return;
    add_news(p);
    atomic_store(&p->device->has_want, true);
}

struct wg_keypair *wg_peer_keys(struct wg_peer *p, uint64_t now_ms)
{
    struct wg_keypair *k = p->current;
    uint64_t age = k && now_ms > k->created_ms ? now_ms - k->created_ms : 0;
    if (!k || age >= WG_REJECT_AFTER_MS || k->counter >= WG_REJECT_AFTER_MESSAGES) {
        wg_peer_want(p);
        return NULL;
    }
    /* 6.2: by time only the initiator, so that not both begin */
    if (k->counter >= WG_REKEY_AFTER_MESSAGES || (k->initiator && age >= WG_REKEY_AFTER_MS))
        wg_peer_want(p);
    return k;
}

/* 5.4.6: a multiple of 16, but never more than the interface could carry. */
static size_t padded(const struct wg_device *d, size_t size)
{
    size_t whole = (size + 15) & ~(size_t)15;
    return d->mtu && whole > d->mtu && size <= d->mtu ? d->mtu : whole;
}

size_t wg_message_seal(struct wg_peer *p, struct wg_keypair *k, uint8_t *message, size_t size)
{
    size_t whole = padded(p->device, size);
    memset(message + WG_DATA_HEAD + size, 0, whole - size);
    wg_put_le32(message, WG_TYPE_DATA);
    wg_put_le32(message + 4, k->remote_index);
    wg_put_le64(message + 8, k->counter);
    if (!wg_bulk_seal(&k->send, k->counter++, message + WG_DATA_HEAD, whole))
        return 0;
    p->tx_bytes += size;
    wg_peer_sent(p, size ? WG_EV_SENT | WG_EV_DATA_SENT : WG_EV_SENT);
    return WG_DATA_HEAD + whole + WG_TAG;
}

void wg_peer_stage(
    struct wg_peer *p, const uint8_t *head, size_t head_size, const uint8_t *rest, size_t rest_size)
{
    struct wg_device *d = p->device;
    size_t size = head_size + rest_size;
    while (p->staged &&
           (p->staged_count >= WG_STAGED_MAX || d->staged_bytes + size > WG_STAGED_BYTES)) {
        drop_first(p);
        d->counts.no_session_dropped++;
    }
    struct wg_staged *s =
        d->staged_bytes + size > WG_STAGED_BYTES ? NULL : malloc(sizeof *s + size);
    if (!s) {
        d->counts.no_session_dropped++;
        return;
    }
    *s = (struct wg_staged){.size = (uint32_t)size};
    s->tos = (uint8_t)(size > 1 ? (head[1] >> 4 & 3) : 0); /* ECN, RFC 6040 */
    memcpy(s->bytes, head, head_size);
    if (rest_size)
        memcpy(s->bytes + head_size, rest, rest_size);
    *p->staged_end = s;
    p->staged_end = &s->next;
    p->staged_count++;
    d->staged_bytes += size;
}

static void send_one(
    struct wg_peer *p, struct wg_keypair *k, const uint8_t *packet, size_t size, uint8_t tos)
{
    static _Thread_local uint8_t message[WG_PACKET_MAX + WG_OVERHEAD];
    if (size > WG_PACKET_MAX || !p->endpoint.sa.sa_family)
        return;
    memcpy(message + WG_DATA_HEAD, packet, size);
    size_t whole = wg_message_seal(p, k, message, size);
    if (whole)
        p->device->ops.send(p->device->ops.user, &p->endpoint, message, whole, tos);
}

void wg_peer_flush(struct wg_peer *p, uint64_t now_ms)
{
    wg_lock(p->device);
    struct wg_keypair *k;
    while (p->staged && (k = wg_peer_keys(p, now_ms)) != NULL) {
        send_one(p, k, p->staged->bytes, p->staged->size, p->staged->tos);
        drop_first(p);
    }
    wg_unlock(p->device);
}

void wg_peer_keepalive(struct wg_peer *p, uint64_t now_ms)
{
    wg_lock(p->device);
    bool waits = p->staged != NULL;
    struct wg_keypair *k = waits ? NULL : wg_peer_keys(p, now_ms);
    if (k)
        send_one(p, k, (const uint8_t *)"", 0, 0);
    wg_unlock(p->device);
    if (waits)
        wg_peer_flush(p, now_ms);
}
