/* The window: words that replace themselves, shares that trip a breaker, and what must not count. */

#include "libshm/window.h"

#include "libshm/breaker.h"
#include "tests/libshm/fixture.h"

enum { BUCKET = GWS_WINDOW_BUCKET_MS, ROW = 3 };

static const struct gws_breaker_rules rules = {.half_open = 1,
                                               .successes = 1,
                                               .open_ms = 1000,
                                               .max_open_ms = 8000,
                                               .stable_ms = 100000,
                                               .lease_ms = 100,
                                               .window_ms = 60000,
                                               .rate = 5000,
                                               .min_requests = 4};

static void report(struct gws_region *region, const struct gws_breaker_rules *r, enum gws_outcome outcome, uint64_t now)
{
    struct gws_breaker_view view = gws_breaker_view(gws_breaker_word(region, ROW));
    gws_breaker_report(region, ROW, r, (struct gws_permit){.gen = view.gen}, outcome, now, 0, 0);
}

static enum gws_breaker_mode mode(struct gws_region *region)
{
    return gws_breaker_view(gws_breaker_word(region, ROW)).mode;
}

static void assert_totals(struct gws_window_totals t, uint32_t total, uint32_t failed, uint32_t slow, uint32_t span)
{
    assert_int_equal(t.total, total);
    assert_int_equal(t.failed, failed);
    assert_int_equal(t.slow, slow);
    assert_int_equal(t.span_ms, span);
}

static void test_step(void **state)
{
    uint64_t word = gws_window_step(0, GWS_SAMPLE_FAILED, 0);

    (void)state;
    assert_int_equal(word, UINT64_C(0x0000000000010001));
    word = gws_window_step(word, GWS_SAMPLE_SLOW, BUCKET - 1);
    assert_int_equal(word, UINT64_C(0x0000000100010002));
    /* The next time round the word begins afresh; whoever comes late after that is not counted. */
    word = gws_window_step(word, GWS_SAMPLE_OK, 10 * BUCKET);
    assert_int_equal(word, UINT64_C(0x000a000000000001));
    assert_int_equal(gws_window_step(word, GWS_SAMPLE_OK, 0), word);
    /* An old word never looks like one to come for longer than the window is. */
    assert_int_equal(gws_window_step(word, GWS_SAMPLE_OK, UINT64_C(40000) * BUCKET), UINT64_C(0x9c40000000000001));
    assert_int_equal(gws_window_step(0, GWS_SAMPLE_OK, UINT64_C(65535) * BUCKET), UINT64_C(0xffff000000000001));
    /* Full: neither the total nor the shares move on. */
    assert_int_equal(gws_window_step(UINT64_C(0x000a00010002ffff), GWS_SAMPLE_FAILED, 10 * BUCKET),
                     UINT64_C(0x000a00010002ffff));
}

static void test_sums_slide(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    for (uint64_t i = 0; i < 12; i++)
        gws_window_add(&f.region, ROW, i % 2 == 0 ? GWS_SAMPLE_OK : GWS_SAMPLE_FAILED, i * BUCKET + 5);
    assert_totals(gws_window_read(&f.region, ROW, 11 * BUCKET + 5), 10, 5, 0, 9 * BUCKET + 5);
    assert_totals(gws_window_sum(&f.region, ROW, BUCKET, 0, 11 * BUCKET + 5), 1, 1, 0, 5);
    assert_totals(gws_window_sum(&f.region, ROW, BUCKET + 1, 0, 11 * BUCKET + 5), 2, 1, 0, BUCKET + 5);
    assert_totals(gws_window_sum(&f.region, ROW, 60000, 9 * BUCKET, 11 * BUCKET + 5), 3, 2, 0, 2 * BUCKET + 5);
    assert_totals(gws_window_sum(&f.region, ROW, 60000, 9 * BUCKET + 1, 11 * BUCKET + 5), 2, 1, 0, BUCKET + 5);
    assert_totals(gws_window_sum(&f.region, ROW, 60000, 12 * BUCKET, 11 * BUCKET + 5), 0, 0, 0, 1);
    assert_totals(gws_window_read(&f.region, ROW, 20 * BUCKET), 1, 1, 0, 9 * BUCKET);
    assert_totals(gws_window_read(&f.region, ROW, 40 * BUCKET), 0, 0, 0, 9 * BUCKET);
    assert_totals(gws_window_read(&f.region, 99, 40 * BUCKET), 0, 0, 0, 1);
    gws_window_clear(&f.region, ROW);
    assert_totals(gws_window_read(&f.region, ROW, 11 * BUCKET), 0, 0, 0, 9 * BUCKET);
    fixture_close(&f);
}

static void test_young_region(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    gws_window_add(&f.region, ROW, GWS_SAMPLE_OK, 0);
    assert_totals(gws_window_read(&f.region, ROW, 0), 1, 0, 0, 1);
    assert_totals(gws_window_read(&f.region, ROW, 2000), 1, 0, 0, 2000);
    fixture_close(&f);
}

