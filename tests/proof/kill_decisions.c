/*
 * A kill at every instruction of what decides: breaker, cooldown, order, window, latency, adaptive limit, estimate.
 * Each operation begins in every state its word can be in.
 */

#include "libshm/adapt.h"
#include "libshm/breaker.h"
#include "libshm/cooldown.h"
#include "libshm/estimate.h"
#include "libshm/latency.h"
#include "libshm/measure.h"
#include "libshm/order.h"
#include "libshm/series.h"
#include "libshm/stat.h"
#include "libshm/ticket.h"
#include "libshm/window.h"
#include "tests/proof/steps.h"

static const struct gws_breaker_rules *const rules = &scene_breaker;

static uint16_t gen(struct gws_region *r)
{
    return gws_breaker_view(gws_breaker_word(r, 0)).gen;
}

static void report(struct gws_region *r, bool trial, enum gws_outcome outcome, uint64_t now)
{
    gws_breaker_report(r, 0, rules, (struct gws_permit){.gen = gen(r), .trial = trial}, outcome, now, 0, 0);
}

static void open_at(struct gws_region *r, uint64_t now)
{
    for (int i = 0; i < 3; i++)
        report(r, false, GWS_FAILED, now);
}

static void trial_at(struct gws_region *r, uint64_t now)
{
    struct gws_permit permit;
    uint64_t wait;
    assert_int_equal(gws_breaker_permit(r, 0, rules, now, &permit, &wait), GWS_GO);
    assert_true(permit.trial);
}

enum { BREAKER_STATES = 13 };

/* Opening takes a second and a lease half of one, so the moments below are right before or after a deadline. */
static void prepare_word(const struct scene *s, struct gws_region *r, uint64_t now)
{
    switch (s->state) {
    case 0: /* closed, nothing known */
        break;
    case 1: /* one failure from opening by count */
        report(r, false, GWS_FAILED, now - 70000);
        report(r, false, GWS_FAILED, now - 70000);
        break;
    case 2: /* one throttle from opening by rate */
        report(r, false, GWS_OK, now - 2000);
        report(r, false, GWS_THROTTLED, now - 2000);
        report(r, false, GWS_OK, now - 1000);
        break;
    case 3: /* open, not yet */
        open_at(r, now - 500);
        break;
    case 4: /* open, may be tried now */
        open_at(r, now - 1000);
        break;
    case 5: /* half open, one trial out, room for another */
    case 6: /* half open, both out */
    case 7: /* half open, one has succeeded */
    case 8: /* half open, one has succeeded and one is out */
        open_at(r, now - 2000);
        trial_at(r, now - 100);
        if (s->state >= 6)
            trial_at(r, now - 100);
        if (s->state >= 7)
            report(r, true, GWS_OK, now - 50);
        if (s->state == 7)
            report(r, true, GWS_NEUTRAL, now - 50);
        break;
    case 9: /* half open, the trials are lost */
        open_at(r, now - 4000);
        trial_at(r, now - 500);
        break;
    case 10:
        gws_breaker_force_open(r, 0, 0, now - 10, 7);
        break;
    case 11:
        gws_breaker_force_closed(r, 0, now - 10, 7);
        break;
    default: /* forced open until now */
        gws_breaker_force_open(r, 0, now, now - 10, 7);
        break;
    }
}

static void prepare_breaker(struct scene *s)
{
    prepare_word(s, &s->other, SCENE_NOW);
    s->permit.gen = gen(&s->other);
    s->permit.trial = gws_breaker_view(gws_breaker_word(&s->other, 0)).mode == GWS_HALF;
}

static void run_permit(struct scene *s, struct gws_region *r)
{
    struct gws_permit permit;
    uint64_t wait;
    (void)s;
    (void)gws_breaker_permit(r, 0, rules, SCENE_NOW, &permit, &wait);
}

static void run_report(const struct scene *s, struct gws_region *r, enum gws_outcome outcome)
{
    gws_breaker_report(r, 0, rules, s->permit, outcome, SCENE_NOW, 0, 0);
}

static void run_ok(struct scene *s, struct gws_region *r)
{
    run_report(s, r, GWS_OK);
}

static void run_failed(struct scene *s, struct gws_region *r)
{
    run_report(s, r, GWS_FAILED);
}

static void run_throttled(struct scene *s, struct gws_region *r)
{
    run_report(s, r, GWS_THROTTLED);
}

static void run_neutral(struct scene *s, struct gws_region *r)
{
    run_report(s, r, GWS_NEUTRAL);
}

static void run_stale(struct scene *s, struct gws_region *r)
{
    struct gws_permit permit = {.gen = (uint16_t)((s->permit.gen - 1) & 0x3fff), .trial = true};
    gws_breaker_report(r, 0, rules, permit, GWS_FAILED, SCENE_NOW, 0, 0);
}

static void run_advance(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_breaker_advance(r, 0, SCENE_NOW);
}

static void run_probe_failed(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_breaker_probe_failed(r, 0, rules, SCENE_NOW, 0);
}

static void run_reset(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_breaker_reset(r, 0, SCENE_NOW, 7);
}

static void run_force_open(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_breaker_force_open(r, 0, SCENE_NOW + 1000, SCENE_NOW, 7);
}

static void run_auto(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_breaker_auto(r, 0, SCENE_NOW, 7);
}

