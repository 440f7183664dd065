#ifndef GATEWAYD_WAIT_PARSE_H
#define GATEWAYD_WAIT_PARSE_H

/*
 * The ways in which providers write a time. Each accepts a text as a whole or refuses it (what begins like a number is
 * not one), sets *out only on success, and rounds up. No number has more than ten digits before its point, a sign or an
 * exponent; spans are at most WAIT_MAX_MS, however much they add up to.
 */

#include "gatewayd/str.h"

/* Ten digits of seconds: some three centuries. */
#define WAIT_MAX_MS (INT64_C(9999999999) * 1000)

/* A plain decimal number, times the `unit_ns` it counts, as ms. */
bool wait_decimal(struct str s, uint64_t unit_ns, int64_t *ms);

/* "1m0.052s", "6ms", "10h17m5.7s": numbers and units (ns us µs ms s m h d) without gaps; a bare number is seconds. */
bool wait_span(struct str s, int64_t *ms);

/* The span at the front of a sentence: as above, or "37 seconds", "1 minute 5 s"; never without a unit. */
bool wait_span_in_prose(struct str s, int64_t *ms);

/* RFC 3339, "2026-07-01T12:41:00.5Z", to ms since the epoch. */
bool wait_moment(struct str s, int64_t *epoch_ms);

/* The date at the front of a sentence, "2026-07-01 at 00:00 UTC"; the time may be missing. */
bool wait_moment_in_prose(struct str s, int64_t *epoch_ms);

/* The first moment of the month after the one that `now_s` is in (UTC), in seconds. */
int64_t wait_next_month(int64_t now_s);

#endif
