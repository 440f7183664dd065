/* Distributions of the gateway as a whole: summed over the slots, each measure apart from the other. */

#include "libshm/measure.h"

#include "tests/libshm/fixture.h"

static void test_sums(void **state)
{
    struct fixture f;
    struct gws_region worker;
    struct gws_region guest;
    struct gws_latency_counts counts;

    (void)state;
    fixture_open(&f);
    worker = fixture_worker(&f);
    guest = fixture_view(&f, GWS_CHANGE);
    assert_int_equal(gws_slot_guest(&guest, f.path, 0), 0);
    gws_measure_count(&f.region, GWS_MEASURE_OVERHEAD, 80);
    gws_measure_count(&worker, GWS_MEASURE_OVERHEAD, 90);
    gws_measure_count(&guest, GWS_MEASURE_OVERHEAD, 3000);
    gws_measure_count(&worker, GWS_MEASURE_ATTEMPTS, 2000);
    gws_measure_count(&worker, GWS_MEASURES, 1); /* none of them */
    gws_measure_read(&f.region, GWS_MEASURE_OVERHEAD, &counts);
    assert_int_equal(counts.count, 3);
    assert_int_equal(counts.sum_us, 3170);
    assert_int_equal(counts.buckets[gws_latency_bucket(80)], 2);
    assert_int_equal(counts.buckets[gws_latency_bucket(3000)], 1);
    gws_measure_read(&f.region, GWS_MEASURE_ATTEMPTS, &counts);
    assert_int_equal(counts.count, 1);
    gws_measure_read(&f.region, GWS_MEASURES, &counts);
    assert_int_equal(counts.count, 0);
    gws_region_close(&guest);
    gws_region_close(&worker);
    fixture_close(&f);
}

/* Numbers of tries up to sixteen each have a bucket of their own. */
static void test_tries_are_told_apart(void **state)
{
    (void)state;
    for (uint64_t tries = 1; tries <= 16; tries++)
        assert_true(gws_latency_bucket(tries * 1000) > gws_latency_bucket((tries - 1) * 1000));
}

static void test_without_a_slot(void **state)
{
    struct fixture f;
    struct gws_region looker;
    struct gws_latency_counts counts;

    (void)state;
    fixture_open(&f);
    looker = fixture_view(&f, GWS_LOOK);
    gws_measure_count(&looker, GWS_MEASURE_OVERHEAD, 80);
    gws_measure_read(&looker, GWS_MEASURE_OVERHEAD, &counts);
    assert_int_equal(counts.count, 0);
    gws_region_close(&looker);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_tries_are_told_apart),
        cmocka_unit_test(test_without_a_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
