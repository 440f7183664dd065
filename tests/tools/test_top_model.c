/* Rates, latencies and series of `top` from counters at given moments, and the order of its list. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/top_support.h"
#include "tools/gatewayctl/top_model.h"

static struct top_counters counters(uint64_t at, uint64_t tried, uint64_t errors)
{
    return (struct top_counters){.at = at, .tried = tried, .errors = errors};
}

static void add_first(struct top_counters *to, uint64_t count, uint64_t us)
{
    to->first.buckets[gws_latency_bucket(us)] += count;
    to->first.count += count;
}

static void feed(struct top_track *track, uint64_t at, uint64_t tried, uint64_t errors)
{
    struct top_counters now = counters(at, tried, errors);
    top_track_feed(track, &now);
}

static void one_reading_tells_nothing(void **state)
{
    (void)state;
    struct top_track track;
    top_track_init(&track, "a");
    feed(&track, 5000, 100, 10);
    assert_true(track.rate < 0);
    assert_true(track.error_rate < 0);
    assert_true(top_track_first_ms(&track, 5000) < 0);
    assert_true(top_series_peak(track.rates) < 0);
}

static void two_readings_make_a_rate(void **state)
{
    (void)state;
    struct top_track track;
    top_track_init(&track, "a");
    feed(&track, 5000, 100, 10);
    feed(&track, 6000, 120, 15);
    assert_float_equal(track.rate, 20, 1e-9);
    assert_float_equal(track.error_rate, 0.25, 1e-9);
    assert_float_equal(track.rates[TOP_SERIES - 1], 20, 1e-9);
    assert_true(track.rates[TOP_SERIES - 2] < 0);
}

static void no_tries_have_no_error_rate(void **state)
{
    (void)state;
    struct top_track track;
    top_track_init(&track, "a");
    feed(&track, 5000, 100, 10);
    feed(&track, 6000, 100, 10);
    assert_float_equal(track.rate, 0, 1e-9);
    assert_true(track.error_rate < 0);
    assert_float_equal(track.rates[TOP_SERIES - 1], 0, 1e-9);
}

static void the_same_moment_twice_changes_nothing(void **state)
{
    (void)state;
    struct top_track track;
    top_track_init(&track, "a");
    feed(&track, 5000, 100, 10);
    feed(&track, 6000, 110, 10);
    feed(&track, 6000, 110, 10);
    assert_float_equal(track.rate, 10, 1e-9);
    assert_float_equal(track.rates[TOP_SERIES - 1], 10, 1e-9);
    assert_true(track.rates[TOP_SERIES - 2] < 0);
}

static void now_is_the_last_ten_seconds(void **state)
{
    (void)state;
    struct top_track track;
    top_track_init(&track, "a");
    for (uint64_t second = 1; second <= 30; second++)
        feed(&track, second * 1000, second <= 20 ? second * 100 : 2000, 0);
    assert_float_equal(track.rate, 0, 1e-9);
    assert_float_equal(track.rates[TOP_SERIES - 1], 0, 1e-9);
    assert_float_equal(track.rates[TOP_SERIES - 11], 100, 1e-9);
    feed(&track, 31000, 2050, 0);
    assert_float_equal(track.rate, 5, 1e-9);
}

static void a_long_interval_is_now(void **state)
{
    (void)state;
    struct top_track track;
    top_track_init(&track, "a");
    feed(&track, 60000, 0, 0);
    feed(&track, 90000, 300, 30);
    assert_float_equal(track.rate, 10, 1e-9);
    assert_float_equal(track.error_rate, 0.1, 1e-9);
    assert_float_equal(track.rates[TOP_SERIES - 1], 10, 1e-9);
    assert_float_equal(track.rates[TOP_SERIES - 30], 10, 1e-9);
    assert_true(track.rates[TOP_SERIES - 31] < 0);
    feed(&track, 1000000, 300, 30);
    assert_float_equal(track.rates[0], 0, 1e-9);
}

static void short_intervals_wait_for_their_second(void **state)
{
    (void)state;
    struct top_track track;
    top_track_init(&track, "a");
    feed(&track, 1000, 0, 0);
    for (uint64_t at = 1100; at < 2000; at += 100)
        feed(&track, at, (at - 1000) / 10, 0);
    assert_true(top_series_peak(track.rates) < 0);
    feed(&track, 2000, 100, 0);
    assert_float_equal(track.rates[TOP_SERIES - 1], 100, 1e-9);
    assert_true(track.rates[TOP_SERIES - 2] < 0);
    assert_true(track.marked <= 3);
    assert_float_equal(track.rate, 100, 1e-9);
}

static void readings_around_a_second_leave_no_holes(void **state)
{
    (void)state;
    struct top_track track;
    top_track_init(&track, "a");
    feed(&track, 1001, 0, 0);
    feed(&track, 1999, 998, 0);
    feed(&track, 3003, 2002, 0);
    assert_float_equal(track.rates[TOP_SERIES - 1], 1000, 1e-9);
    assert_float_equal(track.rates[TOP_SERIES - 2], 1000, 1e-9);
    assert_true(track.rates[TOP_SERIES - 3] < 0);
}

static void first_tokens_are_those_of_the_last_seconds(void **state)
{
    (void)state;
    struct top_track track;
    struct top_counters now = counters(1000, 0, 0);
    top_track_init(&track, "a");
    add_first(&now, 1000, 50000);
    top_track_feed(&track, &now);
    now.at = 2000;
    add_first(&now, 90, 200000);
    add_first(&now, 10, 3000000);
    top_track_feed(&track, &now);
    assert_int_equal(track.recent.count, 100);
    assert_float_equal(top_track_first_ms(&track, 5000), 200, 12);
    assert_float_equal(top_track_first_ms(&track, 9900), 3000, 180);
    assert_float_equal(track.firsts[TOP_SERIES - 1], 200, 12);
    now.at = 3000;
    top_track_feed(&track, &now);
    assert_true(track.firsts[TOP_SERIES - 1] < 0);
    assert_float_equal(track.firsts[TOP_SERIES - 2], 200, 12);
    assert_int_equal(track.recent.count, 100);
}

static void smaller_counters_are_anothers(void **state)
{
    (void)state;
    struct top_track track;
    top_track_init(&track, "a");
    feed(&track, 1000, 0, 0);
    feed(&track, 2000, 50, 0);
    feed(&track, 3000, 7, 0);
    assert_true(track.rate < 0);
    assert_true(track.rates[TOP_SERIES - 1] < 0);
    assert_float_equal(track.rates[TOP_SERIES - 2], 50, 1e-9);
    feed(&track, 4000, 9, 1);
    assert_float_equal(track.rate, 2, 1e-9);
    assert_float_equal(track.rates[TOP_SERIES - 1], 2, 1e-9);
}

static void another_region_begins_afresh(void **state)
{
    (void)state;
    const struct sample before = {.name = "a", .tried = 10}, after = {.name = "a", .tried = 5000};
    struct top_model model;
    struct top_reading reading = support_reading(&before, 1);
    top_model_init(&model);
    top_model_feed(&model, &reading, 1000);
    top_model_afresh(&model);
    reading = support_reading(&after, 1);
    top_model_feed(&model, &reading, 2000);
    assert_true(model.tracks[0].rate < 0);
    assert_true(model.total.rate < 0);
    assert_true(top_series_peak(model.total.rates) < 0);
    reading = support_reading(&after, 1);
    top_model_feed(&model, &reading, 3000);
    assert_float_equal(model.tracks[0].rate, 0, 1e-9);
    top_model_fini(&model);
}

static void an_endpoint_is_known_by_its_name(void **state)
{
    (void)state;
    const struct sample before[] = {{.name = "a", .tried = 10}, {.name = "b", .tried = 20, .in_flight = 3}};
    const struct sample after[] = {{.name = "b", .tried = 50, .in_flight = 4},
                                   {.name = "c", .tried = 9, .in_flight = 1}};
    struct top_model model;
    struct top_reading reading = support_reading(before, 2);
    top_model_init(&model);
    top_model_feed(&model, &reading, 1000);
    assert_int_equal(model.in_flight, 3);
    reading = support_reading(after, 2);
    top_model_feed(&model, &reading, 2000);
    assert_float_equal(model.tracks[0].rate, 30, 1e-9);
    assert_true(model.tracks[1].rate < 0);
    assert_float_equal(model.total.rate, 29, 1e-9);
    assert_int_equal(model.in_flight, 5);
    top_model_fini(&model);
}

/* The names in the order of the list, with a blank behind each. */
static void list(const struct top_model *model, enum top_sort sort, const char *filter, char *out, size_t size)
{
    size_t order[8];
    size_t count = top_model_order(model, sort, filter, order);
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(out);
        snprintf(out + length, size - length, "%s ", model->reading.overview.endpoints[order[i]].name->info.name);
    }
}

