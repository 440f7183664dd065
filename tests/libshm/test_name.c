/* Names: the same identity is the same row, and a row changes hands only when nobody needs it any more. */

#include "libshm/name.h"

#include <errno.h>

#include "libshm/breaker.h"
#include "libshm/cooldown.h"
#include "libshm/evidence.h"
#include "libshm/gate.h"
#include "libshm/latency.h"
#include "libshm/limit.h"
#include "libshm/order.h"
#include "libshm/series.h"
#include "libshm/stat.h"
#include "libshm/ticket.h"
#include "libshm/waiter.h"
#include "libshm/window.h"
#include "tests/libshm/fixture.h"

static struct gws_name_info domain(struct gws_region *region, int row)
{
    struct gws_name_info info;

    assert_true(row >= 0);
    assert_true(gws_name_domain_read(region, (uint32_t)row, &info));
    return info;
}

static void test_same_identity_same_row(void **state)
{
    struct fixture f;
    struct gws_name_info info;
    int east;
    int west;
    int pair;
    int star;

    (void)state;
    fixture_open(&f);
    east = gws_name_endpoint(&f.region, "us-east", "https://a/v1", 20, 1);
    west = gws_name_endpoint(&f.region, "us-west", "https://b/v1", 30, 1);
    pair = gws_name_pair(&f.region, (uint32_t)east, "gpt-4.1", 1);
    star = gws_name_pair(&f.region, (uint32_t)east, "*", 1);
    assert_int_not_equal(east, west);
    assert_int_not_equal(pair, star);
    assert_int_equal(gws_name_endpoint(&f.region, "us-east", "https://a/v1", 25, 2), east);
    assert_int_equal(gws_name_pair(&f.region, (uint32_t)east, "gpt-4.1", 2), pair);
    assert_int_not_equal(gws_name_pair(&f.region, (uint32_t)west, "gpt-4.1", 2), pair);
    assert_int_not_equal(gws_name_endpoint(&f.region, "us-east", "https://c/v1", 20, 2), east); /* another url */
    assert_int_not_equal(gws_name_account(&f.region, "us-east", 2), east);

    info = domain(&f.region, east);
    assert_int_equal(info.kind, GWS_KIND_ENDPOINT);
    assert_string_equal(info.name, "us-east");
    assert_string_equal(info.model, "");
    assert_int_equal(info.max_concurrent, 25);
    assert_int_equal(info.config, 2);
    info = domain(&f.region, pair);
    assert_int_equal(info.kind, GWS_KIND_PAIR);
    assert_string_equal(info.name, "us-east");
    assert_string_equal(info.model, "gpt-4.1");
    assert_int_equal(info.parent, east);
    assert_int_not_equal(domain(&f.region, east).endpoint, domain(&f.region, west).endpoint);
    fixture_close(&f);
}

static void test_limits_have_rows_of_their_own(void **state)
{
    struct fixture f;
    struct gws_name_info info;
    int rpm;

    (void)state;
    fixture_open(&f);
    rpm = gws_name_limit(&f.region, "endpoint/us-east/rpm", 1);
    assert_int_equal(rpm, 0);
    assert_int_equal(gws_name_limit(&f.region, "endpoint/us-east/tpm", 1), 1);
    assert_int_equal(gws_name_limit(&f.region, "endpoint/us-east/rpm", 2), rpm);
    assert_true(gws_name_limit_read(&f.region, (uint32_t)rpm, &info));
    assert_string_equal(info.name, "endpoint/us-east/rpm");
    assert_int_equal(info.kind, GWS_KIND_LIMIT);
    assert_false(gws_name_limit_read(&f.region, 2, &info));
    assert_false(gws_name_limit_read(&f.region, 6, &info));
    assert_false(gws_name_domain_read(&f.region, 0, &info));
    fixture_close(&f);
}

static void test_quotas_and_models_too(void **state)
{
    struct fixture f;
    struct gws_name_info info;

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_name_limit(&f.region, "trading", 1), 0);
    assert_int_equal(gws_name_quota(&f.region, "trading", 1), 0);
    assert_int_equal(gws_name_model(&f.region, "trading", 1), 0);
    assert_int_equal(gws_name_quota(&f.region, "batch", 1), 1);
    assert_int_equal(gws_name_quota(&f.region, "trading", 2), 0);
    assert_true(gws_name_quota_read(&f.region, 1, &info));
    assert_int_equal(info.kind, GWS_KIND_QUOTA);
    assert_string_equal(info.name, "batch");
    assert_true(gws_name_model_read(&f.region, 0, &info));
    assert_int_equal(info.kind, GWS_KIND_MODEL);
    assert_false(gws_name_model_read(&f.region, 1, &info));
    assert_false(gws_name_quota_read(&f.region, 16, &info));
    fixture_close(&f);
}

