/* Hostile bytes for the parsers of WebSocket: by libFuzzer, or file by file with -DREPLAY. */
#include "frame.h"
#include "handshake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What comes out must not depend on how the bytes were cut. */
struct seen {
    uint64_t sum, bytes;
    unsigned controls;
    bool bad;
};

static bool same(const struct seen *a, const struct seen *b)
{
    return a->sum == b->sum && a->bytes == b->bytes && a->controls == b->controls &&
           a->bad == b->bad;
}

static struct seen decode(const uint8_t *data, size_t size, bool from_client, size_t piece)
{
    static uint8_t copy[INPUT_MAX];
    struct ws_frames f = {.from_client = from_client};
    struct seen seen = {0};
    memcpy(copy, data, size);
    for (size_t at = 0; at < size && !seen.bad; at += piece) {
        size_t left = size - at < piece ? size - at : piece, used, n = 0;
        uint8_t *begin = copy + at, *out = NULL;
        uint16_t code;
        enum ws_event ev;
        while ((ev = ws_step(&f, begin, left, &used, &out, &n, &code)) != WS_EV_NONE) {
            if (ev == WS_EV_BAD) {
                seen.bad = true;
                break;
            }
            if (used > left ||
                (ev == WS_EV_DATA && (n == 0 || n > used || out + n != begin + used)))
                abort();
            for (size_t i = 0; ev == WS_EV_DATA && i < n; i++)
                seen.sum = seen.sum * 31 + out[i];
            seen.bytes += ev == WS_EV_DATA ? n : 0;
            seen.controls += ev == WS_EV_CONTROL;
            begin += used;
            left -= used;
        }
        if (ev == WS_EV_NONE && used != left)
            abort();
    }
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char accept[WS_ACCEPT_SIZE + 1];
    if (size > INPUT_MAX)
        return 0;
    for (int client = 0; client < 2; client++) {
        struct seen whole = decode(data, size, client, size ? size : 1);
        struct seen bytes = decode(data, size, client, 1), some = decode(data, size, client, 7);
        if (!same(&whole, &bytes) || !same(&whole, &some))
            abort();
    }
    size_t head = ws_http_end(data, size);
    if (head) {
        ws_judge_request(data, head, "/clan", accept);
        ws_judge_answer(data, head, "dGhlIHNhbXBsZSBub25jZQ==");
    }
    return 0;
}

#ifdef REPLAY
int main(int argc, char **argv)
{
    static uint8_t data[INPUT_MAX];
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f)
            return 1;
        LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof data, f));
        fclose(f);
    }
    printf("%d inputs\n", argc - 1);
    return argc < 2; /* nothing tested is a failure */
}
#endif
