/* What a slot holds is gone when it is cleared, and nothing of its neighbours is. */

#include "libshm/cells.h"

#include "tests/libshm/fixture.h"

static void fill(struct gws_region *region, uint32_t slot)
{
    for (uint32_t e = 0; e < region->dims.endpoints; e++) {
        word_store_relaxed(&gauges_of(region, e)[slot], 7);
        region->waiters[e].slots[slot / 64] |= UINT64_C(1) << slot % 64;
    }
    for (uint32_t t = 0; t < GWS_TALLY_ROWS; t++)
        word_store_relaxed(&tallies_of(region, t)[slot], 7);
    for (uint32_t q = 0; q < region->dims.quotas; q++) {
        word_store_relaxed(&quota_cells_of(region, q)[slot].reserved, 7);
        word_store_relaxed(&quota_cells_of(region, q)[slot].committed, 7);
    }
}

static void check(struct gws_region *region, uint32_t slot, uint64_t held)
{
    for (uint32_t e = 0; e < region->dims.endpoints; e++) {
        assert_int_equal(word_load(&gauges_of(region, e)[slot]), held);
        assert_int_equal(region->waiters[e].slots[slot / 64] >> slot % 64 & 1, held != 0);
    }
    for (uint32_t t = 0; t < GWS_TALLY_ROWS; t++)
        assert_int_equal(word_load(&tallies_of(region, t)[slot]), held);
    for (uint32_t q = 0; q < region->dims.quotas; q++) {
        assert_int_equal(word_load(&quota_cells_of(region, q)[slot].reserved), held);
        assert_int_equal(word_load(&quota_cells_of(region, q)[slot].committed), 7); /* spent is spent */
    }
}

static void test_clear(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct fixture f;

    (void)state;
    dims.slots = 80;
    fixture_create(&f, &dims);
    for (uint32_t slot = 62; slot < 67; slot++)
        fill(&f.region, slot);
    cells_clear(&f.region, 64);
    cells_clear(&f.region, 64); /* begun again */
    for (uint32_t slot = 62; slot < 67; slot++)
        check(&f.region, slot, slot == 64 ? 0 : 7);
    fixture_close(&f);
}

static void test_take_says_how_it_failed(void **state)
{
    struct fixture f;
    gws_word *cells;

    (void)state;
    fixture_open(&f);
    cells = tallies_of(&f.region, 0);
    assert_true(cells_owned(&f.region));
    assert_int_equal(cells_take(&f.region, cells, 1), CELLS_TAKEN);
    assert_int_equal(cells_take(&f.region, cells, 1), CELLS_FULL);
    cells_give(&f.region, cells);
    cells_give(&f.region, cells);
    assert_int_equal(cells_sum(&f.region, cells), 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clear), cmocka_unit_test(test_take_says_how_it_failed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
