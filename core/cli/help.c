/* Help, completion and the manual page, from the command table. */
#include "base/error.h"
#include "cli/out.h"

#include <string.h>

static void print_option(struct cli *c, const struct cli_option *o)
{
    char head[80], first[96];
    if (o->letter)
        snprintf(head, sizeof head, "-%c, --%s%s%s", o->letter, o->name, o->arg ? " " : "",
            o->arg ? o->arg : "");
    else
        snprintf(head, sizeof head, "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
    snprintf(first, sizeof first, "  %-20s  ", head);
    if (strlen(head) > 20) {
        fprintf(c->out, "  %s\n", head);
        snprintf(first, sizeof first, "%24s", "");
    }
    out_fold(c->out, c->width ? c->width : 80, first, 24, o->means);
}

static void print_options(struct cli *c, const char *title, const struct cli_option *o)
{
    if (!o || !o->name)
        return;
    fprintf(c->out, "\n%s%s%s\n", out_on(c, OUT_BOLD), title, out_off(c));
    for (; o->name; o++)
        print_option(c, o);
}

void help_synopsis(FILE *f, const struct cli_command *cmd)
{
    fprintf(f, "clan %s%s%s", cmd->name, cmd->args[0] ? " " : "", cmd->args);
    for (const struct cli_option *o = cmd->options; o && o->name; o++)
        fprintf(f, " [--%s%s%s]%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "",
            o->many ? "..." : "");
}

static void print_examples(struct cli *c, const char *examples)
{
    fprintf(c->out, "\n%sExamples%s\n", out_on(c, OUT_BOLD), out_off(c));
    while (*examples) {
        size_t len = strcspn(examples, "\n");
        fprintf(c->out, "  %.*s\n", (int)len, examples);
        examples += len + (examples[len] == '\n');
    }
}

/* Examples first: most readers look for one line to copy. */
void help_command(struct cli *c, const struct cli_command *cmd)
{
    char *synopsis = NULL;
    size_t size = 0;
    char first[128];
    snprintf(first, sizeof first, "clan %s: ", cmd->name);
    out_fold(c->out, c->width ? c->width : 80, first, 2, cmd->sentence);
    print_examples(c, cmd->examples);
    if (cmd->more) {
        fputc('\n', c->out);
        out_fold(c->out, c->width ? c->width : 80, "", 0, cmd->more);
    }
    FILE *f = open_memstream(&synopsis, &size);
    clan_assert(f);
    help_synopsis(f, cmd);
    fclose(f);
    fprintf(c->out, "\n%sUsage%s\n", out_on(c, OUT_BOLD), out_off(c));
    out_fold(c->out, c->width ? c->width : 80, "  ", 6, synopsis);
    free(synopsis);
    print_options(c, "Options", cmd->options);
    print_options(c, "Options of every command", cli_globals);
}

static void print_row(struct cli *c, const struct cli_command *cmd)
{
    char first[64];
    snprintf(first, sizeof first, "  %-16s  ", cmd->name);
    out_fold(c->out, c->width ? c->width : 80, first, 20, cmd->sentence);
}

void help_all(struct cli *c)
{
    out_fold(c->out, c->width ? c->width : 80, "", 0,
        "clan: your own machines and those of people you trust, as one network.");
    fprintf(c->out,
        "\n%sBegin%s\n  clan up        make a clan of this machine\n"
        "  clan invite    a link for the next machine\n"
        "  clan join      on the next machine: paste the link\n"
        "  clan status    how it is\n\n%sCommands%s\n",
        out_on(c, OUT_BOLD), out_off(c), out_on(c, OUT_BOLD), out_off(c));
    for (unsigned i = 0; i < cli_command_count; i++)
        print_row(c, &cli_commands[i]);
    print_options(c, "Options of every command", cli_globals);
    fprintf(c->out, "\n`clan help COMMAND` shows examples.\n");
}

void help_group(struct cli *c, const char *group)
{
    size_t len = strlen(group);
    for (unsigned i = 0; i < cli_command_count; i++)
        if (strncmp(cli_commands[i].name, group, len) == 0 &&
            (cli_commands[i].name[len] == ' ' || !cli_commands[i].name[len]))
            print_row(c, &cli_commands[i]);
    fprintf(c->out, "\n`clan help %s COMMAND` shows examples.\n", group);
}

clan_status cmd_help(struct cli *c)
{
    char name[128];
    if (!c->arg_count) {
        help_all(c);
        return CLAN_OK;
    }
    snprintf(name, sizeof name, "%s%s%s", c->args[0], c->arg_count > 1 ? " " : "",
        c->arg_count > 1 ? c->args[1] : "");
    const struct cli_command *cmd = cli_find(name);
    if (cmd) {
        help_command(c, cmd);
        return CLAN_OK;
    }
    size_t len = strlen(name);
    for (unsigned i = 0; i < cli_command_count; i++)
        if (strncmp(cli_commands[i].name, name, len) == 0 && cli_commands[i].name[len] == ' ') {
            help_group(c, name);
            return CLAN_OK;
        }
    err_set(&c->e, CLAN_E_INVAL, "there is no command %.60s", name);
    err_remedy(&c->e, "see `clan help`");
    return CLAN_E_INVAL;
}

/* The words that may stand behind `prefix` ("" or "machine "), each once. */
static void next_words(FILE *f, const char *prefix)
{
    size_t len = strlen(prefix);
    char last[64] = "";
    for (unsigned i = 0; i < cli_command_count; i++) {
        const char *name = cli_commands[i].name;
        char word[64];
        if (strncmp(name, prefix, len) != 0 || !name[len])
            continue;
        snprintf(word, sizeof word, "%.*s", (int)strcspn(name + len, " "), name + len);
        if (strcmp(word, last) != 0)
            fprintf(f, "%s%s", last[0] ? " " : "", word);
        memcpy(last, word, sizeof last);
    }
}

static void option_words(FILE *f, const struct cli_option *o)
{
    for (; o && o->name; o++)
        fprintf(f, " --%s", o->name);
}

static bool has_subcommands(const char *name)
{
    size_t len = strlen(name);
    for (unsigned i = 0; i < cli_command_count; i++)
        if (strncmp(cli_commands[i].name, name, len) == 0 && cli_commands[i].name[len] == ' ')
            return true;
    return false;
}

/* The words after a command, for the `case` of bash and zsh; commands of two words first. */
static void shell_cases(FILE *f)
{
    for (int two = 1; two >= 0; two--)
        for (unsigned i = 0; i < cli_command_count; i++) {
            const struct cli_command *cmd = &cli_commands[i];
            char prefix[64];
            if ((strchr(cmd->name, ' ') != NULL) != two)
                continue;
            fprintf(f, "        \"%s \"*) words=\"", cmd->name);
            if (!two && has_subcommands(cmd->name)) {
                snprintf(prefix, sizeof prefix, "%s ", cmd->name);
                next_words(f, prefix);
            }
            option_words(f, cmd->options);
            option_words(f, cli_globals);
            fprintf(f, "\" ;;\n");
        }
    for (const char *const *g = (const char *const[]){"config", "machine", NULL}; *g; g++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "%s ", *g);
        fprintf(f, "        \"%s\"*) words=\"", prefix);
        next_words(f, prefix);
        fprintf(f, "\" ;;\n");
    }
    fprintf(f, "        *) words=\"");
    next_words(f, "");
    fprintf(f, "\" ;;\n");
}

