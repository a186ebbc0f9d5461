/*
 * Who is in: the verified statements of one clan, and everything that follows from them.
 * Logic without I/O: no clock, descriptor or randomness inside.  Members are exactly the machines
 * with a confirmed admission and no valid revocation (DESIGN 5, SECURITY A2, A3, C, D1, D3, L2).
 */
#ifndef MEMBER_MEMBER_H
#define MEMBER_MEMBER_H

#include "config/clan_config.h"
#include "statement/statement.h"

#define MEMBER_SET_MAX_BYTES (64u << 20)
#define MEMBER_MACHINES_MAX  4096
#define MEMBER_INVITES_MAX   1024
#define MEMBER_NEW_PER_HOUR                                                                        \
    10 /* per author; admissions, receipts, records and acks are bounded otherwise */

#define MEMBER_RECORDS_PER_HOUR 100 /* per author, who stops at 80 by itself (brain/identity.c) */

enum member_standing {
    MEMBER_UNKNOWN = 0, /* a record without an admission */
    MEMBER_PROVISIONAL,
    MEMBER_CONFIRMED,
    MEMBER_REVOKED
};

struct member_machine {
    uint8_t id[32];
    uint8_t address[16];
    enum member_standing standing;
    bool founder;
    bool conflict; /* two admissions or receipts for one place: provisional until an admin signs */
    bool clone;    /* two records with one sequence number: this machine runs twice */
    bool keeper;   /* of the current generation */
    bool phone;    /* a guest device without Clan, reached through `door` and nobody else */
    uint64_t record_seq;
    struct stmt_record record; /* the highest */
    uint8_t admission_id[32];
    uint8_t door[32];      /* machine ID of the door, zero for the founder */
    uint8_t invite_id[16]; /* zero for the founder */
    bool has_receipt;
    struct stmt_receipt receipt;
    uint64_t acked_version; /* of its latest acknowledgement */
    uint8_t acked_revocations[32];
    uint8_t revocation_id[32];
};

struct member_invite {
    uint8_t id[16];
    uint8_t statement_id[32];
    struct stmt_invitation body; /* the newest state */
    uint8_t by[32];              /* admin key */
    bool closed;                 /* withdrawn, or closed by a removal */
    uint32_t admitted;           /* admissions that name it */
    uint32_t confirmed;
};

#define MEMBER_ALARM_TEXT_MAX 480
enum member_alarm_kind {
    MEMBER_ALARM_SHARED_LINK = 1, /* more admissions than uses */
    MEMBER_ALARM_TWO_RECEIPTS,
    MEMBER_ALARM_CLONE,
    MEMBER_ALARM_FORK,      /* a rival of the tip */
    MEMBER_ALARM_OLD_RIVAL, /* evidence, ignored */
    MEMBER_ALARM_QUOTA
};
struct member_alarm {
    enum member_alarm_kind kind;
    uint8_t subject[32]; /* machine ID, id_i + zeros, or envelope ID */
    char text[MEMBER_ALARM_TEXT_MAX];
};

/* What an applied statement changed, as bits. */
enum {
    MEMBER_CHANGED_CONFIG = 1,  /* the head advanced */
    MEMBER_CHANGED_MACHINE = 2, /* machine[0..] below */
    MEMBER_CHANGED_INVITE = 4,
    MEMBER_CHANGED_ALARM = 8,
    MEMBER_CHANGED_ACK = 16
};
struct member_effect {
    bool is_new; /* to be stored and passed on */
    bool known;  /* was here already, or is older than what is here */
    bool waits;  /* valid in itself, but what it hangs on is missing: kept aside, bounded, tried
                    again */
    uint32_t changed;
    uint8_t kind;
    uint8_t id[32];
    uint8_t machine[32]; /* subject, when changed has MACHINE */
};

struct member_set;
struct member_set *member_new(void);
void member_free(struct member_set *m);

/* Verifies and adds one statement, then what waited for it.  The first must be the genesis (or, for
 * a joiner, whatever chain follows it).  hour: a growing count of hours of any clock, for the quota
 * per author; 0: no quota (the own log, what was asked for).  Errors: AUTH, INVAL, LIMIT (quota),
 * REVOKED (author), CONFLICT (child of a rival).  Standings follow from the set alone, whatever the
 * order of arrival. */
clan_status member_apply(struct member_set *m, const void *raw, size_t size, uint64_t hour,
    struct member_effect *ret_effect, struct clan_error *reterr);

/* The same in two steps, for who stores in between: check verifies and changes nothing (but keeps
 * aside what waits); add takes in what was checked last.  */
clan_status member_check(struct member_set *m, const void *raw, size_t size, uint64_t hour,
    struct member_effect *ret_effect, struct clan_error *reterr);
clan_status member_add(
    struct member_set *m, struct member_effect *ret_effect, struct clan_error *reterr);
/* Takes one statement off the waiting list that may go on now.  ret_raw holds STMT_MAX. */
bool member_ready(struct member_set *m, uint8_t *ret_raw, size_t *ret_size, uint64_t *ret_hour);
size_t member_waiting(const struct member_set *m);

const uint8_t *member_clan_id(const struct member_set *m); /* NULL before the genesis */
const struct stmt_genesis *member_genesis(const struct member_set *m);
/* The verified head: version >= 1; envelope is NULL at version 1. */
uint64_t member_head(
    const struct member_set *m, const uint8_t **ret_id, const struct stmt_envelope **ret_envelope);
