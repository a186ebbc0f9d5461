/* Base32, hex, names. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567";

void text_base32(const void *data, size_t size, char *ret_text)
{
    const uint8_t *p = data;
    uint32_t acc = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < size; i++) {
        acc = acc << 8 | p[i];
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            *ret_text++ = base32_digits[acc >> bits & 31];
        }
    }
    if (bits)
        *ret_text++ = base32_digits[acc << (5 - bits) & 31];
    *ret_text = 0;
}

static int base32_value(char c)
{
    if (c >= 'a' && c <= 'z')
        return c - 'a';
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= '2' && c <= '7')
        return c - '2' + 26;
    return -1;
}

bool text_base32_decode(const char *text, size_t len, void *ret_data, size_t size)
{
    if (len != TEXT_BASE32_LEN(size))
        return false;
    uint8_t *out = ret_data;
    uint32_t acc = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < len; i++) {
        int v = base32_value(text[i]);
        if (v < 0)
            return false;
        acc = acc << 5 | (uint32_t)v;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            *out++ = (uint8_t)(acc >> bits);
        }
    }
    return (acc & ((1u << bits) - 1)) == 0;
}

void text_hex(const void *data, size_t size, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i++) {
        *ret_text++ = digits[p[i] >> 4];
        *ret_text++ = digits[p[i] & 15];
    }
    *ret_text = 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool text_hex_decode(const char *text, size_t len, void *ret_data, size_t size)
{
    if (len != size * 2)
        return false;
    uint8_t *out = ret_data;
    for (size_t i = 0; i < size; i++) {
        int hi = hex_value(text[2 * i]), lo = hex_value(text[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

const char *text_ago(int64_t seconds, char ret_text[48])
{
    static const struct {
        int64_t size;
        const char *word;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    for (unsigned i = 0; i < 4; i++) {
        long long n = seconds / units[i].size;
        if (n >= 1) {
            snprintf(ret_text, 48, "%lld %s%s ago", n, units[i].word, n == 1 ? "" : "s");
            return ret_text;
        }
    }
    snprintf(ret_text, 48, "a moment ago");
    return ret_text;
}

bool text_name_ok(const char *name)
{
    size_t len = strnlen(name, TEXT_NAME_MAX + 1);
    if (len == 0 || len > TEXT_NAME_MAX || name[0] == '-' || name[len - 1] == '-')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* Length of the valid UTF-8 sequence at p, 0 if it is none. */
static size_t utf8_sequence(const unsigned char *p)
{
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        return (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if ((p[0] & 0xf0) == 0xe0) {
        if ((p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80)
            return 0;
        return (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ? 0 : 3;
    }
    if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        if ((p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 || (p[3] & 0xc0) != 0x80)
            return 0;
        return (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ? 0 : 4;
    }
    return 0;
}

/* Characters that turn the direction of writing, or begin a line for some readers: behind them a person reads something
 * else than what is there. */
static bool misleads(const unsigned char *p, size_t size)
{
    if (size == 2)
        return p[0] == 0xd8 && p[1] == 0x9c; /* U+061C */
    if (size != 3 || p[0] != 0xe2)
        return false;
    return (p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae))) ||
           (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
}

void text_sanitize(char *text)
{
    unsigned char *p = (unsigned char *)text;
    while (*p) {
        if (*p >= 0x20 && *p < 0x7f) {
            p++;
            continue;
        }
        size_t n = *p >= 0x80 ? utf8_sequence(p) : 0;
        /* C1 control characters drive terminals too */
        if ((n == 2 && p[0] == 0xc2 && p[1] < 0xa0) || misleads(p, n))
            n = 0;
        if (n)
            p += n;
        else
            *p++ = '?';
    }
}

unsigned text_distance(const char *a, const char *b, unsigned max)
{
    size_t la = strnlen(a, 64), lb = strnlen(b, 64);
    unsigned row[65];
    for (size_t j = 0; j <= lb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned diagonal = row[0], best = row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned cost = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < cost)
                cost = row[j] + 1;
            if (row[j - 1] + 1 < cost)
                cost = row[j - 1] + 1;
            row[j] = cost;
            if (cost < best)
                best = cost;
        }
        if (best > max)
            return max + 1;
    }
    return row[lb];
}

void text_add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *more = NULL;
    int n = vasprintf(&more, fmt, ap);
    va_end(ap);
    if (n >= 0 && t->len + (size_t)n + 1 > t->cap) {
        size_t cap = (t->len + (size_t)n + 1) * 2;
        char *data = realloc(t->data, cap);
        t->cap = data ? cap : t->cap;
        t->data = data ? data : t->data;
        t->failed |= !data;
    }
    if (n < 0 || t->failed)
        t->failed = true;
    else
        memcpy(t->data + t->len, more, (size_t)n + 1);
    t->len += t->failed ? 0 : (size_t)n;
    free(n >= 0 ? more : NULL);
}

void text_utc(int64_t wall_s, char ret_text[TEXT_UTC_MAX])
{
    struct tm tm;
    time_t t = (time_t)wall_s;
    if (!gmtime_r(&t, &tm) || !strftime(ret_text, TEXT_UTC_MAX, "%Y-%m-%d %H:%M UTC", &tm))
        snprintf(ret_text, TEXT_UTC_MAX, "at a time of no calendar");
}

bool text_setting_ok(const char *word)
{
    char copy[512];
    size_t key = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    if (key < 1 || key > 63 || word[0] == '-' || word[0] == '_' || word[key] != '=' ||
        strlen(word) >= sizeof copy)
        return false;
    strcpy(copy, word);
    text_sanitize(copy);
    return strcmp(copy, word) == 0;
}
