/* The layout: sections follow each other without overlap, and the number that names it does not change by chance. */

#include "libshm/layout.h"

#include "tests/libshm/fixture.h"

static void test_sections_do_not_overlap(void **state)
{
    struct gws_dims dims = {.slots = 256, .guests = 8, .domains = 65536, .endpoints = 4096, .limits = 65536,
                            .events = 16384, .quotas = 16384, .models = 16384};
    struct gws_sections at;

    (void)state;
    assert_true(gws_layout_sections(&dims, &at));
    assert_int_equal(at.slots, sizeof(struct gws_header));
    assert_true(at.domains >= at.slots + 256 * sizeof(struct gws_slot_row));
    assert_true(at.gauges >= at.domains + UINT64_C(65536) * sizeof(struct gws_domain_row));
    assert_true(at.limits >= at.gauges + UINT64_C(4096) * 256 * 8);
    assert_true(at.stats >= at.limits + UINT64_C(65536) * sizeof(struct gws_limit_row));
    assert_true(at.names >= at.stats + UINT64_C(256) * 4096 * 64);
    assert_true(at.rings >= at.names + UINT64_C(2) * (65536 + 16384) * sizeof(struct gws_name_row));
    assert_true(at.tallies >= at.rings + UINT64_C(256) * 16384 * sizeof(struct gws_event_row));
    assert_true(at.waiters >= at.tallies + UINT64_C(8) * 256 * 8);
    assert_true(at.quotas >= at.waiters + UINT64_C(4096) * sizeof(struct gws_waiter_row));
    assert_true(at.cells >= at.quotas + UINT64_C(16384) * sizeof(struct gws_quota_row));
    assert_true(at.models >= at.cells + UINT64_C(16384) * 256 * sizeof(struct gws_quota_cell));
    assert_true(at.histograms >= at.models + UINT64_C(16384) * sizeof(struct gws_model_row));
    assert_true(at.series >= at.histograms + UINT64_C(256) * 4096 * 2 * sizeof(struct gws_histogram));
    assert_true(at.evidence >= at.series + UINT64_C(256) * 65536 * 64);
    assert_true(at.measures >= at.evidence + UINT64_C(65536) * sizeof(struct gws_evidence_row));
    assert_true(at.end >= at.measures + UINT64_C(256) * 2 * sizeof(struct gws_histogram));
    assert_int_equal(gws_region_size(&dims), at.end);
}

static void test_pages_and_lines(void **state)
{
    struct gws_dims dims = {.slots = 1, .domains = 1, .endpoints = 1, .limits = 1, .events = 16,
                            .quotas = 1, .models = 1};
    struct gws_sections at;

    (void)state;
    assert_true(gws_layout_sections(&dims, &at));
    assert_int_equal((at.slots | at.domains | at.gauges | at.limits | at.stats | at.names | at.rings | at.end) % 4096,
                     0);
    assert_int_equal(sizeof(struct gws_domain_row) % 64, 0);
    assert_int_equal(sizeof(struct gws_slot_row) % 64, 0);
    assert_int_equal(sizeof(struct gws_limit_row) % 64, 0);
    assert_int_equal(sizeof(struct gws_name_row) % 64, 0);
    dims.slots = 9;
    assert_int_equal(gws_gauge_lines(&dims), 2);
}

static void test_defaults(void **state)
{
    struct gws_dims dims = {.slots = 1, .domains = 256, .endpoints = 1, .limits = 100, .events = 16};
    struct gws_dims whole = gws_dims_complete(&dims);
    struct gws_sections at;

    (void)state;
    assert_int_equal(whole.quotas, 100);
    assert_int_equal(whole.models, 64);
    assert_false(gws_layout_sections(&dims, &at)); /* only those of a new region are completed */
    assert_true(gws_layout_sections(&whole, &at));
    assert_int_equal(gws_region_size(&dims), at.end);
    dims.quotas = 3;
    assert_int_equal(gws_dims_complete(&dims).quotas, 3);
}

static void test_hash(void **state)
{
    (void)state;
    assert_int_not_equal(gws_layout_hash(), 0);
    assert_int_equal(gws_layout_hash(), gws_layout_hash());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sections_do_not_overlap),
        cmocka_unit_test(test_pages_and_lines),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
