/* UDP endpoints as text, and which of this computer's addresses are worth telling. */
#include "endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static bool parse_port(const char *text, in_port_t *ret_port)
{
    uint32_t port = 0;
    size_t len = strlen(text);
    if (len < 1 || len > 5 || strspn(text, "0123456789") != len || text[0] == '0')
        return false;
    for (; *text; text++)
        port = port * 10 + (uint32_t)(*text - '0');
    *ret_port = htons((uint16_t)port);
    return port <= 65535;
}

bool wg_endpoint_parse(const char *text, struct wg_endpoint *ret_endpoint)
{
    char host[INET6_ADDRSTRLEN + 1];
    in_port_t port;
    bool six = text[0] == '[';
    const char *begin = six ? text + 1 : text;
    const char *end = six ? strstr(begin, "]:") : strchr(begin, ':');
    memset(ret_endpoint, 0, sizeof *ret_endpoint);
    if (!end || (size_t)(end - begin) >= sizeof host || !parse_port(end + (six ? 2 : 1), &port))
        return false;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = 0;
    struct wg_endpoint e;
    memset(&e, 0, sizeof e);
    if (six) {
        e.in6.sin6_family = AF_INET6;
        e.in6.sin6_port = port;
        if (inet_pton(AF_INET6, host, &e.in6.sin6_addr) != 1)
            return false;
    } else {
        e.in.sin_family = AF_INET;
        e.in.sin_port = port;
        if (inet_pton(AF_INET, host, &e.in.sin_addr) != 1)
            return false;
    }
    *ret_endpoint = e;
    return true;
}

void wg_endpoint_text(const struct wg_endpoint *e, char ret_text[WG_ENDPOINT_TEXT])
{
    char host[INET6_ADDRSTRLEN] = "?";
    ret_text[0] = 0;
    if (e->sa.sa_family == AF_INET) {
        inet_ntop(AF_INET, &e->in.sin_addr, host, sizeof host);
        snprintf(ret_text, WG_ENDPOINT_TEXT, "%s:%u", host, ntohs(e->in.sin_port));
    } else if (e->sa.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &e->in6.sin6_addr, host, sizeof host);
        snprintf(ret_text, WG_ENDPOINT_TEXT, "[%s]:%u", host, ntohs(e->in6.sin6_port));
    }
}

bool wg_is_mapped(const uint8_t address[16])
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(address, prefix, sizeof prefix) == 0;
}

static int rank4(const uint8_t a[4])
{
    if (a[0] == 0 || a[0] == 127 || a[0] >= 224 || (a[0] == 169 && a[1] == 254))
        return -1;
    bool private = a[0] == 10 || (a[0] == 172 && (a[1] & 0xf0) == 16) ||
                   (a[0] == 192 && a[1] == 168) || (a[0] == 100 && (a[1] & 0xc0) == 64);
    return private ? 2 : 1;
}

int wg_address_rank(const uint8_t address[16])
{
    if (wg_is_mapped(address))
        return rank4(address + 12);
    if ((address[0] & 0xe0) == 0x20)
        return 0;
    return (address[0] & 0xfe) == 0xfc ? 3 : -1; /* unique local; the rest is local to a link */
}
