/* Counters of the gateway as a whole: summed over the slots, and never less for a death. */

#include "libshm/count.h"

#include "tests/libshm/fixture.h"

static void test_sums(void **state)
{
    struct fixture f;
    struct gws_region worker;
    uint64_t out[GWS_COUNTS];

    (void)state;
    fixture_open(&f);
    worker = fixture_worker(&f);
    gws_count(&f.region, GWS_COUNT_RESCUED, 1);
    gws_count(&worker, GWS_COUNT_RESCUED, 2);
    gws_count(&worker, GWS_COUNT_QUEUE_FULL, 7);
    gws_count(&worker, GWS_COUNTS, 1); /* none of them */
    gws_count_read(&f.region, out);
    assert_int_equal(out[GWS_COUNT_RESCUED], 3);
    assert_int_equal(out[GWS_COUNT_QUEUE_FULL], 7);
    assert_int_equal(out[GWS_COUNT_HEDGES_WON], 0);
    gws_region_close(&worker);
    fixture_close(&f);
}

static int count_thrice(struct fixture *f, void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++)
        gws_count(&f->region, GWS_COUNT_DROPPED, 1);
    kill(getpid(), SIGKILL);
    return 0;
}

static void test_outlives_its_process(void **state)
{
    struct fixture f;
    uint64_t out[GWS_COUNTS];

    (void)state;
    fixture_open(&f);
    for (uint64_t i = 0; i < 3; i++) {
        int slot;
        assert_true(WIFSIGNALED(fixture_wait(fixture_fork(&f, &slot, count_thrice, NULL))));
        gws_slot_reap(&f.region, slot, true, 0);
        gws_count_read(&f.region, out);
        assert_int_equal(out[GWS_COUNT_DROPPED], 3 * (i + 1));
    }
    fixture_close(&f);
}

static void test_without_a_slot(void **state)
{
    struct fixture f;
    struct gws_region looker;
    uint64_t out[GWS_COUNTS];

    (void)state;
    fixture_open(&f);
    looker = fixture_view(&f, GWS_CHANGE);
    gws_count(&looker, GWS_COUNT_HEDGES_WON, 1);
    gws_count_read(&looker, out);
    assert_int_equal(out[GWS_COUNT_HEDGES_WON], 0);
    gws_region_close(&looker);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_outlives_its_process),
        cmocka_unit_test(test_without_a_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
