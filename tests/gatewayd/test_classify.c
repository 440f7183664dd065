/*
 * What the end of a try means: every status and error code of the providers' documents, the waits they name in each of
 * the forms they use, absurd ones too.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gatewayd/classify.h"
#include "gatewayd/wait.h"
#include "libshm/cooldown.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Sun, 06 Nov 1994 08:49:37 GMT */
enum { THEN = 784111777 };

static const struct {
    int status;
    const char *body;
    enum outcome_class class;
} responses[] = {
    {400, "", CLASS_CLIENT},
    {404, "", CLASS_CLIENT},
    {405, "", CLASS_CLIENT},
    {413, "", CLASS_CLIENT},
    {415, "", CLASS_CLIENT},
    {422, "", CLASS_CLIENT},
    {451, "", CLASS_CLIENT},
    {401, "", CLASS_AUTH},
    {403, "", CLASS_AUTH},
    {402, "", CLASS_QUOTA},
    {429, "", CLASS_RATE},
    {503, "", CLASS_OVERLOAD},
    {529, "", CLASS_OVERLOAD},
    {408, "", CLASS_SERVER},
    {409, "", CLASS_SERVER},
    {500, "", CLASS_SERVER},
    {501, "", CLASS_SERVER},
    {502, "", CLASS_SERVER},
    {504, "", CLASS_SERVER},
    {520, "", CLASS_SERVER},
    {599, "", CLASS_SERVER},
    {301, "", CLASS_INVALID},
    {304, "", CLASS_INVALID},
    {307, "", CLASS_INVALID},
    /* A 429 is one of three things, and only the code says which. */
    {429, "{\"error\":{\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}", CLASS_RATE},
    {429, "{\"error\":{\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\"}}", CLASS_QUOTA},
    {429, "{\"error\":{\"type\":\"insufficient_quota\",\"code\":\"credit_balance_exhausted\"}}", CLASS_QUOTA},
    {429, "{\"error\":{\"type\":null,\"code\":\"credit_balance_exhausted\"}}", CLASS_QUOTA},
    {429, "{\"error\":{\"code\":\"organization_spend_limit_exceeded\"}}", CLASS_QUOTA},
    {429, "{\"error\":{\"code\":\"project_spend_limit_exceeded\"}}", CLASS_QUOTA},
    {429, "{\"error\":{\"code\":\"organization_usage_limit_exceeded\"}}", CLASS_QUOTA},
    {429, "{\"error\":{\"code\":\"quota_exceeded\"}}", CLASS_QUOTA},
    {429, "{\"error\":{\"type\":\"tokens_limit_exceeded\"}}", CLASS_QUOTA},
    {403, "{\"error\":{\"code\":\"quota_exceeded\"}}", CLASS_QUOTA},
    {429, "{\"error\":{\"code\":\"slow_down\",\"type\":\"rate_limit_error\"}}", CLASS_OVERLOAD},
    {503, "{\"error\":{\"code\":\"server_is_overloaded\",\"type\":\"service_unavailable_error\"}}", CLASS_OVERLOAD},
    {529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}", CLASS_OVERLOAD},
    {500, "{\"type\":\"error\",\"error\":{\"type\":\"api_error\"}}", CLASS_SERVER},
    {429, "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\"}}", CLASS_RATE},
    {429, "{\"object\":\"error\",\"message\":\"Rate limit exceeded\",\"type\":\"rate_limited\",\"code\":\"1300\"}",
     CLASS_RATE},
    {429, "{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\"}}", CLASS_RATE},
    {400, "{\"error\":{\"code\":\"content_filter\"}}", CLASS_CLIENT},
    /* The code is asked before the status, whatever that is. */
    {400, "{\"error\":{\"code\":\"insufficient_quota\"}}", CLASS_QUOTA},
    {500, "{\"error\":{\"code\":\"slow_down\"}}", CLASS_OVERLOAD},
    /* Bodies that are not what they should be. */
    {429, "<html>429</html>", CLASS_RATE},
    {429, "{\"error\":\"insufficient_quota\"}", CLASS_RATE},
    {429, "{\"error\":{\"code\":\"insufficient_quota\"", CLASS_RATE},
    {429, "[]", CLASS_RATE},
    {503, "\0", CLASS_OVERLOAD},
};

