/*
 * What hooks are told, made of words that real operations wrote; and the queue, the pauses and the verdicts.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/conf.h"
#include "gatewayd/hook_queue.h"
#include "libshm/breaker.h"
#include "libshm/cooldown.h"

enum { NOW = 100000 };

static const struct gws_breaker_rules rules = {
    .failures = 2, .half_open = 1, .successes = 1, .open_ms = 1000, .max_open_ms = 8000, .stable_ms = 1000,
    .lease_ms = 1000};
static const struct gws_cooldown_rules cooling = {.default_ms = 1000, .max_ms = 60000};

static unsigned breaker_news(uint64_t old, uint64_t new)
{
    struct gws_event event = {.code = GWS_EVENT_BREAKER, .time = NOW, .old = old, .new = new};
    return hook_news(&event);
}

static unsigned cooldown_news(uint64_t old, uint64_t new, uint64_t now)
{
    struct gws_event event = {.code = GWS_EVENT_COOLDOWN, .time = now, .old = old, .new = new};
    return hook_news(&event);
}

static uint64_t failing(uint64_t word, struct gws_permit permit, uint64_t now)
{
    return gws_breaker_step_report(word, &rules, permit, GWS_FAILED, now, 0, 0);
}

static uint64_t forced(bool open)
{
    return (uint64_t)GWS_FORCED << 62 | (uint64_t)open << 36;
}

static void a_breaker_is_news_when_it_shuts_and_when_it_closes(void **state)
{
    struct gws_permit permit;
    uint64_t retry_at, half, once, closed;
    (void)state;
    assert_int_equal(gws_breaker_step_permit(0, &rules, NOW, &once, &permit, &retry_at), GWS_GO);
    uint64_t degraded = failing(once, permit, NOW);
    uint64_t open = failing(degraded, permit, NOW);
    assert_int_equal(gws_breaker_view(open).mode, GWS_OPEN);
    assert_int_equal(breaker_news(once, degraded), 0);
    assert_int_equal(breaker_news(degraded, open), CONF_NOTIFY_OPEN);

    assert_int_equal(gws_breaker_step_permit(open, &rules, NOW + 9000, &half, &permit, &retry_at), GWS_GO);
    assert_int_equal(breaker_news(open, half), 0);
    assert_int_equal(breaker_news(half, failing(half, permit, NOW + 9000)), 0); /* a trial failed: nothing new */
    closed = gws_breaker_step_report(half, &rules, permit, GWS_OK, NOW + 9000, 0, 0);
    assert_int_equal(gws_breaker_view(closed).mode, GWS_CLOSED);
    assert_int_equal(breaker_news(half, closed), CONF_NOTIFY_CLOSE);
}

static void what_an_operator_holds_is_news_as_well(void **state)
{
    const uint64_t open = (uint64_t)GWS_OPEN << 62;
    (void)state;
    assert_int_equal(breaker_news(0, forced(true)), CONF_NOTIFY_OPEN);
    assert_int_equal(breaker_news(open, forced(true)), CONF_NOTIFY_OPEN);
    assert_int_equal(breaker_news(forced(true), forced(true) | 1), 0); /* for longer */
    assert_int_equal(breaker_news(forced(true), 0), CONF_NOTIFY_CLOSE);
    assert_int_equal(breaker_news(open, forced(false)), CONF_NOTIFY_CLOSE);
    assert_int_equal(breaker_news(0, forced(false)), 0);
    assert_int_equal(breaker_news(forced(false), 0), 0);
}

static uint64_t hit(uint64_t word, enum gws_cooldown_reason reason, uint64_t now)
{
    return gws_cooldown_step_hit(word, &cooling, gws_cooldown_view(word).gen, reason, 1000, now);
}

static void the_third_429_in_a_row_is_news_and_the_fourth_is_not(void **state)
{
    uint64_t first = hit(0, GWS_COOL_RATE, NOW), second = hit(first, GWS_COOL_RATE, NOW + 1000);
    uint64_t third = hit(second, GWS_COOL_RATE, NOW + 2000), fourth = hit(third, GWS_COOL_RATE, NOW + 3000);
    (void)state;
    assert_int_equal(cooldown_news(0, first, NOW), 0);
    assert_int_equal(cooldown_news(first, second, NOW + 1000), 0);
    assert_int_equal(cooldown_news(second, third, NOW + 2000), CONF_NOTIFY_EXHAUSTED);
    assert_int_equal(cooldown_news(third, fourth, NOW + 3000), 0);
}

