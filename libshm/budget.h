#ifndef LIBSHM_BUDGET_H
#define LIBSHM_BUDGET_H

/*
 * What the gateway as a whole has going on, counted in owned cells like the bulkheads: requests, retries, hedges,
 * parked ones. A retry or hedge is allowed while its kind stays within a share of all requests in flight, or within a
 * minimum; a queue while it stays within its length. The dead hold nothing.
 */

#include "libshm/region.h"

enum gws_tally {
    GWS_TALLY_REQUESTS, /* in flight, parked ones among them */
    GWS_TALLY_RETRIES,  /* retries and replays under way */
    GWS_TALLY_HEDGES,
    GWS_TALLY_PARKED,
    GWS_TALLIES
};

struct gws_budget_rules {
    uint32_t share; /* of all requests in flight, in hundredths of a percent */
    uint32_t min;   /* so many in any case */
};

/* One more, without a limit; one less. Without a slot they do nothing. */
void gws_tally_enter(struct gws_region *region, enum gws_tally tally);
void gws_tally_leave(struct gws_region *region, enum gws_tally tally);
uint64_t gws_tally_sum(const struct gws_region *region, enum gws_tally tally);

enum gws_budget_result { GWS_BUDGET_TAKEN = 0, GWS_BUDGET_SPENT = 1 };

/* One more if that makes no more than `limit`; without a slot it is spent. Given back by gws_tally_leave(). */
int gws_tally_take(struct gws_region *region, enum gws_tally tally, uint64_t limit);

/* One more if that makes no more than the share, as things are now. Given back by gws_tally_leave(). */
int gws_budget_take(struct gws_region *region, enum gws_tally tally, const struct gws_budget_rules *rules);

#endif
