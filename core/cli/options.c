/* One command line against the command table. */
#include "cli/cli.h"

#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

const struct cli_option cli_globals[] = {
    {"json", NULL, "objects for programs instead of text", 0, false},
    {"clan", "NAME", "which clan of this machine; the only one when not said", 0, false},
    {"yes", NULL, "do not ask", 'y', false},
    {"quiet", NULL, "only the answer and errors", 'q', false},
    {"color", "WHEN", "auto, never or always", 0, false},
    {"socket-dir", "DIR", "where cland listens (also CLAN_RUN_DIR; " API_RUN_DIR ")", 0, false},
    {"help", NULL, "this text", 'h', false},
    {NULL, NULL, NULL, 0, false},
};

const struct cli_command *cli_find(const char *name)
{
    for (unsigned i = 0; i < cli_command_count; i++)
        if (strcmp(cli_commands[i].name, name) == 0)
            return &cli_commands[i];
    return NULL;
}

const char *cli_opt_at(const struct cli *c, const char *name, unsigned index)
{
    for (unsigned i = 0; i < c->value_count; i++)
        if (strcmp(c->values[i].option->name, name) == 0 && index-- == 0)
            return c->values[i].value;
    return NULL;
}

const char *cli_opt(const struct cli *c, const char *name)
{
    return cli_opt_at(c, name, 0);
}

clan_status cli_opt_number(
    struct cli *c, const char *name, uint32_t min, uint32_t max, uint32_t *number)
{
    const char *text = cli_opt(c, name);
    if (!text)
        return CLAN_OK;
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || v < min || v > max) {
        err_set(&c->e, CLAN_E_INVAL, "--%s %s is not what it takes", name, text);
        err_why(&c->e, "it takes a number from %u to %u", min, max);
        return CLAN_E_INVAL;
    }
    *number = (uint32_t)v;
    return CLAN_OK;
}

bool cli_duration(const char *text, uint64_t *ret_seconds)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || v == 0 || v > 1000000)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (end[0] == units[i].unit && !end[1]) {
            *ret_seconds = v * units[i].seconds;
            return true;
        }
    return false;
}

/* The nearest of the names that can stand here, "" when none is near. */
static void remedy_nearest(struct cli *c, const char *given, bool option)
{
    const char *best = NULL;
    unsigned best_distance = 3;
    const struct cli_option *lists[2] = {cli_globals, c->command ? c->command->options : NULL};
    for (unsigned l = 0; option && l < 2; l++)
        for (const struct cli_option *o = lists[l]; o && o->name; o++) {
            unsigned d = text_distance(given, o->name, 3);
            if (d < best_distance) {
                best_distance = d;
                best = o->name;
            }
        }
    for (unsigned i = 0; !option && i < cli_command_count; i++) {
        unsigned d = text_distance(given, cli_commands[i].name, 3);
        if (d < best_distance) {
            best_distance = d;
            best = cli_commands[i].name;
        }
    }
    if (best)
        err_remedy(&c->e, "did you mean `%s%s`?", option ? "--" : "clan ", best);
    else if (c->command)
        err_remedy(&c->e, "see `clan help %s`", c->command->name);
    else
        err_remedy(&c->e, "see `clan help`");
}

static const struct cli_option *find_in(
    const struct cli_option *o, const char *name, size_t len, char letter)
{
    for (; o && o->name; o++)
        if (letter ? o->letter == letter : strlen(o->name) == len && !memcmp(o->name, name, len))
            return o;
    return NULL;
}

static clan_status add_value(struct cli *c, const struct cli_option *o, const char *value)
{
    if (c->value_count == CLI_VALUES_MAX)
        return err_set(&c->e, CLAN_E_INVAL, "too many options");
    if (!o->many && cli_opt(c, o->name)) {
        err_set(&c->e, CLAN_E_INVAL, "--%s is given twice", o->name);
        return CLAN_E_INVAL;
    }
    c->values[c->value_count].option = o;
    c->values[c->value_count++].value = value;
    return CLAN_OK;
}

/* argv[*at] is an option; takes its value too. */
static clan_status take_option(struct cli *c, int argc, char **argv, int *at)
{
    const char *given = argv[*at], *name = given + 2, *value = NULL;
    char letter = given[1] == '-' ? 0 : given[1];
    size_t len = letter ? 0 : strcspn(name, "=");
    const struct cli_option *o =
        find_in(c->command ? c->command->options : NULL, name, len, letter);
    if (!o)
        o = find_in(cli_globals, name, len, letter);
    if (!o || (letter && given[2] && !o->arg)) {
        err_set(&c->e, CLAN_E_INVAL, "unknown option %.60s", given);
        if (c->command)
            err_why(&c->e, "`clan %s` has no such option", c->command->name);
        remedy_nearest(c, letter ? given + 1 : name, true);
        return CLAN_E_INVAL;
    }
    if (letter)
        value = given[2] ? given + 2 : NULL;
    else if (name[len] == '=')
        value = name + len + 1;
    if (!o->arg && value) {
        err_set(&c->e, CLAN_E_INVAL, "--%s takes no value", o->name);
        return CLAN_E_INVAL;
    }
    if (o->arg && !value) {
        if (*at + 1 >= argc) {
            err_set(&c->e, CLAN_E_INVAL, "--%s needs a value", o->name);
            err_why(&c->e, "it is used as --%s %s", o->name, o->arg);
            return CLAN_E_INVAL;
        }
        value = argv[++*at];
    }
    return add_value(c, o, value ? value : "");
}

