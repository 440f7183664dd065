/* The state of an endpoint, to the millisecond: what each word alone makes of it, which of two wins, and what its
 * models make of it together. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gatewayd/state.h"

enum { NOW = 100000 };

static struct state_domain well(const char *name)
{
    return (struct state_domain){.name = name, .breaker = {.mode = GWS_CLOSED}};
}

static struct state_domain failing(const char *name, uint8_t failures)
{
    return (struct state_domain){.name = name, .breaker = {.mode = GWS_CLOSED, .failures = failures}};
}

static struct state_domain opened(const char *name, uint64_t retry_at)
{
    return (struct state_domain){.name = name,
                                 .breaker = {.mode = GWS_OPEN, .reason = GWS_TRIP_FAILURES, .t = retry_at},
                                 .tripped_by = 5};
}

static struct state_domain half(const char *name, uint64_t lease)
{
    return (struct state_domain){.name = name,
                                 .breaker = {.mode = GWS_HALF, .outstanding = 1, .successes = 2, .t = lease}};
}

static struct state_domain held(const char *name, bool open, uint64_t until)
{
    return (struct state_domain){.name = name, .breaker = {.mode = GWS_FORCED, .forced_open = open, .t = until}};
}

static struct state_domain waiting(const char *name, enum gws_cooldown_reason reason, uint8_t streak, uint64_t until)
{
    return (struct state_domain){.name = name, .cooldown = {.reason = reason, .streak = streak, .until = until}};
}

static void expect(struct state_view view, enum state_kind kind, uint64_t until_ms, const char *reason)
{
    assert_string_equal(state_name(view.kind), state_name(kind));
    assert_int_equal(view.until_ms, until_ms);
    assert_string_equal(view.reason, reason);
}

static void expect_alone(struct state_domain domain, enum state_kind kind, uint64_t until_ms, const char *reason)
{
    expect(state_of_domain(&domain, NOW), kind, until_ms, reason);
    domain.name = NULL;
    expect(state_of_endpoint(false, &domain, NULL, NULL, 0, NOW), kind, until_ms, reason);
}

static void breaker_alone(void **state)
{
    (void)state;
    expect_alone(well("m"), STATE_HEALTHY, 0, "");
    expect_alone(failing("m", 1), STATE_DEGRADED, 0, "1 failure in a row");
    expect_alone(failing("m", 4), STATE_DEGRADED, 0, "4 failures in a row");
    expect_alone(opened("m", NOW + 14000), STATE_OPEN, 14000, "open 14.0s, 5 failures in a row");
    expect_alone(opened("m", NOW + 1), STATE_OPEN, 1, "open 0.1s, 5 failures in a row");
    expect_alone(opened("m", NOW), STATE_OPEN, 0, "open, the next request is a trial, 5 failures in a row");
    expect_alone(half("m", NOW + 1), STATE_HALF_OPEN, 0, "half open, 1 trial out, 2 succeeded");
    expect_alone(half("m", NOW), STATE_HALF_OPEN, 0, "half open, a trial was lost, the next request is another");
}

static void breaker_reasons(void **state)
{
    (void)state;
    struct state_domain domain = opened("m", NOW + 1000);
    domain.tripped_by = 0;
    expect_alone(domain, STATE_OPEN, 1000, "open 1.0s, failures in a row");
    domain.breaker.reason = GWS_TRIP_RATE;
    expect_alone(domain, STATE_OPEN, 1000, "open 1.0s, too many failures in its window");
    domain.tripped_on = (struct gws_window_totals){.total = 20, .failed = 12, .slow = 3};
    expect_alone(domain, STATE_OPEN, 1000, "open 1.0s, 12 of 20 failed in the minute before");
    domain.breaker.reason = GWS_TRIP_SLOW;
    expect_alone(domain, STATE_OPEN, 1000, "open 1.0s, 3 of 20 too slow in the minute before");
    domain.tripped_on.total = 0;
    expect_alone(domain, STATE_OPEN, 1000, "open 1.0s, too many slow answers in its window");
    domain.breaker.reason = GWS_TRIP_TRIAL;
    expect_alone(domain, STATE_OPEN, 1000, "open 1.0s, a trial request failed");
    domain.breaker.reason = GWS_TRIP_NONE;
    expect_alone(domain, STATE_OPEN, 1000, "open 1.0s");
}

static void held_by_the_operator(void **state)
{
    (void)state;
    expect_alone(held("m", true, 0), STATE_FORCED_OPEN, 0, "held open by the operator");
    expect_alone(held("m", true, NOW + 600000), STATE_FORCED_OPEN, 600000, "held open 10m00s by the operator");
    expect_alone(held("m", true, NOW + 1), STATE_FORCED_OPEN, 1, "held open 0.1s by the operator");
    expect_alone(held("m", true, NOW), STATE_HEALTHY, 0, "");
    expect_alone(held("m", false, 0), STATE_HEALTHY, 0, "");
}

static void cooldown_alone(void **state)
{
    (void)state;
    expect_alone(waiting("m", GWS_COOL_RATE, 1, NOW + 1200), STATE_COOLING, 1200, "cooling 1.2s, rate limited");
    expect_alone(waiting("m", GWS_COOL_RATE, 2, NOW + 1), STATE_COOLING, 1,
                 "cooling 0.1s, rate limited 2 times in a row");
    expect_alone(waiting("m", GWS_COOL_RATE, 3, NOW + 1200), STATE_EXHAUSTED, 1200,
                 "exhausted 1.2s, rate limited 3 times in a row");
    expect_alone(waiting("m", GWS_COOL_QUOTA, 1, NOW + 900000), STATE_EXHAUSTED, 900000,
                 "exhausted 15m00s, quota spent");
    expect_alone(waiting("m", GWS_COOL_AUTH, 1, NOW + 7200000), STATE_EXHAUSTED, 7200000,
                 "exhausted 2h00m, credential refused");
    expect_alone(waiting("m", GWS_COOL_OVERLOAD, 1, NOW + 2000), STATE_COOLING, 2000, "cooling 2.0s, overloaded");
    expect_alone(waiting("m", GWS_COOL_DEPLETED, 0, NOW + 2000), STATE_COOLING, 2000,
                 "cooling 2.0s, nothing left until the reset");
    /* Over to the millisecond, whatever it was. */
    expect_alone(waiting("m", GWS_COOL_QUOTA, 9, NOW), STATE_HEALTHY, 0, "");
}

