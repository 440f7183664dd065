/* The pages of `top` to the column, as they stand on screens of several sizes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/top_support.h"
#include "tools/gatewayctl/top_draw.h"
#include "tools/gatewayctl/top_parts.h"

static void fill(struct top_model *model, struct top_view *view)
{
    struct sample samples[] = {
        {.name = "us-east", .in_flight = 2, .models = {"gpt-4.1", "claude"}},
        {.name = "eu-west", .kind = STATE_OPEN, .reason = "open 4.9s, 5 failures in a row", .models = {"gpt-4.1"}},
        {.name = "singapore", .kind = STATE_COOLING, .reason = "cooling 17.7s, rate limited", .account = "relay"},
    };
    struct top_reading reading = support_reading(samples, 3);
    *view = (struct top_view){.interval_ms = 1000};
    top_model_init(model);
    top_model_feed(model, &reading, 1000);
    samples[0].tried = 125, samples[0].errors = 1, samples[0].firsts = 100, samples[0].first_us = 152000;
    samples[1].tried = samples[1].errors = 5;
    reading = support_reading(samples, 3);
    support_event(&reading, "master_start", "-", NULL, NULL, "generation 2");
    support_event(&reading, "cooldown", "singapore/*", "not_cooling", "cooling", "not cooling -> cooling 20.0s (rate)");
    support_event(&reading, "breaker", "eu-west", "closed", "closed", "closed -> closed (1 failure)");
    support_event(&reading, "breaker", "eu-west", "closed", "open", "closed (4 failures) -> open 5.6s");
    reading.evidence[1] = (struct gws_evidence){.at = 55000, .pid = 4712, .status = 503, .text = "overloaded"};
    reading.evidence[2] = (struct gws_evidence){.at = 30000, .pid = 4712};
    top_model_feed(model, &reading, 2000);
}

/* All rows, each ended by a newline, from `from` up to `end`. */
static char *rows_of(const struct screen *screen, int from, int end)
{
    char *out = calloc((size_t)(end - from) * (size_t)(screen->width * 4 + 1) + 1, 1);
    for (int row = from; row < end; row++) {
        char *text = screen_row_text(screen, row);
        strcat(out, text);
        strcat(out, "\n");
        free(text);
    }
    return out;
}

static void looks(const struct screen *screen, const char *wanted)
{
    char *got = rows_of(screen, 0, screen->height);
    assert_string_equal(got, wanted);
    free(got);
}

static void figures_are_short(void **state)
{
    (void)state;
    assert_string_equal(top_rate(-1).text, "-");
    assert_string_equal(top_rate(0).text, "0.0");
    assert_string_equal(top_rate(999.94).text, "999.9");
    assert_string_equal(top_rate(999.95).text, "1000");
    assert_string_equal(top_rate(9999.4).text, "9999");
    assert_string_equal(top_rate(9999.5).text, "10.0k");
    assert_string_equal(top_rate(123456).text, "123k");
    assert_string_equal(top_percent(-1).text, "-");
    assert_string_equal(top_percent(0.0004).text, "0.0");
    assert_string_equal(top_percent(0.999).text, "99.9");
    assert_string_equal(top_percent(1).text, "100");
    assert_string_equal(top_share(0.125).text, "12.5%");
    assert_string_equal(top_share(-1).text, "-");
    assert_string_equal(top_ms(-1).text, "-");
    assert_string_equal(top_ms(0.5).text, "0.5ms");
    assert_string_equal(top_ms(152).text, "152ms");
    assert_string_equal(top_ms(1234).text, "1.2s");
    assert_string_equal(top_ms(123456).text, "123s");
}

static void a_reason_does_not_repeat_the_state(void **state)
{
    (void)state;
    static const struct state_view views[] = {{.kind = STATE_OPEN, .reason = "open 4.9s, 5 failures in a row"},
                                              {.kind = STATE_OPEN, .reason = "gpt open 4.9s"},
                                              {.kind = STATE_OPEN, .reason = "opened"},
                                              {.kind = STATE_HEALTHY}};
    assert_string_equal(top_reason(&views[0]), "4.9s, 5 failures in a row");
    assert_string_equal(top_reason(&views[1]), "gpt open 4.9s");
    assert_string_equal(top_reason(&views[2]), "opened");
    assert_string_equal(top_reason(&views[3]), "-");
}

