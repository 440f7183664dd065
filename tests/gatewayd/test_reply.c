/*
 * Answers of the gateway's own, byte for byte: heads for both versions of HTTP, errors in both dialects, waits that are
 * never rounded down, and texts that try to break out of their place.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gatewayd/http.h"
#include "gatewayd/reply.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* The text with the date's value, which must be one, replaced by "D". */
static char *undated(const struct buf *out)
{
    static char text[4096];
    struct str s = buf_str(out);
    const char *date = memmem(s.at, s.len, "\r\nDate: ", 8);
    int64_t seconds;

    assert_true(s.len < sizeof text);
    memcpy(text, s.at, s.len);
    text[s.len] = '\0';
    if (date) {
        size_t at = (size_t)(date + 8 - s.at);
        assert_true(http_date_parse((struct str){date + 8, 29}, &seconds));
        text[at] = 'D';
        memmove(text + at + 1, text + at + 29, s.len - at - 29 + 1);
    }
    return text;
}

static struct reply_error example(void)
{
    return (struct reply_error){
        .status = 429,
        .type = "rate_limit_error",
        .code = "rate_limit_exceeded",
        .message = "Every endpoint is rate limited",
        .request_id = STR("req_1"),
        .retry_after_ms = 1200,
        .endpoints = STR("{\"a\":\"cooling 1.2s\"}"),
    };
}

#define OPENAI                                                                                                         \
    "{\"error\":{\"message\":\"Every endpoint is rate limited\",\"type\":\"rate_limit_error\",\"param\":null,"         \
    "\"code\":\"rate_limit_exceeded\",\"request_id\":\"req_1\",\"retry_after\":1.200,"                                 \
    "\"endpoints\":{\"a\":\"cooling 1.2s\"}}}"
#define ANTHROPIC                                                                                                      \
    "{\"type\":\"error\",\"error\":{\"message\":\"Every endpoint is rate limited\",\"type\":\"rate_limit_error\","     \
    "\"param\":null,\"code\":\"rate_limit_exceeded\",\"request_id\":\"req_1\",\"retry_after\":1.200,"                  \
    "\"endpoints\":{\"a\":\"cooling 1.2s\"}},\"request_id\":\"req_1\"}"

static void writes_errors(void **state)
{
    struct reply_error e = example();
    struct buf out = {0};

    (void)state;
    assert_int_equal(reply_error_body(&out, &e), 0);
    assert_string_equal(undated(&out), OPENAI);
    buf_clear(&out);
    assert_int_equal(reply_error_event(&out, &e), 0);
    assert_string_equal(undated(&out), "data: " OPENAI "\n\n");
    e.anthropic = true;
    buf_clear(&out);
    assert_int_equal(reply_error_body(&out, &e), 0);
    assert_string_equal(undated(&out), ANTHROPIC);
    buf_clear(&out);
    assert_int_equal(reply_error_event(&out, &e), 0);
    assert_string_equal(undated(&out), "event: error\ndata: " ANTHROPIC "\n\n");
    buf_fini(&out);
}

