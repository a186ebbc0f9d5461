/* What is said of refused calls, and the rows of the policy that a refusal is decided by. */
#include "refusal/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

static void says_what_it_was_about(void **state)
{
    (void)state;
    static const struct {
        enum profile_about about;
        uint64_t arg;
        const char *text;
    } rows[] = {{ABOUT_FAMILY, AF_NETLINK, "AF_NETLINK"},
        {ABOUT_FAMILY, AF_APPLETALK, "of another family"},
        {ABOUT_FAMILY, UINT64_MAX, "of another family"}, {ABOUT_PID, (uint64_t)-1, "of -1"},
        {ABOUT_CODE, 0, "of executable memory"},
        {ABOUT_MAP, PROT_EXEC | PROT_READ, "of executable memory"},
        {ABOUT_MAP, PROT_READ, "of shared memory"}, {ABOUT_NUMBER, 0x5412, "0x5412"},
        {ABOUT_OPTION, 49, "49"}, {ABOUT_NOTHING, 7, ""}, {ABOUT_PATH, 7, ""}};
    char text[64];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memset(text, 'x', sizeof text);
        refusal_about(rows[i].about, rows[i].arg, text, sizeof text);
        assert_string_equal(text, rows[i].text);
    }
}

static void is_one_clean_line(void **state)
{
    (void)state;
    char text[64];
    refusal_text("openat", "/etc/shadow", text, sizeof text);
    assert_string_equal(text, "openat /etc/shadow refused");
    refusal_text("clone", "", text, sizeof text);
    assert_string_equal(text, "clone refused");
    refusal_text("openat", "/x\nhome core[1]: \033[2J", text, sizeof text);
    assert_null(strpbrk(text, "\n\033"));
    refusal_text("openat", "/long", text, 10); /* cut, and ended */
    assert_string_equal(text, "openat /l");
}

static void finds_the_row_of_a_call(void **state)
{
    (void)state;
    const struct profile_call *row = profile_call_find("renameat2");
    assert_non_null(row);
    assert_int_equal(row->about, ABOUT_CHANGE);
    assert_int_equal(row->arg, 1);
    assert_int_equal(row->more, 3);
    assert_null(profile_call_find("read"));
    assert_null(profile_call_find("rename "));
}

static void libraries_are_readable(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool yes;
    } rows[] = {{"/usr/lib/x86_64-linux-gnu/libc.so.6", true}, {"/etc/ld.so.cache", true},
        {"/etc/ld.so.cache2", false}, {"/usr/lib/../../etc/shadow", false}, {"/usr/library", false},
        {"/proc/self/fd/5", true}, {"/proc/self/fd/55", false}, {"/etc/passwd", false},
        {"", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(profile_readable(rows[i].path), rows[i].yes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_it_was_about),
        cmocka_unit_test(is_one_clean_line),
        cmocka_unit_test(finds_the_row_of_a_call),
        cmocka_unit_test(libraries_are_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
