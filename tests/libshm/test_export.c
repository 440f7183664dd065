/* The export: what is written of a region comes back in another one, and nothing else does. */

#include "libshm/export.h"

#include <errno.h>

#include "libshm/adapt.h"
#include "libshm/breaker.h"
#include "libshm/cooldown.h"
#include "libshm/estimate.h"
#include "libshm/latency.h"
#include "libshm/limit.h"
#include "libshm/name.h"
#include "libshm/order.h"
#include "libshm/quota.h"
#include "libshm/stat.h"
#include "tests/libshm/fixture.h"

#define MS UINT64_C(1000000)

static const struct gws_breaker_rules breaker = {
    .failures = 2, .half_open = 2, .successes = 2, .open_ms = 3000, .max_open_ms = 9000, .stable_ms = 100000,
    .lease_ms = 500};
static const struct gws_cooldown_rules cooldown = {.default_ms = 2000, .max_ms = 60000};
static const struct gws_adapt_rules adapt = {.max = 20};

enum { EAST, WEST, MODEL_EAST, ACCOUNT, NORTH };

static const struct gws_export_time then = {
    .now_ms = 50000, .boot_ns = 900000 * MS, .real_ms = 1700000000000, .boot_id = {1, 2}, .time_namespace = 3};

/* Rows in an order of their own: nothing may depend on the number of a row. */
static void name_rows(struct gws_region *region, uint32_t rows[5], bool reversed)
{
    for (int i = 0; i < 5; i++) {
        switch (reversed ? 4 - i : i) {
        case EAST:
            rows[EAST] = (uint32_t)gws_name_endpoint(region, "us-east", "https://a", 20, 1);
            break;
        case WEST:
            rows[WEST] = (uint32_t)gws_name_endpoint(region, "us west%", "https://b", 20, 1);
            break;
        case NORTH:
            rows[NORTH] = (uint32_t)gws_name_endpoint(region, "id=0", reversed ? "https://other" : "https://c", 9, 1);
            break;
        case ACCOUNT:
            rows[ACCOUNT] = (uint32_t)gws_name_account(region, "example", 1);
            break;
        default:
            break;
        }
    }
    rows[MODEL_EAST] = (uint32_t)gws_name_pair(region, rows[EAST], "gpt-4.1", 1);
    if (reversed)
        assert_int_equal(gws_name_limit(region, "first", 1), 0);
    assert_int_equal(gws_name_limit(region, "rpm", 1), reversed);
    if (reversed)
        assert_int_equal(gws_name_quota(region, "first", 1), 0);
    assert_int_equal(gws_name_quota(region, "usd", 1), reversed);
    assert_int_equal(gws_name_model(region, "gpt-4.1", 1), 0);
}

static void fail_times(struct gws_region *region, uint32_t row, int times, uint64_t now)
{
    struct gws_breaker_view view = gws_breaker_view(gws_breaker_word(region, row));
    for (int i = 0; i < times; i++)
        gws_breaker_report(region, row, &breaker, (struct gws_permit){.gen = view.gen}, GWS_FAILED, now, 0, 0);
}

static void fill(struct gws_region *region, const uint32_t rows[5])
{
    struct gws_limit_rules rules = gws_limit_rules(60, 60000 * MS, 0);
    struct gws_permit permit;
    uint64_t wait;

    fail_times(region, rows[EAST], 2, 49000); /* open until 52000 */
    gws_breaker_force_open(region, rows[WEST], 0, 49000, 7);
    fail_times(region, rows[MODEL_EAST], 2, 40000);
    assert_int_equal(gws_breaker_permit(region, rows[MODEL_EAST], &breaker, 49900, &permit, &wait), GWS_GO); /* half */
    fail_times(region, rows[ACCOUNT], 1, 49000); /* one failure, closed */
    fail_times(region, rows[NORTH], 2, 49000);
    gws_cooldown_hit(region, rows[ACCOUNT], &cooldown, gws_cooldown_gen(region, rows[ACCOUNT]), GWS_COOL_QUOTA, 30000,
                     48000); /* until 78000 */
    gws_order_drain(region, rows[WEST], 45000, 7);
    gws_latency_feed(region, rows[EAST], 250000, 1000, 49990);
    gws_adapt_overload(region, rows[EAST], &adapt, 49500);
    gws_stat_count(region, 0, GWS_STAT_TRIES);
    gws_stat_count(region, 0, GWS_STAT_TRIES);
    gws_stat_count(region, 0, GWS_STAT_OK);
    gws_stat_last_ok(region, 0, 49000);
    gws_limit_publish(region, 0, &rules, 0);
    assert_int_equal(gws_limit_take(region, 0, &rules, 10, 50000 * MS, &wait), GWS_LIMIT_TAKEN);
    gws_quota_restore(region, 0, 20000, 1250);
    gws_estimate_learn(region, 0, 100, 150);
}