static void classifies_responses(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(responses); i++) {
        struct verdict v = classify_response(responses[i].status, NULL, 0, str_of(responses[i].body), THEN);
        if (v.class != responses[i].class || v.wait_ms != GWS_NO_WAIT || v.status != responses[i].status)
            fail_msg("%d %s: %s, wait %lld, status %d", responses[i].status, responses[i].body, classify_name(v.class),
                     (long long)v.wait_ms, v.status);
    }
}

static void classifies_ends(void **state)
{
    static const enum outcome_class wanted[] = {
        [UPSTREAM_LOCAL] = CLASS_LOCAL,
        [UPSTREAM_COMPLETE] = CLASS_OK,       [UPSTREAM_STALE] = CLASS_STALE,     [UPSTREAM_CONNECT] = CLASS_TRANSPORT,
        [UPSTREAM_TLS] = CLASS_TRANSPORT,     [UPSTREAM_RESET] = CLASS_TRANSPORT, [UPSTREAM_CUT] = CLASS_CUT,
        [UPSTREAM_MALFORMED] = CLASS_INVALID, [UPSTREAM_ABORTED] = CLASS_ABORT,
    };

    (void)state;
    for (size_t i = 0; i < COUNT(wanted); i++) {
        struct verdict v = classify_end((enum upstream_end)i);
        assert_int_equal(v.class, wanted[i]);
        assert_int_equal(v.wait_ms, GWS_NO_WAIT);
        assert_int_equal(v.status, 0);
    }
}

/* All have a name of their own, in lower case; and who is asked after it. */
static void names_and_failover(void **state)
{
    (void)state;
    for (int c = CLASS_OK; c <= CLASS_ABORT; c++) {
        const char *name = classify_name((enum outcome_class)c);
        assert_non_null(name);
        for (const char *p = name; *p; p++)
            assert_in_range(*p, 'a', 'z');
        for (int d = CLASS_OK; d < c; d++)
            assert_string_not_equal(name, classify_name((enum outcome_class)d));
        assert_int_equal(classify_fails_over((enum outcome_class)c),
                         c != CLASS_OK && c != CLASS_CLIENT && c != CLASS_CONTEXT && c != CLASS_ABORT);
    }
}

static struct http_header header(const char *name, const char *value)
{
    return (struct http_header){str_of(name), str_of(value)};
}

static const struct {
    const char *name, *value;
    int64_t wait;
} waits[] = {
    {"retry-after-ms", "494", 494},
    {"Retry-After-Ms", "494.2", 495},
    {"x-ms-retry-after-ms", "1500", 1500},
    {"retry-after-ms", "0", 0},
    {"retry-after", "0", 0},
    {"retry-after", "1", 1000},
    {"Retry-After", "37", 37000},
    {"retry-after", "1.2", 1200},
    {"retry-after", "0.0001", 1},
    {"retry-after", "2.000", 2000},
    {"retry-after", "2.000001", 2001},
    {"retry-after", "86400", 86400000},
    {"retry-after", "9999999999", 9999999999000},
    {"retry-after", "10000000000", GWS_NO_WAIT},
    {"retry-after", "99999999999999999999999999", GWS_NO_WAIT},
    {"retry-after-ms", "99999999999999999999999999", GWS_NO_WAIT},
    {"retry-after", "-1", GWS_NO_WAIT},
    {"retry-after", "+1", GWS_NO_WAIT},
    {"retry-after", "1e3", GWS_NO_WAIT},
    {"retry-after", "0x10", GWS_NO_WAIT},
    {"retry-after", "1,5", GWS_NO_WAIT},
    {"retry-after", "1.5.5", GWS_NO_WAIT},
    {"retry-after", "1s", GWS_NO_WAIT},
    {"retry-after", "NaN", GWS_NO_WAIT},
    {"retry-after", "Infinity", GWS_NO_WAIT},
    {"retry-after", ".5", GWS_NO_WAIT},
    {"retry-after", "", GWS_NO_WAIT},
    {"retry-after", "soon", GWS_NO_WAIT},
    {"retry-after-ms", "soon", GWS_NO_WAIT},
    /* Without a Date the local clock is what there is. */
    {"retry-after", "Sun, 06 Nov 1994 08:49:42 GMT", 5000},
    {"retry-after", "Sunday, 06-Nov-94 08:49:42 GMT", 5000},
    {"retry-after", "Sun Nov  6 08:49:42 1994", 5000},
    {"retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", 0},
    {"retry-after", "Sun, 06 Nov 1994 08:49:00 GMT", 0},
    {"retry-after", "Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"retry-after", "Sun, 06 Nov 1994 08:49:42 CET", GWS_NO_WAIT},
    {"retry-after", "Sun, 31 Feb 1994 08:49:42 GMT", GWS_NO_WAIT},
    {"x-ratelimit-reset", "5", GWS_NO_WAIT},
};

static void reads_waits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(waits); i++) {
        struct http_header headers[] = {header("server", "x"), header(waits[i].name, waits[i].value)};
        int64_t wait = wait_find(headers, 2, STR(""), THEN);
        if (wait != waits[i].wait)
            fail_msg("%s: %s: %lld, not %lld", waits[i].name, waits[i].value, (long long)wait,
                     (long long)waits[i].wait);
    }
    assert_int_equal(wait_find(NULL, 0, STR(""), THEN), GWS_NO_WAIT);
}

