/* clan-plugin-check FILE.so: the options, the checks in order, the exit status. */
#include "check/tool/tool.h"

#include "base/text.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* clang-format off */
const struct try_row try_table[] = {
    {"static.note", try_static_note, 2000, 0, "the note is there and says what may be said"},
    {"static.hardening", try_static_hardening, 2000, NEEDS_NOTE, "relro, now, no executable stack, no writable code"},
    {"static.paths", try_static_paths, 2000, NEEDS_NOTE, "no RPATH and no RUNPATH"},
    {"static.libraries", try_static_libraries, 4000, NEEDS_NOTE, "needs declared libraries only, and they define every symbol"},
    {"static.symbols", try_static_symbols, 2000, NEEDS_NOTE, "exports clan_plugin_query and nothing else"},
    {"load.open", try_load_open, 3000, NEEDS_NOTE, "loads, and the descriptor says what the note says"},
    {"load.time", try_load_time, 5000, NEEDS_LOAD, "loads within 100 ms"},
    {"load.threads", try_load_threads, 3000, NEEDS_LOAD, "constructors start no thread"},
    {"load.descriptors", try_load_descriptors, 3000, NEEDS_LOAD, "constructors open nothing"},
    {"load.children", try_load_children, 3000, NEEDS_LOAD, "constructors start no process"},
    {"protocol.cycle", try_cycle, 8000, NEEDS_LOAD, "100 times create and destroy lose no memory, descriptor or thread"},
    {"protocol.interfaces", try_interfaces, 3000, NEEDS_LOAD, "offers its kind's table, and NULL for unknown ids"},
    {"protocol.settings", try_settings, 3000, NEEDS_LOAD, "a refused setting is refused with three sentences"},
    {"protocol.states", try_states, 6000, NEEDS_LOAD, "can be ended in every state and leaves nothing with the host"},
    {"protocol.answers", try_answers, 8000, NEEDS_LOAD, "a dial or a question for health is answered once"},
    {"protocol.small-host", try_small_host, 6000, NEEDS_LOAD, "lives with a host that offers less, or refuses with text"},
    {"sandbox.run", try_sandbox, 15000, NEEDS_LOAD | AS_ROOT, "runs with exactly the permissions that its note asks for"},
    {"fuzz.settings", try_fuzz_settings, 4000, NEEDS_LOAD, "random settings do no harm"},
    {"fuzz.peer", try_fuzz_peer, 5000, NEEDS_LOAD, "random bytes, calls and answers do no harm"},
    {0}
};
/* clang-format on */

static const char usage[] =
    "usage: clan-plugin-check [OPTION...] FILE.so\n"
    "Checks a plugin of Clan, each check in a process of its own with a time limit.  It runs the "
    "plugin's\n"
    "code: started by root as user nobody, else with your rights, and in Clan's sandbox only for "
    "sandbox.run.\n"
    "  --setting KEY=VALUE    a setting that the plugin gets, as in clan.yaml; may be repeated\n"
    "  --json                 results as JSON\n"
    "  --only NAME[,NAME]     these checks, or groups of them (static, load, protocol, sandbox, "
    "fuzz)\n"
    "  --list                 the names of the checks and what they make sure of\n"
    "  --seed N               numbers of the fuzz checks; random and printed without\n"
    "  --reproduce SEED:CASE  one fuzz case again\n"
    "  --fuzz-ms N            time for each fuzz check, 1500 without\n"
    "  --in-process           no process of its own, for gdb; with --only or --reproduce\n"
    "  --host FILE            the clan-host for sandbox.run\n"
    "Exit status: 0 all passed, 1 a check failed, 2 wrong use, 3 none failed but some could not "
    "run.\n";

static bool wanted(const char *only, const char *name)
{
    size_t len = strlen(name), group = strcspn(name, ".");
    while (only && *only) {
        size_t n = strcspn(only, ",");
        if ((n == len || n == group) && strncmp(only, name, n) == 0)
            return true;
        only += n + (only[n] == ',');
    }
    return !only;
}

static bool known(const char *only)
{
    for (size_t n; only && *only; only += n + (only[n] == ',')) {
        const struct try_row *row = try_table;
        char one[64];
        n = strcspn(only, ",");
        snprintf(one, sizeof one, "%.*s", (int)n, only);
        while (row->name && !wanted(one, row->name))
            row++;
        if (!row->name) {
            fprintf(stderr, "clan-plugin-check: no check \"%s\"; see --list\n", one);
            return false;
        }
    }
    return true;
}

