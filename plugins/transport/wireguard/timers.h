/* The timers of WireGuard's paper 6: an event and the time in, what to do out. */
#ifndef WG_TIMERS_H
#define WG_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

/* 6.1; a test may build with short ones. */
#ifndef WG_REKEY_AFTER_MS
#define WG_REKEY_AFTER_MS 120000u
#endif
#ifndef WG_REJECT_AFTER_MS
#define WG_REJECT_AFTER_MS 180000u
#endif
#ifndef WG_REKEY_TIMEOUT_MS
#define WG_REKEY_TIMEOUT_MS 5000u
#endif
#ifndef WG_KEEPALIVE_MS
#define WG_KEEPALIVE_MS 10000u
#endif
#ifndef WG_REKEY_AFTER_MESSAGES
#define WG_REKEY_AFTER_MESSAGES (1ull << 60)
#endif
#define WG_REJECT_AFTER_MESSAGES (UINT64_MAX - (1u << 13))
#define WG_ATTEMPT_MS            90000u
#define WG_ATTEMPTS              (WG_ATTEMPT_MS / 5000u)
#define WG_JITTER_MS             334u
#define WG_NEVER                 UINT64_MAX

enum wg_event {
    WG_EV_DATA_SENT = 1, /* a packet with content */
    WG_EV_SENT = 2,      /* any authenticated message, handshakes too */
    WG_EV_DATA_RECEIVED = 4,
    WG_EV_RECEIVED = 8,
    WG_EV_INITIATED = 16, /* an initiation went out */
    WG_EV_COMPLETE = 32,  /* a handshake is known to have worked */
    WG_EV_DERIVED = 64,   /* new keys */
};

enum wg_action {
    WG_DO_KEEPALIVE = 1,
    WG_DO_HANDSHAKE = 2, /* begin one, unless one was begun in the last REKEY_TIMEOUT */
    WG_DO_RETRY = 4,     /* begin one again */
    WG_DO_GIVE_UP = 8,   /* drop what waits: nobody answered for REKEY_ATTEMPT_TIME */
    WG_DO_ERASE = 16,    /* all keys: too old for anything */
};

struct wg_timers { /* starts by wg_timers_reset() */
    uint64_t retry_at, keepalive_at, silence_at, erase_at, persistent_at;
    uint32_t persistent_ms; /* 0: none */
    uint8_t attempts;
    bool another;
};

void wg_timers_reset(struct wg_timers *t, uint32_t persistent_ms);
/* jitter_ms: chance, below WG_JITTER_MS. */
void wg_timers_event(struct wg_timers *t, unsigned events, uint64_t now_ms, uint32_t jitter_ms);
/* Actions that are due. */
unsigned wg_timers_due(struct wg_timers *t, uint64_t now_ms);
uint64_t wg_timers_next(const struct wg_timers *t);

#endif
