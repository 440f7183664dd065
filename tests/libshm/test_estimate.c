/* Token estimates: the rule of thumb, and what is learned of a model. */

#include "libshm/estimate.h"

#include "tests/libshm/fixture.h"

static void test_thumb(void **state)
{
    (void)state;
    assert_int_equal(gws_estimate_thumb(0, 0, 0), 0);
    assert_int_equal(gws_estimate_thumb(400, 0, 1), 104);
    assert_int_equal(gws_estimate_thumb(401, 80, 2), 109); /* a fifth is not yet more than a fifth */
    assert_int_equal(gws_estimate_thumb(400, 81, 0), 134);
}

static void test_learning(void **state)
{
    uint64_t word = gws_estimate_step(0, 100, 150);

    (void)state;
    assert_int_equal(word, UINT64_C(1) << 48 | 69632); /* an eighth of the way */
    word = gws_estimate_step(word, 100, 50);
    assert_int_equal(word, UINT64_C(2) << 48 | 65536); /* and a ninth of the way back */
    for (int i = 0; i < 1000; i++)
        word = gws_estimate_step(word, 1000, 1250);
    assert_in_range(word & 0xffffffffffff, 81888, 81920);
    assert_int_equal(word >> 48, 1002);
    /* One absurd answer moves it by a thirty-second of a bounded distance. */
    assert_int_equal(gws_estimate_step(word, 1, UINT64_MAX) & 0xffffffffffff, 87521);
    assert_int_equal(gws_estimate_step(word, 1000, 0) & 0xffffffffffff, 79842);
    assert_int_equal(gws_estimate_step(word, 0, 7), word);
    assert_int_equal(gws_estimate_step(UINT64_MAX, 1, 1) >> 48, 65535);
}

static void test_region(void **state)
{
    struct fixture f;
    uint32_t samples;

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_estimate_tokens(&f.region, 0, 100), 100);
    gws_estimate_learn(&f.region, 0, 100, 125);
    assert_int_equal(gws_estimate_tokens(&f.region, 0, 100), 104); /* up */
    assert_int_equal(gws_estimate_tokens(&f.region, 0, 1000), 1032);
    assert_int_equal(gws_estimate_ratio(&f.region, 0, &samples), 67584);
    assert_int_equal(samples, 1);
    assert_int_equal(gws_estimate_tokens(&f.region, 0, UINT64_MAX), UINT64_MAX);
    gws_estimate_learn(&f.region, 16, 1, 2);
    assert_int_equal(gws_estimate_tokens(&f.region, 16, 5), 5);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thumb),
        cmocka_unit_test(test_learning),
        cmocka_unit_test(test_region),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