static void the_heavier_of_two_wins(void **state)
{
    (void)state;
    struct state_domain domain = opened("m", NOW + 1000);
    domain.cooldown = waiting("m", GWS_COOL_QUOTA, 1, NOW + 9000).cooldown;
    expect_alone(domain, STATE_OPEN, 1000, "open 1.0s, 5 failures in a row");
    domain.breaker = half("m", NOW + 1).breaker;
    expect_alone(domain, STATE_HALF_OPEN, 0, "half open, 1 trial out, 2 succeeded");
    domain.breaker = failing("m", 2).breaker;
    expect_alone(domain, STATE_EXHAUSTED, 9000, "exhausted 9.0s, quota spent");
    domain.breaker = held("m", false, 0).breaker;
    expect_alone(domain, STATE_EXHAUSTED, 9000, "exhausted 9.0s, quota spent");
    domain.breaker = held("m", true, 0).breaker;
    expect_alone(domain, STATE_FORCED_OPEN, 0, "held open by the operator");
    expect(state_of_endpoint(true, &domain, NULL, NULL, 0, NOW), STATE_DRAINED, 0, "drained by the operator");
}

static struct state_view with_models(const struct state_domain *models, size_t count)
{
    struct state_domain own = well(NULL);
    return state_of_endpoint(false, &own, NULL, models, count, NOW);
}

static void some_models_in_trouble(void **state)
{
    (void)state;
    const struct state_domain one[] = {waiting("gpt-4.1", GWS_COOL_RATE, 1, NOW + 1200), well("o3")};
    expect(with_models(one, 2), STATE_DEGRADED, 1200, "gpt-4.1 cooling 1.2s, rate limited");
    const struct state_domain two[] = {waiting("a", GWS_COOL_RATE, 1, NOW + 1200), opened("b", NOW + 14000), well("c")};
    expect(with_models(two, 3), STATE_DEGRADED, 14000, "b open 14.0s, 5 failures in a row; 1 more model");
    const struct state_domain weak[] = {failing("a", 2), well("b")};
    expect(with_models(weak, 2), STATE_DEGRADED, 0, "a 2 failures in a row");
    const struct state_domain mixed[] = {failing("a", 2), opened("b", NOW + 1000)};
    expect(with_models(mixed, 2), STATE_DEGRADED, 1000, "b open 1.0s, 5 failures in a row; 1 more model");
    const struct state_domain fine[] = {well("a"), well("b")};
    expect(with_models(fine, 2), STATE_HEALTHY, 0, "");
}

