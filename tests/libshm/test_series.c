/* What metrics are made of: counters that only grow, whoever dies; and each change of a breaker's mode counted once. */

#include "libshm/series.h"

#include "libshm/breaker.h"
#include "tests/libshm/fixture.h"

static uint64_t ended(const struct gws_region *region, uint32_t row, enum gws_ending ending)
{
    uint64_t out[GWS_ENDINGS];

    gws_series_read(region, row, out);
    return out[ending];
}

static void test_sums(void **state)
{
    struct fixture f;
    struct gws_region worker;
    struct gws_region guest;
    uint64_t repeats[GWS_REPEATS];

    (void)state;
    fixture_open(&f);
    worker = fixture_worker(&f);
    guest = fixture_view(&f, GWS_CHANGE);
    assert_int_equal(gws_slot_guest(&guest, f.path, 0), 0);
    gws_series_count(&f.region, 11, GWS_ENDING_OK);
    gws_series_count(&worker, 11, GWS_ENDING_OK);
    gws_series_count(&guest, 11, GWS_ENDING_OK);
    gws_series_count(&worker, 11, GWS_ENDING_LEFT);
    gws_series_count(&worker, 11, GWS_ENDINGS); /* no ending */
    gws_series_count(&worker, 12, GWS_ENDING_OK); /* no row */
    gws_series_repeat(&worker, 0, GWS_REPEAT_HEDGE);
    gws_series_repeat(&f.region, 0, GWS_REPEAT_HEDGE);
    gws_series_repeat(&f.region, 0, GWS_REPEATS);
    assert_int_equal(ended(&f.region, 11, GWS_ENDING_OK), 3);
    assert_int_equal(ended(&f.region, 11, GWS_ENDING_LEFT), 1);
    assert_int_equal(ended(&f.region, 11, GWS_ENDING_LOST), 0);
    assert_int_equal(ended(&f.region, 10, GWS_ENDING_OK), 0);
    assert_int_equal(ended(&f.region, 12, GWS_ENDING_OK), 0);
    gws_series_repeats(&f.region, 0, repeats);
    assert_int_equal(repeats[GWS_REPEAT_HEDGE], 2);
    assert_int_equal(repeats[GWS_REPEAT_RETRY], 0);
    gws_region_close(&guest);
    gws_region_close(&worker);
    fixture_close(&f);
}

static int count_thrice(struct fixture *f, void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++)
        gws_series_count(&f->region, 1, GWS_ENDING_SERVER);
    kill(getpid(), SIGKILL);
    return 0;
}

static void test_outlives_its_process(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    for (uint64_t i = 0; i < 3; i++) {
        int slot;
        assert_true(WIFSIGNALED(fixture_wait(fixture_fork(&f, &slot, count_thrice, NULL))));
        gws_slot_reap(&f.region, slot, true, 0);
        assert_int_equal(ended(&f.region, 1, GWS_ENDING_SERVER), 3 * (i + 1));
    }
    fixture_close(&f);
}

static void test_without_a_slot(void **state)
{
    struct fixture f;
    struct gws_region looker;

    (void)state;
    fixture_open(&f);
    looker = fixture_view(&f, GWS_CHANGE);
    gws_series_count(&looker, 1, GWS_ENDING_OK);
    assert_int_equal(ended(&looker, 1, GWS_ENDING_OK), 0);
    gws_region_close(&looker);
    looker = fixture_view(&f, GWS_LOOK);
    gws_series_answered(&looker, 1, 1000);
    assert_int_equal(gws_series_last_answer(&looker, 1), 0);
    gws_region_close(&looker);
    fixture_close(&f);
}

