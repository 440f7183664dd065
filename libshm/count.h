#ifndef LIBSHM_COUNT_H
#define LIBSHM_COUNT_H

/*
 * Monotone counters of the gateway as a whole, a few words for each slot. Like those of stat.h they belong to the slot,
 * are written by its owner alone and decide nothing.
 */

#include "libshm/region.h"

enum gws_count {
    GWS_COUNT_RESCUED,         /* broken streams that another upstream's went on with, to their end */
    GWS_COUNT_RESCUE_DIFFERED, /* that nobody could go on with: the other answer was another */
    GWS_COUNT_RESCUE_FAILED,   /* or nobody had one */
    GWS_COUNT_HEDGES_WON,      /* answers by the second of two tries; how many were made: gws_series_repeats() */
    GWS_COUNT_DROPPED,         /* events that were no JSON, and were left out */
    GWS_COUNT_QUEUE_FULL,      /* requests that found no room to wait */
    GWS_COUNT_ANSWERED_2XX,    /* what clients got, by the status they were sent */
    GWS_COUNT_ANSWERED_3XX,
    GWS_COUNT_ANSWERED_4XX,
    GWS_COUNT_ANSWERED_5XX,    /* or an answer that broke off: its client was told so in its last event */
    GWS_COUNT_ABORTED,         /* the client left, or did not read */
    GWS_COUNTS
};

/* Without a slot it does nothing. */
void gws_count(struct gws_region *region, enum gws_count what, uint64_t more);

/* The sums over all slots. */
void gws_count_read(const struct gws_region *region, uint64_t out[GWS_COUNTS]);

#endif