static void all_models_in_trouble(void **state)
{
    (void)state;
    const struct state_domain only[] = {opened("gpt-4.1", NOW + 14000)};
    expect(with_models(only, 1), STATE_OPEN, 14000, "gpt-4.1 open 14.0s, 5 failures in a row");
    /* The first to be back decides. */
    const struct state_domain two[] = {opened("a", NOW + 14000), waiting("b", GWS_COOL_RATE, 1, NOW + 1200)};
    expect(with_models(two, 2), STATE_COOLING, 1200, "b cooling 1.2s, rate limited; 1 more model");
    const struct state_domain trial[] = {waiting("a", GWS_COOL_RATE, 1, NOW + 1), half("b", NOW + 5000)};
    expect(with_models(trial, 2), STATE_HALF_OPEN, 0, "b half open, 1 trial out, 2 succeeded; 1 more model");
    const struct state_domain for_ever[] = {held("a", true, 0), opened("b", NOW + 14000)};
    expect(with_models(for_ever, 2), STATE_OPEN, 14000, "b open 14.0s, 5 failures in a row; 1 more model");
    const struct state_domain held_all[] = {held("a", true, 0), held("b", true, 0)};
    expect(with_models(held_all, 2), STATE_FORCED_OPEN, 0, "a held open by the operator; 1 more model");
}

static void the_models_nobody_named(void **state)
{
    (void)state;
    /* Alone it is all there is. */
    const struct state_domain alone[] = {opened("*", NOW + 1000)};
    expect(with_models(alone, 1), STATE_OPEN, 1000, "open 1.0s, 5 failures in a row");
    const struct state_domain weak[] = {failing("*", 1)};
    expect(with_models(weak, 1), STATE_DEGRADED, 0, "1 failure in a row");
    /* Idle beside named ones it holds nothing up. */
    const struct state_domain idle[] = {opened("a", NOW + 1000), well("*")};
    expect(with_models(idle, 2), STATE_OPEN, 1000, "a open 1.0s, 5 failures in a row");
    /* In trouble beside healthy ones it is one of them. */
    const struct state_domain other[] = {well("a"), opened("*", NOW + 1000)};
    expect(with_models(other, 2), STATE_DEGRADED, 1000, "* open 1.0s, 5 failures in a row");
}

static void own_state_before_the_models(void **state)
{
    (void)state;
    const struct state_domain models[] = {waiting("a", GWS_COOL_RATE, 1, NOW + 1200), well("b")};
    struct state_domain own = opened(NULL, NOW + 14000);
    expect(state_of_endpoint(false, &own, NULL, models, 2, NOW), STATE_OPEN, 14000, "open 14.0s, 5 failures in a row");
    /* Its own failures are the lighter news. */
    own = failing(NULL, 2);
    expect(state_of_endpoint(false, &own, NULL, models, 2, NOW), STATE_DEGRADED, 1200,
           "a cooling 1.2s, rate limited");
    expect(state_of_endpoint(false, &own, NULL, &models[1], 1, NOW), STATE_DEGRADED, 0, "2 failures in a row");
}

static void account(void **state)
{
    (void)state;
    struct state_domain own = well(NULL);
    struct state_domain owed = waiting("example", GWS_COOL_QUOTA, 1, NOW + 60000);
    expect(state_of_endpoint(false, &own, &owed, NULL, 0, NOW), STATE_EXHAUSTED, 60000,
           "example exhausted 1m00s, quota spent");
    expect(state_of_endpoint(false, &own, &owed, NULL, 0, NOW + 60000), STATE_HEALTHY, 0, "");
    own = opened(NULL, NOW + 1000);
    expect(state_of_endpoint(false, &own, &owed, NULL, 0, NOW), STATE_OPEN, 1000, "open 1.0s, 5 failures in a row");
}

static void long_names_are_cut_not_spilled(void **state)
{
    (void)state;
    char name[128];
    for (size_t i = 0; i < sizeof(name) - 1; i++)
        name[i] = 'x';
    name[127] = '\0';
    const struct state_domain models[] = {waiting(name, GWS_COOL_DEPLETED, 15, UINT64_MAX), opened("b", UINT64_MAX)};
    struct state_view view = with_models(models, 2);
    assert_int_equal(view.kind, STATE_EXHAUSTED);
    assert_memory_equal(view.reason, name, 127);
}

static void usable(void **state)
{
    (void)state;
    for (int kind = STATE_HEALTHY; kind <= STATE_DRAINED; kind++)
        assert_int_equal(state_usable((enum state_kind)kind),
                         kind == STATE_HEALTHY || kind == STATE_DEGRADED || kind == STATE_HALF_OPEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(breaker_alone),
        cmocka_unit_test(breaker_reasons),
        cmocka_unit_test(held_by_the_operator),
        cmocka_unit_test(cooldown_alone),
        cmocka_unit_test(the_heavier_of_two_wins),
        cmocka_unit_test(some_models_in_trouble),
        cmocka_unit_test(all_models_in_trouble),
        cmocka_unit_test(the_models_nobody_named),
        cmocka_unit_test(own_state_before_the_models),
        cmocka_unit_test(account),
        cmocka_unit_test(long_names_are_cut_not_spilled),
        cmocka_unit_test(usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
