/* What each key of `top` does to the view, without a terminal. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/tools/top_support.h"
#include "tools/gatewayctl/top_view.h"

struct desk {
    struct top_model model;
    struct top_view view;
};

static int set_up(void **state)
{
    static struct desk desk;
    static const struct sample samples[] = {
        {.name = "a", .models = {"gpt", "claude"}, .account = "shared", .account_cools = true},
        {.name = "b", .kind = STATE_DRAINED, .models = {"gpt"}},
        {.name = "c", .kind = STATE_OPEN, .account = "c", .account_cools = true},
    };
    struct top_reading reading = support_reading(samples, 3);
    support_event(&reading, "breaker", "c", "closed", "open", "closed -> open 5.0s");
    support_event(&reading, "order", "b", "enabled", "drained", "enabled -> drained");
    desk = (struct desk){.view = {.page_rows = 2}};
    top_model_init(&desk.model);
    top_model_feed(&desk.model, &reading, 1000);
    *state = &desk;
    size_t order[3];
    top_view_settle(&desk.view, &desk.model, order, top_model_order(&desk.model, TOP_BY_NAME, "", order));
    return 0;
}

static int tear_down(void **state)
{
    struct desk *desk = *state;
    top_model_fini(&desk->model);
    return 0;
}

static enum top_wish press(struct desk *desk, int key)
{
    return top_view_key(&desk->view, &desk->model, key, 1000);
}

static void press_all(struct desk *desk, const char *keys)
{
    for (; *keys; keys++)
        press(desk, (unsigned char)*keys);
}

static void keys_move_the_selection(void **state)
{
    struct desk *desk = *state;
    assert_string_equal(desk->view.selected, "a");
    press(desk, 'j');
    assert_string_equal(desk->view.selected, "b");
    press(desk, TOP_KEY_DOWN);
    press(desk, TOP_KEY_DOWN);
    assert_string_equal(desk->view.selected, "c");
    press(desk, TOP_KEY_PAGE_UP);
    assert_string_equal(desk->view.selected, "b");
    press(desk, 'k');
    press(desk, TOP_KEY_UP);
    assert_string_equal(desk->view.selected, "a");
    press(desk, 'G');
    assert_string_equal(desk->view.selected, "c");
    press(desk, TOP_KEY_HOME);
    assert_string_equal(desk->view.selected, "a");
}

static void the_selection_stays_when_the_order_changes(void **state)
{
    struct desk *desk = *state;
    size_t order[3];
    press_all(desk, "js");
    assert_int_equal(desk->view.sort, TOP_BY_STATE);
    size_t count = top_model_order(&desk->model, desk->view.sort, "", order);
    assert_int_equal(top_view_settle(&desk->view, &desk->model, order, count), 0);
    assert_string_equal(desk->view.selected, "b");
    press_all(desk, "ssss");
    assert_int_equal(desk->view.sort, TOP_BY_NAME);
}

static void a_selection_that_is_not_listed_goes_to_its_place(void **state)
{
    struct desk *desk = *state;
    size_t order[3];
    press(desk, 'G');
    press_all(desk, "/gpt\n");
    size_t count = top_model_order(&desk->model, TOP_BY_NAME, desk->view.filter, order);
    assert_int_equal(count, 2);
    assert_int_equal(top_view_settle(&desk->view, &desk->model, order, count), 1);
    assert_string_equal(desk->view.selected, "b");
    assert_int_equal(top_view_settle(&desk->view, &desk->model, order, 0), 0);
}

static void a_filter_is_typed(void **state)
{
    struct desk *desk = *state;
    press_all(desk, "/qd\303\251");
    assert_true(desk->view.typing);
    press(desk, TOP_KEY_ERASE);
    assert_string_equal(desk->view.filter, "qd");
    press(desk, TOP_KEY_ERASE);
    assert_string_equal(desk->view.filter, "q");
    press(desk, TOP_KEY_ENTER);
    assert_false(desk->view.typing);
    assert_string_equal(desk->view.filter, "q");
    press_all(desk, "/x");
    press(desk, 'U' - '@');
    assert_string_equal(desk->view.filter, "");
    press(desk, TOP_KEY_ERASE);
    press_all(desk, "y");
    press(desk, TOP_KEY_ESCAPE);
    assert_false(desk->view.typing);
    assert_string_equal(desk->view.filter, "");
    for (int i = 0; i < 200; i++)
        press_all(desk, i ? "x" : "/");
    assert_int_equal(strlen(desk->view.filter), sizeof(desk->view.filter) - 1);
    press(desk, TOP_KEY_ENTER);
    press(desk, TOP_KEY_ESCAPE);
    assert_string_equal(desk->view.filter, "");
}

static void a_change_is_asked_for_first(void **state)
{
    struct desk *desk = *state;
    assert_int_equal(press(desk, 'r'), TOP_GO_ON);
    assert_true(desk->view.asking);
    assert_string_equal(desk->view.order.question, "reset the breakers of a and its 2 models?");
    assert_int_equal(press(desk, 'y'), TOP_CARRY_OUT);
    assert_false(desk->view.asking);
    assert_int_equal(desk->view.order.kind, CHANGE_BREAKER_RESET);
    assert_string_equal(desk->view.order.name, "a");
}

static void any_other_key_takes_the_question_back(void **state)
{
    struct desk *desk = *state;
    static const int keys[] = {'n', 'q', '\n', ' ', TOP_KEY_ESCAPE, TOP_KEY_DOWN, 'r'};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        press(desk, 'o');
        assert_true(desk->view.asking);
        assert_int_equal(press(desk, keys[i]), TOP_GO_ON);
        assert_false(desk->view.asking);
        assert_string_equal(desk->view.message, "nothing was changed");
        assert_string_equal(desk->view.selected, "a");
    }
    assert_int_equal(press(desk, 'y'), TOP_GO_ON);
}

static void each_change_has_its_question(void **state)
{
    struct desk *desk = *state;
    static const struct {
        const char *keys;
        const char *question;
    } cases[] = {
        {"o", "hold a and its 2 models open: nothing is sent there?"},
        {"f", "hold a and its 2 models closed, however many tries fail?"},
        {"a", "let the breakers of a and its 2 models act by themselves again?"},
        {"c", "clear the cooldowns of a and its 2 models, and of account shared (other endpoints may share it)?"},
        {"d", "drain a: no new requests go there?"},
        {"jd", "enable b again?"},
        {"r", "reset the breakers of b and its model?"},
        {"jc", "clear the cooldowns of c?"},
        {"gkjk\nr", "reset the breakers of a and its 2 models?"},
        {"jr", "reset the breakers of a/gpt?"},
        {"jc", "clear the cooldowns of a/claude?"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        press_all(desk, cases[i].keys);
        assert_string_equal(desk->view.order.question, cases[i].question);
        press(desk, 'n');
    }
    assert_string_equal(desk->view.order.name, "a/claude");
    press(desk, 'd');
    assert_false(desk->view.asking);
    assert_true(desk->view.bad);
}

static void pages_are_turned_and_left(void **state)
{
    struct desk *desk = *state;
    press(desk, TOP_KEY_ENTER);
    assert_int_equal(desk->view.page, TOP_DETAILS);
    press(desk, '?');
    assert_int_equal(desk->view.page, TOP_HELP);
    assert_int_equal(press(desk, 'q'), TOP_GO_ON);
    assert_int_equal(desk->view.page, TOP_DETAILS);
    press(desk, TOP_KEY_ESCAPE);
    assert_int_equal(desk->view.page, TOP_LIST);
    press(desk, 'e');
    assert_int_equal(desk->view.page, TOP_EVENTS);
    press(desk, 'r');
    assert_false(desk->view.asking);
    press(desk, 'e');
    assert_int_equal(desk->view.page, TOP_LIST);
    assert_int_equal(press(desk, 'q'), TOP_QUIT);
    press(desk, 'e');
    assert_int_equal(press(desk, 'Q'), TOP_QUIT);
}

static void the_log_scrolls_and_is_filtered(void **state)
{
    struct desk *desk = *state;
    desk->view.page_rows = 1;
    press_all(desk, "ejj");
    assert_int_equal(desk->view.scrolled, 1);
    press_all(desk, "/drained\n");
    assert_int_equal(desk->view.scrolled, 0);
    assert_true(top_view_lists_event(&desk->view, &desk->model.reading.events[0]));
    assert_false(top_view_lists_event(&desk->view, &desk->model.reading.events[1]));
}

static void an_unknown_key_says_so(void **state)
{
    struct desk *desk = *state;
    press(desk, 'z');
    assert_true(desk->view.bad);
    assert_int_equal(desk->view.message_until, 9000);
    press(desk, 'j');
    assert_string_equal(desk->view.message, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_move_the_selection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_selection_stays_when_the_order_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_selection_that_is_not_listed_goes_to_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_filter_is_typed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_is_asked_for_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_other_key_takes_the_question_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_change_has_its_question, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages_are_turned_and_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_log_scrolls_and_is_filtered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_key_says_so, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
