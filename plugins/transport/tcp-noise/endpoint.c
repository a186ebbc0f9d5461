/* Endpoints of TCP as text, and which addresses are worth telling. */
#include "endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool tcp_is_mapped(const uint8_t address[16])
{
    return memcmp(address, mapped_prefix, sizeof mapped_prefix) == 0;
}

static bool parse_port(const char *text, uint16_t *ret_port)
{
    uint32_t port = 0;
    size_t len = strlen(text);
    if (len < 1 || len > 5 || strspn(text, "0123456789") != len || text[0] == '0')
        return false;
    for (; *text; text++)
        port = port * 10 + (uint32_t)(*text - '0');
    *ret_port = (uint16_t)port;
    return port <= 65535;
}

bool tcp_endpoint_parse(const char *text, union tcp_addr *ret_addr, socklen_t *ret_len)
{
    char host[INET6_ADDRSTRLEN + 1];
    uint16_t port;
    bool six = text[0] == '[';
    const char *begin = six ? text + 1 : text;
    const char *end = six ? strstr(begin, "]:") : strchr(begin, ':');
    if (!end || (size_t)(end - begin) >= sizeof host || !parse_port(end + (six ? 2 : 1), &port))
        return false;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = 0;
    memset(ret_addr, 0, sizeof *ret_addr);
    if (six) {
        ret_addr->v6.sin6_family = AF_INET6;
        ret_addr->v6.sin6_port = htons(port);
        *ret_len = sizeof ret_addr->v6;
        return inet_pton(AF_INET6, host, &ret_addr->v6.sin6_addr) == 1;
    }
    ret_addr->v4.sin_family = AF_INET;
    ret_addr->v4.sin_port = htons(port);
    *ret_len = sizeof ret_addr->v4;
    return inet_pton(AF_INET, host, &ret_addr->v4.sin_addr) == 1;
}

void tcp_endpoint_text(const union tcp_addr *a, char ret_text[CLAN_ENDPOINT_MAX + 1])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (a->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof host);
        snprintf(ret_text, CLAN_ENDPOINT_MAX + 1, "%s:%u", host, ntohs(a->v4.sin_port));
        return;
    }
    const uint8_t *bytes = a->v6.sin6_addr.s6_addr;
    bool four = tcp_is_mapped(bytes);
    inet_ntop(four ? AF_INET : AF_INET6, four ? bytes + 12 : bytes, host, sizeof host);
    snprintf(
        ret_text, CLAN_ENDPOINT_MAX + 1, four ? "%s:%u" : "[%s]:%u", host, ntohs(a->v6.sin6_port));
}

static int rank4(const uint8_t a[4])
{
    if (a[0] == 0 || a[0] == 127 || a[0] >= 224 || (a[0] == 169 && a[1] == 254))
        return -1;
    bool private = a[0] == 10 || (a[0] == 172 && (a[1] & 0xf0) == 16) ||
                   (a[0] == 192 && a[1] == 168) || (a[0] == 100 && (a[1] & 0xc0) == 64);
    return private ? 2 : 1;
}

int tcp_address_rank(const uint8_t address[16])
{
    if (tcp_is_mapped(address))
        return rank4(address + 12);
    if ((address[0] & 0xe0) == 0x20)
        return 0;
    return (address[0] & 0xfe) == 0xfc ? 3 : -1; /* unique local; the rest is local to a link */
}
