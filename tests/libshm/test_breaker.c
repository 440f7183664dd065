/* The breaker's word, to the millisecond: a whole life, lost trials, results that come too late, the operator. */

#include "libshm/breaker.h"

#include "tests/libshm/fixture.h"

enum { ROW = 3, ROOT = 0 };

static const struct gws_breaker_rules rules = {
    .failures = 5,
    .half_open = 2,
    .successes = 3,
    .open_ms = 5000,
    .max_open_ms = 30000,
    .stable_ms = 60000,
    .lease_ms = 10000,
};

static struct gws_permit go(struct gws_region *region, uint64_t now)
{
    struct gws_permit permit = {0};
    uint64_t retry_at;

    assert_int_equal(gws_breaker_permit(region, ROW, &rules, now, &permit, &retry_at), GWS_GO);
    return permit;
}

static uint64_t denied(struct gws_region *region, uint64_t now)
{
    struct gws_permit permit;
    uint64_t retry_at = 0;
    uint64_t peeked = 1;

    assert_int_equal(gws_breaker_permit(region, ROW, &rules, now, &permit, &retry_at), GWS_DENIED);
    assert_int_equal(gws_breaker_peek(region, ROW, &rules, now, &peeked), GWS_DENIED);
    assert_int_equal(peeked, retry_at);
    return retry_at;
}

static void report(struct gws_region *region, struct gws_permit permit, enum gws_outcome outcome, uint64_t now)
{
    gws_breaker_report(region, ROW, &rules, permit, outcome, now, 0, 0);
}

static struct gws_breaker_view view(struct gws_region *region)
{
    return gws_breaker_view(gws_breaker_word(region, ROW));
}

/* Five failures in a row at `now`. */
static void trip(struct gws_region *region, uint64_t now)
{
    for (int i = 0; i < 5; i++)
        report(region, go(region, now), GWS_FAILED, now);
    assert_int_equal(view(region).mode, GWS_OPEN);
}

static void succeed(struct gws_region *region, uint64_t now)
{
    for (int i = 0; i < 3; i++)
        report(region, go(region, now), GWS_OK, now);
    assert_int_equal(view(region).mode, GWS_CLOSED);
}

static void test_whole_life(void **state)
{
    struct fixture f;
    struct gws_permit first;
    struct gws_permit second;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 4; i++)
        report(&f.region, go(&f.region, 100), GWS_FAILED, 100);
    assert_int_equal(view(&f.region).failures, 4);
    report(&f.region, go(&f.region, 100), GWS_OK, 100);
    assert_int_equal(view(&f.region).failures, 0);

    trip(&f.region, 1000);
    assert_int_equal(view(&f.region).reason, GWS_TRIP_FAILURES);
    assert_int_equal(view(&f.region).level, 1);
    assert_int_equal(denied(&f.region, 1000), 6000);
    assert_int_equal(denied(&f.region, 5999), 6000);

    first = go(&f.region, 6000);
    assert_true(first.trial);
    second = go(&f.region, 6001);
    assert_true(second.trial);
    assert_int_equal(first.gen, second.gen);
    assert_int_equal(denied(&f.region, 6002), 6252); /* two at a time; look again soon */
    report(&f.region, first, GWS_OK, 6500);
    assert_int_equal(view(&f.region).outstanding, 1);
    assert_int_equal(view(&f.region).successes, 1);
    first = go(&f.region, 6500);
    denied(&f.region, 6501); /* one success and two out are the three needed */
    report(&f.region, second, GWS_OK, 6600);
    assert_int_equal(view(&f.region).mode, GWS_HALF);
    report(&f.region, first, GWS_OK, 6700);
    assert_int_equal(view(&f.region).mode, GWS_CLOSED);
    assert_int_equal(view(&f.region).t, 6700);
    assert_int_equal(view(&f.region).level, 1);
    assert_false(go(&f.region, 6701).trial);
    fixture_close(&f);
}

