#ifndef LIBSHM_HISTOGRAM_H
#define LIBSHM_HISTOGRAM_H

/* A histogram of a slot's own, for libshm alone: how one is counted in and how several are summed. */

#include "libshm/latency.h"
#include "libshm/word.h"

/* The histogram is the caller's own, so a plain load and store will do. A full bucket stays full: fifty days of a
 * thousand equal samples a second. */
static inline void histogram_count(struct gws_histogram *own, uint64_t us)
{
    uint32_t bucket = gws_latency_bucket(us);
    int shift = bucket % 2 == 0 ? 0 : 32;
    uint64_t word = word_load_relaxed(&own->pairs[bucket / 2]);

    if ((uint32_t)(word >> shift) == UINT32_MAX)
        return;
    word_store_relaxed(&own->pairs[bucket / 2], word + (UINT64_C(1) << shift));
    word_add_own(&own->sum_us, us);
}

static inline void histogram_add(const struct gws_histogram *from, struct gws_latency_counts *out)
{
    for (uint32_t i = 0; i < GWS_LATENCY_BUCKETS / 2; i++) {
        uint64_t word = word_load_relaxed(&from->pairs[i]);
        out->buckets[2 * i] += (uint32_t)word;
        out->buckets[2 * i + 1] += word >> 32;
        out->count += (uint32_t)word + (word >> 32);
    }
    out->sum_us += word_load_relaxed(&from->sum_us);
}

#endif