static void fill(struct top_model *model)
{
    struct sample samples[] = {
        {.name = "us", .models = {"gpt", "claude"}},
        {.name = "eu", .kind = STATE_OPEN, .reason = "open 5s, 5 failures in a row", .models = {"gpt"}},
        {.name = "asia", .kind = STATE_COOLING, .reason = "cooling 2s, rate limited", .account = "relay"},
    };
    struct top_reading reading = support_reading(samples, 3);
    top_model_init(model);
    top_model_feed(model, &reading, 1000);
    samples[0].tried = 100, samples[0].errors = 10, samples[0].firsts = 10, samples[0].first_us = 900000;
    samples[1].tried = 30, samples[1].errors = 20;
    samples[2].tried = 500, samples[2].firsts = 10, samples[2].first_us = 100000;
    reading = support_reading(samples, 3);
    top_model_feed(model, &reading, 2000);
}

static void the_list_is_sorted_worst_first(void **state)
{
    (void)state;
    static const char *const wanted[TOP_SORTS] = {
        [TOP_BY_NAME] = "asia eu us ", [TOP_BY_STATE] = "eu asia us ", [TOP_BY_RATE] = "asia us eu ",
        [TOP_BY_ERRORS] = "eu us asia ", [TOP_BY_LATENCY] = "us asia eu "};
    struct top_model model;
    char out[1024];
    fill(&model);
    for (enum top_sort sort = 0; sort < TOP_SORTS; sort++) {
        list(&model, sort, "", out, sizeof(out));
        assert_string_equal(out, wanted[sort]);
    }
    top_model_fini(&model);
}

