/* GCRA against exact rationals, and against itself in several processes. */

#include "libshm/limit.h"

#include <sys/mman.h>

#include "tests/libshm/fixture.h"

#define SECOND UINT64_C(1000000000)

static uint64_t seed = 88172645463325252;

static uint64_t random64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int take(struct gws_region *region, const struct gws_limit_rules *rules, uint64_t units, uint64_t now)
{
    uint64_t retry_in = 0;
    return gws_limit_take(region, 1, rules, units, now, &retry_in);
}

static void test_burst_and_refill(void **state)
{
    struct fixture f;
    struct gws_limit_rules rules = gws_limit_rules(60, 60 * SECOND, 0);
    uint64_t retry_in = 0;
    uint64_t now = 5 * SECOND;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 60; i++)
        assert_int_equal(take(&f.region, &rules, 1, now), GWS_LIMIT_TAKEN);
    assert_int_equal(gws_limit_take(&f.region, 1, &rules, 1, now, &retry_in), GWS_LIMIT_FULL);
    assert_int_equal(retry_in, SECOND);
    assert_int_equal(gws_limit_peek(&f.region, 1, &rules, 1, now + SECOND - 1, &retry_in), GWS_LIMIT_FULL);
    assert_int_equal(retry_in, 1);
    assert_int_equal(gws_limit_peek(&f.region, 1, &rules, 1, now + SECOND, &retry_in), GWS_LIMIT_TAKEN);
    assert_int_equal(take(&f.region, &rules, 1, now + SECOND), GWS_LIMIT_TAKEN);
    assert_int_equal(take(&f.region, &rules, 1, now + SECOND), GWS_LIMIT_FULL);
    assert_int_equal(take(&f.region, &rules, 60, now + 61 * SECOND), GWS_LIMIT_TAKEN);
    fixture_close(&f);
}

static void test_more_than_the_burst(void **state)
{
    struct fixture f;
    struct gws_limit_rules rules = gws_limit_rules(10, SECOND, 5);
    uint64_t retry_in = 0;

    (void)state;
    fixture_open(&f);
    assert_int_equal(take(&f.region, &rules, 1, SECOND), GWS_LIMIT_TAKEN);
    assert_int_equal(gws_limit_take(&f.region, 1, &rules, 20, SECOND, &retry_in), GWS_LIMIT_FULL);
    assert_int_equal(retry_in, SECOND / 10); /* when the bucket is empty */
    assert_int_equal(take(&f.region, &rules, 20, SECOND + retry_in), GWS_LIMIT_TAKEN);
    assert_int_equal(gws_limit_take(&f.region, 1, &rules, 1, SECOND + retry_in, &retry_in), GWS_LIMIT_FULL);
    assert_int_equal(retry_in, 2 * SECOND - 4 * SECOND / 10); /* into debt: 2 s of it, less the tolerance but one */
    fixture_close(&f);
}

static void test_undo_and_reset(void **state)
{
    struct fixture f;
    struct gws_limit_rules rules = gws_limit_rules(1, SECOND, 1);
    struct gws_event_cursor cursor = {{0}};
    struct gws_event event;

    (void)state;
    fixture_open(&f);
    assert_int_equal(take(&f.region, &rules, 1, SECOND), GWS_LIMIT_TAKEN);
    gws_limit_undo(&f.region, 1, &rules, 1);
    assert_int_equal(take(&f.region, &rules, 1, SECOND), GWS_LIMIT_TAKEN);
    assert_int_equal(take(&f.region, &rules, 1, SECOND), GWS_LIMIT_FULL);
    for (int i = 0; i < 5; i++)
        gws_limit_undo(&f.region, 1, &rules, UINT64_MAX); /* gives no credit beyond empty */
    assert_int_equal(take(&f.region, &rules, 1, SECOND), GWS_LIMIT_TAKEN);
    assert_int_equal(take(&f.region, &rules, 1, SECOND), GWS_LIMIT_FULL);
    gws_limit_reset(&f.region, 1, SECOND, 77);
    assert_int_equal(take(&f.region, &rules, 1, SECOND), GWS_LIMIT_TAKEN);
    assert_int_equal(gws_event_collect(&f.region, &cursor, &event, 1), 1);
    assert_int_equal(event.code, GWS_EVENT_LIMIT_RESET);
    assert_int_equal(event.domain, 1);
    assert_int_equal(event.who, 77);
    assert_int_equal(event.time, 1000);
    fixture_close(&f);
}

