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

#define LINK_VERSION  2
#define LINK_SUFFIXED 0x80
#define LINK_SUM      4
#define LINK_RAW_MAX  180 /* what LINK_TEXT_MAX characters hold */

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
    const char *transport = l->endpoints[i].transport, *suffix = l->endpoints[i].suffix;
    size_t name = strcmp(transport, LINK_TRANSPORT_USUAL) == 0 ? 0 : strlen(transport);
    buf_put_u8(w, (uint8_t)name);
    buf_put(w, transport, name);
    buf_put_u8(w, (uint8_t)(l->endpoints[i].family | (suffix[0] ? LINK_SUFFIXED : 0)));
    buf_put(w, l->endpoints[i].address + (v4 ? 12 : 0), v4 ? 4 : 16);
    buf_put_u16(w, l->endpoints[i].port);
    if (suffix[0]) {
        buf_put_u8(w, (uint8_t)strlen(suffix));
        buf_put(w, suffix, strlen(suffix));
    }
}

static bool suffix_ok(const char *s)
{
    bool ok = s[0] == '/';
    for (; *s; s++)
        ok = ok && *s > ' ' && *s < 0x7f;
    return ok;
}

static bool endpoint_ok(const struct invite_link *l, unsigned i)
{
    const char *suffix = l->endpoints[i].suffix;
    return (l->endpoints[i].family == 4 || l->endpoints[i].family == 6) &&
           text_name_ok(l->endpoints[i].transport) && (!suffix[0] || suffix_ok(suffix));
}