static void test_last_answer(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_series_last_answer(&f.region, 2), 0);
    gws_series_answered(&f.region, 2, 1000);
    gws_series_answered(&f.region, 2, 1099); /* soon enough known */
    assert_int_equal(gws_series_last_answer(&f.region, 2), 1000);
    gws_series_answered(&f.region, 2, 1100);
    assert_int_equal(gws_series_last_answer(&f.region, 2), 1100);
    gws_series_answered(&f.region, 2, 900); /* late */
    assert_int_equal(gws_series_last_answer(&f.region, 2), 1100);
    gws_series_answered(&f.region, 12, 900);
    assert_int_equal(gws_series_last_answer(&f.region, 12), 0);
    fixture_close(&f);
}

/* Closed, open, half open, forced. */
static void assert_transitions(const struct gws_region *region, uint32_t row, const uint64_t expected[4])
{
    uint64_t out[4];

    gws_series_transitions(region, row, out);
    for (int i = 0; i < 4; i++)
        assert_int_equal(out[i], expected[i]);
}

static const struct gws_breaker_rules rules = {
    .failures = 2, .half_open = 2, .successes = 2, .open_ms = 1000, .max_open_ms = 4000, .lease_ms = 500};

static struct gws_permit permit(struct gws_region *region, uint64_t now)
{
    struct gws_permit permit;
    uint64_t wait;

    assert_int_equal(gws_breaker_permit(region, 3, &rules, now, &permit, &wait), GWS_GO);
    return permit;
}

static void test_transitions(void **state)
{
    struct fixture f;
    struct gws_region *r = &f.region;
    struct gws_permit first;

    (void)state;
    fixture_open(&f);
    assert_transitions(r, 3, (uint64_t[]){0, 0, 0, 0});
    first = permit(r, 0);
    gws_breaker_report(r, 3, &rules, first, GWS_FAILED, 0, 0, 0); /* a failure in a row is no transition */
    assert_transitions(r, 3, (uint64_t[]){0, 0, 0, 0});
    gws_breaker_report(r, 3, &rules, first, GWS_FAILED, 0, 0, 0);
    gws_breaker_advance(r, 3, 100); /* nor is a trial that is brought forward */
    assert_transitions(r, 3, (uint64_t[]){0, 1, 0, 0});
    first = permit(r, 100);
    gws_breaker_report(r, 3, &rules, permit(r, 100), GWS_OK, 100, 0, 0);
    assert_transitions(r, 3, (uint64_t[]){0, 1, 1, 0});
    gws_breaker_report(r, 3, &rules, first, GWS_OK, 100, 0, 0);
    assert_transitions(r, 3, (uint64_t[]){1, 1, 1, 0});
    gws_breaker_force_open(r, 3, 200, 100, 7);
    gws_breaker_force_closed(r, 3, 100, 7); /* held either way is one mode */
    gws_breaker_auto(r, 3, 100, 7);
    gws_breaker_reset(r, 3, 100, 7); /* closed already */
    assert_transitions(r, 3, (uint64_t[]){2, 1, 1, 1});
    assert_transitions(r, 12, (uint64_t[]){0, 0, 0, 0});
    fixture_close(&f);
}

static void test_begins_afresh(void **state)
{
    struct fixture f;
    struct gws_region worker;

    (void)state;
    fixture_open(&f);
    worker = fixture_worker(&f);
    gws_series_count(&worker, 3, GWS_ENDING_OK);
    gws_series_count(&worker, 4, GWS_ENDING_OK);
    gws_series_answered(&worker, 3, 1000);
    gws_breaker_force_open(&worker, 3, 0, 0, 7);
    gws_series_clear(&f.region, 3);
    assert_int_equal(ended(&f.region, 3, GWS_ENDING_OK), 0);
    assert_int_equal(ended(&f.region, 4, GWS_ENDING_OK), 1);
    assert_int_equal(gws_series_last_answer(&f.region, 3), 0);
    assert_transitions(&f.region, 3, (uint64_t[]){0, 0, 0, 0});
    gws_region_close(&worker);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_outlives_its_process),
        cmocka_unit_test(test_without_a_slot),
        cmocka_unit_test(test_last_answer),
        cmocka_unit_test(test_transitions),
        cmocka_unit_test(test_begins_afresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