static void test_failed_trial(void **state)
{
    static const enum gws_outcome bad[] = {GWS_FAILED, GWS_THROTTLED};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        struct gws_permit first;
        struct gws_permit second;

        fixture_open(&f);
        trip(&f.region, 0);
        first = go(&f.region, 5000);
        second = go(&f.region, 5000);
        report(&f.region, first, bad[i], 5100);
        assert_int_equal(view(&f.region).mode, GWS_OPEN);
        assert_int_equal(view(&f.region).reason, GWS_TRIP_TRIAL);
        assert_int_equal(denied(&f.region, 5100), 15100); /* twice as long */
        report(&f.region, second, GWS_OK, 5200);
        assert_int_equal(denied(&f.region, 5200), 15100);
        fixture_close(&f);
    }
}

static void test_neutral_gives_the_trial_back(void **state)
{
    struct fixture f;
    struct gws_permit permit;

    (void)state;
    fixture_open(&f);
    trip(&f.region, 0);
    permit = go(&f.region, 5000);
    report(&f.region, permit, GWS_NEUTRAL, 5001);
    assert_int_equal(view(&f.region).outstanding, 0);
    report(&f.region, permit, GWS_OK, 5002); /* a second word on the same trial counts for nothing */
    assert_int_equal(view(&f.region).successes, 0);
    assert_true(go(&f.region, 5003).trial);
    assert_int_equal(view(&f.region).outstanding, 1);
    fixture_close(&f);
}

static void test_throttle_and_neutral_when_closed(void **state)
{
    struct fixture f;
    uint64_t word;

    (void)state;
    fixture_open(&f);
    word = gws_breaker_word(&f.region, ROW);
    for (int i = 0; i < 20; i++) {
        report(&f.region, go(&f.region, 10), GWS_THROTTLED, 10);
        report(&f.region, go(&f.region, 10), GWS_NEUTRAL, 10);
        report(&f.region, go(&f.region, 10), GWS_OK, 10);
    }
    assert_int_equal(gws_breaker_word(&f.region, ROW), word);
    report(&f.region, go(&f.region, 10), GWS_FAILED, 10);
    report(&f.region, go(&f.region, 10), GWS_THROTTLED, 10); /* nor does it end a row */
    assert_int_equal(view(&f.region).failures, 1);
    fixture_close(&f);
}

static void test_lost_trials(void **state)
{
    struct fixture f;
    struct gws_permit lost;
    struct gws_permit other;
    struct gws_permit next;

    (void)state;
    fixture_open(&f);
    trip(&f.region, 0);
    lost = go(&f.region, 5000);
    other = go(&f.region, 6000);
    report(&f.region, other, GWS_OK, 6100);
    other = go(&f.region, 6100); /* the lease is the youngest trial's */
    assert_int_equal(view(&f.region).t, 16100);
    denied(&f.region, 16099);
    next = go(&f.region, 16100);
    assert_true(next.trial);
    assert_int_equal(next.gen, (lost.gen + 1) & 0x3fff);
    assert_int_equal(view(&f.region).outstanding, 1);
    assert_int_equal(view(&f.region).successes, 0);
    report(&f.region, lost, GWS_OK, 16101);
    report(&f.region, other, GWS_FAILED, 16101);
    assert_int_equal(view(&f.region).mode, GWS_HALF);
    assert_int_equal(view(&f.region).outstanding, 1);
    report(&f.region, next, GWS_OK, 16102);
    report(&f.region, go(&f.region, 16102), GWS_OK, 16103);
    report(&f.region, go(&f.region, 16103), GWS_OK, 16104);
    assert_int_equal(view(&f.region).mode, GWS_CLOSED);
    fixture_close(&f);
}

static void test_late_results_change_nothing(void **state)
{
    static const enum gws_outcome all[] = {GWS_OK, GWS_FAILED, GWS_THROTTLED, GWS_NEUTRAL};
    struct fixture f;
    struct gws_permit old;
    uint64_t word;

    (void)state;
    fixture_open(&f);
    old = go(&f.region, 0);
    trip(&f.region, 0);
    for (int phase = 0; phase < 3; phase++) {
        word = gws_breaker_word(&f.region, ROW);
        for (int i = 0; i < 4; i++) {
            report(&f.region, old, all[i], 5000);
            assert_int_equal(gws_breaker_word(&f.region, ROW), word);
        }
        if (phase == 0)
            go(&f.region, 5000);
        if (phase == 1)
            gws_breaker_reset(&f.region, ROW, 5000, ROOT);
    }
    fixture_close(&f);
}

