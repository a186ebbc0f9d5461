/* The opening handshake (RFC 6455, section 4): texts in, texts out, without any I/O. */
#ifndef WS_HANDSHAKE_H
#define WS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_HTTP_MAX    4096 /* of a request or an answer, with its empty line */
#define WS_PATH_MAX    64
#define WS_HOST_MAX    100
#define WS_KEY_SIZE    24 /* base64 of 16 bytes */
#define WS_ACCEPT_SIZE 28 /* base64 of a SHA-1 */
#define WS_SUBPROTOCOL "clan-stream"

void ws_sha1(const void *data, size_t size, uint8_t ret[20]);
void ws_base64(const uint8_t *data, size_t size, char *ret_text); /* 4 * ((size + 2) / 3) + 1 */
void ws_accept_of(const char key[WS_KEY_SIZE], char ret_accept[WS_ACCEPT_SIZE + 1]);

bool ws_path_ok(const char *path); /* "/clan": what may stand in a request unchanged */
bool ws_host_ok(const char *host); /* "calls.example.org:8080" */

/* Where the empty line ends; 0: it has not come. */
size_t ws_http_end(const uint8_t *data, size_t size);

/* Both return the size written, < WS_HTTP_MAX. */
size_t ws_request(char ret[WS_HTTP_MAX], const char *host, const char *path, const char *key);
size_t ws_answer(char ret[WS_HTTP_MAX], unsigned status, const char *accept); /* accept: of 101 */

/* Judges what came, `size` bytes up to and with the empty line.  Returns the status to answer with;
 * 101: welcome, with its accept text. */
unsigned ws_judge_request(
    const uint8_t *data, size_t size, const char *path, char ret_accept[WS_ACCEPT_SIZE + 1]);
/* NULL: the server agreed; else why not, one line. */
const char *ws_judge_answer(const uint8_t *data, size_t size, const char *key);

#endif
