/* The opening handshake of WebSocket: what is asked, what is answered, what is believed. */
#include "handshake.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define GUID         "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define HEADERS_MAX  64
#define WORD_CHARS   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define BASE64_CHARS WORD_CHARS "+/"

void ws_accept_of(const char key[WS_KEY_SIZE], char ret_accept[WS_ACCEPT_SIZE + 1])
{
    char text[WS_KEY_SIZE + sizeof GUID];
    uint8_t hash[20];
    memcpy(text, key, WS_KEY_SIZE);
    memcpy(text + WS_KEY_SIZE, GUID, sizeof GUID);
    ws_sha1(text, WS_KEY_SIZE + sizeof GUID - 1, hash);
    ws_base64(hash, sizeof hash, ret_accept);
}

bool ws_path_ok(const char *path)
{
    size_t n = strlen(path);
    return path[0] == '/' && n <= WS_PATH_MAX && strspn(path, WORD_CHARS "/._~-") == n;
}

bool ws_host_ok(const char *host)
{
    size_t n = strlen(host);
    return n > 0 && n <= WS_HOST_MAX && strspn(host, WORD_CHARS ".:[]-") == n;
}

size_t ws_http_end(const uint8_t *data, size_t size)
{
    const uint8_t *at = memmem(data, size, "\r\n\r\n", 4);
    return at ? (size_t)(at - data) + 4 : 0;
}

size_t ws_request(char ret[WS_HTTP_MAX], const char *host, const char *path, const char *key)
{
    return (size_t)snprintf(ret, WS_HTTP_MAX,
        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: " WS_SUBPROTOCOL
        "\r\nSec-WebSocket-Version: 13\r\n\r\n",
        path, host, key);
}