static void test_levels(void **state)
{
    static const uint64_t open_ms[] = {5000, 10000, 20000, 30000, 30000, 30000};
    struct fixture f;
    uint64_t now = 0;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 6; i++) {
        trip(&f.region, now);
        assert_int_equal(denied(&f.region, now), now + open_ms[i]);
        now += open_ms[i];
        succeed(&f.region, now);
        now += 59999; /* not yet stable */
    }
    assert_int_equal(view(&f.region).level, 6);
    now += 1;
    trip(&f.region, now);
    assert_int_equal(view(&f.region).level, 1);
    assert_int_equal(denied(&f.region, now), now + 5000);
    for (int i = 0; i < 20; i++) {
        uint64_t at = denied(&f.region, now);
        report(&f.region, go(&f.region, at), GWS_FAILED, at);
        now = at;
    }
    assert_int_equal(view(&f.region).level, 15);
    assert_int_equal(denied(&f.region, now), now + 30000);
    fixture_close(&f);
}

static void test_jitter_and_named_wait(void **state)
{
    struct gws_breaker_rules one = rules;
    struct gws_permit permit = {0};
    uint64_t word;

    (void)state;
    one.failures = 1;
    word = gws_breaker_step_report(0, &one, permit, GWS_FAILED, 1000, 0, 0);
    assert_int_equal(gws_breaker_view(word).t, 6000);
    word = gws_breaker_step_report(0, &one, permit, GWS_FAILED, 1000, 0, UINT32_MAX / 2);
    assert_int_equal(gws_breaker_view(word).t, 6499);
    word = gws_breaker_step_report(0, &one, permit, GWS_FAILED, 1000, 0, UINT32_MAX);
    assert_in_range(gws_breaker_view(word).t, 6999, 7000);
    word = gws_breaker_step_report(0, &one, permit, GWS_FAILED, 1000, 5500, 0);
    assert_int_equal(gws_breaker_view(word).t, 6500);
    word = gws_breaker_step_report(0, &one, permit, GWS_FAILED, 1000, 5500, UINT32_MAX);
    assert_in_range(gws_breaker_view(word).t, 6999, 7000);
}

static void test_edges_of_the_word(void **state)
{
    const uint64_t end = (UINT64_C(1) << 36) - 1;
    struct gws_breaker_rules never = rules;
    struct gws_breaker_rules most = rules;
    struct gws_permit permit = {0};
    uint64_t retry_at;
    uint64_t word = 0;

    (void)state;
    never.failures = 0;
    for (int i = 0; i < 300; i++)
        word = gws_breaker_step_report(word, &never, permit, GWS_FAILED, 0, 0, 0);
    assert_int_equal(gws_breaker_view(word).mode, GWS_CLOSED);
    assert_int_equal(gws_breaker_view(word).failures, 255);

    most.failures = 100000; /* more than the word can count: 255 */
    word = 0;
    for (int i = 0; i < 254; i++)
        word = gws_breaker_step_report(word, &most, permit, GWS_FAILED, 0, 0, 0);
    assert_int_equal(gws_breaker_view(word).mode, GWS_CLOSED);
    word = gws_breaker_step_report(word, &most, permit, GWS_FAILED, 0, UINT64_MAX, 0);
    assert_int_equal(gws_breaker_view(word).mode, GWS_OPEN);
    assert_int_equal(gws_breaker_view(word).t, end); /* saturated, not wrapped into the past */
    assert_int_equal(gws_breaker_view(word).gen, 1);
    assert_int_equal(gws_breaker_step_permit(word, &rules, end - 1, &word, &permit, &retry_at), GWS_DENIED);
    assert_int_equal(gws_breaker_step_permit(word, &rules, end + 5, &word, &permit, &retry_at), GWS_GO);
    assert_true(permit.trial);

    word = UINT64_C(0x3fff) << 48; /* CLOSED, last generation */
    permit = (struct gws_permit){.gen = 0x3fff};
    for (int i = 0; i < 5; i++)
        word = gws_breaker_step_report(word, &rules, permit, GWS_FAILED, 7, 0, 0);
    assert_int_equal(gws_breaker_view(word).mode, GWS_OPEN);
    assert_int_equal(gws_breaker_view(word).gen, 0);
}

