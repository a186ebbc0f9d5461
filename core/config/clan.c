/* clan.yaml: what must fit together, and the model. */
#include "config/clan.h"

#include "base/error.h"
#include "base/text.h"
#include "config/problem.h"
#include "config/schema.h"
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_TRANSPORT "tcp-noise"

/* Every name that is taken, sorted; services and machines share one namespace. */
struct taken {
    const char *name;
    struct cfg_node *node; /* whose line a problem names */
    bool machine;
};
struct check {
    struct config_problems *problems;
    struct cfg_node *root;
    struct taken *names;
    unsigned name_count;
    bool machines_known; /* no problem inside machines: */
};

static const char *scalar(const struct cfg_node *n)
{
    return n && n->kind == CFG_SCALAR && !n->bad && !cfg_is_nothing(n) ? n->text : NULL;
}

static const struct cfg_node *first_of(const struct cfg_node *n)
{
    return n ? n->first : NULL;
}

static int by_name(const void *a, const void *b)
{
    const struct taken *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    if (c)
        return c;
    return x->node->start < y->node->start ? -1 : 1;
}

static const struct taken *find_machine(const struct check *k, const char *name)
{
    unsigned low = 0, high = k->name_count;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (strcmp(k->names[mid].name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < k->name_count && strcmp(k->names[low].name, name) == 0; low++)
        if (k->names[low].machine)
            return &k->names[low];
    return NULL;
}

bool cfg_name_reserved(const char *name, const uint8_t *id)
{
    char own[TEXT_ID_CHARS + 1];
    if (strcmp(name, "all") == 0 || strcmp(name, "provisional") == 0)
        return true;
    if (strncmp(name, "m-", 2) != 0 || strlen(name) != 10 ||
        strspn(name + 2, "abcdefghijklmnopqrstuvwxyz234567") != 8)
        return false;
    if (!id)
        return true;
    text_base32(id, 32, own);
    return strncmp(name + 2, own, 8) != 0;
}

static void check_reserved(
    struct check *k, struct cfg_node *at, const char *name, const uint8_t *id)
{
    if (!cfg_name_reserved(name, id))
        return;
    if (name[0] == 'm')
        cfg_problem(
            k->problems, at, "the name %s is kept for the machine whose ID begins so", name);
    else
        cfg_problem(k->problems, at, "the name %s means something else in \"allow:\"", name);
}

static bool collect_names(struct check *k)
{
    struct cfg_node *machines = cfg_get(k->root, "machines"),
                    *services = cfg_get(k->root, "services");
    size_t most = (machines ? machines->count : 0) + (services ? services->count : 0);
    k->names = calloc(most + 1, sizeof *k->names);
    if (!k->names)
        return false;
    for (struct cfg_node *m = machines ? machines->first : NULL; m; m = m->next) {
        struct cfg_node *name = cfg_get(m, "name");
        uint8_t id[32];
        if (!m->key || !scalar(name) || !cfg_id(m->key->text, id))
            continue; /* no key: a list stands where a map belongs */
        check_reserved(k, name, name->text, id);
        k->names[k->name_count++] = (struct taken){name->text, name, true};
    }
    for (struct cfg_node *s = services ? services->first : NULL; s; s = s->next) {
        if (!s->key || !text_name_ok(s->key->text))
            continue;
        check_reserved(k, s->key, s->key->text, NULL);
        k->names[k->name_count++] = (struct taken){s->key->text, s->key, false};
    }
    qsort(k->names, k->name_count, sizeof *k->names, by_name);
    k->machines_known = !machines || !machines->bad;
    return true;
}

static void check_unique(struct check *k)
{
    const struct taken *first = k->names;
    for (unsigned i = 1; i < k->name_count; i++) {
        struct taken *t = &k->names[i];
        if (strcmp(t->name, first->name) == 0)
            cfg_problem_place(k->problems, t->node->line, t->node->column, t->node->length, "",
                "the name %s is taken by a %s in line %u; machines and services share their names",
                t->name, first->machine ? "machine" : "service", first->node->line);
        else
            first = t;
    }
}

static void check_machine_named(struct check *k, struct cfg_node *n)
{
    char hint[80] = "";
    const char *name = scalar(n);
    if (!name || !k->machines_known || find_machine(k, name))
        return;
    struct cfg_suggest s = cfg_suggest_for(name);
    if (cfg_problems_room(k->problems, n->line, n->column))
        for (unsigned i = 0; i < k->name_count; i++)
            if (k->names[i].machine)
                cfg_suggest_try(&s, k->names[i].name);
    cfg_problem(k->problems, n, "no machine is called \"%s\"%s", name,
        cfg_suggest_text(&s, hint, sizeof hint));
}

static void check_admins(struct check *k)
{
    struct cfg_node *admins = cfg_get(k->root, "admins"), *keys = cfg_get(admins, "keys");
    struct cfg_node *threshold = cfg_get(admins, "threshold");
    uint64_t m;
    if (!keys || keys->kind != CFG_MAP || keys->count > CONFIG_ADMINS_MAX)
        return;
    for (struct cfg_node *a = keys->first; a; a = a->next)
        for (struct cfg_node *b = keys->first; b != a && scalar(a); b = b->next)
            if (scalar(b) && strcmp(a->text, b->text) == 0) {
                cfg_problem(k->problems, a,
                    "is the key of %.32s too; each admin has a key of its own", b->key->text);
                break;
            }
    if (!scalar(threshold) || !cfg_number(threshold->text, 1, CONFIG_ADMINS_MAX, &m) ||
        !keys->count)
        return;
    if (m > keys->count)
        cfg_problem(k->problems, threshold,
            "%u signatures of %u admins: nobody could change anything", (unsigned)m, keys->count);
    else if (m * 2 <= keys->count)
        cfg_problem(k->problems, threshold,
            "%u of %u admins is not more than half: two groups could sign different versions; "
            "write %u or more",
            (unsigned)m, keys->count, keys->count / 2 + 1);
}

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

static void check_settings(struct check *k, const struct cfg_node *service)
{
    static const char *const secret[] = {"password", "passwd", "passphrase", "secret", "token"};
    for (const struct cfg_node *s = first_of(cfg_get(service, "settings")); s; s = s->next)
        for (unsigned i = 0; s->key && i < sizeof secret / sizeof secret[0]; i++)
            if (ends_with(s->key->text, secret[i])) {
                cfg_problem_key(k->problems, (struct cfg_node *)(uintptr_t)s, false,
                    "settings hold no secrets: every member, also of later times, can read them");
                break;
            }
}

static const struct cfg_node *order_of(const struct cfg_node *root)
{
    return cfg_get(cfg_get(root, "transports"), "order");
}

/* What is nowhere in the order runs nowhere: it would be out of reach for ever. */
static void check_via(struct check *k, const struct cfg_node *of)
{
    const struct cfg_node *order = order_of(k->root);
    struct cfg_node *via = cfg_get(of, "via");
    for (struct cfg_node *v = via ? via->first : NULL; v; v = v->next) {
        bool found = !order && scalar(v) && strcmp(v->text, DEFAULT_TRANSPORT) == 0;
        for (const struct cfg_node *t = first_of(order); t && scalar(v); t = t->next)
            found = found || (scalar(t) && strcmp(t->text, v->text) == 0);
        if (scalar(v) && !found)
            cfg_problem(k->problems, v,
                "%s is no transport of this clan: add it to \"order:\" of \"transports:\"",
                v->text);
    }
}

static void check_service(struct check *k, struct cfg_node *service)
{
    struct cfg_node *place = cfg_get(service, "place"), *on = cfg_get(place, "on");
    if (place && !place->bad && !on)
        cfg_problem_key(k->problems, place, false, "a machine is missing: write {on: MACHINE}");
    if (on)
        check_machine_named(k, on);
    struct cfg_node *allow = cfg_get(service, "allow");
    for (struct cfg_node *a = allow ? allow->first : NULL; a; a = a->next) {
        const char *who = scalar(a);
        if (who && strcmp(who, "all") != 0 && strcmp(who, "provisional") != 0 &&
            strncmp(who, "tag:", 4) != 0)
            check_machine_named(k, a);
    }
    check_settings(k, service);
    check_via(k, service);
}

/* A machine is one person's. */
static void check_people(struct check *k, const struct cfg_node *people)
{
    for (const struct cfg_node *p = first_of(people); p; p = p->next) {
        const struct cfg_node *list = p->kind == CFG_MAP ? cfg_get(p, "machines") : NULL;
        for (const struct cfg_node *m = first_of(list); m; m = m->next) {
            const char *name = scalar(m);
            check_machine_named(k, (struct cfg_node *)(uintptr_t)m);
            for (const struct cfg_node *q = first_of(people); name && q != p; q = q->next)
                for (const struct cfg_node *o =
                         first_of(q->kind == CFG_MAP ? cfg_get(q, "machines") : NULL);
                     o; o = o->next)
                    if (scalar(o) && strcmp(scalar(o), name) == 0)
                        cfg_problem(k->problems, (struct cfg_node *)(uintptr_t)m,
                            "%s is %s's already", name, q->key->text);
        }
    }
}

static bool check_all(struct config_problems *problems, struct cfg_node *root)
{
    struct check k = {.problems = problems, .root = root};
    if (root->kind != CFG_MAP)
        return true;
    if (!collect_names(&k))
        return false;
    check_unique(&k);
    check_admins(&k);
    struct cfg_node *keeper = cfg_get(root, "keeper"), *services = cfg_get(root, "services");
    check_people(&k, cfg_get(root, "people"));
    for (const struct cfg_node *m = first_of(cfg_get(root, "machines")); m; m = m->next)
        if (m->kind == CFG_MAP)
            check_via(&k, m);
    for (struct cfg_node *n = keeper ? keeper->first : NULL; n; n = n->next)
        check_machine_named(&k, n);
    for (struct cfg_node *s = services ? services->first : NULL; s; s = s->next)
        if (s->kind == CFG_MAP)
            check_service(&k, s);
    free(k.names);
    return true;
}

/* From here on the tree is known to be right. */

#define COPY(array, text) copy_text(array, sizeof(array), text)
static void copy_text(char *ret, size_t cap, const char *text)
{
    size_t len = strlen(text);
    clan_assert(len < cap);
    memcpy(ret, text, len);
}

static void copy_list(const struct cfg_node *list, char *ret, size_t cap, unsigned *ret_count)
{
    for (const struct cfg_node *n = first_of(list); n; n = n->next, ret += cap)
        copy_text(ret, cap, n->text);
    *ret_count = list ? list->count : 0;
}

static uint64_t number_of(const struct cfg_node *n, uint64_t fallback)
{
    uint64_t v = fallback;
    if (n)
        clan_assert(cfg_number(n->text, 0, UINT64_MAX, &v));
    return v;
}

static uint8_t via_of(const struct clan_config *c, const struct cfg_node *list)
{
    uint8_t via = 0;
    _Static_assert(CONFIG_TRANSPORTS_MAX <= 8, "a bit for each");
    for (const struct cfg_node *n = first_of(list); n; n = n->next)
        for (unsigned i = 0; i < c->transport_count; i++)
            if (strcmp(c->transports[i], n->text) == 0)
                via |= (uint8_t)(1u << i);
    return via;
}

static void fill_service(
    const struct clan_config *c, struct clan_config_service *s, const struct cfg_node *n)
{
    COPY(s->name, n->key->text);
    COPY(s->plugin, cfg_get(n, "plugin")->text);
    COPY(s->on, cfg_get(cfg_get(n, "place"), "on")->text);
    s->copies = 1;
    s->port = (uint16_t)number_of(cfg_get(n, "port"), 0);
    s->via = via_of(c, cfg_get(n, "via"));
    copy_list(cfg_get(n, "allow"), s->allow[0], sizeof s->allow[0], &s->allow_count);
    for (const struct cfg_node *v = first_of(cfg_get(n, "settings")); v; v = v->next) {
        struct clan_config_setting *set = &s->settings[s->setting_count++];
        COPY(set->key, v->key->text);
        COPY(set->value, v->text);
    }
}

static void fill_machines(struct clan_config *c, const struct cfg_node *machines)
{
    for (const struct cfg_node *n = first_of(machines); n; n = n->next) {
        struct clan_config_machine *m = &c->machines[c->machine_count++];
        clan_assert(cfg_id(n->key->text, m->id));
        COPY(m->name, cfg_get(n, "name")->text);
        copy_list(cfg_get(n, "tags"), m->tags[0], sizeof m->tags[0], &m->tag_count);
        m->via = via_of(c, cfg_get(n, "via"));
    }
}

static void fill_people(struct clan_config *c, const struct cfg_node *people)
{
    for (const struct cfg_node *p = first_of(people); p; p = p->next) {
        const struct cfg_node *role = cfg_get(p, "role");
        for (const struct cfg_node *n = first_of(cfg_get(p, "machines")); n; n = n->next)
            for (unsigned i = 0; i < c->machine_count; i++) {
                struct clan_config_machine *m = &c->machines[i];
                if (strcmp(m->name, n->text) != 0)
                    continue;
                COPY(m->person, p->key->text);
                m->role = !role                              ? CONFIG_MEMBER
                          : strcmp(role->text, "admin") == 0 ? CONFIG_ADMIN
                          : strcmp(role->text, "guest") == 0 ? CONFIG_GUEST
                                                             : CONFIG_MEMBER;
            }
    }
}

static struct clan_config *fill(const struct cfg_node *root)
{
    const struct cfg_node *machines = cfg_get(root, "machines");
    const struct cfg_node *admins = cfg_get(root, "admins");
    struct clan_config *c = calloc(1, sizeof *c);
    /* room for one more: edits compare with a model that has it */
    struct clan_config_machine *list = calloc((machines ? machines->count : 0) + 1, sizeof *list);
    if (!c || !list) {
        free(c);
        free(list);
        return NULL;
    }
    c->machines = list;
    c->version = number_of(cfg_get(root, "version"), 0);
    COPY(c->clan, cfg_get(root, "clan")->text);
    c->threshold = (unsigned)number_of(cfg_get(admins, "threshold"), 0);
    for (const struct cfg_node *n = first_of(cfg_get(admins, "keys")); n; n = n->next) {
        struct clan_config_admin *a = &c->admins[c->admin_count++];
        COPY(a->name, n->key->text);
        clan_assert(cfg_admin_key(n->text, a->key));
    }
    copy_list(cfg_get(root, "keeper"), c->keepers[0], sizeof c->keepers[0], &c->keeper_count);
    copy_list(cfg_get(cfg_get(root, "transports"), "order"), c->transports[0],
        sizeof c->transports[0], &c->transport_count);
    if (c->transport_count == 0) {
        COPY(c->transports[0], DEFAULT_TRANSPORT);
        c->transport_count = 1;
    }
    fill_machines(c, machines);
    fill_people(c, cfg_get(root, "people"));
    for (const struct cfg_node *n = first_of(cfg_get(root, "services")); n; n = n->next)
        fill_service(c, &c->services[c->service_count++], n);
    return c;
}

clan_status cfg_clan_load(const char *text, size_t size, struct config_problems *problems,
    struct cfg_tree **ret_tree, struct clan_config **ret_config)
{
    struct cfg_tree *tree = cfg_tree_parse(text, size, problems);
    if (!tree)
        return CLAN_E_INVAL;
    struct cfg_node *root = cfg_tree_root(tree);
    cfg_walk(&cfg_schema_clan, root, problems);
    struct clan_config *c = NULL;
    clan_status s = check_all(problems, root) ? CLAN_OK : CLAN_E_NOMEM;
    if (s == CLAN_OK && config_problems_count(problems))
        s = CLAN_E_INVAL;
    if (s == CLAN_OK) {
        c = fill(root);
        s = c ? CLAN_OK : CLAN_E_NOMEM;
    }
    if (s != CLAN_OK) {
        cfg_tree_free(tree);
        return s;
    }
    *ret_tree = tree;
    *ret_config = c;
    return CLAN_OK;
}

clan_status config_clan_parse(const char *text, size_t size, struct config_problems *problems,
    struct clan_config **ret_config)
{
    struct cfg_tree *tree = NULL;
    clan_status s = cfg_clan_load(text, size, problems, &tree, ret_config);
    if (s == CLAN_OK)
        cfg_tree_free(tree);
    return s;
}

void config_clan_free(struct clan_config *c)
{
    if (!c)
        return;
    free(c->machines);
    free(c);
}

bool cfg_clan_equal(const struct clan_config *a, const struct clan_config *b)
{
    struct clan_config x = *a;
    x.machines = b->machines;
    return memcmp(&x, b, sizeof x) == 0 &&
           (a->machine_count == 0 ||
               memcmp(a->machines, b->machines, a->machine_count * sizeof *a->machines) == 0);
}

clan_status config_clan_first(const char *clan, const char *admin_name, const uint8_t admin_key[32],
    const uint8_t machine_id[32], const char *machine, const char (*transports)[33],
    unsigned transport_count, char **ret_text, size_t *ret_size)
{
    char key[TEXT_ID_CHARS + 1], id[TEXT_ID_CHARS + 1], *text = NULL;
    char order[CONFIG_TRANSPORTS_MAX * 36] = "";
    if (!text_name_ok(clan) || !text_name_ok(admin_name) || !text_name_ok(machine) ||
        cfg_name_reserved(machine, machine_id))
        return CLAN_E_INVAL;
    text_base32(admin_key, 32, key);
    text_base32(machine_id, 32, id);
    for (unsigned i = 0; i < transport_count && i < CONFIG_TRANSPORTS_MAX; i++)
        snprintf(order + strlen(order), sizeof order - strlen(order), "%s%.32s", i ? ", " : "",
            transports[i]);
    int len = asprintf(&text,
        "# clan.yaml: what the clan is. Every member has it, admins sign each version.\n"
        "# yaml-language-server: $schema=file:///usr/share/clan/clan.schema.json\n"
        "version: 2\n"
        "clan: \"%s\"\n"
        "\n"
        "# Who may change this file, and how many of them must sign (more than half).\n"
        "admins:\n"
        "  threshold: 1\n"
        "  keys:\n"
        "    \"%s\": \"ed25519:%s\"\n"
        "\n"
        "# Counts invitations of one use; best a machine that is always on.\n"
        "keeper: [\"%s\"]\n"
        "transports: {order: [%s]}\n"
        "\n"
        "# Names and tags. Members are made by invitations: clan invite\n"
        "machines:\n"
        "  \"%s\": {name: \"%s\"}\n"
        "\n"
        "# What runs in the clan: clan enable files --on %s\n"
        "services: {}\n",
        clan, admin_name, key, machine, order[0] ? order : "tcp-noise", id, machine, machine);
    if (len < 0)
        return CLAN_E_NOMEM;
    struct config_problems *p = config_problems_new("clan.yaml");
    struct clan_config *c = NULL;
    clan_status s = p ? config_clan_parse(text, (size_t)len, p, &c) : CLAN_E_NOMEM;
    config_problems_free(p);
    config_clan_free(c);
    if (s != CLAN_OK) { /* a key that is no key */
        free(text);
        return s;
    }
    *ret_text = text;
    *ret_size = (size_t)len;
    return CLAN_OK;
}
