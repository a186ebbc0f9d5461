/* The command table, one parsed command line, and what every command uses. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "api/client.h"

#include <clan/status.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CLI_ARGS_MAX   16
#define CLI_VALUES_MAX 32

struct cli;
typedef clan_status cli_run_fn(struct cli *c);

/* Tables of options end with a row without a name. */
struct cli_option {
    const char *name;  /* without the dashes */
    const char *arg;   /* "NAME", or NULL: a switch */
    const char *means; /* half a sentence */
    char letter;       /* 0: none */
    bool many;         /* may be given several times */
};

struct cli_command {
    const char *name; /* "machine apply" */
    const char *args; /* "[FILE]", or "" */
    const char *sentence;
    const struct cli_option *options; /* may be NULL */
    const char *examples;             /* lines */
    unsigned args_min, args_max;
    cli_run_fn *run;
    const char *more; /* paragraphs for `clan help X`, or NULL */
};

extern const struct cli_command cli_commands[];
extern const unsigned cli_command_count;
extern const struct cli_option cli_globals[];

struct cli {
    const struct cli_command *command; /* NULL: none was named */
    const char *args[CLI_ARGS_MAX];
    unsigned arg_count;
    struct {
        const struct cli_option *option;
        const char *value; /* "" of a switch */
    } values[CLI_VALUES_MAX];
    unsigned value_count;
    bool help;
    int exit; /* of an answer that says itself what is wrong; 0: by the status */

    /* of the global options */
    bool json, quiet, yes;
    const char *clan, *run_dir;

    FILE *out, *err, *in; /* borrowed */
    bool out_tty, err_tty, in_tty, colour, utf8;
    unsigned width;      /* columns; 0: do not fold */
    bool progress_drawn; /* a line without its end stands on err */

    /* asks a question elsewhere than on the terminal; NULL: there */
    clan_status (*ask)(struct cli *c, const char *question);

    char petname[33]; /* of the clan that the session speaks with */
    struct clan_error e;
};

/* Parses argv (without the program's name) against the tables; errors go to c->e. */
clan_status cli_parse(struct cli *c, int argc, char **argv);
const struct cli_command *cli_find(const char *name);
/* Value of an option, NULL when it was not given; "" for a switch.  index: of several. */
const char *cli_opt(const struct cli *c, const char *name);
const char *cli_opt_at(const struct cli *c, const char *name, unsigned index);
/* An option that is a number; INVAL outside of min..max */
clan_status cli_opt_number(
    struct cli *c, const char *name, uint32_t min, uint32_t max, uint32_t *number);
/* "90s", "30m", "1h", "7d" in seconds */
bool cli_duration(const char *text, uint64_t *ret_seconds);
/* Fills streams, terminals, colour and width; after cli_parse. */
void cli_streams(struct cli *c, FILE *out, FILE *err, FILE *in);
/* Everything: parse, run, print the error, exit code. */
int cli_main(int argc, char **argv, FILE *out, FILE *err, FILE *in);

/* help.c */
void help_all(struct cli *c);
void help_group(struct cli *c, const char *group);
void help_command(struct cli *c, const struct cli_command *cmd);
void help_synopsis(FILE *f, const struct cli_command *cmd);
clan_status help_completion(struct cli *c, const char *shell);
void help_man(FILE *f);

/* Handlers, by file. */
cli_run_fn cmd_up, cmd_down, cmd_leave;                      /* up.c, life.c */
cli_run_fn cmd_invite, cmd_invite_list, cmd_invite_withdraw; /* invite.c */
cli_run_fn cmd_join;                                         /* join.c */
cli_run_fn cmd_status, cmd_machines, cmd_services;           /* status.c */
cli_run_fn cmd_enable, cmd_disable;                          /* enable.c */
cli_run_fn cmd_config_check, cmd_config_show, cmd_config_apply, cmd_config_diff, cmd_config_log,
    cmd_config_schema, cmd_config_example;                 /* config.c */
cli_run_fn cmd_machine_apply, cmd_machine_show;            /* machine.c */
cli_run_fn cmd_plugin_list, cmd_plugin_show;               /* plugins.c, plugin_show.c */
cli_run_fn cmd_plugin_grant, cmd_plugin_revoke;            /* plugin_grant.c */
cli_run_fn cmd_plugin_new;                                 /* plugin_new.c */
cli_run_fn cmd_remove, cmd_rename;                         /* remove.c */
cli_run_fn cmd_ping;                                       /* ping.c */
cli_run_fn cmd_paths;                                      /* paths.c */
cli_run_fn cmd_netcheck;                                   /* netcheck.c */
cli_run_fn cmd_ui, cmd_open, cmd_sign;                     /* ui.c, open.c, sign.c */
cli_run_fn cmd_logs;                                       /* logs.c */
cli_run_fn cmd_help, cmd_completion, cmd_version, cmd_man; /* help.c */

#endif
