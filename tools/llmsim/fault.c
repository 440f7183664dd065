/*
 * The table of faults, the notation they are written in and the choice of one for a request. Everything here depends on
 * its arguments alone: the same seed, faults and order of requests give the same failures, so a failing run can be run
 * again.
 */

#include "tools/llmsim/fault.h"

#include <stdio.h>
#include <time.h>

#include "tools/llmsim/shape.h"
#include "tools/llmsim/sim.h"
#include "tools/llmsim/spec.h"

#define RATE_MESSAGE "Rate limit reached. Please slow down."
#define QUOTA_MESSAGE "You exceeded your current quota, please check your plan and billing details."

/* The first one is the plain 429, which alone can take the shape of other providers' bodies. */
static const struct fault_kind kinds[] = {
    {"429", EFFECT_ERROR, TAKES_NOTHING, 0, 429, "requests", "rate_limit_exceeded", RATE_MESSAGE, "rate_limit_error"},
    {"insufficient-quota", EFFECT_ERROR, TAKES_NOTHING, 0, 429, "insufficient_quota", "insufficient_quota",
     QUOTA_MESSAGE, "rate_limit_error"},
    {"slow-down", EFFECT_ERROR, TAKES_NOTHING, 0, 429, "rate_limit_error", "slow_down",
     "You are sending requests too quickly. Slow down.", "rate_limit_error"},
    {"400", EFFECT_ERROR, TAKES_NOTHING, 0, 400, "invalid_request_error", "invalid_value",
     "Invalid value in the request.", "invalid_request_error"},
    {"context-length", EFFECT_ERROR, TAKES_NOTHING, 0, 400, "invalid_request_error", "context_length_exceeded",
     "This model's maximum context length is 8192 tokens. Please reduce the length of the messages.",
     "invalid_request_error"},
    {"content-filter", EFFECT_ERROR, TAKES_NOTHING, 0, 400, "invalid_request_error", "content_filter",
     "The response was filtered due to the prompt triggering the content management policy.", "invalid_request_error"},
    {"401", EFFECT_ERROR, TAKES_NOTHING, 0, 401, "authentication_error", "invalid_api_key",
     "Incorrect API key provided.", "authentication_error"},
    {"402", EFFECT_ERROR, TAKES_NOTHING, 0, 402, "billing_error", "insufficient_balance", "Insufficient Balance",
     "billing_error"},
    {"403", EFFECT_ERROR, TAKES_NOTHING, 0, 403, "permission_error", "permission_denied",
     "You do not have permission to use this model.", "permission_error"},
    {"404", EFFECT_ERROR, TAKES_NOTHING, 0, 404, "invalid_request_error", "model_not_found",
     "The model does not exist.", "not_found_error"},
    {"500", EFFECT_ERROR, TAKES_NOTHING, 0, 500, "server_error", "internal_error",
     "The server had an error while processing your request.", "api_error"},
    {"502", EFFECT_ERROR, TAKES_NOTHING, 0, 502, "server_error", "bad_gateway", "Bad gateway.", "api_error"},
    {"503", EFFECT_ERROR, TAKES_NOTHING, 0, 503, "service_unavailable_error", "server_is_overloaded",
     "The server is currently overloaded.", "overloaded_error"},
    {"504", EFFECT_ERROR, TAKES_NOTHING, 0, 504, "server_error", "timeout", "Gateway timeout.", "timeout_error"},
    {"529", EFFECT_ERROR, TAKES_NOTHING, 0, 529, "overloaded_error", "overloaded", "Overloaded", "overloaded_error"},
    {"reset", EFFECT_RESET, TAKES_NOTHING, 0, 0, NULL, NULL, NULL, NULL},
    {"silence", EFFECT_SILENCE, TAKES_NOTHING, 0, 0, NULL, NULL, NULL, NULL},
    {"close-idle", EFFECT_CLOSE_IDLE, TAKES_NOTHING, 0, 0, NULL, NULL, NULL, NULL},
    {"slow-first", EFFECT_SLOW_FIRST, TAKES_DURATION, 0, 0, NULL, NULL, NULL, NULL},
    {"slow-body", EFFECT_SLOW_BODY, TAKES_DURATION, 0, 0, NULL, NULL, NULL, NULL},
    {"stall", EFFECT_STALL, TAKES_TOKEN, 1, 0, NULL, NULL, NULL, NULL},
    {"cut", EFFECT_CUT, TAKES_TOKEN, 1, 0, NULL, NULL, NULL, NULL},
    {"bad-event", EFFECT_BAD_EVENT, TAKES_TOKEN, 1, 0, NULL, NULL, NULL, NULL},
    {"no-done", EFFECT_NO_DONE, TAKES_NOTHING, 0, 0, NULL, NULL, NULL, NULL},
    {"error-in-200", EFFECT_ERROR_IN_200, TAKES_TOKEN, 0, 0, "server_error", "server_error",
     "The server had an error while processing your request.", "overloaded_error"},
    {"quota-in-200", EFFECT_ERROR_IN_200, TAKES_TOKEN, 0, 0, "tokens_limit_exceeded", "quota_exceeded",
     "Token quota exceeded.", "rate_limit_error"},
    {"empty", EFFECT_EMPTY, TAKES_NOTHING, 0, 0, NULL, NULL, NULL, NULL},
};

