#ifndef LIBSHM_LATENCY_H
#define LIBSHM_LATENCY_H

/*
 * Latency, twice. For choosing: one word per domain row, [ewma_us 32 | stamp_ms 32], a moving average that jumps to
 * every peak and comes down slowly, shared by all processes. Feed it with the time to the first token; the total
 * measures the length of the answer. For people: histograms per (slot, endpoint), log-linear, eight buckets an
 * octave, so a quantile is right to about six percent between half a millisecond and 17 minutes; readers sum over the
 * slots.
 */

#include "libshm/region.h"

/* Pure: the word after a sample. `decay_ms`: how long a peak takes to lose half of what it stands above the samples. */
uint64_t gws_latency_step(uint64_t old, uint64_t us, uint32_t decay_ms, uint64_t now);

void gws_latency_feed(struct gws_region *region, uint32_t row, uint64_t us, uint32_t decay_ms, uint64_t now);

/* What to expect, in us. It fades while nothing is fed, so that a domain which was slow is tried again; 0 when nothing
 * is known. A failure is fed as a sample too: of the time it cost, or of a timeout as a penalty. */
uint64_t gws_latency_expect(const struct gws_region *region, uint32_t row, uint32_t decay_ms, uint64_t now);

enum gws_latency_kind { GWS_LATENCY_FIRST, GWS_LATENCY_TOTAL };

enum { GWS_LATENCY_BUCKETS = 176 };

struct gws_latency_counts {
    uint64_t count;
    uint64_t sum_us;
    uint64_t buckets[GWS_LATENCY_BUCKETS];
};

/* Count a sample in the caller's own histogram. `endpoint` is the row of the endpoint tables. */
void gws_latency_count(struct gws_region *region, uint32_t endpoint, enum gws_latency_kind kind, uint64_t us);

/* Sums over all slots, ever since. What happened lately is the difference of two readings: */
void gws_latency_read(const struct gws_region *region, uint32_t endpoint, enum gws_latency_kind kind,
                      struct gws_latency_counts *out);
void gws_latency_since(struct gws_latency_counts *newer, const struct gws_latency_counts *older);

/* The value below which `share` of the samples lie, in hundredths of a percent (9990 is p99.9), in us; 0 of none. */
uint64_t gws_latency_quantile(const struct gws_latency_counts *counts, uint32_t share);

/* Which bucket a value is counted in, and where a bucket ends (the next one's beginning; the last has no end). */
uint32_t gws_latency_bucket(uint64_t us);
uint64_t gws_latency_bucket_end(uint32_t bucket);

#endif
