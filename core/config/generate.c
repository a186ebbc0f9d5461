/* The commented examples, written from the schema table. */
#include "config/generate.h"

#include <string.h>

#define WIDTH 100

/* A sentence behind a prefix, broken at blanks; following lines are indented like the text. */
static void put_wrapped(FILE *out, const char *prefix, const char *text)
{
    int indent = (int)strlen(prefix), column = indent;
    fputs(prefix, out);
    while (*text) {
        int word = (int)strcspn(text, " ");
        if (column > indent && column + 1 + word > WIDTH) {
            fprintf(out, "\n#%*s", indent - 1, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", word, text);
        column += word;
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

/* "Doc. Value: a or b. Default: a. Not there yet: b." */
static void describe(const struct cfg_row *row, char *ret, size_t cap)
{
    char value[160] = "", usual[80] = "", later[80] = "";
    bool open = row->type == CFG_T_MAP || row->type == CFG_T_DICT || row->type == CFG_T_LIST ||
                row->type == CFG_T_TEXT || row->type == CFG_T_NAME;
    if (!open) {
        strcpy(value, " Value: ");
        cfg_row_expects(row, value + strlen(value), sizeof value - strlen(value) - 1);
        strcat(value, ".");
    }
    if (row->fallback && row->fallback[0] && !strchr("[{", row->fallback[0]))
        snprintf(usual, sizeof usual, " Default: %s.", row->fallback);
    if (row->later)
        snprintf(later, sizeof later, " Not there yet: %s.", row->later);
    snprintf(ret, cap, "%s%s%s%s", row->doc, value, usual, later);
}

static bool below(const struct cfg_row *top, const struct cfg_row *row)
{
    size_t len = strlen(top->path);
    return strncmp(top->path, row->path, len) == 0 && row->path[len] == '.';
}

static void put_key(FILE *out, const struct cfg_schema *s, const struct cfg_row *top)
{
    char text[600], prefix[64];
    describe(top, text, sizeof text);
    fputc('\n', out);
    put_wrapped(out, "# ", text);
    for (unsigned i = 0; i < s->count; i++) {
        const struct cfg_row *row = &s->rows[i];
        const char *name = cfg_row_name(row);
        bool gone = row->later && strcmp(row->later, "*") == 0;
        if (!below(top, row) || gone || strcmp(name, "*") == 0 || strchr(name, '['))
            continue;
        describe(row, text, sizeof text);
        snprintf(prefix, sizeof prefix, "#   %-9s ", name);
        put_wrapped(out, prefix, text);
    }
    fprintf(out, "%s%s:%s\n", top->commented ? "# " : "", top->path, top->example);
}

void cfg_generate_example(const struct cfg_schema *s, FILE *out)
{
    fputs(s->intro, out);
    fprintf(out, "# yaml-language-server: $schema=file:///usr/share/clan/%s\n", s->json);
    for (unsigned i = 0; i < s->count; i++)
        if (s->rows[i].example)
            put_key(out, s, &s->rows[i]);
}

clan_status config_generate(const char *what, FILE *out)
{
    if (strcmp(what, "schema-clan") == 0)
        cfg_generate_json(&cfg_schema_clan, out);
    else if (strcmp(what, "schema-machine") == 0)
        cfg_generate_json(&cfg_schema_machine, out);
    else if (strcmp(what, "example-clan") == 0)
        cfg_generate_example(&cfg_schema_clan, out);
    else if (strcmp(what, "example-machine") == 0)
        cfg_generate_example(&cfg_schema_machine, out);
    else
        return CLAN_E_NOENT;
    return ferror(out) ? CLAN_E_IO : CLAN_OK;
}
