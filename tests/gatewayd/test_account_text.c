/*
 * The access log's line as people read it: one line, whatever the names in it are.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "gatewayd/account_text.h"

static struct buf line;

static const char *written(const struct account_record *r)
{
    buf_clear(&line);
    assert_int_equal(account_text(&line, r, "2026-01-31T12:00:00.123Z"), 0);
    assert_int_equal(buf_add(&line, "", 1), 0);
    return line.data;
}

static struct account_record example(void)
{
    return (struct account_record){
        .id = STR("req_1"),
        .traceparent = STR("00-1-2-01"),
        .method = STR("POST"),
        .path = STR("/v1/chat/completions"),
        .model_asked = STR("latest"),
        .model_answered = STR("gpt-4.1"),
        .endpoint = "us-east",
        .attempts = 2,
        .tries = {{"eu-west", CLASS_RATE, 429}, {"us-east", CLASS_OK, 200}},
        .status = 200,
        .bytes = 1234,
        .usage = {true, 120, 40, 60},
        .upstream_us = 1500,
        .overhead_us = 61,
        .total_us = 1561,
        .end = "done",
    };
}

static void says_all_that_is_known(void **state)
{
    struct account_record r = example();
    (void)state;
    assert_string_equal(written(&r),
                        "2026-01-31T12:00:00.123Z anonymous \"POST /v1/chat/completions\" 200 1234 model=\"latest\" "
                        "answered=\"gpt-4.1\" endpoint=\"us-east\" attempts=2 [eu-west rate 429, us-east ok 200] "
                        "tokens=120/60 wait=0.000 upstream=1.500 overhead=0.061 total=1.561 id=\"req_1\" "
                        "trace=\"00-1-2-01\" end=\"done\"\n");
}

static void leaves_out_what_is_not(void **state)
{
    struct account_record r = {.id = STR("req_2"), .method = STR("GET"), .path = STR("/health"), .status = 200};
    (void)state;
    assert_string_equal(written(&r), "2026-01-31T12:00:00.123Z anonymous \"GET /health\" 200 0 attempts=0 wait=0.000 "
                                     "upstream=0.000 overhead=0.000 total=0.000 id=\"req_2\" end=\"\"\n");
}

static void stays_one_line(void **state)
{
    struct account_record r = example();
    (void)state;
    r.path = STR("/a\n\"b");
    r.model_asked = STR("x\" endpoint=\"y\r\n\x1b[2J");
    r.attempts = 100; /* more than are remembered, whose names are not known */
    for (int i = 0; i < ACCOUNT_TRIES; i++)
        r.tries[i] = (struct account_try){"e", CLASS_SERVER, 500};
    const char *text = written(&r);
    assert_non_null(strstr(text, "\"POST /a\\n\\\"b\" 200"));
    assert_non_null(strstr(text, "model=\"x\\\" endpoint=\\\"y\\r\\n\\u001b[2J\" answered"));
    assert_non_null(strstr(text, " attempts=100 [e server 500, e"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void cuts_what_is_long(void **state)
{
    enum { MANY = 100000 };
    struct account_record r = example();
    char *much = malloc(MANY);
    (void)state;
    assert_non_null(much);
    memset(much, 'x', MANY);
    r.method = r.path = r.model_asked = r.model_answered = r.traceparent = (struct str){much, MANY};
    assert_in_range(strlen(written(&r)), 4 * ACCOUNT_TEXT_MAX, 5 * ACCOUNT_TEXT_MAX);
    free(much);
}

static int tidy(void **state)
{
    (void)state;
    buf_fini(&line);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_all_that_is_known),
        cmocka_unit_test(leaves_out_what_is_not),
        cmocka_unit_test(stays_one_line),
        cmocka_unit_test(cuts_what_is_long),
    };
    return cmocka_run_group_tests(tests, NULL, tidy);
}