/* Where the wait of a 429 or 503 may stand: one row per way that providers name it. `%s` is the value as written. */
enum wait_place { IN_HEADERS, IN_MEMBERS, IN_MESSAGE, AS_DATE, AS_EPOCH, AS_RFC3339 };

struct wait_format {
    const char *name;
    enum wait_place place;
    const char *before, *after;
};

static const struct wait_format wait_formats[] = {
    {"retry-after", IN_HEADERS, "retry-after: ", "\r\n"},
    {"retry-after-ms", IN_HEADERS, "retry-after-ms: ", "\r\n"},
    {"x-ms-retry-after-ms", IN_HEADERS, "x-ms-retry-after-ms: ", "\r\n"},
    {"date", AS_DATE, "retry-after: ", "\r\n"},
    {"body", IN_MEMBERS, ",\"retry_after\":", ",\"request_id\":\"hs_req_7f3a9b2c4d8e\""},
    {"gemini", IN_MEMBERS,
     ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"", "\"}]"},
    {"message", IN_MESSAGE, " Please try again in ", "."},
    {"azure", IN_MESSAGE, " Please retry after ", " seconds."},
    {"reset", IN_HEADERS, "x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: ", "\r\n"},
    {"epoch", AS_EPOCH, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: ", "\r\n"},
    {"anthropic", AS_RFC3339,
     "anthropic-ratelimit-requests-remaining: 0\r\nanthropic-ratelimit-requests-reset: ", "\r\n"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

double fault_random(uint64_t *state)
{
    /* splitmix64: one word of state, so the sequence is fixed by the seed alone and starts anew on a reset. */
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static bool copy_text(struct str s, char *out, size_t size)
{
    if (s.len == 0 || s.len >= size)
        return false;
    memcpy(out, s.at, s.len);
    out[s.len] = '\0';
    return true;
}

static bool parse_on(struct str value, unsigned *apis)
{
    if (str_eq(value, STR("post"))) {
        *apis = (1u << API_MODELS) - 1;
        return true;
    }
    for (enum api api = API_CHAT; api <= API_OTHER; api++) {
        if (str_eq(value, str_of(api_paths[api].name))) {
            *apis = 1u << api;
            return true;
        }
    }
    return false;
}

static bool parse_option(struct str part, struct fault *out)
{
    const char *equals = memchr(part.at, '=', part.len);
    double number;

    if (!equals)
        return false;
    struct str name = {part.at, (size_t)(equals - part.at)};
    struct str value = {equals + 1, part.len - name.len - 1};
    if (str_eq(name, STR("model")))
        return copy_text(value, out->model, sizeof(out->model));
    if (str_eq(name, STR("as")) && out->kind == &kinds[0]) {
        out->shape = shape_find(value);
        return out->shape != NULL;
    }
    if (str_eq(name, STR("on")))
        return parse_on(value, &out->apis);
    for (size_t i = 0; i < COUNT(wait_formats); i++) {
        const struct wait_format *format = &wait_formats[i];
        if (!str_eq(name, str_of(format->name)))
            continue;
        bool numeric = format->place != IN_HEADERS && format->place != IN_MESSAGE && !str_eq(name, STR("gemini"));
        if (out->kind->effect != EFFECT_ERROR || out->wait_count == FAULT_WAITS_MAX ||
            (numeric && !spec_decimal(value, &number)))
            return false;
        out->waits[out->wait_count].format = format;
        return copy_text(value, out->waits[out->wait_count++].value, sizeof(out->waits[0].value));
    }
    return false;
}

/* "10s..70s", with either end left out. */
static bool parse_window(struct str part, struct fault *out)
{
    const char *dots = memmem(part.at, part.len, "..", 2);
    struct str from = {part.at, (size_t)(dots - part.at)};
    struct str until = {dots + 2, part.len - from.len - 2};

    return (from.len == 0 || spec_duration(from, &out->from_ms)) &&
           (until.len == 0 || spec_duration(until, &out->until_ms)) && out->from_ms < out->until_ms;
}

static bool parse_part(char mark, struct str part, struct fault *out)
{
    uint64_t number;

    switch (mark) {
    case '=':
        return out->kind->takes == TAKES_DURATION && spec_duration(part, &out->duration_ms);
    case ':':
        return spec_percent(part, &out->chance);
    case '#':
        out->counted = true;
        return spec_count(part, UINT32_MAX, &out->left);
    case '/':
        return parse_option(part, out);
    default:
        if (memmem(part.at, part.len, "..", 2))
            return parse_window(part, out);
        if (out->kind->takes != TAKES_TOKEN || !spec_count(part, UINT32_MAX, &number))
            return false;
        out->token = (unsigned)number;
        return true;
    }
}

static const struct fault_kind *kind_of(struct str name)
{
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (str_eq(name, str_of(kinds[i].name)))
            return &kinds[i];
    }
    return NULL;
}

static void unknown_kind(struct str name, char *why, size_t why_size)
{
    int at = snprintf(why, why_size, "no fault is called '%.*s'; known are", (int)name.len, name.at);

    for (size_t i = 0; i < COUNT(kinds) && at > 0 && (size_t)at < why_size; i++)
        at += snprintf(why + at, why_size - (size_t)at, " %s", kinds[i].name);
}

bool fault_parse(const char *text, struct fault *out, char *why, size_t why_size)
{
    struct fault f = {.chance = 1, .until_ms = INT64_MAX, .apis = (1u << API_CONTROL) - 1, .duration_ms = -1};
    size_t len = strcspn(text, "=:#/@");

    if (!copy_text(str_of(text), f.text, sizeof(f.text))) {
        snprintf(why, why_size, "a fault is between 1 and %zu characters long", sizeof(f.text) - 1);
        return false;
    }
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c <= ' ' || *c == '"' || *c == '\\' || (unsigned char)*c >= 0x7f) {
            snprintf(why, why_size, "a fault is written without blanks, quotes or special characters");
            return false;
        }
    }
    f.kind = kind_of((struct str){text, len});
    if (!f.kind) {
        unknown_kind((struct str){text, len}, why, why_size);
        return false;
    }
    f.token = f.kind->token;
    for (const char *at = text + len; *at;) {
        char mark = *at++;
        struct str part = {at, strcspn(at, mark == '/' ? ":#/@" : "=:#/@")};
        if (!parse_part(mark, part, &f)) {
            snprintf(why, why_size, "fault '%s': '%c%.*s' means nothing to %s", text, mark, (int)part.len, part.at,
                     f.kind->name);
            return false;
        }
        at += part.len;
    }
    if (f.kind->takes == TAKES_DURATION && f.duration_ms < 0) {
        snprintf(why, why_size, "fault '%s' needs a duration, like %s=5s", text, f.kind->name);
        return false;
    }
    *out = f;
    return true;
}

const struct fault *fault_pick(struct fault_set *set, const struct fault_ask *ask, uint64_t *random)
{
    int64_t age = ask->now_ms - set->since_ms;

    for (unsigned i = 0; i < set->count; i++) {
        struct fault *f = &set->list[i];
        if ((f->kind->effect == EFFECT_CLOSE_IDLE) != ask->early || !(f->apis >> ask->api & 1))
            continue;
        if (age < f->from_ms || age >= f->until_ms || (f->counted && f->left == 0))
            continue;
        if (f->model[0] && !str_eq(ask->model, str_of(f->model)))
            continue;
        if (f->chance < 1 && fault_random(random) >= f->chance)
            continue;
        if (f->counted)
            f->left--;
        return f;
    }
    return NULL;
}

static void add_moment(struct buf *out, enum wait_place place, int64_t epoch_s, double wait)
{
    char date[32];
    time_t at = (time_t)(epoch_s + (int64_t)(wait + 0.999));
    struct tm tm;

    gmtime_r(&at, &tm);
    if (place == AS_EPOCH)
        sim_must(buf_addf(out, "%lld", (long long)at));
    else if (strftime(date, sizeof(date), place == AS_DATE ? "%a, %d %b %Y %H:%M:%S GMT" : "%Y-%m-%dT%H:%M:%SZ", &tm))
        sim_must(buf_add_str(out, str_of(date)));
}

void fault_waits(const struct fault *f, int64_t epoch_s, struct buf *headers, struct buf *members, struct buf *message)
{
    for (unsigned i = 0; i < f->wait_count; i++) {
        const struct wait_format *format = f->waits[i].format;
        struct str value = str_of(f->waits[i].value);
        struct buf *out = format->place == IN_MEMBERS ? members : format->place == IN_MESSAGE ? message : headers;
        double seconds;

        sim_must(buf_add_str(out, str_of(format->before)));
        if (format->place >= AS_DATE && spec_decimal(value, &seconds))
            add_moment(out, format->place, epoch_s, seconds);
        else
            sim_must(buf_add_str(out, value));
        sim_must(buf_add_str(out, str_of(format->after)));
    }
}
