/* Any bytes as tor's control connection: whole or in two pieces they are the same lines. */
#include "control.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(void *user, const struct control_line *l)
{
    struct control_bootstrap b;
    char value[64];
    uint32_t *sum = user;
    for (const char *p = l->text; *p; p++) {
        if ((*p < ' ' || *p > 126) && *p != '\r')
            __builtin_trap();
        *sum = *sum * 31 + (uint8_t)*p;
    }
    *sum = *sum * 31 + l->code + l->last;
    control_value(l->text, "ServiceID", value, sizeof value);
    if (control_bootstrap(l->text, &b) && b.progress > 100)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct control *whole = calloc(1, sizeof *whole), *pieces = calloc(1, sizeof *pieces);
    uint32_t a = 0, b = 0;
    size_t half = size ? data[0] % size : 0;
    bool one = control_feed(whole, data, size, add, &a);
    bool two = control_feed(pieces, data, half, add, &b) &&
               control_feed(pieces, data + half, size - half, add, &b);
    if (one != two || a != b)
        __builtin_trap();
    free(whole);
    free(pieces);
    return 0;
}
