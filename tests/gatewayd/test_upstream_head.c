/*
 * Which heads of responses are believed: every first line and every way to announce a body that two readers could read
 * differently is refused, and what is believed is read as it came. Inputs are copied into memory of exactly their size.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gatewayd/upstream_head.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static char *copy_of(const char *text)
{
    size_t len = strlen(text);
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return copy;
}

static void reads_first_lines(void **state)
{
    static const struct {
        const char *line;
        int one, two; /* the status where only HTTP/1 is spoken, and where HTTP/2 may be */
    } cases[] = {
        {"HTTP/1.1 200 OK", 200, 200},      {"HTTP/1.0 404 Not Found", 404, 404}, {"HTTP/1.1 200", 200, 200},
        {"HTTP/1.1 200 ", 200, 200},        {"HTTP/1.1 100 Continue", 100, 100},  {"HTTP/1.1 999 Odd", 999, 999},
        {"HTTP/2 200 ", 0, 200},            {"HTTP/2 200", 0, 200},               {"HTTP/1.1 099 Low", 0, 0},
        {"HTTP/1.1 000 None", 0, 0},        {"HTTP/1.1 20 OK", 0, 0},             {"HTTP/1.1 2000 OK", 0, 0},
        {"HTTP/1.1 20x OK", 0, 0},          {"HTTP/1.1 200OK", 0, 0},             {"HTTP/1.1  200 OK", 0, 0},
        {"HTTP/1.1\t200 OK", 0, 0},         {"HTTP/1.1", 0, 0},                   {"HTTP/1.", 0, 0},
        {"HTTP/1.x 200 OK", 0, 0},          {"HTTP/1.10 200 OK", 0, 0},           {"HTTP/0.9 200 OK", 0, 0},
        {"HTTP/3 200 ", 0, 0},              {"HTTP/2", 0, 0},                     {"HTTP/20 200 OK", 0, 0},
        {"HTTP/2.0 200 OK", 0, 0},          {"http/1.1 200 OK", 0, 0},            {"ICY 200 OK", 0, 0},
        {"", 0, 0},                         {"Content-Type: text/plain", 0, 0},   {" HTTP/1.1 200 OK", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *copy = copy_of(cases[i].line);
        struct str line = {copy, strlen(cases[i].line)};
        if (upstream_head_status(line, false) != cases[i].one || upstream_head_status(line, true) != cases[i].two)
            fail_msg("%s: %d, %d", cases[i].line, upstream_head_status(line, false), upstream_head_status(line, true));
        free(copy);
    }
}

static void believes_or_not(void **state)
{
    static const struct {
        int status;
        const char *lines;
        int count; /* of the headers; -1: not believed */
    } cases[] = {
        {200, "", 0},
        {200, "Content-Type: application/json\nContent-Length: 12\n", 2},
        {200, "Content-Type: application/json\nContent-Length: 12", 2},
        {200, "Transfer-Encoding: chunked\n", 1},
        {200, "transfer-encoding: Chunked\n", 1},
        {200, "Content-Length: 0\n", 1},
        {200, "Content-Length: 12\nContent-Length: 12\n", 2},
        {200, "Content-Length: 12\ncontent-length: 13\n", -1},
        {200, "Content-Length: -5\n", -1},
        {200, "Content-Length: +5\n", -1},
        {200, "Content-Length:\n", -1},
        {200, "Content-Length: 12, 12\n", -1},
        {200, "Content-Length: 0x10\n", -1},
        {200, "Content-Length: 18446744073709551615\n", -1},
        {200, "Content-Length: 99999999999999999999999\n", -1},
        {200, "Content-Length: 5\nTransfer-Encoding: chunked\n", -1},
        {200, "Transfer-Encoding: chunked\nContent-Length: 5\n", -1},
        {200, "Transfer-Encoding: gzip, chunked\n", -1},
        {200, "Transfer-Encoding: gzip\n", -1},
        {200, "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n", -1},
        {200, "Transfer-Encoding: identity\n", -1},
        {200, "Content-Encoding: gzip\n", -1},
        {206, "Content-Encoding: br\n", -1},
        {200, "Content-Encoding: identity\n", 1},
        {200, "Content-Encoding:\n", 1},
        {200, "Content-Encoding: identity\ncontent-encoding: deflate\n", -1},
        {429, "Content-Encoding: gzip\nRetry-After: 5\n", 2},
        {429, "Transfer-Encoding: gzip, chunked\n", -1},
        {500, "Content-Length: x\n", -1},
        {101, "Upgrade: h2c\n", -1},
        /* Lines that are none are left out. */
        {200, "no colon\nX-A: 1\n folded\nX B: 1\n: 1\nX-C: a\rb\nX-D: a\x01\nX-E: 2\n", 2},
        {200, "\n\nX-A: 1\n", 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct upstream_response response = {.status = cases[i].status};
        char *copy = copy_of(cases[i].lines);
        const char *why = upstream_head_read((struct str){copy, strlen(cases[i].lines)}, &response);
        if ((why ? -1 : (int)response.header_count) != cases[i].count)
            fail_msg("%d %s: %s, %u headers", cases[i].status, cases[i].lines, why ? why : "", response.header_count);
        free(copy);
    }
}

static void reads_what_it_believes(void **state)
{
    struct upstream_response response = {.status = 200};
    (void)state;
    assert_null(upstream_head_read(STR("X-A:  one two \t\nx-b:\n"), &response));
    assert_int_equal(response.header_count, 2);
    assert_true(str_eq(response.headers[0].name, STR("X-A")) && str_eq(response.headers[0].value, STR("one two")));
    assert_true(str_eq(response.headers[1].name, STR("x-b")) && response.headers[1].value.len == 0);
}

static void keeps_to_its_bound(void **state)
{
    char lines[(HTTP_HEADERS_MAX + 1) * 5 + 1];
    (void)state;
    for (int i = 0; i <= HTTP_HEADERS_MAX; i++)
        memcpy(lines + i * 5, "A: 1\n", 6);
    struct upstream_response response = {.status = 200};
    assert_null(upstream_head_read((struct str){lines, (size_t)HTTP_HEADERS_MAX * 5}, &response));
    assert_int_equal(response.header_count, HTTP_HEADERS_MAX);
    assert_non_null(upstream_head_read((struct str){lines, (size_t)(HTTP_HEADERS_MAX + 1) * 5}, &response));
}

static void knows_what_suffices(void **state)
{
    static const int suffice[] = {429, 500, 503, 529, 599, 999}, others[] = {200, 204, 304, 400, 401, 402, 403, 404};
    (void)state;
    for (size_t i = 0; i < COUNT(suffice); i++)
        assert_true(upstream_head_suffices(suffice[i]));
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(upstream_head_suffices(others[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_first_lines),     cmocka_unit_test(believes_or_not),
        cmocka_unit_test(reads_what_it_believes), cmocka_unit_test(keeps_to_its_bound),
        cmocka_unit_test(knows_what_suffices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
