/* Strict readers of single values. */
#include "config/value.h"

#include "base/text.h"
#include "minisign/minisign.h"
#include "wire/grants.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <string.h>

bool cfg_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    size_t len = strlen(text);
    if (len == 0 || len > 20 || strspn(text, "0123456789") != len || (text[0] == '0' && len > 1))
        return false;
    for (size_t i = 0; i < len; i++)
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v))
            return false;
    if (v < min || v > max)
        return false;
    *ret = v;
    return true;
}

/* A number before one letter of `units`. */
static bool number_unit(
    const char *text, const char *units, uint64_t max, uint64_t *ret, char *ret_unit)
{
    char digits[21];
    size_t len = strlen(text);
    if (len < 2 || len > sizeof digits || !strchr(units, text[len - 1]))
        return false;
    memcpy(digits, text, len - 1);
    digits[len - 1] = 0;
    *ret_unit = text[len - 1];
    return cfg_number(digits, 1, max, ret);
}

bool cfg_size(const char *text, uint64_t *ret_bytes)
{
    uint64_t v;
    char unit;
    if (!number_unit(text, "KMGT", UINT64_C(1) << 41, &v, &unit))
        return false;
    unsigned shift = unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 40;
    if (v > (UINT64_C(1) << 51) >> shift)
        return false;
    *ret_bytes = v << shift;
    return true;
}

bool cfg_percent(const char *text, unsigned *ret)
{
    uint64_t v;
    char unit;
    if (!number_unit(text, "%", 100, &v, &unit))
        return false;
    *ret = (unsigned)v;
    return true;
}

bool cfg_duration(const char *text, uint64_t *ret_seconds)
{
    const uint64_t most = UINT64_C(3650) * 86400;
    uint64_t v;
    char unit;
    if (!number_unit(text, "smhd", most, &v, &unit))
        return false;
    uint64_t factor = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : 86400;
    if (v > most / factor)
        return false;
    *ret_seconds = v * factor;
    return true;
}

bool cfg_id(const char *text, uint8_t ret_id[32])
{
    size_t len = strlen(text);
    return strspn(text, "abcdefghijklmnopqrstuvwxyz234567") == len &&
           text_base32_decode(text, len, ret_id, 32);
}

bool cfg_admin_key(const char *text, uint8_t ret_key[32])
{
    size_t prefix = strlen(CFG_KEY_PREFIX);
    return strncmp(text, CFG_KEY_PREFIX, prefix) == 0 && cfg_id(text + prefix, ret_key) &&
           crypto_core_ed25519_is_valid_point(ret_key);
}

bool cfg_listen(const char *text, struct grant_listen *ret)
{
    char host[64];
    uint64_t port;
    const char *colon = strrchr(text, ':');
    if (!colon || !cfg_number(colon + 1, 1, 65535, &port))
        return false;
    size_t len = (size_t)(colon - text);
    if (len == 0 || len >= sizeof host)
        return false;
    memcpy(host, text, len);
    host[len] = 0;
    memset(ret, 0, sizeof *ret);
    ret->port = (uint16_t)port;
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = 0;
        ret->family = 6;
        /* a mapped IPv4 address in brackets would be a second spelling */
        return inet_pton(AF_INET6, host + 1, ret->addr) == 1 &&
               !IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)ret->addr);
    }
    ret->family = 4;
    ret->addr[10] = ret->addr[11] = 0xff;
    return inet_pton(AF_INET, host, ret->addr + 12) == 1;
}

bool cfg_name(const char *text, uint64_t max)
{
    return text_name_ok(text) && strlen(text) <= max;
}

bool cfg_allow(const char *text)
{
    return text_name_ok(strncmp(text, "tag:", 4) == 0 ? text + 4 : text);
}

bool cfg_permission(const char *text)
{
    char why[160];
    return perm_check(text, PERM_IN_ALLOW, why, sizeof why);
}

bool cfg_minisign(const char *text)
{
    struct minisign_key key;
    return minisign_key_parse(text, &key);
}

bool cfg_setting_key(const char *text)
{
    size_t len = strlen(text);
    return len >= 1 && len < 64 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len &&
           strchr("._-", text[0]) == NULL;
}

bool cfg_user(const char *text)
{
    uint64_t uid;
    size_t len = strlen(text);
    if (cfg_number(text, 0, 0xfffffffe, &uid))
        return true;
    return len >= 1 && len <= 32 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               len &&
           strchr("0123456789.-", text[0]) == NULL;
}
