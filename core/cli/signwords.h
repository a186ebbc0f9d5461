/* Which commands `clan sign` runs when a page asks for them. */
#ifndef CLI_SIGNWORDS_H
#define CLI_SIGNWORDS_H

#include <stdbool.h>

#define SIGNWORDS_MAX 24

struct signwords {
    const char *first, *second; /* second NULL: a command of one word */
    unsigned args;              /* exactly so many */
    bool text;                  /* a clan.yaml comes with it */
    bool dry_run;               /* it can show first what would change */
    const char *means;          /* what a yes does, of those that cannot */
    const char *options[4];     /* each takes a value */
};

/* The row that these words follow, from the first to the last; NULL: they are not run.  Never a key, a file, an answer
 * given beforehand: those are the person's at the terminal. */
const struct signwords *signwords_find(const char *const *words, unsigned count, bool has_text);

#endif