static void test_settle(void **state)
{
    struct fixture f;
    struct gws_limit_rules rules = gws_limit_rules(10, 10 * SECOND, 10); /* one a second */
    struct gws_limit_charge charge;
    struct gws_limit_charge second;
    uint64_t retry_in = 0;
    uint64_t word;

    (void)state;
    fixture_open(&f);
    /* Less than was taken: the rest comes back at once. */
    assert_int_equal(gws_limit_charge(&f.region, 1, &rules, 8, 0, &charge, &retry_in), GWS_LIMIT_TAKEN);
    assert_int_equal(gws_limit_charge(&f.region, 1, &rules, 3, 0, &second, &retry_in), GWS_LIMIT_FULL);
    assert_int_equal(second.units, 0);
    gws_limit_settle(&f.region, 1, &rules, second, 0, 0);
    gws_limit_settle(&f.region, 1, &rules, charge, 3, 0);
    assert_true(gws_limit_read(&f.region, 1, &rules, &word) && word == 16 * 3 * SECOND);
    rules = gws_limit_rules(10, 10 * SECOND, 10);
    /* More: into debt. */
    assert_int_equal(gws_limit_charge(&f.region, 1, &rules, 2, 0, &charge, &retry_in), GWS_LIMIT_TAKEN);
    gws_limit_settle(&f.region, 1, &rules, charge, 12, SECOND);
    assert_true(gws_limit_read(&f.region, 1, &rules, &word) && word == 16 * 15 * SECOND);
    rules = gws_limit_rules(10, 10 * SECOND, 10);
    gws_limit_reset(&f.region, 1, 0, 0);
    /* What has decayed was of use to others and does not come back: of 8 taken 6 s ago 2 are left. */
    assert_int_equal(gws_limit_charge(&f.region, 1, &rules, 8, 0, &charge, &retry_in), GWS_LIMIT_TAKEN);
    assert_int_equal(take(&f.region, &rules, 8, 6 * SECOND), GWS_LIMIT_TAKEN);
    gws_limit_settle(&f.region, 1, &rules, charge, 0, 6 * SECOND);
    assert_true(gws_limit_read(&f.region, 1, &rules, &word) && word == 16 * 14 * SECOND);
    gws_limit_settle(&f.region, 1, &rules, charge, 0, 8 * SECOND);
    rules = gws_limit_rules(10, 10 * SECOND, 10);
    assert_int_equal(gws_limit_step_settle(16 * 14 * SECOND, &rules, charge, 0, 8 * SECOND), 16 * 14 * SECOND);
    /* More, long after what was taken has decayed: from now on. */
    assert_int_equal(gws_limit_step_settle(16 * 14 * SECOND, &rules, charge, 11, 50 * SECOND), 16 * 53 * SECOND);
    gws_limit_settle(&f.region, 99, &rules, charge, 0, 0);
    fixture_close(&f);
}

/*
 * The same limiter in rationals: one unit costs P/n ns, so time is kept in units of 1/n ns, exactly. The word may
 * differ from it by its rounding: upward, by less than a sixteenth of a nanosecond for every unit.
 */
struct exact {
    unsigned __int128 tat;
    uint64_t count;
    uint64_t period;
    uint64_t burst;
};

/* 1: certainly admitted. 0: certainly not. -1: within `slack` ns of the edge. */
static int exact_says(const struct exact *e, uint64_t units, uint64_t now, uint64_t slack)
{
    unsigned __int128 t = (unsigned __int128)now * e->count;
    unsigned __int128 base = e->tat > t ? e->tat : t;
    unsigned __int128 over = base + (unsigned __int128)units * e->period - t;
    unsigned __int128 limit = (unsigned __int128)e->burst * e->period;

    if (units > e->burst) {
        over = base - t;
        limit = 0;
    }
    if (over > limit && over - limit > (unsigned __int128)slack * e->count)
        return 0;
    return over <= limit && (limit == 0 || limit - over >= (unsigned __int128)slack * e->count) ? 1 : -1;
}

static void exact_take(struct exact *e, uint64_t units, uint64_t now)
{
    unsigned __int128 t = (unsigned __int128)now * e->count;
    e->tat = (e->tat > t ? e->tat : t) + (unsigned __int128)units * e->period;
}

