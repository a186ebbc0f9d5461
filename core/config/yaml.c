/* libyaml's events as a tree with places; refuses what a configuration file has no use for. */
#include "config/yaml.h"

#include "base/error.h"
#include "config/problem.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define BLOCK_SIZE 65000

struct block {
    struct block *next;
    size_t used, size;
    _Alignas(16) char data[];
};
struct cfg_tree {
    struct block *blocks;
    struct cfg_node *root;
};

/* One parse.  Characters are counted by libyaml, bytes by us: the cursor turns one into the other.
 */
struct parse {
    struct cfg_tree *tree;
    struct config_problems *problems;
    const char *text;
    size_t size;
    size_t cursor_char, cursor_byte;
    struct cfg_node *open[CFG_DEPTH_MAX];
    struct cfg_node *key[CFG_DEPTH_MAX]; /* a key that waits for its value */
    bool key_refused[CFG_DEPTH_MAX];
    unsigned depth, nodes, documents;
    bool stop, nomem;
};

static void *take(struct cfg_tree *t, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    struct block *b = t->blocks;
    if (!b || b->size - b->used < size) {
        size_t want = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        b = malloc(sizeof *b + want);
        if (!b)
            return NULL;
        *b = (struct block){.next = t->blocks, .size = want};
        t->blocks = b;
    }
    void *p = b->data + b->used;
    b->used += size;
    memset(p, 0, size);
    return p;
}

void cfg_tree_free(struct cfg_tree *t)
{
    if (!t)
        return;
    for (struct block *b = t->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(t);
}

struct cfg_node *cfg_tree_root(struct cfg_tree *t)
{
    return t->root;
}

struct cfg_node *cfg_get(const struct cfg_node *n, const char *key)
{
    if (!n || n->kind != CFG_MAP)
        return NULL;
    for (struct cfg_node *c = n->first; c; c = c->next)
        if (strcmp(c->key->text, key) == 0)
            return c;
    return NULL;
}

bool cfg_is_nothing(const struct cfg_node *n)
{
    return n->kind == CFG_SCALAR && n->start == n->end;
}

void cfg_path(const struct cfg_node *n, char *ret_path, size_t cap)
{
    ret_path[0] = 0;
    if (!n || !n->parent)
        return;
    cfg_path(n->parent, ret_path, cap);
    size_t len = strlen(ret_path);
    if (n->parent->kind == CFG_LIST)
        snprintf(ret_path + len, cap - len, "[%u]", n->index);
    else
        snprintf(ret_path + len, cap - len, "%s%.60s", len ? "." : "", n->key->text);
}

/* Characters that show something else than what is there, or that count as line breaks for some. */
static const char *refused_character(uint32_t c)
{
    if (c == '\t' || c == '\n')
        return NULL;
    if (c == '\r')
        return "a line ends with CR alone; use LF";
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return "a control character";
    if (c == 0x2028 || c == 0x2029)
        return "a line separator of Unicode; use LF";
    if ((c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f)
        return "a character that changes the direction of writing";
    if (c == 0xfeff)
        return "a byte order mark; save the file as UTF-8 without it";
    if ((c & 0xfffe) == 0xfffe)
        return "a character that is none";
    return NULL;
}

/* Length of the UTF-8 sequence at s (0: none) and its code point. */
static size_t utf8_next(const unsigned char *s, size_t left, uint32_t *ret_char)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = s[0];
    size_t n = c < 0x80 ? 1 : c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 0;
    if (n == 0 || n > left || c >= 0xf8)
        return 0;
    uint32_t v = n == 1 ? c : c & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (s[i] & 0x3f);
    }
    if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
        return 0;
    *ret_char = v;
    return n;
}

/* The first refused character ends the reading: after it places would not be those an editor shows.
 */
static bool characters_ok(struct parse *p)
{
    unsigned line = 1, column = 1;
    for (size_t i = 0; i < p->size;) {
        uint32_t c = 0;
        size_t n = utf8_next((const unsigned char *)p->text + i, p->size - i, &c);
        const char *why = n ? refused_character(c) : "not UTF-8";
        if (c == '\r' && i + 1 < p->size && p->text[i + 1] == '\n')
            why = NULL;
        if (why) {
            cfg_problem_place(p->problems, line, column, 1, "", "%s", why);
            return false;
        }
        i += n;
        column = c == '\n' ? 1 : column + 1;
        line += c == '\n';
    }
    return true;
}

static size_t byte_of(struct parse *p, size_t index)
{
    while (p->cursor_char < index && p->cursor_byte < p->size) {
        do
            p->cursor_byte++;
        while (p->cursor_byte < p->size && (p->text[p->cursor_byte] & 0xc0) == 0x80);
        p->cursor_char++;
    }
    while (p->cursor_char > index) {
        do
            p->cursor_byte--;
        while ((p->text[p->cursor_byte] & 0xc0) == 0x80);
        p->cursor_char--;
    }
    return p->cursor_byte;
}

