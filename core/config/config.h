/* clan.yaml and machine.yaml: parsing, checking, editing, comparing, compiling. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "config/clan_config.h"
#include "config/known.h"

#include <clan/status.h>
#include <stddef.h>
#include <stdio.h>

/* struct grants of wire/grants.h is not needed to include this */
struct grants;

#define CONFIG_FILE_MAX   (1u << 20)
#define CONFIG_ERRORS_MAX 100

struct config_problem {
    unsigned line, column, length; /* from 1; length of the marked text */
    char path[128];                /* "services.files.allow[1]" */
    char text[240];                /* what was expected and what is there */
};
/* All problems of one file, in file order; text lines are kept for printing with a caret. */
struct config_problems;
struct config_problems *config_problems_new(const char *file_name);
void config_problems_free(struct config_problems *p);
size_t config_problems_count(const struct config_problems *p);
const struct config_problem *config_problems_at(const struct config_problems *p, size_t index);
/* file:line:column: error: path: text, the line, a caret; colour only when asked */
void config_problems_print(const struct config_problems *p, FILE *out, bool colour);

/* Parses and checks.  INVAL with every problem of the file in `problems` (borrowed). */
clan_status config_clan_parse(const char *text, size_t size, struct config_problems *problems,
    struct clan_config **ret_config);
void config_clan_free(struct clan_config *c);

/* Edits as text splices at libyaml marks: comments and order stay.  Each returns a malloc'd new
 * text (caller frees) that parses, with version raised by one. */
clan_status config_edit_version(const char *text, size_t size, uint64_t version, char **ret_text,
    size_t *ret_size, struct clan_error *reterr);
struct config_service_wanted {
    const char *name, *plugin, *on;
    const char *const *allow; /* none: all */
    unsigned allow_count;
    const char *const *settings; /* "KEY=VALUE" */
    unsigned setting_count;
};
clan_status config_edit_enable(const char *text, size_t size,
    const struct config_service_wanted *wanted, char **ret_text, size_t *ret_size,
    struct clan_error *reterr);
clan_status config_edit_disable(const char *text, size_t size, const char *service, char **ret_text,
    size_t *ret_size, struct clan_error *reterr);
/* adds or renames in machines: */
clan_status config_edit_machine(const char *text, size_t size, const uint8_t id[32],
    const char *name, char **ret_text, size_t *ret_size, struct clan_error *reterr);
clan_status config_edit_machine_gone(const char *text, size_t size, const uint8_t id[32],
    char **ret_text, size_t *ret_size, struct clan_error *reterr);

/* What `clan enable` does: machines that are meant are named in machines: first; the result has that version. */
clan_status config_change_enable(const char *text, size_t size, uint64_t version,
    const struct config_service_wanted *wanted, const struct config_known *known, size_t count,
    char **ret_text, size_t *ret_size, struct clan_error *reterr);
/* What `clan remove` does: the machine leaves clan.yaml, if it stands there; the result has that version in any case. */
clan_status config_change_remove(const char *text, size_t size, uint64_t version,
    const uint8_t id[32], char **ret_text, size_t *ret_size, struct clan_error *reterr);

/* The first text of a clan, commented.  transports: in order of preference; none: the usual one. */
clan_status config_clan_first(const char *clan, const char *admin_name, const uint8_t admin_key[32],
    const uint8_t machine_id[32], const char *machine, const char (*transports)[33],
    unsigned transport_count, char **ret_text, size_t *ret_size);

/* A unified diff with three lines of context. */
void config_diff(const char *old_text, size_t old_size, const char *new_text, size_t new_size,
    const char *old_name, const char *new_name, FILE *out, bool colour);

/* machine.yaml -> grants.  plugin_dir is scanned: id, asked permissions and hash of each plugin (by
 * sdk/check's note reader).  Problems (unknown plugin, permission the plugin never asks for) go to
 * `problems`; owner_uid: who may use it besides root.  ret_summary: for people, what is granted in
 * words; malloc'd. */
clan_status config_machine_compile(const char *text, size_t size, const char *plugin_dir,
    uint32_t owner_uid, struct config_problems *problems, struct grants *ret_grants,
    char **ret_summary, struct clan_error *reterr);

/* Edits of machine.yaml, as text splices.  Grant: adds the words to plugins.PLUGIN.allow, makes the entry
 * where there is none; signer: NULL leaves it.  Revoke: takes words out, or (word_count 0) the entry with
 * its addresses in listen:. */
clan_status config_edit_grant(const char *text, size_t size, const char *plugin,
    const char *const *words, unsigned word_count, const char *signer, char **ret_text,
    size_t *ret_size, struct clan_error *reterr);
clan_status config_edit_revoke(const char *text, size_t size, const char *plugin,
    const char *const *words, unsigned word_count, char **ret_text, size_t *ret_size,
    struct clan_error *reterr);

/* Who signed a plugin file, by the names in signatures.keys of a machine.yaml (text NULL: none). */
struct config_signature {
    char by[33]; /* "": nobody who is known */
    uint8_t key[32];
    char key_id[17];         /* as the file says, "" without one */
    char comment[256];       /* to be trusted with `by` only */
    struct clan_error error; /* OK: it fits; NOENT: there is no signature; AUTH: by nobody known */
};
void config_signature(const char *text, size_t size, const char *directory, const char *file,
    struct config_signature *ret);

/* Written from the same schema table: "schema-clan", "schema-machine" (JSON Schema),
 * "example-clan", "example-machine" (commented YAML). */
clan_status config_generate(const char *what, FILE *out);

#endif
