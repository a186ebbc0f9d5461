/* Any bytes as an ssh-agent's reply: a list within bounds with terminated texts, a signature, or a refusal. */
#include "sshagent/sshagent.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sshagent_keys keys;
    uint8_t signature[64];
    clan_status st = sshagent_parse_keys(data, size, &keys);
    if (keys.count > SSHAGENT_KEYS_MAX)
        __builtin_trap();
    for (unsigned i = 0; i < keys.count; i++)
        if (!memchr(keys.keys[i].comment, 0, SSHAGENT_COMMENT_MAX))
            __builtin_trap();
    /* no bytes are both */
    if (sshagent_parse_signature(data, size, signature) == CLAN_OK && st == CLAN_OK)
        __builtin_trap();
    return 0;
}
