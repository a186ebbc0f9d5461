/* Fuzz target: each message of IK and XXpsk0 as both sides read it.  Byte 0 chooses which. */
#include "noise/noise.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t secret_i[32] = {1, 2, 3}, secret_r[32] = {4, 5, 6};
static const uint8_t e_i[32] = {7, 8, 9}, e_r[32] = {10, 11, 12}, psk[32] = {13};
/* X25519 of secret_r, so that IK's initiator knows whom it calls */
static const uint8_t public_r[32] = {0x28, 0x49, 0xc3, 0x2d, 0xd1, 0x13, 0x53, 0xd9, 0x63, 0x6b,
    0x19, 0x92, 0x85, 0xf9, 0xe6, 0x7d, 0x2c, 0x74, 0xc0, 0x17, 0xa1, 0xae, 0xe8, 0x46, 0x08, 0x1a,
    0x4f, 0x8b, 0x03, 0x7b, 0xca, 0x11};

static struct noise_handshake *make(const char *pattern, bool initiator)
{
    struct noise_params p = {.pattern = pattern,
        .initiator = initiator,
        .s_secret = initiator ? secret_i : secret_r,
        .e_secret = initiator ? e_i : e_r,
        .rs = public_r,
        .psk = psk};
    struct noise_handshake *h = NULL;
    if (noise_new(&p, &h) != CLAN_OK)
        abort();
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t message[70000], payload[70000];
    size_t made = 0, got = 0;
    if (size < 1)
        return 0;
    const char *pattern = data[0] & 1 ? "XXpsk0" : "IK";
    unsigned before = (data[0] >> 1) % 3; /* messages passed unchanged first */
    struct noise_handshake *init = make(pattern, true), *resp = make(pattern, false);
    for (unsigned i = 0; i < before && !(noise_done(init) && noise_done(resp)); i++) {
        struct noise_handshake *from = i % 2 ? resp : init, *to = i % 2 ? init : resp;
        if (noise_write(from, NULL, 0, message, sizeof message, &made) != CLAN_OK ||
            noise_read(to, message, made, payload, sizeof payload, &got) != CLAN_OK)
            abort();
    }
    struct noise_handshake *to = before % 2 ? init : resp;
    size_t cap = data[0] & 0x40 ? 16 : sizeof payload;
    if (noise_read(to, data + 1, size - 1, payload, cap, &got) == CLAN_OK && got > cap)
        abort();
    if (noise_my_turn(to))
        (void)noise_write(to, payload, 10, message, sizeof message, &made);
    noise_free(init);
    noise_free(resp);
    return 0;
}