static void list_at_80_by_24(void **state)
{
    (void)state;
    struct top_model model;
    struct top_view view;
    struct screen screen;
    fill(&model, &view);
    screen_init(&screen, 80, 24, false);
    top_draw(&screen, &model, &view);
    looks(&screen,
           " gatewayctl top  serving: 1 of 3 endpoints can be tried\n"
           "workers 4  in flight 2  parked 0  rescued 0  not rescued 0  retries 0\n"
           "req/s 130.0   errors 4.6%   first token 152ms/152ms                            #\n"
           "3 endpoints, by name\n"
           "NAME      STATE        REQ/S ERR %  BUSY/MAX TTFT p50/p99 WHY\n"
           "eu-west   open           5.0   100      0/20            - 4.9s, 5 failures in a~\n"
           "singapore cooling        0.0     -      0/20            - 17.7s, rate limited\n"
           "us-east   healthy      125.0   0.8      2/20  152ms/152ms -\n"
           "\n"
           "eu-west  open 4.9s, 5 failures in a row, 1 model, last good never\n"
           "requests/s                                                         #  peak 5.0\n"
           "first token                                                           peak -\n"
           "\n"
           "EVENTS\n"
           "12:00:03 breaker      eu-west            closed (4 failures) -> open 5.6s\n"
           "12:00:01 cooldown     singapore/*        not cooling -> cooling 20.0s (rate)\n"
           "12:00:00 master_start -                  generation 2\n"
           "\n"
           "\n"
           "\n"
           "\n"
           "\n"
           "\n"
           "q quit  ? help  enter details  e events  / filter  s sort  r reset  d drain\n");
    assert_int_equal(screen_cell(&screen, 6, 0)->paint & SCREEN_REVERSE, 0);
    assert_int_equal(screen_cell(&screen, 5, 79)->paint & SCREEN_REVERSE, SCREEN_REVERSE);
    assert_int_equal(screen_cell(&screen, 5, 10)->paint & SCREEN_COLOR, SCREEN_RED);
    assert_int_equal(screen_cell(&screen, 6, 10)->paint & SCREEN_COLOR, SCREEN_YELLOW);
    assert_int_equal(screen_cell(&screen, 7, 10)->paint & SCREEN_COLOR, SCREEN_GREEN);
    screen_fini(&screen);
    top_model_fini(&model);
}

static void list_at_40_by_10(void **state)
{
    (void)state;
    struct top_model model;
    struct top_view view;
    struct screen screen;
    fill(&model, &view);
    screen_init(&screen, 40, 10, false);
    top_draw(&screen, &model, &view);
    looks(&screen,
           " gatewayctl top  serving: 1 of 3 endpo~\n"
           "workers 4  in flight 2  parked 0\n"
           "NAME     STATE      REQ/S ERR % BUSY/MAX\n"
           "eu-west  open         5.0   100     0/20\n"
           "singapo~ cooling      0.0     -     0/20\n"
           "us-east  healthy    125.0   0.8     2/20\n"
           "\n"
           "\n"
           "\n"
           "q quit  ? help  enter details  e events\n");
    screen_fini(&screen);
    top_model_fini(&model);
}

static void list_at_200_columns(void **state)
{
    (void)state;
    struct top_model model;
    struct top_view view;
    struct screen screen;
    fill(&model, &view);
    screen_init(&screen, 200, 12, true);
    top_draw(&screen, &model, &view);
    looks(&screen,
           " gatewayctl top  serving: 1 of 3 endpoints can be tried                                             "
             "                                                                             12:00:00 UTC, every 1s\n"
           "workers 4  in flight 2  parked 0  rescued 0  not rescued 0  retries 0  generation 2  master 4711\n"
           "req/s 130.0   errors 4.6%   first token 152ms/152ms                                                 "
             "            █\n"
           "3 endpoints, by name\n"
           "NAME       STATE         REQ/S  REQ/S, 28s                    ERR %   BUSY/MAX  TTFT p50/p99  TTFT, "
             "28s                     BREAKER                LAST OK  WHY\n"
           "eu-west    open            5.0                             █    100       0/20             -        "
             "                        closed                   never  4.9s, 5 failures in a row\n"
           "singapore  cooling         0.0                             ▁      -       0/20             -        "
             "                        closed                   never  17.7s, rate limited\n"
           "us-east    healthy       125.0                             █    0.8       2/20   152ms/152ms        "
             "                     █  closed                   never  -\n"
           "\n"
           "\n"
           "\n"
           "q quit  ? help  enter details  e events  / filter  s sort  r reset  d drain  c clear  o open  f clos"
             "e  a auto\n");
    screen_fini(&screen);
    top_model_fini(&model);
}

