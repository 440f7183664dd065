#ifndef LIBSHM_WAITER_H
#define LIBSHM_WAITER_H

/*
 * Who waits for a place on an endpoint: a bit for each slot. libshm says which slots to wake; the descriptor that wakes
 * one (an eventfd or a pipe for each slot, made before the fork) is the daemon's.
 *
 *   A process that wants to wait sets its bit and then tries to take once more; only when that fails too it sleeps.
 *   When it wakes it tries, and sets its bit again before it sleeps again; when it waits no more it clears its bit.
 *   Whoever gave a place back, or was told STEPPED by a take, collects and wakes every slot it finds.
 *
 * One side sets its bit before it looks at the places, the other gives before it looks at the bits, all sequentially
 * consistent: so one of them sees the other, and no free place is left beside a sleeper. A process killed between
 * collecting and waking takes the bits with it; hence whoever reaps a slot wakes everyone (gws_waiter_everyone), which
 * the places of the dead ask for anyway.
 */

#include "libshm/region.h"

/* A set of slots. */
struct gws_slots {
    uint64_t bits[GWS_SLOTS_MAX / 64];
};

/* Without a slot, or for an endpoint out of range, these do nothing. */
void gws_waiter_set(struct gws_region *region, uint32_t endpoint);
void gws_waiter_clear(struct gws_region *region, uint32_t endpoint);

/* Add the slots that wait for this endpoint to `slots`, clearing their bits. True when there was one. Costs a few loads
 * when nobody waits. */
bool gws_waiter_collect(struct gws_region *region, uint32_t endpoint, struct gws_slots *slots);

/* Add every slot that has a living process, but the caller's own. */
void gws_waiter_everyone(const struct gws_region *region, struct gws_slots *slots);

/* Whether the slot waits for the endpoint: for tools. */
bool gws_waiter_is_set(const struct gws_region *region, uint32_t endpoint, int slot);

/* The first slot of the set after `slot`, or -1; begin with -1. */
int gws_slots_next(const struct gws_slots *slots, int slot);

#endif
