#ifndef LIBSHM_WINDOW_H
#define LIBSHM_WINDOW_H

/*
 * The sliding window of a failure domain: how many tries ended lately, how many of them failed, how many were too slow.
 * Ten words, one for each six seconds of the last minute:
 *
 *   63..48 epoch | 47..32 slow | 31..16 failed | 15..0 total
 *
 * A word of an older epoch is replaced by the same compare-and-swap that adds to it, so nobody has to turn the window.
 */

#include "libshm/region.h"

enum { GWS_WINDOW_BUCKETS = 10, GWS_WINDOW_BUCKET_MS = 6000 };

enum gws_sample { GWS_SAMPLE_OK, GWS_SAMPLE_FAILED, GWS_SAMPLE_SLOW };

struct gws_window_totals {
    uint32_t total;
    uint32_t failed;
    uint32_t slow;
    uint32_t span_ms; /* the time they are of, at least 1: total * 1000 / span_ms is the rate a second */
};

/* Pure: the word after a sample of `now`. A full word, and one of a later epoch, stays as it is; so beyond 65535 in six
 * seconds the shares are still right, and the total is not. */
uint64_t gws_window_step(uint64_t old, enum gws_sample sample, uint64_t now);

void gws_window_add(struct gws_region *region, uint32_t row, enum gws_sample sample, uint64_t now);

/* The totals of the last `window_ms` (rounded up to whole words, at most a minute), of words that began at or after
 * `since`: what a breaker looks at. A row out of range has none. */
struct gws_window_totals gws_window_sum(const struct gws_region *region, uint32_t row, uint32_t window_ms,
                                        uint64_t since, uint64_t now);

/* The totals of the last minute, for people. */
struct gws_window_totals gws_window_read(const struct gws_region *region, uint32_t row, uint64_t now);

/* Master: the row begins afresh. */
void gws_window_clear(struct gws_region *region, uint32_t row);

#endif
