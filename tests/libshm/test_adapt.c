/* The adaptive limit: down at once and not twice, up by a place for each round of successes. */

#include "libshm/adapt.h"

#include "tests/libshm/fixture.h"

static const struct gws_adapt_rules rules = {.max = 20, .min = 2};

static void test_cut(void **state)
{
    uint64_t word = gws_adapt_step_cut(0, &rules, 5000);

    (void)state;
    assert_int_equal(gws_adapt_limit_of(0, &rules), 20);
    assert_int_equal(gws_adapt_limit_of(word, &rules), 14);
    assert_int_equal(gws_adapt_step_cut(word, &rules, 5999), word); /* one burst is one sign */
    assert_int_equal(gws_adapt_step_cut(word, &rules, 4000), word);
    word = gws_adapt_step_cut(word, &rules, 6000);
    assert_int_equal(gws_adapt_limit_of(word, &rules), 9); /* 9.8 */
    for (uint64_t now = 7000; now < 30000; now += 1000)
        word = gws_adapt_step_cut(word, &rules, now);
    assert_int_equal(gws_adapt_limit_of(word, &rules), 2);
}

static void test_raise(void **state)
{
    uint64_t word = gws_adapt_step_cut(0, &rules, 5000);
    int successes = 0;

    (void)state;
    assert_int_equal(gws_adapt_step_raise(0, &rules, 20), 0);
    assert_int_equal(gws_adapt_step_raise(word, &rules, 6), word); /* less than half in use: no sign of anything */
    while (gws_adapt_limit_of(word, &rules) < 15) {
        word = gws_adapt_step_raise(word, &rules, 8);
        successes++;
    }
    assert_int_equal(successes, 15); /* 14.0 to 15.0 by 1/14 and a little less each time */
    while (word != 0) {
        word = gws_adapt_step_raise(word, &rules, 10);
        successes++;
    }
    assert_in_range(successes, 14 + 15 + 16 + 17 + 18 + 19, 14 + 15 + 16 + 17 + 18 + 19 + 10);
    assert_int_equal(gws_adapt_limit_of(word, &rules), 20);
}

static void test_large_ones_grow_too(void **state)
{
    const struct gws_adapt_rules large = {.max = 60000, .keep = 5000, .pause_ms = 10};
    const struct gws_adapt_rules larger = {.max = 1000000};
    uint64_t word = gws_adapt_step_cut(0, &large, 1);

    (void)state;
    assert_int_equal(gws_adapt_limit_of(word, &large), 30000);
    assert_true(gws_adapt_step_raise(word, &large, 20000) > word);
    word = gws_adapt_step_cut(0, &larger, 1);
    assert_int_equal(gws_adapt_limit_of(word, &larger), 65535); /* what the word can say */
    assert_int_equal(gws_adapt_step_raise(word, &larger, 65535), 0);
}

/* A new configuration brings a word of the old one between its bounds. */
static void test_other_rules(void **state)
{
    const struct gws_adapt_rules smaller = {.max = 5};
    const struct gws_adapt_rules higher = {.max = 100, .min = 50};
    const struct gws_adapt_rules nothing = {.max = 0};
    uint64_t word = gws_adapt_step_cut(0, &rules, 5000);

    (void)state;
    assert_int_equal(gws_adapt_limit_of(word, &smaller), 5);
    assert_int_equal(gws_adapt_limit_of(word, &higher), 50);
    assert_int_equal(gws_adapt_limit_of(word, &nothing), 0);
    assert_int_equal(gws_adapt_step_raise(word, &nothing, 1), 0);
}

static void test_region(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    gws_adapt_overload(&f.region, 1, &rules, 1000);
    gws_adapt_overload(&f.region, 1, &rules, 1001);
    assert_int_equal(gws_adapt_limit(&f.region, 1, &rules), 14);
    for (int i = 0; i < 15; i++)
        gws_adapt_success(&f.region, 1, &rules, 14);
    assert_int_equal(gws_adapt_limit(&f.region, 1, &rules), 15);
    gws_adapt_reset(&f.region, 1);
    assert_int_equal(gws_adapt_limit(&f.region, 1, &rules), 20);
    assert_int_equal(gws_adapt_limit(&f.region, 99, &rules), 0);
    gws_adapt_overload(&f.region, 99, &rules, 0);
    gws_adapt_success(&f.region, 99, &rules, 0);
    gws_adapt_reset(&f.region, 99);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),         cmocka_unit_test(test_raise),  cmocka_unit_test(test_large_ones_grow_too),
        cmocka_unit_test(test_other_rules), cmocka_unit_test(test_region),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
