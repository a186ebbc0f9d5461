/* The invitation link: text to struct and back, and which of its endpoints may be dialled. */
#include "statement/link.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LINK_VERSION 1
#define LINK_SUM     4
#define LINK_RAW_MAX 180 /* what LINK_TEXT_MAX characters hold */

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void checksum(const uint8_t *data, size_t size, uint8_t ret_sum[LINK_SUM])
{
    uint8_t hash[32];
    crypto_generichash(hash, sizeof hash, data, size, NULL, 0);
    memcpy(ret_sum, hash, LINK_SUM);
}

static void put_endpoint(struct buf_writer *w, const struct invite_link *l, unsigned i)
{
    bool v4 = l->endpoints[i].family == 4;
    buf_put_u8(w, l->endpoints[i].family);
    buf_put(w, l->endpoints[i].address + (v4 ? 12 : 0), v4 ? 4 : 16);
    buf_put_u16(w, l->endpoints[i].port);
    if (l->endpoints[i].family != 4 && l->endpoints[i].family != 6)
        w->failed = true;
}

clan_status link_format(const struct invite_link *l, char *ret_text)
{
    uint8_t raw[LINK_RAW_MAX], sum[LINK_SUM];
    struct buf_writer w = buf_writer_of(raw, sizeof raw);
    if (l->endpoint_count > LINK_ENDPOINTS_MAX)
        return CLAN_E_INVAL;
    buf_put_u8(&w, LINK_VERSION);
    buf_put(&w, l->clan_id, sizeof l->clan_id);
    buf_put(&w, l->seed, sizeof l->seed);
    buf_put_u32(&w, l->floor_version);
    buf_put(&w, l->floor_hash, sizeof l->floor_hash);
    buf_put_u8(&w, (uint8_t)l->endpoint_count);
    for (unsigned i = 0; i < l->endpoint_count; i++)
        put_endpoint(&w, l, i);
    buf_put_u8(&w, 0); /* onions */
    checksum(raw, w.len, sum);
    buf_put(&w, sum, sizeof sum);
    clan_status st = w.failed ? CLAN_E_INVAL : CLAN_OK;
    size_t head = sizeof LINK_PREFIX - 1;
    if (st == CLAN_OK) {
        clan_assert(head + TEXT_BASE32_LEN(w.len) <= LINK_TEXT_MAX);
        memcpy(ret_text, LINK_PREFIX, head);
        text_base32(raw, w.len, ret_text + head);
        for (char *p = ret_text + head; *p; p++)
            *p = (char)toupper((unsigned char)*p);
    }
    sodium_memzero(raw, sizeof raw);
    return st;
}

static clan_status not_a_link(struct clan_error *reterr)
{
    err_set(reterr, CLAN_E_INVAL, "this is not an invitation link");
    err_why(reterr, "an invitation link starts with %s and has at most %d characters", LINK_PREFIX,
        LINK_TEXT_MAX);
    err_remedy(reterr, "copy the whole link that `clan invite` printed");
    return CLAN_E_INVAL;
}

static clan_status damaged(struct clan_error *reterr)
{
    err_set(reterr, CLAN_E_INVAL, "the invitation link is damaged");
    err_why(reterr, "it was mistyped or part of it is missing: its checksum does not fit");
    err_remedy(reterr, "copy the whole link again");
    return CLAN_E_INVAL;
}

static clan_status newer(struct clan_error *reterr)
{
    err_set(reterr, CLAN_E_INVAL, "the invitation link was made by a newer Clan");
    err_why(reterr, "this Clan reads links of version %d only", LINK_VERSION);
    err_remedy(reterr, "update Clan on this machine, then try again");
    return CLAN_E_INVAL;
}

static void get_endpoint(struct buf_reader *r, struct invite_link *l, unsigned i)
{
    uint8_t family = buf_get_u8(r);
    l->endpoints[i].family = family;
    if (family == 4) {
        memcpy(l->endpoints[i].address, mapped, sizeof mapped);
        buf_get(r, l->endpoints[i].address + 12, 4);
    } else if (family == 6) {
        buf_get(r, l->endpoints[i].address, 16);
    } else {
        r->failed = true;
    }
    l->endpoints[i].port = buf_get_u16(r);
}

/* The checksum stands at the end in every version, so that a typing error is never called "newer".
 */
