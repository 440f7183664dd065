/*
 * How long an upstream asked us to wait: every form of the providers' documents to the millisecond, the order in which
 * they count, and what must not be taken for a wait. At the end the same texts are damaged at random: whatever comes
 * out is no wait, or one within its bounds. Inputs are copied into memory of exactly their size, so that the sanitizer
 * sees a byte too many being read.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gatewayd/wait.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define NONE GWS_NO_WAIT

/* The upstream's clock, and ours, which is wrong by an hour. */
#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"
enum { SENT = 784111777, OURS = SENT + 3600 };

static char *copy_of(struct str s)
{
    char *copy = malloc(s.len > 0 ? s.len : 1);
    assert_non_null(copy);
    if (s.len > 0)
        memcpy(copy, s.at, s.len);
    return copy;
}

enum { LINES_MAX = 8 };

/* "name: value\nname: value", each in memory of its own. */
struct lines {
    struct http_header headers[LINES_MAX];
    unsigned count;
};

static struct lines lines_of(const char *text)
{
    struct lines l = {.count = 0};
    while (text && *text) {
        size_t len = strcspn(text, "\n"), name = strcspn(text, ":");
        assert_true(l.count < LINES_MAX && name + 2 <= len);
        struct str value = {text + name + 2, len - name - 2};
        l.headers[l.count].name = (struct str){copy_of((struct str){text, name}), name};
        l.headers[l.count++].value = (struct str){copy_of(value), value.len};
        text += len + (text[len] == '\n');
    }
    return l;
}

static void lines_free(struct lines *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        free((char *)(uintptr_t)l->headers[i].name.at);
        free((char *)(uintptr_t)l->headers[i].value.at);
    }
}

static int64_t find(const char *headers, struct str body, int64_t now)
{
    struct lines l = lines_of(headers);
    char *copy = copy_of(body);
    int64_t wait = wait_find(l.headers, l.count, (struct str){copy, body.len}, now);
    free(copy);
    lines_free(&l);
    return wait;
}

struct row {
    const char *headers, *body; /* NULL: none */
    int64_t wait;
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t wait = find(rows[i].headers, rows[i].body ? str_of(rows[i].body) : STR(""), OURS);
        if (wait != rows[i].wait)
            fail_msg("%s\n%s\n%lld, not %lld", rows[i].headers ? rows[i].headers : "", rows[i].body ? rows[i].body : "",
                     (long long)wait, (long long)rows[i].wait);
    }
}

static const struct row header_rows[] = {
    {"retry-after-ms: 494", NULL, 494},
    {"Retry-After-MS: 0.4", NULL, 1},
    {"x-ms-retry-after-ms: 1500", NULL, 1500},
    {"retry-after-ms: 9999999999", NULL, 9999999999},
    {"retry-after-ms: 494\nretry-after: 1", NULL, 494},
    {"retry-after: 1\nx-ms-retry-after-ms: 1500", NULL, 1500},
    {"x-ms-retry-after-ms: 1500\nretry-after-ms: 494", NULL, 494},
    {"retry-after: 0", NULL, 0},
    {"retry-after: 37", NULL, 37000},
    {"retry-after: 1.2", NULL, 1200},
    {"retry-after: 1.0000000001", NULL, 1001},
    {"retry-after: 1.00000000000000000000000000000000000000", NULL, 1000},
    {"retry-after: 0.000000000000000000000000000000000000001", NULL, 1},
    {"retry-after: 9999999999", NULL, 9999999999000},
    {"retry-after: 9999999999.5", NULL, 9999999999000},
    {"retry-after: 0000000001", NULL, 1000},
    {"retry-after: 00000000001", NULL, NONE}, /* eleven digits */
    {"retry-after: 10000000000", NULL, NONE},
    {"retry-after: 1e3", NULL, NONE},
    {"retry-after: 1.", NULL, NONE},
    {"retry-after: .5", NULL, NONE},
    {"retry-after: 1..5", NULL, NONE},
    {"retry-after: -1", NULL, NONE},
    {"retry-after: -0", NULL, NONE},
    {"retry-after: nan", NULL, NONE},
    {"retry-after: inf", NULL, NONE},
    {"retry-after: 0x1f", NULL, NONE},
    {"retry-after: 1,5", NULL, NONE},
    {"retry-after: 5s", NULL, NONE}, /* no unit belongs here: what else is not as it should be? */
    {"retry-after: 5 seconds", NULL, NONE},
    {"retry-after: soon", NULL, NONE},
    /* The three forms of a date, against the upstream's own clock. */
    {"date: " DATE "\nretry-after: Sun, 06 Nov 1994 08:50:07 GMT", NULL, 30000},
    {"date: " DATE "\nretry-after: Sunday, 06-Nov-94 08:50:07 GMT", NULL, 30000},
    {"date: " DATE "\nretry-after: Sun Nov  6 08:50:07 1994", NULL, 30000},
    {"date: " DATE "\nretry-after: Sun, 06 Nov 1994 08:49:37 GMT", NULL, 0},
    {"date: " DATE "\nretry-after: Sun, 06 Nov 1994 08:49:36 GMT", NULL, 0},
    {"date: " DATE "\nretry-after: Sat, 01 Jan 0000 00:00:00 GMT", NULL, 0},
    {"date: Sat, 01 Jan 0000 00:00:00 GMT\nretry-after: Fri, 31 Dec 9999 23:59:59 GMT", NULL, 9999999999000},
    {"retry-after: Sun, 06 Nov 1994 09:50:07 GMT", NULL, 30000}, /* without it, against ours */
    {"date: yesterday\nretry-after: Sun, 06 Nov 1994 09:50:07 GMT", NULL, 30000},
    /* Nonsense hides nothing behind it. */
    {"retry-after-ms: x\nx-ms-retry-after-ms: -1\nretry-after: 7", NULL, 7000},
    {"retry-after: soon", "{\"error\":{\"retry_after\":1.2}}", 1200},
};

