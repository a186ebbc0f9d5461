/* Any bytes as FILE.minisig: parsed within bounds, refused with a text, and never good for a key at hand. */
#include "minisign/minisign.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct minisign s;
    struct minisign_key key;
    struct clan_error e = CLAN_ERROR_INIT;
    uint8_t hash[64] = {0};
    char text[80];
    if (minisign_parse(data, size, &s, &e) == CLAN_OK) {
        if (!memchr(s.comment, 0, sizeof s.comment))
            __builtin_trap();
        static const uint8_t any[32] = {0x58, 0x66, 0x66, 0x66};
        if (minisign_verify(&s, hash, any, &e) == CLAN_OK)
            __builtin_trap();
    } else if (!e.what[0] || !e.why[0] || !e.remedy[0])
        __builtin_trap();
    snprintf(text, sizeof text, "%.*s", (int)(size < 79 ? size : 79), (const char *)data);
    minisign_key_parse(text, &key);
    return 0;
}
