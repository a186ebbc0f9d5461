/* YAML as a tree with places: libyaml's events, without what a configuration file has no use for.
 */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

#define CFG_DEPTH_MAX 64
#define CFG_NODES_MAX (1u << 18)

enum cfg_kind { CFG_SCALAR, CFG_LIST, CFG_MAP };

struct cfg_node {
    enum cfg_kind kind;
    bool flow;             /* written as {...} or [...] */
    bool bad;              /* a problem was reported here or below: nothing is derived from it */
    unsigned line, column; /* from 1, columns in characters */
    unsigned length;       /* characters to mark on that line */
    size_t start, end;     /* bytes in the text; a block collection ends with its last leaf */
    const char *text;      /* scalars: the value, "" for nothing at all */
    unsigned count, index; /* children; position among the siblings */
    struct cfg_node *parent, *first, *last, *next;
    struct cfg_node *key; /* of a value in a map: the scalar before the colon */
};

/* NULL when the text is no tree at all; every problem is in `problems`, which keeps a copy of the
 * text. The tree lives until cfg_tree_free(). */
struct cfg_tree;
struct cfg_tree *cfg_tree_parse(const char *text, size_t size, struct config_problems *problems);
void cfg_tree_free(struct cfg_tree *t);
struct cfg_node *cfg_tree_root(struct cfg_tree *t);

/* Child of a map by key; NULL when it is not there, or n is NULL or no map. */
struct cfg_node *cfg_get(const struct cfg_node *n, const char *key);
/* Nothing was written: "services:" and the end of the line */
bool cfg_is_nothing(const struct cfg_node *n);
/* "services.files.allow[1]" */
void cfg_path(const struct cfg_node *n, char *ret_path, size_t cap);

#endif