#define MESSAGE(text) "{\"error\":{\"message\":\"" text "\"}}"
#define RETRY_INFO(delay)                                                                               \
    "{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\",\"details\":["                          \
    "{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[{\"quotaId\":\"x\"}]}," \
    "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":" delay "}]}}"
#define VIOLATION(id) "{\"error\":{\"details\":[{\"violations\":[{\"quotaId\":\"" id "\"}]}]}}"

static const struct row body_rows[] = {
    /* HolySheep */
    {NULL,
     "{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"Request quota exceeded. Retry after 1.2 seconds.\""
     ",\"param\":null,\"type\":\"rate_limit\",\"retry_after\":1.234,\"request_id\":\"hs_req_7f3a9b2c4d8e\"}}",
     1234},
    {NULL, "{\"error\":{\"retry_after\":0}}", 0},
    {NULL, "{\"error\":{\"retry_after\":1.2001}}", 1201},
    {NULL, "{\"error\":{\"retry_after\":9999999999.999}}", 9999999999000},
    {NULL, "{\"error\":{\"retry_after\":12345678901}}", NONE},
    {NULL, "{\"error\":{\"retry_after\":-1}}", NONE},
    {NULL, "{\"error\":{\"retry_after\":1e1}}", NONE},
    {NULL, "{\"error\":{\"retry_after\":null}}", NONE},
    {NULL, "{\"error\":{\"retry_after\":NaN}}", NONE},
    {NULL, "{\"error\":{\"retry_after\":\"1.2\"}}", NONE},
    {NULL, "{\"retry_after\":1.2}", NONE}, /* nothing says that this is an error */
    {NULL, "{\"message\":\"no\",\"retry_after\":1.2}", 1200},
    {"retry-after: 6", "{\"error\":{\"retry_after\":1.2}}", 6000},
    /* Gemini */
    {NULL, RETRY_INFO("\"47s\""), 47000},
    {NULL, RETRY_INFO("\"46.353475841s\""), 46354},
    {NULL, RETRY_INFO("\"0s\""), 0},
    {NULL, RETRY_INFO("\"36685.723541104s\""), 36685724},
    {NULL, RETRY_INFO("\"99999999999s\""), NONE},
    {NULL, RETRY_INFO("\"47\""), NONE},
    {NULL, RETRY_INFO("\"s\""), NONE},
    {NULL, RETRY_INFO("\"\""), NONE},
    {NULL, RETRY_INFO("\"-47s\""), NONE},
    {NULL, RETRY_INFO("\"47ms\""), NONE},
    {NULL, RETRY_INFO("\"4.s\""), NONE},
    {NULL, RETRY_INFO("\"1m2s\""), NONE},
    {NULL, RETRY_INFO("47"), NONE},
    {NULL, RETRY_INFO("{\"seconds\":47}"), NONE},
    {NULL, "[" RETRY_INFO("\"47s\"") "]", 47000},
    {NULL, VIOLATION("GenerateRequestsPerMinutePerProjectPerModel"), 60000},
    {NULL, VIOLATION("GenerateRequestsPerDayPerProjectPerModel"), NONE},
    {NULL,
     "{\"error\":{\"message\":\"Please retry in 46.3s.\",\"details\":[{\"violations\":[{\"quotaId\":\"PerMinute\""
     "}]}]}}",
     46300},
    {NULL, "{\"error\":{\"message\":\"Please retry in 46.3s.\",\"details\":[{\"retryDelay\":\"47s\"}]}}", 47000},
    {NULL, MESSAGE("Quota exceeded.\\nPlease retry in 10h17m5.723541104s."), 37025724},
    {NULL, MESSAGE("Your quota will reset after 18h31m10s."), 66670000},
    /* OpenAI, Groq */
    {NULL,
     MESSAGE("Rate limit reached for M in organization O on tokens per min (TPM): Limit 30000, Used 29000, "
             "Requested 2000. Please try again in 494ms. Visit https://x.y to learn more."),
     494},
    {NULL, MESSAGE("Please try again in 20s."), 20000},
    {NULL, MESSAGE("Please try again in 6m0s."), 360000},
    {NULL, MESSAGE("Please try again in 5.289s"), 5289},
    {NULL, MESSAGE("Please try again in 7m29.28s."), 449280},
    {NULL, MESSAGE("Please try again in 1d2h3m4s5ms."), 93784005},
    {NULL, MESSAGE("PLEASE TRY AGAIN IN 20s"), 20000},
    {NULL, MESSAGE("Try again in 5 minutes, or later"), 300000},
    {NULL, MESSAGE("try again in 1 Minute 30 Seconds"), 90000},
    {NULL, MESSAGE("try again in 1.5 hours"), 5400000},
    {NULL, MESSAGE("try again in 2 days"), 172800000},
    {NULL, MESSAGE("try again in 250 milliseconds"), 250},
    {NULL, MESSAGE("try again in 5s 3 requests are left"), 5000},
    {NULL, MESSAGE("try again in a moment; please retry in 5s"), 5000},
    {NULL, MESSAGE("try again in 20; try again in 30s"), 30000},
    /* Azure, with one second in the singular; HolySheep */
    {NULL,
     MESSAGE("Requests to the ChatCompletions_Create Operation have exceeded token rate limit. Please retry after "
             "37 seconds. Please go here"),
     37000},
    {NULL, MESSAGE("Please retry after 1 second."), 1000},
    {NULL, MESSAGE("Please retry after 86400 seconds."), 86400000},
    {NULL, "{\"statusCode\":429,\"message\":\"Rate limit is exceeded. Try again in 23 seconds.\"}", 23000},
    {NULL, "{\"error\":\"Please retry after 3 seconds\"}", 3000},
    {NULL, "{\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"try again in 2s\"}", 2000},
    /* OpenRouter quotes whom it asked. */
    {NULL,
     "{\"error\":{\"message\":\"Provider returned error\",\"code\":429,\"metadata\":{\"provider_name\":\"x\","
     "\"raw\":\"{\\\"error\\\":{\\\"message\\\":\\\"Please retry in 4.5s\\\"}}\"}}}",
     4500},
    /* Anthropic's spend limit */
    {"date: " DATE,
     MESSAGE("You have reached your specified API usage limits. You will regain access on 1994-12-01 at "
             "00:00 UTC."),
     INT64_C(2128223000)},
    {"date: " DATE, MESSAGE("You will regain access on 1994-11-07."), 54623000},
    {"date: " DATE, MESSAGE("You will regain access on 1994-11-01."), 0},
    {"date: " DATE, MESSAGE("You will regain access on 1994-13-01."), NONE},
    {"date: " DATE, MESSAGE("You will regain access on 1994-12-0"), NONE},
    {"date: " DATE, MESSAGE("You will regain access on 1994-12-01 at 99:99 UTC"), NONE},
    /* What is no wait. */
    {NULL, MESSAGE("Slow down"), NONE},
    {NULL, MESSAGE("Please try again in "), NONE},
    {NULL, MESSAGE("Please try again in"), NONE},
    {NULL, MESSAGE("try again in -5s"), NONE},
    {NULL, MESSAGE("try again in NaNs"), NONE},
    {NULL, MESSAGE("try again in 1e3s"), NONE},
    {NULL, MESSAGE("try again in 5"), NONE},
    {NULL, MESSAGE("try again in 5 apples"), NONE},
    {NULL, MESSAGE("try again in 5sec0nds"), NONE},
    {NULL, MESSAGE("try again in 5s7"), NONE},
    {NULL, MESSAGE("try again in 12345678901s"), NONE},
    {NULL, MESSAGE("try again in 5\\u0000s"), NONE},
    {NULL, MESSAGE("after 5 seconds"), NONE},
    {NULL, "{\"error\":{\"message\":5}}", NONE},
    {NULL, "Please retry after 5 seconds", NONE}, /* a page by who knows whom */
    {NULL, "{\"choices\":[{\"message\":{\"content\":\"try again in 5s\"}}]}", NONE},
    {NULL, "{\"error\":{\"message\":\"try again in 5s\"", NONE},
};