static char *export(struct gws_region *region, const struct gws_export_time *time)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    assert_int_equal(gws_export_write(region, out, time), 0);
    fclose(out);
    return text;
}

static int import(struct gws_region *region, const char *text, const struct gws_export_time *time,
                  struct gws_import_counts *counts)
{
    FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text) != 0 ? strlen(text) : 1, "r");
    int result;

    assert_non_null(in);
    result = gws_export_read(region, in, time, counts);
    fclose(in);
    return result;
}

static char *exported(uint32_t rows[5])
{
    struct fixture f;
    char *text;

    fixture_open(&f);
    name_rows(&f.region, rows, false);
    fill(&f.region, rows);
    text = export(&f.region, &then);
    fixture_close(&f);
    return text;
}

static void open_other(struct fixture *f, uint32_t rows[5])
{
    struct gws_dims dims = fixture_dims();

    dims.slots = 64;
    dims.domains = 40;
    fixture_create(f, &dims);
    fixture_enter(f, &f->region, GWS_ROLE_MASTER, 1);
    name_rows(&f->region, rows, true);
}

static struct gws_breaker_view view_of(struct fixture *f, uint32_t row)
{
    return gws_breaker_view(gws_breaker_word(&f->region, row));
}

static void check_text(void)
{
    uint32_t rows[5];
    char *text = exported(rows);

    assert_non_null(strstr(text, "gwshm 1\ntime real=1700000000000 "
                                 "boot=00000000000000010000000000000002 namespace=3 "));
    assert_non_null(strstr(text, "breaker us-east id="));
    assert_non_null(strstr(text, " mode=open level=1 aux=1 left=2000\n"));
    assert_non_null(strstr(text, "breaker us%20west%25 id="));
    assert_non_null(strstr(text, " mode=forced level=0 aux=1\n"));
    assert_non_null(strstr(text, "breaker us-east/gpt-4.1 id="));
    assert_non_null(strstr(text, " mode=half level=1 aux=16 left=400\n"));
    assert_non_null(strstr(text, " mode=closed level=0 aux=1 age="));
    assert_non_null(strstr(text, " reason=2 streak=1 left=28000\n"));
    assert_non_null(strstr(text, " day=20000 committed=1250\n"));
    free(text);
}

static void test_text(void **state)
{
    (void)state;
    check_text();
}

static void check_kept_always(struct fixture *f, const uint32_t rows[5])
{
    struct gws_quota_info quota;
    struct gws_name_info info;
    uint64_t stats[GWS_STATS];

    assert_int_equal(view_of(f, rows[WEST]).mode, GWS_FORCED);
    assert_true(view_of(f, rows[WEST]).forced_open);
    assert_int_equal(view_of(f, rows[WEST]).t, 0);
    assert_true(gws_order_drained(&f->region, rows[WEST]));
    assert_true(gws_quota_read(&f->region, 1, &quota));
    assert_int_equal(quota.day, 20000);
    assert_int_equal(quota.committed, 1250);
    assert_true(gws_name_domain_read(&f->region, rows[EAST], &info));
    gws_stat_read(&f->region, info.endpoint, stats);
    assert_int_equal(stats[GWS_STAT_TRIES], 2);
    assert_int_equal(stats[GWS_STAT_OK], 1);
    assert_int_equal(gws_estimate_tokens(&f->region, 0, 100), 107);
    /* The same name with another url is another endpoint. */
    assert_int_equal(view_of(f, rows[NORTH]).mode, GWS_CLOSED);
}