static void refuse_at(struct parse *p, const yaml_event_t *e, const char *text)
{
    size_t length = e->end_mark.index - e->start_mark.index;
    if (e->start_mark.line != e->end_mark.line || length == 0)
        length = 1;
    cfg_problem_place(p->problems, (unsigned)e->start_mark.line + 1,
        (unsigned)e->start_mark.column + 1, (unsigned)length, "", "%s", text);
}

static struct cfg_node *node_new(struct parse *p, enum cfg_kind kind, const yaml_event_t *e)
{
    if (p->nodes == CFG_NODES_MAX) {
        refuse_at(p, e, "the file holds too many entries");
        p->stop = true;
        return NULL;
    }
    struct cfg_node *n = take(p->tree, sizeof *n);
    if (!n) {
        p->stop = p->nomem = true;
        return NULL;
    }
    p->nodes++;
    n->kind = kind;
    n->line = (unsigned)e->start_mark.line + 1;
    n->column = (unsigned)e->start_mark.column + 1;
    n->start = byte_of(p, e->start_mark.index);
    n->end = byte_of(p, e->end_mark.index);
    n->length = 1;
    if (e->start_mark.line == e->end_mark.line && n->end > n->start)
        n->length = (unsigned)(e->end_mark.index - e->start_mark.index);
    n->text = "";
    return n;
}

static struct cfg_node *scalar_new(struct parse *p, const yaml_event_t *e)
{
    const unsigned char *v = e->data.scalar.value;
    size_t size = e->data.scalar.length;
    struct cfg_node *n = node_new(p, CFG_SCALAR, e);
    char *copy = n ? take(p->tree, size + 1) : NULL;
    if (!copy) {
        p->stop = true;
        p->nomem = p->nomem || n;
        return NULL;
    }
    for (size_t i = 0; i < size;) {
        uint32_t c = 0;
        size_t k = utf8_next(v + i, size - i, &c);
        if (k == 0 || c == '\n' || refused_character(c)) {
            refuse_at(p, e, "a text may not hold line breaks or control characters");
            n->bad = true;
            return n;
        }
        i += k;
    }
    /* a block scalar (|) ends after its line break, which edits must leave */
    while (n->end > n->start && strchr(" \r\n", p->text[n->end - 1]))
        n->end--;
    memcpy(copy, v, size);
    n->text = copy;
    return n;
}

static void attach(struct parse *p, struct cfg_node *n)
{
    struct cfg_node *parent = p->depth ? p->open[p->depth - 1] : NULL;
    if (!parent) {
        p->tree->root = n;
        return;
    }
    if (parent->kind == CFG_MAP) {
        n->key = p->key[p->depth - 1];
        p->key[p->depth - 1] = NULL;
        if (p->key_refused[p->depth - 1])
            n->bad = true;
    }
    n->parent = parent;
    n->index = parent->count++;
    if (parent->last)
        parent->last->next = n;
    else
        parent->first = n;
    parent->last = n;
    if (n->bad)
        for (; parent && !parent->bad; parent = parent->parent)
            parent->bad = true;
}

static bool expects_key(const struct parse *p)
{
    return p->depth && p->open[p->depth - 1]->kind == CFG_MAP && !p->key[p->depth - 1];
}

static void take_key(struct parse *p, const yaml_event_t *e, struct cfg_node *n)
{
    bool merge = strcmp(n->text, "<<") == 0 && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (merge)
        refuse_at(p, e, "merge keys (<<) are not used here; write the entries out");
    p->key[p->depth - 1] = n;
    p->key_refused[p->depth - 1] = merge || n->bad;
}

static void open_collection(struct parse *p, const yaml_event_t *e, enum cfg_kind kind, bool flow)
{
    if (p->depth == CFG_DEPTH_MAX) {
        refuse_at(p, e, "nested deeper than 64 levels");
        p->stop = true;
        return;
    }
    if (expects_key(p)) {
        refuse_at(p, e, "a key must be a plain word");
        p->stop = true;
        return;
    }
    struct cfg_node *n = node_new(p, kind, e);
    if (!n)
        return;
    n->flow = flow;
    attach(p, n);
    p->open[p->depth] = n;
    p->key[p->depth] = NULL;
    p->key_refused[p->depth] = false;
    p->depth++;
}

static int by_key(const void *a, const void *b)
{
    const struct cfg_node *x = *(struct cfg_node *const *)a, *y = *(struct cfg_node *const *)b;
    int c = strcmp(x->key->text, y->key->text);
    return c ? c : x->index < y->index ? -1 : 1;
}

static void refuse_duplicates(struct parse *p, struct cfg_node *map)
{
    if (map->count < 2)
        return;
    struct cfg_node **list = malloc(map->count * sizeof *list);
    if (!list) {
        p->stop = p->nomem = true;
        return;
    }
    unsigned n = 0;
    for (struct cfg_node *c = map->first; c; c = c->next)
        list[n++] = c;
    qsort(list, n, sizeof *list, by_key);
    unsigned first = 0;
    for (unsigned i = 1; i < n; i++) {
        char quoted[80];
        if (strcmp(list[i]->key->text, list[first]->key->text) != 0)
            first = i;
        else if (!list[i]->bad)
            cfg_problem_key(p->problems, list[i], true,
                "the key %s stands here twice, first in line %u",
                cfg_quote(list[i]->key->text, quoted, sizeof quoted), list[first]->key->line);
    }
    free(list);
}