#define AN(dimension, left, reset) \
    "anthropic-ratelimit-" dimension "-remaining: " left "\nanthropic-ratelimit-" dimension "-reset: " reset
#define XL(dimension, left, reset) \
    "x-ratelimit-remaining" dimension ": " left "\nx-ratelimit-reset" dimension ": " reset
#define DATED "date: " DATE "\n"
#define LATER "date: Fri, 07 Nov 2025 00:00:00 GMT\n" /* 1762473600 */

static const struct row counter_rows[] = {
    /* Anthropic: the latest of what is used up, uncut; already past in one capture. */
    {DATED AN("requests", "0", "1994-11-06T08:50:07Z"), NULL, 30000},
    {DATED AN("requests", "0", "1994-11-06T08:49:36Z"), NULL, 0},
    {DATED AN("requests", "0", "1994-11-06T08:59:37Z"), NULL, 600000},
    {DATED AN("requests", "1", "1994-11-06T08:50:07Z"), NULL, NONE},
    {DATED AN("requests", "0", "1994-11-06T08:50:07Z") "\n" AN("input-tokens", "0", "1994-11-06T08:50:37Z"), NULL,
     60000},
    {DATED AN("requests", "0", "1994-11-06T08:50:07Z") "\n" AN("output-tokens", "9", "1994-11-06T08:50:37Z"), NULL,
     30000},
    {DATED AN("tokens", "0", "1994-11-06T08:50:07.25Z"), NULL, 30250},
    {DATED AN("tokens", "0", "1994-11-06T08:50:07.2500001Z"), NULL, 30251},
    {DATED AN("tokens", "0", "1994-11-06t09:50:07+01:00"), NULL, 30000},
    {DATED AN("tokens", "0", "1994-11-06 03:20:07-05:30"), NULL, 30000},
    {AN("tokens", "0", "1994-11-06T09:50:07Z"), NULL, 30000},
    {DATED AN("tokens", "0", "1994-11-06T08:50:07"), NULL, NONE},
    {DATED AN("tokens", "0", "1994-11-06T08:50:07.Z"), NULL, NONE},
    {DATED AN("tokens", "0", "1994-11-06T08:50:071Z"), NULL, NONE},
    {DATED AN("tokens", "0", "1994-11-06T08:50:07Zz"), NULL, NONE},
    {DATED AN("tokens", "0", "1994-11-06T08:50:07+25:00"), NULL, NONE},
    {DATED AN("tokens", "0", "1994-11-06T08:50:07+0100"), NULL, NONE},
    {DATED AN("tokens", "0", "1994-11-31T08:50:07Z"), NULL, NONE},
    {DATED AN("tokens", "0", "1994-00-06T08:50:07Z"), NULL, NONE},
    {DATED AN("tokens", "0", "1994-1x-06T08:50:07Z"), NULL, NONE},
    {DATED AN("tokens", "0", "9994-11-06T08:50:07Z"), NULL, 9999999999000},
    {DATED AN("tokens", "0", "0000-01-01T00:00:00Z"), NULL, 0},
    {DATED AN("tokens", "-0", "1994-11-06T08:50:07Z"), NULL, NONE},
    {"anthropic-ratelimit-requests-remaining: 0", NULL, NONE},
    {"anthropic-ratelimit-remaining: 0\nanthropic-ratelimit-reset: 5s", NULL, NONE},
    {LATER "anthropic-ratelimit-unified-status: rejected\nanthropic-ratelimit-unified-reset: 1762477200", NULL,
     3600000},
    {LATER "anthropic-ratelimit-unified-status: allowed\nanthropic-ratelimit-unified-reset: 1762477200", NULL, NONE},
    {DATED "retry-after: 4\n" AN("requests", "0", "1994-11-06T08:59:37Z"), NULL, 4000},
    /* OpenAI: of what is used up, and not beyond a minute. */
    {XL("-requests", "0", "12s"), NULL, 12000},
    {XL("-requests", "0", "6m0s"), NULL, 60000},
    {XL("-requests", "0", "6ms"), NULL, 6},
    {XL("-tokens", "0", "1m0.052s"), NULL, 60000},
    {XL("-tokens", "0", "59.0521s"), NULL, 59053},
    {XL("-requests", "5", "12s") "\n" XL("-tokens", "0", "3s"), NULL, 3000},
    {XL("-requests", "0", "12s") "\n" XL("-tokens", "0", "3s"), NULL, 12000},
    {XL("-requests", "0", "soon") "\n" XL("-tokens", "0", "3s"), NULL, 3000},
    {"X-RateLimit-Remaining-Requests: 0\nX-RateLimit-Reset-Requests: 12s", NULL, 12000},
    {XL("-tokens_usage_based", "0", "12s"), NULL, 12000},
    {XL("-requests", "1", "12s"), NULL, NONE},
    {"x-ratelimit-reset-requests: 12s", NULL, NONE},
    {"x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-tokens: 12s", NULL, NONE},
    {"x-ratelimit-remaining-requests: 0", NULL, NONE},
    {XL("-requests", "0", "12s"), MESSAGE("try again in 20ms"), 20},
    /* Azure: whole seconds; -1 and 0 where it does not know. Groq's day, Cerebras, Mistral without any reset. */
    {XL("-tokens", "0", "37"), NULL, 37000},
    {XL("-tokens", "0", "0"), NULL, NONE},
    {XL("-tokens", "0", "-1"), NULL, NONE},
    {XL("-tokens", "-1", "37"), NULL, NONE},
    {XL("-requests", "0", "2m59.56s"), NULL, 60000},
    {XL("-tokens", "0", "7.66s"), NULL, 7660},
    {XL("-requests-day", "0", "33011.382867078781"), NULL, 60000},
    {XL("-tokens-minute", "0", "11.382867078781"), NULL, 11383},
    {"x-ratelimit-remaining-req-minute: 0\nx-ratelimit-remaining-tokens-month: 0", NULL, NONE},
    /* HolySheep: seconds since the epoch, whatever is left. */
    {XL("", "0", "1000000000"), NULL, 60000}, /* the longest span */
    {LATER XL("", "0", "1762473630"), NULL, 30000},
    {LATER XL("", "0", "1762473630.0625"), NULL, 30063},
    {LATER XL("", "17", "1762473630.5"), NULL, 30500},
    {LATER "x-ratelimit-reset: 1762473630", NULL, 30000},
    {LATER XL("", "0", "1762477200"), NULL, 60000},
    {LATER XL("", "0", "1762473600"), NULL, NONE},
    {LATER XL("", "0", "1762473000"), NULL, NONE},
    {LATER XL("", "0", "1762473630000"), NULL, NONE},
    {"x-ratelimit-reset: 30", NULL, NONE},
    {"x-ratelimit-reset: 9999999999", NULL, 60000},
};

