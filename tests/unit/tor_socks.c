/* SOCKS5: what is asked, every kind of answer, and that no byte of the peer is read. */
#include "socks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Feeds as the plugin does: never more than is wanted.  *ret_used: bytes that were read. */
static enum socks_state feed(
    struct socks *s, const void *bytes, unsigned size, unsigned piece, unsigned *ret_used)
{
    enum socks_state st = SOCKS_MORE;
    unsigned at = 0;
    while ((st == SOCKS_MORE || st == SOCKS_SAY) && at < size) {
        unsigned n = socks_want(s) < piece ? socks_want(s) : piece;
        if (n > size - at)
            n = size - at;
        st = socks_feed(s, (const uint8_t *)bytes + at, n);
        at += n;
    }
    *ret_used = at;
    return st;
}

static void ask(void **state)
{
    (void)state;
    static const uint8_t expected[] = {
        5, 1, 2, 1, 2, 'm', '7', 1, '-', 5, 1, 0, 3, 3, 'a', '.', 'b', 0x1b, 0xcd};
    uint8_t bytes[SOCKS_ASK_MAX];
    char user[SOCKS_USER_MAX + 2], host[257];
    assert_int_equal(socks_ask("m7", "a.b", 7117, bytes), sizeof expected);
    assert_memory_equal(bytes, expected, sizeof expected);
    memset(user, 'u', sizeof user);
    memset(host, 'h', sizeof host);
    user[SOCKS_USER_MAX] = host[255] = 0;
    assert_int_equal(socks_ask(user, host, 1, bytes), 5 + SOCKS_USER_MAX + 7 + 255 + 2);
    user[SOCKS_USER_MAX] = 'u', user[SOCKS_USER_MAX + 1] = 0;
    assert_int_equal(socks_ask(user, "h", 1, bytes), 0);
    host[255] = 'h', host[256] = 0;
    assert_int_equal(socks_ask("u", host, 1, bytes), 0);
    assert_int_equal(socks_ask("", "h", 1, bytes), 0);
}

static void answers(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        unsigned size;
        enum socks_state state;
    } rows[] = {
        {"\5\2\1\0\5\0\0\1\1\2\3\4\0\7", 14, SOCKS_CONNECTED},
        {"\5\2\1\0\5\0\0\3\3abc\0\7", 14, SOCKS_CONNECTED},
        {"\5\2\1\0\5\0\0\3\0\0\7", 11, SOCKS_CONNECTED},
        {"\5\2\1\0\5\0\0\4\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\10\0\7", 26, SOCKS_CONNECTED},
        {"\5\2\1\0\5\xf0\0\4\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\10\0\7", 26, SOCKS_REFUSED},
        {"\5\2\1\0\5\5\0\1\0\0\0\0\0\0", 14, SOCKS_REFUSED},
        {"\5\377", 2, SOCKS_BROKEN},
        {"\4\2", 2, SOCKS_BROKEN},
        {"\5\2", 2, SOCKS_SAY},
        {"\5\2\1\1", 4, SOCKS_BROKEN},
        {"\5\2\1\0\5\0\0\2\1", 9, SOCKS_BROKEN},
        {"\5\2\1\0\5\0\1\1\1", 9, SOCKS_BROKEN},
        {"\5\2\1\0\4\0\0\1\1", 9, SOCKS_BROKEN},
        {"\5\2\1\0\5\0\0\4\1\2\3\4\5\6\7\10", 16, SOCKS_MORE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (unsigned piece = 1; piece <= 26; piece++) {
            uint8_t bytes[64];
            struct socks s;
            unsigned used;
            memcpy(bytes, rows[i].bytes, rows[i].size);
            memcpy(bytes + rows[i].size, "peer", 4); /* what follows is the peer's */
            socks_begin(&s);
            unsigned more = rows[i].state == SOCKS_MORE || rows[i].state == SOCKS_SAY ? 0 : 4;
            assert_int_equal(feed(&s, bytes, rows[i].size + more, piece, &used), rows[i].state);
            assert_true(used <= rows[i].size);
            if (rows[i].state == SOCKS_CONNECTED || rows[i].state == SOCKS_REFUSED)
                assert_int_equal(used, rows[i].size);
        }
}

static void longest_name(void **state)
{
    (void)state;
    uint8_t bytes[4 + 5 + 255 + 2] = {5, 2, 1, 0, 5, 0, 0, 3, 255};
    struct socks s;
    unsigned used;
    socks_begin(&s);
    assert_int_equal(feed(&s, bytes, sizeof bytes, 300, &used), SOCKS_CONNECTED);
    assert_int_equal(socks_feed(&s, bytes, 1), SOCKS_BROKEN); /* nothing comes after the end */
}

static void words(void **state)
{
    (void)state;
    for (unsigned a = 0xf0; a <= 0xf7; a++)
        for (unsigned b = 0xf0; b < a; b++)
            assert_string_not_equal(socks_text((uint8_t)a), socks_text((uint8_t)b));
    assert_string_not_equal(socks_text(0xf7), socks_text(0xee));
    for (unsigned r = 0; r < 256; r++)
        assert_true(strlen(socks_text((uint8_t)r)) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ask), cmocka_unit_test(answers),
        cmocka_unit_test(longest_name), cmocka_unit_test(words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
