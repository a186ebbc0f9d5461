/* Tor's control protocol: replies, events between them, limits, values. */
#include "control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    char text[4096];
    unsigned lines;
};

static void note(void *user, const struct control_line *l)
{
    struct seen *s = user;
    size_t n = strlen(s->text);
    snprintf(s->text + n, sizeof s->text - n, "%u%c%s|", l->code, l->last ? '.' : '~', l->text);
    s->lines++;
}

/* The same bytes in pieces of every size come out as the same lines. */
static void expect(const char *bytes, const char *lines, bool good)
{
    size_t size = strlen(bytes);
    for (size_t piece = 1; piece <= size; piece++) {
        struct control *c = calloc(1, sizeof *c);
        struct seen s = {0};
        bool ok = true;
        for (size_t i = 0; i < size && ok; i += piece)
            ok = control_feed(c, bytes + i, size - i < piece ? size - i : piece, note, &s);
        assert_int_equal(ok, good);
        assert_string_equal(s.text, lines);
        free(c);
    }
}

static void lines(void **state)
{
    (void)state;
    expect("250 OK\r\n", "250.OK|", true);
    expect("250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE=\"/a\"\r\n250-VERSION "
           "Tor=\"0.4.9.11\"\r\n250 OK\r\n",
        "250~AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE=\"/a\"|250~VERSION Tor=\"0.4.9.11\"|250.OK|",
        true);
    /* an event between two lines of one reply */
    expect("250-ServiceID=abc\r\n650 HS_DESC UPLOADED x\r\n250 OK\r\n",
        "250~ServiceID=abc|650.HS_DESC UPLOADED x|250.OK|", true);
    expect("250+config-text=\r\nSocksPort 9050\r\n250 no reply\r\n..\r\n.\r\n250 OK\r\n",
        "250~config-text=|250.OK|", true);
    expect("552 Unrecognized key\n", "552.Unrecognized key|", true); /* a bare line feed too */
    expect("250 a\tb\x1b[1m\xc3\xa9\r\n", "250.a?b?[1m??|", true);
    expect("hello\r\n", "", false);
    expect("250\r\n", "", false);
    expect("25x OK\r\n", "", false);
    expect("250_OK\r\n", "", false);
    expect("\r\n", "", false);
    expect("250 OK\r\nSSH-2.0\r\n250 OK\r\n", "250.OK|", false);
}

static void limits(void **state)
{
    (void)state;
    struct control *c = calloc(1, sizeof *c);
    struct seen s = {0};
    static char line[CONTROL_LINE_MAX + 3];
    memset(line, 'x', sizeof line);
    memcpy(line, "250 ", 4);
    line[CONTROL_LINE_MAX] = '\n'; /* as long as allowed */
    s.lines = 0;
    assert_true(control_feed(c, line, CONTROL_LINE_MAX + 1, note, &s));
    assert_int_equal(s.lines, 1);
    line[CONTROL_LINE_MAX] = 'x'; /* one more */
    assert_false(control_feed(c, line, CONTROL_LINE_MAX + 1, note, &s));
    assert_false(control_feed(c, "250 OK\n", 7, note, &s)); /* it stays broken */
    assert_int_equal(s.lines, 1);
    *c = (struct control){0};
    assert_true(control_feed(c, "250+data\n", 9, note, &s));
    for (unsigned i = 0; i < CONTROL_DATA_MAX / 1024; i++)
        control_feed(c, line, 1024, note, &s);
    assert_true(c->broken);
    free(c);
}

static void values(void **state)
{
    (void)state;
    char v[16];
    assert_true(control_value("A=1 B=\"x y\" C=2", "B", v, sizeof v));
    assert_string_equal(v, "x y");
    assert_true(control_value("B=\"a \\\" C=9\" C=2", "C", v, sizeof v));
    assert_string_equal(v, "2");
    assert_true(control_value("ServiceID=abc", "ServiceID", v, sizeof v));
    assert_string_equal(v, "abc");
    assert_false(control_value("AB=1", "B", v, sizeof v));
    assert_false(control_value("B", "B", v, sizeof v));
    assert_false(control_value("B=\"open", "B", v, sizeof v));
    assert_false(
        control_value("B=0123456789abcdef", "B", v, sizeof v)); /* longer than there is room */
    assert_true(control_value("B=0123456789abcde", "B", v, sizeof v));
}

static void bootstrap(void **state)
{
    (void)state;
    struct control_bootstrap b;
    assert_true(control_bootstrap(
        "status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"", &b));
    assert_int_equal(b.progress, 100);
    assert_false(b.warns);
    assert_string_equal(b.summary, "Done");
    assert_true(
        control_bootstrap("STATUS_CLIENT WARN BOOTSTRAP PROGRESS=5 TAG=conn "
                          "SUMMARY=\"Connecting to a relay\" WARNING=\"Connection refused\" "
                          "REASON=CONNECTREFUSED COUNT=10 RECOMMENDATION=warn",
            &b));
    assert_true(b.warns);
    assert_int_equal(b.progress, 5);
    assert_string_equal(b.why, "Connection refused");
    assert_true(control_bootstrap("STATUS_CLIENT WARN BOOTSTRAP PROGRESS=5 REASON=NOROUTE", &b));
    assert_string_equal(b.why, "NOROUTE");
    assert_false(control_bootstrap("STATUS_CLIENT NOTICE CIRCUIT_ESTABLISHED", &b));
    assert_false(control_bootstrap("NOTICE BOOTSTRAP PROGRESS=101", &b));
    assert_false(control_bootstrap("NOTICE BOOTSTRAP PROGRESS=4294967297", &b));
    assert_false(control_bootstrap("NOTICE BOOTSTRAP PROGRESS=-1", &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines), cmocka_unit_test(limits),
        cmocka_unit_test(values), cmocka_unit_test(bootstrap)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