/* Options may stand before the command, so its words are found first. */
static void find_command(struct cli *c, int argc, char **argv, unsigned *ret_words)
{
    const char *words[2] = {NULL, NULL};
    unsigned count = 0;
    for (int i = 0; i < argc && count < 2; i++) {
        if (strcmp(argv[i], "--") == 0)
            break;
        if (argv[i][0] != '-' || !argv[i][1]) {
            words[count++] = argv[i];
            continue;
        }
        const struct cli_option *o = argv[i][1] == '-'
                                         ? find_in(cli_globals, argv[i] + 2, strlen(argv[i] + 2), 0)
                                         : find_in(cli_globals, "", 0, argv[i][1]);
        if (o && o->arg)
            i++;
        else if (!o && count)
            break; /* an option of the command: its value is no word */
    }
    char two[128];
    *ret_words = 0;
    if (count == 2 && snprintf(two, sizeof two, "%s %s", words[0], words[1]) < (int)sizeof two &&
        (c->command = cli_find(two)))
        *ret_words = 2;
    else if (count && (c->command = cli_find(words[0])))
        *ret_words = 1;
}

static clan_status check_args(struct cli *c)
{
    if (c->help || !c->command)
        return CLAN_OK;
    if (c->arg_count >= c->command->args_min && c->arg_count <= c->command->args_max)
        return CLAN_OK;
    bool few = c->arg_count < c->command->args_min;
    err_set(&c->e, CLAN_E_INVAL,
        few ? "`clan %s` needs more than that" : "`clan %s` takes less than that",
        c->command->name);
    err_why(&c->e, "it is used as `clan %s%s%s`", c->command->name, c->command->args[0] ? " " : "",
        c->command->args);
    err_remedy(&c->e, "see `clan help %s`", c->command->name);
    return CLAN_E_INVAL;
}

static void take_globals(struct cli *c)
{
    const char *dir = getenv("CLAN_RUN_DIR");
    c->json = cli_opt(c, "json");
    c->yes = cli_opt(c, "yes");
    c->quiet = cli_opt(c, "quiet");
    c->help = cli_opt(c, "help");
    c->clan = cli_opt(c, "clan");
    c->run_dir = cli_opt(c, "socket-dir");
    if (!c->run_dir)
        c->run_dir = dir && dir[0] ? dir : API_RUN_DIR;
}

static bool is_group(const char *word)
{
    size_t len = strlen(word);
    for (unsigned i = 0; i < cli_command_count; i++)
        if (!strncmp(cli_commands[i].name, word, len) && cli_commands[i].name[len] == ' ')
            return true;
    return false;
}

static clan_status check_command(struct cli *c)
{
    if (c->command || c->arg_count == 0 || c->help)
        return CLAN_OK;
    const char *word = c->args[0];
    if (is_group(word) && c->arg_count == 1)
        return CLAN_OK; /* shows the group */
    if (is_group(word))
        err_set(&c->e, CLAN_E_INVAL, "`clan %.30s` has no command %.60s", word, c->args[1]);
    else
        err_set(&c->e, CLAN_E_INVAL, "there is no command %.60s", word);
    remedy_nearest(c, word, false);
    if (is_group(word))
        err_remedy(&c->e, "see `clan help %.30s`", word);
    return CLAN_E_INVAL;
}

clan_status cli_parse(struct cli *c, int argc, char **argv)
{
    unsigned words;
    bool only_args = false;
    clan_status st = CLAN_OK, first = CLAN_OK;
    find_command(c, argc, argv, &words);
    for (int i = 0; i < argc; i++) {
        char *a = argv[i];
        if (!only_args && strcmp(a, "--") == 0) {
            only_args = true;
        } else if (!only_args && a[0] == '-' && a[1]) {
            st = take_option(c, argc, argv, &i);
            if (st != CLAN_OK && first == CLAN_OK)
                first = st; /* --json behind it still counts */
        } else if (words && !only_args) {
            words--;
        } else if (c->arg_count == CLI_ARGS_MAX) {
            first = err_set(&c->e, CLAN_E_INVAL, "too many arguments");
        } else {
            c->args[c->arg_count++] = a;
        }
    }
    take_globals(c);
    if (first != CLAN_OK)
        return first;
    st = check_command(c);
    const char *colour = cli_opt(c, "color");
    if (st == CLAN_OK && colour && strcmp(colour, "auto") && strcmp(colour, "never") &&
        strcmp(colour, "always")) {
        err_set(&c->e, CLAN_E_INVAL, "--color %s is not what it takes", colour);
        err_why(&c->e, "it takes auto, never or always");
        return CLAN_E_INVAL;
    }
    return st == CLAN_OK ? check_args(c) : st;
}
