#include "gatewayd/wait.h"

/*
 * Two tables of sources, each tried in order until one of them names a valid wait. What an upstream asks for stands
 * before what its counters imply: a reset is when a window is full again, which is later than the next request is
 * welcome (OpenAI), so most of it counts only up to a minute, and only when the window is empty. A source that says
 * nonsense is passed over, never guessed at.
 */

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum { RESET_MAX_MS = 60 * 1000, MINUTE_MS = 60 * 1000, EPOCH_FROM_S = 1000000000 };

struct refusal {
    const struct http_header *headers;
    unsigned count;
    int64_t sent_s; /* by the upstream's clock */
    struct json_error error;
};

static struct refusal refusal_of(const struct http_header *headers, unsigned count, int64_t now_real_s)
{
    struct refusal r = {headers, count, now_real_s, {0}};
    int64_t sent;
    if (http_date_parse(http_header_find(headers, count, STR("date")), &sent))
        r.sent_s = sent;
    return r;
}

static int64_t at_most(int64_t wait, int64_t most)
{
    return wait < most ? wait : most;
}

/* From when the answer was sent until a moment: 0 when that is past. Divided before the difference is taken, because
 * both ends are whatever somebody wrote. */
static int64_t until_ms(const struct refusal *r, int64_t epoch_ms)
{
    if (epoch_ms / 1000 < r->sent_s)
        return 0;
    if (epoch_ms / 1000 - r->sent_s > WAIT_MAX_MS / 1000)
        return WAIT_MAX_MS;
    int64_t wait = (epoch_ms / 1000 - r->sent_s) * 1000 + epoch_ms % 1000;
    return wait > 0 ? wait : 0;
}

/* retry-after-ms (OpenAI, Azure), x-ms-retry-after-ms (Azure) */
static int64_t from_ms_headers(const struct refusal *r)
{
    static const struct str names[] = {{"retry-after-ms", 14}, {"x-ms-retry-after-ms", 19}};
    int64_t wait;
    for (size_t i = 0; i < COUNT(names); i++)
        if (wait_decimal(http_header_find(r->headers, r->count, names[i]), 1000000, &wait))
            return wait;
    return GWS_NO_WAIT;
}

/* Retry-After: seconds, which some write with a fraction, or a date in one of HTTP's three forms. */
static int64_t from_retry_after(const struct refusal *r)
{
    struct str after = http_header_find(r->headers, r->count, STR("retry-after"));
    int64_t wait, until_s;
    if (wait_decimal(after, 1000000000, &wait))
        return wait;
    return http_date_parse(after, &until_s) ? until_ms(r, until_s * 1000) : GWS_NO_WAIT;
}

/* error.retry_after (HolySheep, and this gateway when it stands behind another) */
static int64_t from_member(const struct refusal *r)
{
    int64_t wait;
    return json_to_ms(r->error.retry_after, &wait) ? wait : GWS_NO_WAIT;
}

int64_t wait_retry_info(const struct json_error *error)
{
    struct json_value delay = json_error_retry_delay(error);
    int64_t wait;
    if (delay.text.len < 2 || delay.text.at[delay.text.len - 1] != 's')
        return GWS_NO_WAIT;
    delay.text.len--;
    return wait_decimal(delay.text, 1000000000, &wait) ? at_most(wait, WAIT_MAX_MS) : GWS_NO_WAIT;
}

static int64_t from_retry_info(const struct refusal *r)
{
    return wait_retry_info(&r->error);
}

/* The first occurrence of the words that a span or a date follows. */
static int64_t from_words(const struct refusal *r, struct str text, struct str words, bool date)
{
    int64_t found;
    for (text = json_error_after(text, words); text.at; text = json_error_after(text, words)) {
        if (date ? wait_moment_in_prose(text, &found) : wait_span_in_prose(text, &found))
            return date ? until_ms(r, found) : found;
    }
    return GWS_NO_WAIT;
}

