#ifndef GATEWAYD_WAIT_H
#define GATEWAYD_WAIT_H

/*
 * How long an upstream asked us to wait: pure functions of what it sent. Results are ms, rounded up, from 0 to
 * WAIT_MAX_MS (the longest that is obeyed is the cooldown's to say), or GWS_NO_WAIT when nothing valid was said. Dates
 * are compared with the answer's own Date, so that neither clock needs to be right; `now_real_s`, seconds since the
 * epoch, stands in for a missing one.
 */

#include "gatewayd/http.h"
#include "gatewayd/json_error.h"
#include "gatewayd/wait_parse.h"
#include "libshm/cooldown.h"

/* Of a refusal, the first valid of: what was asked for (as wait_asked), then the reset of what is used up. */
int64_t wait_find(const struct http_header *headers, unsigned count, struct str body, int64_t now_real_s);

/* Only what was asked for in so many words: retry-after-ms and x-ms-retry-after-ms, Retry-After in its four forms,
 * error.retry_after, RetryInfo, the message, a violated quota per minute. */
int64_t wait_asked(const struct http_header *headers, unsigned count, const struct json_error *error,
                   int64_t now_real_s);

/* Of a success: the time until there is room for one more request in what it announces to be used up, at most 60 s.
 * Never 0. */
int64_t wait_depleted(const struct http_header *headers, unsigned count, int64_t now_real_s);

/* RetryInfo.retryDelay alone. */
int64_t wait_retry_info(const struct json_error *error);

/* Until the first of next month, 00:00 UTC: when a monthly spend limit is lifted. */
int64_t wait_until_next_month(const struct http_header *headers, unsigned count, int64_t now_real_s);

#endif
