#include "gatewayd/classify.h"

#include "gatewayd/classify_codes.h"
#include "gatewayd/wait.h"

/*
 * Decided by the error's code before its status, because providers use 429 for three different things; by the status
 * before the transport's end, because an answer that came is an answer. What a provider says without a name for it, by
 * the length of its wait or the quota it found empty, is looked at last.
 */

enum { DAY_MS = 86400 * 1000, TERMINAL_MS = 300 * 1000 };

const char *classify_name(enum outcome_class class)
{
    static const char *const names[] = {
        [CLASS_OK] = "ok",           [CLASS_CLIENT] = "refused",      [CLASS_CONTEXT] = "context",
        [CLASS_AUTH] = "auth",       [CLASS_QUOTA] = "quota",         [CLASS_RATE] = "rate",
        [CLASS_QUOTA_HERE] = "modelquota",
        [CLASS_OVERLOAD] = "overload", [CLASS_SERVER] = "server",     [CLASS_INVALID] = "invalid",
        [CLASS_SILENCE] = "silence", [CLASS_TRANSPORT] = "transport", [CLASS_CUT] = "cut",
        [CLASS_STALE] = "stale",     [CLASS_LOCAL] = "local",       [CLASS_ABORT] = "abort",
    };
    return names[class];
}

static enum outcome_class class_of_status(int status)
{
    static const struct {
        int status;
        enum outcome_class class;
    } named[] = {
        {401, CLASS_AUTH},     {402, CLASS_QUOTA},    {403, CLASS_AUTH},     {408, CLASS_SERVER},
        {409, CLASS_SERVER},   {429, CLASS_RATE},     {503, CLASS_OVERLOAD}, {529, CLASS_OVERLOAD}, /* Anthropic */
        {498, CLASS_OVERLOAD}, /* Groq: no flex capacity */
        {499, CLASS_SERVER},   /* Gemini: cancelled, and not by us */
    };
    /* By hundreds. A redirect is not followed: it would carry the credential to wherever it points. */
    static const enum outcome_class rest[] = {CLASS_INVALID, CLASS_INVALID, CLASS_OK,
                                              CLASS_INVALID, CLASS_CLIENT,  CLASS_SERVER};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (named[i].status == status)
            return named[i].class;
    return status < 0 ? CLASS_INVALID : status >= 600 ? CLASS_SERVER : rest[status / 100];
}

/* One answer, and what it says is wrong. */
struct refusal {
    int status; /* the one its body names, when the response's own is a success */
    const struct http_header *headers;
    unsigned count;
    struct str body;
    int64_t now_real_s;
    struct json_error error;
    int64_t asked_ms; /* the wait it asks for, counters aside */
};

static bool digit_at(struct str s, size_t i)
{
    return i < s.len && s.at[i] >= '0' && s.at[i] <= '9';
}

/* "limit: 0", and neither "limit: 05" nor "limit: 0.5". */
static bool has_limit_of_nothing(struct str message)
{
    for (message = json_error_after(message, STR("limit: 0")); message.at;
         message = json_error_after(message, STR("limit: 0")))
        if (!digit_at(message, 0) && !(digit_at(message, 1) && message.at[0] == '.'))
            return true;
    return false;
}

/* Gemini has one status for all its limits. One by the day, one of nothing at all (a tier without the model) and one
 * whose wait is long are no limits of rate. */
static bool is_gemini_quota(const struct refusal *r)
{
    if (json_error_violates(&r->error, STR("PerDay")) || json_error_violates(&r->error, STR("Daily")) ||
        wait_retry_info(&r->error) > TERMINAL_MS)
        return true;
    if (!json_str_eq(r->error.status, STR("RESOURCE_EXHAUSTED")) || r->error.message.type != JSON_STRING)
        return false;
    return r->asked_ms > TERMINAL_MS || has_limit_of_nothing(r->error.message.text);
}

/* Its limits by the day are mostly of one model. */
static bool is_gemini_model_quota(const struct refusal *r)
{
    return is_gemini_quota(r) && json_error_violates(&r->error, STR("PerModel"));
}

/* Azure says "come back tomorrow" with the wait of a rate limit. */
static bool is_azure_quota(const struct refusal *r)
{
    return r->asked_ms == DAY_MS;
}

/* OpenRouter uses 402 also for money that other requests under way have only set aside, and then says for how long. */
static bool is_openrouter_rate(const struct refusal *r)
{
    return r->status == 402 && r->error.metadata.type == JSON_OBJECT && r->asked_ms != GWS_NO_WAIT &&
           json_str_eq(json_path(r->error.metadata.text, "limit_source"), STR("openrouter_in_flight_budget"));
}

/* Groq refuses a request that is larger than its limit of tokens with the limit's code: waiting does not shrink it. */
static bool is_too_large(const struct refusal *r)
{
    return r->status == 413;
}

/* OpenAI and Anthropic tell their libraries when a refusal is only for the moment. */
static bool is_momentary(const struct refusal *r)
{
    return str_eq_nocase(http_header_find(r->headers, r->count, STR("x-should-retry")), STR("true"));
}

