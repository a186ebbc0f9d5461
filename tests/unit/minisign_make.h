/* Makes keys and signatures in minisign's format, for tests that sign files of their own. */
#ifndef TESTS_MINISIGN_MAKE_H
#define TESTS_MINISIGN_MAKE_H

#include <sodium.h>
#include <stdio.h>
#include <string.h>

struct made_key {
    unsigned char id[8], public[32], secret[64];
    char text[57];
};

static inline void make_key(struct made_key *k, unsigned char fill)
{
    unsigned char seed[32], box[42] = {'E', 'd'};
    memset(seed, fill, sizeof seed);
    memset(k->id, fill, sizeof k->id);
    crypto_sign_seed_keypair(k->public, k->secret, seed);
    memcpy(box + 2, k->id, 8);
    memcpy(box + 10, k->public, 32);
    sodium_bin2base64(k->text, sizeof k->text, box, sizeof box, sodium_base64_VARIANT_ORIGINAL);
}

/* Writes PATH.minisig for the bytes of PATH as they are now. */
static inline int make_signature(const struct made_key *k, const char *path, const char *comment)
{
    unsigned char hash[64], box[74] = {'E', 'D'}, global[64 + 256], sig[64], buf[4096];
    char first[128], second[128], name[512];
    crypto_generichash_state st;
    size_t n;
    FILE *f = fopen(path, "rb");
    if (!f)
        return -1;
    crypto_generichash_init(&st, NULL, 0, 64);
    while ((n = fread(buf, 1, sizeof buf, f)) > 0)
        crypto_generichash_update(&st, buf, n);
    fclose(f);
    crypto_generichash_final(&st, hash, 64);
    memcpy(box + 2, k->id, 8);
    crypto_sign_detached(box + 10, NULL, hash, 64, k->secret);
    memcpy(global, box + 10, 64);
    memcpy(global + 64, comment, strlen(comment));
    crypto_sign_detached(sig, NULL, global, 64 + strlen(comment), k->secret);
    sodium_bin2base64(first, sizeof first, box, sizeof box, sodium_base64_VARIANT_ORIGINAL);
    sodium_bin2base64(second, sizeof second, sig, sizeof sig, sodium_base64_VARIANT_ORIGINAL);
    snprintf(name, sizeof name, "%s.minisig", path);
    f = fopen(name, "wb");
    if (!f)
        return -1;
    fprintf(f, "untrusted comment: made by a test\n%s\ntrusted comment: %s\n%s\n", first, comment,
        second);
    return fclose(f);
}

#endif
