/* Texts of clan.yaml: what is wrong in one, and what a command or a text would change.  No I/O. */
#ifndef DASHBOARD_YAML_H
#define DASHBOARD_YAML_H

#include "config/known.h"

#include <clan/status.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define YAML_TEXT_MAX     (1u << 20)
#define YAML_MACHINES_MAX 1024

/* The configuration in force, and the machines of the clan. */
struct yaml_head {
    uint64_t version;
    char *text; /* owned, with an end */
    size_t size;
    struct config_known *machines; /* owned */
    size_t machine_count;
};

/* {"v", "ok", "problems": [{line, column, length, path, text, near}], "diff": [{op, text}]}; NULL: out of memory. */
json_t *yaml_check(const struct yaml_head *h, const char *text, size_t size);
/* What a command would do to it, as lines of a diff; words: texts, of which the first is the command's name.  NULL: it
 * would be refused, with *reterr. */
json_t *yaml_preview(const struct yaml_head *h, const json_t *words, struct clan_error *reterr);

#endif
