/*
 * What providers call their errors, one row for each line of their documents: in a refusal, in the body of a success,
 * in an event of a stream. And bodies that nobody would send, which may mean anything but must mean one thing.
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

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define NONE GWS_NO_WAIT

/* Sun, 06 Nov 1994 08:49:37 GMT */
enum { THEN = 784111777 };

struct row {
    int status;
    const char *header; /* "name: value", NULL for none */
    const char *body;
    enum outcome_class class;
    int64_t wait;
};

typedef struct verdict judge(int status, const struct http_header *headers, unsigned count, struct str body,
                             int64_t now_real_s);

static void check(judge *ask, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        struct http_header header = {{NULL, 0}, {NULL, 0}};
        size_t len = strlen(row->body);
        char *copy = malloc(len > 0 ? len : 1);
        assert_non_null(copy);
        memcpy(copy, row->body, len);
        if (row->header) {
            header.name = (struct str){row->header, strcspn(row->header, ":")};
            header.value = str_of(row->header + header.name.len + 2);
        }
        struct verdict v = ask(row->status, &header, row->header != NULL, (struct str){copy, len}, THEN);
        free(copy);
        if (v.class != row->class || v.wait_ms != row->wait || v.status != row->status)
            fail_msg("%d %s\n%s\n%s, wait %lld, status %d; not %s, %lld", row->status, row->header ? row->header : "",
                     row->body, classify_name(v.class), (long long)v.wait_ms, v.status, classify_name(row->class),
                     (long long)row->wait);
    }
}

#define CODE(code) "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":\"" code "\"}}"
#define TYPE(type) "{\"error\":{\"message\":\"m\",\"type\":\"" type "\",\"param\":null,\"code\":null}}"
#define OPENAI(type, code) "{\"error\":{\"message\":\"m\",\"type\":\"" type "\",\"param\":null,\"code\":\"" code "\"}}"
#define ANTHROPIC(type, message) \
    "{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"" message "\"},\"request_id\":\"req_1\"}"
#define GEMINI(code, status, message, details) \
    "{\"error\":{\"code\":" code ",\"message\":\"" message "\",\"status\":\"" status "\",\"details\":[" details "]}}"
#define VIOLATES(id) \
    "{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[{\"quotaId\":\"" id "\"}]}"
#define DELAY(delay) "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"" delay "\"}"
#define EXHAUSTED(message, details) GEMINI("429", "RESOURCE_EXHAUSTED", message, details)
#define OPENROUTER(code, metadata) "{\"error\":{\"code\":" code ",\"message\":\"m\",\"metadata\":{" metadata "}}}"

static const struct row holysheep[] = {
    {429, NULL,
     "{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"Request quota exceeded. Retry after 1.2 "
     "seconds.\",\"param\":null,\"type\":\"rate_limit\",\"retry_after\":1.2}}",
     CLASS_RATE, 1200},
    {429, NULL, OPENAI("rate_limit", "rate_limit_exceeded"), CLASS_RATE, NONE},
    {500, NULL, CODE("server_error"), CLASS_SERVER, NONE},
    {429, NULL, CODE("server_error"), CLASS_RATE, NONE},
    {503, NULL, CODE("server_error"), CLASS_OVERLOAD, NONE},
    {400, NULL, CODE("timeout"), CLASS_SERVER, NONE},
    {504, NULL, CODE("timeout"), CLASS_SERVER, NONE},
    {401, NULL, CODE("authentication_error"), CLASS_AUTH, NONE},
    {400, NULL, CODE("authentication_error"), CLASS_AUTH, NONE},
    {400, NULL, CODE("validation_error"), CLASS_CLIENT, NONE},
    {422, NULL, CODE("validation_error"), CLASS_CLIENT, NONE},
    {429, NULL, CODE("quota_exceeded"), CLASS_QUOTA, NONE},
    {429, "retry-after: 3600", CODE("quota_exceeded"), CLASS_QUOTA, 3600000},
    {429, "x-ratelimit-reset: 784111807", CODE("quota_exceeded"), CLASS_QUOTA, NONE},
    {429, "x-ratelimit-reset: 1784111807", CODE("quota_exceeded"), CLASS_QUOTA,
     NONE}, /* the window's, not the quota's */
    {429, "x-ratelimit-reset: 1784111807", CODE("rate_limit_exceeded"), CLASS_RATE, 60000},
    {503, "x-ratelimit-reset: 1784111807", CODE("server_error"), CLASS_OVERLOAD, NONE},
    {500, "retry-after: 5", CODE("server_error"), CLASS_SERVER, NONE},
};

