/*
 * All operations at once, by threads on a private region, each with a slot and a view of its own. Between processes
 * ThreadSanitizer sees nothing; here it sees every access that is not ordered. What it finds in this program would be a
 * race between processes too. Built with it by tests/proof/tsan; without it, it is one more test of the sums.
 */

#include <pthread.h>

#include "libshm/adapt.h"
#include "libshm/breaker.h"
#include "libshm/budget.h"
#include "libshm/check.h"
#include "libshm/cooldown.h"
#include "libshm/estimate.h"
#include "libshm/gate.h"
#include "libshm/latency.h"
#include "libshm/limit.h"
#include "libshm/order.h"
#include "libshm/quota.h"
#include "libshm/stat.h"
#include "libshm/waiter.h"
#include "tests/libshm/fixture.h"

enum { THREADS = 4, ROUNDS = 20000, PLACES = 2 };

static const struct gws_breaker_rules rules = {.failures = 3, .half_open = 2, .successes = 2, .open_ms = 1,
                                               .max_open_ms = 2, .stable_ms = 50, .lease_ms = 4, .window_ms = 6000,
                                               .rate = 5000, .min_requests = 10};
static const struct gws_cooldown_rules cooldown = {.default_ms = 1, .max_ms = 5};
static const struct gws_adapt_rules adapt = {.max = PLACES};
static const struct gws_quota_rules day = {.limit = 100};
static const struct gws_budget_rules budget = {.share = 5000, .min = 1};

static void decide(struct gws_region *r, uint32_t i)
{
    uint16_t gen = gws_cooldown_gen(r, 0);
    struct gws_permit permit;
    uint64_t wait;

    if (i % 50 == 0)
        gws_breaker_reset(r, 0, i, 1);
    if (i % 70 == 0)
        gws_cooldown_clear(r, 0, i, 1);
    if (i % 90 == 0)
        gws_order_drain(r, 0, i, 1);
    else if (i % 90 == 45)
        gws_order_enable(r, 0, i, 1);
    if (gws_breaker_permit(r, 0, &rules, i, &permit, &wait) == GWS_GO)
        gws_breaker_report(r, 0, &rules, permit, (enum gws_outcome)(i % 5), i, 0, i);
    if (i % 11 == 0)
        gws_cooldown_hit(r, 0, &cooldown, gen, GWS_COOL_RATE, GWS_NO_WAIT, i);
    gws_cooldown_success(r, 0, gen, i);
    gws_latency_feed(r, 0, i % 977, 100, i);
    gws_estimate_learn(r, 0, 100, i % 300);
    if (i % 37 == 0)
        gws_adapt_overload(r, 0, &adapt, i);
    gws_adapt_success(r, 0, &adapt, PLACES);
}

static void hold(struct gws_region *r, uint32_t i)
{
    struct gws_limit_rules rpm = gws_limit_rules(1000, 1000000000, 10);
    struct gws_limit_charge charge;
    struct gws_slots slots = {{0}};
    uint64_t wait;
    bool money = gws_quota_reserve(r, 0, &day, 2, i) == GWS_QUOTA_RESERVED;
    int place = gws_gate_take(r, 0, PLACES);

    gws_tally_enter(r, GWS_TALLY_REQUESTS);
    gws_waiter_set(r, 0);
    if (gws_budget_take(r, GWS_TALLY_RETRIES, &budget) == GWS_BUDGET_TAKEN)
        gws_tally_leave(r, GWS_TALLY_RETRIES);
    if (gws_limit_charge(r, 0, &rpm, 3, i * UINT64_C(1000000), &charge, &wait) == GWS_LIMIT_TAKEN)
        gws_limit_settle(r, 0, &rpm, charge, i % 5, i * UINT64_C(1000000));
    gws_stat_count(r, 0, GWS_STAT_TRIES);
    gws_latency_count(r, 0, GWS_LATENCY_TOTAL, i);
    if (i % 500 == 0)
        gws_quota_reset(r, 0, i, 1);
    if (money)
        gws_quota_settle(r, 0, &day, 2, i % 2, UINT64_C(86400000) * (i / 1000));
    if (place == GWS_GATE_TAKEN)
        gws_gate_give(r, 0);
    (void)gws_waiter_collect(r, 0, &slots);
    gws_waiter_clear(r, 0);
    gws_tally_leave(r, GWS_TALLY_REQUESTS);
}

static void *work(void *arg)
{
    struct gws_region *r = arg;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        decide(r, i);
        hold(r, i);
    }
    return NULL;
}

static void hear(void *context, const struct gws_check_note *note)
{
    (void)context;
    if (note->kind == GWS_CHECK_FAULT)
        fail_msg("%s: %s", note->section, note->text);
}

static void test_threads(void **state)
{
    static struct gws_event events[4096];
    struct gws_event_cursor cursor = {{0}};
    struct gws_region views[THREADS];
    pthread_t threads[THREADS];
    struct gws_latency_counts counts;
    uint64_t stats[GWS_STATS];
    struct gws_quota_info quota;
    struct fixture f;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < THREADS; i++)
        views[i] = fixture_worker(&f);
    for (int i = 0; i < THREADS; i++) {
        /* One mapping for all, or the sanitizer takes them for different memory. */
        struct gws_region own = f.region;
        own.fd = views[i].fd;
        own.slot = views[i].slot;
        views[i] = own;
        assert_int_equal(pthread_create(&threads[i], NULL, work, &views[i]), 0);
    }
    for (int i = 0; i < 50; i++) {
        (void)gws_event_collect(&f.region, &cursor, events, sizeof(events) / sizeof(events[0]));
        (void)gws_quota_read(&f.region, 0, &quota);
        (void)gws_window_read(&f.region, 0, 1000);
        assert_true(gws_gate_sum(&f.region, 0) <= THREADS);
        usleep(2000);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    gws_region_check(&f.region, ROUNDS, hear, NULL);
    gws_stat_read(&f.region, 0, stats);
    assert_int_equal(stats[GWS_STAT_TRIES], THREADS * ROUNDS);
    gws_latency_read(&f.region, 0, GWS_LATENCY_TOTAL, &counts);
    assert_int_equal(counts.count, THREADS * ROUNDS);
    assert_int_equal(gws_gate_sum(&f.region, 0), 0);
    assert_int_equal(gws_tally_sum(&f.region, GWS_TALLY_REQUESTS), 0);
    assert_true(gws_quota_read(&f.region, 0, &quota));
    assert_int_equal(quota.reserved, 0);
    for (int i = 0; i < THREADS; i++)
        close(views[i].fd);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
