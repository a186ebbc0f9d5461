/* Inside of a member set: what the files of this folder share. */
#ifndef MEMBER_SET_H
#define MEMBER_SET_H

#include "member/map.h"
#include "member/member.h"

#define SET_WAITS_MAX      256
#define SET_ALARMS_MAX     64
#define SET_ADMISSIONS_MAX 8 /* of one machine: a joiner may try several doors ... */
#define SET_PER_DOOR       2 /* ... and a door signs once; again after it forgot */
#define SET_ADMIN_RECEIPTS 4
#define SET_OVER_USES      8 /* admissions kept beyond `uses`: enough to see that a link is shared */
#define SET_AUTHOR_BYTES   (256u << 10) /* of kinds that this release does not know */
#define SET_AUTHORS_MAX    8192
#define SET_SMALL_USES     5 /* one admin alone (A4) */
#define SET_SMALL_SECONDS  86400

/* One live statement.  Statements stand in the order in which they were applied, so what one hangs
 * on comes before it. */
struct item {
    uint8_t id[32], author[32];
    uint8_t subject[32]; /* machine ID, or id_i and zeros */
    uint8_t kind;
    uint64_t serial;
    size_t size;
    uint8_t raw[];
};

struct adminset {
    unsigned threshold, count;
    uint8_t keys[STMT_ADMINS_MAX][32];
};
struct keeperset {
    uint32_t generation;
    unsigned count;
    uint8_t ids[5][32];
    uint64_t until; /* the last version that names them; no part of what is compared */
};
struct version {
    uint8_t id[32];
    struct item *item, *rival; /* rival: evidence, the lowest ID of several */
    uint32_t admins, keepers;  /* indexes; keepers UINT32_MAX: none */
};

struct admission;
struct invite {
    struct member_invite pub;
    struct item *open, *closed; /* newest of each state */
    uint64_t open_seq, closed_seq;
    struct stmt_invitation open_body, closed_body;
    uint8_t open_by[32], closed_by[32];
    uint16_t open_signers;
    unsigned admissions;      /* in the set, counting or not */
    struct admission *guests; /* of derive: one of each machine that counts */
};

enum admission_worth {
    WORTH_NOTHING = 0, /* door removed, nobody else answers for it (D3) */
    WORTH_GUEST,       /* door and receipt are both of removed machines: an admin has to sign */
    WORTH_FULL
};
struct admission {
    struct admission *next; /* of those that count, by its invitation */
    struct machine *machine;
    struct item *item;
    struct invite *invite; /* NULL: founder */
    uint8_t door[32];
    bool phone;
    enum admission_worth worth;
};
struct receipt {
    struct item *item;
    uint64_t strict_stamp; /* of the cached answer */
    bool strict;
    struct stmt_receipt body;
};
struct machine {
    struct member_machine pub;
    struct stmt_record first;
    unsigned admission_count;
    struct admission admissions[SET_ADMISSIONS_MAX];
    struct receipt by_keepers;
    struct receipt by_admin[SET_ADMIN_RECEIPTS]; /* one of each admin that signed */
    struct item *records[2]; /* live, of the highest sequence number; two: a clone */
    struct item *ack;
    uint64_t ack_seq;
};
struct revoked {
    uint8_t machine[32];
    struct item *removed, *left;
    uint64_t config_version; /* of removed */
    uint64_t judged_at;      /* version whose admins by_todays speaks of; 0: none */
    bool by_todays;
};

struct author {
    uint8_t id[32];
    uint64_t hour;
    unsigned in_hour;
    uint64_t records_hour;
    unsigned records; /* renewals in it */
    size_t bytes;     /* of unknown kinds */
};
struct waiting {
    struct item *item;
    uint64_t hour;
    uint32_t needs; /* bits of kinds that may help */
    uint64_t round; /* of the set when it was put aside */
    uint8_t key[32];
};

