/* Daily quotas: strict, by the calendar of a zone, and what a death leaves of them. */

#include "libshm/quota.h"

#include "tests/libshm/fixture.h"

#define DAY UINT64_C(86400000)
#define NOON (20000 * DAY + DAY / 2)

static const struct gws_quota_rules rules = {.limit = 100};

static int reserve(struct gws_region *region, uint64_t amount, uint64_t real)
{
    return gws_quota_reserve(region, 2, &rules, amount, real);
}

static void settle(struct gws_region *region, uint64_t reserved, uint64_t spent, uint64_t real)
{
    gws_quota_settle(region, 2, &rules, reserved, spent, real);
}

static void assert_quota(struct gws_region *region, uint32_t day, uint64_t committed, uint64_t reserved)
{
    struct gws_quota_info info;

    assert_true(gws_quota_read(region, 2, &info));
    assert_int_equal(info.day, day);
    assert_int_equal(info.committed, committed);
    assert_int_equal(info.reserved, reserved);
}

static void test_reserve_and_settle(void **state)
{
    struct fixture f;
    struct gws_region other;

    (void)state;
    fixture_open(&f);
    other = fixture_worker(&f);
    assert_int_equal(reserve(&f.region, 60, NOON), GWS_QUOTA_RESERVED);
    assert_int_equal(reserve(&other, 41, NOON), GWS_QUOTA_SPENT);
    assert_int_equal(gws_quota_peek(&other, 2, &rules, 41, NOON), GWS_QUOTA_SPENT);
    assert_int_equal(gws_quota_peek(&other, 2, &rules, 40, NOON), GWS_QUOTA_RESERVED);
    assert_int_equal(reserve(&other, 40, NOON), GWS_QUOTA_RESERVED);
    assert_quota(&f.region, 20000, 0, 100);
    settle(&f.region, 60, 10, NOON);
    assert_quota(&f.region, 20000, 10, 40);
    settle(&other, 40, 95, NOON); /* it cost more than was thought: charged all the same */
    assert_quota(&f.region, 20000, 105, 0);
    assert_int_equal(reserve(&f.region, 1, NOON), GWS_QUOTA_SPENT);
    assert_int_equal(reserve(&f.region, 0, NOON), GWS_QUOTA_SPENT);
    settle(&f.region, 7, 0, NOON); /* what was not reserved can not be given back */
    assert_quota(&f.region, 20000, 105, 0);
    gws_quota_reset(&f.region, 2, 0, 0);
    assert_int_equal(reserve(&f.region, 3, NOON), GWS_QUOTA_RESERVED);
    settle(&f.region, 7, 0, NOON); /* nor more than was */
    assert_quota(&f.region, 20000, 0, 0);
    gws_region_close(&other);
    fixture_close(&f);
}

static void test_days_roll_forward(void **state)
{
    struct fixture f;
    struct gws_region other;

    (void)state;
    fixture_open(&f);
    other = fixture_worker(&f);
    assert_int_equal(reserve(&f.region, 50, NOON), GWS_QUOTA_RESERVED);
    settle(&f.region, 50, 50, NOON);
    assert_int_equal(reserve(&other, 50, NOON + DAY / 2 - 1), GWS_QUOTA_RESERVED);
    assert_int_equal(reserve(&f.region, 1, NOON + DAY / 2 - 1), GWS_QUOTA_SPENT);
    /* At midnight what was spent is over; what is under way is not, for it will be charged to the new day. */
    assert_int_equal(reserve(&f.region, 51, NOON + DAY / 2), GWS_QUOTA_SPENT);
    assert_int_equal(reserve(&f.region, 50, NOON + DAY / 2), GWS_QUOTA_RESERVED);
    settle(&other, 50, 30, NOON + DAY / 2 + 5);
    assert_quota(&f.region, 20001, 30, 50);
    /* A clock that is set back finds the new day still there. */
    assert_int_equal(reserve(&other, 21, NOON), GWS_QUOTA_SPENT);
    assert_int_equal(gws_quota_peek(&other, 2, &rules, 21, NOON), GWS_QUOTA_SPENT);
    settle(&f.region, 50, 60, NOON);
    assert_quota(&f.region, 20001, 90, 0);
    gws_region_close(&other);
    fixture_close(&f);
}

static void test_zones(void **state)
{
    const struct gws_quota_rules west = {.limit = 1, .zone_minutes = -480};
    const struct gws_quota_rules east = {.limit = 1, .zone_minutes = 345};

    (void)state;
    assert_int_equal(gws_quota_day(&west, 20000 * DAY + 8 * 3600000 - 1), 19999);
    assert_int_equal(gws_quota_day(&west, 20000 * DAY + 8 * 3600000), 20000);
    assert_int_equal(gws_quota_left_of_day(&west, 20000 * DAY + 8 * 3600000 - 1), 1);
    assert_int_equal(gws_quota_day(&east, 20000 * DAY - 345 * 60000), 20000);
    assert_int_equal(gws_quota_left_of_day(&east, 20000 * DAY - 345 * 60000), DAY);
    assert_int_equal(gws_quota_day(&west, 0), 0);
    assert_int_equal(gws_quota_day(&rules, UINT64_MAX), 65535);
}