static void test_breaker(void **state)
{
    static const struct op ops[] = {
        {"permit", prepare_breaker, NULL, run_permit, run_permit, BREAKER_STATES, false, false},
        {"permit against a failure", prepare_breaker, NULL, run_permit, run_failed, BREAKER_STATES, false, false},
        {"report ok", prepare_breaker, NULL, run_ok, run_failed, BREAKER_STATES, false, false},
        {"report failed", prepare_breaker, NULL, run_failed, run_reset, BREAKER_STATES, false, false},
        {"report throttled", prepare_breaker, NULL, run_throttled, NULL, BREAKER_STATES, false, false},
        {"report neutral", prepare_breaker, NULL, run_neutral, run_permit, BREAKER_STATES, false, false},
        {"report of another generation", prepare_breaker, NULL, run_stale, NULL, BREAKER_STATES, false, false},
        {"advance", prepare_breaker, NULL, run_advance, NULL, BREAKER_STATES, false, false},
        {"probe failed", prepare_breaker, NULL, run_probe_failed, NULL, BREAKER_STATES, false, false},
        {"reset", prepare_breaker, NULL, run_reset, run_permit, BREAKER_STATES, false, false},
        {"force open", prepare_breaker, NULL, run_force_open, NULL, BREAKER_STATES, false, false},
        {"auto", prepare_breaker, NULL, run_auto, NULL, BREAKER_STATES, false, false},
    };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        scene_prove(*state, &ops[i]);
}

static void prepare_cooldown(struct scene *s)
{
    struct gws_region *r = &s->other;

    if (s->state == 1) /* cooling for another second */
        gws_cooldown_hit(r, 0, &scene_cooldown, 0, GWS_COOL_RATE, 2000, SCENE_NOW - 1000);
    if (s->state == 2) /* over, with a streak */
        gws_cooldown_hit(r, 0, &scene_cooldown, 0, GWS_COOL_RATE, 1000, SCENE_NOW - 2000);
}

static void run_hit(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_cooldown_hit(r, 0, &scene_cooldown, 0, GWS_COOL_QUOTA, 5000, SCENE_NOW);
}

static void run_success(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_cooldown_success(r, 0, 0, SCENE_NOW);
}

static void run_clear(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_cooldown_clear(r, 0, SCENE_NOW, 7);
}

static void prepare_order(struct scene *s)
{
    if (s->state == 1)
        gws_order_drain(&s->other, 0, SCENE_NOW - 5, 7);
}

static void run_drain(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_order_drain(r, 0, SCENE_NOW, 7);
}

static void run_enable(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_order_enable(r, 0, SCENE_NOW, 7);
}

static void test_cooldown_and_order(void **state)
{
    static const struct op ops[] = {
        {"hit", prepare_cooldown, NULL, run_hit, run_clear, 3, false, false},
        {"hit against a success", prepare_cooldown, NULL, run_hit, run_success, 3, false, false},
        {"success", prepare_cooldown, NULL, run_success, run_hit, 3, false, false},
        {"clear", prepare_cooldown, NULL, run_clear, run_hit, 3, false, false},
        {"drain", prepare_order, NULL, run_drain, run_enable, 2, false, false},
        {"enable", prepare_order, NULL, run_enable, run_drain, 2, false, false},
    };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        scene_prove(*state, &ops[i]);
}

static void prepare_words(struct scene *s)
{
    struct gws_region *r = &s->other;

    if (s->state == 0)
        return;
    gws_latency_feed(r, 0, 50000, 1000, SCENE_NOW - 500);
    gws_adapt_overload(r, 0, &scene_adapt, SCENE_NOW - 3000);
    gws_window_add(r, 0, GWS_SAMPLE_OK, s->state == 1 ? SCENE_NOW : SCENE_NOW - 60000);
    gws_estimate_learn(r, 0, 10, 15);
}

static void run_feed(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_latency_feed(r, 0, 20000, 1000, SCENE_NOW);
}

static void run_count(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_latency_count(r, 0, GWS_LATENCY_FIRST, 20000);
    gws_stat_count(r, 0, GWS_STAT_OK);
    gws_stat_last_ok(r, 0, SCENE_NOW);
    gws_series_count(r, 0, GWS_ENDING_OK);
    gws_series_answered(r, 0, SCENE_NOW);
    gws_measure_count(r, GWS_MEASURE_OVERHEAD, 80);
    gws_slot_count_request(r);
    gws_slot_set_connections(r, 5);
}

static void run_overload(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_adapt_overload(r, 0, &scene_adapt, SCENE_NOW);
}

static void run_raise(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_adapt_success(r, 0, &scene_adapt, 20);
}

static void run_sample(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_window_add(r, 0, GWS_SAMPLE_FAILED, SCENE_NOW);
}

static void run_learn(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_estimate_learn(r, 0, 10, 20);
}

static void run_ticket(struct scene *s, struct gws_region *r)
{
    (void)s;
    (void)gws_ticket_next(r, 0);
}

static void test_words(void **state)
{
    static const struct op ops[] = {
        {"latency", prepare_words, NULL, run_feed, run_feed, 2, false, false},
        {"counters", prepare_words, NULL, run_count, run_count, 2, false, false},
        {"overload", prepare_words, NULL, run_overload, run_raise, 2, false, false},
        {"raise", prepare_words, NULL, run_raise, run_overload, 2, false, false},
        {"window", prepare_words, NULL, run_sample, run_sample, 3, false, false},
        {"estimate", prepare_words, NULL, run_learn, run_learn, 2, false, false},
        {"ticket", prepare_words, NULL, run_ticket, run_ticket, 2, false, false},
    };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        scene_prove(*state, &ops[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_breaker, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_cooldown_and_order, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_words, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