size_t ws_answer(char ret[WS_HTTP_MAX], unsigned status, const char *accept)
{
    if (status == 101)
        return (size_t)snprintf(ret, WS_HTTP_MAX,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: " WS_SUBPROTOCOL "\r\n\r\n",
            accept);
    const char *word = status == 403   ? "Forbidden"
                       : status == 404 ? "Not Found"
                       : status == 426 ? "Upgrade Required"
                                       : "Bad Request";
    return (size_t)snprintf(ret, WS_HTTP_MAX,
        "HTTP/1.1 %u %s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", status, word,
        status == 426 ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" : "");
}

/* ---- lines ---- */

struct text {
    const char *at;
    size_t size;
};

struct http {
    struct text first;
    struct text names[HEADERS_MAX], values[HEADERS_MAX];
    unsigned count;
};

static struct text trimmed(const char *at, size_t size)
{
    while (size && (*at == ' ' || *at == '\t')) {
        at++;
        size--;
    }
    while (size && (at[size - 1] == ' ' || at[size - 1] == '\t'))
        size--;
    return (struct text){at, size};
}

static bool is(struct text t, const char *word)
{
    return t.size == strlen(word) && strncasecmp(t.at, word, t.size) == 0;
}

static bool split(const uint8_t *data, size_t size, struct http *ret)
{
    const char *at = (const char *)data, *end = at + size - 2; /* the empty line is left out */
    memset(ret, 0, sizeof *ret);
    for (bool first = true; at < end; first = false) {
        const char *stop = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (!stop || memchr(at, 0, (size_t)(stop - at)) || memchr(at, '\n', (size_t)(stop - at)))
            return false;
        const char *colon = memchr(at, ':', (size_t)(stop - at));
        if (first) {
            ret->first = (struct text){at, (size_t)(stop - at)};
        } else {
            if (!colon || colon == at || ret->count == HEADERS_MAX || *at == ' ' || *at == '\t')
                return false;
            ret->names[ret->count] = (struct text){at, (size_t)(colon - at)};
            ret->values[ret->count++] = trimmed(colon + 1, (size_t)(stop - colon - 1));
        }
        at = stop + 2;
    }
    return ret->first.size > 0;
}

/* One header that may stand once only; NULL: it is missing, or there are two. */
static const struct text *only(const struct http *h, const char *name)
{
    const struct text *found = NULL;
    for (unsigned i = 0; i < h->count; i++) {
        if (!is(h->names[i], name))
            continue;
        if (found)
            return NULL;
        found = &h->values[i];
    }
    return found;
}

/* Does a list with commas, in one header or several, have that word? */
static bool lists(const struct http *h, const char *name, const char *word)
{
    for (unsigned i = 0; i < h->count; i++) {
        const char *at = h->values[i].at, *end = at + h->values[i].size;
        while (is(h->names[i], name) && at <= end) {
            const char *comma = memchr(at, ',', (size_t)(end - at));
            const char *stop = comma ? comma : end;
            if (is(trimmed(at, (size_t)(stop - at)), word))
                return true;
            at = stop + 1;
        }
    }
    return false;
}

static bool has(const struct http *h, const char *name)
{
    for (unsigned i = 0; i < h->count; i++)
        if (is(h->names[i], name))
            return true;
    return false;
}

/* ---- judgement ---- */

/* 16 bytes in base64 end with "==". */
static bool key_ok(const struct text *key)
{
    char copy[WS_KEY_SIZE + 1] = "";
    if (!key || key->size != WS_KEY_SIZE)
        return false;
    memcpy(copy, key->at, WS_KEY_SIZE);
    return strspn(copy, BASE64_CHARS) == WS_KEY_SIZE - 2 &&
           strcmp(copy + WS_KEY_SIZE - 2, "==") == 0;
}

unsigned ws_judge_request(
    const uint8_t *data, size_t size, const char *path, char ret_accept[WS_ACCEPT_SIZE + 1])
{
    char want[WS_PATH_MAX + 20];
    struct http h;
    if (!split(data, size, &h) || h.first.size < 14 || memcmp(h.first.at, "GET ", 4) != 0 ||
        memcmp(h.first.at + h.first.size - 9, " HTTP/1.1", 9) != 0 || !only(&h, "Host"))
        return 400;
    size_t n = (size_t)snprintf(want, sizeof want, "GET %s HTTP/1.1", path);
    if (h.first.size != n || memcmp(h.first.at, want, n) != 0)
        return 404;
    if (has(&h, "Origin"))
        return 403; /* a web page: no machine of a clan calls from a browser */
    const struct text *version = only(&h, "Sec-WebSocket-Version");
    if (!lists(&h, "Upgrade", "websocket") || !version || !is(*version, "13"))
        return 426;
    const struct text *key = only(&h, "Sec-WebSocket-Key");
    if (!lists(&h, "Connection", "Upgrade") || !key_ok(key) ||
        !lists(&h, "Sec-WebSocket-Protocol", WS_SUBPROTOCOL))
        return 400;
    ws_accept_of(key->at, ret_accept);
    return 101;
}

const char *ws_judge_answer(const uint8_t *data, size_t size, const char *key)
{
    char want[WS_ACCEPT_SIZE + 1];
    struct http h;
    if (!split(data, size, &h) || h.first.size < 12 || memcmp(h.first.at, "HTTP/1.1 ", 9) != 0)
        return "the other side does not speak HTTP";
    if (memcmp(h.first.at + 9, "404", 3) == 0)
        return "the web server there has nothing at this path";
    if (memcmp(h.first.at + 9, "101", 3) != 0 || !lists(&h, "Upgrade", "websocket") ||
        !lists(&h, "Connection", "Upgrade"))
        return "the web server there does not switch to WebSocket";
    ws_accept_of(key, want);
    const struct text *accept = only(&h, "Sec-WebSocket-Accept");
    if (!accept || accept->size != WS_ACCEPT_SIZE || memcmp(accept->at, want, WS_ACCEPT_SIZE) != 0)
        return "the answer belongs to another question";
    if (has(&h, "Sec-WebSocket-Extensions"))
        return "the other side insists on an extension";
    const struct text *protocol = only(&h, "Sec-WebSocket-Protocol");
    return protocol && is(*protocol, WS_SUBPROTOCOL) ? NULL : "this WebSocket is not one of a clan";
}