/* Nobody asked for an encoding, so nobody can read what is wrong with the request, or whether anything is. */
static bool is_unreadable(const struct refusal *r)
{
    struct str encoding = http_header_find(r->headers, r->count, STR("content-encoding"));
    return encoding.len > 0 && !str_eq_nocase(encoding, STR("identity"));
}

/* What is one class by name and another on a closer look; the first row that holds. */
static enum outcome_class look_closer(const struct refusal *r, enum outcome_class class)
{
    static const struct {
        enum outcome_class from, to;
        bool (*holds)(const struct refusal *r);
    } rows[] = {
        {CLASS_RATE, CLASS_CLIENT, is_too_large},     {CLASS_RATE, CLASS_QUOTA_HERE, is_gemini_model_quota},
        {CLASS_RATE, CLASS_QUOTA, is_gemini_quota},
        {CLASS_RATE, CLASS_QUOTA, is_azure_quota},    {CLASS_QUOTA, CLASS_RATE, is_openrouter_rate},
        {CLASS_CLIENT, CLASS_SERVER, is_momentary},   {CLASS_CLIENT, CLASS_INVALID, is_unreadable},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].from == class && rows[i].holds(r))
            return rows[i].to;
    return class;
}

/* Gemini sends the delay of its limits by the minute with every refusal, one by the day included. */
static int64_t quota_wait(const struct refusal *r)
{
    if (r->asked_ms == GWS_NO_WAIT && classify_codes_monthly(&r->error))
        return wait_until_next_month(r->headers, r->count, r->now_real_s);
    return r->asked_ms <= TERMINAL_MS && is_gemini_quota(r) ? GWS_NO_WAIT : r->asked_ms;
}

/* HolySheep may leave out when a window ends, and then its counter says how serious it is. */
static int64_t rate_wait(const struct refusal *r)
{
    int64_t wait = wait_find(r->headers, r->count, r->body, r->now_real_s);
    struct str left = http_header_find(r->headers, r->count, STR("x-ratelimit-remaining"));
    return wait == GWS_NO_WAIT && str_eq(left, STR("0")) ? WAIT_TWICE : wait;
}

static int64_t wait_of(const struct refusal *r, enum outcome_class class)
{
    switch (class) {
    case CLASS_RATE:
        return rate_wait(r);
    case CLASS_OVERLOAD:
        return r->asked_ms;
    case CLASS_QUOTA:
    case CLASS_QUOTA_HERE:
        return quota_wait(r);
    default:
        return GWS_NO_WAIT;
    }
}

static struct verdict judge(struct refusal *r, int status)
{
    r->asked_ms = wait_asked(r->headers, r->count, &r->error, r->now_real_s);
    enum outcome_class class = look_closer(r, classify_codes(&r->error, class_of_status(r->status)));
    return (struct verdict){class, wait_of(r, class), status};
}

struct verdict classify_response(int status, const struct http_header *headers, unsigned count, struct str body,
                                 int64_t now_real_s)
{
    struct refusal r = {status, headers, count, body, now_real_s, {0}, GWS_NO_WAIT};
    json_error_find(body, &r.error);
    return judge(&r, status);
}

/* OpenRouter, Gemini and vLLM make the status they would have sent the error's code; 0 for any other code. */
static int status_of_code(struct json_value code)
{
    uint64_t status;
    bool number = (code.type == JSON_NUMBER || code.type == JSON_STRING) && str_to_u64(code.text, &status);
    return number && status >= 400 && status < 600 ? (int)status : 0;
}

struct verdict classify_error_body(int status, const struct http_header *headers, unsigned count, struct str body,
                                   int64_t now_real_s)
{
    struct refusal r = {status, headers, count, body, now_real_s, {0}, GWS_NO_WAIT};
    if (!json_error_find(body, &r.error) || !r.error.marked)
        return (struct verdict){CLASS_OK, GWS_NO_WAIT, status};
    r.status = status_of_code(r.error.code);
    return judge(&r, status);
}

struct verdict classify_end(enum upstream_end end)
{
    static const enum outcome_class classes[] = {
        [UPSTREAM_LOCAL] = CLASS_LOCAL,
        [UPSTREAM_COMPLETE] = CLASS_OK,         [UPSTREAM_STALE] = CLASS_STALE,   [UPSTREAM_CONNECT] = CLASS_TRANSPORT,
        [UPSTREAM_TLS] = CLASS_TRANSPORT,       [UPSTREAM_RESET] = CLASS_TRANSPORT, [UPSTREAM_CUT] = CLASS_CUT,
        [UPSTREAM_MALFORMED] = CLASS_INVALID,   [UPSTREAM_ABORTED] = CLASS_ABORT,
    };
    return (struct verdict){classes[end], GWS_NO_WAIT, 0};
}

bool classify_fails_over(enum outcome_class class)
{
    return class != CLASS_OK && class != CLASS_CLIENT && class != CLASS_CONTEXT && class != CLASS_ABORT;
}
