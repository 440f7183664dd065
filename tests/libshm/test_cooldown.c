/* Cooldowns: deadlines that only grow, streaks that double, the operator's clear. */

#include "libshm/cooldown.h"

#include "tests/libshm/fixture.h"

enum { ROW = 2, OTHER = 3 };

static const struct gws_cooldown_rules rules = {.default_ms = 2000, .max_ms = 300000};

static struct gws_cooldown_view view(struct gws_region *region)
{
    return gws_cooldown_view(gws_cooldown_word(region, ROW));
}

static uint64_t hit(struct gws_region *region, int64_t named, uint64_t now)
{
    return gws_cooldown_hit(region, ROW, &rules, gws_cooldown_gen(region, ROW), GWS_COOL_RATE, named, now);
}

static void test_named_wait(void **state)
{
    struct fixture f;
    uint64_t until = 0;

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_cooldown_check(&f.region, ROW, 0, &until), 0);
    assert_int_equal(hit(&f.region, 1500, 1000), 2500);
    assert_int_equal(gws_cooldown_check(&f.region, ROW, 2499, &until), 1);
    assert_int_equal(until, 2500);
    assert_int_equal(gws_cooldown_check(&f.region, ROW, 2500, &until), 0);
    assert_int_equal(view(&f.region).reason, GWS_COOL_RATE);
    assert_int_equal(hit(&f.region, INT64_MAX, 3000), 303000); /* the longest obeyed */
    fixture_close(&f);
}

static void test_deadline_only_grows(void **state)
{
    struct fixture f;
    uint16_t gen;

    (void)state;
    fixture_open(&f);
    gen = gws_cooldown_gen(&f.region, ROW);
    assert_int_equal(gws_cooldown_hit(&f.region, ROW, &rules, gen, GWS_COOL_QUOTA, 60000, 0), 60000);
    assert_int_equal(gws_cooldown_hit(&f.region, ROW, &rules, gen, GWS_COOL_RATE, 500, 100), 60000);
    assert_int_equal(view(&f.region).reason, GWS_COOL_QUOTA); /* the reason is the one of the deadline in force */
    assert_int_equal(gws_cooldown_hit(&f.region, ROW, &rules, gen, GWS_COOL_RATE, 90000, 200), 90200);
    assert_int_equal(view(&f.region).reason, GWS_COOL_RATE);
    gws_cooldown_success(&f.region, ROW, gen, 300);
    assert_int_equal(view(&f.region).until, 90200);
    fixture_close(&f);
}

static void test_streak(void **state)
{
    static const uint64_t waits[] = {2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 300000, 300000};
    struct fixture f;
    uint64_t now = 0;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(hit(&f.region, GWS_NO_WAIT, now), now + waits[i]);
        assert_int_equal(view(&f.region).streak, i + 1);
        hit(&f.region, GWS_NO_WAIT, now); /* of the same burst */
        assert_int_equal(view(&f.region).streak, i + 1);
        now += waits[i];
    }
    for (int i = 0; i < 10; i++) {
        hit(&f.region, 0, now);
        now++;
    }
    assert_int_equal(view(&f.region).streak, 15);
    gws_cooldown_success(&f.region, ROW, gws_cooldown_gen(&f.region, ROW), now);
    assert_int_equal(view(&f.region).streak, 0);
    assert_int_equal(view(&f.region).reason, GWS_COOL_NONE);
    assert_int_equal(hit(&f.region, GWS_NO_WAIT, now), now + 2000);
    fixture_close(&f);
}

static void test_success_during_the_wait_is_older(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    hit(&f.region, GWS_NO_WAIT, 0);
    gws_cooldown_success(&f.region, ROW, gws_cooldown_gen(&f.region, ROW), 1999);
    assert_int_equal(view(&f.region).streak, 1);
    gws_cooldown_success(&f.region, ROW, gws_cooldown_gen(&f.region, ROW), 2000);
    assert_int_equal(view(&f.region).streak, 0);
    fixture_close(&f);
}

static void test_announcements_are_no_refusals(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 4; i++)
        gws_cooldown_hit(&f.region, ROW, &rules, 0, GWS_COOL_DEPLETED, 100, (uint64_t)i * 1000);
    assert_int_equal(view(&f.region).streak, 0);
    assert_int_equal(view(&f.region).until, 3100);
    assert_int_equal(view(&f.region).reason, GWS_COOL_DEPLETED);
    fixture_close(&f);
}