static void reads_headers(void **state)
{
    (void)state;
    check(header_rows, COUNT(header_rows));
    assert_int_equal(find(NULL, STR(""), OURS), NONE);
}

static void reads_bodies(void **state)
{
    (void)state;
    check(body_rows, COUNT(body_rows));
    /* A NUL ends nothing: it is a byte that no number holds, and no JSON either. */
    assert_int_equal(find(NULL, STR("{\"error\":{\"message\":\"retry in 5\0s\"}}"), OURS), NONE);
    assert_int_equal(find(NULL, STR("\0{\"error\":{\"retry_after\":5}}"), OURS), NONE);
    struct http_header nul = {STR("retry-after"), {"5\0", 2}};
    assert_int_equal(wait_find(&nul, 1, STR(""), OURS), NONE);
}

static void reads_counters(void **state)
{
    (void)state;
    check(counter_rows, COUNT(counter_rows));
}

static void reads_spans(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: none */
    } table[] = {
        {"1s", 1000},
        {"6m0s", 360000},
        {"6ms", 6},
        {"1m0.052s", 60052},
        {"1h", 3600000},
        {"1d", 86400000},
        {"1d1h1m1s1ms", 90061001},
        {"5us", 1},
        {"1000us", 1},
        {"1001us", 2},
        {"\xc2\xb5s", -1},
        {"1500\xc2\xb5s", 2},
        {"1500\xce\xbcs", 2},
        {"1ns", 1},
        {"0ns", 0},
        {"0", 0},
        {"1", 1000},
        {"1.5", 1500},
        {"0.5h", 1800000},
        {"0.1d", 8640000},
        {"1.5m", 90000},
        {"1.0000000001h", 3600001},
        {"0.0000001ms", 1},
        {"1s1s", 2000},
        {"1s2h", 7201000},
        {"9999999999", 9999999999000},
        {"9999999999d", 9999999999000},
        {"9999999999d9999999999d9999999999d", 9999999999000},
        {"9999999999h9999999999ns", 9999999999000},
        {"", -1},
        {"s", -1},
        {"ms", -1},
        {"-1s", -1},
        {"+1s", -1},
        {"1 s", -1},
        {" 1s", -1},
        {"1s ", -1},
        {"1S", -1},
        {"1sec", -1},
        {"1seconds", -1},
        {"1s1", -1},
        {"1.s", -1},
        {".5s", -1},
        {"1e3", -1},
        {"1e3s", -1},
        {"0x1s", -1},
        {"nan", -1},
        {"inf", -1},
        {"1,5s", -1},
        {"12345678901", -1},
        {"12345678901s", -1},
        {"1s12345678901s", -1},
        {"1w", -1},
        {"1.2.3s", -1},
        {"1h-5m", -1},
        {"1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s", 16000},
        {"1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s", -1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct str s = str_of(table[i].text);
        char *copy = copy_of(s);
        int64_t ms = -1;
        if (wait_span((struct str){copy, s.len}, &ms) != (table[i].ms >= 0) || ms != table[i].ms)
            fail_msg("%s: %lld, not %lld", table[i].text, (long long)ms, (long long)table[i].ms);
        free(copy);
    }
}

