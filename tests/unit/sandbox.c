/* The sandbox's tables: known calls only, no call both allowed and refused, words for each end. */
#include "sandbox/sandbox.h"
#include "base/error.h"
#include "profiles/profiles.h"

#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void known(const char *list)
{
    char word[32];
    while (profile_word(&list, word))
        if (seccomp_syscall_resolve_name(word) == __NR_SCMP_ERROR)
            fail_msg("libseccomp does not know %s", word);
    assert_int_equal(list[strspn(list, " ")], 0); /* nothing was too long */
}

static void names_only_known_calls(void **state)
{
    (void)state;
    for (const struct profile *p = profiles; p->name; p++)
        for (unsigned k = 0; k < 4 && p->calls[k]; k++)
            known(p->calls[k]);
    known(profile_fatal);
    known(profile_refused);
    known(profile_link_last);
}

static void allows_nothing_that_is_refused(void **state)
{
    (void)state;
    char word[32];
    for (const struct profile *p = profiles; p->name; p++)
        for (unsigned k = 0; k < 4 && p->calls[k]; k++)
            for (const char *list = p->calls[k]; profile_word(&list, word);)
                if (profile_lists(profile_fatal, word) || profile_lists(profile_refused, word))
                    fail_msg("%s allows %s, which is refused everywhere", p->name, word);
    for (const char *list = profile_refused; profile_word(&list, word);)
        assert_false(profile_lists(profile_fatal, word));
}

/* What no profile may have for all its arguments. */
static void keeps_the_dangerous_calls_out(void **state)
{
    (void)state;
    static const char never[] =
        "mmap mprotect clone clone3 fork execve execveat ioctl prctl prlimit64 setrlimit kill "
        "tgkill "
        "socket socketpair setsockopt connect bind listen memfd_create shmat personality seccomp "
        "io_uring_setup openat2 open_tree ptrace remap_file_pages";
    char word[32];
    for (const struct profile *p = profiles; p->name; p++)
        for (const char *list = never; profile_word(&list, word);)
            for (unsigned k = 0; k < 4 && p->calls[k]; k++)
                if (profile_lists(p->calls[k], word))
                    fail_msg("%s allows %s", p->name, word);
    /* opening by name is the warden's to answer in hosts, and not link's at all after its last
     * filter */
    for (const struct profile *p = profiles; p->name; p++)
        for (unsigned k = 0; k < 4 && p->calls[k]; k++)
            if ((p->flags & PROFILE_NOTIFY) && profile_lists(p->calls[k], "openat"))
                fail_msg("%s opens without a word", p->name);
    assert_false(profile_lists(profile_link_last, "openat"));
    assert_false(profile_lists(profile_link_last, "ioctl"));
}

/* A host whose notifications nobody answers gets by filter what the warden would have let pass, no more:
 * the same calls that core has for its files, and opening. */
static void hosts_that_nobody_answers(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "open", "openat", "mkdirat", "unlinkat", "renameat2", "truncate"};
    char word[32];
    const struct profile *core = profile_find("core");
    known(profile_unnamed);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        assert_true(profile_lists(profile_unnamed, wanted[i]));
    for (const char *list = profile_unnamed; profile_word(&list, word);) {
        assert_false(profile_lists(profile_fatal, word) || profile_lists(profile_refused, word));
        assert_true(profile_lists(core->calls[2], word)); /* `changes` is the same list */
        const struct profile_call *row =
            profile_call_find(word); /* else the warden would answer ENOSYS */
        if (!row ||
            (row->about != ABOUT_OPENS && row->about != ABOUT_CHANGE && row->about != ABOUT_TARGET))
            fail_msg("%s is not judged by its path", word);
        for (const struct profile *p = profiles; p->name; p++)
            for (unsigned k = 0; k < 4 && p->calls[k]; k++)
                if ((p->flags & PROFILE_NOTIFY) && profile_lists(p->calls[k], word))
                    fail_msg("%s makes %s without a word", p->name, word);
    }
    for (const char *list = core->calls[2]; profile_word(&list, word);)
        assert_true(profile_lists(profile_unnamed, word));
    for (const struct profile *p = profiles; p->name; p++) /* the filter's own, never a row's */
        assert_false(p->flags & PROFILE_ALONE);
}

static void has_every_profile(void **state)
{
    (void)state;
    static const char *const names[] = {"core", "link", "resolver", "keeper", "host", "host-net",
        "program-lighttpd", "program-radicale"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct profile *p = profile_find(names[i]);
        assert_non_null(p);
        assert_int_equal(!!(p->flags & PROFILE_NET), strcmp(names[i], "host-net") == 0);
        assert_int_equal(!!(p->flags & PROFILE_NOTIFY), strncmp(names[i], "host", 4) == 0);
        assert_int_equal(!!(p->flags & PROFILE_PIDNS), strncmp(names[i], "program", 7) == 0);
        assert_true(p->nofile >= 256 && p->nproc >= 16 && p->memory_mib >= 64);
    }
    assert_null(profile_find("core "));
    assert_null(profile_find(""));
}

static void has_the_programs(void **state)
{
    (void)state;
    const struct profile_program *row = profile_program_find("lighttpd");
    assert_non_null(row);
    assert_string_equal(row->program, "/usr/sbin/lighttpd");
    assert_string_equal(row->argv[3], "{state}/lighttpd.conf");
    assert_null(row->argv[4]);
    assert_non_null(profile_find(row->sandbox));
    assert_null(profile_program_find("sh"));
}

static void says_how_a_child_ended(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *text;
    } ends[] = {{31, "killed by signal 31 (bad system call)"}, {9, "killed by signal 9 (killed)"},
        {40, "killed by signal 40"}, {0, "ended with status 0"}, {2 << 8, "ended with status 2"},
        {60 << 8, "ended with status 60"}, {61 << 8, "sandbox step session failed"},
        {68 << 8, "sandbox step landlock failed"}, {72 << 8, "sandbox step exec failed"},
        {73 << 8, "ended with status 73"}, {0x137f, "stopped"}};
    char text[64];
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        sandbox_exit_text(ends[i].status, text, sizeof text);
        assert_string_equal(text, ends[i].text);
    }
    sandbox_exit_text(31, text, 8);
    assert_string_equal(text, "killed ");
}

static void reads_words(void **state)
{
    (void)state;
    char word[32];
    const char *list = "  one two  ";
    assert_true(profile_word(&list, word));
    assert_string_equal(word, "one");
    assert_true(profile_word(&list, word));
    assert_string_equal(word, "two");
    assert_false(profile_word(&list, word));
    list = "a2345678901234567890123456789012"; /* 32: one too many */
    assert_false(profile_word(&list, word));
    assert_true(profile_lists("one two", "two"));
    assert_false(profile_lists("one two", "tw"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_only_known_calls),
        cmocka_unit_test(allows_nothing_that_is_refused),
        cmocka_unit_test(keeps_the_dangerous_calls_out), cmocka_unit_test(has_every_profile),
        cmocka_unit_test(hosts_that_nobody_answers), cmocka_unit_test(has_the_programs),
        cmocka_unit_test(says_how_a_child_ended), cmocka_unit_test(reads_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