static void test_restore_and_reset(void **state)
{
    struct fixture f;
    struct gws_event event;
    struct gws_event_cursor cursor = {{0}};

    (void)state;
    fixture_open(&f);
    gws_quota_restore(&f.region, 2, 20000, 70);
    gws_quota_restore(&f.region, 2, 20000, 70); /* said twice is not twice as much */
    assert_int_equal(reserve(&f.region, 31, NOON), GWS_QUOTA_SPENT);
    assert_int_equal(reserve(&f.region, 30, NOON), GWS_QUOTA_RESERVED);
    settle(&f.region, 30, 20, NOON);
    assert_quota(&f.region, 20000, 90, 0);
    gws_quota_restore(&f.region, 2, 20000, 80); /* less than is known already */
    gws_quota_restore(&f.region, 2, 19999, 1000);
    assert_quota(&f.region, 20000, 90, 0);
    assert_int_equal(reserve(&f.region, 5, NOON), GWS_QUOTA_RESERVED);
    gws_quota_reset(&f.region, 2, 123, 7);
    assert_quota(&f.region, 20000, 0, 5);
    settle(&f.region, 5, 4, NOON);
    assert_quota(&f.region, 20000, 4, 0);
    assert_int_equal(gws_event_collect(&f.region, &cursor, &event, 1), 1);
    assert_int_equal(event.code, GWS_EVENT_QUOTA_RESET);
    assert_int_equal(event.old, 90);
    gws_quota_restore(&f.region, 2, 20001, 3);
    assert_quota(&f.region, 20001, 3, 0);
    fixture_close(&f);
}

static void test_extremes(void **state)
{
    const struct gws_quota_rules none = {.limit = 0};
    struct gws_quota_info info;
    struct fixture f;
    struct gws_region outsider;

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_quota_reserve(&f.region, 1, &none, GWS_QUOTA_MAX, NOON), GWS_QUOTA_RESERVED);
    assert_int_equal(gws_quota_reserve(&f.region, 1, &none, GWS_QUOTA_MAX + 1, NOON), GWS_QUOTA_SPENT);
    gws_quota_settle(&f.region, 1, &none, GWS_QUOTA_MAX, GWS_QUOTA_MAX, NOON);
    gws_quota_settle(&f.region, 1, &none, 0, 5, NOON);
    assert_true(gws_quota_read(&f.region, 1, &info));
    assert_int_equal(info.committed, GWS_QUOTA_MAX); /* no way round to nothing */
    outsider = fixture_view(&f, GWS_CHANGE);
    assert_int_equal(reserve(&outsider, 1, NOON), GWS_QUOTA_SPENT);
    assert_int_equal(gws_quota_reserve(&f.region, 16, &none, 1, NOON), GWS_QUOTA_SPENT);
    assert_int_equal(gws_quota_peek(&f.region, 16, &none, 1, NOON), GWS_QUOTA_SPENT);
    gws_quota_settle(&f.region, 16, &none, 1, 1, NOON);
    gws_quota_restore(&f.region, 16, 1, 1);
    gws_quota_reset(&f.region, 16, 0, 0);
    gws_quota_publish(&f.region, 16, &none);
    assert_false(gws_quota_read(&f.region, 16, &info));
    gws_quota_publish(&f.region, 2, &(struct gws_quota_rules){.limit = 9, .zone_minutes = -60});
    assert_true(gws_quota_read(&f.region, 2, &info));
    assert_int_equal(info.rules.limit, 9);
    assert_int_equal(info.rules.zone_minutes, -60);
    gws_region_close(&outsider);
    fixture_close(&f);
}

static int spend_and_hang(struct fixture *f, void *arg)
{
    int *pipes = arg;

    if (reserve(&f->region, 30, NOON) != GWS_QUOTA_RESERVED)
        return 1;
    settle(&f->region, 10, 10, NOON);
    if (write(pipes[1], "x", 1) != 1)
        return 2;
    for (;;)
        pause();
}

static void test_the_dead_have_spent(void **state)
{
    struct fixture f;
    int pipes[2];
    char byte;
    int slot;
    pid_t pid;

    (void)state;
    fixture_open(&f);
    assert_int_equal(pipe(pipes), 0);
    pid = fixture_fork(&f, &slot, spend_and_hang, pipes);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    kill(pid, SIGKILL);
    fixture_wait(pid);
    assert_quota(&f.region, 20000, 10, 20);
    gws_slot_reap(&f.region, slot, true, 0);
    assert_quota(&f.region, 20000, 10, 0);
    close(pipes[0]);
    close(pipes[1]);
    fixture_close(&f);
}

static void test_refusals_are_counted(void **state)
{
    struct fixture f;
    struct gws_region worker;

    (void)state;
    fixture_open(&f);
    worker = fixture_worker(&f);
    gws_quota_count_refusal(&f.region, 1);
    gws_quota_count_refusal(&worker, 1);
    gws_quota_count_refusal(&worker, UINT32_MAX);
    assert_int_equal(gws_quota_refusals(&f.region, 1), 2);
    assert_int_equal(gws_quota_refusals(&f.region, 0), 0);
    assert_int_equal(gws_quota_refusals(&f.region, UINT32_MAX), 0);
    gws_region_close(&worker);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reserve_and_settle), cmocka_unit_test(test_days_roll_forward),
        cmocka_unit_test(test_zones),              cmocka_unit_test(test_restore_and_reset),
        cmocka_unit_test(test_extremes),           cmocka_unit_test(test_the_dead_have_spent),
        cmocka_unit_test(test_refusals_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