static void a_filter_looks_everywhere(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"ASI", "asia "}, {"GPT", "eu us "}, {"claude", "us "}, {"relay", "asia "},
                                           {"open", "eu "}, {"limited", "asia "}, {"healthy", "us "}, {"nothing", ""}};
    struct top_model model;
    char out[1024];
    fill(&model);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        list(&model, TOP_BY_NAME, cases[i][0], out, sizeof(out));
        assert_string_equal(out, cases[i][1]);
    }
    top_model_fini(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_reading_tells_nothing),
        cmocka_unit_test(two_readings_make_a_rate),
        cmocka_unit_test(no_tries_have_no_error_rate),
        cmocka_unit_test(the_same_moment_twice_changes_nothing),
        cmocka_unit_test(now_is_the_last_ten_seconds),
        cmocka_unit_test(a_long_interval_is_now),
        cmocka_unit_test(short_intervals_wait_for_their_second),
        cmocka_unit_test(readings_around_a_second_leave_no_holes),
        cmocka_unit_test(first_tokens_are_those_of_the_last_seconds),
        cmocka_unit_test(smaller_counters_are_anothers),
        cmocka_unit_test(another_region_begins_afresh),
        cmocka_unit_test(an_endpoint_is_known_by_its_name),
        cmocka_unit_test(the_list_is_sorted_worst_first),
        cmocka_unit_test(a_filter_looks_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
