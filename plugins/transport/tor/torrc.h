/* What tor is told at its start. */
#ifndef TOR_TORRC_H
#define TOR_TORRC_H

#include <stdbool.h>
#include <stddef.h>

#define TORRC_MAX         8192
#define TORRC_BRIDGES_MAX 8
#define TORRC_PROXIES_MAX 4

/* Whoever writes clan.yaml chooses these texts, so they are checked word by word: no line of another meaning
 * comes into the file. */
struct torrc {
    const char *dir; /* tor's own directory, shared with the plugin's user */
    unsigned bridge_count, proxy_count;
    char bridges[TORRC_BRIDGES_MAX]
                [256]; /* "192.0.2.3:443 FINGERPRINT", "obfs4 192.0.2.3:443 FINGERPRINT cert=..." */
    char proxies[TORRC_PROXIES_MAX]
                [96]; /* "obfs4 192.168.1.5:9999": a pluggable transport that runs there */
};

/* NULL, or what is wrong with it. */
const char *torrc_bridge_add(struct torrc *t, const char *line);
const char *torrc_proxy_add(struct torrc *t, const char *name, const char *address);
/* A bridge that needs a transport which none of the proxies speaks; NULL: none. */
const char *torrc_bridge_alone(const struct torrc *t);
/* The file's size; 0: it does not fit. */
size_t torrc_write(const struct torrc *t, char ret_text[TORRC_MAX]);

#endif
