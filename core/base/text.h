/* Text forms of bytes, and the one rule for names. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_NAME_MAX      32 /* machine, service and clan names: [a-z0-9-]{1,32} */
#define TEXT_ID_CHARS      52 /* base32 of 32 bytes, without the terminator */
#define TEXT_BASE32_LEN(n) (((n)*8 + 4) / 5)

/* Base32 of RFC 4648, lower case, no padding.  ret_text holds TEXT_BASE32_LEN(size) + 1. */
void text_base32(const void *data, size_t size, char *ret_text);
/* Upper and lower case; the decoded size must be exactly `size` and unused bits zero. */
bool text_base32_decode(const char *text, size_t len, void *ret_data, size_t size);
void text_hex(const void *data, size_t size, char *ret_text); /* 2 * size + 1 */
bool text_hex_decode(const char *text, size_t len, void *ret_data, size_t size);

/* "2026-11-22 22:33 UTC", for people. */
#define TEXT_UTC_MAX 32
void text_utc(int64_t wall_s, char ret_text[TEXT_UTC_MAX]);

/* "3 minutes ago", in the largest unit that fits.  Returns ret_text. */
const char *text_ago(int64_t seconds, char ret_text[48]);

/* [a-z0-9-]{1,32}, no hyphen at either end (a DNS label) */
bool text_name_ok(const char *name);
/* KEY=VALUE with a key of [a-z0-9][a-z0-9_-]{0,62}, and a value that text_sanitize() leaves alone */
bool text_setting_ok(const char *word);
/* Replaces control characters, those that turn the direction of writing or separate lines, and invalid UTF-8 by '?':
 * for printing text from outside */
void text_sanitize(char *text);
/* Levenshtein distance with an early end at `max`; for "did you mean" */
unsigned text_distance(const char *a, const char *b, unsigned max);

/* A text that grows; `failed` stays set when memory ran out.  Who made it frees data. */
struct text {
    char *data;
    size_t len, cap;
    bool failed;
};
void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
