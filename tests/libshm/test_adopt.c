/* A new master on an old region: the same boot keeps everything, another one drops what was a matter of time. */

#include "libshm/breaker.h"
#include "libshm/clock.h"
#include "libshm/cooldown.h"
#include "libshm/evidence.h"
#include "libshm/layout.h"
#include "libshm/limit.h"
#include "libshm/name.h"
#include "libshm/order.h"
#include "libshm/series.h"
#include "libshm/stat.h"
#include "tests/libshm/fixture.h"

static const struct gws_breaker_rules breaker = {
    .failures = 1, .half_open = 1, .successes = 1, .open_ms = 60000, .max_open_ms = 60000, .lease_ms = 1000};
static const struct gws_cooldown_rules cooldown = {.default_ms = 1000, .max_ms = 60000};

/* Rows 0 to 3: tripped and cooling; forced without an end; forced for an hour; drained. */
static void prepare(struct fixture *f, struct gws_permit *permit)
{
    struct gws_limit_rules rules = gws_limit_rules(1, 1000000000, 1);
    uint64_t now;
    uint64_t wait;

    fixture_open(f);
    now = gws_clock_ms(&f->region);
    assert_int_equal(gws_name_endpoint(&f->region, "us-east", "https://a/v1", 20, 1), 0);
    gws_breaker_permit(&f->region, 0, &breaker, now, permit, &wait);
    gws_breaker_report(&f->region, 0, &breaker, *permit, GWS_FAILED, now, 0, 0);
    gws_cooldown_hit(&f->region, 0, &cooldown, gws_cooldown_gen(&f->region, 0), GWS_COOL_RATE, 30000, now);
    gws_breaker_force_open(&f->region, 1, 0, now, 0);
    gws_breaker_force_open(&f->region, 2, now + 3600000, now, 0);
    gws_order_drain(&f->region, 3, now, 0);
    gws_limit_take(&f->region, 0, &rules, 1, gws_clock_ns(&f->region), &wait);
    gws_stat_count(&f->region, 0, GWS_STAT_OK);
    gws_stat_last_ok(&f->region, 0, now + 77);
    gws_series_answered(&f->region, 1, now + 177);
    gws_evidence_note(&f->region, 0, 1, 500, "", 0, now);
}

static enum gws_breaker_mode mode(struct gws_region *region, uint32_t row)
{
    return gws_breaker_view(gws_breaker_word(region, row)).mode;
}

static void test_same_boot(void **state)
{
    struct fixture f;
    struct gws_permit permit;
    uint64_t until;

    (void)state;
    prepare(&f, &permit);
    gws_region_close(&f.region);
    f.region = fixture_view(&f, GWS_CHANGE);
    assert_int_equal(gws_region_adopt(&f.region), 0);
    assert_int_equal(mode(&f.region, 0), GWS_OPEN);
    assert_int_equal(gws_cooldown_check(&f.region, 0, gws_clock_ms(&f.region), &until), 1);
    assert_int_not_equal(atomic_load(&f.region.limits[0].tat), 0);
    fixture_close(&f);
}

static void dropped(struct fixture *f)
{
    struct gws_name_info info;
    uint64_t now = gws_clock_ms(&f->region);
    uint64_t until;

    assert_int_equal(mode(&f->region, 0), GWS_CLOSED);
    assert_int_equal(gws_cooldown_check(&f->region, 0, now, &until), 0);
    assert_int_equal(mode(&f->region, 1), GWS_FORCED); /* an order without an end is no deadline */
    assert_int_equal(mode(&f->region, 2), GWS_CLOSED);
    assert_true(gws_order_drained(&f->region, 3));
    assert_int_equal(atomic_load(&f->region.limits[0].tat), 0);
    assert_true(gws_name_domain_read(&f->region, 0, &info));
    assert_string_equal(info.name, "us-east");
    assert_int_equal(gws_region_adopt(&f->region), 0); /* once */
}