static void test_state_survives_a_restart(void **state)
{
    struct fixture f;
    int row;

    (void)state;
    fixture_open(&f);
    row = gws_name_endpoint(&f.region, "us-east", "https://a/v1", 20, 1);
    gws_name_account(&f.region, "x", 1);
    gws_breaker_force_open(&f.region, (uint32_t)row, 0, 0, 0);
    gws_order_drain(&f.region, (uint32_t)row, 0, 0);
    gws_region_close(&f.region);
    f.region = fixture_view(&f, GWS_CHANGE);
    gws_slot_reap_dead(&f.region, 0);
    assert_int_equal(gws_name_account(&f.region, "x", 2), 1);
    assert_int_equal(gws_name_endpoint(&f.region, "us-east", "https://a/v1", 20, 2), row);
    assert_int_equal(gws_breaker_view(gws_breaker_word(&f.region, (uint32_t)row)).mode, GWS_FORCED);
    assert_true(gws_order_drained(&f.region, (uint32_t)row));
    fixture_close(&f);
}

/* Fill the table with accounts of configuration `config`. */
static void fill(struct gws_region *region, uint64_t config)
{
    char name[16];

    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "a%d", i);
        assert_int_equal(gws_name_account(region, name, config), i);
    }
}

static void test_reuse_only_when_nobody_needs_it(void **state)
{
    struct fixture f;
    int worker;

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_region_generation_next(&f.region), 1);
    fill(&f.region, 1);
    worker = gws_slot_reserve(&f.region, GWS_ROLE_WORKER, 1, 0);
    assert_int_equal(gws_name_account(&f.region, "new", 2), -ENOSPC); /* in force */
    for (int i = 0; i < 12; i++) {
        char name[16];
        snprintf(name, sizeof(name), "a%d", i);
        if (i != 7)
            gws_name_account(&f.region, name, 2);
    }
    assert_int_equal(gws_region_generation_next(&f.region), 2);
    assert_int_equal(gws_name_account(&f.region, "new", 2), -ENOSPC); /* a worker of configuration 1 lives */
    gws_slot_reap(&f.region, worker, false, 0);
    assert_int_equal(gws_name_account(&f.region, "new", 2), 7);
    assert_string_equal(domain(&f.region, 7).name, "new");
    assert_int_equal(gws_name_account(&f.region, "a7", 2), -ENOSPC);
    fixture_close(&f);
}

static void test_the_longest_unused_goes_first(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    fill(&f.region, 1);
    for (int i = 0; i < 12; i++) {
        char name[16];
        snprintf(name, sizeof(name), "a%d", i);
        if (i != 4)
            gws_name_account(&f.region, name, i == 9 ? 2 : 3);
    }
    while (gws_region_generation_next(&f.region) < 4)
        ;
    assert_int_equal(gws_name_account(&f.region, "x", 4), 4);
    assert_int_equal(gws_name_account(&f.region, "y", 4), 9);
    assert_true(gws_name_account(&f.region, "a0", 4) == 0); /* the one that is found again stays where it is */
    assert_true(gws_name_account(&f.region, "z", 4) == 1);
    fixture_close(&f);
}