static void completion_bash(FILE *f)
{
    fprintf(f, "# bash completion of clan, written by `clan completion bash`\n"
               "_clan() {\n"
               "    local line=\"${COMP_WORDS[*]:1:COMP_CWORD-1} \" words\n"
               "    line=\"${line# }\"\n"
               "    case \"$line\" in\n");
    shell_cases(f);
    fprintf(f, "    esac\n"
               "    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
               "}\n"
               "complete -o default -F _clan clan\n");
}

static void completion_zsh(FILE *f)
{
    fprintf(f, "#compdef clan\n# written by `clan completion zsh`\n"
               "_clan() {\n"
               "    local line=\"${words[2,CURRENT-1]} \"\n"
               "    line=\"${line# }\"\n"
               "    () {\n"
               "        local words\n"
               "        case \"$1\" in\n");
    shell_cases(f);
    fprintf(f, "        esac\n"
               "        compadd -- ${=words}\n"
               "    } \"$line\"\n"
               "}\n"
               "_clan \"$@\"\n");
}

static void fish_text(FILE *f, const char *text)
{
    for (; *text; text++)
        fprintf(f, *text == '\'' ? "\\'" : "%c", *text);
}

static void completion_fish(FILE *f)
{
    fprintf(
        f, "# fish completion of clan, written by `clan completion fish`\ncomplete -c clan -f\n");
    for (const struct cli_option *o = cli_globals; o->name; o++)
        fprintf(f, "complete -c clan -l %s%s -d '%s'\n", o->name, o->arg ? " -x" : "", o->means);
    for (unsigned i = 0; i < cli_command_count; i++) {
        const struct cli_command *cmd = &cli_commands[i];
        const char *space = strchr(cmd->name, ' ');
        int first = space ? (int)(space - cmd->name) : (int)strlen(cmd->name);
        if (space)
            fprintf(f, "complete -c clan -n '__fish_seen_subcommand_from %.*s' -a %s -d '", first,
                cmd->name, space + 1);
        else
            fprintf(f, "complete -c clan -n __fish_use_subcommand -a %s -d '", cmd->name);
        fish_text(f, cmd->sentence);
        fprintf(f, "'\n");
        for (const struct cli_option *o = cmd->options; o && o->name; o++) {
            fprintf(f, "complete -c clan -n '__fish_seen_subcommand_from %.*s' -l %s%s -d '", first,
                cmd->name, o->name, o->arg ? " -r" : "");
            fish_text(f, o->means);
            fprintf(f, "'\n");
        }
    }
    fprintf(f, "complete -c clan -n __fish_use_subcommand -a 'config machine'\n");
}