static const struct row openai[] = {
    {429, NULL, OPENAI("tokens", "rate_limit_exceeded"), CLASS_RATE, NONE},
    {429, "retry-after-ms: 494", OPENAI("requests", "rate_limit_exceeded"), CLASS_RATE, 494},
    {429, NULL, OPENAI("rate_limit_error", "slow_down"), CLASS_OVERLOAD, NONE},
    {429, "retry-after: 2", OPENAI("rate_limit_error", "slow_down"), CLASS_OVERLOAD, 2000},
    {503, NULL, OPENAI("service_unavailable_error", "server_is_overloaded"), CLASS_OVERLOAD, NONE},
    {503, "retry-after: 2", OPENAI("service_unavailable_error", "server_is_overloaded"), CLASS_OVERLOAD, 2000},
    {500, NULL, TYPE("service_unavailable_error"), CLASS_OVERLOAD, NONE},
    {429, NULL, OPENAI("insufficient_quota", "insufficient_quota"), CLASS_QUOTA, NONE},
    {429, NULL, OPENAI("insufficient_quota", "credit_balance_exhausted"), CLASS_QUOTA, NONE},
    {429, NULL, OPENAI("insufficient_quota", "organization_spend_limit_exceeded"), CLASS_QUOTA, NONE},
    {429, NULL, OPENAI("insufficient_quota", "project_spend_limit_exceeded"), CLASS_QUOTA, NONE},
    {429, NULL, OPENAI("insufficient_quota", "organization_usage_limit_exceeded"), CLASS_QUOTA, NONE},
    {429, NULL, CODE("organization_usage_limit_exceeded"), CLASS_QUOTA, NONE},
    {429, NULL, TYPE("insufficient_quota"), CLASS_QUOTA, NONE},
    {403, NULL, CODE("insufficient_quota"), CLASS_QUOTA, NONE},
    {401, NULL, OPENAI("invalid_request_error", "invalid_api_key"), CLASS_AUTH, NONE},
    {401, NULL, TYPE("invalid_request_error"), CLASS_AUTH, NONE},
    {403, NULL, OPENAI("request_forbidden", "unsupported_country_region_territory"), CLASS_SERVER, NONE},
    {403, NULL, "{\"error\":{\"message\":\"Country, region, or territory not supported\",\"code\":null}}", CLASS_SERVER,
     NONE},
    {403, NULL, OPENAI("invalid_request_error", "model_not_found"), CLASS_CLIENT, NONE},
    {404, NULL, OPENAI("invalid_request_error", "model_not_found"), CLASS_CLIENT, NONE},
    {400, NULL, OPENAI("invalid_request_error", "context_length_exceeded"), CLASS_CONTEXT, NONE},
    {413, NULL, CODE("context_length_exceeded"), CLASS_CONTEXT, NONE},
    {400, NULL, TYPE("invalid_request_error"), CLASS_CLIENT, NONE},
    {400, "x-should-retry: true", TYPE("invalid_request_error"), CLASS_SERVER, NONE},
    {400, "x-should-retry: false", TYPE("invalid_request_error"), CLASS_CLIENT, NONE},
    {400, "content-encoding: gzip", "\x1f\x8b", CLASS_INVALID, NONE},
    {400, "Content-Encoding: identity", TYPE("invalid_request_error"), CLASS_CLIENT, NONE},
    {401, "content-encoding: gzip", "\x1f\x8b", CLASS_AUTH, NONE},
    {400, NULL, OPENAI("invalid_request_error", "content_policy_violation"), CLASS_CLIENT, NONE},
    {403, NULL, CODE("content_policy_violation"), CLASS_CLIENT, NONE},
    {500, NULL, TYPE("server_error"), CLASS_SERVER, NONE},
    {400, NULL,
     "{\"error\":{\"message\":\"This model's maximum context length is 4096 tokens. However, you requested "
     "5000 tokens.\",\"type\":\"invalid_request_error\",\"code\":null}}",
     CLASS_CONTEXT, NONE},
};

