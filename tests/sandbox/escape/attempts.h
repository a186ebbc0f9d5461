/* What a hostile plugin tries: a table of attempts, each harmless where it succeeds. */
#ifndef ESCAPE_ATTEMPTS_H
#define ESCAPE_ATTEMPTS_H

#include <stdbool.h>
#include <stddef.h>

struct attempt {
    const char *name;
    const char *named; /* what `clan logs` says about it; NULL: see the table in README.md */
    int (*fn)(void);   /* 0: it succeeded, else the errno of the refusal */
};
extern const struct attempt attempts_files[], attempts_processes[], attempts_kernel[],
    attempts_network[]; /* each ends at a row without a name */

int first_listener(void); /* a listening socket that was handed over, -1: none */
int result(long r);       /* errno of a call that failed, else 0 */

/* bombs.c: what only ends by a limit, and messages that no host sends; 0: the name is unknown */
int bomb(const char *name);
void bomb_says(const char *text); /* into /state/said */

#endif
