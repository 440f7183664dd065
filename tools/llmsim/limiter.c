/*
 * The limiter of an imagined provider. A refused request takes nothing, so a client that waits exactly as long as it
 * was told is served; a client that hammers learns the same wait again and again.
 */

#include "tools/llmsim/limiter.h"

#include <stdio.h>
#include <time.h>

#include "tools/llmsim/sim.h"

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* A whole number of milliseconds, rounded up unless the rest is only the noise of the arithmetic. */
static int64_t whole_ms(double ms)
{
    return (int64_t)(ms + 1 - 1e-6);
}

static uint64_t whole_left(double left)
{
    return left > 0 ? (uint64_t)(left + 1e-6) : 0;
}

void limiter_set(struct bucket *b, double per_minute, int64_t now_ms)
{
    *b = (struct bucket){.per_minute = per_minute, .left = per_minute, .at_ms = now_ms};
}

static void refill(struct bucket *b, int64_t now_ms)
{
    if (now_ms > b->at_ms) {
        b->left = least(b->per_minute, b->left + b->per_minute * (double)(now_ms - b->at_ms) / 60e3);
        b->at_ms = now_ms;
    }
}

/* How long until the bucket holds `need`. What it can never hold waits until it is full, and is refused again then. */
static int64_t wait_for(const struct bucket *b, double need)
{
    double missing = least(need, b->per_minute) - b->left;

    return missing <= 1e-6 ? 1 : whole_ms(missing * 60e3 / b->per_minute);
}

static bool refused(struct bucket *b, double need, bool by_tokens, struct limit_refusal *refusal)
{
    if (b->per_minute == 0 || b->left + 1e-6 >= need)
        return false;
    *refusal = (struct limit_refusal){.by_tokens = by_tokens,
                                      .wait_ms = wait_for(b, need),
                                      .limit = (uint64_t)b->per_minute,
                                      .used = (uint64_t)(b->per_minute - b->left),
                                      .requested = (uint64_t)need};
    return true;
}

bool limiter_take(struct limiter *l, int64_t now_ms, uint64_t tokens, struct limit_refusal *refusal)
{
    refill(&l->requests, now_ms);
    refill(&l->tokens, now_ms);
    if (refused(&l->requests, 1, false, refusal) || refused(&l->tokens, (double)tokens, true, refusal))
        return false;
    l->requests.left -= 1;
    l->tokens.left -= (double)tokens;
    return true;
}

void limiter_span(int64_t ms, char out[32])
{
    int64_t hours = ms / 3600000, minutes = ms / 60000 % 60, seconds = ms / 1000 % 60, rest = ms % 1000;
    int at = 0;

    if (ms < 1000) {
        snprintf(out, 32, ms == 0 ? "0s" : "%dms", (int)ms);
        return;
    }
    if (hours)
        at += snprintf(out + at, 32 - (size_t)at, "%lldh", (long long)hours);
    if (hours || minutes)
        at += snprintf(out + at, 32 - (size_t)at, "%dm", (int)minutes);
    at += snprintf(out + at, 32 - (size_t)at, "%d", (int)seconds);
    if (rest) {
        at += snprintf(out + at, 32 - (size_t)at, ".%03d", (int)rest);
        while (out[at - 1] == '0')
            at--;
    }
    snprintf(out + at, 32 - (size_t)at, "s");
}

/* How long until it is full. */
static int64_t full_in(struct bucket *b, int64_t now_ms)
{
    refill(b, now_ms);
    return whole_ms((b->per_minute - b->left) * 60e3 / b->per_minute);
}

static void bucket_headers(struct bucket *b, const char *what, int64_t now_ms, struct buf *out)
{
    char reset[32];

    if (b->per_minute == 0)
        return;
    limiter_span(full_in(b, now_ms), reset);
    sim_must(buf_addf(out,
                      "x-ratelimit-limit-%s: %.0f\r\nx-ratelimit-remaining-%s: %llu\r\n"
                      "x-ratelimit-reset-%s: %s\r\n",
                      what, b->per_minute, what, (unsigned long long)whole_left(b->left), what, reset));
}

void limiter_headers(struct limiter *l, int64_t now_ms, struct buf *out)
{
    bucket_headers(&l->requests, "requests", now_ms, out);
    bucket_headers(&l->tokens, "tokens", now_ms, out);
}

static void anthropic_headers(struct bucket *b, const char *what, int64_t now_ms, int64_t epoch_ms, struct buf *out)
{
    char reset[32];
    struct tm tm;

    if (b->per_minute == 0)
        return;
    time_t at = (time_t)((epoch_ms + full_in(b, now_ms) + 999) / 1000);
    gmtime_r(&at, &tm);
    strftime(reset, sizeof(reset), "%Y-%m-%dT%H:%M:%SZ", &tm);
    sim_must(buf_addf(out,
                      "anthropic-ratelimit-%s-limit: %.0f\r\nanthropic-ratelimit-%s-remaining: %llu\r\n"
                      "anthropic-ratelimit-%s-reset: %s\r\n",
                      what, b->per_minute, what, (unsigned long long)whole_left(b->left), what, reset));
}

void limiter_headers_anthropic(struct limiter *l, int64_t now_ms, int64_t epoch_ms, struct buf *out)
{
    anthropic_headers(&l->requests, "requests", now_ms, epoch_ms, out);
    anthropic_headers(&l->tokens, "tokens", now_ms, epoch_ms, out);
}
