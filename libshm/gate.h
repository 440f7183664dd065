#ifndef LIBSHM_GATE_H
#define LIBSHM_GATE_H

/*
 * A bulkhead: at most `limit` requests at a time on an endpoint, over all processes. Each process counts in its own
 * cell and the sum over slots is the truth; increment, then sum, then step back if over. Strict and leak-free: a dead
 * worker's cell is zeroed by whoever reaps it. `endpoint` is the row of the endpoint tables, not a domain row.
 */

#include "libshm/region.h"

/* Without a slot, or for an endpoint out of range, a take is FULL and a give does nothing. STEPPED is full too, but
 * the place that the take held for a moment may have turned another one away: wake waiters on it as on a give
 * (waiter.h). */
enum gws_gate_result { GWS_GATE_TAKEN = 0, GWS_GATE_FULL = 1, GWS_GATE_STEPPED = 2 };

int gws_gate_take(struct gws_region *region, uint32_t endpoint, uint32_t limit);
void gws_gate_give(struct gws_region *region, uint32_t endpoint);
uint64_t gws_gate_sum(const struct gws_region *region, uint32_t endpoint);

#endif