static void test_a_row_taken_over_is_clean(void **state)
{
    static const struct gws_breaker_rules breaker = {.failures = 1, .half_open = 1, .successes = 1, .open_ms = 1000};
    static const struct gws_cooldown_rules cooldown = {.default_ms = 1000, .max_ms = 1000};
    struct fixture f;
    struct gws_permit permit = {0};
    struct gws_breaker_view view;
    struct gws_latency_counts counts;
    struct gws_evidence evidence;
    uint64_t repeats[GWS_REPEATS];
    uint64_t stats[GWS_STATS];
    uint64_t until = 0;
    uint32_t endpoint;
    uint64_t word;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof(name), "e%d", i);
        assert_int_equal(gws_name_endpoint(&f.region, name, "u", 1, i == 2 ? 1 : 5), i);
    }
    gws_breaker_permit(&f.region, 2, &breaker, 0, &permit, &until);
    gws_cooldown_hit(&f.region, 2, &cooldown, gws_cooldown_gen(&f.region, 2), GWS_COOL_RATE, 1000, 0);
    assert_int_equal(gws_cooldown_check(&f.region, 2, 0, &until), 1);
    gws_order_drain(&f.region, 2, 0, 0);
    endpoint = domain(&f.region, 2).endpoint;
    gws_stat_count(&f.region, endpoint, GWS_STAT_TRIES);
    gws_latency_count(&f.region, endpoint, GWS_LATENCY_FIRST, 100);
    gws_latency_feed(&f.region, 2, 100, 1000, 0);
    gws_window_add(&f.region, 2, GWS_SAMPLE_FAILED, 0);
    (void)gws_ticket_next(&f.region, 2);
    gws_series_repeat(&f.region, 2, GWS_REPEAT_RETRY);
    gws_evidence_note(&f.region, 2, 1, 500, "", 0, 0);
    gws_waiter_set(&f.region, endpoint);
    while (gws_region_generation_next(&f.region) < 5)
        ;
    /* There are free rows, but the endpoint numbers are spent: the retired endpoint gives way, row and number. */
    assert_int_equal(gws_name_endpoint(&f.region, "fresh", "u", 9, 5), 2);
    assert_int_equal(domain(&f.region, 2).endpoint, endpoint);
    gws_stat_read(&f.region, endpoint, stats);
    assert_int_equal(stats[GWS_STAT_TRIES], 0);
    gws_latency_read(&f.region, endpoint, GWS_LATENCY_FIRST, &counts);
    assert_int_equal(counts.count + counts.sum_us, 0);
    assert_int_equal(gws_latency_expect(&f.region, 2, 1000, 0), 0);
    assert_int_equal(gws_window_sum(&f.region, 2, 60000, 0, 0).total, 0);
    assert_int_equal(gws_ticket_peek(&f.region, 2), 0);
    gws_series_repeats(&f.region, 2, repeats);
    assert_int_equal(repeats[GWS_REPEAT_RETRY], 0);
    assert_false(gws_evidence_read(&f.region, 2, &evidence));
    assert_false(gws_waiter_is_set(&f.region, endpoint, 0));
    assert_int_equal(gws_cooldown_check(&f.region, 2, 0, &until), 0);
    assert_false(gws_order_drained(&f.region, 2));
    view = gws_breaker_view(gws_breaker_word(&f.region, 2));
    assert_int_equal(view.mode, GWS_CLOSED);
    assert_int_not_equal(view.gen, permit.gen);
    word = gws_breaker_word(&f.region, 2);
    gws_breaker_report(&f.region, 2, &breaker, permit, GWS_FAILED, 1, 0, 0); /* meant for the old endpoint */
    assert_int_equal(gws_breaker_word(&f.region, 2), word);
    assert_int_equal(gws_name_endpoint(&f.region, "one too many", "u", 1, 5), -ENOSPC);
    fixture_close(&f);
}

static void test_limit_rows_are_clean_too(void **state)
{
    struct fixture f;
    struct gws_limit_rules rules = gws_limit_rules(1, 1000, 1);
    uint64_t retry_in;
    uint64_t word;
    char name[16];

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "l%d", i);
        gws_name_limit(&f.region, name, 1);
    }
    gws_limit_publish(&f.region, 0, &rules, 0);
    gws_limit_take(&f.region, 0, &rules, 1, 0, &retry_in);
    gws_limit_count_refusal(&f.region, 0);
    assert_int_equal(gws_region_generation_next(&f.region), 1);
    assert_int_equal(gws_name_limit(&f.region, "new", 2), -ENOSPC);
    assert_int_equal(gws_region_generation_next(&f.region), 2);
    assert_int_equal(gws_name_limit(&f.region, "new", 2), 0);
    assert_true(gws_limit_read(&f.region, 0, &rules, &word));
    assert_int_equal(word, 0);
    assert_int_equal(rules.interval, 0);
    assert_int_equal(gws_limit_refusals(&f.region, 0), 0);
    fixture_close(&f);
}

