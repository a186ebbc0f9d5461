/* Static rules and loading: what the file says, and what its constructors do. */
#include "check/tool/tool.h"

#include <clan/plugin.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOAD_LIMIT_MS 100 /* as CLAP's validator */

/* ---- static ---- */

void try_static_note(struct subject *s, struct try_report *r)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct clan_note_setting settings[CLAN_NOTE_SETTINGS_MAX];
    struct clan_note_body note;
    uint32_t count;
    if (note_read(&s->src, s->name, &note, &e) == CLAN_OK &&
        note_read_settings(&s->src, s->name, settings, &count, &e) == CLAN_OK)
        try_pass(r);
    else
        try_error(r, &e);
}

static bool rule(struct subject *s, struct try_report *r, enum check_rule which)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (note_check_rule(&s->src, s->name, which, &e) == CLAN_OK)
        return true;
    try_error(r, &e);
    return false;
}

void try_static_hardening(struct subject *s, struct try_report *r)
{
    if (rule(s, r, CHECK_RULE_HARDENING))
        try_pass(r);
}

void try_static_paths(struct subject *s, struct try_report *r)
{
    if (rule(s, r, CHECK_RULE_PATHS))
        try_pass(r);
}

void try_static_symbols(struct subject *s, struct try_report *r)
{
    if (rule(s, r, CHECK_RULE_SYMBOLS))
        try_pass(r);
}

struct libraries {
    void *handle[64];
    unsigned count;
    struct try_report *r;
};

static void open_library(void *user, const char *name)
{
    struct libraries *l = user;
    if (l->count < 64 && !(l->handle[l->count++] = dlopen(name, RTLD_LAZY | RTLD_LOCAL)))
        try_fail(l->r, "install the package that the library is in", "the library %s: %s", name,
            dlerror());
}

static void find_symbol(void *user, const char *name)
{
    struct libraries *l = user;
    for (unsigned i = 0; i < l->count; i++)
        if (l->handle[i] && dlsym(l->handle[i], name))
            return;
    if (l->r->result != TRY_FAILED)
        try_fail(l->r, "link it with -Wl,-z,defs, which names what is missing",
            "no library that it needs defines %s", name);
}

/* The libraries are of the system, by their names: looking into them runs none of the plugin. */
void try_static_libraries(struct subject *s, struct try_report *r)
{
    struct libraries l = {.r = r};
    struct clan_error e = CLAN_ERROR_INIT;
    if (!rule(s, r, CHECK_RULE_LIBRARIES))
        return;
    if (note_each_library(&s->src, s->name, open_library, &l, &e) != CLAN_OK ||
        note_each_undefined(&s->src, s->name, find_symbol, &l, &e) != CLAN_OK)
        try_error(r, &e);
    try_pass(r);
}

/* ---- load ---- */

static void *load(struct subject *s, struct try_report *r)
{
    snprintf(r->doing, sizeof r->doing, "loading: a constructor");
    void *so = dlopen(s->load, RTLD_NOW | RTLD_LOCAL);
    if (!so)
        try_fail(r, "install the libraries it needs, or link it with -Wl,-z,defs", "%s", dlerror());
    return so;
}

void try_load_open(struct subject *s, struct try_report *r)
{
    struct clan_error e = CLAN_ERROR_INIT;
    void *so = load(s, r), *symbol = so ? dlsym(so, CLAN_PLUGIN_QUERY_NAME) : NULL;
    clan_plugin_query_fn *query;
    memcpy(&query, &symbol, sizeof query);
    if (!so)
        return;
    snprintf(r->doing, sizeof r->doing, CLAN_PLUGIN_QUERY_NAME "()");
    if ((query ? check_descriptor(&s->note, query(), &e) : check_no_query(&s->note, &e)) != CLAN_OK)
        try_error(r, &e);
    try_pass(r);
}

/* The best of three, each in a process of its own: constructors run once. */
void try_load_time(struct subject *s, struct try_report *r)
{
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < 3 && best > LOAD_LIMIT_MS; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
            uint64_t begun = now_ms();
            dlopen(s->load, RTLD_NOW | RTLD_LOCAL);
            r->value = now_ms() - begun;
            _exit(0);
        }
        if (pid < 0)
            break;
        r->value = 1500;
        wait_limited(pid, 1500, &status);
        best = r->value < best ? r->value : best;
    }
    if (best > LOAD_LIMIT_MS)
        try_fail(r, "move the work from constructors to create() or start()",
            "loading it took %llu ms at best; %u are allowed", (unsigned long long)best,
            LOAD_LIMIT_MS);
    try_pass(r);
}

void try_load_threads(struct subject *s, struct try_report *r)
{
    unsigned before = count_entries("/proc/self/task");
    if (load(s, r) && count_entries("/proc/self/task") != before)
        try_fail(r, "start threads in start(), end them in stop()",
            "a thread runs after it was only loaded");
    try_pass(r);
}

void try_load_descriptors(struct subject *s, struct try_report *r)
{
    unsigned before = count_entries("/proc/self/fd");
    if (!load(s, r))
        return;
    unsigned after = count_entries("/proc/self/fd");
    if (after != before)
        try_fail(r, "open in start(), close in stop()",
            "%d descriptors were opened or closed by constructors", (int)after - (int)before);
    try_pass(r);
}

void try_load_children(struct subject *s, struct try_report *r)
{
    if (load(s, r) && has_children())
        try_fail(r, "a plugin starts no process; programs are run by clan_program_host",
            "a process was started by a constructor");
    try_pass(r);
}
