/* Latency: the average to the microsecond, the quantiles to six percent. */

#include "libshm/latency.h"

#include "tests/libshm/fixture.h"

enum { DECAY = 1000 };

static uint64_t step(uint64_t word, uint64_t us, uint64_t now)
{
    return gws_latency_step(word, us, DECAY, now);
}

static void test_peaks_and_decay(void **state)
{
    uint64_t word = step(5, 200, 5);

    (void)state;
    assert_int_equal(word, UINT64_C(200) << 32 | 5);
    word = step(word, 1000, 5); /* a peak is taken whole, at once */
    assert_int_equal(word, UINT64_C(1000) << 32 | 5);
    word = step(word, 200, 5); /* what comes in the same millisecond weighs nothing against it */
    assert_int_equal(word >> 32, 1000);
    word = step(word, 200, 1005); /* after the decay time half of the distance is left */
    assert_int_equal(word, UINT64_C(600) << 32 | 1005);
    word = step(word, 600, 1010);
    assert_int_equal(word >> 32, 600);
    word = step(word, 0, 900); /* a writer that was held up changes no stamp */
    assert_int_equal((uint32_t)word, 1010);
    assert_int_equal(word >> 32, 600);
    assert_int_equal(step(word, UINT64_MAX, 1010) >> 32, UINT32_MAX);
    /* The stamp comes round after 49 days. */
    word = step(0xfffffff0, 1000, 0xfffffff0);
    assert_int_equal(step(word, 1, UINT64_C(0x1000003d8)), UINT64_C(500) << 32 | 0x3d8);
}

static void test_expectation_fades(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_latency_expect(&f.region, 2, DECAY, 10), 0);
    gws_latency_feed(&f.region, 2, 9000, DECAY, 10);
    assert_int_equal(gws_latency_expect(&f.region, 2, DECAY, 10), 9000);
    assert_int_equal(gws_latency_expect(&f.region, 2, DECAY, 1010), 4500);
    assert_int_equal(gws_latency_expect(&f.region, 2, DECAY, 8010), 1000);
    assert_int_equal(gws_latency_expect(&f.region, 2, 0, 10), 0);
    gws_latency_feed(&f.region, 99, 9000, DECAY, 10);
    assert_int_equal(gws_latency_expect(&f.region, 99, DECAY, 10), 0);
    fixture_close(&f);
}

/* Buckets follow each other without a gap, and the middle of one is near to everything in it. */
static void test_buckets(void **state)
{
    (void)state;
    assert_int_equal(gws_latency_bucket(0), 0);
    assert_int_equal(gws_latency_bucket(UINT64_MAX), GWS_LATENCY_BUCKETS - 1);
    assert_int_equal(gws_latency_bucket_end(GWS_LATENCY_BUCKETS - 1), UINT64_MAX);
    for (uint32_t i = 0; i < GWS_LATENCY_BUCKETS - 1; i++) {
        uint64_t end = gws_latency_bucket_end(i);
        assert_int_equal(gws_latency_bucket(end - 1), i);
        assert_int_equal(gws_latency_bucket(end), i + 1);
    }
    assert_in_range(gws_latency_bucket_end(GWS_LATENCY_BUCKETS - 2), 900000000, 1048576000);
}

static uint64_t quantile_of_one(struct gws_region *region, uint64_t us)
{
    struct gws_latency_counts before;
    struct gws_latency_counts after;

    gws_latency_read(region, 1, GWS_LATENCY_FIRST, &before);
    gws_latency_count(region, 1, GWS_LATENCY_FIRST, us);
    gws_latency_read(region, 1, GWS_LATENCY_FIRST, &after);
    gws_latency_since(&after, &before);
    assert_int_equal(after.count, 1);
    assert_int_equal(after.sum_us, us);
    return gws_latency_quantile(&after, 5000);
}

static void test_error_of_a_quantile(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    for (uint64_t us = 500; us < 900000000; us += us / 37 + 1) {
        uint64_t got = quantile_of_one(&f.region, us);
        uint64_t error = got > us ? got - us : us - got;
        assert_true(error * 10000 <= us * 630);
    }
    fixture_close(&f);
}

static void test_quantiles_over_slots(void **state)
{
    struct fixture f;
    struct gws_region other;
    struct gws_latency_counts counts;

    (void)state;
    fixture_open(&f);
    other = fixture_worker(&f);
    for (uint64_t i = 1; i <= 1000; i++)
        gws_latency_count(i % 2 == 0 ? &f.region : &other, 3, GWS_LATENCY_TOTAL, i * 1000);
    gws_latency_read(&f.region, 3, GWS_LATENCY_TOTAL, &counts);
    assert_int_equal(counts.count, 1000);
    assert_int_equal(counts.sum_us, 500500000);
    assert_in_range(gws_latency_quantile(&counts, 5000), 470000, 530000);
    assert_in_range(gws_latency_quantile(&counts, 9900), 930000, 1050000);
    assert_in_range(gws_latency_quantile(&counts, 9990), 940000, 1060000);
    assert_in_range(gws_latency_quantile(&counts, 0), 938, 1063);
    assert_int_equal(gws_latency_quantile(&counts, 10000), gws_latency_quantile(&counts, 20000));
    gws_latency_read(&f.region, 3, GWS_LATENCY_FIRST, &counts);
    assert_int_equal(counts.count, 0);
    assert_int_equal(gws_latency_quantile(&counts, 5000), 0);
    gws_latency_read(&f.region, 4, GWS_LATENCY_FIRST, &counts);
    assert_int_equal(counts.count, 0);
    gws_region_close(&other);
    fixture_close(&f);
}

/* Two buckets share a word: the lower one, when full, does not run over into its neighbour. */
static void test_a_full_bucket(void **state)
{
    struct fixture f;
    struct gws_latency_counts counts;
    unsigned char *word;

    (void)state;
    fixture_open(&f);
    gws_latency_count(&f.region, 0, GWS_LATENCY_FIRST, 0);
    word = (unsigned char *)f.region.histograms + 8;
    assert_int_equal(word[0], 1);
    memset(word, 0xff, 4);
    gws_latency_count(&f.region, 0, GWS_LATENCY_FIRST, 0);
    gws_latency_count(&f.region, 0, GWS_LATENCY_FIRST, 70);
    gws_latency_read(&f.region, 0, GWS_LATENCY_FIRST, &counts);
    assert_int_equal(counts.buckets[0], UINT32_MAX);
    assert_int_equal(counts.buckets[1], 1);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peaks_and_decay),     cmocka_unit_test(test_expectation_fades),
        cmocka_unit_test(test_buckets),             cmocka_unit_test(test_error_of_a_quantile),
        cmocka_unit_test(test_quantiles_over_slots), cmocka_unit_test(test_a_full_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