static void test_another_boot(void **state)
{
    struct fixture f;
    struct gws_permit permit;
    struct gws_evidence evidence;
    uint64_t stats[GWS_STATS];
    uint64_t before;
    uint64_t word;

    (void)state;
    prepare(&f, &permit);
    atomic_store(&f.region.header->boot_id[0], 1234);
    /* Real time says that an hour has gone by; the clock goes on from there, though this boot's started anew. */
    atomic_fetch_sub(&f.region.header->base_real_ms, 3600000);
    atomic_store(&f.region.header->base_boot_ns, UINT64_C(987654321000000000));
    assert_int_equal(gws_region_adopt(&f.region), 1);
    dropped(&f);
    before = gws_clock_ms(&f.region);
    assert_in_range(before, 3600000, 3600000 + 60000);
    gws_stat_read(&f.region, 0, stats);
    assert_int_equal(stats[GWS_STAT_OK], 1);
    assert_true(stats[GWS_STAT_LAST_OK] != 0);
    assert_true(gws_series_last_answer(&f.region, 1) != 0);
    assert_true(gws_evidence_read(&f.region, 0, &evidence));
    word = gws_breaker_word(&f.region, 0);
    gws_breaker_report(&f.region, 0, &breaker, permit, GWS_FAILED, before, 0, 0);
    assert_int_equal(gws_breaker_word(&f.region, 0), word);
    fixture_close(&f);
}

static void test_another_time_namespace(void **state)
{
    struct fixture f;
    struct gws_permit permit;

    (void)state;
    prepare(&f, &permit);
    atomic_fetch_add(&f.region.header->time_namespace, 1);
    assert_int_equal(gws_region_adopt(&f.region), 1);
    dropped(&f);
    fixture_close(&f);
}

/* A real clock that was set back, or a region too old for the word: time starts over and old times are forgotten. */
static void test_clock_that_can_not_go_on(void **state)
{
    struct fixture f;
    struct gws_permit permit;
    struct gws_event_cursor cursor = {{0}};
    struct gws_event events[64];
    struct gws_evidence evidence;
    uint64_t stats[GWS_STATS];
    size_t count;

    (void)state;
    prepare(&f, &permit);
    atomic_store(&f.region.header->boot_id[1], 1234);
    atomic_fetch_add(&f.region.header->base_real_ms, 3600000);
    assert_int_equal(gws_region_adopt(&f.region), 1);
    assert_true(gws_clock_ms(&f.region) < 60000);
    dropped(&f);
    gws_stat_read(&f.region, 0, stats);
    assert_int_equal(stats[GWS_STAT_OK], 1);
    assert_int_equal(stats[GWS_STAT_LAST_OK], 0);
    assert_int_equal(gws_series_last_answer(&f.region, 1), 0);
    assert_false(gws_evidence_read(&f.region, 0, &evidence));
    count = gws_event_collect(&f.region, &cursor, events, 64);
    for (size_t i = 0; i < count; i++)
        assert_true(events[i].time < 60000);
    fixture_close(&f);
}

static void test_old_age(void **state)
{
    struct fixture f;
    struct gws_permit permit;
    struct gws_region worker;
    uint64_t year = UINT64_C(400) * 24 * 3600 * 1000;

    (void)state;
    prepare(&f, &permit);
    worker = fixture_worker(&f);
    atomic_fetch_sub(&f.region.header->base_boot_ns, year * 1000000);
    atomic_fetch_sub(&f.region.header->base_real_ms, year);
    assert_int_equal(gws_region_adopt(&f.region), 0); /* somebody still counts by the old base */
    assert_true(gws_clock_ms(&f.region) >= year);
    gws_region_close(&worker);
    assert_int_equal(gws_region_adopt(&f.region), 1);
    assert_true(gws_clock_ms(&f.region) < 60000);
    dropped(&f);
    fixture_close(&f);
}

static void test_looking_adopts_nothing(void **state)
{
    struct fixture f;
    struct gws_permit permit;
    struct gws_region look;

    (void)state;
    prepare(&f, &permit);
    atomic_store(&f.region.header->boot_id[0], 1234);
    look = fixture_view(&f, GWS_LOOK);
    assert_int_equal(gws_region_adopt(&look), 0);
    assert_int_equal(mode(&look, 0), GWS_OPEN);
    gws_region_close(&look);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_boot),
        cmocka_unit_test(test_another_boot),
        cmocka_unit_test(test_another_time_namespace),
        cmocka_unit_test(test_clock_that_can_not_go_on),
        cmocka_unit_test(test_old_age),
        cmocka_unit_test(test_looking_adopts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
