/* Which path carries packets, told by a clock of the test's own. */
#include "path/choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct path_order order = {.names = {"fast", "web", "onion"}, .count = 3};
static struct stmt_record record;
static struct path_choice c;
static uint64_t now;
static uint32_t next_session;
static unsigned dials;

static int setup(void **state)
{
    (void)state;
    memset(&c, 0, sizeof c);
    memset(&record, 0, sizeof record);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(record.endpoints[i].transport, sizeof record.endpoints[i].transport, "%s",
            order.names[i]);
        snprintf(record.endpoints[i].text, sizeof record.endpoints[i].text, "192.0.2.%u:1", i);
    }
    record.endpoint_count = 3;
    now = 1000000;
    next_session = 1;
    dials = 0;
    return 0;
}

static uint32_t up(const char *transport)
{
    path_choice_up(&c, transport, "192.0.2.1:1", next_session, true, now);
    return next_session++;
}

static void carry(uint32_t session, enum path_why why)
{
    path_choice_carries(&c, session, why, now, 0);
}

static struct path_step step(void)
{
    return path_choice_step(&c, &record, &order, now);
}

/* What brain does with the steps of one turn; dials of `works` succeed, those of others fail. */
static void turn(const char *works)
{
    for (;;) {
        struct path_step s = step();
        if (s.act == PATH_NOTHING)
            return;
        if (s.act == PATH_USE)
            carry(s.session, PATH_WHY_BETTER);
        else if (s.act == PATH_CLOSE)
            path_choice_down(&c, s.session, false, now);
        else if (dials++, strcmp(s.transport, works) == 0)
            up(s.transport);
        else
            path_choice_dial_failed(&c, s.transport, &record, 0, now);
    }
}

static const char *carrier(void)
{
    const struct path_candidate *p = path_choice_session(&c, c.carries);
    return p ? p->transport : "";
}

/* A second of life: everybody who is connected answers but `mute`. */
static void second(const char *works, const char *mute)
{
    for (unsigned i = 0; i < 10; i++, now += 100)
        turn(works);
    for (unsigned i = 0; i < CONFIG_TRANSPORTS_MAX; i++) {
        const struct path_candidate *p = &c.candidates[i];
        if (p->session && strcmp(p->transport, mute) != 0)
            path_choice_answered(&c, p->session, 1000, now);
    }
}

static void nothing_carries(void **state)
{
    (void)state;
    assert_int_equal(step().act, PATH_NOTHING);
    carry(up("fast"), PATH_WHY_FIRST);
    path_choice_down(&c, c.carries, true, now);
    assert_int_equal(step().act, PATH_NOTHING); /* the ordinary dial does that */
}

static void keeps_one_spare(void **state)
{
    (void)state;
    carry(up("fast"), PATH_WHY_FIRST);
    struct path_step s = step();
    assert_int_equal(s.act, PATH_DIAL);
    assert_string_equal(s.transport, "web");
    assert_string_equal(s.endpoint, "192.0.2.1:1");
    up("web");
    assert_int_equal(step().act, PATH_NOTHING);
    up("onion"); /* too many */
    s = step();
    assert_int_equal(s.act, PATH_CLOSE);
    assert_string_equal(path_choice_session(&c, s.session)->transport, "onion");
    path_choice_session(&c, s.session);
    path_choice_down(&c, s.session, false, now);
    assert_int_equal(path_choice_find(&c, "onion")->strikes, 0);
    /* without the middle one the last is the spare */
    path_choice_down(&c, path_choice_find(&c, "web")->session, false, now);
    strcpy(record.endpoints[1].transport, "other");
    s = step();
    assert_string_equal(s.transport, "onion");
}

/* The better one is back: it carries packets again when it answered for two seconds, not before. */
static void returns_when_proven(void **state)
{
    (void)state;
    carry(up("web"), PATH_WHY_SILENT);
    struct path_step s = step();
    assert_int_equal(s.act, PATH_DIAL);
    assert_string_equal(s.transport, "fast");
    uint32_t fast = up("fast");
    step(); /* the spare is dialled */
    assert_int_equal(step().act, PATH_NOTHING);
    path_choice_answered(&c, fast, 900, now);
    now += 1000;
    path_choice_answered(&c, fast, 900, now);
    now += 999;
    path_choice_answered(&c, fast, 900, now);
    assert_int_equal(step().act, PATH_NOTHING);
    now += 1;
    s = step();
    assert_int_equal(s.act, PATH_USE);
    assert_int_equal(s.session, fast);
    carry(fast, PATH_WHY_BETTER);
    assert_int_not_equal(step().act, PATH_USE);
    assert_int_equal(c.event_count, 2);
    assert_string_equal(c.history[1].from, "web");
    assert_string_equal(c.history[1].to, "fast");
}

/* Handshakes work and nothing passes: it is dialled, and never used. */
static void silent_path_is_never_used(void **state)
{
    (void)state;
    carry(up("web"), PATH_WHY_SILENT);
    for (unsigned i = 0; i < 600; i++) {
        second("fast", "fast");
        const struct path_candidate *fast = path_choice_find(&c, "fast");
        if (fast->session)
            path_choice_down(&c, fast->session, true, now);
        assert_string_equal(carrier(), "web");
    }
    assert_in_range(dials, 15, 60); /* it takes them all: asked less often all the same */
    assert_true(path_choice_patience_ms(path_choice_find(&c, "fast")) == PATH_PROVE_MAX_MS);
}

