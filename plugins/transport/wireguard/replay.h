/* Which counters of a session were seen: a ring of bits (RFC 6479), 8,192 wide. */
#ifndef WG_REPLAY_H
#define WG_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#define WG_REPLAY_BITS  8192u
#define WG_REPLAY_WORDS (WG_REPLAY_BITS / 64)
#define WG_REPLAY_SIZE  (WG_REPLAY_BITS - 64) /* one word is always being emptied */

struct wg_replay { /* zeros: nothing seen */
    uint64_t next; /* the highest one seen and one */
    uint64_t words[WG_REPLAY_WORDS];
};

/* Only after the packet is known to be authentic.  false: seen before, or too old to know. */
static inline bool wg_replay_take(struct wg_replay *r, uint64_t counter)
{
    uint64_t word = counter / 64;
    if (counter >= UINT64_MAX - WG_REPLAY_BITS || counter + WG_REPLAY_SIZE < r->next)
        return false;
    if (counter >= r->next) {
        uint64_t from = r->next ? (r->next - 1) / 64 : 0;
        uint64_t count = word - from < WG_REPLAY_WORDS ? word - from : WG_REPLAY_WORDS;
        for (uint64_t i = 1; i <= count; i++)
            r->words[(from + i) % WG_REPLAY_WORDS] = 0;
        r->next = counter + 1;
    }
    uint64_t bit = 1ull << counter % 64;
    bool fresh = !(r->words[word % WG_REPLAY_WORDS] & bit);
    r->words[word % WG_REPLAY_WORDS] |= bit;
    return fresh;
}

#endif
