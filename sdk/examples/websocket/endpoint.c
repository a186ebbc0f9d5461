/* Endpoints of this transport as text, and which addresses are worth telling. */
#include "websocket.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool parse_port(const char *text, size_t len, uint16_t *ret)
{
    uint32_t port = 0;
    if (len < 1 || len > 5 || strspn(text, "0123456789") < len || text[0] == '0')
        return false;
    for (size_t i = 0; i < len; i++)
        port = port * 10 + (uint32_t)(text[i] - '0');
    *ret = (uint16_t)port;
    return port <= 65535;
}

bool ws_endpoint_parse(const char *text, struct ws_endpoint *ret)
{
    char host[INET6_ADDRSTRLEN + 1];
    uint16_t port;
    size_t whole = strcspn(text, "/");
    bool six = text[0] == '[';
    const char *begin = text + six, *end = six ? strstr(begin, "]:") : strchr(begin, ':');
    memset(ret, 0, sizeof *ret);
    if (!end || end > text + whole || (size_t)(end - begin) >= sizeof host || whole > WS_HOST_MAX)
        return false;
    const char *digits = end + (six ? 2 : 1);
    if (digits > text + whole || !parse_port(digits, (size_t)(text + whole - digits), &port) ||
        (text[whole] && !ws_path_ok(text + whole)))
        return false;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = 0;
    memcpy(ret->host, text, whole);
    snprintf(ret->path, sizeof ret->path, "%s", text + whole);
    if (six) {
        ret->addr.v6.sin6_family = AF_INET6;
        ret->addr.v6.sin6_port = htons(port);
        ret->len = sizeof ret->addr.v6;
        return inet_pton(AF_INET6, host, &ret->addr.v6.sin6_addr) == 1;
    }
    ret->addr.v4.sin_family = AF_INET;
    ret->addr.v4.sin_port = htons(port);
    ret->len = sizeof ret->addr.v4;
    return inet_pton(AF_INET, host, &ret->addr.v4.sin_addr) == 1;
}

void ws_endpoint_text(const union ws_addr *a, const char *path, char ret[CLAN_ENDPOINT_MAX + 1])
{
    char host[INET6_ADDRSTRLEN] = "?";
    bool six = a->any.sa_family == AF_INET6;
    const uint8_t *bytes = six ? a->v6.sin6_addr.s6_addr : (const uint8_t *)&a->v4.sin_addr;
    if (six && memcmp(bytes, mapped, sizeof mapped) == 0) {
        bytes += 12;
        six = false;
    }
    inet_ntop(six ? AF_INET6 : AF_INET, bytes, host, sizeof host);
    snprintf(ret, CLAN_ENDPOINT_MAX + 1, six ? "[%s]:%u%s" : "%s:%u%s", host,
        ntohs(a->any.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port), path);
}

int ws_address_rank(const uint8_t a[16])
{
    const uint8_t *v4 = a + 12;
    if (memcmp(a, mapped, sizeof mapped) != 0) {
        if ((a[0] & 0xe0) == 0x20)
            return 0;
        return (a[0] & 0xfe) == 0xfc ? 3 : -1; /* unique local; the rest is local to a link */
    }
    if (v4[0] == 0 || v4[0] == 127 || v4[0] >= 224 || (v4[0] == 169 && v4[1] == 254))
        return -1;
    bool private = v4[0] == 10 || (v4[0] == 172 && (v4[1] & 0xf0) == 16) ||
                   (v4[0] == 192 && v4[1] == 168) || (v4[0] == 100 && (v4[1] & 0xc0) == 64);
    return private ? 2 : 1;
}