static int fail_once(struct fixture *f, void *arg)
{
    (void)arg;
    report(&f->region, go(&f->region, 50), GWS_FAILED, 50);
    return 0;
}

static void test_failures_of_five_processes(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 5; i++) {
        int slot;
        assert_int_equal(view(&f.region).mode, GWS_CLOSED);
        assert_int_equal(fixture_wait(fixture_fork(&f, &slot, fail_once, NULL)), 0);
        gws_slot_reap(&f.region, slot, false, 50);
    }
    assert_int_equal(denied(&f.region, 50), 5050);
    fixture_close(&f);
}

static void test_operator(void **state)
{
    struct fixture f;
    struct gws_permit before;
    struct gws_permit held;

    (void)state;
    fixture_open(&f);
    before = go(&f.region, 0);
    gws_breaker_force_open(&f.region, ROW, 0, 10, ROOT);
    assert_true(view(&f.region).forced_open);
    assert_int_equal(denied(&f.region, UINT32_MAX), UINT64_MAX);
    report(&f.region, before, GWS_OK, 11);
    gws_breaker_probe_failed(&f.region, ROW, &rules, 11, 0);
    gws_breaker_advance(&f.region, ROW, 11);
    assert_int_equal(view(&f.region).mode, GWS_FORCED);

    gws_breaker_force_closed(&f.region, ROW, 20, ROOT);
    for (int i = 0; i < 50; i++)
        report(&f.region, go(&f.region, 20), GWS_FAILED, 20);
    held = go(&f.region, 21);
    assert_int_equal(view(&f.region).mode, GWS_FORCED);

    gws_breaker_auto(&f.region, ROW, 30, ROOT);
    assert_int_equal(view(&f.region).mode, GWS_CLOSED);
    assert_int_equal(view(&f.region).t, 30);
    report(&f.region, held, GWS_FAILED, 31);
    assert_int_equal(view(&f.region).failures, 0);
    gws_breaker_auto(&f.region, ROW, 40, ROOT); /* nothing to take back */
    assert_int_equal(view(&f.region).t, 30);

    trip(&f.region, 50);
    gws_breaker_reset(&f.region, ROW, 60, ROOT);
    assert_int_equal(view(&f.region).mode, GWS_CLOSED);
    assert_int_equal(view(&f.region).level, 0);
    trip(&f.region, 70);
    held = go(&f.region, 5070);
    gws_breaker_reset(&f.region, ROW, 5080, ROOT);
    report(&f.region, held, GWS_FAILED, 5090); /* a trial that was out when the operator came */
    assert_int_equal(view(&f.region).mode, GWS_CLOSED);
    assert_int_equal(view(&f.region).failures, 0);
    fixture_close(&f);
}

static void test_forced_for_a_while(void **state)
{
    struct fixture f;
    uint16_t gen;

    (void)state;
    fixture_open(&f);
    gws_breaker_force_open(&f.region, ROW, 1000, 10, ROOT);
    gen = view(&f.region).gen;
    assert_int_equal(denied(&f.region, 999), 1000);
    assert_int_equal(go(&f.region, 1000).gen, gen + 1);
    assert_int_equal(view(&f.region).mode, GWS_CLOSED);
    assert_int_equal(view(&f.region).t, 1000);
    fixture_close(&f);
}

static void test_probes(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 5; i++)
        gws_breaker_probe_failed(&f.region, ROW, &rules, 100, 0);
    assert_int_equal(denied(&f.region, 100), 5100);
    gws_breaker_probe_failed(&f.region, ROW, &rules, 200, 0);
    assert_int_equal(denied(&f.region, 200), 5100);
    gws_breaker_advance(&f.region, ROW, 300);
    assert_int_equal(view(&f.region).mode, GWS_OPEN);
    assert_int_equal(view(&f.region).reason, GWS_TRIP_FAILURES);
    assert_true(go(&f.region, 300).trial);
    gws_breaker_advance(&f.region, ROW, 301);
    gws_breaker_probe_failed(&f.region, ROW, &rules, 301, 0);
    assert_int_equal(view(&f.region).mode, GWS_HALF);
    assert_int_equal(view(&f.region).outstanding, 1);
    fixture_close(&f);
}