static void writes_whole_errors(void **state)
{
    struct reply_error e = example();
    struct buf out = {0};
    char want[1024];

    (void)state;
    snprintf(want, sizeof want,
             "HTTP/1.1 429 Too Many Requests\r\nDate: D\r\nX-Request-Id: req_1\r\nContent-Type: application/json\r\n"
             "X-Gateway-Attempts: 2\r\nRetry-After: 2\r\nContent-Length: %zu\r\n\r\n" OPENAI, sizeof OPENAI - 1);
    assert_int_equal(reply_error_whole(&out, &e, STR("X-Gateway-Attempts: 2\r\n"), true, 1, false), 0);
    assert_string_equal(undated(&out), want);

    /* The head of an answer to HEAD is the same, and alone. */
    want[strlen(want) - (sizeof OPENAI - 1)] = '\0';
    buf_clear(&out);
    assert_int_equal(reply_error_whole(&out, &e, STR("X-Gateway-Attempts: 2\r\n"), true, 1, true), 0);
    assert_string_equal(undated(&out), want);

    e.retry_after_ms = -1;
    e.endpoints = (struct str){0};
    e.request_id = (struct str){0};
    buf_clear(&out);
    assert_int_equal(reply_error_whole(&out, &e, STR(""), false, 0, false), 0);
    assert_string_equal(undated(&out), "HTTP/1.1 429 Too Many Requests\r\nDate: D\r\nContent-Type: application/json\r\n"
                                       "Content-Length: 138\r\nConnection: close\r\n\r\n"
                                       "{\"error\":{\"message\":\"Every endpoint is rate limited\","
                                       "\"type\":\"rate_limit_error\",\"param\":null,"
                                       "\"code\":\"rate_limit_exceeded\",\"request_id\":\"\"}}");
    buf_fini(&out);
}

/* Asked again a moment too early is asked in vain: the seconds are rounded up, the exact wait is in the body. */
static void rounds_waits_up(void **state)
{
    static const struct {
        int64_t ms;
        const char *header, *body;
    } cases[] = {
        {0, "\r\nRetry-After: 0\r\n", "\"retry_after\":0.000}"},
        {1, "\r\nRetry-After: 1\r\n", "\"retry_after\":0.001}"},
        {999, "\r\nRetry-After: 1\r\n", "\"retry_after\":0.999}"},
        {1000, "\r\nRetry-After: 1\r\n", "\"retry_after\":1.000}"},
        {1001, "\r\nRetry-After: 2\r\n", "\"retry_after\":1.001}"},
        {3600000, "\r\nRetry-After: 3600\r\n", "\"retry_after\":3600.000}"},
    };
    struct reply_error e = example();
    struct buf out = {0};

    (void)state;
    e.endpoints = (struct str){0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        e.retry_after_ms = cases[i].ms;
        buf_clear(&out);
        assert_int_equal(reply_error_whole(&out, &e, STR(""), true, 1, false), 0);
        const char *text = undated(&out);
        if (!strstr(text, cases[i].header) || !strstr(text, cases[i].body))
            fail_msg("%lld ms: %s", (long long)cases[i].ms, text);
    }
    e.retry_after_ms = -1;
    buf_clear(&out);
    assert_int_equal(reply_error_whole(&out, &e, STR(""), true, 1, false), 0);
    assert_null(strcasestr(undated(&out), "retry"));
    buf_fini(&out);
}

static void names_anthropic_types(void **state)
{
    static const struct {
        int status;
        const char *type;
    } cases[] = {
        {400, "invalid_request_error"}, {401, "authentication_error"}, {403, "permission_error"},
        {404, "not_found_error"},       {408, "timeout_error"},        {413, "request_too_large"},
        {429, "rate_limit_error"},      {500, "api_error"},            {502, "api_error"},
        {503, "overloaded_error"},      {504, "timeout_error"},
    };
    struct buf out = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct reply_error e = {.status = cases[i].status, .type = "server_error", .code = "c", .message = "m",
                                .retry_after_ms = -1, .anthropic = true};
        char want[128];
        buf_clear(&out);
        assert_int_equal(reply_error_body(&out, &e), 0);
        snprintf(want, sizeof want, "\"message\":\"m\",\"type\":\"%s\"", cases[i].type);
        assert_non_null(strstr(undated(&out), want));
    }
    buf_fini(&out);
}