bool member_chain_stopped(const struct member_set *m); /* a rival of the tip is known */
bool member_chain_has(const struct member_set *m, uint64_t version, const uint8_t id_prefix[16]);
bool member_is_admin(const struct member_set *m, const uint8_t key[32], const char **ret_name);

size_t member_count(const struct member_set *m);
const struct member_machine *member_at(const struct member_set *m, size_t index);
const struct member_machine *member_find(const struct member_set *m, const uint8_t id[32]);
/* Phones that `gateway` carries: confirmed, as it is itself, the same ones everywhere, by their IDs; at
 * most MEMBER_PHONES_MAX of a gateway count. */
#define MEMBER_PHONES_MAX 16
unsigned member_phones(const struct member_set *m, const struct member_machine *gateway,
    const struct member_machine *ret_phones[MEMBER_PHONES_MAX]);
bool member_invite_for_phone(const struct member_invite *in);
/* purpose: enum key_purpose; only machines that are not revoked, or any when revoked_too */
const struct member_machine *member_find_key(
    const struct member_set *m, uint8_t purpose, const uint8_t key[32], bool revoked_too);
const struct member_machine *member_find_address(
    const struct member_set *m, const uint8_t addr[16]);
size_t member_invite_count(const struct member_set *m);
const struct member_invite *member_invite_at(const struct member_set *m, size_t index);
const struct member_invite *member_invite_find(const struct member_set *m, const uint8_t id[16]);
size_t member_alarm_count(const struct member_set *m);
const struct member_alarm *member_alarm_at(const struct member_set *m, size_t index);

/* BLAKE2b-256 of the sorted IDs of all valid revocations: what an acknowledgement signs. */
void member_revocations_digest(
    const struct member_set *m, uint8_t ret_digest[32], uint32_t *ret_count);

/* What clan.yaml says of that machine, NULL: nothing.  cfg may be NULL. */
const struct clan_config_machine *member_row(const struct clan_config *cfg, const uint8_t id[32]);
/* One namespace: service names > names by clan.yaml > --for of the invitation > "m-" + 8 of base32
 * of the ID; two equal claims: both get the ID form.  cfg may be NULL. */
void member_name(const struct member_set *m, const struct clan_config *cfg, const uint8_t id[32],
    char ret_name[33]);
const struct member_machine *member_by_name(
    const struct member_set *m, const struct clan_config *cfg, const char *name_or_id);

/* The live statements, for anti-entropy; in no order that means anything. */
size_t member_stmt_count(const struct member_set *m);
clan_status member_stmt_at(const struct member_set *m, size_t index, const uint8_t **ret_raw,
    size_t *ret_size, const uint8_t **ret_id, uint8_t *ret_kind);
/* by the first 16 bytes of the ID */
clan_status member_stmt_find(const struct member_set *m, const uint8_t prefix[16],
    const uint8_t **ret_raw, size_t *ret_size);
void member_digest(const struct member_set *m, uint8_t ret_digest[32]);     /* over sorted IDs */
void member_buckets(const struct member_set *m, uint8_t ret_digests[2048]); /* 256 x 8 bytes */
/* By position in time: the first statement after a serial number, SIZE_MAX at the end.  What a
 * statement hangs on comes before it, so a log written in this order loads in one pass. */
size_t member_stmt_after(const struct member_set *m, uint64_t serial, uint64_t *ret_serial);
size_t member_stmt_index(
    const struct member_set *m, const uint8_t prefix[16]); /* SIZE_MAX: not here */
/* Sorted IDs of one bucket: returns their number, *ret_id when index is below it. */
size_t member_bucket(
    const struct member_set *m, uint8_t bucket, size_t index, const uint8_t **ret_id);
/* Statements by M admins of a kind that is unknown here and marked critical: above 0 this release
 * must not act for the clan beyond reading. */
size_t member_critical_count(const struct member_set *m);

/* The statements that carry one machine: its invitation, admission, receipts, record, revocation;
 * in an order that verifies.  Calls fn with indexes. */
void member_stmts_of(const struct member_set *m, const uint8_t machine_id[32],
    void (*fn)(void *arg, size_t stmt_index), void *arg);

/* A body against its envelope (C2): version, clan, threshold, admin keys and keepers have to agree.
 */
clan_status member_body_matches(const struct member_set *m, const struct stmt_envelope *envelope,
    const struct clan_config *cfg, struct clan_error *reterr);
/* Its envelope asks for no later protocol and no feature: else the text is not looked at, and the one
 * before stays in use (C2).  This release knows no features. */
clan_status member_body_understood(
    const struct stmt_envelope *envelope, unsigned protocol, struct clan_error *reterr);
/* Refuses a new configuration that brings back a removed machine or admin key (C4). */
clan_status member_body_allowed(
    const struct member_set *m, const struct clan_config *cfg, struct clan_error *reterr);

/* May `whom` (NULL: a stranger that showed a valid invitation; door sessions) be given this
 * statement? Members: all.  Provisional: genesis, envelopes, its own, its invitation, and what
 * concerns the door, the keepers, the admins' machines, the hosts of what it may use, and
 * revocations of those. */
bool member_may_see(const struct member_set *m, const struct clan_config *cfg,
    const struct member_machine *whom, const uint8_t own_id[32], size_t stmt_index);

#endif
