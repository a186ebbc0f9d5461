/* Fuzz target: one DNS query against a small table; the reply must be one, and within its room. */
#include "resolver/answer.h"

#include <arpa/nameser.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct resolver_table *table(void)
{
    static struct resolver_table *t;
    static const uint8_t nas[16] = {0xfd, 1, 2, 3, 4, 5, 6}, files[16] = {0xfd, 1, 2, 3, 4, 5, 7};
    if (!t) {
        t = resolver_table_new();
        if (!t || resolver_zone(t, "home") != CLAN_OK ||
            resolver_name_set(t, "nas", nas) != CLAN_OK ||
            resolver_name_set(t, "files", files) != CLAN_OK)
            abort();
    }
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum resolver_outcome outcome;
    ns_msg msg;
    for (size_t cap = RESOLVER_REPLY_MAX; cap > 0; cap /= 2) {
        uint8_t *reply = malloc(cap); /* exact, so that the sanitizer sees a write past it */
        size_t len = reply ? resolver_answer(table(), data, size, reply, cap, &outcome) : 0;
        if (len > cap || (len && ns_initparse(reply, (int)len, &msg) != 0))
            abort();
        if (len && (!(reply[2] & 0x80) || memcmp(reply, data, 2) != 0))
            abort();
        if (len && cap == RESOLVER_REPLY_MAX && ns_msg_getflag(msg, ns_f_rcode) == ns_r_servfail)
            abort(); /* every reply fits into the usual room */
        free(reply);
    }
    return 0;
}
