/* Pieces of text put into or taken out of a file, at places of its tree. */
#ifndef CONFIG_SPLICE_H
#define CONFIG_SPLICE_H

#include "config/yaml.h"

#define CFG_SPLICES_MAX 2048

struct cfg_splice {
    size_t at, cut; /* bytes in the old text */
    char *text;     /* owned; NULL: nothing is put in */
};
struct cfg_splices {
    const char *text;
    size_t size;
    const char *newline; /* of the file: "\n" or "\r\n" */
    unsigned count;
    bool failed; /* no memory, too many, or a form that is not edited */
    struct cfg_splice list[CFG_SPLICES_MAX];
};

void cfg_splices_begin(struct cfg_splices *s, const char *text, size_t size);
void cfg_splices_end(struct cfg_splices *s);
void cfg_splice(struct cfg_splices *s, size_t at, size_t cut, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Adds `key: value` as last entry of a map.  `block`: lines that end with \n, indented from 0, or
 * NULL: always flow; `flow`: the same in one line.  `map` may be nothing at all or {}. */
void cfg_splice_entry(struct cfg_splices *s, const struct cfg_node *map, const char *key,
    const char *block, const char *flow);
/* Takes an entry out of its map or list; the last one leaves {} or []. */
void cfg_splice_out(struct cfg_splices *s, const struct cfg_node *entry);
/* NULL when something failed or splices overlap. */
char *cfg_splices_apply(struct cfg_splices *s, size_t *ret_size);

#endif