/* What waiting does not cure: three refusals in a row, or a reason that says so. */
static void test_exhausted(void **state)
{
    static const struct {
        struct gws_cooldown_view view;
        bool exhausted;
    } cases[] = {
        {{.reason = GWS_COOL_NONE}, false},
        {{.reason = GWS_COOL_RATE, .streak = 2}, false},
        {{.reason = GWS_COOL_RATE, .streak = 3}, true},
        {{.reason = GWS_COOL_OVERLOAD, .streak = 15}, true},
        {{.reason = GWS_COOL_QUOTA, .streak = 1}, true},
        {{.reason = GWS_COOL_AUTH, .streak = 1}, true},
        {{.reason = GWS_COOL_DEPLETED}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(gws_cooldown_exhausted(&cases[i].view), cases[i].exhausted);
}

static void test_clear(void **state)
{
    struct fixture f;
    struct gws_event_cursor cursor = {{0}};
    struct gws_event events[8];
    uint16_t before;
    uint64_t word;
    uint64_t until;

    (void)state;
    fixture_open(&f);
    before = gws_cooldown_gen(&f.region, ROW);
    hit(&f.region, 60000, 0);
    gws_cooldown_clear(&f.region, ROW, 10, 501);
    assert_int_equal(gws_cooldown_check(&f.region, ROW, 10, &until), 0);
    word = gws_cooldown_word(&f.region, ROW);
    /* What was sent before the clear neither brings it back nor ends a later streak. */
    assert_int_equal(gws_cooldown_hit(&f.region, ROW, &rules, before, GWS_COOL_RATE, 60000, 20), 0);
    assert_int_equal(gws_cooldown_word(&f.region, ROW), word);
    hit(&f.region, 5, 30);
    gws_cooldown_success(&f.region, ROW, before, 40);
    assert_int_equal(view(&f.region).streak, 1);
    assert_int_equal(gws_event_collect(&f.region, &cursor, events, 8), 3);
    assert_int_equal(events[1].who, 501);
    assert_int_equal(events[1].code, GWS_EVENT_COOLDOWN);
    assert_int_equal(events[0].new, events[1].old);
    assert_int_equal(events[1].new, events[2].old);
    /* Where nothing cooled there is nothing to tell; but what was sent before it comes too late there as well. */
    before = gws_cooldown_gen(&f.region, OTHER);
    gws_cooldown_clear(&f.region, OTHER, 50, 501);
    assert_int_equal(gws_event_collect(&f.region, &cursor, events, 8), 0);
    assert_int_equal(gws_cooldown_hit(&f.region, OTHER, &rules, before, GWS_COOL_RATE, 60000, 60), 0);
    assert_int_equal(gws_cooldown_check(&f.region, OTHER, 60, &until), 0);
    fixture_close(&f);
}

static void test_generation_wraps_and_time_saturates(void **state)
{
    uint64_t end = (UINT64_C(1) << 44) - 1;
    struct fixture f;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 1024; i++)
        gws_cooldown_clear(&f.region, ROW, 0, 0);
    assert_int_equal(gws_cooldown_word(&f.region, ROW), 0);
    assert_int_equal(hit(&f.region, 100000, end - 1), end);
    fixture_close(&f);
}

static void test_quiet_paths_write_nothing(void **state)
{
    struct fixture f;
    struct gws_event_cursor cursor = {{0}};
    struct gws_event event;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 100; i++)
        gws_cooldown_success(&f.region, ROW, 0, 5);
    assert_int_equal(gws_event_collect(&f.region, &cursor, &event, 1), 0);
    fixture_close(&f);
}

static void test_rows_out_of_range(void **state)
{
    struct fixture f;
    uint64_t until = 0;

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_cooldown_check(&f.region, 12, 0, &until), 1);
    assert_int_equal(until, UINT64_MAX);
    assert_int_equal(gws_cooldown_hit(&f.region, 12, &rules, 0, GWS_COOL_RATE, 5, 7), 7);
    gws_cooldown_success(&f.region, UINT32_MAX, 0, 0);
    gws_cooldown_clear(&f.region, UINT32_MAX, 0, 0);
    assert_int_equal(gws_cooldown_gen(&f.region, 12), 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_named_wait),
        cmocka_unit_test(test_deadline_only_grows),
        cmocka_unit_test(test_streak),
        cmocka_unit_test(test_success_during_the_wait_is_older),
        cmocka_unit_test(test_announcements_are_no_refusals),
        cmocka_unit_test(test_exhausted),
        cmocka_unit_test(test_clear),
        cmocka_unit_test(test_generation_wraps_and_time_saturates),
        cmocka_unit_test(test_quiet_paths_write_nothing),
        cmocka_unit_test(test_rows_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
