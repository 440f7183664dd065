#ifndef GATEWAYD_ADMIT_H
#define GATEWAYD_ADMIT_H

/*
 * Admission to one candidate: everything a try needs from the shared region is taken together or not at all, and
 * carried in a ticket that is settled and released exactly once. A ticket is a value; dying with one leaves only what
 * heals by itself (a lease, a rate) or is erased with the process's slot (the bulkhead).
 */

#include "gatewayd/classify.h"
#include "gatewayd/plan.h"

enum refusal {
    REFUSAL_NONE,
    REFUSAL_DRAINED,
    REFUSAL_COOLING, /* a cooldown of the endpoint, the pair or the account */
    REFUSAL_OPEN,    /* a breaker */
    REFUSAL_FULL,    /* the bulkhead */
    REFUSAL_LIMITED  /* the endpoint's own rate limit */
};

struct refused {
    enum refusal why;
    uint64_t until; /* region ms when it may change; 0: nobody knows; UINT64_MAX: when an operator acts */
    enum gws_cooldown_reason cooling;
};

struct ticket {
    const struct plan_candidate *candidate; /* NULL: holds nothing */
    struct gws_permit endpoint;
    struct gws_permit pair;
    uint16_t cool_pair;
    uint16_t cool_account;
    uint64_t taken_ms;
    bool settled;
    bool succeeded; /* settled as a success, and not cut since */
};

/* 0 with the ticket; 1 refused. */
int admit_take(struct gws_region *region, const struct plan_candidate *candidate, struct ticket *ticket,
               struct refused *refused);

/* Whether and why admit_take() would refuse now; takes nothing. */
bool admit_peek(struct gws_region *region, const struct plan_candidate *candidate, struct refused *refused);

/*
 * Tell the shared words how the try went; only the first call counts, except that a cut after a success is told as
 * well. `loss_known`: the lost connection was already reported by another stream it carried.
 */
void admit_settle(struct gws_region *region, struct ticket *ticket, struct verdict verdict, bool loss_known);

/* Give back what is held. A ticket that was never settled counts as neutral. Safe on an empty one. */
void admit_release(struct gws_region *region, struct ticket *ticket);

#endif