/* A full bulkhead of the default size, and the longest time that is shown. */
static void what_a_column_holds_is_not_cut(void **state)
{
    (void)state;
    struct top_model model;
    struct top_view view;
    struct screen screen;
    fill(&model, &view);
    struct overview *overview = &model.reading.overview;
    overview->now = UINT64_C(99) * 86400000 + 23 * 3600000;
    overview->endpoints[0].in_flight = overview->endpoints[0].limit = 1000;
    overview->endpoints[0].last_ok = 1;
    support_event(&model.reading, "upgrade_refused", "-", NULL, NULL, "-");
    const struct {
        int width;
        const char *parts[3];
    } sizes[] = {{80, {" 1000/1000 "}}, {200, {" 1000/1000 ", " 99d23h ago ", " upgrade_refused "}}};
    for (size_t i = 0; i < 2; i++) {
        screen_init(&screen, sizes[i].width, 24, false);
        top_draw(&screen, &model, &view);
        char *got = rows_of(&screen, 0, 24);
        for (size_t part = 0; part < 3 && sizes[i].parts[part]; part++)
            assert_non_null(strstr(got, sizes[i].parts[part]));
        if (i == 1)
            assert_int_equal(screen_cell(&screen, 14, 68)->paint & SCREEN_COLOR, SCREEN_RED);
        free(got);
        screen_fini(&screen);
    }
    top_model_fini(&model);
}

static void details_at_80_by_24(void **state)
{
    (void)state;
    struct top_model model;
    struct top_view view;
    struct screen screen;
    fill(&model, &view);
    snprintf(view.selected, sizeof(view.selected), "us-east");
    view.page = TOP_DETAILS;
    view.detail = 7;
    screen_init(&screen, 80, 20, false);
    top_draw(&screen, &model, &view);
    looks(&screen,
           " gatewayctl top  serving: 1 of 3 endpoints can be tried\n"
           "us-east  healthy\n"
           "in flight 2/20  requests/s 125.0  errors 0.8%  last good never\n"
           "since the region was made: tries 125  errors 1\n"
           "first token, last 10s: p50 152ms   p90 152ms   p99 152ms   of 100\n"
           "first token, ever:     p50 152ms   p90 152ms   p99 152ms   of 100\n"
           "requests/s                                                         #  peak 125.0\n"
           "first token                                                        #  peak 152ms\n"
           "last failure 30s ago, us-east/claude: no answer\n"
           "\n"
           "MODEL            BREAKER       FAILS  TRIES FAILED WHY\n"
           "(the endpoint)   closed            0      0      0 -\n"
           "gpt-4.1          closed            0      0      0 -\n"
           "claude           closed            0      0      0 -\n"
           "\n"
           "EVENTS OF us-east\n"
           "\n"
           "\n"
           "\n"
           "q back  ? help  e events  r reset  d drain  c clear  o hold open  f hold closed\n");
    assert_int_equal(view.detail, 2);
    view.detail = 0;
    top_draw(&screen, &model, &view);
    char *got = rows_of(&screen, 8, 9);
    assert_string_equal(got, "last failure 5s ago, us-east/gpt-4.1: 503, overloaded\n");
    free(got);
    screen_fini(&screen);
    top_model_fini(&model);
}

static void a_question_and_a_message_stand_in_the_last_line(void **state)
{
    (void)state;
    struct top_model model;
    struct top_view view;
    struct screen screen;
    fill(&model, &view);
    screen_init(&screen, 60, 10, false);
    top_draw(&screen, &model, &view);
    top_view_key(&view, &model, 'r', 0);
    top_draw(&screen, &model, &view);
    char *got = rows_of(&screen, 9, 10);
    assert_string_equal(got, "[y/n] reset the breakers of eu-west and its model?\n");
    free(got);
    top_view_key(&view, &model, 'n', 0);
    top_view_key(&view, &model, '/', 0);
    top_view_key(&view, &model, 'g', 0);
    top_draw(&screen, &model, &view);
    got = rows_of(&screen, 9, 10);
    assert_string_equal(got, "filter: g_\n");
    free(got);
    screen_fini(&screen);
    top_model_fini(&model);
}