/* A pair keeps its row when its endpoint has moved to another one and come back. */
static void test_pair_follows_its_endpoint(void **state)
{
    struct fixture f;
    int east;
    int pair;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof(name), "e%d", i);
        gws_name_endpoint(&f.region, name, "u", 1, i == 0 ? 1 : 2);
    }
    pair = gws_name_pair(&f.region, 0, "m", 1);
    assert_int_equal(domain(&f.region, 0).config, 1);
    while (gws_region_generation_next(&f.region) < 3)
        ;
    assert_int_equal(gws_name_endpoint(&f.region, "other", "u", 1, 3), 0);
    east = gws_name_endpoint(&f.region, "e0", "u", 1, 3);
    assert_int_not_equal(east, 0);
    assert_int_not_equal(gws_name_pair(&f.region, 0, "m", 3), pair); /* the other one's */
    assert_int_equal(gws_name_pair(&f.region, (uint32_t)east, "m", 3), pair);
    assert_int_equal(domain(&f.region, pair).parent, east);
    fixture_close(&f);
}

static void test_current(void **state)
{
    struct fixture f;
    struct gws_name_info info;

    (void)state;
    fixture_open(&f);
    gws_name_account(&f.region, "old", 1);
    gws_name_account(&f.region, "new", 2);
    gws_region_generation_next(&f.region);
    info = domain(&f.region, 0);
    assert_true(gws_name_current(&f.region, &info));
    gws_region_generation_next(&f.region);
    assert_false(gws_name_current(&f.region, &info));
    info = domain(&f.region, 1);
    assert_true(gws_name_current(&f.region, &info));
    fixture_close(&f);
}

static void test_refusals(void **state)
{
    struct fixture f;
    struct gws_region look;
    char name[200];

    (void)state;
    fixture_open(&f);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(gws_name_account(&f.region, name, 1), -ENAMETOOLONG);
    name[GWS_NAME_MAX] = '\0';
    assert_int_equal(gws_name_account(&f.region, name, 1), 0);
    assert_string_equal(domain(&f.region, 0).name, name);
    assert_int_equal(gws_name_pair(&f.region, 0, "m", 1), -EINVAL); /* not an endpoint */
    assert_int_equal(gws_name_pair(&f.region, 5, "m", 1), -EINVAL);
    assert_int_equal(gws_name_pair(&f.region, 99, "m", 1), -EINVAL);
    look = fixture_view(&f, GWS_LOOK);
    assert_int_equal(gws_name_set_account(&look, 0, 0), -EPERM);
    gws_region_close(&look);
    fixture_close(&f);
}

/* With a region opened to look, names are found and nothing is made, nor is a newer configuration written down. */
static void test_who_looks_only_finds(void **state)
{
    struct fixture f;
    struct gws_region look;

    (void)state;
    fixture_open(&f);
    int row = gws_name_endpoint(&f.region, "a", "http://a", 10, 1);
    int pair = gws_name_pair(&f.region, (uint32_t)row, "m", 1);
    int limit = gws_name_limit(&f.region, "endpoint/a/rpm", 1);
    look = fixture_view(&f, GWS_LOOK);
    assert_int_equal(gws_name_endpoint(&look, "a", "http://a", 20, 9), row);
    assert_int_equal(gws_name_pair(&look, (uint32_t)row, "m", 9), pair);
    assert_int_equal(gws_name_limit(&look, "endpoint/a/rpm", 9), limit);
    assert_int_equal(gws_name_endpoint(&look, "a", "http://b", 10, 9), -ENOENT);
    assert_int_equal(gws_name_pair(&look, (uint32_t)row, "n", 9), -ENOENT);
    assert_int_equal(gws_name_account(&look, "x", 9), -ENOENT);
    assert_int_equal(domain(&look, row).config, 1);
    assert_int_equal(domain(&look, row).max_concurrent, 10);
    gws_region_close(&look);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_looks_only_finds),
        cmocka_unit_test(test_same_identity_same_row),
        cmocka_unit_test(test_limits_have_rows_of_their_own),
        cmocka_unit_test(test_quotas_and_models_too),
        cmocka_unit_test(test_state_survives_a_restart),
        cmocka_unit_test(test_reuse_only_when_nobody_needs_it),
        cmocka_unit_test(test_the_longest_unused_goes_first),
        cmocka_unit_test(test_a_row_taken_over_is_clean),
        cmocka_unit_test(test_limit_rows_are_clean_too),
        cmocka_unit_test(test_pair_follows_its_endpoint),
        cmocka_unit_test(test_current),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