static clan_status decode(
    const uint8_t *raw, size_t size, struct invite_link *ret, struct clan_error *reterr)
{
    uint8_t sum[LINK_SUM];
    if (size < 1 + LINK_SUM)
        return damaged(reterr);
    checksum(raw, size - LINK_SUM, sum);
    if (memcmp(sum, raw + size - LINK_SUM, LINK_SUM) != 0)
        return damaged(reterr);
    struct buf_reader r = buf_reader_of(raw, size - LINK_SUM);
    if (buf_get_u8(&r) != LINK_VERSION)
        return newer(reterr);
    buf_get(&r, ret->clan_id, sizeof ret->clan_id);
    buf_get(&r, ret->seed, sizeof ret->seed);
    ret->floor_version = buf_get_u32(&r);
    buf_get(&r, ret->floor_hash, sizeof ret->floor_hash);
    ret->endpoint_count = buf_get_u8(&r);
    if (ret->endpoint_count > LINK_ENDPOINTS_MAX)
        return damaged(reterr);
    for (unsigned i = 0; i < ret->endpoint_count; i++)
        get_endpoint(&r, ret, i);
    if (buf_get_u8(&r) != 0 && !r.failed)
        return newer(reterr); /* onions */
    return buf_done(&r) ? CLAN_OK : damaged(reterr);
}

clan_status link_parse(const char *text, struct invite_link *ret, struct clan_error *reterr)
{
    uint8_t raw[LINK_RAW_MAX];
    struct invite_link l = {0};
    size_t head = sizeof LINK_PREFIX - 1;
    while (isspace((unsigned char)*text))
        text++;
    size_t len = strnlen(text, LINK_TEXT_MAX + 64);
    while (len && isspace((unsigned char)text[len - 1]))
        len--;
    if (len > LINK_TEXT_MAX || len <= head || strncasecmp(text, LINK_PREFIX, head) != 0)
        return not_a_link(reterr);
    size_t size = (len - head) * 5 / 8;
    clan_assert(size <= sizeof raw);
    clan_status st = text_base32_decode(text + head, len - head, raw, size)
                         ? decode(raw, size, &l, reterr)
                         : damaged(reterr);
    if (st == CLAN_OK)
        *ret = l;
    sodium_memzero(raw, sizeof raw);
    sodium_memzero(&l, sizeof l);
    return st;
}

void link_endpoint_text(const struct invite_link *l, unsigned index, char *ret_text)
{
    char addr[INET6_ADDRSTRLEN];
    clan_assert(index < l->endpoint_count && index < LINK_ENDPOINTS_MAX);
    bool v4 = l->endpoints[index].family == 4;
    inet_ntop(
        v4 ? AF_INET : AF_INET6, l->endpoints[index].address + (v4 ? 12 : 0), addr, sizeof addr);
    snprintf(ret_text, 64, v4 ? "%s:%u" : "[%s]:%u", addr, l->endpoints[index].port);
}

static const char *refuse_v4(const uint8_t a[4])
{
    if (a[0] == 0)
        return "it is an unspecified address";
    if (a[0] == 127)
        return "it is this machine itself (loopback)";
    if (a[0] == 169 && a[1] == 254)
        return "it is a link-local address";
    if (a[0] >= 224)
        return "it is a multicast or broadcast address";
    return NULL;
}

static const char *refuse_v6(const uint8_t a[16])
{
    static const uint8_t zero[16];
    /* a mapped address would be dialled as IPv4 */
    if (memcmp(a, mapped, sizeof mapped) == 0)
        return refuse_v4(a + 12);
    if (memcmp(a, zero, 15) == 0 && a[15] == 1)
        return "it is this machine itself (loopback)";
    if (memcmp(a, zero, 12) == 0)
        return "it is an unspecified address";
    if (a[0] == 0xfe && (a[1] & 0xc0) == 0x80)
        return "it is a link-local address";
    if (a[0] == 0xff)
        return "it is a multicast address";
    return NULL;
}

clan_status link_endpoint_allowed(
    const struct invite_link *l, unsigned index, struct clan_error *reterr)
{
    char text[64];
    if (index >= l->endpoint_count || index >= LINK_ENDPOINTS_MAX)
        return err_set(reterr, CLAN_E_INVAL, "the link has no such address");
    const uint8_t *a = l->endpoints[index].address;
    const char *why = l->endpoints[index].family == 4 ? refuse_v4(a + 12) : refuse_v6(a);
    if (l->endpoints[index].port == 0)
        why = "it has no port";
    if (!why)
        return CLAN_OK;
    link_endpoint_text(l, index, text);
    err_set(reterr, CLAN_E_INVAL, "the address %s of the link is refused", text);
    err_why(reterr, "%s", why);
    err_remedy(reterr, "ask for a new link; a link may only name addresses of other machines");
    return CLAN_E_INVAL;
}
