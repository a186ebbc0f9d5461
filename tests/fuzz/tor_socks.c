/* Any bytes as answers of a SOCKS proxy: read as wanted, never beyond their end. */
#include "socks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct socks s;
    enum socks_state st = SOCKS_MORE;
    size_t at = 0;
    socks_begin(&s);
    while ((st == SOCKS_MORE || st == SOCKS_SAY) && at < size) {
        unsigned n = socks_want(&s);
        if (n == 0 || n > sizeof s.bytes)
            __builtin_trap();
        if (n > size - at)
            n = (unsigned)(size - at);
        st = socks_feed(&s, data + at, n);
        at += n;
    }
    if (st == SOCKS_CONNECTED && (s.reply || at < 11 || at > 4 + 5 + 257))
        __builtin_trap();
    return socks_text(s.reply)[0] ? 0 : -1;
}
