/* Any text as an endpoint, as a bridge and as a proxy: what is taken is one line and reads back the same. */
#include "onion.h"
#include "torrc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned lines_of(const char *text)
{
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void configuration(const char *line)
{
    static struct torrc empty = {.dir = "/volume"};
    struct torrc t = empty;
    char text[TORRC_MAX];
    torrc_write(&t, text);
    unsigned lines = lines_of(text);
    if (!torrc_bridge_add(&t, line))
        lines += 2;
    if (!torrc_proxy_add(&t, "obfs4", line))
        lines += 1;
    if (!torrc_write(&t, text) || lines_of(text) != lines || strchr(text, '#') || strchr(text, '"'))
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct onion_endpoint e, again;
    char text[ONION_ENDPOINT_MAX + 1], *line = malloc(size + 1);
    if (!line)
        abort();
    memcpy(line, data, size);
    line[size] = 0;
    if (onion_endpoint_parse(line, &e)) {
        onion_endpoint_text(&e, text);
        if (!onion_endpoint_parse(text, &again) || memcmp(&e, &again, sizeof e) != 0)
            __builtin_trap();
    }
    configuration(line);
    free(line);
    return 0;
}
