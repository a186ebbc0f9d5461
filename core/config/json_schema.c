/* JSON Schema (draft-07), written from the schema table; for editors that know
 * yaml-language-server. */
#include "config/generate.h"

#include "wire/grants.h"

#include <string.h>

#define NAME_PATTERN "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
#define ID_PATTERN   "[a-z2-7]{52}"
#define SIZE_PATTERN "[1-9][0-9]*[KMGT]"

struct writer {
    const struct cfg_schema *schema;
    FILE *out;
    int indent;
    bool first; /* nothing yet in this object */
};

static void put_string(FILE *out, const char *text, size_t size)
{
    fputc('"', out);
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"' || text[i] == '\\')
            fputc('\\', out);
        fputc(text[i], out);
    }
    fputc('"', out);
}

static void member(struct writer *w, const char *name)
{
    fprintf(w->out, "%s\n%*s", w->first ? "" : ",", w->indent * 2, "");
    put_string(w->out, name, strlen(name));
    fputs(": ", w->out);
    w->first = false;
}

static void member_text(struct writer *w, const char *name, const char *text)
{
    member(w, name);
    put_string(w->out, text, strlen(text));
}

static void member_number(struct writer *w, const char *name, uint64_t v)
{
    member(w, name);
    fprintf(w->out, "%llu", (unsigned long long)v);
}

static void member_raw(struct writer *w, const char *name, const char *json)
{
    member(w, name);
    fputs(json, w->out);
}

static void open_object(struct writer *w)
{
    fputc('{', w->out);
    w->indent++;
    w->first = true;
}

static void close_object(struct writer *w)
{
    w->indent--;
    if (!w->first)
        fprintf(w->out, "\n%*s", w->indent * 2, "");
    fputc('}', w->out);
    w->first = false;
}

static void put_choices(struct writer *w, const struct cfg_row *row)
{
    member(w, "enum");
    fputc('[', w->out);
    for (const char *c = row->choices; *c; c += *c == '|') {
        size_t len = strcspn(c, "|");
        put_string(w->out, c, len);
        c += len;
        if (*c)
            fputs(", ", w->out);
    }
    fputc(']', w->out);
}

static void put_permissions(struct writer *w)
{
    member(w, "anyOf");
    fputs("[{\"enum\": [", w->out);
    const char *comma = "";
    for (unsigned i = 0; i < perm_word_count; i++) {
        if (!perm_words[i].bit || !perm_words[i].enforced)
            continue;
        fputs(comma, w->out);
        put_string(w->out, perm_words[i].word, strlen(perm_words[i].word));
        comma = ", ";
    }
    fputs("]}, {\"pattern\": \"^exec:[a-z0-9-]+$\"}]", w->out);
}

static void put_scalar(struct writer *w, const struct cfg_row *row)
{
    static const char *const patterns[] = {
        [CFG_T_NAME] = NAME_PATTERN,
        [CFG_T_KEY] = "^ed25519:" ID_PATTERN "$",
        [CFG_T_ALLOW] = "^(tag:)?[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        [CFG_T_SIZE] = "^" SIZE_PATTERN "$",
        [CFG_T_PERCENT] = "^([1-9][0-9]?|100)%$",
        [CFG_T_SHARE] = "^(([1-9][0-9]?|100)%|" SIZE_PATTERN ")$",
        [CFG_T_DURATION] = "^[1-9][0-9]*[smhd]$",
        [CFG_T_LISTEN] = "^(\\[[0-9a-fA-F:.]+\\]|[0-9.]+):[1-9][0-9]*$",
        [CFG_T_USER] = "^[A-Za-z0-9_][A-Za-z0-9._-]*$",
        [CFG_T_MINISIGN] = "^RW[A-Za-z0-9+/]{54}$",
    };
    if (row->type == CFG_T_NUMBER) {
        member_text(w, "type", "integer");
        member_number(w, "minimum", row->min);
        member_number(w, "maximum", row->max);
        return;
    }
    /* our own reader takes 7 and true as texts; an editor's reader does not */
    if (row->type == CFG_T_TEXT)
        member_raw(w, "type", "[\"string\", \"number\", \"boolean\"]");
    else if (row->type == CFG_T_USER)
        member_raw(w, "type", "[\"string\", \"integer\"]");
    else
        member_text(w, "type", "string");
    if (row->type == CFG_T_CHOICE)
        put_choices(w, row);
    else if (row->type == CFG_T_PERMISSION)
        put_permissions(w);
    else if (row->type != CFG_T_TEXT)
        member_text(w, "pattern", patterns[row->type]);
    if (row->max)
        member_number(w, "maxLength", row->max);
}

static void put_row(struct writer *w, const struct cfg_row *row);

static void put_keys(struct writer *w, const struct cfg_row *parent)
{
    const char *comma = "";
    member(w, "properties");
    open_object(w);
    for (unsigned i = 0; i < w->schema->count; i++) {
        const struct cfg_row *row = &w->schema->rows[i];
        if (!cfg_row_is_child(parent, row))
            continue;
        member(w, cfg_row_name(row));
        put_row(w, row);
    }
    close_object(w);
    member(w, "required");
    fputc('[', w->out);
    for (unsigned i = 0; i < w->schema->count; i++) {
        const struct cfg_row *row = &w->schema->rows[i];
        if (!cfg_row_is_child(parent, row) || row->fallback)
            continue;
        fputs(comma, w->out);
        put_string(w->out, cfg_row_name(row), strlen(cfg_row_name(row)));
        comma = ", ";
    }
    fputc(']', w->out);
    member_raw(w, "additionalProperties", "false");
}

static void put_dict(struct writer *w, const struct cfg_row *row)
{
    static const char *const keys[] = {
        [CFG_KEYS_NAME] = NAME_PATTERN,
        [CFG_KEYS_ID] = "^" ID_PATTERN "$",
        [CFG_KEYS_SETTING] = "^[a-z0-9][a-z0-9._-]*$",
    };
    member_number(w, "minProperties", row->min);
    member_number(w, "maxProperties", row->max);
    member(w, "patternProperties");
    open_object(w);
    member(w, keys[row->keys]);
    put_row(w, cfg_row_child(w->schema, row, "*"));
    close_object(w);
    member_raw(w, "additionalProperties", "false");
}

static void put_row(struct writer *w, const struct cfg_row *row)
{
    open_object(w);
    member_text(w, "description", row->doc);
    if (row->type == CFG_T_LIST) {
        member_text(w, "type", "array");
        member_number(w, "minItems", row->min);
        member_number(w, "maxItems", row->max);
        member_raw(w, "uniqueItems", "true");
        member(w, "items");
        put_row(w, cfg_row_child(w->schema, row, "[]"));
    } else if (row->type == CFG_T_MAP || row->type == CFG_T_DICT) {
        /* "services:" with nothing behind it is an empty one */
        if (row->type == CFG_T_DICT && row->min == 0)
            member_raw(w, "type", "[\"object\", \"null\"]");
        else
            member_text(w, "type", "object");
        if (row->type == CFG_T_MAP)
            put_keys(w, row);
        else
            put_dict(w, row);
    } else {
        put_scalar(w, row);
    }
    close_object(w);
}

void cfg_generate_json(const struct cfg_schema *s, FILE *out)
{
    struct writer w = {s, out, 0, true};
    open_object(&w);
    member_text(&w, "$schema", "http://json-schema.org/draft-07/schema#");
    member_text(&w, "title", s->title);
    member_text(&w, "type", "object");
    put_keys(&w, NULL);
    close_object(&w);
    fputc('\n', out);
}