/* Against the upstream's own clock, whatever ours says; ms before seconds; nonsense does not hide the rest. */
static void prefers_the_better_wait(void **state)
{
    struct http_header dated[] = {header("date", "Tue, 15 Nov 1994 12:00:00 GMT"),
                                  header("retry-after", "Tue, 15 Nov 1994 12:01:00 GMT")};
    struct http_header past[] = {header("date", "Tue, 15 Nov 1994 12:02:00 GMT"),
                                 header("retry-after", "Tuesday, 15-Nov-94 12:01:00 GMT")};
    struct http_header bad_date[] = {header("date", "yesterday"),
                                     header("retry-after", "Sun, 06 Nov 1994 08:49:39 GMT")};
    struct http_header both[] = {header("retry-after", "1"), header("x-ms-retry-after-ms", "2000"),
                                 header("retry-after-ms", "494")};
    struct http_header nonsense[] = {header("retry-after-ms", "x"), header("x-ms-retry-after-ms", "-3"),
                                     header("retry-after", "7")};

    (void)state;
    assert_int_equal(wait_find(dated, 2, STR(""), 0), 60000);
    assert_int_equal(wait_find(dated, 2, STR(""), INT64_MAX / 2000), 60000);
    assert_int_equal(wait_find(past, 2, STR(""), 0), 0);
    assert_int_equal(wait_find(bad_date, 2, STR(""), THEN), 2000);
    assert_int_equal(wait_find(both, 3, STR(""), THEN), 494);
    assert_int_equal(wait_find(both, 2, STR(""), THEN), 2000);
    assert_int_equal(wait_find(nonsense, 3, STR(""), THEN), 7000);
}

/* A wait is carried where it means something, and the body's counts when the headers name none. */
static void carries_waits(void **state)
{
    static const struct {
        int status;
        const char *header, *body;
        int64_t wait;
    } cases[] = {
        {429, "3", "", 3000},
        {503, "3", "", 3000},
        {529, "3", "", 3000},
        {402, "3", "", 3000},
        {500, "3", "", GWS_NO_WAIT},
        {400, "3", "", GWS_NO_WAIT},
        {401, "3", "", GWS_NO_WAIT},
        {429, NULL, "{\"error\":{\"code\":\"rate_limit_exceeded\",\"retry_after\":1.2}}", 1200},
        {429, NULL, "{\"error\":{\"retry_after\":0.0011}}", 2},
        {429, "3", "{\"error\":{\"retry_after\":1.2}}", 3000},
        {429, NULL, "{\"error\":{\"retry_after\":\"1.2\"}}", GWS_NO_WAIT},
        {429, NULL, "{\"error\":{\"retry_after\":-1}}", GWS_NO_WAIT},
        {429, NULL, "{\"error\":{\"retry_after\":1e9}}", GWS_NO_WAIT},
        {429, NULL, "{\"error\":{\"retry_after\":null}}", GWS_NO_WAIT},
        {500, NULL, "{\"error\":{\"retry_after\":1.2}}", GWS_NO_WAIT},
        {429, NULL, "{\"error\":{\"code\":\"slow_down\",\"retry_after\":1.2}}", 1200},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_header headers[] = {header("retry-after", cases[i].header ? cases[i].header : "")};
        struct verdict v = classify_response(cases[i].status, headers, cases[i].header ? 1 : 0, str_of(cases[i].body),
                                             THEN);
        if (v.wait_ms != cases[i].wait)
            fail_msg("case %zu: %lld, not %lld", i, (long long)v.wait_ms, (long long)cases[i].wait);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classifies_responses),
        cmocka_unit_test(classifies_ends),
        cmocka_unit_test(names_and_failover),
        cmocka_unit_test(reads_waits),
        cmocka_unit_test(prefers_the_better_wait),
        cmocka_unit_test(carries_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
