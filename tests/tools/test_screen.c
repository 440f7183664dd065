/* The grid of cells: writing, cutting, bars. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "tools/gatewayctl/screen.h"

static void has(const struct screen *screen, int row, const char *wanted)
{
    char *text = screen_row_text(screen, row);
    assert_string_equal(text, wanted);
    free(text);
}

static void text_is_cut_at_its_room(void **state)
{
    (void)state;
    struct screen screen;
    screen_init(&screen, 10, 3, true);
    assert_int_equal(screen_text(&screen, 0, 2, 5, SCREEN_RED, "hello"), 5);
    has(&screen, 0, "  hello");
    assert_int_equal(screen_cell(&screen, 0, 2)->paint, SCREEN_RED);
    assert_int_equal(screen_cell(&screen, 0, 7)->paint, SCREEN_PLAIN);
    assert_int_equal(screen_text(&screen, 1, 0, 5, SCREEN_PLAIN, "hello!"), 5);
    has(&screen, 1, "hell\u2026");
    screen.unicode = false;
    screen_text(&screen, 1, 0, 5, SCREEN_PLAIN, "hello!");
    has(&screen, 1, "hell~");
    assert_int_equal(screen_text(&screen, 2, 0, 0, SCREEN_PLAIN, "x"), 0);
    assert_int_equal(screen_text(&screen, 2, 0, -3, SCREEN_PLAIN, "x"), 0);
    has(&screen, 2, "");
    screen_fini(&screen);
}

static void what_is_outside_is_not_written(void **state)
{
    (void)state;
    struct screen screen;
    screen_init(&screen, 4, 2, true);
    screen_text(&screen, -1, 0, 4, SCREEN_PLAIN, "aaaa");
    screen_text(&screen, 2, 0, 4, SCREEN_PLAIN, "bbbb");
    screen_text(&screen, 0, 2, 9, SCREEN_PLAIN, "cccc");
    screen_text(&screen, 1, -2, 4, SCREEN_PLAIN, "dddd");
    has(&screen, 0, "  cc");
    has(&screen, 1, "dd");
    assert_null(screen_cell(&screen, 0, 4));
    assert_null(screen_cell(&screen, 2, 0));
    screen_mark(&screen, 5, SCREEN_REVERSE);
    screen_fini(&screen);
    screen_init(&screen, 0, 100000, true);
    assert_int_equal(screen.width, 1);
    assert_int_equal(screen.height, SCREEN_SIDE_MAX);
    screen_fini(&screen);
}

static void code_points_are_columns(void **state)
{
    (void)state;
    struct screen screen;
    screen_init(&screen, 8, 2, true);
    assert_int_equal(screen_text(&screen, 0, 0, 8, SCREEN_PLAIN, "\u00e9\u2192\U0001d11e|"), 4);
    has(&screen, 0, "\u00e9\u2192\U0001d11e|");
    assert_int_equal(screen_cell(&screen, 0, 2)->rune, 0x1d11e);
    screen_text(&screen, 1, 0, 8, SCREEN_PLAIN, "a\033[1m\xff");
    has(&screen, 1, "a?[1m?");
    screen_fini(&screen);
}

static void numbers_stand_to_the_right(void **state)
{
    (void)state;
    struct screen screen;
    screen_init(&screen, 8, 2, false);
    screen_right(&screen, 0, 1, 6, SCREEN_PLAIN, "12.5");
    has(&screen, 0, "   12.5");
    screen_right(&screen, 1, 0, 4, SCREEN_PLAIN, "123456");
    has(&screen, 1, "123~");
    screen_fini(&screen);
}

static void bars_are_to_the_scale_of_all_points(void **state)
{
    (void)state;
    const double points[] = {80, -1, 0, 1, 10, 40, 80};
    struct screen screen;
    screen_init(&screen, 12, 2, true);
    screen_bars(&screen, 0, 1, 10, SCREEN_GREEN, points, 7);
    has(&screen, 0, "    \u2588 \u2581\u2582\u2582\u2585\u2588");
    assert_int_equal(screen_cell(&screen, 0, 4)->paint, SCREEN_GREEN);
    assert_int_equal(screen_cell(&screen, 0, 6)->paint, SCREEN_GREEN | SCREEN_DIM);
    screen.unicode = false;
    screen_bars(&screen, 1, 0, 4, SCREEN_GREEN, points, 7);
    has(&screen, 1, "..=#");
    screen_bars(&screen, 1, 0, -1, SCREEN_GREEN, points, 7);
    screen_fini(&screen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_cut_at_its_room),       cmocka_unit_test(what_is_outside_is_not_written),
        cmocka_unit_test(code_points_are_columns),       cmocka_unit_test(numbers_stand_to_the_right),
        cmocka_unit_test(bars_are_to_the_scale_of_all_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
