/* Running `clan` inside a test against the core that the test plays, and the clan it plays. */
#ifndef TESTS_CLI_RUN_H
#define TESTS_CLI_RUN_H

#include "cli/cli.h"
#include "fake.h"

#include <string.h>
#include <sys/types.h>

extern struct fake fake;
extern char home[64];
struct said {
    char *out, *err;
};
extern struct said said; /* by the last run */

int run_set_up(void **state);
int run_tear_down(void **state);
/* Runs `clan` with words separated by blanks; '_' in a word stands for a blank. */
int run(const char *words);
int run_with(const char *input, const char *words);

json_t *json_of(const char *text);
const char *json_text(json_t *o, const char *a, const char *b); /* b may be NULL */
unsigned widest(const char *text);

/* A machine in a clan of three; then the same with an admin key in the user's folder. */
void example_status(void);
void example_clan(void);
extern uint8_t admin_public[32];
void key_path(char ret[256]);
void write_key(const char *path, uint8_t fill, mode_t mode); /* as `clan up` writes it */
/* A statement that the core was given, in this order; it is signed by the admin. */
void submitted(unsigned index, struct stmt *ret);

#define assert_has(text, part)                                                                     \
    do                                                                                             \
        if (!strstr(text, part))                                                                   \
            fail_msg("no \"%s\" in: %s", part, text);                                              \
    while (0)

#endif
