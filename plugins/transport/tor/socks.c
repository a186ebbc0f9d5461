/* What is asked of a SOCKS5 proxy, and what it answers. */
#include "socks.h"

#include <stdio.h>
#include <string.h>

#define STEP_METHOD 0
#define STEP_AUTH   1
#define STEP_HEAD   2
#define STEP_REST   3
#define HEAD_SIZE   5 /* up to the first byte of the address, which is its length when it is a name */

size_t socks_ask(const char *user, const char *host, uint16_t port, uint8_t ret[SOCKS_ASK_MAX])
{
    size_t users = strlen(user), hosts = strlen(host), n = 0;
    if (users < 1 || users > SOCKS_USER_MAX || hosts < 1 || hosts > 255)
        return 0;
    const uint8_t hello[] = {5, 1, 2, 1, (uint8_t)users};
    memcpy(ret, hello, sizeof hello);
    n = sizeof hello;
    memcpy(ret + n, user, users);
    n += users;
    const uint8_t request[] = {1, '-', 5, 1, 0, 3, (uint8_t)hosts}; /* password "-" */
    memcpy(ret + n, request, sizeof request);
    n += sizeof request;
    memcpy(ret + n, host, hosts);
    n += hosts;
    ret[n++] = (uint8_t)(port >> 8);
    ret[n++] = (uint8_t)port;
    return n;
}

void socks_begin(struct socks *s)
{
    *s = (struct socks){.need = 2};
}

unsigned socks_want(const struct socks *s)
{
    return s->need - s->have;
}

/* Bytes of address and port behind the head; tor answers with 16-byte addresses too. */
static unsigned rest_of(const uint8_t head[HEAD_SIZE])
{
    switch (head[3]) {
    case 1:
        return 4 + 2 - 1;
    case 3:
        return head[4] + 2u;
    case 4:
        return 16 + 2 - 1;
    default:
        return 0;
    }
}

static enum socks_state done(struct socks *s)
{
    const uint8_t *b = s->bytes;
    switch (s->step++) {
    case STEP_METHOD:
        s->need = 2;
        s->have = 0;
        return b[0] == 5 && b[1] == 2 ? SOCKS_SAY : SOCKS_BROKEN;
    case STEP_AUTH:
        s->need = HEAD_SIZE;
        s->have = 0;
        return b[0] == 1 && b[1] == 0 ? SOCKS_MORE : SOCKS_BROKEN;
    case STEP_HEAD:
        if (b[0] != 5 || b[2] != 0 || !rest_of(b))
            return SOCKS_BROKEN;
        s->reply = b[1];
        s->need += rest_of(b);
        return SOCKS_MORE;
    default:
        return s->reply == 0 ? SOCKS_CONNECTED : SOCKS_REFUSED;
    }
}

enum socks_state socks_feed(struct socks *s, const uint8_t *bytes, unsigned size)
{
    if (size == 0)
        return SOCKS_MORE;
    if (s->step > STEP_REST || size > socks_want(s) || s->have + size > sizeof s->bytes)
        return SOCKS_BROKEN;
    memcpy(s->bytes + s->have, bytes, size);
    s->have += size;
    return s->have < s->need ? SOCKS_MORE : done(s);
}

const char *socks_text(uint8_t reply)
{
    static const struct {
        uint8_t reply;
        const char *text;
    } rows[] = {
        {0x01, "Tor could not reach it"},
        {0x02, "Tor does not allow it"},
        {0x03, "Tor has no network"},
        {0x04, "it cannot be reached now"},
        {0x05, "the other machine's Clan does not listen"},
        {0x06, "the way through Tor expired"},
        {0x07, "Tor does not know that command"},
        {0x08, "Tor does not know that kind of address"},
        {SOCKS_NOT_FOUND, "it is not in Tor's directory: the other machine is off or has no Tor"},
        {0xf1, "its entry in Tor's directory cannot be read"},
        {0xf2, "its introduction points do not answer"},
        {0xf3, "no meeting point with it could be made"},
        {0xf4, "it lets only its clan in, and this machine has no key for it yet"},
        {0xf5, "it lets only its clan in, and the key of this machine is not in its list yet"},
        {0xf6, "this is no onion address"},
        {0xf7, "its introduction points did not answer in time"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].reply == reply)
            return rows[i].text;
    return "Tor refused for a reason that it does not name";
}
