#ifndef LIBSHM_LIMIT_H
#define LIBSHM_LIMIT_H

/*
 * Rate limiting by GCRA in one word: the theoretical arrival time, in sixteenths of a nanosecond on the region's clock.
 * N a minute admits a burst of N and refills N a minute; W processes together admit exactly what one would.
 */

#include "libshm/region.h"

struct gws_limit_rules {
    uint64_t interval; /* of one unit, in 1/16 ns */
    uint64_t burst;    /* tolerance: interval * burst units, in 1/16 ns */
};

/* `count` per `period_ns`, with a burst of `burst` units (0: as many as `count`). A count of 0, like zeroed rules, is
 * no limit at all. */
struct gws_limit_rules gws_limit_rules(uint64_t count, uint64_t period_ns, uint64_t burst);

/* Pure: 0 and the new word, or 1 and after how many ns to ask again. More than the burst passes on an empty bucket and
 * goes into debt: it could never run otherwise. */
int gws_limit_step(uint64_t old, const struct gws_limit_rules *rules, uint64_t units, uint64_t now_ns, uint64_t *word,
                   uint64_t *retry_in_ns);

/* Every operation on a row out of range is refused (FULL, not before UINT64_MAX) or does nothing. */
enum gws_limit_result { GWS_LIMIT_TAKEN = 0, GWS_LIMIT_FULL = 1 };

int gws_limit_take(struct gws_region *region, uint32_t row, const struct gws_limit_rules *rules, uint64_t units,
                   uint64_t now_ns, uint64_t *retry_in_ns);

/* Would gws_limit_take() succeed? Changes nothing. */
int gws_limit_peek(const struct gws_region *region, uint32_t row, const struct gws_limit_rules *rules, uint64_t units,
                   uint64_t now_ns, uint64_t *retry_in_ns);

/* Undo a take that was refused elsewhere. What has decayed since is not given back. */
void gws_limit_undo(struct gws_region *region, uint32_t row, const struct gws_limit_rules *rules, uint64_t units);

/* A take whose cost is settled later: what was taken, and until when it would have been in the bucket. */
struct gws_limit_charge {
    uint64_t units;
    uint64_t until; /* 1/16 ns */
};

/* As gws_limit_take(). The charge is empty when it was refused. */
int gws_limit_charge(struct gws_region *region, uint32_t row, const struct gws_limit_rules *rules, uint64_t units,
                     uint64_t now_ns, struct gws_limit_charge *charge, uint64_t *retry_in_ns);

/*
 * The cost is known now: more than was taken is added, into debt if need be; less gives the rest back, but not what has
 * decayed since, which others have had the use of. Nobody needs to settle: a charge of a dead worker decays.
 */
void gws_limit_settle(struct gws_region *region, uint32_t row, const struct gws_limit_rules *rules,
                      struct gws_limit_charge charge, uint64_t actual, uint64_t now_ns);

/* Somebody was refused by it, and how often that was. The caller says so: a look that asks many is one refusal. */
void gws_limit_count_refusal(struct gws_region *region, uint32_t row);
uint64_t gws_limit_refusals(const struct gws_region *region, uint32_t row);

/* Pure. */
uint64_t gws_limit_step_settle(uint64_t old, const struct gws_limit_rules *rules, struct gws_limit_charge charge,
                               uint64_t actual, uint64_t now_ns);

/* Empty the bucket of its debt: everything is available again. */
void gws_limit_reset(struct gws_region *region, uint32_t row, uint64_t now_ns, uint32_t who);

/* Master: write down the rules in force, for tools, which may not have the configuration at hand. When they differ from
 * the ones before, the debt keeps its number of units. */
void gws_limit_publish(struct gws_region *region, uint32_t row, const struct gws_limit_rules *rules, uint64_t now_ns);

/* The rules last published (zeroed: none) and the word. False when the row is out of range. */
bool gws_limit_read(const struct gws_region *region, uint32_t row, struct gws_limit_rules *rules, uint64_t *word);

#endif
