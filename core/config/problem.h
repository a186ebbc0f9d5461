/* Collecting problems: inside of config_problems. */
#ifndef CONFIG_PROBLEM_H
#define CONFIG_PROBLEM_H

#include "config/config.h"
#include "config/yaml.h"

/* Forgets all and keeps a copy of the text for printing; text may be NULL. */
void cfg_problems_begin(struct config_problems *p, const char *text, size_t size);
/* Whether a problem at this place would still be among the first CONFIG_ERRORS_MAX. */
bool cfg_problems_room(const struct config_problems *p, unsigned line, unsigned column);
void cfg_problem_place(struct config_problems *p, unsigned line, unsigned column, unsigned length,
    const char *path, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* At a value; the node and all above it become bad. */
void cfg_problem(struct config_problems *p, struct cfg_node *n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* At the key of a value (or at the value where there is no key); `in_map`: the path is that of the
 * map. */
void cfg_problem_key(struct config_problems *p, struct cfg_node *n, bool in_map, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));

/* "did you mean": the nearest of the candidates, if it is near. */
struct cfg_suggest {
    const char *want, *best;
    unsigned distance;
};
struct cfg_suggest cfg_suggest_for(const char *want);
void cfg_suggest_try(struct cfg_suggest *s, const char *candidate);
/* ` (did you mean "name"?)` or "" */
const char *cfg_suggest_text(const struct cfg_suggest *s, char *buf, size_t cap);
/* A value in quotes, cut and cleaned for printing. */
const char *cfg_quote(const char *text, char *buf, size_t cap);

#endif