static void test_same_boot(void **state)
{
    struct gws_export_time now = then;
    struct gws_import_counts counts;
    struct gws_limit_rules rules;
    struct fixture f;
    uint32_t rows[5];
    uint64_t until;
    uint64_t word;
    char *text = exported(rows);

    (void)state;
    open_other(&f, rows);
    rules = gws_limit_rules(30, 60000 * MS, 0); /* half of what it was: a unit is two seconds */
    gws_limit_publish(&f.region, 1, &rules, 0);
    now.now_ms = 100; /* a young region; a second and a half have passed */
    now.boot_ns += 1500 * MS;
    assert_int_equal(import(&f.region, text, &now, &counts), 0);
    assert_int_equal(import(&f.region, text, &now, &counts), 0); /* twice does no harm */
    assert_int_equal(counts.ignored, 1);
    check_kept_always(&f, rows);
    assert_int_equal(view_of(&f, rows[EAST]).mode, GWS_OPEN);
    assert_int_equal(view_of(&f, rows[EAST]).t, 100 + 500);
    assert_int_equal(view_of(&f, rows[EAST]).level, 1);
    assert_int_equal(view_of(&f, rows[MODEL_EAST]).mode, GWS_OPEN);
    assert_int_equal(view_of(&f, rows[MODEL_EAST]).t, 100);
    assert_int_equal(view_of(&f, rows[ACCOUNT]).failures, 1);
    assert_int_equal(view_of(&f, rows[ACCOUNT]).t, 0);
    assert_int_equal(gws_cooldown_check(&f.region, rows[ACCOUNT], 100, &until), 1);
    assert_int_equal(until, 100 + 26500);
    assert_int_equal(gws_adapt_limit(&f.region, rows[EAST], &adapt), 14);
    assert_true(gws_latency_expect(&f.region, rows[EAST], 1000, 100) > 0);
    assert_true(gws_limit_read(&f.region, 1, &rules, &word));
    assert_int_equal(word, 16 * (100 + 2 * 8500) * MS); /* ten seconds of debt, less 1.5, in the new scale */
    free(text);
    fixture_close(&f);
}

/* Into a region in use: no deadline is shortened, and what began before finds another generation. */
static void test_a_region_in_use(void **state)
{
    struct gws_import_counts counts;
    struct gws_permit permit;
    struct fixture f;
    uint32_t rows[5];
    uint64_t until;
    uint64_t word;
    char *text = exported(rows);

    (void)state;
    open_other(&f, rows);
    assert_int_equal(gws_breaker_permit(&f.region, rows[ACCOUNT], &breaker, 50000, &permit, &until), GWS_GO);
    gws_cooldown_hit(&f.region, rows[ACCOUNT], &cooldown, 0, GWS_COOL_DEPLETED, 60000, 50000); /* no streak */
    assert_int_equal(import(&f.region, text, &then, &counts), 0);
    assert_int_equal(gws_cooldown_check(&f.region, rows[ACCOUNT], 50000, &until), 1);
    assert_int_equal(until, 110000);
    word = gws_breaker_word(&f.region, rows[ACCOUNT]);
    assert_int_equal(gws_breaker_view(word).failures, 1);
    gws_breaker_report(&f.region, rows[ACCOUNT], &breaker, permit, GWS_FAILED, 50000, 0, 0);
    assert_int_equal(gws_breaker_word(&f.region, rows[ACCOUNT]), word);
    free(text);
    fixture_close(&f);
}

static void other_boot(struct gws_export_time now)
{
    struct gws_import_counts counts;
    struct gws_limit_rules rules;
    struct fixture f;
    uint32_t rows[5];
    uint64_t until;
    uint64_t word;
    char *text = exported(rows);

    open_other(&f, rows);
    assert_int_equal(import(&f.region, text, &now, &counts), 0);
    check_kept_always(&f, rows);
    assert_int_equal(view_of(&f, rows[EAST]).mode, GWS_CLOSED);
    assert_int_equal(view_of(&f, rows[MODEL_EAST]).mode, GWS_CLOSED);
    assert_int_equal(gws_cooldown_check(&f.region, rows[ACCOUNT], 100, &until), 0);
    assert_int_equal(gws_adapt_limit(&f.region, rows[EAST], &adapt), 20);
    assert_int_equal(gws_latency_expect(&f.region, rows[EAST], 1000, 100), 0);
    assert_true(gws_limit_read(&f.region, 1, &rules, &word));
    assert_int_equal(word, 0);
    free(text);
    fixture_close(&f);
}

