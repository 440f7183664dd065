#ifndef LLMSIM_LIMITER_H
#define LLMSIM_LIMITER_H

/* Requests and tokens a minute, as a provider grants them: two token buckets that hold one minute's worth and refill
 * evenly. A per-minute value of 0 is "no limit" and sends no headers. */

#include "gatewayd/buf.h"

struct bucket {
    double per_minute;
    double left;
    int64_t at_ms; /* when `left` was true */
};

struct limiter {
    struct bucket requests;
    struct bucket tokens;
};

struct limit_refusal {
    bool by_tokens;  /* else by requests */
    int64_t wait_ms; /* after this the same request would pass; at least 1 */
    uint64_t limit, used, requested;
};

void limiter_set(struct bucket *b, double per_minute, int64_t now_ms); /* starts full */

/* Take one request of so many tokens from both buckets, or from neither. False with `*refusal` written. */
bool limiter_take(struct limiter *l, int64_t now_ms, uint64_t tokens, struct limit_refusal *refusal);

/* The x-ratelimit-* headers in OpenAI's format, each with its CRLF. */
void limiter_headers(struct limiter *l, int64_t now_ms, struct buf *out);

/* The same as anthropic-ratelimit-*, which name the moment of the calendar at which the bucket will be full. */
void limiter_headers_anthropic(struct limiter *l, int64_t now_ms, int64_t epoch_ms, struct buf *out);

/* A span the way Go and OpenAI write it: 6ms, 1s, 1.052s, 6m0s, 1h0m0s. */
void limiter_span(int64_t ms, char out[32]);

#endif
