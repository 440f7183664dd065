#ifndef LIBSHM_STAT_H
#define LIBSHM_STAT_H

/*
 * Monotone counters per (slot, endpoint), one cache line each. They belong to the slot: the next process in it goes on
 * counting. Readers sum over the slots. Relaxed: a statistic decides nothing.
 */

#include "libshm/region.h"

enum gws_stat {
    GWS_STAT_TRIES,     /* sent upstream */
    GWS_STAT_OK,        /* answered */
    GWS_STAT_FAILED,    /* transport, 5xx, silence */
    GWS_STAT_THROTTLED, /* 429 and its kin */
    GWS_STAT_REFUSED,   /* the request's own fault: 4xx */
    GWS_STAT_ABORTED,   /* the client left */
    GWS_STAT_RESENT,    /* repeated on a fresh connection, because a kept one had died */
    GWS_STAT_LAST_OK,   /* not a counter: the moment of the last success, ms on the region's clock */
    GWS_STATS
};

void gws_stat_count(struct gws_region *region, uint32_t endpoint, enum gws_stat stat);
void gws_stat_last_ok(struct gws_region *region, uint32_t endpoint, uint64_t now);

/* Sums over all slots (the maximum, for GWS_STAT_LAST_OK). */
void gws_stat_read(const struct gws_region *region, uint32_t endpoint, uint64_t out[GWS_STATS]);

#endif
