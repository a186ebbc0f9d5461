/* The word list of fingerprints and recovery words. */
#ifndef NOISE_WORDS_H
#define NOISE_WORDS_H

#define WORDS_COUNT   2048
#define WORDS_BITS    11
#define WORDS_LEN_MAX 8

/* Sorted; no two begin with the same four letters, so four letters name a word. */
extern const char words_table[WORDS_COUNT][WORDS_LEN_MAX + 1];

/* `count` words of the first count * 11 bits (big-endian), joined by '-'; ret_text is long enough:
 * count * (WORDS_LEN_MAX + 1) bytes.  bits holds that many bits. */
void words_join(const unsigned char *bits, unsigned count, char *ret_text);
/* Index of a lower-case word, -1: not in the list. */
int words_find(const char *word);

#endif