static void a_gap_begins_the_proof_anew(void **state)
{
    (void)state;
    carry(up("web"), PATH_WHY_SILENT);
    uint32_t fast = up("fast");
    for (unsigned i = 0; i < 20; i++, now += PATH_GAP_MS + 1) {
        path_choice_answered(&c, fast, 900, now);
        assert_int_not_equal(step().act, PATH_USE);
    }
}

/* Each failure doubles the time it has to prove itself; ten good minutes are forgiveness. */
static void a_flapping_path_waits_longer(void **state)
{
    (void)state;
    uint64_t before = 0;
    uint32_t web = up("web");
    carry(web, PATH_WHY_FIRST);
    for (unsigned i = 0; i < 5; i++) {
        uint64_t began = now;
        while (strcmp(carrier(), "fast") != 0 && now - began < 1000000)
            second("fast", "");
        uint64_t took = now - began;
        assert_string_equal(carrier(), "fast");
        assert_true(took > before);
        before = took;
        path_choice_down(&c, c.carries, true, now);
        carry(web, PATH_WHY_SILENT);
    }
    assert_true(before >= 32000);
    while (strcmp(carrier(), "fast") != 0)
        second("fast", "");
    now += PATH_FORGET_MS;
    path_choice_down(&c, c.carries, true, now);
    assert_int_equal(path_choice_find(&c, "fast")->strikes, 1);
}

/* Missing for 10 s: asked again within 8 s; for an hour: each minute. */
static void retries_follow_the_outage(void **state)
{
    (void)state;
    carry(up("web"), PATH_WHY_SILENT);
    up("onion");
    uint64_t began = now, last = now, longest_early = 0, longest = 0;
    unsigned before = 0;
    for (; now - began < 3600000; now += 250) {
        turn("");
        if (dials == before)
            continue;
        if (now - last > longest)
            longest = now - last;
        if (now - began < 30000)
            longest_early = longest;
        last = now;
        before = dials;
    }
    assert_true(longest_early <= PATH_RETRY_MIN_MS + 250);
    assert_true(longest > 50000 && longest <= PATH_RETRY_MAX_MS + 250);
    assert_true(dials < 120);
    path_choice_nudge(&c);
    assert_int_equal(step().act, PATH_DIAL);
}

/* The side that was dialled leaves dialling to the other for a while. */
static void the_dialed_side_yields(void **state)
{
    (void)state;
    path_choice_up(&c, "web", "192.0.2.1:1", 7, false, now);
    carry(7, PATH_WHY_FIRST);
    assert_int_equal(step().act, PATH_NOTHING);
    now += PATH_YIELD_MS;
    assert_int_equal(step().act, PATH_DIAL);
}

/* Control follows packets that stay, and only the side that dialled their path takes it along. */
static void control_follows(void **state)
{
    (void)state;
    assert_false(path_choice_leads(&c, "web", now));
    uint32_t fast = up("fast");
    carry(up("web"), PATH_WHY_FIRST);
    now += PATH_FOLLOW_MS;
    assert_false(path_choice_leads(&c, "web", now));
    carry(fast, PATH_WHY_BETTER);
    now += PATH_FOLLOW_MS - 1;
    assert_false(path_choice_leads(&c, "web", now));
    now++;
    assert_true(path_choice_leads(&c, "web", now));
    assert_false(path_choice_leads(&c, "fast", now));
    path_choice_up(&c, "onion", "192.0.2.1:1", 9, false, now); /* they dialled */
    carry(9, PATH_WHY_BETTER);
    now += PATH_FOLLOW_MS;
    assert_false(path_choice_leads(&c, "web", now));
}

static void words(void **state)
{
    (void)state;
    char text[160];
    uint32_t fast = up("fast");
    carry(fast, PATH_WHY_FIRST);
    path_choice_why(&c, &order, now, text, sizeof text);
    assert_string_equal(text, "preferred");
    path_choice_down(&c, fast, true, now);
    carry(up("web"), PATH_WHY_SILENT);
    now += 12000;
    path_choice_why(&c, &order, now, text, sizeof text);
    assert_string_equal(text, "fast has not answered for 12 s");
    up("fast");
    path_choice_why(&c, &order, now, text, sizeof text);
    assert_string_equal(text, "fast answers again and is being watched for 4 s");
}

/* An endpoint that takes handshakes and passes nothing does not keep the others from their turn. */
static void short_lives_move_on(void **state)
{
    (void)state;
    struct path_dial d = {0};
    const char *transport, *endpoint;
    uint64_t at;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(path_next(&d, &record, &order, now, &at, &transport, &endpoint));
        assert_string_equal(transport, order.names[i]);
        path_connected(&d);
        path_ended(&d, i == 2, &record, &order, 0, now);
    }
    assert_true(path_next(&d, &record, &order, now, &at, &transport, &endpoint));
    assert_string_equal(transport, "fast");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_carries, setup),
        cmocka_unit_test_setup(keeps_one_spare, setup),
        cmocka_unit_test_setup(returns_when_proven, setup),
        cmocka_unit_test_setup(silent_path_is_never_used, setup),
        cmocka_unit_test_setup(a_gap_begins_the_proof_anew, setup),
        cmocka_unit_test_setup(a_flapping_path_waits_longer, setup),
        cmocka_unit_test_setup(retries_follow_the_outage, setup),
        cmocka_unit_test_setup(the_dialed_side_yields, setup),
        cmocka_unit_test_setup(control_follows, setup),
        cmocka_unit_test_setup(words, setup),
        cmocka_unit_test_setup(short_lives_move_on, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
