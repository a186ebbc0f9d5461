/* A key with its counter: libsodium for small messages, the bulk implementation for large ones. */
#include "noise/aead.h"

#include "base/clock.h"
#include "base/error.h"
#include "noise/bulk.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define SLAB_KEYS 62 /* with its head, one slab fills a page of guarded memory */

struct aead {
    uint8_t key[32];
    uint64_t counter;
    struct bulk *seal, *open; /* made by the first large message */
    struct aead_slab *slab;   /* NULL: free */
};

/* A guarded page holds many keys: one sodium_malloc each would cost two pages a direction. */
struct aead_slab {
    struct aead_slab *next;
    unsigned used;
    struct aead keys[SLAB_KEYS];
};

static_assert(sizeof(struct aead_slab) <= 4096 - 16, "a slab and its canary fit into a page");

static struct aead_slab *slabs;
static pthread_mutex_t slabs_lock = PTHREAD_MUTEX_INITIALIZER;
static size_t bulk_from = SIZE_MAX; /* smallest message for the bulk implementation */

/* --- keys --- */

static struct aead_slab *slab_with_room(void)
{
    for (struct aead_slab *s = slabs; s; s = s->next)
        if (s->used < SLAB_KEYS)
            return s;
    struct aead_slab *s = sodium_malloc(sizeof *s);
    if (!s)
        return NULL;
    memset(s, 0, sizeof *s);
    s->next = slabs;
    slabs = s;
    return s;
}

struct aead *aead_new(const uint8_t key[32])
{
    struct aead *a = NULL;
    if (sodium_init() < 0)
        return NULL;
    pthread_mutex_lock(&slabs_lock);
    struct aead_slab *s = slab_with_room();
    for (unsigned i = 0; s && !a; i++)
        if (!s->keys[i].slab)
            a = &s->keys[i];
    if (a) {
        a->slab = s;
        s->used++;
        memcpy(a->key, key, sizeof a->key);
        a->counter = 0;
    }
    pthread_mutex_unlock(&slabs_lock);
    return a;
}

void aead_free(struct aead *a)
{
    if (!a)
        return;
    bulk_free(a->seal);
    bulk_free(a->open);
    pthread_mutex_lock(&slabs_lock);
    struct aead_slab *s = a->slab;
    sodium_memzero(a, sizeof *a);
    s->used--;
    struct aead_slab **at = &slabs;
    while (*at != s)
        at = &(*at)->next;
    if (s->used == 0 && (slabs != s || s->next)) { /* the last one stays */
        *at = s->next;
        sodium_free(s);
    }
    pthread_mutex_unlock(&slabs_lock);
}

uint64_t aead_counter(const struct aead *a)
{
    return a->counter;
}

/* --- messages --- */

static void nonce_of(uint64_t counter, uint8_t ret_nonce[12])
{
    memset(ret_nonce, 0, 4);
    for (unsigned i = 0; i < 8; i++)
        ret_nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}

/* NULL when the message is small, or when there is no memory for a context: libsodium always works.
 */
static struct bulk *bulk_for(struct aead *a, struct bulk **slot, bool seal, size_t size)
{
    if (size < bulk_from)
        return NULL;
    if (!*slot)
        *slot = bulk_new(a->key, seal);
    return *slot;
}

bool aead_seal(struct aead *a, const void *ad, size_t ad_size, uint8_t *data, size_t size)
{
    uint8_t nonce[12];
    if (a->counter == UINT64_MAX)
        return false;
    nonce_of(a->counter, nonce);
    struct bulk *b = bulk_for(a, &a->seal, true, size);
    if (b) {
        /* the plain text is spoilt when this fails, so the nonce is used up either way */
        a->counter++;
        return bulk_seal(b, nonce, ad, ad_size, data, size);
    }
    a->counter++;
    return crypto_aead_chacha20poly1305_ietf_encrypt(
               data, NULL, data, size, ad, ad_size, NULL, nonce, a->key) == 0;
}

bool aead_open(struct aead *a, const void *ad, size_t ad_size, uint8_t *data, size_t size)
{
    uint8_t nonce[12];
    if (size < AEAD_TAG || a->counter == UINT64_MAX)
        return false;
    nonce_of(a->counter, nonce);
    struct bulk *b = bulk_for(a, &a->open, false, size - AEAD_TAG);
    bool good = b ? bulk_open(b, nonce, ad, ad_size, data, size - AEAD_TAG)
                  : crypto_aead_chacha20poly1305_ietf_decrypt(
                        data, NULL, NULL, data, size, ad, ad_size, nonce, a->key) == 0;
    if (good)
        a->counter++;
    return good;
}

/* --- the choice --- */

#define MEASURE_MAX 8192

/* Nanoseconds of the fastest of a few messages; the fastest is the one nobody disturbed. */
static uint64_t fastest_ns(struct aead *a, uint8_t *data, size_t size, unsigned rounds)
{
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t start = clock_mono_ns();
        for (unsigned j = 0; j < 4; j++)
            aead_seal(a, NULL, 0, data, size);
        uint64_t took = clock_mono_ns() - start;
        if (took < best)
            best = took;
    }
    return best;
}

/* The smallest size from which the bulk implementation wins, and at every larger size as well. */
static size_t measure(void)
{
    static const uint8_t key[32];
    uint8_t data[MEASURE_MAX + AEAD_TAG] = {0};
    struct aead *a = aead_new(key);
    size_t from = SIZE_MAX;
    if (!a)
        return from;
    for (size_t size = MEASURE_MAX; size >= 128; size /= 2) {
        unsigned rounds = size >= 4096 ? 12 : 24;
        bulk_from = SIZE_MAX;
        uint64_t sodium = fastest_ns(a, data, size, rounds);
        bulk_from = 0;
        if (fastest_ns(a, data, size, rounds) >= sodium)
            break;
        from = size;
    }
    aead_free(a);
    return from;
}

const char *aead_init(void)
{
    static char text[48];
    bulk_from = SIZE_MAX;
    bool have = sodium_init() >= 0 && bulk_init();
    if (have)
        bulk_from = measure();
    if (!have)
        snprintf(text, sizeof text, "libsodium alone");
    else if (bulk_from == SIZE_MAX)
        snprintf(text, sizeof text, "libsodium for every size");
    else if (bulk_from >= 1000)
        snprintf(text, sizeof text, "libcrypto from %zu,%03zu bytes", bulk_from / 1000,
            bulk_from % 1000);
    else
        snprintf(text, sizeof text, "libcrypto from %zu bytes", bulk_from);
    return text;
}
