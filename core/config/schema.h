/* The one table of keys: checking, JSON Schema and the commented examples all come from it. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/yaml.h"

enum cfg_type {
    CFG_T_MAP,        /* keys are rows of their own */
    CFG_T_DICT,       /* free keys; the row PATH.* describes the values */
    CFG_T_LIST,       /* the row PATH[] describes the items */
    CFG_T_NAME,       /* [a-z0-9-]{1,max} */
    CFG_T_NUMBER,     /* min..max */
    CFG_T_CHOICE,     /* one of `choices` */
    CFG_T_KEY,        /* "ed25519:..." */
    CFG_T_TEXT,       /* min..max bytes */
    CFG_T_ALLOW,      /* all, provisional, tag:NAME, NAME */
    CFG_T_SIZE,       /* 512M */
    CFG_T_PERCENT,    /* 50% */
    CFG_T_SHARE,      /* 25% or 512M */
    CFG_T_DURATION,   /* 5m */
    CFG_T_LISTEN,     /* [::]:7117 */
    CFG_T_PERMISSION, /* fs.state, exec:lighttpd */
    CFG_T_USER,       /* a user's name or number */
    CFG_T_MINISIGN,   /* a public key of minisign */
};

enum cfg_keys { CFG_KEYS_NAME, CFG_KEYS_ID, CFG_KEYS_SETTING };

struct cfg_row {
    const char *path; /* "services.*.allow[]" */
    enum cfg_type type;
    enum cfg_keys keys;   /* of a CFG_T_DICT */
    uint64_t min, max;    /* value, length, or entries of a list or dict */
    const char *choices;  /* "none|services|manage" */
    const char *fallback; /* without it, NULL: the key must be there */
    const char *doc;      /* a sentence */
    const char *since;
    const char *later;   /* a value that this release cannot do, "*": any */
    const char *instead; /* and what to write */
    const char *example; /* rows of the first level: the text after "key:" */
    bool commented;      /* in the example behind a "# " */
};

struct cfg_schema {
    const char *file, *title, *intro; /* intro: comment lines of the example */
    const char *json;                 /* name of the JSON Schema file */
    const struct cfg_row *rows;
    unsigned count;
};
extern const struct cfg_schema cfg_schema_clan, cfg_schema_machine;

/* Row of a child: key of a map, "*" of a dict, "[]" of a list; parent NULL: first level. */
const struct cfg_row *cfg_row_child(
    const struct cfg_schema *s, const struct cfg_row *parent, const char *key);
bool cfg_row_is_child(const struct cfg_row *parent, const struct cfg_row *row);
const char *cfg_row_name(const struct cfg_row *row); /* last part of the path */
/* "a number from 1 to 65535", "none, services or manage" */
void cfg_row_expects(const struct cfg_row *row, char *ret_text, size_t cap);
bool cfg_row_accepts(const struct cfg_row *row, const char *text);

/* Checks a tree against the table; every problem goes to `problems`. */
void cfg_walk(const struct cfg_schema *s, struct cfg_node *root, struct config_problems *problems);

#endif