static const struct row azure[] = {
    {429, NULL,
     "{\"error\":{\"code\":\"429\",\"message\":\"Requests to the ChatCompletions_Create Operation have exceeded "
     "token rate limit. Please retry after 37 seconds.\"}}",
     CLASS_RATE, 37000},
    {429, "x-ms-retry-after-ms: 36500", CODE("429"), CLASS_RATE, 36500},
    {429, "retry-after: 86400", CODE("429"), CLASS_QUOTA, 86400000},
    {429, "retry-after-ms: 86400000", CODE("429"), CLASS_QUOTA, 86400000},
    {429, NULL, "{\"error\":{\"code\":\"429\",\"message\":\"Please retry after 86400 seconds.\"}}", CLASS_QUOTA,
     86400000},
    {429, "retry-after: 86399", CODE("429"), CLASS_RATE, 86399000},
    {429, "retry-after: 100000", CODE("429"), CLASS_RATE, 100000000},
    {400, NULL, "{\"error\":{\"code\":\"content_filter\",\"status\":400,\"innererror\":{}}}", CLASS_CLIENT, NONE},
    {403, NULL, CODE("content_filter"), CLASS_CLIENT, NONE},
};

static const struct row anthropic[] = {
    {429, NULL, ANTHROPIC("rate_limit_error", "m"), CLASS_RATE, NONE},
    {429, "retry-after: 7", ANTHROPIC("rate_limit_error", "m"), CLASS_RATE, 7000},
    {529, NULL, ANTHROPIC("overloaded_error", "Overloaded"), CLASS_OVERLOAD, NONE},
    {529, "retry-after: 7", ANTHROPIC("overloaded_error", "Overloaded"), CLASS_OVERLOAD, 7000},
    {500, NULL, ANTHROPIC("overloaded_error", "Overloaded"), CLASS_OVERLOAD, NONE},
    {500, NULL, ANTHROPIC("api_error", "m"), CLASS_SERVER, NONE},
    {504, NULL, ANTHROPIC("timeout_error", "m"), CLASS_SERVER, NONE},
    {401, NULL, ANTHROPIC("authentication_error", "m"), CLASS_AUTH, NONE},
    {403, NULL, ANTHROPIC("permission_error", "m"), CLASS_AUTH, NONE},
    {403, NULL, ANTHROPIC("forbidden", "Access is not allowed from unsupported countries, regions, or territories."),
     CLASS_SERVER, NONE},
    {402, NULL, ANTHROPIC("billing_error", "m"), CLASS_QUOTA, NONE},
    {400, NULL, ANTHROPIC("billing_error", "m"), CLASS_QUOTA, NONE},
    {413, NULL, ANTHROPIC("request_too_large", "m"), CLASS_CLIENT, NONE},
    {413, NULL, "<html>413 Request Entity Too Large, cloudflare</html>", CLASS_CLIENT, NONE},
    {404, NULL, ANTHROPIC("not_found_error", "model: x"), CLASS_CLIENT, NONE},
    {429, NULL,
     "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"m\",\"details\":"
     "{\"error_code\":\"enforced_spend_limit_reached\"}}}",
     CLASS_QUOTA, INT64_C(2128223000)},
    {429, "date: Sat, 31 Dec 1994 23:59:59 GMT",
     "{\"error\":{\"type\":\"rate_limit_error\",\"details\":{\"error_code\":"
     "\"enforced_spend_limit_reached\"}}}",
     CLASS_QUOTA, 1000},
    {400, NULL,
     ANTHROPIC("invalid_request_error", "You have reached your specified API usage limits. You will regain "
                                        "access on 1994-12-01 at 00:00 UTC."),
     CLASS_QUOTA, INT64_C(2128223000)},
    {400, NULL, ANTHROPIC("invalid_request_error", "You have reached your specified workspace API usage limits."),
     CLASS_QUOTA, NONE},
    {400, NULL, ANTHROPIC("invalid_request_error", "You have reached your specified goal."), CLASS_CLIENT, NONE},
    {400, NULL, ANTHROPIC("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
     CLASS_QUOTA, NONE},
    {400, NULL, ANTHROPIC("invalid_request_error", "prompt is too long: 213462 tokens > 200000 maximum"), CLASS_CONTEXT,
     NONE},
    {400, NULL, ANTHROPIC("invalid_request_error", "input length and `max_tokens` exceed context limit: 9 + 9 > 9"),
     CLASS_CONTEXT, NONE},
    {400, NULL, ANTHROPIC("invalid_request_error", "max_tokens: 0 is too small"), CLASS_CLIENT, NONE},
};

static const struct row gemini[] = {
    {429, NULL, EXHAUSTED("Resource exhausted. Please try again later.", ""), CLASS_RATE, NONE}, /* Vertex */
    {429, NULL, "{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\"}}", CLASS_RATE, NONE},
    {429, NULL, EXHAUSTED("m", VIOLATES("GenerateRequestsPerMinutePerProjectPerModel") "," DELAY("47s")), CLASS_RATE,
     47000},
    {429, NULL, EXHAUSTED("m", VIOLATES("GenerateRequestsPerMinutePerProjectPerModel")), CLASS_RATE, 60000},
    {429, NULL, EXHAUSTED("Please retry in 46.3s.", ""), CLASS_RATE, 46300},
    {429, NULL, EXHAUSTED("Please retry in 4m59s.", ""), CLASS_RATE, 299000},
    {429, NULL, "[" EXHAUSTED("m", DELAY("47s")) "]", CLASS_RATE, 47000},
    /* By the day: the delay that comes with it is not that of the day. */
    {429, NULL, EXHAUSTED("m", VIOLATES("GenerateRequestsPerDayPerProjectPerModel-FreeTier")), CLASS_QUOTA_HERE,
     NONE},
    {429, NULL, EXHAUSTED("m", VIOLATES("GenerateRequestsPerDayPerProjectPerModel-FreeTier") "," DELAY("47s")),
     CLASS_QUOTA_HERE, NONE},
    /* HolySheep without any moment: nothing remaining makes it worse. */
    {429, "x-ratelimit-remaining: 0", "{\"error\":{\"code\":\"rate_limit_exceeded\"}}", CLASS_RATE, WAIT_TWICE},
    {429, "x-ratelimit-remaining: 7", "{\"error\":{\"code\":\"rate_limit_exceeded\"}}", CLASS_RATE, NONE},

    {429, NULL, EXHAUSTED("m", VIOLATES("APerMinute") "," VIOLATES("DailyLimit") "," DELAY("1s")), CLASS_QUOTA, NONE},
    {429, NULL, EXHAUSTED("m", VIOLATES("APerDay") "," DELAY("36685s")), CLASS_QUOTA, 36685000},
    {429, NULL, EXHAUSTED("m", DELAY("300s")), CLASS_RATE, 300000},
    {429, NULL, EXHAUSTED("m", DELAY("300.001s")), CLASS_QUOTA, 300001},
    {429, "retry-after: 1", EXHAUSTED("m", DELAY("301s")), CLASS_QUOTA, NONE},
    {429, NULL, EXHAUSTED("Please retry in 10h17m5.723541104s.", ""), CLASS_QUOTA, 37025724},
    {429, NULL, EXHAUSTED("Quota exceeded for metric: x, limit: 0, model: y\\nPlease retry in 46s.", DELAY("46s")),
     CLASS_QUOTA, NONE},
    {429, NULL, EXHAUSTED("limit: 20\\n* limit: 0", ""), CLASS_QUOTA, NONE},
    {429, NULL, EXHAUSTED("limit: 0.", ""), CLASS_QUOTA, NONE},
    {429, NULL, EXHAUSTED("limit: 0.5, limit: 05, limit: 20", ""), CLASS_RATE, NONE},
    {429, NULL, "{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"Rate limit: 0 requests left\"}}",
     CLASS_RATE, NONE},
    {503, NULL, GEMINI("503", "UNAVAILABLE", "The model is overloaded.", ""), CLASS_OVERLOAD, NONE},
    {500, NULL, GEMINI("500", "UNAVAILABLE", "m", ""), CLASS_OVERLOAD, NONE},
    {500, NULL, GEMINI("500", "INTERNAL", "m", ""), CLASS_SERVER, NONE},
    {504, NULL, GEMINI("504", "DEADLINE_EXCEEDED", "m", ""), CLASS_SERVER, NONE},
    {499, NULL, GEMINI("499", "CANCELLED", "m", ""), CLASS_SERVER, NONE},
    {400, NULL, GEMINI("400", "INVALID_ARGUMENT", "m", ""), CLASS_CLIENT, NONE},
    {400, NULL, GEMINI("400", "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", ""), CLASS_AUTH,
     NONE},
    {400, NULL, GEMINI("400", "FAILED_PRECONDITION", "User location is not supported for the API use.", ""),
     CLASS_SERVER, NONE},
    {400, NULL,
     GEMINI("400", "INVALID_ARGUMENT",
            "The input token count (1196265) exceeds the maximum number of tokens "
            "allowed (1048575).",
            ""),
     CLASS_CONTEXT, NONE},
    {401, NULL, GEMINI("401", "UNAUTHENTICATED", "m", ""), CLASS_AUTH, NONE},
    {403, NULL, GEMINI("403", "PERMISSION_DENIED", "m", ""), CLASS_AUTH, NONE},
    /* Interactions */
    {429, NULL, "{\"error\":{\"code\":\"too_many_requests\"}}", CLASS_RATE, NONE},
    {429, NULL, "{\"error\":{\"code\":\"rate_limit_exceeded\"}}", CLASS_RATE, NONE},
    {429, NULL, "{\"error\":{\"code\":\"quota_exceeded\"}}", CLASS_QUOTA, NONE},
    {503, NULL, "{\"error\":{\"code\":\"service_unavailable\"}}", CLASS_OVERLOAD, NONE},
    {402, NULL, "{\"error\":{\"code\":\"payment_required\"}}", CLASS_QUOTA, NONE},
};

static const struct row others[] = {
    /* DeepSeek */
    {402, NULL,
     "{\"error\":{\"message\":\"Insufficient Balance\",\"type\":\"unknown_error\",\"code\":"
     "\"invalid_request_error\"}}",
     CLASS_QUOTA, NONE},
    {422, NULL, TYPE("invalid_request_error"), CLASS_CLIENT, NONE},
    {429, NULL, "", CLASS_RATE, NONE},
    {503, NULL, "", CLASS_OVERLOAD, NONE},
    {500, NULL, "", CLASS_SERVER, NONE},
    /* OpenRouter */
    {429, "retry-after: 3", OPENROUTER("429", "\"provider_name\":\"x\""), CLASS_RATE, 3000},
    {402, NULL, OPENROUTER("402", ""), CLASS_QUOTA, NONE},
    {402, "retry-after: 3", OPENROUTER("402", "\"limit_source\":\"openrouter_in_flight_budget\""), CLASS_RATE, 3000},
    {402, NULL, OPENROUTER("402", "\"limit_source\":\"openrouter_in_flight_budget\""), CLASS_QUOTA, NONE},
    {402, "retry-after: 3", OPENROUTER("402", "\"limit_source\":\"key_limit\""), CLASS_QUOTA, 3000},
    {402, "retry-after: 3", OPENROUTER("402", "\"limit_source\":null"), CLASS_QUOTA, 3000},
    {408, NULL, OPENROUTER("408", ""), CLASS_SERVER, NONE},
    {502, NULL, OPENROUTER("502", ""), CLASS_SERVER, NONE},
    {503, NULL, OPENROUTER("503", ""), CLASS_OVERLOAD, NONE},
    {403, NULL,
     "{\"error\":{\"code\":403,\"message\":\"x requires moderation. Your input was flagged for \\\"y\\\".\"}}",
     CLASS_CLIENT, NONE},
    {403, NULL, OPENROUTER("403", ""), CLASS_AUTH, NONE},
    /* Mistral */
    {429, NULL,
     "{\"object\":\"error\",\"message\":\"Rate limit exceeded\",\"type\":\"rate_limited\",\"param\":null,"
     "\"code\":\"1300\",\"raw_status_code\":429}",
     CLASS_RATE, NONE},
    {500, NULL, "{\"object\":\"error\",\"message\":\"Rate limit exceeded\",\"code\":\"1300\"}", CLASS_RATE, NONE},
    {500, NULL, "{\"object\":\"error\",\"message\":\"Rate limit exceeded\",\"type\":\"rate_limited\"}", CLASS_RATE,
     NONE},
    {429, "retry-after: 1", "{\"message\":\"Requests rate limit exceeded\"}", CLASS_RATE, 1000},
    {401, NULL, "{\"message\":\"Unauthorized\"}", CLASS_AUTH, NONE},
    {400, NULL,
     "{\"object\":\"error\",\"message\":\"Prompt contains 40000 tokens, too large for model with 32768 maximum "
     "context length\",\"type\":\"invalid_request_error\",\"code\":\"3051\"}",
     CLASS_CONTEXT, NONE},
    /* Groq */
    {429, NULL,
     "{\"error\":{\"message\":\"Rate limit reached. Please try again in 5.289s\",\"type\":\"tokens\",\"code\":"
     "\"rate_limit_exceeded\"}}",
     CLASS_RATE, 5289},
    {413, NULL, OPENAI("tokens", "rate_limit_exceeded"), CLASS_CLIENT, NONE},
    {498, NULL, "", CLASS_OVERLOAD, NONE},
    /* Statuses of no provider in particular. */
    {300, NULL, "", CLASS_INVALID, NONE},
    {302, NULL, TYPE("t"), CLASS_INVALID, NONE},
    {399, NULL, "", CLASS_INVALID, NONE},
    {100, NULL, "", CLASS_INVALID, NONE},
    {0, NULL, "", CLASS_INVALID, NONE},
    {-1, NULL, "", CLASS_INVALID, NONE},
    {200, NULL, "", CLASS_OK, NONE},
    {418, NULL, "", CLASS_CLIENT, NONE},
    {524, NULL, "<html>A timeout occurred</html>", CLASS_SERVER, NONE},
    {999, NULL, "", CLASS_SERVER, NONE},
};

/* Errors in bodies and streams that began as a success. */
static const struct row in_success[] = {
    {200, NULL, "{\"error\":{\"type\":\"tokens_limit_exceeded\",\"message\":\"m\"}}", CLASS_QUOTA,
     NONE}, /* HolySheep */
    {200, NULL, CODE("quota_exceeded"), CLASS_QUOTA, NONE},
    {200, NULL, "{\"error\":{\"code\":\"rate_limit_exceeded\",\"retry_after\":1.2}}", CLASS_RATE, 1200},
    {200, NULL, ANTHROPIC("overloaded_error", "Overloaded"), CLASS_OVERLOAD, NONE},
    {200, NULL, ANTHROPIC("api_error", "m"), CLASS_SERVER, NONE},
    {200, NULL, ANTHROPIC("rate_limit_error", "m"), CLASS_RATE, NONE},
    {200, NULL, ANTHROPIC("invalid_request_error", "m"), CLASS_CLIENT, NONE},
    {200, NULL, ANTHROPIC("invalid_request_error", "prompt is too long"), CLASS_CONTEXT, NONE},
    {200, NULL, OPENAI("invalid_request_error", "invalid_api_key"), CLASS_AUTH, NONE},
    {200, NULL, TYPE("server_error"), CLASS_SERVER, NONE},
    {200, NULL, OPENROUTER("429", ""), CLASS_RATE, NONE},
    {200, "retry-after: 3", OPENROUTER("429", ""), CLASS_RATE, 3000},
    {200, NULL, OPENROUTER("502", ""), CLASS_SERVER, NONE},
    {200, NULL, OPENROUTER("503", ""), CLASS_OVERLOAD, NONE},
    {200, NULL, OPENROUTER("402", ""), CLASS_QUOTA, NONE},
    {200, "retry-after: 3", OPENROUTER("402", "\"limit_source\":\"openrouter_in_flight_budget\""), CLASS_RATE, 3000},
    {200, NULL, OPENROUTER("400", ""), CLASS_CLIENT, NONE},
    {200, NULL, OPENROUTER("200", ""), CLASS_INVALID, NONE},
    {200, NULL, OPENROUTER("-429", ""), CLASS_INVALID, NONE},
    {200, NULL, OPENROUTER("429.5", ""), CLASS_INVALID, NONE},
    {200, NULL, OPENROUTER("4e2", ""), CLASS_INVALID, NONE},
    {200, NULL, OPENROUTER("99999999999999999999999", ""), CLASS_INVALID, NONE},
    {200, NULL, EXHAUSTED("m", VIOLATES("APerDay") "," DELAY("47s")), CLASS_QUOTA, NONE},
    {200, NULL, EXHAUSTED("m", DELAY("47s")), CLASS_RATE, 47000},
    {200, NULL, "[" GEMINI("503", "UNAVAILABLE", "m", "") "]", CLASS_OVERLOAD, NONE},
    {200, NULL, "{\"event_type\":\"error\",\"error\":{\"code\":\"service_unavailable\"}}", CLASS_OVERLOAD, NONE},
    {200, NULL,
     "{\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"Please try again in 2s.\",\"param\":null,"
     "\"sequence_number\":3}",
     CLASS_RATE, 2000},
    {200, NULL, "{\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}}",
     CLASS_SERVER, NONE},
    {200, NULL, "{\"error\":{\"message\":\"Insufficient Balance\"}}", CLASS_QUOTA, NONE},
    {200, NULL, CODE("context_length_exceeded"), CLASS_CONTEXT, NONE},
    {200, NULL, CODE("content_filter"), CLASS_CLIENT, NONE},
    {200, NULL, "{\"error\":\"something\"}", CLASS_INVALID, NONE},
    {200, NULL, "{\"error\":{}}", CLASS_INVALID, NONE},
    {200, NULL, CODE("never_seen"), CLASS_INVALID, NONE},
    /* No error. */
    {200, NULL, "{\"choices\":[{\"message\":{\"content\":\"insufficient_quota\"}}],\"error\":null}", CLASS_OK, NONE},
    {200, NULL, "{\"id\":\"x\",\"object\":\"chat.completion\",\"model\":\"m\"}", CLASS_OK, NONE},
    {200, NULL, "{\"object\":\"response\",\"status\":\"completed\",\"error\":null,\"output\":[]}", CLASS_OK, NONE},
    {200, NULL, "{\"message\":\"no mark of an error\",\"code\":\"insufficient_quota\"}", CLASS_OK, NONE},
    {200, NULL, "{\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}", CLASS_OK, NONE},
    {200, NULL, "[DONE]", CLASS_OK, NONE},
    {200, NULL, "", CLASS_OK, NONE},
    {200, NULL, "{\"error\":{\"code\":\"insufficient_quota\"", CLASS_OK, NONE}, /* cut: whoever sees that says so */
};

static void knows_every_provider(void **state)
{
    (void)state;
    check(classify_response, holysheep, COUNT(holysheep));
    check(classify_response, openai, COUNT(openai));
    check(classify_response, azure, COUNT(azure));
    check(classify_response, anthropic, COUNT(anthropic));
    check(classify_response, gemini, COUNT(gemini));
    check(classify_response, others, COUNT(others));
}

static void knows_errors_in_a_success(void **state)
{
    (void)state;
    check(classify_error_body, in_success, COUNT(in_success));
}

/* A code is a whole string: nothing longer, shorter, of another type, or in another place. */
static void takes_no_likeness_for_a_code(void **state)
{
    static const struct row rows[] = {
        {429, NULL, CODE("insufficient_quota_"), CLASS_RATE, NONE},
        {429, NULL, CODE("insufficient_quot"), CLASS_RATE, NONE},
        {429, NULL, CODE("Insufficient_Quota"), CLASS_RATE, NONE},
        {429, NULL, CODE("insufficient_quota\\u0000"), CLASS_RATE, NONE},
        {429, NULL, CODE("insufficient\\u005fquota"), CLASS_QUOTA, NONE},
        {429, NULL, "{\"error\":{\"code\":[\"insufficient_quota\"]}}", CLASS_RATE, NONE},
        {429, NULL, "{\"error\":{\"message\":\"insufficient_quota\"}}", CLASS_RATE, NONE},
        {429, NULL, "{\"error\":{\"param\":\"insufficient_quota\"}}", CLASS_RATE, NONE},
        {429, NULL, "{\"error\":{\"details\":[{\"error_code\":\"enforced_spend_limit_reached\"}]}}", CLASS_RATE, NONE},
        {429, NULL, "{\"error\":{\"details\":\"PerDay\"}}", CLASS_RATE, NONE},
        {500, NULL, "{\"error\":{\"code\":1300}}", CLASS_SERVER, NONE},
        {429, NULL, "{\"error\":[]}", CLASS_RATE, NONE},
        {429, NULL, "[[[[[[", CLASS_RATE, NONE},
        {429, NULL, "\xff\xfe{}", CLASS_RATE, NONE},
    };
    (void)state;
    check(classify_response, rows, COUNT(rows));
}

static uint32_t draw(uint32_t below)
{
    static uint64_t s = 20260701;
    s = s * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(s >> 33) % below;
}

/* Bodies with bytes exchanged and ends cut off: some class, and a wait only where one means something. */
static void survives_damage(void **state)
{
    static const struct {
        const struct row *rows;
        size_t count;
    } tables[] = {{anthropic, COUNT(anthropic)},
                  {gemini, COUNT(gemini)},
                  {others, COUNT(others)},
                  {in_success, COUNT(in_success)}};
    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t t = draw(COUNT(tables));
        const struct row *row = &tables[t].rows[draw((uint32_t)tables[t].count)];
        size_t len = strlen(row->body);
        len = draw(4) == 0 ? draw((uint32_t)len + 1) : len;
        char *copy = malloc(len > 0 ? len : 1);
        assert_non_null(copy);
        memcpy(copy, row->body, len);
        for (uint32_t n = draw(4); n > 0 && len > 0; n--)
            copy[draw((uint32_t)len)] = "0129.-\"{}[],:\\ \0\xff"[draw(17)];
        struct str body = {copy, len};
        struct verdict v = row->status == 200 ? classify_error_body(200, NULL, 0, body, THEN)
                                              : classify_response(row->status, NULL, 0, body, THEN);
        assert_in_range(v.class, CLASS_OK, CLASS_INVALID);
        assert_true(row->status == 200 || v.class != CLASS_OK);
        bool waits = v.class == CLASS_RATE || v.class == CLASS_OVERLOAD || v.class == CLASS_QUOTA;
        assert_true(v.wait_ms == NONE || (waits && v.wait_ms >= 0 && v.wait_ms <= WAIT_MAX_MS));
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_every_provider),
        cmocka_unit_test(knows_errors_in_a_success),
        cmocka_unit_test(takes_no_likeness_for_a_code),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
