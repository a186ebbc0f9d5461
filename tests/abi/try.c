/* Gives one plugin file to clan-host or to the static checks, and says whether what had to happen did. */
/*
 * try life HOST FILE ID            a whole life as core leads it: create, start, calls of its kind, stop
 * try refuse HOST FILE ID WORD...  refused at load or at create, with all words in its three sentences
 * try death HOST FILE ID WORD...   ends the process while it is loaded, with all words in the log
 * try check FILE WORD...           refused before any of its code runs; without words: not refused
 * try cut FILE                     each beginning of the file is refused
 */
#include "../unit/host_child.h"
#include "check/elf.h"
#include "check/note.h"

#include <sys/mman.h>

static char **words; /* of the command line */

static void expect_words(const char *text)
{
    for (char **w = words; *w; w++)
        if (!strstr(text, *w))
            fail_msg("no \"%s\" in: %s", *w, text);
}

/* What a user reads names what happened, why, and what to do. */
static void expect_error(const char *what, const char *why, const char *remedy)
{
    char text[1024];
    snprintf(text, sizeof text, "%s | %s | %s", what, why, remedy);
    print_message("%s\n", text);
    if (!what[0] || !why[0] || !remedy[0])
        fail_msg("one of the three sentences is missing");
    expect_words(text);
}

/* ---- clan-host ---- */

static void expect_stream_calls(struct child *c)
{
    int fd = -1;
    char byte = 0;
    clan_host_ToHost *m = to(clan_host_ToHost_dial_tag);
    m->m.dial.request = 5;
    m->m.dial.timeout_ms = 1000;
    strcpy(m->m.dial.endpoint, "pair");
    send_to(c, m);
    clan_host_FromHost *got = next(c, &fd);
    assert_int_equal(got->which_m, clan_host_FromHost_stream_tag);
    assert_int_equal(got->m.stream.request, 5);
    assert_string_equal(got->m.stream.remote, "golden");
    assert_int_equal(read(fd, &byte, 1), 1);
    assert_int_equal(byte, 'g');
    close(fd);
    m->m.dial.request = 6;
    strcpy(m->m.dial.endpoint, "elsewhere");
    send_to(c, m);
    got = next(c, NULL);
    assert_int_equal(got->which_m, clan_host_FromHost_dial_failed_tag);
    assert_int_equal(got->m.dial_failed.error.status, CLAN_E_UNREACHABLE);
    assert_string_equal(got->m.dial_failed.error.what, "failed as asked");
    assert_string_equal(got->m.dial_failed.error.remedy, "dial \"pair\"");
    m = to(clan_host_ToHost_ask_endpoints_tag);
    m->m.ask_endpoints.local_addresses_count = 2;
    send_to(c, m);
    got = next(c, NULL);
    assert_int_equal(got->which_m, clan_host_FromHost_endpoints_tag);
    assert_string_equal(got->m.endpoints.endpoint[0], "golden:2");
}

static void expect_service_calls(struct child *c, bool well)
{
    clan_host_ToHost *m = to(clan_host_ToHost_ask_health_tag);
    m->m.ask_health.request = 3;
    send_to(c, m);
    clan_host_FromHost *got = next(c, NULL);
    assert_int_equal(got->which_m, clan_host_FromHost_health_tag);
    assert_int_equal(got->m.health.request, 3);
    assert_int_equal(got->m.health.ok, well);
    assert_string_equal(got->m.health.text, well ? "" : "golden and well");
}

/* Two of them: the second is found by the host's stride. */
static void create_with_settings(struct child *c)
{
    clan_host_ToHost *m = to(clan_host_ToHost_create_tag);
    strcpy(m->m.create.instance, "one");
    m->m.create.settings_count = 2;
    strcpy(m->m.create.settings[0].key, "first");
    strcpy(m->m.create.settings[0].value, "seen");
    strcpy(m->m.create.settings[1].key, "second");
    strcpy(m->m.create.settings[1].value, "heard");
    send_to(c, m);
}

