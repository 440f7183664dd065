/* What is quoted of an upstream's error: its words and nothing else, and never the credential. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gatewayd/quote.h"

static void assert_quote(const char *body, const char *credential, size_t size, const char *expected)
{
    char out[512];
    size_t len = quote_error(str_of(body), str_of(credential), out, size);

    assert_int_equal(len, strlen(expected));
    assert_memory_equal(out, expected, len);
}

static void takes_the_message(void **state)
{
    (void)state;
    assert_quote("{\"error\":{\"message\":\"Overloaded\",\"type\":\"server_error\"}}", "", 300, "Overloaded");
    assert_quote("{\"error\":{\"message\":\"a \\\"b\\\"\\n\\u00e9\\u0007\"}}", "", 300, "a \"b\" \xc3\xa9 ");
    assert_quote("{\"error\":{\"message\":\"\"}}", "", 300, "");
    assert_quote("{\"error\":{\"message\":7}}", "", 300, "");
    assert_quote("{\"error\":\"plain\"}", "", 300, "");
    assert_quote("<html>", "", 300, "");
    assert_quote("", "", 300, "");
}

static void cuts_between_characters(void **state)
{
    (void)state;
    assert_quote("{\"error\":{\"message\":\"abcdef\"}}", "", 3, "abc");
    assert_quote("{\"error\":{\"message\":\"ab\\u00e9f\"}}", "", 3, "ab");
    assert_quote("{\"error\":{\"message\":\"ab\\u00e9f\"}}", "", 4, "ab\xc3\xa9");
    assert_quote("{\"error\":{\"message\":\"\\u20ac\"}}", "", 2, "");
}

static void never_quotes_the_credential(void **state)
{
    (void)state;
    assert_quote("{\"error\":{\"message\":\"no such key: sk-abc\"}}", "sk-abc", 300, "");
    assert_quote("{\"error\":{\"message\":\"no such key: sk\\/abc\"}}", "sk/abc", 300, "");
    assert_quote("{\"error\":{\"message\":\"no such key: sk-abc\"}}", "sk-abc", 16, ""); /* though half would remain */
    assert_quote("{\"error\":{\"message\":\"no such key\"}}", "sk-abc", 300, "no such key");
}

static void looks_at_long_ones(void **state)
{
    static char body[20000];
    (void)state;
    snprintf(body, sizeof body, "{\"error\":{\"message\":\"%016000d sk-abc\"}}", 0);
    assert_quote(body, "sk-abc", 3, "");
    assert_quote(body, "", 3, "000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_message),
        cmocka_unit_test(cuts_between_characters),
        cmocka_unit_test(never_quotes_the_credential),
        cmocka_unit_test(looks_at_long_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