static void a_spent_quota_and_a_refused_credential_are_news_until_they_are_cured(void **state)
{
    uint64_t rate = hit(0, GWS_COOL_RATE, NOW);
    uint64_t quota = hit(0, GWS_COOL_QUOTA, NOW), again = hit(quota, GWS_COOL_QUOTA, NOW + 1000);
    uint64_t cured = quota & ~(UINT64_C(0x3f) << 58 | UINT64_C(0xf) << 54); /* a success takes streak and reason */
    (void)state;
    assert_int_equal(cooldown_news(0, quota, NOW), CONF_NOTIFY_EXHAUSTED);
    assert_int_equal(cooldown_news(0, hit(0, GWS_COOL_AUTH, NOW), NOW), CONF_NOTIFY_EXHAUSTED);
    assert_int_equal(cooldown_news(rate, hit(rate, GWS_COOL_QUOTA, NOW + 1000), NOW + 1000), CONF_NOTIFY_EXHAUSTED);
    assert_int_equal(cooldown_news(quota, again, NOW + 1000), 0);
    assert_int_equal(cooldown_news(quota, cured, NOW + 1500), 0);
    assert_int_equal(cooldown_news(cured, hit(cured, GWS_COOL_QUOTA, NOW + 2000), NOW + 2000), CONF_NOTIFY_EXHAUSTED);
}

static void other_events_are_no_news(void **state)
{
    (void)state;
    for (int code = GWS_EVENT_NONE; code <= GWS_EVENT_QUOTA_RESET; code++) {
        struct gws_event event = {.code = (enum gws_event_code)code, .new = UINT64_MAX, .time = NOW};
        if (code != GWS_EVENT_BREAKER && code != GWS_EVENT_COOLDOWN)
            assert_int_equal(hook_news(&event), 0);
    }
    assert_string_equal(hook_news_name(CONF_NOTIFY_OPEN), "open");
    assert_string_equal(hook_news_name(CONF_NOTIFY_CLOSE), "close");
    assert_string_equal(hook_news_name(CONF_NOTIFY_EXHAUSTED), "exhausted");
    assert_string_equal(hook_news_name(CONF_NOTIFY_BUDGET), "budget");
}

static void a_full_queue_drops_its_oldest(void **state)
{
    static struct hook_queue queue;
    struct gws_event event = {0};
    (void)state;
    assert_false(hook_queue_take(&queue, &event));
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t i = 1; i <= HOOK_QUEUE_MAX + 3; i++)
            hook_queue_put(&queue, &(struct gws_event){.seq = i});
        assert_int_equal(queue.count, HOOK_QUEUE_MAX);
        assert_int_equal(queue.dropped, 3 * (round + 1));
        for (uint64_t i = 4; i <= HOOK_QUEUE_MAX + 3; i++) {
            assert_true(hook_queue_take(&queue, &event));
            assert_int_equal(event.seq, i);
        }
        assert_false(hook_queue_take(&queue, &event));
    }
}

static void pauses_double_up_to_five_minutes(void **state)
{
    (void)state;
    assert_int_equal(hook_pause_ms(1, 0), 1000);
    assert_int_equal(hook_pause_ms(2, 0), 2000);
    assert_int_equal(hook_pause_ms(9, 0), 256000);
    assert_int_equal(hook_pause_ms(10, 0), 300000);
    assert_int_equal(hook_pause_ms(17, 0), 300000);
    assert_int_equal(hook_pause_ms(UINT32_MAX, 0), 300000);
    assert_int_equal(hook_pause_ms(1, 250), 750); /* the most that chance takes off */
    assert_int_equal(hook_pause_ms(1, 251), 1000);
    for (uint32_t rnd = 0; rnd < 100000; rnd += 997)
        assert_in_range(hook_pause_ms(40, rnd), 225000, 300000);
}

static void only_what_may_change_is_asked_again(void **state)
{
    (void)state;
    assert_int_equal(hook_verdict(200), HOOK_DELIVERED);
    assert_int_equal(hook_verdict(204), HOOK_DELIVERED);
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(hook_verdict((int[]){0, 408, 421, 425, 429, 500, 503}[i]), HOOK_AGAIN);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(hook_verdict((int[]){301, 302, 400, 401, 404, 410}[i]), HOOK_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_breaker_is_news_when_it_shuts_and_when_it_closes),
        cmocka_unit_test(what_an_operator_holds_is_news_as_well),
        cmocka_unit_test(the_third_429_in_a_row_is_news_and_the_fourth_is_not),
        cmocka_unit_test(a_spent_quota_and_a_refused_credential_are_news_until_they_are_cured),
        cmocka_unit_test(other_events_are_no_news),
        cmocka_unit_test(a_full_queue_drops_its_oldest),
        cmocka_unit_test(pauses_double_up_to_five_minutes),
        cmocka_unit_test(only_what_may_change_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
