/* Tor's configuration file out of checked parts. */
#include "torrc.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LETTERS  "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS   "0123456789"
/* of base64, host names, URLs and lists: nothing that begins a comment, a quotation or a line */
#define VALUE LETTERS CAPITALS DIGITS "+/=_.,:;@~%?&[]-"

static bool made_of(const char *word, size_t len, const char *set)
{
    return len && strspn(word, set) >= len;
}

static bool port_ok(const char *text, size_t len)
{
    unsigned port = 0;
    if (len < 1 || len > 5 || text[0] == '0' || !made_of(text, len, DIGITS))
        return false;
    for (size_t i = 0; i < len; i++)
        port = port * 10 + (unsigned)(text[i] - '0');
    return port <= 65535;
}

/* "192.0.2.3:443", "[2001:db8::3]:443" */
static bool address_ok(const char *word, size_t len)
{
    char host[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    bool six = len && word[0] == '[';
    const char *end = NULL;
    for (size_t i = 0; i < len; i++)
        if (word[i] == (six ? ']' : ':')) {
            end = word + i;
            break;
        }
    size_t at = end ? (size_t)(end - word) + six + 1 : len;
    size_t hosts = end ? (size_t)(end - word) - six : 0;
    if (at >= len || word[at - 1] != ':' || !hosts || hosts >= sizeof host)
        return false;
    memcpy(host, word + six, hosts);
    host[hosts] = 0;
    return inet_pton(six ? AF_INET6 : AF_INET, host, bytes) == 1 && port_ok(word + at, len - at);
}

static bool name_ok(const char *word, size_t len)
{
    return len < 32 && made_of(word, len, LETTERS DIGITS "_") && strspn(word, LETTERS) > 0;
}

static size_t next_word(const char **at)
{
    *at += strspn(*at, " ");
    return strcspn(*at, " ");
}

static bool fingerprint_ok(const char *word, size_t len)
{
    return len == 40 && made_of(word, len, DIGITS "ABCDEFabcdef");
}

static bool argument_ok(const char *word, size_t len)
{
    const char *is = memchr(word, '=', len);
    return is && made_of(word, (size_t)(is - word), LETTERS CAPITALS DIGITS "-_") &&
           made_of(word, len, VALUE);
}

const char *torrc_bridge_add(struct torrc *t, const char *line)
{
    if (t->bridge_count == TORRC_BRIDGES_MAX)
        return "there are 8 bridges already";
    if (strlen(line) >= sizeof t->bridges[0])
        return "the line is longer than 255 characters";
    const char *at = line;
    size_t n = next_word(&at);
    bool transport = name_ok(at, n);
    if (transport) {
        at += n;
        n = next_word(&at);
    }
    if (!address_ok(at, n))
        return "it has no address of the form 192.0.2.3:443";
    at += n;
    n = next_word(&at);
    if (n && !fingerprint_ok(at, n))
        return "behind the address a fingerprint of 40 digits is expected";
    for (at += n; (n = next_word(&at)); at += n)
        if (!transport || !argument_ok(at, n))
            return "behind the fingerprint only key=value is expected, for a pluggable transport";
    snprintf(t->bridges[t->bridge_count++], sizeof t->bridges[0], "%s", line);
    return NULL;
}

const char *torrc_proxy_add(struct torrc *t, const char *name, const char *address)
{
    if (t->proxy_count == TORRC_PROXIES_MAX)
        return "there are 4 pluggable transports already";
    if (!name_ok(name, strlen(name)))
        return "this is not the name of a pluggable transport";
    if (strlen(address) > 60 || !address_ok(address, strlen(address)))
        return "it has no address of the form 192.168.1.5:9999";
    snprintf(t->proxies[t->proxy_count++], sizeof t->proxies[0], "%s %s", name, address);
    return NULL;
}

const char *torrc_bridge_alone(const struct torrc *t)
{
    for (unsigned i = 0; i < t->bridge_count; i++) {
        const char *at = t->bridges[i];
        size_t n = next_word(&at);
        bool found = !name_ok(at, n);
        for (unsigned k = 0; k < t->proxy_count && !found; k++)
            found = strncmp(t->proxies[k], at, n) == 0 && t->proxies[k][n] == ' ';
        if (!found)
            return t->bridges[i];
    }
    return NULL;
}

struct out {
    char *text;
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct out *o, const char *format, ...)
{
    va_list ap;
    if (o->len >= TORRC_MAX)
        return;
    va_start(ap, format);
    int n = vsnprintf(o->text + o->len, TORRC_MAX - o->len, format, ap);
    va_end(ap);
    o->len = n < 0 ? TORRC_MAX : o->len + (size_t)n;
}

size_t torrc_write(const struct torrc *t, char ret_text[TORRC_MAX])
{
    struct out o = {ret_text, 0};
    /* WorldWritable: the directory lets in two users only, tor's and the plugin's; else tor wants one of its own */
    add(&o,
        "DataDirectory %s/data\n"
        "SocksPort unix:%s/socks WorldWritable ExtendedErrors\n"
        "ControlPort unix:%s/control WorldWritable\n"
        "CookieAuthentication 1\n"
        "CookieAuthFile %s/cookie\n"
        "CookieAuthFileGroupReadable 1\n",
        t->dir, t->dir, t->dir, t->dir);
    /* tor's own sandbox and its promise never to run a program; ClientTransportPlugin excludes both, and a
     * proxy that runs already is all that is offered of it */
    add(&o,
        "ClientOnly 1\n"
        "Sandbox %d\n"
        "NoExec %d\n"
        "AvoidDiskWrites 1\n"
        "SafeLogging 1\n"
        "SocksTimeout 45\n"
        "Log notice stderr\n",
        t->proxy_count == 0, t->proxy_count == 0);
    for (unsigned i = 0; i < t->proxy_count; i++) {
        const char *space = strchr(t->proxies[i], ' ');
        add(&o, "ClientTransportPlugin %.*s socks5%s\n", (int)(space - t->proxies[i]),
            t->proxies[i], space);
    }
    if (t->bridge_count)
        add(&o, "UseBridges 1\n");
    for (unsigned i = 0; i < t->bridge_count; i++)
        add(&o, "Bridge %s\n", t->bridges[i]);
    return o.len < TORRC_MAX ? o.len : 0;
}
