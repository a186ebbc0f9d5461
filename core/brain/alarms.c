/* Alarms about links that were used again: when, by whom, kept until they are read or 30 days old
 * (SECURITY A7). */
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "brain/watch.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define ALARMS_FILE     "alarms"
#define ALARMS_HEAD     "clan alarms v1\n"
#define ALARMS_ROW      102
#define ALARMS_FILE_MAX (sizeof ALARMS_HEAD + 2 + BRAIN_ALARMS_MAX * ALARMS_ROW)
#define ALARMS_DAYS     (30 * 86400)
#define ALARMS_WRITE_MS 5000       /* whoever has a link could have us write all the time */
#define ALARMS_CLOCK    1700000000 /* before: a clock that was not set yet */

enum { FLAG_DISMISSED = 1, FLAG_OTHER = 2 };

static void put_row(struct buf_writer *w, const struct alarm *a)
{
    buf_put_u8(w, a->kind);
    buf_put_u8(w, (uint8_t)((a->dismissed ? FLAG_DISMISSED : 0) | (a->has_other ? FLAG_OTHER : 0)));
    buf_put(w, a->subject, 32);
    buf_put_u64(w, (uint64_t)a->first);
    buf_put_u64(w, (uint64_t)a->last);
    buf_put_u32(w, a->count);
    buf_put(w, a->other, 32);
    buf_put(w, a->remote, 16);
}

static void get_row(struct buf_reader *r, struct alarm *ret)
{
    ret->kind = buf_get_u8(r);
    uint8_t flags = buf_get_u8(r);
    ret->dismissed = flags & FLAG_DISMISSED;
    ret->has_other = flags & FLAG_OTHER;
    buf_get(r, ret->subject, 32);
    ret->first = (int64_t)buf_get_u64(r);
    ret->last = (int64_t)buf_get_u64(r);
    ret->count = buf_get_u32(r);
    buf_get(r, ret->other, 32);
    buf_get(r, ret->remote, 16);
}

static void write_now(struct brain *b)
{
    static uint8_t data[ALARMS_FILE_MAX];
    struct clan_error e = CLAN_ERROR_INIT;
    struct buf_writer w = buf_writer_of(data, sizeof data);
    buf_put(&w, ALARMS_HEAD, sizeof ALARMS_HEAD - 1);
    buf_put_u16(&w, (uint16_t)b->alarm_count);
    for (unsigned i = 0; i < b->alarm_count; i++)
        put_row(&w, &b->alarms[i]);
    b->alarms_written_ms = brain_now();
    b->alarms_dirty = file_write_durable(b->state_fd, ALARMS_FILE, data, w.len, 0600, &e) != 0;
    if (b->alarms_dirty)
        log_clan_error(LOG_LEVEL_WARN, &e);
}

static void changed(struct brain *b)
{
    bool soon = b->alarms_written_ms && brain_now() - b->alarms_written_ms < ALARMS_WRITE_MS;
    b->alarms_dirty = true;
    watch_touch(b);
    if (!soon)
        write_now(b);
}

void alarms_tick(struct brain *b)
{
    if (b->alarms_dirty && brain_now() - b->alarms_written_ms >= ALARMS_WRITE_MS)
        write_now(b);
}

static bool is_old(const struct alarm *a)
{
    return clock_wall_s() - a->last > ALARMS_DAYS;
}

void alarms_load(struct brain *b)
{
    uint8_t *data, head[sizeof ALARMS_HEAD - 1];
    size_t size;
    b->alarm_count = 0;
    if (file_read(b->state_fd, ALARMS_FILE, ALARMS_FILE_MAX, &data, &size, NULL) != CLAN_OK)
        return;
    struct buf_reader r = buf_reader_of(data, size);
    buf_get(&r, head, sizeof head);
    unsigned count = buf_get_u16(&r);
    bool ok = !r.failed && memcmp(head, ALARMS_HEAD, sizeof head) == 0;
    for (unsigned i = 0; ok && i < count && b->alarm_count < BRAIN_ALARMS_MAX; i++) {
        struct alarm a = {0};
        get_row(&r, &a);
        if (!r.failed)
            b->alarms[b->alarm_count++] = a;
    }
    if (!ok || r.failed)
        log_warn("the file of earlier alarms is damaged: what it held is lost");
    free(data);
}

static struct alarm *find(const struct brain *b, uint8_t kind, const uint8_t subject[32])
{
    for (unsigned i = 0; i < b->alarm_count; i++)
        if (b->alarms[i].kind == kind && memcmp(b->alarms[i].subject, subject, 32) == 0)
            return (struct alarm *)(uintptr_t)&b->alarms[i];
    return NULL;
}

