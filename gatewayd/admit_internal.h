#ifndef GATEWAYD_ADMIT_INTERNAL_H
#define GATEWAYD_ADMIT_INTERNAL_H

/* What the files of admission share with each other and with nobody else. */

#include "gatewayd/admit.h"

/* Limits are asked of a target that is `limited`, and of no other. Those of the candidate's endpoint and of its
 * account: all of them or, refused, none. */
bool admit_limits_take(struct gws_region *region, const struct plan_candidate *candidate, uint64_t tokens,
                       uint64_t now, struct ticket *ticket, struct refused *refused);
void admit_limits_undo(struct gws_region *region, const struct plan_candidate *candidate, struct ticket *ticket);
/* That LIMITED was the answer, for whoever asks which limit turns requests away. */
void admit_limits_count(struct gws_region *region, const struct refused *refused);
/* The request goes out: it counts for the day. */
void admit_limits_commit(struct gws_region *region, const struct plan_candidate *candidate);
/* What was charged in tokens, against what the try cost. */
void admit_limits_settle(struct gws_region *region, const struct ticket *ticket);
/* Whether one of them refuses now, and until when all will have stopped to. */
bool admit_limits_refuse(struct gws_region *region, const struct plan_candidate *candidate, uint64_t tokens,
                         uint64_t now, struct refused *refused);

/* Give a place in the bulkhead back, and wake who waits for one. */
void admit_give_place(struct gws_region *region, uint32_t endpoint);
/* Wake who waits for a place on the endpoint. */
void admit_wake(struct gws_region *region, uint32_t endpoint);

#endif