static void try_life(const char *host, const char *file, const char *id)
{
    struct child *c = start_host(host, file, id);
    bool is_template = strcmp(id, "golden-template") == 0, is_stream = strstr(id, "stream");
    expect_state(c, clan_host_State_STATE_LOADED);
    assert_string_equal(hello(c, 1).plugin, id);
    create_with_settings(c);
    expect_state(c, clan_host_State_STATE_CREATED);
    if (!is_template)
        wait_log(c, "setting second=heard of one");
    send_to(c, to(clan_host_ToHost_start_tag));
    if (is_stream) /* it tells its endpoints inside of start() */
        assert_int_equal(next(c, NULL)->which_m, clan_host_FromHost_endpoints_tag);
    expect_state(c, clan_host_State_STATE_STARTED);
    if (is_stream)
        expect_stream_calls(c);
    else
        expect_service_calls(c, is_template);
    send_to(c, to(clan_host_ToHost_stop_tag));
    expect_state(c, clan_host_State_STATE_STOPPED);
    wait_log(c, "destroyed");
    int status = finish(c);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void try_refuse(const char *host, const char *file, const char *id)
{
    struct child *c = start_host(host, file, id);
    clan_host_FromHost *m = next(c, NULL);
    assert_int_equal(m->which_m, clan_host_FromHost_state_is_tag);
    if (m->m.state_is.state == clan_host_State_STATE_LOADED) {
        create(c, NULL, NULL);
        m = next(c, NULL);
    }
    assert_int_equal(m->which_m, clan_host_FromHost_state_is_tag);
    assert_int_equal(m->m.state_is.state, clan_host_State_STATE_FAILED);
    clan_wire_Error e = m->m.state_is.error;
    send_to(c, to(clan_host_ToHost_stop_tag));
    expect_state(c, clan_host_State_STATE_STOPPED);
    finish(c);
    expect_error(e.what, e.why, e.remedy);
}

static void try_death(const char *host, const char *file, const char *id)
{
    struct child *c = start_host(host, file, id);
    assert_int_equal(next(c, NULL)->which_m, 0);
    read_log(c);
    print_message("%s\n", c->log_text);
    assert_false(c->loaded);
    expect_words(c->log_text);
    finish(c);
}

/* ---- the static checks ---- */

static void try_check(const char *file)
{
    struct check_result r;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    const char *name = strrchr(file, '/');
    assert_true(fd >= 0 && name);
    clan_status st = check_file(fd, name + 1, &r, NULL);
    close(fd);
    if (!words[0] && st != CLAN_OK)
        fail_msg("refused: %s: %s", r.error.what, r.error.why);
    if (!words[0])
        return;
    assert_int_not_equal(st, CLAN_OK);
    expect_error(r.error.what, r.error.why, r.error.remedy);
}

/* Beyond the last segment stands what only debuggers read. */
static uint64_t loaded_size(int fd)
{
    struct note_source src;
    struct elf_view v;
    uint64_t end = 0;
    assert_int_equal(note_source_fd(fd, "whole", &src, NULL), CLAN_OK);
    assert_int_equal(elf_open(&src, "whole", &v, NULL), CLAN_OK);
    for (unsigned i = 0; i < v.phdr_count; i++)
        if (v.phdr[i].p_offset + v.phdr[i].p_filesz > end)
            end = v.phdr[i].p_offset + v.phdr[i].p_filesz;
    return end;
}

static void try_cut(const char *file)
{
    static char data[1 << 20];
    int fd = open(file, O_RDONLY | O_CLOEXEC), cut = memfd_create("cut", MFD_CLOEXEC);
    uint64_t size = loaded_size(fd);
    assert_true(size < sizeof data && pread(fd, data, size, 0) == (ssize_t)size);
    for (uint64_t n = 0; n < size; n += n < 2048 ? 1 : 101) {
        struct check_result r;
        assert_int_equal(ftruncate(cut, 0), 0);
        assert_int_equal(pwrite(cut, data, n, 0), (ssize_t)n);
        if (check_file(cut, "cut.so", &r, NULL) == CLAN_OK)
            fail_msg("%llu of %llu bytes are taken for a plugin", (unsigned long long)n,
                (unsigned long long)size);
        if (!strstr(r.error.why, "cut off") || !strstr(r.error.remedy, "fetch it again"))
            fail_msg("%llu bytes: %s (%s)", (unsigned long long)n, r.error.why, r.error.remedy);
    }
    close(cut);
    close(fd);
}

/* ---- the command line ---- */

static char **arguments;

static void test_it(void **state)
{
    char **a = arguments;
    (void)state;
    if (strcmp(a[0], "check") == 0)
        words = a + 2, try_check(a[1]);
    else if (strcmp(a[0], "cut") == 0)
        try_cut(a[1]);
    else {
        words = a + 4;
        if (strcmp(a[0], "life") == 0)
            try_life(a[1], a[2], a[3]);
        else if (strcmp(a[0], "refuse") == 0)
            try_refuse(a[1], a[2], a[3]);
        else if (strcmp(a[0], "death") == 0)
            try_death(a[1], a[2], a[3]);
        else
            fail_msg("unknown: %s", a[0]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_it)};
    int file = argc > 1 && strcmp(argv[1], "check") && strcmp(argv[1], "cut") ? 3 : 2;
    if (argc <= file || (file == 3 && argc < 5)) {
        fprintf(stderr, "usage: see the head of tests/abi/try.c\n");
        return 2;
    }
    arguments = argv + 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