/* A verified statement on its way in. */
struct plan {
    struct item *item; /* owned until committed */
    struct stmt s;
    bool known;
    uint32_t waits_for; /* bits of kinds; 0: ready */
    uint8_t waits_key[32];
    uint64_t hour;
    bool by_admin, rival, founder;
    struct machine *machine;
    struct receipt *slot;
    struct invite *invite;
    uint8_t machine_id[32];
    struct stmt_record record;
    union {
        struct stmt_genesis genesis;
        struct stmt_envelope envelope;
        struct stmt_invitation invitation;
        struct stmt_admission admission;
        struct stmt_receipt receipt;
        struct stmt_revocation revocation;
        struct stmt_ack ack;
    } b;
};

struct member_set {
    uint8_t clan[32];
    bool has_genesis, stopped;
    struct stmt_genesis genesis;
    struct stmt_envelope head; /* version >= 2 */
    struct version *versions;  /* [0] is version 1 */
    size_t version_count, version_cap;
    struct adminset *adminsets;
    size_t adminset_count;
    struct keeperset *keepersets;
    size_t keeperset_count;
    uint8_t (*removed)[32]; /* admin keys of all `removed` lists */
    size_t removed_count;

    struct item **items;
    size_t item_count, item_cap, bytes;
    uint64_t serial;
    uint64_t changes;           /* grows with each change of the set */
    struct map by_id;           /* first 16 bytes of the ID, zeros */
    struct item **buckets[256]; /* sorted by ID */
    size_t bucket_count[256], bucket_cap[256];
    uint8_t bucket_digest[256][8];
    bool bucket_dirty[256];
    uint8_t digest[32];
    bool digest_dirty;

    struct machine **machines;
    size_t machine_count, machine_cap;
    struct map machine_by_id, machine_by_address, machine_by_key;
    struct invite **invites;
    size_t invite_count, invite_cap;
    struct map invite_by_id;
    struct revoked **revoked;
    size_t revoked_count, revoked_cap;
    struct map revoked_by_id;
    struct author *authors[SET_AUTHORS_MAX];
    size_t author_count;
    struct map author_by_id;
    struct waiting waits[SET_WAITS_MAX];
    size_t wait_count;
    uint64_t round;       /* grows with each application */
    uint32_t ready_kinds; /* what was applied since the waiting ones were looked at */
    struct member_alarm alarms[SET_ALARMS_MAX];
    size_t alarm_count;
    bool alarmed; /* since the last application */
    size_t critical_count;
    uint32_t removals;       /* by admins, ever added */
    struct machine **phones; /* of derive: those that are confirmed */
    size_t phone_count, phone_cap;

    struct plan plan; /* the one that was checked last */
    struct {
        uint64_t changes;
        uint8_t whom[32], own[32];
        const struct clan_config *cfg;
        uint64_t cfg_version;
        bool valid;
        struct map machines, invites;
    } see;
};

/* items.c */
struct item *item_new(const struct stmt *s, const void *raw, size_t size);
bool set_add(struct member_set *m, struct item *it);  /* false: out of memory, nothing changed */
void set_drop(struct member_set *m, struct item *it); /* takes NULL; frees it */
struct item *set_find(const struct member_set *m, const uint8_t id[32]);
bool set_grow(void *array, size_t *cap, size_t count, size_t size); /* room for one more */
void set_prefix_key(const uint8_t prefix[16], uint8_t ret_key[32]);

/* chain.c */
clan_status chain_check_genesis(struct member_set *m, struct plan *p, struct clan_error *e);
clan_status chain_check_envelope(struct member_set *m, struct plan *p, struct clan_error *e);
clan_status chain_add_genesis(struct member_set *m, struct plan *p, struct member_effect *ret);
clan_status chain_add_envelope(struct member_set *m, struct plan *p, struct member_effect *ret);
const struct adminset *chain_admins(
    const struct member_set *m, uint64_t version); /* NULL: not known yet */