static int64_t from_message(const struct refusal *r)
{
    static const struct {
        struct str words;
        bool date;
    } phrases[] = {
        {{"try again in ", 13}, false},     /* OpenAI, Groq, Azure's front door */
        {{"retry in ", 9}, false},          /* Gemini */
        {{"retry after ", 12}, false},      /* Azure, HolySheep */
        {{"try again after ", 16}, false},  /* relays */
        {{"reset after ", 12}, false},      /* Gemini's subscriptions */
        {{"regain access on ", 17}, true},  /* Anthropic's spend limit */
    };
    /* What the provider behind OpenRouter said stands beside OpenRouter's own words. */
    struct json_value raw = r->error.metadata.type == JSON_OBJECT ? json_path(r->error.metadata.text, "raw")
                                                                  : (struct json_value){0};
    const struct json_value texts[] = {r->error.message, raw};
    for (size_t t = 0; t < COUNT(texts); t++)
        for (size_t i = 0; i < COUNT(phrases) && texts[t].type == JSON_STRING; i++) {
            int64_t wait = from_words(r, texts[t].text, phrases[i].words, phrases[i].date);
            if (wait != GWS_NO_WAIT)
                return wait;
        }
    return GWS_NO_WAIT;
}

/* Gemini names the quota it found empty, but not always when to come back. */
static int64_t from_minute_quota(const struct refusal *r)
{
    return json_error_violates(&r->error, STR("PerMinute")) ? MINUTE_MS : GWS_NO_WAIT;
}

/* A reset as a date, as a span, or as seconds since the epoch, which no span is long enough to be taken for. */
static int64_t reset_ms(const struct refusal *r, struct str value)
{
    int64_t ms;
    if (wait_moment(value, &ms))
        return until_ms(r, ms);
    if (wait_decimal(value, 1000000000, &ms) && ms > EPOCH_FROM_S * INT64_C(1000))
        return until_ms(r, ms);
    return wait_span(value, &ms) ? ms : GWS_NO_WAIT;
}

/* How a provider names what is left of one dimension, and when that is reset: the text before it, and after it. */
struct family {
    struct str left_before, left_after, reset_before, reset_after, limit_before, limit_after;
};

/* anthropic-ratelimit-input-tokens-remaining; requests, tokens, output-tokens */
static const struct family anthropic = {
    {"anthropic-ratelimit-", 20}, {"-remaining", 10}, {"anthropic-ratelimit-", 20},
    {"-reset", 6},                {"anthropic-ratelimit-", 20}, {"-limit", 6}};
/* x-ratelimit-remaining-tokens (OpenAI, Azure, Groq), -req-minute, -month (Mistral), -requests-day (Cerebras), or
 * without any dimension (HolySheep) */
static const struct family common = {
    {"x-ratelimit-remaining", 21}, {"", 0}, {"x-ratelimit-reset", 17}, {"", 0}, {"x-ratelimit-limit", 17}, {"", 0}};

/* What stands between the two in a header's name; false when it is not one of them. */
static bool dimension_of(struct str name, struct str before, struct str after, struct str *out)
{
    if (name.len < before.len + after.len)
        return false;
    struct str tail = {name.at + name.len - after.len, after.len};
    if (!str_eq_nocase((struct str){name.at, before.len}, before) || !str_eq_nocase(tail, after))
        return false;
    *out = (struct str){name.at + before.len, name.len - before.len - after.len};
    return true;
}

/* The value of the header that is made of these and the dimension between them; .at is NULL when it is not there. */
static struct str value_of(const struct refusal *r, struct str before, struct str dimension, struct str after)
{
    struct str found;
    for (unsigned i = 0; i < r->count; i++)
        if (dimension_of(r->headers[i].name, before, after, &found) && str_eq_nocase(found, dimension))
            return r->headers[i].value;
    return (struct str){NULL, 0};
}

/*
 * Until one more request may be sent. Where the reset is the end of a window that is the reset; but OpenAI and its kin
 * (a span with its unit) and Anthropic (a date) name the moment at which a bucket is full again, which it is by drops,
 * and one request is one of as many as the limit allows. Of tokens a request is taken to need a thousand.
 */
static int64_t until_one_more(const struct refusal *r, const struct family *f, struct str dimension, struct str reset,
                              int64_t wait)
{
    enum { TOKENS = 1000 };
    uint64_t limit;
    bool drops = reset.len > 0 && (reset.at[reset.len - 1] | 0x20) >= 'a' && (reset.at[reset.len - 1] | 0x20) <= 'z';
    if (!drops || wait <= 0 || !str_to_u64(value_of(r, f->limit_before, dimension, f->limit_after), &limit) ||
        limit == 0 || limit > UINT32_MAX)
        return wait;
    uint64_t need = memmem(dimension.at, dimension.len, "token", 5) ? TOKENS : 1;
    need = need < limit ? need : limit;
    return (int64_t)(((unsigned __int128)(uint64_t)wait * need + limit - 1) / limit);
}

