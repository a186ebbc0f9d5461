/* Alarms about links that were used again: what they say, and that they outlive a restart. */
#include "base/clock.h"
#include "brain/brain.h"
#include "member_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct fx f;
static struct brain *b;
static struct fx_machine nas, bob, eve;
static struct fx_invite invite;
static char dir[64];
static uint8_t root[32];

static void give(struct fx_stmt s)
{
    assert_int_equal(member_apply(b->set, s.raw, s.size, 0, NULL, NULL), CLAN_OK);
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/clan-unit-alarms-XXXXXX");
    assert_non_null(mkdtemp(dir));
    b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->root = root;
    b->state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fx_open(&f, 1, 1, 2);
    b->set = member_new();
    give(f.genesis);
    memcpy(b->clan_id, f.clan, 32);
    fx_machine(&f, &nas);
    memcpy(b->own_id, nas.id, 32);
    give(fx_founder(&f, &nas, 1));
    struct stmt_envelope body = fx_envelope_body(&f, 2, 1, 1, nas.id);
    give(f.v[2] = fx_envelope(&f, &body, 1));
    fx_machine(&f, &bob);
    fx_machine(&f, &eve);
    fx_invite(&f, &invite, 1, 2, 1);
    give(invite.stmt);
    give(fx_admission(&f, &nas, &invite, &bob, FX_NOW));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlinkat(b->state_fd, "alarms", 0);
    close(b->state_fd);
    assert_int_equal(rmdir(dir), 0);
    member_free(b->set);
    free(b->peers);
    free(b);
    fx_close(&f);
    return 0;
}

static char line[2][512];
static unsigned lines;

static void take(
    void *arg, unsigned severity, const char *code, const char *what, const char *remedy)
{
    (void)remedy;
    if (strcmp(code, arg) != 0)
        return;
    assert_int_equal(severity, 2);
    assert_true(lines < 2);
    snprintf(line[lines++], sizeof line[0], "%s", what);
}

static unsigned shown(const char *code)
{
    lines = 0;
    health_lines(b, take, (void *)(uintptr_t)code);
    return lines;
}

/* As after SIGKILL: nothing is left but the file. */
static void restart(void)
{
    memset(b->alarms, 0xee, sizeof b->alarms);
    b->alarm_count = 99;
    b->alarms_dirty = false;
    alarms_load(b);
    alarms_reconcile(b);
}

#define assert_says(text)                                                                          \
    do                                                                                             \
        if (!strstr(line[0], text))                                                                \
            fail_msg("no \"%s\" in: %s", text, line[0]);                                           \
    while (0)

static void words_of(const struct fx_machine *m, char ret[KEYS_WORDS_MAX])
{
    keys_words("machine", f.clan, m->identity_secret + 32, ret);
}

static void tried_again(void **state)
{
    (void)state;
    static const uint8_t from[16] = {[10] = 0xff, 0xff, 203, 0, 113, 9};
    char words[KEYS_WORDS_MAX];
    assert_int_equal(shown("used-again"), 0);
    alarms_tried(b, invite.id, NULL, from);
    assert_int_equal(shown("used-again"), 1);
    assert_says("tried again 1 time, last on 20");
    assert_says(" UTC");
    assert_says("from 203.0.113.9");
    words_of(&bob, words);
    assert_says(words);
    restart();
    assert_int_equal(shown("used-again"), 1);
    alarms_tried(b, invite.id, eve.identity_secret + 32, from); /* not written at once again */
    assert_int_equal(shown("used-again"), 1);
    assert_says("tried again 2 times");
    words_of(&eve, words);
    assert_says(words);
    assert_true(b->alarms_dirty);
    b->alarms_written_ms = 1;
    alarms_tick(b);
    assert_false(b->alarms_dirty);
    restart();
    assert_int_equal(shown("used-again"), 1);
    assert_says("tried again 2 times");
    assert_says(words);
}

static void dismissed_or_old(void **state)
{
    (void)state;
    static const uint8_t from[16];
    alarms_tried(b, invite.id, NULL, from);
    alarms_dismiss(b);
    assert_int_equal(shown("used-again"), 0);
    restart();
    assert_int_equal(shown("used-again"), 0);
    alarms_tried(b, invite.id, NULL, from); /* and once more: that was not read yet */
    assert_int_equal(shown("used-again"), 1);
    assert_says("tried again 2 times");
    b->alarms[0].last = clock_wall_s() - 29 * 86400;
    assert_int_equal(shown("used-again"), 1);
    b->alarms[0].last = clock_wall_s() - 31 * 86400;
    assert_int_equal(shown("used-again"), 0);
    b->alarms[0].last = 60; /* it came before the clock was set */
    alarms_reconcile(b);
    assert_int_equal(shown("used-again"), 1);
}

/* Two doors, two machines, one use: every machine has the alarm from the statements. */
static void two_doors(void **state)
{
    (void)state;
    char words[KEYS_WORDS_MAX];
    assert_int_equal(shown("shared-link"), 0);
    give(fx_admission(&f, &nas, &invite, &eve, FX_NOW + 60));
    alarms_reconcile(b);
    assert_int_equal(shown("shared-link"), 1);
    words_of(&bob, words);
    assert_says(words);
    words_of(&eve, words);
    assert_says(words);
    assert_says("2023-11-14 22:13 UTC"); /* FX_NOW, and a minute after */
    assert_says("2023-11-14 22:14 UTC");
    int64_t first = b->alarms[0].first;
    restart();
    assert_int_equal(shown("shared-link"), 1);
    assert_int_equal(b->alarms[0].first, first);
    alarms_dismiss(b);
    restart();
    assert_int_equal(shown("shared-link"), 0);
    assert_int_equal(b->alarm_count, 1);
}

/* Not more than the table, whoever tries; what is read or old gives way first. */
static void bounded(void **state)
{
    (void)state;
    static const uint8_t from[16];
    uint8_t id[16];
    alarms_tried(b, invite.id, NULL, from);
    b->alarms[0].last = clock_wall_s() - 60;
    for (unsigned i = 0; i < 3 * BRAIN_ALARMS_MAX; i++) {
        randombytes_buf(id, sizeof id);
        alarms_tried(b, id, NULL, from);
        b->alarms[1].dismissed = true; /* always one that somebody read */
    }
    assert_int_equal(b->alarm_count, BRAIN_ALARMS_MAX);
    assert_int_equal(shown("used-again"), 1);
    b->alarms_written_ms = 1;
    alarms_tick(b);
    restart();
    assert_int_equal(b->alarm_count, BRAIN_ALARMS_MAX);
    assert_int_equal(shown("used-again"), 1);
}

static void damaged_file(void **state)
{
    (void)state;
    static const uint8_t from[16];
    uint8_t data[8192];
    alarms_tried(b, invite.id, NULL, from);
    int fd = openat(b->state_fd, "alarms", O_RDWR);
    ssize_t n = read(fd, data, sizeof data);
    assert_true(n > 20);
    for (ssize_t cut = n - 1; cut >= 0; cut -= 7) {
        assert_int_equal(ftruncate(fd, cut), 0);
        restart();
        assert_int_equal(b->alarm_count, 0);
        assert_int_equal(shown("used-again"), 0);
    }
    close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(tried_again), T(dismissed_or_old), T(two_doors), T(bounded), T(damaged_file)};
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