static void reads_what_a_success_announces(void **state)
{
    static const struct row rows[] = {
        {XL("-requests", "0", "12s"), NULL, 12000},
        {XL("-requests", "0", "6m0s"), NULL, 60000},
        {XL("-requests", "0", "12s") "\n" XL("-tokens", "0", "3s"), NULL, 12000},
        /* A bucket that fills by drops: the reset is the moment at which it is full. */
        {XL("-requests", "0", "60s") "\nx-ratelimit-limit-requests: 1500", NULL, 40},
        {XL("-requests", "0", "12s") "\nx-ratelimit-limit-requests: 0", NULL, 12000},
        {XL("-requests", "0", "12s") "\nx-ratelimit-limit-tokens: 100", NULL, 12000},
        {XL("-tokens", "0", "60s") "\nx-ratelimit-limit-tokens: 200000", NULL, 300},
        {XL("-tokens", "0", "30s") "\nx-ratelimit-limit-tokens: 500", NULL, 30000},
        {XL("-tokens", "0", "37") "\nx-ratelimit-limit-tokens: 200000", NULL, 37000}, /* Azure: a window */
        {LATER XL("", "0", "1762473630.5") "\nx-ratelimit-limit: 100", NULL, 30500},   /* HolySheep: a window */
        {DATED AN("requests", "0", "1994-11-06T08:50:07Z") "\nanthropic-ratelimit-requests-limit: 50", NULL, 600},
        {XL("-requests", "1", "12s"), NULL, NONE},
        {XL("-tokens", "0", "0"), NULL, NONE},
        {XL("-tokens", "-1", "-1"), NULL, NONE},
        {XL("-tokens", "0", "0.0001s"), NULL, 1},
        {DATED AN("requests", "0", "1994-11-06T08:50:07Z"), NULL, 30000},
        {DATED AN("requests", "0", "1994-11-06T09:50:07Z"), NULL, 60000},
        {DATED AN("requests", "0", "1994-11-06T08:49:36Z"), NULL, NONE},
        {DATED AN("requests", "0", "1994-11-06T08:49:57Z") "\n" XL("", "0", "30s"), NULL, 30000},
        {LATER XL("", "0", "1762473630.5"), NULL, 30500},
        {LATER XL("", "17", "1762473630"), NULL, NONE},
        {"retry-after: 5", NULL, NONE},
        {"", NULL, NONE},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct lines l = lines_of(rows[i].headers);
        int64_t wait = wait_depleted(l.headers, l.count, OURS);
        if (wait != rows[i].wait)
            fail_msg("%s\n%lld, not %lld", rows[i].headers, (long long)wait, (long long)rows[i].wait);
        lines_free(&l);
    }
}