/* Until the bucket is full, or the window over; or only until one more request has room in it. */
enum until { UNTIL_FULL, UNTIL_ONE_MORE };

/* The latest reset among the dimensions of which nothing is left: all of them must be back. Headers are bounded in
 * number, and so is this. */
static int64_t until_refilled(const struct refusal *r, const struct family *f, enum until until)
{
    int64_t latest = GWS_NO_WAIT, left;
    struct str dimension;
    for (unsigned i = 0; i < r->count; i++) {
        if (!dimension_of(r->headers[i].name, f->left_before, f->left_after, &dimension) ||
            !wait_decimal(r->headers[i].value, 1000000, &left) || left != 0)
            continue;
        struct str value = value_of(r, f->reset_before, dimension, f->reset_after);
        int64_t reset = value.at ? reset_ms(r, value) : GWS_NO_WAIT;
        if (until == UNTIL_ONE_MORE)
            reset = until_one_more(r, f, dimension, value, reset);
        latest = reset > latest ? reset : latest;
    }
    return latest;
}

static int64_t from_anthropic(const struct refusal *r)
{
    return until_refilled(r, &anthropic, UNTIL_FULL);
}

/* Anthropic's subscriptions have a status in place of a count. */
static int64_t from_unified(const struct refusal *r)
{
    struct str status = http_header_find(r->headers, r->count, STR("anthropic-ratelimit-unified-status"));
    return str_eq_nocase(status, STR("rejected"))
               ? reset_ms(r, http_header_find(r->headers, r->count, STR("anthropic-ratelimit-unified-reset")))
               : GWS_NO_WAIT;
}

/* An upper bound, and one that is not ahead bounds nothing: Azure writes 0 for what it does not know. */
static int64_t bounded(int64_t wait)
{
    return wait > 0 ? at_most(wait, RESET_MAX_MS) : GWS_NO_WAIT;
}

static int64_t from_common(const struct refusal *r)
{
    return bounded(until_refilled(r, &common, UNTIL_FULL));
}

/* HolySheep, when a spike of traffic leaves it no time to say more: the end of the window, whatever is left of it. */
static int64_t from_epoch(const struct refusal *r)
{
    int64_t ms;
    struct str reset = http_header_find(r->headers, r->count, STR("x-ratelimit-reset"));
    bool epoch = wait_decimal(reset, 1000000000, &ms) && ms > EPOCH_FROM_S * INT64_C(1000);
    return epoch ? bounded(until_ms(r, ms)) : GWS_NO_WAIT;
}

typedef int64_t source(const struct refusal *r);

static source *const asked[] = {from_ms_headers, from_retry_after, from_member,
                                from_retry_info, from_message,     from_minute_quota};
static source *const implied[] = {from_anthropic, from_unified, from_common, from_epoch};

static int64_t first_of(const struct refusal *r, source *const sources[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t wait = sources[i](r);
        if (wait != GWS_NO_WAIT)
            return at_most(wait, WAIT_MAX_MS);
    }
    return GWS_NO_WAIT;
}

int64_t wait_asked(const struct http_header *headers, unsigned count, const struct json_error *error,
                   int64_t now_real_s)
{
    struct refusal r = refusal_of(headers, count, now_real_s);
    r.error = *error;
    return first_of(&r, asked, COUNT(asked));
}

int64_t wait_find(const struct http_header *headers, unsigned count, struct str body, int64_t now_real_s)
{
    struct refusal r = refusal_of(headers, count, now_real_s);
    json_error_find(body, &r.error);
    int64_t wait = first_of(&r, asked, COUNT(asked));
    return wait != GWS_NO_WAIT ? wait : first_of(&r, implied, COUNT(implied));
}

int64_t wait_depleted(const struct http_header *headers, unsigned count, int64_t now_real_s)
{
    struct refusal r = refusal_of(headers, count, now_real_s);
    int64_t a = until_refilled(&r, &anthropic, UNTIL_ONE_MORE), b = until_refilled(&r, &common, UNTIL_ONE_MORE);
    return bounded(a > b ? a : b);
}

int64_t wait_until_next_month(const struct http_header *headers, unsigned count, int64_t now_real_s)
{
    struct refusal r = refusal_of(headers, count, now_real_s);
    return until_ms(&r, wait_next_month(r.sent_s) * 1000);
}