static void one_property_run(bool divides)
{
    uint64_t count = 1 + random64() % 100000;
    uint64_t period = (divides ? count * (1 + random64() % 1000000) : 1 + random64() % (86400 * SECOND));
    uint64_t burst = 1 + random64() % (2 * count);
    struct gws_limit_rules rules = gws_limit_rules(count, period, burst);
    struct exact exact = {.count = count, .period = period, .burst = burst};
    uint64_t now = random64() % (1000 * SECOND);
    uint64_t taken = 0;
    uint64_t word = 0;

    for (int i = 0; i < 300; i++) {
        uint64_t units = random64() % 8 == 0 ? random64() % (burst * 2) : 1 + random64() % 3;
        uint64_t retry_in = 0;
        /* A sixteenth a unit, of all that may still be in the bucket. */
        uint64_t slack = divides ? 0 : 1 + (taken + burst + units) / 16;
        int says = exact_says(&exact, units, now, slack);
        int result = gws_limit_step(word, &rules, units, now, &word, &retry_in);

        if (units == 0) {
            assert_int_equal(result, GWS_LIMIT_TAKEN);
            continue;
        }
        if (says >= 0)
            assert_int_equal(result, says == 1 ? GWS_LIMIT_TAKEN : GWS_LIMIT_FULL);
        if (result == GWS_LIMIT_TAKEN) {
            assert_int_not_equal(says, 0);
            exact_take(&exact, units, now);
            taken += units;
        } else {
            uint64_t again = word;
            uint64_t wait;
            /* It is admitted after the wait it named, and not a nanosecond before. */
            assert_true(retry_in > 0);
            assert_int_equal(gws_limit_step(word, &rules, units, now + retry_in - 1, &again, &wait), GWS_LIMIT_FULL);
            assert_int_equal(wait, 1);
            assert_int_equal(gws_limit_step(word, &rules, units, now + retry_in, &again, &wait), GWS_LIMIT_TAKEN);
        }
        now += random64() % 4 == 0 ? random64() % (period / count * 4 + 1) : 0;
    }
}

static void test_against_rationals(void **state)
{
    (void)state;
    for (int i = 0; i < 400; i++)
        one_property_run(i % 2 == 0);
}

static void test_extremes(void **state)
{
    struct gws_limit_rules none = gws_limit_rules(0, SECOND, 0);
    struct gws_limit_rules rules = gws_limit_rules(1, UINT64_MAX, UINT64_MAX);
    uint64_t retry_in = 0;
    uint64_t word = 7;

    (void)state;
    assert_int_equal(gws_limit_step(7, &none, UINT64_MAX, 0, &word, &retry_in), GWS_LIMIT_TAKEN);
    assert_int_equal(word, 7);
    assert_int_equal(gws_limit_step(0, &rules, UINT64_MAX, 0, &word, &retry_in), GWS_LIMIT_TAKEN);
    assert_int_equal(word, UINT64_MAX); /* saturated */
    assert_int_equal(gws_limit_step(word, &rules, 1, UINT64_MAX / 32, &word, &retry_in), GWS_LIMIT_FULL);
    assert_true(retry_in > 0);
    rules = gws_limit_rules(UINT64_MAX, 1, 0);
    assert_int_equal(rules.interval, 1);
}

/* Workers take in turns at stepped times, as fast as they can; what they get together is what one would. */
enum { WORKERS = 4, STEPS = 200 };

struct tally {
    _Atomic uint64_t step;
    _Atomic int waiting;
    _Atomic uint64_t taken;
};

static const struct {
    uint64_t count;
    uint64_t step_ns;
} crowd_rules = {.count = 100, .step_ns = 13 * 1000 * 1000};

static int take_all(struct fixture *f, void *arg)
{
    struct tally *tally = arg;
    struct gws_limit_rules rules = gws_limit_rules(crowd_rules.count, SECOND, 5);

    for (uint64_t step = 1; step <= STEPS; step++) {
        while (atomic_load(&tally->step) < step)
            usleep(20);
        while (take(&f->region, &rules, 1, step * crowd_rules.step_ns) == GWS_LIMIT_TAKEN)
            atomic_fetch_add(&tally->taken, 1);
        atomic_fetch_add(&tally->waiting, 1);
    }
    return 0;
}