static void finds_the_next_month(void **state)
{
    static const struct {
        const char *date;
        int64_t wait_s;
    } table[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 2128223},    {"Tue, 01 Nov 1994 00:00:00 GMT", 30 * 86400},
        {"Sat, 31 Dec 1994 23:59:59 GMT", 1},          {"Wed, 01 Feb 1995 00:00:00 GMT", 28 * 86400},
        {"Thu, 01 Feb 1996 00:00:00 GMT", 29 * 86400}, {"Fri, 30 Sep 1994 12:00:00 GMT", 43200},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct http_header date = {STR("date"), str_of(table[i].date)};
        assert_int_equal(wait_until_next_month(&date, 1, OURS), table[i].wait_s * 1000);
    }
    assert_int_equal(wait_until_next_month(NULL, 0, SENT), INT64_C(2128223000));
}

static uint64_t random_state = 20260701;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

/* Bytes exchanged, left out and doubled, mostly for those that numbers and units are made of. */
static struct str damage(const char *text, char *out, size_t room)
{
    static const char likely[] = "0123456789999.-+:eE smhdnuTZ\"{}[],\\\0\xc2\xb5\xff";
    size_t len = 0;
    for (; *text && len + 2 < room; text++) {
        uint32_t kind = draw(40);
        if (kind == 0)
            continue;
        out[len++] = kind == 1 ? likely[draw(sizeof likely)] : *text;
        if (kind == 2)
            out[len++] = *text;
    }
    return (struct str){out, len};
}

