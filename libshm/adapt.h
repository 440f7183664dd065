#ifndef LIBSHM_ADAPT_H
#define LIBSHM_ADAPT_H

/*
 * A bulkhead that finds its own size: additive increase, multiplicative decrease, in one word per domain row,
 *
 *   63..36 limit, in 1/4096 | 35..0 last_cut_ms (ms since the region's base)
 *
 * where 0 is a limit that was never cut, and so the largest allowed. A sign of overload (529, 503, no first token in
 * time) cuts it by the factor, once in a while at most, because a burst of refusals is one sign; a success while at
 * least half of it is in use raises it by 1/limit. A 429 is a matter of rate and not of concurrency, and is no sign
 * here.
 */

#include "libshm/region.h"

struct gws_adapt_rules {
    uint32_t max;      /* what the configuration allows */
    uint32_t min;      /* never less; 0 is 1 */
    uint32_t keep;     /* what a cut leaves, in hundredths of a percent; 0 is 7000 */
    uint32_t pause_ms; /* between two cuts; 0 is a second */
};

/* Pure. */
uint32_t gws_adapt_limit_of(uint64_t word, const struct gws_adapt_rules *rules);
uint64_t gws_adapt_step_cut(uint64_t old, const struct gws_adapt_rules *rules, uint64_t now);
uint64_t gws_adapt_step_raise(uint64_t old, const struct gws_adapt_rules *rules, uint64_t in_flight);

/* The limit to take a place under (gate.h). */
uint32_t gws_adapt_limit(const struct gws_region *region, uint32_t row, const struct gws_adapt_rules *rules);

void gws_adapt_overload(struct gws_region *region, uint32_t row, const struct gws_adapt_rules *rules, uint64_t now);

/* `in_flight`: the sum of the gate, with the request that succeeded still in it. */
void gws_adapt_success(struct gws_region *region, uint32_t row, const struct gws_adapt_rules *rules,
                       uint64_t in_flight);

/* The operator, or a new configuration: as large as allowed again. */
void gws_adapt_reset(struct gws_region *region, uint32_t row);

#endif
