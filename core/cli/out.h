/* What a command prints: folded text, tables, progress, questions; JSON instead when it was asked
 * for. */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include "cli/cli.h"
#include "json/json.h"

#define OUT_CELLS_MAX 8

enum out_colour { OUT_PLAIN, OUT_GOOD, OUT_WAIT, OUT_BAD, OUT_DIM, OUT_BOLD };

/* A line of the answer; nothing with --json. */
void out_line(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Folded at the width, later lines indented by `indent` columns. */
void out_para(struct cli *c, unsigned indent, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Beside the answer, on standard error; nothing with --quiet or --json. */
void out_note(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Like out_note, also with --quiet and --json. */
void out_warn(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Writes text folded to f, the first line behind `first`, the others behind `rest` blanks. */
void out_fold(FILE *f, unsigned width, const char *first, unsigned rest, const char *text);

const char *out_on(const struct cli *c, enum out_colour colour);
const char *out_off(const struct cli *c);
/* A state word's shape and colour: never colour alone. */
const char *out_shape(const struct cli *c, const char *state, enum out_colour *ret_colour);

/* {"v":1, ...o}, one line; o is taken over. */
void out_json(struct cli *c, json_t *o);
void out_error(struct cli *c, const struct clan_error *e);

/* A table that folds: cells that do not fit go to an indented line below their row. */
struct out_table {
    unsigned columns, rows;
    char **cells; /* rows * columns, owned */
    enum out_colour *colours;
};
void out_table_init(struct out_table *t, unsigned columns);
void out_table_row(struct out_table *t, enum out_colour first, const char *const *cells);
void out_table_print(struct cli *c, struct out_table *t); /* frees its rows */

/* Progress of long work: one redrawn line on a terminal, plain lines elsewhere, objects with
 * --json. */
void out_progress(struct cli *c, const clan_api_Progress *p);
void out_progress_end(struct cli *c);

/* Questions go to standard error.  False at the end of input. */
bool ask_line(struct cli *c, const char *prompt, char *ret, size_t cap);
bool ask_possible(const struct cli *c);
/* Standard input carried something else: questions are read from the terminal itself, if there is
 * one. */
void ask_on_terminal(struct cli *c);
/* OK for yes (or --yes), CANCELLED for no, INVAL where nobody can be asked. */
clan_status ask_go_on(struct cli *c, const char *question);
/* The same by typing a word. */
clan_status ask_type(struct cli *c, const char *what, const char *word);

/* Forms of values; each returns ret. */
const char *out_address(const uint8_t address[16], char ret[64]);
const char *out_bytes(uint64_t bytes, char ret[32]);
/* Words of more than 48 columns, as the addresses of onions, by their two ends. */
const char *out_short(const char *text, char *ret, size_t cap);
const char *out_rtt(uint32_t us, char ret[32]);
const char *out_time(int64_t wall, char ret[48]); /* local time */

#endif