static void test_another_boot(void **state)
{
    struct gws_export_time now = then;

    (void)state;
    now.boot_id[1] = 9;
    other_boot(now);
    now = then;
    now.boot_id[0] = 9;
    other_boot(now);
    now = then;
    now.time_namespace = 9;
    other_boot(now);
    now = then;
    now.boot_ns = 5; /* the clock went backwards: it can not be the same */
    other_boot(now);
}

static void test_what_is_not_understood(void **state)
{
    static const char head[] = "gwshm 1\ntime real=1 boot=00000000000000010000000000000002 namespace=3 clock=1\n";
    static const char *const bad[] = {
        "",
        "breaker",
        "breaker us-east",
        "breaker us-east id=00 mode=open level=1 aux=1 left=5",
        "breaker us-east id=%s mode=ajar level=1 aux=1 left=5",
        "breaker us-east id=%s mode=open level=16 aux=1 left=5",
        "breaker us-east id=%s mode=open level=1 aux=256 left=5",
        "breaker us-east id=%s mode=open level=1",
        "breaker us-east id=%s mode=open level=1 aux=99999999999999999999 left=5",
        "cooldown us-east id=%s reason=7 streak=1 left=5",
        "cooldown us-east id=%s reason=1 streak=16 left=5",
        "cooldown id=%s reason=1 streak=1 left=5",
        "order us-east id=%s drained=2",
        "latency us-east id=%s us=4294967296 age=1",
        "adapt us-east id=%s limit=0 age=1",
        "adapt us-east id=%s limit=268435456 age=1",
        "quota us-east id=%s day=1 committed=1",
        "limit us-east id=%s interval=1 debt=1",
        "weather us-east id=%s mode=fine",
    };
    struct gws_import_counts counts;
    struct gws_export_time now = then;
    struct fixture f;
    uint32_t rows[5];
    char *text = exported(rows);
    char *id = strstr(text, "breaker us-east id=");
    char line[256];
    char whole[512];

    (void)state;
    assert_non_null(id);
    id += strlen("breaker us-east id=");
    id[32] = '\0';
    open_other(&f, rows);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *at = strstr(bad[i], "%s");
        snprintf(line, sizeof(line), "%.*s%s%s", at != NULL ? (int)(at - bad[i]) : (int)strlen(bad[i]), bad[i],
                 at != NULL ? id : "", at != NULL ? at + 2 : "");
        snprintf(whole, sizeof(whole), "%s%s\n", head, line);
        assert_int_equal(import(&f.region, whole, &now, &counts), 0);
        assert_int_equal(counts.taken, 0);
        assert_int_equal(counts.ignored, 1);
    }
    assert_int_equal(view_of(&f, rows[EAST]).mode, GWS_CLOSED);
    /* Keys and words of a later version do not disturb. */
    snprintf(whole, sizeof(whole), "%sbreaker x id=%s colour=red mode=forced level=0 aux=0\nx\n", head, id);
    assert_int_equal(import(&f.region, whole, &now, &counts), 0);
    assert_int_equal(counts.taken, 1);
    assert_int_equal(view_of(&f, rows[EAST]).mode, GWS_FORCED);
    assert_int_equal(import(&f.region, "gwshm 2\n", &now, &counts), 1);
    assert_int_equal(import(&f.region, "\n", &now, &counts), 1);
    free(text);
    fixture_close(&f);
}

static void test_long_lines_and_looking(void **state)
{
    static char text[20000];
    struct gws_import_counts counts;
    struct gws_export_time now;
    struct gws_region view;
    struct fixture f;
    FILE *nowhere;
    int length = snprintf(text, sizeof(text), "gwshm 1\n");

    (void)state;
    fixture_open(&f);
    memset(text + length, 'x', sizeof(text) - 10 - (size_t)length);
    gws_export_now(&f.region, &now);
    assert_int_equal(import(&f.region, text, &now, &counts), 0);
    assert_int_equal(counts.ignored, 1);
    view = fixture_view(&f, GWS_LOOK);
    assert_int_equal(import(&view, text, &now, &counts), -EPERM);
    nowhere = fopen("/dev/full", "w");
    assert_non_null(nowhere);
    assert_int_equal(gws_export_write(&view, nowhere, &now), -EIO);
    fclose(nowhere);
    gws_region_close(&view);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_same_boot),
        cmocka_unit_test(test_a_region_in_use),
        cmocka_unit_test(test_another_boot),
        cmocka_unit_test(test_what_is_not_understood),
        cmocka_unit_test(test_long_lines_and_looking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
