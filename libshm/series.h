#ifndef LIBSHM_SERIES_H
#define LIBSHM_SERIES_H

/*
 * What metrics are made of, for each failure domain. Monotone counters, a line for each (slot, domain row): of a pair
 * how its tries ended, of an endpoint why it was asked although somebody had been asked before. They belong to the
 * slot, like those of stat.h. Beside them, in the domain's own row and counted by everybody: how often its breaker went
 * over to each mode, and when it last answered.
 */

#include "libshm/region.h"

enum gws_ending {
    GWS_ENDING_OK,      /* a 2xx that was an answer, whole */
    GWS_ENDING_REFUSED, /* a 4xx of the request's own making */
    GWS_ENDING_LIMITED, /* 429 and its kin, a spent quota, a refused credential */
    GWS_ENDING_SERVER,  /* 5xx and its kin */
    GWS_ENDING_INVALID, /* a 2xx that was no answer */
    GWS_ENDING_SILENT,  /* nothing within the time allowed */
    GWS_ENDING_LOST,    /* no connection, or cut */
    GWS_ENDING_LEFT,    /* given up on this side: the client left, or there was nothing left here to try it with */
    GWS_ENDINGS
};

/* Why a request tries once more. */
enum gws_repeat {
    GWS_REPEAT_FAILOVER, /* another endpoint's turn */
    GWS_REPEAT_RETRY,    /* the same endpoint, after a wait */
    GWS_REPEAT_REPLAY,   /* for the rest of a stream that broke off */
    GWS_REPEAT_HEDGE,    /* beside a try that is slow to answer */
    GWS_REPEATS
};

/* Of the row of a pair. Without a slot they do nothing. Sums are over all slots; of a row out of range they are 0. */
void gws_series_count(struct gws_region *region, uint32_t row, enum gws_ending ending);
void gws_series_read(const struct gws_region *region, uint32_t row, uint64_t out[GWS_ENDINGS]);

/* Of the row of an endpoint; the same line, which nobody else counts in. */
void gws_series_repeat(struct gws_region *region, uint32_t row, enum gws_repeat why);
void gws_series_repeats(const struct gws_region *region, uint32_t row, uint64_t out[GWS_REPEATS]);

/* It has answered; kept to a tenth of a second, so that a row which answers all the time is seldom written to. The
 * moment is on the region's clock; 0: never. */
void gws_series_answered(struct gws_region *region, uint32_t row, uint64_t now);
uint64_t gws_series_last_answer(const struct gws_region *region, uint32_t row);

/* How often the domain's breaker went over to each mode (enum gws_breaker_mode), counted by whoever did it. */
void gws_series_transitions(const struct gws_region *region, uint32_t row, uint64_t out[4]);

/* Master: the row begins afresh. */
void gws_series_clear(struct gws_region *region, uint32_t row);

#endif