static void test_trips_by_rate(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    report(&f.region, &rules, GWS_OK, 10);
    report(&f.region, &rules, GWS_FAILED, 11);
    report(&f.region, &rules, GWS_FAILED, 12); /* two of three, and three are too few to judge */
    assert_int_equal(mode(&f.region), GWS_CLOSED);
    report(&f.region, &rules, GWS_NEUTRAL, 13);
    report(&f.region, &rules, GWS_OK, 13); /* two of four: enough, but a success does not trip */
    assert_int_equal(mode(&f.region), GWS_CLOSED);
    report(&f.region, &rules, GWS_OK, 14);
    report(&f.region, &rules, GWS_OK, 14);
    report(&f.region, &rules, GWS_THROTTLED, 15); /* three of seven */
    assert_int_equal(mode(&f.region), GWS_CLOSED);
    report(&f.region, &rules, GWS_THROTTLED, 16); /* four of eight */
    assert_int_equal(mode(&f.region), GWS_OPEN);
    assert_int_equal(gws_breaker_view(gws_breaker_word(&f.region, ROW)).reason, GWS_TRIP_RATE);
    assert_int_equal(gws_breaker_view(gws_breaker_word(&f.region, ROW)).t, 1016);
    fixture_close(&f);
}

/* After it has closed, what made it open is over: words that began before do not count again. */
static void test_the_past_is_over(void **state)
{
    struct fixture f;
    struct gws_permit permit;
    uint64_t wait;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 4; i++)
        report(&f.region, &rules, GWS_FAILED, 10);
    assert_int_equal(mode(&f.region), GWS_OPEN);
    assert_int_equal(gws_breaker_permit(&f.region, ROW, &rules, 1010, &permit, &wait), GWS_GO);
    gws_breaker_report(&f.region, ROW, &rules, permit, GWS_OK, 1020, 0, 0);
    assert_int_equal(mode(&f.region), GWS_CLOSED);
    for (int i = 0; i < 3; i++)
        report(&f.region, &rules, GWS_FAILED, 1030);
    assert_int_equal(mode(&f.region), GWS_CLOSED);
    for (int i = 0; i < 3; i++)
        report(&f.region, &rules, GWS_FAILED, BUCKET + 1);
    assert_int_equal(mode(&f.region), GWS_CLOSED);
    report(&f.region, &rules, GWS_FAILED, BUCKET + 2);
    assert_int_equal(mode(&f.region), GWS_OPEN);
    fixture_close(&f);
}

static void test_another_generation_says_nothing(void **state)
{
    struct fixture f;
    struct gws_permit stale = {.gen = 0};

    (void)state;
    fixture_open(&f);
    gws_breaker_reset(&f.region, ROW, 0, 0);
    for (int i = 0; i < 8; i++)
        gws_breaker_report(&f.region, ROW, &rules, stale, GWS_FAILED, 10, 0, 0);
    assert_totals(gws_window_read(&f.region, ROW, 11), 0, 0, 0, 11);
    assert_int_equal(mode(&f.region), GWS_CLOSED);
    fixture_close(&f);
}

static void test_slow_ones(void **state)
{
    struct fixture f;
    struct gws_breaker_rules slow = rules;

    (void)state;
    fixture_open(&f);
    slow.rate = 0;
    slow.failures = 2;
    slow.slow_rate = 7500;
    report(&f.region, &slow, GWS_FAILED, 10);
    report(&f.region, &slow, GWS_SLOW, 10); /* ends a run of failures, as any success does */
    report(&f.region, &slow, GWS_FAILED, 10);
    report(&f.region, &slow, GWS_SLOW, 10);
    assert_int_equal(mode(&f.region), GWS_CLOSED);
    for (int i = 0; i < 3; i++)
        report(&f.region, &slow, GWS_SLOW, 10); /* five of seven */
    assert_int_equal(mode(&f.region), GWS_CLOSED);
    report(&f.region, &slow, GWS_SLOW, 10); /* six of eight */
    assert_int_equal(gws_breaker_view(gws_breaker_word(&f.region, ROW)).reason, GWS_TRIP_SLOW);
    fixture_close(&f);
}

static void test_off_writes_nothing(void **state)
{
    struct fixture f;
    struct gws_breaker_rules off = rules;

    (void)state;
    fixture_open(&f);
    off.window_ms = 0;
    for (int i = 0; i < 20; i++)
        report(&f.region, &off, GWS_THROTTLED, 10);
    assert_int_equal(gws_breaker_word(&f.region, ROW), 0);
    assert_totals(gws_window_read(&f.region, ROW, 11), 0, 0, 0, 11);
    fixture_close(&f);
}

/* Nothing is lost between processes that count into the same word. */
enum { WORKERS = 4, SAMPLES = 5000 };

static int count(struct fixture *f, void *arg)
{
    (void)arg;
    for (int i = 0; i < SAMPLES; i++)
        gws_window_add(&f->region, ROW, i % 4 == 0 ? GWS_SAMPLE_FAILED : GWS_SAMPLE_OK, 7);
    return 0;
}

static void test_workers_share(void **state)
{
    struct fixture f;
    pid_t pids[WORKERS];
    int slot;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < WORKERS; i++)
        pids[i] = fixture_fork(&f, &slot, count, NULL);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(fixture_wait(pids[i]), 0);
    assert_totals(gws_window_read(&f.region, ROW, 8), WORKERS * SAMPLES, WORKERS * SAMPLES / 4, 0, 8);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_sums_slide),
        cmocka_unit_test(test_young_region),
        cmocka_unit_test(test_trips_by_rate),
        cmocka_unit_test(test_the_past_is_over),
        cmocka_unit_test(test_another_generation_says_nothing),
        cmocka_unit_test(test_slow_ones),
        cmocka_unit_test(test_off_writes_nothing),
        cmocka_unit_test(test_workers_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