clan_status help_completion(struct cli *c, const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        completion_bash(c->out);
    else if (strcmp(shell, "zsh") == 0)
        completion_zsh(c->out);
    else if (strcmp(shell, "fish") == 0)
        completion_fish(c->out);
    else {
        err_set(&c->e, CLAN_E_INVAL, "there is no completion for %.40s", shell);
        err_why(&c->e, "it is written for bash, zsh and fish");
        return CLAN_E_INVAL;
    }
    return CLAN_OK;
}

clan_status cmd_completion(struct cli *c)
{
    return help_completion(c, c->args[0]);
}

static void roff(FILE *f, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", f);
    for (; *text; text++)
        if (*text == '-')
            fputs("\\-", f);
        else if (*text == '\\')
            fputs("\\e", f);
        else
            fputc(*text, f);
}

static void roff_option(FILE *f, const struct cli_option *o)
{
    fputs(".TP\n", f);
    if (o->letter)
        fprintf(f, "\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB\\-\\-", f);
    roff(f, o->name);
    fprintf(f, "\\fR%s%s\n", o->arg ? " " : "", o->arg ? o->arg : "");
    roff(f, o->means);
    fputc('\n', f);
}

static void roff_command(FILE *f, const struct cli_command *cmd)
{
    char *synopsis = NULL;
    size_t size = 0;
    FILE *s = open_memstream(&synopsis, &size);
    clan_assert(s);
    help_synopsis(s, cmd);
    fclose(s);
    fputs(".SS ", f);
    roff(f, synopsis);
    fputs("\n", f);
    free(synopsis);
    roff(f, cmd->sentence);
    fputs(".\n", f);
    if (cmd->more) {
        fputs(".PP\n", f);
        roff(f, cmd->more);
        fputs("\n", f);
    }
    for (const struct cli_option *o = cmd->options; o && o->name; o++)
        roff_option(f, o);
    fputs(".PP\n.EX\n", f);
    roff(f, cmd->examples);
    fputs(".EE\n", f);
}

void help_man(FILE *f)
{
    fputs(".TH CLAN 1 \"\" \"Clan " CLAN_VERSION
          "\"\n.SH NAME\nclan \\- machines of people who trust each "
          "other, as one network\n.SH SYNOPSIS\n\\fBclan\\fR COMMAND [OPTIONS]\n.SH COMMANDS\n",
        f);
    for (unsigned i = 0; i < cli_command_count; i++)
        roff_command(f, &cli_commands[i]);
    fputs(".SH OPTIONS OF EVERY COMMAND\n", f);
    for (const struct cli_option *o = cli_globals; o->name; o++)
        roff_option(f, o);
    fputs(".SH EXIT STATUS\n0 done; 1 failed; 2 wrong use or bad input; 3 not allowed; 4 not "
          "running, not "
          "reachable or no answer in time; 5 refused by the other side; 6 conflict or wrong state; "
          "70 a "
          "defect in Clan.\n.SH ENVIRONMENT\nCLAN_RUN_DIR, CLAN_STATE_DIR, CLAN_CONFIG_DIR, "
          "NO_COLOR, COLUMNS, "
          "XDG_CONFIG_HOME.\n.SH FILES\n$XDG_CONFIG_HOME/clan/NAME\\-admin.key, "
          "/etc/clan/machine.yaml, "
          "/etc/clan/grants, /var/lib/clan/log.\n",
        f);
}

clan_status cmd_man(struct cli *c)
{
    help_man(c->out);
    return CLAN_OK;
}

clan_status cmd_version(struct cli *c)
{
    if (c->json)
        out_json(c, json_pack("{s:s}", "version", CLAN_VERSION));
    else
        fprintf(c->out, "clan %s\n", CLAN_VERSION);
    return CLAN_OK;
}