/* A message quotes what an upstream said: it stays within its string, and an event within its two lines. */
static void keeps_texts_in_their_place(void **state)
{
    struct reply_error e = {.status = 502, .type = "server_error", .code = "all_endpoints_failed",
                            .message = "a\"},\n\ndata: [DONE]\r\n\x01\xff", .request_id = STR("r\"\n"),
                            .retry_after_ms = -1};
    struct buf out = {0};

    (void)state;
    assert_int_equal(reply_error_event(&out, &e), 0);
    assert_string_equal(undated(&out),
                        "data: {\"error\":{\"message\":\"a\\\"},\\n\\ndata: [DONE]\\r\\n\\u0001\\ufffd\","
                        "\"type\":\"server_error\",\"param\":null,\"code\":\"all_endpoints_failed\","
                        "\"request_id\":\"r\\\"\\n\"}}\n\n");
    buf_fini(&out);
}

static void ends_heads(void **state)
{
    static const struct {
        size_t length;
        bool keep_alive;
        int minor;
        const char *text;
    } cases[] = {
        {0, true, 1, "Content-Length: 0\r\n\r\n"},
        {5, true, 1, "Content-Length: 5\r\n\r\n"},
        {5, false, 1, "Content-Length: 5\r\nConnection: close\r\n\r\n"},
        {5, true, 0, "Content-Length: 5\r\nConnection: keep-alive\r\n\r\n"},
        {5, false, 0, "Content-Length: 5\r\nConnection: close\r\n\r\n"},
        {SIZE_MAX, true, 1, "Transfer-Encoding: chunked\r\n\r\n"},
        {SIZE_MAX, false, 1, "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"},
        {SIZE_MAX, false, 0, "Connection: close\r\n\r\n"},
        {REPLY_NO_BODY, true, 1, "\r\n"},
        {REPLY_NO_BODY, false, 1, "Connection: close\r\n\r\n"},
        {SIZE_MAX - 2, true, 1, "Content-Length: 18446744073709551613\r\n\r\n"},
    };
    struct buf out = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        buf_clear(&out);
        assert_int_equal(reply_end_head(&out, cases[i].length, cases[i].keep_alive, cases[i].minor), 0);
        assert_string_equal(undated(&out), cases[i].text);
    }
    buf_fini(&out);
}

static void writes_whole_answers(void **state)
{
    struct buf out = {0};

    (void)state;
    assert_int_equal(reply_whole(&out, 200, "text/plain", STR("healthy\n"), STR("req_2"), true, 1, false), 0);
    assert_string_equal(undated(&out), "HTTP/1.1 200 OK\r\nDate: D\r\nX-Request-Id: req_2\r\n"
                                       "Content-Type: text/plain\r\nContent-Length: 8\r\n\r\nhealthy\n");
    buf_clear(&out);
    assert_int_equal(reply_whole(&out, 503, "text/plain", STR("no\n"), (struct str){0}, true, 0, true), 0);
    assert_string_equal(undated(&out), "HTTP/1.1 503 Service Unavailable\r\nDate: D\r\nContent-Type: text/plain\r\n"
                                       "Content-Length: 3\r\nConnection: keep-alive\r\n\r\n");
    buf_clear(&out);
    assert_int_equal(reply_begin(&out, 777, (struct str){0}), 0);
    assert_string_equal(undated(&out), "HTTP/1.1 777 Unknown\r\nDate: D\r\n");
    buf_fini(&out);
}

static void writes_milliseconds(void **state)
{
    static const struct {
        uint64_t us;
        const char *text;
    } cases[] = {{0, "0.000"}, {1, "0.001"}, {999, "0.999"}, {1000, "1.000"}, {1234567, "1234.567"},
                 {UINT64_MAX, "18446744073709551.615"}};
    struct buf out = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        buf_clear(&out);
        assert_int_equal(reply_add_ms(&out, cases[i].us), 0);
        assert_string_equal(undated(&out), cases[i].text);
    }
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_errors),
        cmocka_unit_test(writes_whole_errors),
        cmocka_unit_test(rounds_waits_up),
        cmocka_unit_test(names_anthropic_types),
        cmocka_unit_test(keeps_texts_in_their_place),
        cmocka_unit_test(ends_heads),
        cmocka_unit_test(writes_whole_answers),
        cmocka_unit_test(writes_milliseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
