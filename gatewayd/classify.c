#include "gatewayd/classify.h"

#include "gatewayd/json.h"
#include "libshm/cooldown.h"

/*
 * Decided by the error's code before its status, because providers use 429 for three different things; by the status
 * before the transport's end, because an answer that came is an answer.
 */

const char *classify_name(enum outcome_class class)
{
    static const char *const names[] = {
        [CLASS_OK] = "ok",           [CLASS_CLIENT] = "refused",    [CLASS_AUTH] = "auth",
        [CLASS_QUOTA] = "quota",     [CLASS_RATE] = "rate",         [CLASS_OVERLOAD] = "overload",
        [CLASS_SERVER] = "server",   [CLASS_INVALID] = "invalid",   [CLASS_SILENCE] = "silence",
        [CLASS_CUT] = "cut",         [CLASS_TRANSPORT] = "transport", [CLASS_STALE] = "stale",
        [CLASS_ABORT] = "abort",
    };
    return names[class];
}

/* Decimal seconds or milliseconds without strtod(), whose idea of a decimal point depends on the locale. */
static bool decimal_ms(struct str s, uint64_t unit_ms, int64_t *out)
{
    uint64_t whole = 0, part = 0, scale = 1;
    size_t i = 0;
    for (; i < s.len && s.at[i] >= '0' && s.at[i] <= '9'; i++) {
        if (i >= 10)
            return false;
        whole = whole * 10 + (uint64_t)(s.at[i] - '0');
    }
    if (i == 0)
        return false;
    if (i < s.len && s.at[i] == '.') {
        for (i++; i < s.len && s.at[i] >= '0' && s.at[i] <= '9'; i++)
            if (scale < 1000000) {
                part = part * 10 + (uint64_t)(s.at[i] - '0');
                scale *= 10;
            }
    }
    if (i != s.len)
        return false;
    *out = (int64_t)(whole * unit_ms + (part * unit_ms + scale - 1) / scale);
    return true;
}

int64_t classify_wait(const struct http_header *headers, unsigned count, int64_t now_real_s)
{
    static const struct str in_ms[] = {{"retry-after-ms", 14}, {"x-ms-retry-after-ms", 19}};
    int64_t wait;
    for (size_t i = 0; i < sizeof in_ms / sizeof *in_ms; i++)
        if (decimal_ms(http_header_find(headers, count, in_ms[i]), 1, &wait))
            return wait;
    struct str after = http_header_find(headers, count, STR("retry-after"));
    if (decimal_ms(after, 1000, &wait))
        return wait;
    int64_t until, sent = now_real_s;
    if (after.len > 0 && http_date_parse(after, &until)) {
        struct str date = http_header_find(headers, count, STR("date"));
        if (date.len == 0 || !http_date_parse(date, &sent))
            sent = now_real_s;
        return until > sent ? (until - sent) * 1000 : 0;
    }
    return GWS_NO_WAIT;
}

static bool code_is(struct json_value code, struct json_value type, const char *name)
{
    return json_str_eq(code, str_of(name)) || json_str_eq(type, str_of(name));
}

static enum outcome_class class_of_status(int status)
{
    switch (status) {
    case 401:
    case 403:
        return CLASS_AUTH;
    case 402:
        return CLASS_QUOTA;
    case 429:
        return CLASS_RATE;
    case 503:
    case 529:
        return CLASS_OVERLOAD;
    case 408:
    case 409:
        return CLASS_SERVER;
    default:
        return status >= 500 ? CLASS_SERVER : status >= 300 && status < 400 ? CLASS_INVALID : CLASS_CLIENT;
    }
}

static enum outcome_class class_of_code(enum outcome_class by_status, struct str body)
{
    static const char *const spent[] = {"insufficient_quota", "quota_exceeded", "tokens_limit_exceeded",
                                        "credit_balance_exhausted", "organization_spend_limit_exceeded",
                                        "project_spend_limit_exceeded", "organization_usage_limit_exceeded"};
    struct json_value code = json_path(body, "error.code"), type = json_path(body, "error.type");
    for (size_t i = 0; i < sizeof spent / sizeof *spent; i++)
        if ((by_status == CLASS_RATE || by_status == CLASS_AUTH) && code_is(code, type, spent[i]))
            return CLASS_QUOTA;
    if (by_status == CLASS_RATE && code_is(code, type, "slow_down"))
        return CLASS_OVERLOAD;
    return by_status;
}

struct verdict classify_response(int status, const struct http_header *headers, unsigned count, struct str body,
                                 int64_t now_real_s)
{
    enum outcome_class class = class_of_code(class_of_status(status), body);
    bool waits = class == CLASS_RATE || class == CLASS_OVERLOAD || class == CLASS_QUOTA;
    int64_t wait = waits ? classify_wait(headers, count, now_real_s) : GWS_NO_WAIT;
    if (waits && wait == GWS_NO_WAIT && !json_to_ms(json_path(body, "error.retry_after"), &wait))
        wait = GWS_NO_WAIT;
    return (struct verdict){class, wait, status};
}

struct verdict classify_end(enum upstream_end end)
{
    static const enum outcome_class classes[] = {
        [UPSTREAM_COMPLETE] = CLASS_OK,         [UPSTREAM_STALE] = CLASS_STALE,   [UPSTREAM_CONNECT] = CLASS_TRANSPORT,
        [UPSTREAM_TLS] = CLASS_TRANSPORT,       [UPSTREAM_RESET] = CLASS_TRANSPORT, [UPSTREAM_CUT] = CLASS_CUT,
        [UPSTREAM_MALFORMED] = CLASS_INVALID,   [UPSTREAM_ABORTED] = CLASS_ABORT,
    };
    return (struct verdict){classes[end], GWS_NO_WAIT, 0};
}

bool classify_fails_over(enum outcome_class class)
{
    return class != CLASS_OK && class != CLASS_CLIENT && class != CLASS_ABORT;
}
