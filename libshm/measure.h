#ifndef LIBSHM_MEASURE_H
#define LIBSHM_MEASURE_H

/*
 * Distributions of the gateway as a whole, in the buckets of latency.h: one histogram for each (slot, measure). Like
 * counters they belong to the slot, are written by its owner alone and decide nothing.
 */

#include "libshm/latency.h"

enum gws_measure {
    GWS_MEASURE_OVERHEAD, /* us that a request spent in the gateway itself */
    GWS_MEASURE_ATTEMPTS, /* tries of a request, as so many thousand us: one try is 1000 */
    GWS_MEASURES
};

/* Without a slot it does nothing. */
void gws_measure_count(struct gws_region *region, enum gws_measure what, uint64_t value);

/* The sum over all slots, ever since; gws_latency_since() and gws_latency_quantile() take it. */
void gws_measure_read(const struct gws_region *region, enum gws_measure what, struct gws_latency_counts *out);

#endif
