/* Tor's control protocol (control-spec.txt): bytes in, whole lines out, whatever order they come in. */
#ifndef TOR_CONTROL_H
#define TOR_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_LINE_MAX 8192
#define CONTROL_DATA_MAX (1u << 20) /* of one data block, which nobody here asks for */

/* One line of a reply or of an event; events (650) come between the lines of replies at any time, so a line
 * is told from its code alone. */
struct control_line {
    unsigned code;    /* 250, 551, 650 ... */
    bool last;        /* of its reply */
    const char *text; /* behind the code, without the line's end; printable */
};
typedef void control_line_fn(void *user, const struct control_line *line);

struct control {
    char line[CONTROL_LINE_MAX + 1];
    size_t len;
    size_t data; /* bytes of the data block that is being skipped + 1; 0: none */
    bool broken;
};

/* false: this is no control protocol, or a line is too long; the connection is of no more use. */
bool control_feed(
    struct control *c, const void *bytes, size_t size, control_line_fn *fn, void *user);

/* KEY=value or KEY="quoted \" value" of a line.  false: there is none, or it is longer. */
bool control_value(const char *text, const char *key, char *ret_value, size_t cap);

/* What "status/bootstrap-phase" and the event STATUS_CLIENT BOOTSTRAP say. */
struct control_bootstrap {
    unsigned progress; /* 0 .. 100 */
    bool warns;
    char summary[128]; /* what it does */
    char why[160];     /* warns: what goes wrong, */
    char reason[24];   /* and its name in control-spec.txt; "": none */
};
bool control_bootstrap(const char *text, struct control_bootstrap *ret);

#endif
