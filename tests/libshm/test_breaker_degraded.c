/* When a closed breaker's domain goes behind its peers: by failures in a row where few are asked, by their share where
 * many are, and never for longer than the failures are fresh. */

#include "libshm/breaker.h"

#include "tests/libshm/fixture.h"

enum { ROW = 3, BEGIN = 600000 /* where a word of the window begins */ };

static const struct gws_breaker_rules rules = {
    .failures = 5, .half_open = 1, .successes = 1, .open_ms = 5000, .max_open_ms = 30000, .stable_ms = 60000,
    .lease_ms = 10000, .window_ms = 60000, .rate = 5000, .min_requests = 20,
};

static void try(struct gws_region *region, enum gws_outcome outcome, int times, uint64_t now)
{
    for (int i = 0; i < times; i++) {
        struct gws_permit permit = {0};
        uint64_t retry_at;
        assert_int_equal(gws_breaker_permit(region, ROW, &rules, now, &permit, &retry_at), GWS_GO);
        gws_breaker_report(region, ROW, &rules, permit, outcome, now, 0, 0);
    }
}

static bool degraded(const struct gws_region *region, uint64_t now)
{
    return gws_breaker_degraded(region, ROW, &rules, now);
}

static void test_two_in_a_row_where_few_are_asked(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    assert_false(degraded(&f.region, BEGIN));
    try(&f.region, GWS_OK, 3, BEGIN);
    try(&f.region, GWS_FAILED, 1, BEGIN);
    assert_false(degraded(&f.region, BEGIN)); /* once is chance */
    try(&f.region, GWS_FAILED, 1, BEGIN + 1);
    assert_true(degraded(&f.region, BEGIN + 1));
    try(&f.region, GWS_THROTTLED, 1, BEGIN + 2);
    assert_true(degraded(&f.region, BEGIN + 2));
    try(&f.region, GWS_OK, 1, BEGIN + 3);
    assert_false(degraded(&f.region, BEGIN + 3));
    fixture_close(&f);
}

/* Nobody has to ask it again for that. */
static void test_heals_by_itself(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    try(&f.region, GWS_FAILED, 2, BEGIN);
    assert_true(degraded(&f.region, BEGIN + 11999));
    assert_false(degraded(&f.region, BEGIN + 12000));
    try(&f.region, GWS_FAILED, 1, BEGIN + 12000); /* the third in a row, for whoever asked it then */
    assert_true(degraded(&f.region, BEGIN + 12000));
    try(&f.region, GWS_FAILED, 1, BEGIN + 17999);
    assert_false(degraded(&f.region, BEGIN + 24000)); /* the last six seconds at least, the last twelve at most */
    fixture_close(&f);
}

/* Of many, one in twenty that fails is no news, however they follow each other; a quarter is. */
static void test_a_share_where_many_are_asked(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    try(&f.region, GWS_OK, 57, BEGIN);
    try(&f.region, GWS_FAILED, 3, BEGIN);
    assert_false(degraded(&f.region, BEGIN));
    for (int i = 0; i < 4; i++) {
        try(&f.region, GWS_OK, 1, BEGIN + 1);
        try(&f.region, GWS_FAILED, 4, BEGIN + 1);
    }
    assert_false(degraded(&f.region, BEGIN + 1)); /* 19 of 80 */
    try(&f.region, GWS_OK, 1, BEGIN + 2);
    try(&f.region, GWS_FAILED, 2, BEGIN + 2);
    assert_true(degraded(&f.region, BEGIN + 2)); /* 21 of 83 */
    try(&f.region, GWS_OK, 1, BEGIN + 3);
    assert_false(degraded(&f.region, BEGIN + 3)); /* it answers: its share may go on */
    try(&f.region, GWS_FAILED, 1, BEGIN + 4);
    assert_true(degraded(&f.region, BEGIN + 4));
    fixture_close(&f);
}

/* Any other mode has its own ways, and so has what the operator says. */
static void test_only_a_closed_one(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    try(&f.region, GWS_FAILED, 5, BEGIN);
    assert_int_equal(gws_breaker_view(gws_breaker_word(&f.region, ROW)).mode, GWS_OPEN);
    assert_false(degraded(&f.region, BEGIN));
    try(&f.region, GWS_OK, 1, BEGIN + 7000); /* a trial closes it */
    assert_false(degraded(&f.region, BEGIN + 7000));
    gws_breaker_force_closed(&f.region, ROW, BEGIN + 13000, 0);
    try(&f.region, GWS_FAILED, 4, BEGIN + 13000);
    assert_false(degraded(&f.region, BEGIN + 13000));
    gws_breaker_reset(&f.region, ROW, BEGIN + 18000, 0);
    try(&f.region, GWS_FAILED, 4, BEGIN + 18000);
    assert_true(degraded(&f.region, BEGIN + 18000));
    gws_breaker_reset(&f.region, ROW, BEGIN + 18001, 0);
    assert_false(degraded(&f.region, BEGIN + 18001));
    assert_false(gws_breaker_degraded(&f.region, UINT32_MAX, &rules, BEGIN));
    fixture_close(&f);
}

static void test_calm(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    assert_true(gws_breaker_calm(&f.region, ROW));
    try(&f.region, GWS_OK, 3, BEGIN);
    assert_true(gws_breaker_calm(&f.region, ROW));
    try(&f.region, GWS_FAILED, 1, BEGIN);
    assert_false(gws_breaker_calm(&f.region, ROW));
    try(&f.region, GWS_OK, 1, BEGIN);
    assert_true(gws_breaker_calm(&f.region, ROW));
    try(&f.region, GWS_FAILED, 5, BEGIN);
    assert_false(gws_breaker_calm(&f.region, ROW));
    try(&f.region, GWS_OK, 1, BEGIN + 7000);
    assert_int_equal(gws_breaker_view(gws_breaker_word(&f.region, ROW)).mode, GWS_CLOSED);
    assert_false(gws_breaker_calm(&f.region, ROW)); /* it was open: when it closed may matter */
    gws_breaker_reset(&f.region, ROW, BEGIN + 8000, 0);
    assert_true(gws_breaker_calm(&f.region, ROW));
    gws_breaker_force_closed(&f.region, ROW, BEGIN + 8000, 0);
    assert_false(gws_breaker_calm(&f.region, ROW));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_in_a_row_where_few_are_asked),
        cmocka_unit_test(test_heals_by_itself),
        cmocka_unit_test(test_a_share_where_many_are_asked),
        cmocka_unit_test(test_only_a_closed_one),
        cmocka_unit_test(test_calm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