clan_status link_format(const struct invite_link *l, char *ret_text)
{
    uint8_t raw[LINK_RAW_MAX], sum[LINK_SUM];
    struct buf_writer w = buf_writer_of(raw, sizeof raw);
    if (l->endpoint_count > LINK_ENDPOINTS_MAX)
        return CLAN_E_INVAL;
    for (unsigned i = 0; i < l->endpoint_count; i++)
        if (!endpoint_ok(l, i))
            return CLAN_E_INVAL;
    buf_put_u8(&w, LINK_VERSION);
    buf_put(&w, l->clan_id, sizeof l->clan_id);
    buf_put(&w, l->seed, sizeof l->seed);
    buf_put_u32(&w, l->floor_version);
    buf_put(&w, l->floor_hash, sizeof l->floor_hash);
    buf_put_u8(&w, (uint8_t)l->endpoint_count);
    for (unsigned i = 0; i < l->endpoint_count; i++)
        put_endpoint(&w, l, i);
    buf_put_u8(&w, l->has_onion);
    if (l->has_onion) {
        buf_put(&w, l->onion, sizeof l->onion);
        buf_put_u16(&w, l->onion_port);
    }
    checksum(raw, w.len, sum);
    buf_put(&w, sum, sizeof sum);
    clan_status st = w.failed ? CLAN_E_LIMIT : CLAN_OK;
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

static clan_status older(struct clan_error *reterr)
{
    err_set(reterr, CLAN_E_INVAL, "the invitation link was made by an older Clan");
    err_why(reterr, "this Clan reads links of version %d only", LINK_VERSION);
    err_remedy(reterr, "update Clan on the machine that made it and ask for a new link");
    return CLAN_E_INVAL;
}

/* A zero among the bytes would make two texts of one. */
static void get_text(struct buf_reader *r, char *ret, size_t size, size_t most)
{
    if (size > most) {
        r->failed = true;
        return;
    }
    buf_get(r, ret, size);
    r->failed = r->failed || strlen(ret) != size;
}

static void get_endpoint(struct buf_reader *r, struct invite_link *l, unsigned i)
{
    size_t name = buf_get_u8(r);
    if (name)
        get_text(r, l->endpoints[i].transport, name, 32);
    else
        strcpy(l->endpoints[i].transport, LINK_TRANSPORT_USUAL);
    uint8_t kind = buf_get_u8(r), family = kind & (uint8_t)~LINK_SUFFIXED;
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
    if (kind & LINK_SUFFIXED) {
        get_text(r, l->endpoints[i].suffix, buf_get_u8(r), LINK_SUFFIX_MAX);
        r->failed = r->failed || !l->endpoints[i].suffix[0];
    }
    r->failed = r->failed || !endpoint_ok(l, i);
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
    uint8_t version = buf_get_u8(&r);
    if (version != LINK_VERSION)
        return version > LINK_VERSION ? newer(reterr) : older(reterr);
    buf_get(&r, ret->clan_id, sizeof ret->clan_id);
    buf_get(&r, ret->seed, sizeof ret->seed);
    ret->floor_version = buf_get_u32(&r);
    buf_get(&r, ret->floor_hash, sizeof ret->floor_hash);
    ret->endpoint_count = buf_get_u8(&r);
    if (ret->endpoint_count > LINK_ENDPOINTS_MAX)
        return damaged(reterr);
    for (unsigned i = 0; i < ret->endpoint_count; i++)
        get_endpoint(&r, ret, i);
    uint8_t onions = buf_get_u8(&r);
    if (onions > 1 && !r.failed)
        return newer(reterr);
    ret->has_onion = onions == 1;
    if (ret->has_onion) {
        buf_get(&r, ret->onion, sizeof ret->onion);
        ret->onion_port = buf_get_u16(&r);
    }
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

unsigned link_endpoint_count(const struct invite_link *l)
{
    return l->endpoint_count + l->has_onion;
}

const char *link_endpoint_transport(const struct invite_link *l, unsigned index)
{
    clan_assert(index < link_endpoint_count(l));
    return index < l->endpoint_count ? l->endpoints[index].transport : LINK_TRANSPORT_ONION;
}

const uint8_t *link_endpoint_address(const struct invite_link *l, unsigned index)
{
    clan_assert(index < link_endpoint_count(l));
    return index < l->endpoint_count ? l->endpoints[index].address : NULL;
}

void link_endpoint_text(const struct invite_link *l, unsigned index, char *ret_text)
{
    char addr[INET6_ADDRSTRLEN], onion[TEXT_BASE32_LEN(LINK_ONION_SIZE) + 1];
    clan_assert(index < link_endpoint_count(l) && l->endpoint_count <= LINK_ENDPOINTS_MAX);
    if (index == l->endpoint_count) {
        text_base32(l->onion, sizeof l->onion, onion);
        snprintf(ret_text, LINK_ENDPOINT_TEXT, "%s.onion:%u", onion, l->onion_port);
        return;
    }
    bool v4 = l->endpoints[index].family == 4;
    inet_ntop(
        v4 ? AF_INET : AF_INET6, l->endpoints[index].address + (v4 ? 12 : 0), addr, sizeof addr);
    snprintf(ret_text, LINK_ENDPOINT_TEXT, v4 ? "%s:%u%s" : "[%s]:%u%s", addr,
        l->endpoints[index].port, l->endpoints[index].suffix);
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
    static const uint8_t zero[16], translated[4] = {0, 0x64, 0xff, 0x9b};
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
    /* RFC 6052, RFC 8215: which IPv4 address that reaches, a translator says */
    if (memcmp(a, translated, sizeof translated) == 0)
        return "it stands for an IPv4 address that a translator reaches (NAT64)";
    return NULL;
}

clan_status link_endpoint_allowed(
    const struct invite_link *l, unsigned index, struct clan_error *reterr)
{
    char text[LINK_ENDPOINT_TEXT];
    const char *why = NULL;
    if (l->endpoint_count > LINK_ENDPOINTS_MAX || index >= link_endpoint_count(l))
        return err_set(reterr, CLAN_E_INVAL, "the link has no such address");
    const uint8_t *a = link_endpoint_address(l, index);
    if (a)
        why = l->endpoints[index].family == 4 ? refuse_v4(a + 12) : refuse_v6(a);
    if ((a ? l->endpoints[index].port : l->onion_port) == 0)
        why = "it has no port";
    if (!why)
        return CLAN_OK;
    link_endpoint_text(l, index, text);
    err_set(reterr, CLAN_E_INVAL, "the address %s of the link is refused", text);
    err_why(reterr, "%s", why);
    err_remedy(reterr, "ask for a new link; a link may only name addresses of other machines");
    return CLAN_E_INVAL;
}
