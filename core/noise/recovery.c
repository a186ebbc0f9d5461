/* Recovery words: an admin key's entropy as twelve words that a person can write down. */
#include "noise/keys.h"
#include "noise/words.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define RECOVERY_WORDS 12
#define RECOVERY_TEXT  256 /* what a person may type, with generous spaces */

/* 16 bytes of entropy, then 4 bits of checksum in the upper half of the last byte: 132 bits. */
static void with_checksum(const uint8_t entropy[16], uint8_t ret_bits[17])
{
    static const char label[] = "clan recovery v1";
    crypto_generichash_state st;
    uint8_t digest[32];
    crypto_generichash_init(&st, NULL, 0, sizeof digest);
    crypto_generichash_update(&st, (const uint8_t *)label, sizeof label - 1);
    crypto_generichash_update(&st, entropy, 16);
    crypto_generichash_final(&st, digest, sizeof digest);
    memcpy(ret_bits, entropy, 16);
    ret_bits[16] = digest[0] & 0xf0;
    sodium_memzero(digest, sizeof digest);
    sodium_memzero(&st, sizeof st);
}

void keys_recovery_words(const uint8_t entropy[16], char ret_words[KEYS_RECOVERY_MAX])
{
    static_assert(RECOVERY_WORDS * (WORDS_LEN_MAX + 1) <= KEYS_RECOVERY_MAX, "twelve words fit");
    uint8_t bits[17];
    with_checksum(entropy, bits);
    words_join(bits, RECOVERY_WORDS, ret_words);
    sodium_memzero(bits, sizeof bits);
}

static void put_bits(uint8_t bits[17], unsigned at, unsigned value)
{
    for (unsigned i = 0; i < WORDS_BITS; i++)
        if (value >> (WORDS_BITS - 1 - i) & 1)
            bits[(at + i) / 8] |= (uint8_t)(0x80 >> ((at + i) % 8));
}

/* text is changed: lower case, separators become NULs. */
static int decode(char *text, uint8_t ret_bits[17])
{
    char *save = NULL;
    unsigned count = 0;
    for (char *c = text; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    for (char *w = strtok_r(text, " -,\t\r\n", &save); w; w = strtok_r(NULL, " -,\t\r\n", &save)) {
        int index = words_find(w);
        if (index < 0 || count == RECOVERY_WORDS)
            return -1;
        put_bits(ret_bits, count++ * WORDS_BITS, (unsigned)index);
    }
    return count == RECOVERY_WORDS ? 0 : -1;
}

int keys_recovery_decode(const char *words, uint8_t ret_entropy[16])
{
    char text[RECOVERY_TEXT];
    uint8_t bits[17] = {0}, expected[17];
    size_t len = strnlen(words, sizeof text);
    if (len == sizeof text)
        return -1;
    memcpy(text, words, len + 1);
    int ret = decode(text, bits);
    with_checksum(bits, expected);
    if (ret == 0 && sodium_memcmp(bits, expected, sizeof bits) != 0)
        ret = -1;
    if (ret == 0)
        memcpy(ret_entropy, bits, 16);
    sodium_memzero(text, sizeof text);
    sodium_memzero(bits, sizeof bits);
    sodium_memzero(expected, sizeof expected);
    return ret;
}
