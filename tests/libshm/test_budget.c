/* Tallies and the retry budget: a share of what is in flight everywhere, and never less than the minimum. */

#include "libshm/budget.h"

#include "tests/libshm/fixture.h"

static const struct gws_budget_rules rules = {.share = 2000, .min = 3};

static int retry(struct gws_region *region)
{
    return gws_budget_take(region, GWS_TALLY_RETRIES, &rules);
}

static void test_share(void **state)
{
    struct fixture f;
    struct gws_region other;

    (void)state;
    fixture_open(&f);
    other = fixture_worker(&f);
    for (int i = 0; i < 3; i++)
        assert_int_equal(retry(i == 0 ? &f.region : &other), GWS_BUDGET_TAKEN);
    assert_int_equal(retry(&f.region), GWS_BUDGET_SPENT);
    for (int i = 0; i < 19; i++)
        gws_tally_enter(i % 2 == 0 ? &f.region : &other, GWS_TALLY_REQUESTS);
    assert_int_equal(retry(&other), GWS_BUDGET_SPENT); /* 3.8 are 3 */
    gws_tally_enter(&f.region, GWS_TALLY_REQUESTS);
    assert_int_equal(retry(&other), GWS_BUDGET_TAKEN); /* a fifth of twenty */
    assert_int_equal(retry(&f.region), GWS_BUDGET_SPENT);
    assert_int_equal(gws_budget_take(&f.region, GWS_TALLY_HEDGES, &rules), GWS_BUDGET_TAKEN);
    gws_tally_leave(&other, GWS_TALLY_RETRIES);
    assert_int_equal(retry(&f.region), GWS_BUDGET_TAKEN);
    assert_int_equal(gws_tally_sum(&f.region, GWS_TALLY_RETRIES), 4);
    gws_slot_leave(&other);
    gws_region_close(&other);
    assert_int_equal(gws_tally_sum(&f.region, GWS_TALLY_RETRIES), 2);
    assert_int_equal(gws_tally_sum(&f.region, GWS_TALLY_REQUESTS), 11);
    fixture_close(&f);
}

static void test_queue(void **state)
{
    struct fixture f;
    struct gws_region outsider;

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_tally_take(&f.region, GWS_TALLY_PARKED, 1), GWS_BUDGET_TAKEN);
    assert_int_equal(gws_tally_take(&f.region, GWS_TALLY_PARKED, 1), GWS_BUDGET_SPENT);
    gws_tally_leave(&f.region, GWS_TALLY_PARKED);
    gws_tally_leave(&f.region, GWS_TALLY_PARKED);
    assert_int_equal(gws_tally_sum(&f.region, GWS_TALLY_PARKED), 0);
    outsider = fixture_view(&f, GWS_CHANGE);
    gws_tally_enter(&outsider, GWS_TALLY_PARKED);
    assert_int_equal(gws_tally_take(&outsider, GWS_TALLY_PARKED, 9), GWS_BUDGET_SPENT);
    assert_int_equal(gws_tally_take(&f.region, GWS_TALLIES, 9), GWS_BUDGET_SPENT);
    assert_int_equal(gws_tally_sum(&f.region, GWS_TALLIES), 0);
    gws_region_close(&outsider);
    fixture_close(&f);
}

static int hang(struct fixture *f, void *arg)
{
    int *pipes = arg;

    gws_tally_enter(&f->region, GWS_TALLY_REQUESTS);
    if (retry(&f->region) != GWS_BUDGET_TAKEN || write(pipes[1], "x", 1) != 1)
        return 1;
    for (;;)
        pause();
}

static void test_the_dead_hold_nothing(void **state)
{
    struct fixture f;
    int pipes[2];
    char byte;
    int slot;
    pid_t pid;

    (void)state;
    fixture_open(&f);
    assert_int_equal(pipe(pipes), 0);
    pid = fixture_fork(&f, &slot, hang, pipes);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(gws_tally_sum(&f.region, GWS_TALLY_RETRIES), 1);
    kill(pid, SIGKILL);
    fixture_wait(pid);
    gws_slot_reap(&f.region, slot, true, 0);
    assert_int_equal(gws_tally_sum(&f.region, GWS_TALLY_RETRIES), 0);
    assert_int_equal(gws_tally_sum(&f.region, GWS_TALLY_REQUESTS), 0);
    close(pipes[0]);
    close(pipes[1]);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_the_dead_hold_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