static void test_every_change_is_recorded(void **state)
{
    struct fixture f;
    struct gws_event_cursor cursor = {{0}};
    struct gws_event events[128];
    size_t count;

    (void)state;
    fixture_open(&f);
    trip(&f.region, 0);
    succeed(&f.region, 5000);
    gws_breaker_force_open(&f.region, ROW, 0, 6000, 1234);
    gws_breaker_auto(&f.region, ROW, 7000, 1234);
    count = gws_event_collect(&f.region, &cursor, events, 128);
    /* Five failures, three grants, three successes, and the operator twice. */
    assert_int_equal(count, 13);
    assert_int_equal(events[0].old, 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(events[i].code, GWS_EVENT_BREAKER);
        assert_int_equal(events[i].domain, ROW);
        assert_int_equal(events[i].who, i < 11 ? GWS_BY_GATEWAY : 1234);
        assert_int_equal(events[i].new, i + 1 < count ? events[i + 1].old : gws_breaker_word(&f.region, ROW));
    }
    assert_int_equal(fixture_chain_breaks(events, count, GWS_EVENT_BREAKER, ROW, 0, gws_breaker_word(&f.region, ROW)),
                     0);
    events[4] = events[12];
    assert_int_not_equal(
        fixture_chain_breaks(events, count - 1, GWS_EVENT_BREAKER, ROW, 0, gws_breaker_word(&f.region, ROW)), 0);
    fixture_close(&f);
}

static void test_rows_out_of_range(void **state)
{
    struct fixture f;
    struct gws_region look;
    struct gws_permit permit = {0};
    uint64_t retry_at = 0;

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_breaker_permit(&f.region, 12, &rules, 0, &permit, &retry_at), GWS_DENIED);
    assert_int_equal(retry_at, UINT64_MAX);
    assert_int_equal(gws_breaker_peek(&f.region, UINT32_MAX, &rules, 0, &retry_at), GWS_DENIED);
    gws_breaker_report(&f.region, 12, &rules, permit, GWS_FAILED, 0, 0, 0);
    gws_breaker_reset(&f.region, UINT32_MAX, 0, ROOT);
    assert_int_equal(gws_breaker_word(&f.region, 12), 0);

    /* A look-only mapping is read-only memory: operations on it do nothing, and do not crash. */
    look = fixture_view(&f, GWS_LOOK);
    assert_int_equal(gws_breaker_permit(&look, ROW, &rules, 0, &permit, &retry_at), GWS_GO);
    gws_breaker_report(&look, ROW, &rules, permit, GWS_FAILED, 0, 0, 0);
    gws_breaker_force_open(&look, ROW, 0, 0, ROOT);
    assert_int_equal(gws_breaker_word(&f.region, ROW), 0);
    gws_breaker_force_open(&f.region, ROW, 100, 0, ROOT);
    /* it may not begin */
    assert_int_equal(gws_breaker_permit(&look, ROW, &rules, 200, &permit, &retry_at), GWS_DENIED);
    assert_int_equal(gws_breaker_view(gws_breaker_word(&f.region, ROW)).mode, GWS_FORCED);
    gws_region_close(&look);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_life),
        cmocka_unit_test(test_failed_trial),
        cmocka_unit_test(test_neutral_gives_the_trial_back),
        cmocka_unit_test(test_throttle_and_neutral_when_closed),
        cmocka_unit_test(test_lost_trials),
        cmocka_unit_test(test_late_results_change_nothing),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_jitter_and_named_wait),
        cmocka_unit_test(test_edges_of_the_word),
        cmocka_unit_test(test_failures_of_five_processes),
        cmocka_unit_test(test_operator),
        cmocka_unit_test(test_forced_for_a_while),
        cmocka_unit_test(test_probes),
        cmocka_unit_test(test_every_change_is_recorded),
        cmocka_unit_test(test_rows_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
