/* Counters: they belong to the slot, so they only ever grow, whoever dies. */

#include "libshm/stat.h"

#include "tests/libshm/fixture.h"

static uint64_t read_one(struct gws_region *region, uint32_t endpoint, enum gws_stat stat)
{
    uint64_t out[GWS_STATS];

    gws_stat_read(region, endpoint, out);
    return out[stat];
}

static void test_sums(void **state)
{
    struct fixture f;
    struct gws_region worker;
    struct gws_region guest;

    (void)state;
    fixture_open(&f);
    worker = fixture_worker(&f);
    guest = fixture_view(&f, GWS_CHANGE);
    assert_int_equal(gws_slot_guest(&guest, f.path, 0), 0);
    for (int i = 0; i < 10; i++)
        gws_stat_count(&f.region, 1, GWS_STAT_TRIES);
    for (int i = 0; i < 5; i++)
        gws_stat_count(&worker, 1, GWS_STAT_TRIES);
    gws_stat_count(&guest, 1, GWS_STAT_TRIES);
    gws_stat_count(&worker, 1, GWS_STAT_RESENT);
    gws_stat_count(&worker, 2, GWS_STAT_OK);
    assert_int_equal(read_one(&f.region, 1, GWS_STAT_TRIES), 16);
    assert_int_equal(read_one(&f.region, 1, GWS_STAT_RESENT), 1);
    assert_int_equal(read_one(&f.region, 1, GWS_STAT_OK), 0);
    assert_int_equal(read_one(&f.region, 2, GWS_STAT_OK), 1);
    gws_region_close(&guest);
    gws_region_close(&worker);
    fixture_close(&f);
}

static void test_last_ok_is_the_latest(void **state)
{
    struct fixture f;
    struct gws_region worker;

    (void)state;
    fixture_open(&f);
    worker = fixture_worker(&f);
    gws_stat_last_ok(&f.region, 0, 500);
    gws_stat_last_ok(&worker, 0, 400);
    gws_stat_count(&worker, 0, GWS_STAT_LAST_OK); /* not a counter */
    assert_int_equal(read_one(&f.region, 0, GWS_STAT_LAST_OK), 500);
    gws_stat_last_ok(&worker, 0, 600);
    assert_int_equal(read_one(&f.region, 0, GWS_STAT_LAST_OK), 600);
    gws_region_close(&worker);
    fixture_close(&f);
}

static int count_thrice(struct fixture *f, void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++)
        gws_stat_count(&f->region, 0, GWS_STAT_FAILED);
    kill(getpid(), SIGKILL);
    return 0;
}

static void test_monotone_across_deaths(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    for (uint64_t i = 0; i < 4; i++) {
        int slot;
        assert_true(WIFSIGNALED(fixture_wait(fixture_fork(&f, &slot, count_thrice, NULL))));
        assert_int_equal(read_one(&f.region, 0, GWS_STAT_FAILED), 3 * (i + 1));
        gws_slot_reap(&f.region, slot, true, 0);
        assert_int_equal(read_one(&f.region, 0, GWS_STAT_FAILED), 3 * (i + 1));
    }
    fixture_close(&f);
}

static void test_out_of_range(void **state)
{
    struct fixture f;
    struct gws_region view;

    (void)state;
    fixture_open(&f);
    gws_stat_count(&f.region, 4, GWS_STAT_TRIES);
    gws_stat_count(&f.region, 0, GWS_STATS);
    gws_stat_last_ok(&f.region, UINT32_MAX, 1);
    assert_int_equal(read_one(&f.region, 4, GWS_STAT_TRIES), 0);
    view = fixture_view(&f, GWS_CHANGE);
    gws_stat_count(&view, 0, GWS_STAT_TRIES); /* no slot, no line */
    assert_int_equal(read_one(&f.region, 0, GWS_STAT_TRIES), 0);
    gws_region_close(&view);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_last_ok_is_the_latest),
        cmocka_unit_test(test_monotone_across_deaths),
        cmocka_unit_test(test_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
