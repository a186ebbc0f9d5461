/* Alarms of a set: each said once, bounded. */
#include "base/text.h"
#include "member/set.h"
#include "noise/keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void machine_label(const struct member_set *m, const uint8_t id[32], char ret[33])
{
    if (machine_get(m, id)) {
        member_name(m, NULL, id, ret);
        return;
    }
    char text[TEXT_ID_CHARS + 1];
    text_base32(id, 32, text);
    snprintf(ret, 33, "m-%.8s", text);
}

/* The time is that of the door's clock. */
static int64_t admitted_at(const struct machine *x, const struct invite *in)
{
    struct stmt s;
    struct stmt_admission a;
    for (unsigned i = 0; i < x->admission_count; i++)
        if (x->admissions[i].invite == in &&
            stmt_parse(x->admissions[i].item->raw, x->admissions[i].item->size, &s, NULL) ==
                CLAN_OK &&
            stmt_get_admission(&s, &a) == CLAN_OK)
            return a.time;
    return 0;
}

void machine_card(const struct member_set *m, const struct machine *x, const struct invite *in,
    char ret[MACHINE_CARD_MAX])
{
    char name[33], words[KEYS_WORDS_MAX], when[TEXT_UTC_MAX];
    machine_label(m, x->pub.id, name);
    keys_words("machine", m->clan, x->first.identity, words);
    text_utc(admitted_at(x, in), when);
    snprintf(ret, MACHINE_CARD_MAX, "%s (%s, %s)", name, words, when);
}

void alarm_raise(struct member_set *m, enum member_alarm_kind kind, const uint8_t *subject,
    size_t subject_size, const char *fmt, ...)
{
    uint8_t key[32] = {0};
    memcpy(key, subject, subject_size);
    for (size_t i = 0; i < m->alarm_count; i++)
        if (m->alarms[i].kind == kind && !memcmp(m->alarms[i].subject, key, 32))
            return;
    m->alarmed = true;
    if (m->alarm_count == SET_ALARMS_MAX) { /* the oldest gives way */
        memmove(m->alarms, m->alarms + 1, sizeof m->alarms[0] * (SET_ALARMS_MAX - 1));
        m->alarm_count--;
    }
    struct member_alarm *a = &m->alarms[m->alarm_count++];
    a->kind = kind;
    memcpy(a->subject, key, 32);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(a->text, sizeof a->text, fmt, ap);
    va_end(ap);
}

size_t member_alarm_count(const struct member_set *m)
{
    return m->alarm_count;
}

const struct member_alarm *member_alarm_at(const struct member_set *m, size_t index)
{
    return index < m->alarm_count ? &m->alarms[index] : NULL;
}