static void close_collection(struct parse *p, const yaml_event_t *e)
{
    clan_assert(p->depth > 0);
    struct cfg_node *n = p->open[--p->depth];
    if (n->flow)
        n->end = byte_of(p, e->end_mark.index);
    else /* libyaml's end is the start of what follows, after comments */
        n->end = n->last ? n->last->end : n->start;
    if (n->flow && e->end_mark.line + 1 == n->line)
        n->length = (unsigned)(e->end_mark.column + 1 - n->column);
    else if (!n->flow && n->first && n->first->key)
        n->length = n->first->key->length;
    if (n->kind == CFG_MAP)
        refuse_duplicates(p, n);
}

static void refuse_decoration(struct parse *p, const yaml_event_t *e)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    }
    if (anchor)
        refuse_at(p, e, "anchors (&name) are not used here; write the value out");
    if (tag)
        refuse_at(p, e, "tags (!name) are not used here; a text that looks like one needs quotes");
}

static void take_scalar(struct parse *p, const yaml_event_t *e)
{
    struct cfg_node *n = scalar_new(p, e);
    if (n && expects_key(p))
        take_key(p, e, n);
    else if (n)
        attach(p, n);
}

static void take_alias(struct parse *p, const yaml_event_t *e)
{
    refuse_at(p, e, "aliases (*name) are not used here; write the value out");
    struct cfg_node *n = node_new(p, CFG_SCALAR, e);
    if (!n)
        return;
    n->bad = true;
    if (expects_key(p)) {
        p->key[p->depth - 1] = n;
        p->key_refused[p->depth - 1] = true;
    } else {
        attach(p, n);
    }
}

static void take_document(struct parse *p, const yaml_event_t *e)
{
    if (e->data.document_start.version_directive ||
        e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
        refuse_at(p, e, "directives (%) are not used here");
    if (p->documents++ == 0)
        return;
    refuse_at(p, e, "a second document begins here; one file holds one");
    p->stop = true;
}

static void take_event(struct parse *p, const yaml_event_t *e)
{
    refuse_decoration(p, e);
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        take_document(p, e);
        break;
    case YAML_SCALAR_EVENT:
        take_scalar(p, e);
        break;
    case YAML_ALIAS_EVENT:
        take_alias(p, e);
        break;
    case YAML_SEQUENCE_START_EVENT:
        open_collection(p, e, CFG_LIST, e->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE);
        break;
    case YAML_MAPPING_START_EVENT:
        open_collection(p, e, CFG_MAP, e->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        close_collection(p, e);
        break;
    default: /* stream start and end, document end */
        break;
    }
}

static void syntax_problem(struct parse *p, const yaml_parser_t *y)
{
    if (y->error == YAML_MEMORY_ERROR) {
        p->nomem = true;
        return;
    }
    const char *context = y->context ? y->context : "";
    cfg_problem_place(p->problems, (unsigned)y->problem_mark.line + 1,
        (unsigned)y->problem_mark.column + 1, 1, "", "not YAML: %s%s%s",
        y->problem ? y->problem : "unreadable", *context ? ", " : "", context);
}

/* True when the whole file was read. */
static bool read_events(struct parse *p)
{
    yaml_parser_t y;
    bool done = false;
    if (!yaml_parser_initialize(&y)) {
        p->nomem = true;
        return false;
    }
    yaml_parser_set_encoding(&y, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&y, (const unsigned char *)p->text, p->size);
    while (!done && !p->stop) {
        yaml_event_t e;
        if (!yaml_parser_parse(&y, &e)) {
            syntax_problem(p, &y);
            break;
        }
        take_event(p, &e);
        done = e.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&y);
    return done && !p->stop;
}

struct cfg_tree *cfg_tree_parse(const char *text, size_t size, struct config_problems *problems)
{
    struct parse p = {.problems = problems, .text = text, .size = size};
    if (size > CONFIG_FILE_MAX) {
        cfg_problems_begin(problems, NULL, 0);
        cfg_problem_place(problems, 1, 1, 1, "", "the file has %zu bytes; at most %u are read",
            size, CONFIG_FILE_MAX);
        return NULL;
    }
    cfg_problems_begin(problems, text, size);
    if (!characters_ok(&p))
        return NULL;
    p.tree = calloc(1, sizeof *p.tree);
    bool ok = p.tree && read_events(&p);
    if (!p.tree || p.nomem)
        cfg_problem_place(problems, 1, 1, 1, "", "out of memory");
    else if (ok && !p.tree->root)
        cfg_problem_place(problems, 1, 1, 1, "", "the file is empty");
    if (!ok || p.nomem || !p.tree->root) {
        cfg_tree_free(p.tree);
        return NULL;
    }
    return p.tree;
}
