#ifndef GATEWAYD_PICK_H
#define GATEWAYD_PICK_H

/*
 * Choosing one endpoint: lowest priority first, within it by the shared ticket, so that the sequence is exact over all
 * processes; whoever refuses is passed over and the next one in the schedule is asked.
 */

#include "gatewayd/admit.h"

/* What one request already did with each candidate of its model. */
struct pick_state {
    uint8_t *tries; /* per candidate; `candidate_count` of them, zeroed to start */
    int pinned;     /* index of the only candidate allowed, or -1 */
};

/* 0 with the ticket taken and `*index` set, or 1 when nobody untried can take the request now. */
int pick_take(struct gws_region *region, const struct plan_model *model, struct pick_state *state,
              struct ticket *ticket, uint32_t *index);

/* Whether somebody untried could take it now; takes nothing. */
bool pick_possible(struct gws_region *region, const struct plan_model *model, const struct pick_state *state);

#endif