static void damage_row(const struct row *row)
{
    struct lines l = lines_of(row->headers);
    struct lines damaged = {.count = l.count};
    char text[2048], names[LINES_MAX][256], values[LINES_MAX][256];
    for (unsigned i = 0; i < l.count; i++) {
        char plain[256];
        snprintf(plain, sizeof plain, "%.*s", (int)l.headers[i].name.len, l.headers[i].name.at);
        damaged.headers[i].name = draw(4) ? l.headers[i].name : damage(plain, names[i], sizeof names[i]);
        snprintf(plain, sizeof plain, "%.*s", (int)l.headers[i].value.len, l.headers[i].value.at);
        struct str value = damage(plain, values[i], sizeof values[i]);
        damaged.headers[i].value = (struct str){copy_of(value), value.len};
    }
    struct str body = damage(row->body ? row->body : "", text, sizeof text);
    char *copy = copy_of(body);
    int64_t wait = wait_find(damaged.headers, damaged.count, (struct str){copy, body.len}, OURS);
    int64_t depleted = wait_depleted(damaged.headers, damaged.count, OURS);
    if (wait != NONE && (wait < 0 || wait > WAIT_MAX_MS))
        fail_msg("%lld from %.*s", (long long)wait, (int)body.len, body.at);
    assert_true(depleted == NONE || (depleted > 0 && depleted <= 60000));
    free(copy);
    for (unsigned i = 0; i < damaged.count; i++)
        free((char *)(uintptr_t)damaged.headers[i].value.at);
    lines_free(&l);
}

static void stays_within_its_bounds(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        for (size_t i = 0; i < COUNT(header_rows); i++)
            damage_row(&header_rows[i]);
        for (size_t i = 0; i < COUNT(body_rows); i++)
            damage_row(&body_rows[i]);
        for (size_t i = 0; i < COUNT(counter_rows); i++)
            damage_row(&counter_rows[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_headers),
        cmocka_unit_test(reads_bodies),
        cmocka_unit_test(reads_counters),
        cmocka_unit_test(reads_spans),
        cmocka_unit_test(reads_what_a_success_announces),
        cmocka_unit_test(finds_the_next_month),
        cmocka_unit_test(stays_within_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