/* The very bytes that were checked are loaded: a sealed copy, which user nobody can read too. */
static bool take_copy(struct subject *s)
{
    struct clan_error e = CLAN_ERROR_INIT;
    int in = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (in < 0) {
        fprintf(stderr, "clan-plugin-check: %s cannot be read: %m\n", s->path);
        return false;
    }
    if (note_source_fd(in, s->name, &s->src, &e) != CLAN_OK) {
        fprintf(stderr, "clan-plugin-check: %s: %s\n  to do: %s\n", e.what, e.why, e.remedy);
        close(in);
        return false;
    }
    s->fd = memfd_create("plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    uint64_t left = s->src.size;
    while (s->fd >= 0 && left) {
        ssize_t n = sendfile(s->fd, in, NULL, left);
        if (n <= 0)
            break;
        left -= (uint64_t)n;
    }
    close(in);
    if (s->fd < 0 || left ||
        fcntl(s->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
        fprintf(stderr, "clan-plugin-check: %s cannot be copied: %m\n", s->path);
        return false;
    }
    s->src.fd = s->fd;
    if (s->in_process)
        snprintf(s->load, sizeof s->load, "%s", s->path);
    else
        snprintf(s->load, sizeof s->load, "/proc/self/fd/%d", s->fd);
    return true;
}

static bool parse_number(const char *text, char end, uint64_t *ret, const char **ret_rest)
{
    char *stop;
    *ret = strtoull(text, &stop, 10);
    if (stop == text || *stop != end || text[0] == '-')
        return false;
    if (ret_rest)
        *ret_rest = stop + 1;
    return true;
}

/* KEY=VALUE; the limits are those of what core sends to a plugin. */
static bool take_setting(struct subject *s, char *text)
{
    char *equals = strchr(text, '=');
    size_t key = equals ? (size_t)(equals - text) : 0;
    const char *fault =
        !key                                     ? "is not KEY=VALUE"
        : key >= 64 || strlen(equals + 1) >= 256 ? "is too long: 63 and 255 bytes are the most"
        : s->setting_count == SETTINGS_MAX ? "is one more than 32, the most that a plugin gets"
                                           : NULL;
    if (fault) {
        fprintf(stderr, "clan-plugin-check: --setting %s %s\n", text, fault);
        return false;
    }
    *equals = 0;
    s->settings[s->setting_count++] = (struct clan_setting){text, equals + 1};
    return true;
}

static int run_all(struct subject *s, const char *only, bool json)
{
    struct shown list[sizeof try_table / sizeof try_table[0]];
    unsigned count = 0, failed = 0, missed = 0;
    struct clan_error e = CLAN_ERROR_INIT;
    bool note = note_read(&s->src, s->name, &s->note, &e) == CLAN_OK, loads = note;
    if (!note)
        memset(&s->note, 0, sizeof s->note);
    for (const struct try_row *row = try_table; row->name; row++) {
        struct shown *at = &list[count];
        bool opens = row->fn == try_load_open && note;
        if (!wanted(only, row->name) && !opens)
            continue;
        *at = (struct shown){.row = row};
        if (!note && (row->flags & (NEEDS_NOTE | NEEDS_LOAD)))
            try_skip(&at->report, "", "a file without a good note is never loaded");
        else if (!loads && (row->flags & NEEDS_LOAD))
            try_skip(&at->report, "", "the plugin cannot be loaded");
        else
            run_try(row, s, &at->report, &at->ms);
        if (opens)
            loads = at->report.result == TRY_PASSED;
        if (!wanted(only, row->name) && loads)
            continue;
        failed += at->report.result == TRY_FAILED;
        missed += at->report.result == TRY_NOT_RUN;
        count++;
    }
    if (json && show_json(s, list, count) != 0)
        return EXIT_FAILED;
    if (!json && !note)
        fprintf(stderr, "clan-plugin-check: %s: %s\n  to do: %s\n", e.what, e.why, e.remedy);
    else if (!json)
        show_text(s, list, count);
    return failed ? EXIT_FAILED : missed ? EXIT_INCOMPLETE : EXIT_PASSED;
}

static int options(int argc, char **argv, struct subject *s, const char **only, bool *json)
{
    static const struct option names[] = {{"json", 0, NULL, 'j'}, {"only", 1, NULL, 'o'},
        {"list", 0, NULL, 'l'}, {"seed", 1, NULL, 's'}, {"reproduce", 1, NULL, 'r'},
        {"fuzz-ms", 1, NULL, 'm'}, {"in-process", 0, NULL, 'i'}, {"host", 1, NULL, 'h'},
        {"setting", 1, NULL, 'k'}, {"help", 0, NULL, '?' + 1}, {0}};
    const char *rest;
    uint64_t n;
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (c == 'j')
            *json = true;
        else if (c == 'o' && known(optarg))
            *only = optarg;
        else if (c == 's' && parse_number(optarg, 0, &s->seed, NULL))
            continue;
        else if (c == 'm' && parse_number(optarg, 0, &n, NULL) && n >= 1 && n <= 600000)
            s->fuzz_ms = (unsigned)n;
        else if (c == 'i')
            s->in_process = true;
        else if (c == 'h')
            s->host = optarg;
        else if (c == 'k' && take_setting(s, optarg))
            continue;
        else if (c == 'r' && parse_number(optarg, ':', &s->seed, &rest) &&
                 parse_number(rest, 0, &n, NULL) && n <= UINT32_MAX) {
            s->reproduce = true;
            s->only_case = (uint32_t)n;
        } else if (c == 'l') {
            for (const struct try_row *row = try_table; row->name; row++)
                printf("%-22s %s\n", row->name, row->about);
            return EXIT_PASSED;
        } else if (c == '?' + 1) {
            fputs(usage, stdout);
            return EXIT_PASSED;
        } else {
            fputs(usage, stderr);
            return EXIT_USE;
        }
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct subject s = {.fd = -1, .fuzz_ms = 1500, .host = CLAN_LIBEXECDIR "/clan-host"};
    const char *only = NULL;
    bool json = false;
    if (getrandom(&s.seed, sizeof s.seed, 0) != sizeof s.seed)
        s.seed = now_ms();
    s.seed >>= 12; /* readable, and exact in every JSON reader */
    int done = options(argc, argv, &s, &only, &json);
    if (done >= 0)
        return done;
    if (optind + 1 != argc || (s.in_process && !only && !s.reproduce)) {
        fputs(usage, stderr);
        return EXIT_USE;
    }
    if (s.reproduce)
        only = s.only_case % 2 ? "fuzz.peer" : "fuzz.settings";
    s.path = argv[optind];
    s.name = strrchr(s.path, '/') ? strrchr(s.path, '/') + 1 : s.path;
    if (!take_copy(&s))
        return EXIT_USE;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return run_all(&s, only, json);
}