static void two_hundred_endpoints_scroll(void **state)
{
    (void)state;
    static char names[200][8];
    static struct sample samples[200];
    struct top_model model;
    struct top_view view = {.interval_ms = 1000};
    struct screen screen;
    for (int i = 0; i < 200; i++) {
        snprintf(names[i], sizeof(names[i]), "e%03d", i);
        samples[i] = (struct sample){.name = names[i]};
    }
    struct top_reading reading = support_reading(samples, 200);
    top_model_init(&model);
    top_model_feed(&model, &reading, 1000);
    screen_init(&screen, 80, 24, false);
    top_draw(&screen, &model, &view);
    size_t rows = view.page_rows;
    assert_int_equal(rows, 9);
    char *got = rows_of(&screen, 3, 4);
    assert_string_equal(got, "1 to 9 of 200 endpoints, by name\n");
    free(got);
    for (int i = 0; i < 9; i++)
        top_view_key(&view, &model, 'j', 0);
    top_draw(&screen, &model, &view);
    assert_int_equal(view.first, 1);
    assert_string_equal(view.selected, "e009");
    top_view_key(&view, &model, 'G', 0);
    top_draw(&screen, &model, &view);
    assert_int_equal(view.first, 191);
    top_view_key(&view, &model, 'k', 0);
    top_draw(&screen, &model, &view);
    assert_int_equal(view.first, 191);
    top_view_key(&view, &model, 'g', 0);
    top_draw(&screen, &model, &view);
    assert_int_equal(view.first, 0);
    screen_fini(&screen);
    top_model_fini(&model);
}

/* Whatever the size and the page: nothing is written outside, and the title and the keys are there. */
static void every_size_holds_every_page(void **state)
{
    (void)state;
    struct top_model model;
    struct top_view view;
    fill(&model, &view);
    for (enum top_page page = TOP_LIST; page <= TOP_HELP; page++) {
        for (int width = 1; width <= 240; width += width < 30 ? 1 : 21) {
            for (int height = 1; height <= 60; height += height < 26 ? 1 : 11) {
                struct screen screen;
                view.page = page;
                screen_init(&screen, width, height, true);
                top_draw(&screen, &model, &view);
                if (height > 2 && width >= 20) {
                    assert_int_equal(screen_cell(&screen, 0, 1)->rune, 'g');
                    assert_int_equal(screen_cell(&screen, height - 1, 0)->rune, 'q');
                }
                screen_fini(&screen);
            }
        }
    }
    top_model_fini(&model);
}

static void an_empty_region_says_so(void **state)
{
    (void)state;
    struct top_model model;
    struct top_view view = {.interval_ms = 1500, .note = "THE REGION'S FILE IS GONE; this is what it said"};
    struct screen screen;
    struct top_reading reading = support_reading(NULL, 0);
    top_model_init(&model);
    top_model_feed(&model, &reading, 1000);
    screen_init(&screen, 100, 8, false);
    top_draw(&screen, &model, &view);
    looks(&screen,
           " gatewayctl top  THE REGION'S FILE IS GONE; this is what it said           12:00:00 UTC, every 1.5s\n"
           "workers 4  in flight 0  parked 0  rescued 0  not rescued 0  retries 0  generation 2  master 4711\n"
           "NAME      STATE         REQ/S  ERR %   BUSY/MAX  TTFT p50/p99  WHY\n"
           "no endpoints: the region holds no names yet; start gatewayd\n"
           "\n"
           "\n"
           "\n"
           "q quit  ? help  enter details  e events  / filter  s sort  r reset  d drain  c clear  o open\n");
    top_view_key(&view, &model, 'r', 0);
    assert_string_equal(view.message, "no endpoint is selected");
    top_view_key(&view, &model, 'j', 0);
    top_view_key(&view, &model, '\n', 0);
    top_draw(&screen, &model, &view);
    screen_fini(&screen);
    top_model_fini(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_short),
        cmocka_unit_test(a_reason_does_not_repeat_the_state),
        cmocka_unit_test(list_at_80_by_24),
        cmocka_unit_test(list_at_40_by_10),
        cmocka_unit_test(list_at_200_columns),
        cmocka_unit_test(what_a_column_holds_is_not_cut),
        cmocka_unit_test(details_at_80_by_24),
        cmocka_unit_test(a_question_and_a_message_stand_in_the_last_line),
        cmocka_unit_test(two_hundred_endpoints_scroll),
        cmocka_unit_test(every_size_holds_every_page),
        cmocka_unit_test(an_empty_region_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