static void test_workers_share(void **state)
{
    struct fixture f;
    struct gws_limit_rules rules = gws_limit_rules(crowd_rules.count, SECOND, 5);
    struct tally *tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t alone = 0;
    uint64_t word = 0;
    uint64_t retry_in;
    pid_t pids[WORKERS];
    int slot;

    (void)state;
    assert_true(tally != MAP_FAILED);
    fixture_open(&f);
    for (int i = 0; i < WORKERS; i++)
        pids[i] = fixture_fork(&f, &slot, take_all, tally);
    for (uint64_t step = 1; step <= STEPS; step++) {
        atomic_store(&tally->waiting, 0);
        atomic_store(&tally->step, step);
        while (atomic_load(&tally->waiting) < WORKERS)
            usleep(20);
        while (gws_limit_step(word, &rules, 1, step * crowd_rules.step_ns, &word, &retry_in) == GWS_LIMIT_TAKEN)
            alone++;
        assert_int_equal(atomic_load(&tally->taken), alone);
    }
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(fixture_wait(pids[i]), 0);
    /* 199 steps of 13 ms at 100 a second, and the burst. */
    assert_int_equal(alone, 5 + 199 * 13 / 10);
    munmap(tally, sizeof(*tally));
    fixture_close(&f);
}

static void test_changed_rules_keep_the_units(void **state)
{
    struct fixture f;
    struct gws_limit_rules minute = gws_limit_rules(60, 60 * SECOND, 0);
    struct gws_limit_rules half = gws_limit_rules(30, 60 * SECOND, 0);
    struct gws_limit_rules seen;
    uint64_t word = 0;

    (void)state;
    fixture_open(&f);
    gws_limit_publish(&f.region, 1, &minute, SECOND);
    for (int i = 0; i < 20; i++)
        take(&f.region, &minute, 1, SECOND);
    gws_limit_publish(&f.region, 1, &minute, SECOND);
    gws_limit_publish(&f.region, 1, &half, SECOND);
    assert_true(gws_limit_read(&f.region, 1, &seen, &word));
    assert_int_equal(seen.interval, half.interval);
    assert_int_equal(word, 16 * SECOND + 20 * half.interval);
    for (int i = 0; i < 10; i++)
        assert_int_equal(take(&f.region, &half, 1, SECOND), GWS_LIMIT_TAKEN);
    assert_int_equal(take(&f.region, &half, 1, SECOND), GWS_LIMIT_FULL);
    fixture_close(&f);
}

static void test_rows_out_of_range(void **state)
{
    struct fixture f;
    struct gws_limit_rules rules = gws_limit_rules(1, SECOND, 0);
    uint64_t retry_in = 0;

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_limit_take(&f.region, 6, &rules, 1, 0, &retry_in), GWS_LIMIT_FULL);
    assert_int_equal(retry_in, UINT64_MAX);
    assert_int_equal(gws_limit_peek(&f.region, UINT32_MAX, &rules, 1, 0, &retry_in), GWS_LIMIT_FULL);
    gws_limit_undo(&f.region, 6, &rules, 1);
    gws_limit_reset(&f.region, 6, 0, 0);
    assert_false(gws_limit_read(&f.region, 6, &rules, &retry_in));
    fixture_close(&f);
}

static void test_refusals_are_counted(void **state)
{
    struct fixture f;
    struct gws_region worker;

    (void)state;
    fixture_open(&f);
    worker = fixture_worker(&f);
    gws_limit_count_refusal(&f.region, 1);
    gws_limit_count_refusal(&worker, 1);
    gws_limit_count_refusal(&worker, UINT32_MAX);
    assert_int_equal(gws_limit_refusals(&f.region, 1), 2);
    assert_int_equal(gws_limit_refusals(&f.region, 0), 0);
    assert_int_equal(gws_limit_refusals(&f.region, UINT32_MAX), 0);
    gws_region_close(&worker);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_and_refill),
        cmocka_unit_test(test_more_than_the_burst),
        cmocka_unit_test(test_undo_and_reset),
        cmocka_unit_test(test_settle),
        cmocka_unit_test(test_against_rationals),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_workers_share),
        cmocka_unit_test(test_changed_rules_keep_the_units),
        cmocka_unit_test(test_rows_out_of_range),
        cmocka_unit_test(test_refusals_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
