/* The operator's word: it stays until it is taken back, whatever happens to the rest of the row. */

#include "libshm/order.h"

#include "libshm/breaker.h"
#include "libshm/cooldown.h"
#include "tests/libshm/fixture.h"

static void test_drain_and_enable(void **state)
{
    struct fixture f;
    struct gws_event_cursor cursor = {{0}};
    struct gws_event events[8];

    (void)state;
    fixture_open(&f);
    assert_false(gws_order_drained(&f.region, 1));
    gws_order_drain(&f.region, 1, 100, 42);
    gws_order_drain(&f.region, 1, 200, 42); /* already so: no change, no event */
    assert_true(gws_order_drained(&f.region, 1));
    assert_false(gws_order_drained(&f.region, 2));
    gws_breaker_reset(&f.region, 1, 300, 42);
    gws_cooldown_clear(&f.region, 1, 300, 42); /* nothing cools: no event */
    assert_true(gws_order_drained(&f.region, 1));
    gws_order_enable(&f.region, 1, 400, 43);
    assert_false(gws_order_drained(&f.region, 1));

    assert_int_equal(gws_event_collect(&f.region, &cursor, events, 8), 3);
    assert_int_equal(events[0].code, GWS_EVENT_ORDER);
    assert_int_equal(events[0].time, 100);
    assert_int_equal(events[0].who, 42);
    assert_int_equal(events[2].old, events[0].new);
    assert_int_equal(events[2].who, 43);
    fixture_close(&f);
}

/* Every change is a word that was not there before, also of orders within one millisecond: a chain can be told. */
static void test_each_change_is_another_word(void **state)
{
    struct fixture f;
    struct gws_event_cursor cursor = {{0}};
    struct gws_event events[8];

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 2; i++) {
        gws_order_drain(&f.region, 1, 100, 42);
        gws_order_enable(&f.region, 1, 100, 42);
    }
    assert_int_equal(gws_event_collect(&f.region, &cursor, events, 8), 4);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            assert_true(events[i].new != events[k].new);
    fixture_close(&f);
}

static void test_survives_a_restart(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    gws_order_drain(&f.region, 1, 100, 42);
    gws_region_close(&f.region);
    f.region = fixture_view(&f, GWS_CHANGE);
    assert_int_equal(gws_region_adopt(&f.region), 0);
    assert_true(gws_order_drained(&f.region, 1));
    fixture_close(&f);
}

static void test_rows_out_of_range(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    gws_order_drain(&f.region, 12, 0, 0);
    gws_order_enable(&f.region, UINT32_MAX, 0, 0);
    assert_false(gws_order_drained(&f.region, 12));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain_and_enable),
        cmocka_unit_test(test_each_change_is_another_word),
        cmocka_unit_test(test_survives_a_restart),
        cmocka_unit_test(test_rows_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
