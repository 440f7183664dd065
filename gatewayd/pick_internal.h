#ifndef GATEWAYD_PICK_INTERNAL_H
#define GATEWAYD_PICK_INTERNAL_H

/* What the files of choosing share with each other and with nobody else. */

#include "gatewayd/pick.h"

/* Whether the candidate is one for this request at all. */
static inline bool pick_eligible(const struct plan_model *model, const struct pick_state *state, uint32_t index)
{
    unsigned dialects = model->candidates[index].target->dialects;
    return (state->pinned < 0 || (uint32_t)state->pinned == index) &&
           (state->dialect == 0 || (dialects & state->dialect) != 0);
}

/*
 * DEGRADED: see gws_breaker_degraded(), of the endpoint or the pair. RECOVERING: either of their breakers closed less
 * than slow_start ago, having been open, and this turn is not of its share yet. `*now` is read when it is 0 and needed.
 */
enum pick_standing pick_standing(const struct gws_region *region, const struct plan_candidate *candidate,
                                 uint64_t turn, uint64_t *now);

/* Whether the turn falls to one that recovers for so long; its share grows from a twentieth to all. Pure. */
bool pick_share(uint64_t turn, uint64_t since_ms, uint32_t slow_start_ms);

/* A number as good as random that belongs to the turn: the same for everyone who is told of that turn. Pure. */
uint64_t pick_hash(uint64_t turn);

/* Lower is better; see enum conf_strategy. */
uint64_t pick_score(const struct gws_region *region, const struct plan_candidate *candidate,
                    enum conf_strategy strategy, uint64_t now);

#endif