bool chain_ever_admin(const struct member_set *m, const uint8_t key[32]);
bool chain_key_removed(const struct member_set *m, const uint8_t key[32]);
bool chain_is_keeper(const struct member_set *m, const uint8_t machine_id[32]); /* of the head */
unsigned chain_signers(const struct stmt *s, const struct adminset *a);

/* invites.c */
clan_status invite_check(struct member_set *m, struct plan *p, struct clan_error *e);
clan_status invite_add(struct member_set *m, struct plan *p, struct member_effect *ret);
struct invite *invite_get(const struct member_set *m, const uint8_t id[16]);
void invite_settle(struct member_set *m, struct invite *i); /* pub from the two states */

/* admit.c */
clan_status admission_check(struct member_set *m, struct plan *p, struct clan_error *e);
clan_status admission_add(struct member_set *m, struct plan *p, struct member_effect *ret);
clan_status receipt_check(struct member_set *m, struct plan *p, struct clan_error *e);
clan_status receipt_add(struct member_set *m, struct plan *p, struct member_effect *ret);
/* A majority of one keeper generation signed; only those that are not removed when strict. */
bool receipt_has_majority(
    const struct member_set *m, const struct stmt *s, uint32_t generation, bool strict);

/* machines.c */
clan_status record_check(struct member_set *m, struct plan *p, struct clan_error *e);
clan_status record_add(struct member_set *m, struct plan *p, struct member_effect *ret);
clan_status revocation_check(struct member_set *m, struct plan *p, struct clan_error *e);
clan_status revocation_add(struct member_set *m, struct plan *p, struct member_effect *ret);
clan_status ack_check(struct member_set *m, struct plan *p, struct clan_error *e);
clan_status ack_add(struct member_set *m, struct plan *p, struct member_effect *ret);
clan_status other_check(struct member_set *m, struct plan *p, struct clan_error *e);
clan_status other_add(struct member_set *m, struct plan *p, struct member_effect *ret);
struct machine *machine_get(const struct member_set *m, const uint8_t id[32]);
struct machine *machine_new(
    struct member_set *m, const uint8_t id[32], const struct stmt_record *first);
bool machine_anchored(const struct machine *x); /* founder, or somebody confirmed it */
struct revoked *revoked_get(const struct member_set *m, const uint8_t id[32]);
/* Back to the first record: after a revocation nothing of its own stays live. */
void machine_purge(struct member_set *m, struct machine *x);
void machine_key_id(uint8_t purpose, const uint8_t key[32], uint8_t ret_key[32]);

/* derive.c: standings, conflicts and keeper flags from what is in the set; nothing else decides
 * them */
void derive(struct member_set *m);

/* phone.c */
void phones_derive(struct member_set *m);

/* alarms.c */
void alarm_raise(struct member_set *m, enum member_alarm_kind kind, const uint8_t *subject,
    size_t subject_size, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void machine_label(const struct member_set *m, const uint8_t id[32], char ret[33]);
/* "laptop (amber-...-fox, 2026-11-22 22:33 UTC)": its fingerprint, and when it came by an
 * invitation */
#define MACHINE_CARD_MAX 140
void machine_card(const struct member_set *m, const struct machine *x, const struct invite *in,
    char ret[MACHINE_CARD_MAX]);

/* waits.c */
void wait_put(struct member_set *m, struct plan *p);
void wait_free_all(struct member_set *m);
/* CLAN_OK, or LIMIT; counts when ok and commit */
clan_status quota_check(
    struct member_set *m, const struct plan *p, bool commit, struct clan_error *e);

/* join.c */
clan_status join_sign_admission(const struct member_set *m, const struct stmt_admission *b,
    const uint8_t door_id[32], const uint8_t door_secret[64], uint64_t seq, uint8_t *ret_raw,
    size_t *ret_size);

#define NEEDS(kind) (1u << (kind))

static inline clan_status plan_waits(struct plan *p, uint32_t kinds, const uint8_t key[32])
{
    p->waits_for = kinds;
    for (int i = 0; i < 32; i++)
        p->waits_key[i] = key ? key[i] : 0;
    return CLAN_OK;
}

#endif