/* The oldest gives way, those that nobody sees any more before others. */
static struct alarm *add(struct brain *b, uint8_t kind, const uint8_t subject[32])
{
    unsigned at = b->alarm_count, cap = BRAIN_ALARMS_MAX;
    if (at == cap) {
        at = 0;
        for (unsigned i = 1; i < cap; i++) {
            bool dead = b->alarms[i].dismissed || is_old(&b->alarms[i]);
            bool at_dead = b->alarms[at].dismissed || is_old(&b->alarms[at]);
            if (dead > at_dead || (dead == at_dead && b->alarms[i].last < b->alarms[at].last))
                at = i;
        }
    } else {
        b->alarm_count++;
    }
    struct alarm *a = &b->alarms[at];
    *a = (struct alarm){.kind = kind, .first = clock_wall_s()};
    memcpy(a->subject, subject, 32);
    return a;
}

void alarms_tried(
    struct brain *b, const uint8_t invite[16], const uint8_t *identity, const uint8_t remote[16])
{
    uint8_t subject[32] = {0};
    memcpy(subject, invite, 16);
    struct alarm *a = find(b, ALARM_TRIED, subject);
    if (!a)
        a = add(b, ALARM_TRIED, subject);
    a->last = clock_wall_s();
    a->count++;
    a->dismissed = false; /* it was read before this one came */
    memcpy(a->remote, remote, 16);
    if (identity) { /* else the last that was shown stays */
        a->has_other = true;
        memcpy(a->other, identity, 32);
    }
    changed(b);
}

static bool about_invitations(enum member_alarm_kind kind)
{
    return kind == MEMBER_ALARM_SHARED_LINK || kind == MEMBER_ALARM_TWO_RECEIPTS;
}

void alarms_reconcile(struct brain *b)
{
    for (size_t i = 0; i < member_alarm_count(b->set); i++) {
        const struct member_alarm *m = member_alarm_at(b->set, i);
        if (!about_invitations(m->kind) || find(b, (uint8_t)m->kind, m->subject))
            continue;
        struct alarm *a = add(b, (uint8_t)m->kind, m->subject);
        a->last = a->first;
        a->count = 1;
        changed(b);
    }
    for (unsigned i = 0; i < b->alarm_count; i++)
        if (b->alarms[i].last < ALARMS_CLOCK && clock_wall_s() >= ALARMS_CLOCK) {
            b->alarms[i].first = b->alarms[i].last = clock_wall_s();
            changed(b);
        }
}

bool alarms_shown(const struct brain *b, uint8_t kind, const uint8_t subject[32])
{
    const struct alarm *a = find(b, kind, subject);
    return !a || (!a->dismissed && !is_old(a));
}

/* "" when the machine that used the link is gone. */
void alarms_text(const struct brain *b, const struct alarm *a, char *ret, size_t cap)
{
    char name[33], words[KEYS_WORDS_MAX], who[KEYS_WORDS_MAX + 16] = "", from[INET6_ADDRSTRLEN];
    char when[TEXT_UTC_MAX];
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, zero[16];
    bool v4 = memcmp(a->remote, mapped, 12) == 0;
    ret[0] = 0;
    for (size_t k = 0; k < member_count(b->set); k++) {
        const struct member_machine *m = member_at(b->set, k);
        if (m->founder || memcmp(m->invite_id, a->subject, 16) != 0 ||
            m->standing == MEMBER_REVOKED)
            continue;
        brain_name(b, m->id, name);
        keys_words("machine", b->clan_id, m->record.identity, words);
        text_utc(a->last, when);
        size_t len = (size_t)snprintf(ret, cap,
            "the invitation that %s (%s) used was tried again %u time%s, last on %s", name, words,
            a->count, a->count == 1 ? "" : "s", when);
        if (a->has_other) {
            keys_words("machine", b->clan_id, a->other, words);
            snprintf(who, sizeof who, " by %s", words);
        }
        inet_ntop(v4 ? AF_INET : AF_INET6, a->remote + (v4 ? 12 : 0), from, sizeof from);
        if (len < cap)
            snprintf(ret + len, cap - len, "%s%s%s: somebody else may have the link", who,
                memcmp(a->remote, zero, 16) ? " from " : "",
                memcmp(a->remote, zero, 16) ? from : "");
        return;
    }
}

void alarms_dismiss(struct brain *b)
{
    alarms_reconcile(b);
    for (unsigned i = 0; i < b->alarm_count; i++)
        b->alarms[i].dismissed = true;
    write_now(b);
}
