#ifndef LIBSHM_CELLS_H
#define LIBSHM_CELLS_H

/*
 * Owned cells, for libshm alone: gauges of which every slot has its own, and whose sum is the truth. Taking is add,
 * then sum, then step back if the sum is over. All of it is sequentially consistent, because the argument needs one
 * order of all increments: of those that were admitted, the one whose increment came last saw all the others in its
 * sum.
 */

#include "libshm/word.h"

enum cells_result {
    CELLS_TAKEN = 0,
    CELLS_FULL = 1,
    CELLS_STEPPED = 2 /* full, and our own step may have made another one step back */
};

/* Two that race for the last place may both step back; a few more tries make that rare and it is never wrong. */
enum { CELLS_TRIES = 4 };

static inline uint64_t cells_sum(const struct gws_region *region, const gws_word *cells)
{
    struct slot_runs runs = slot_runs(region);
    uint64_t total = 0;

    for (uint32_t i = 0; i < runs.own_end; i++)
        total += atomic_load_explicit(&cells[i], memory_order_seq_cst);
    for (uint32_t i = runs.guest_begin; i < runs.guest_end; i++)
        total += atomic_load_explicit(&cells[i], memory_order_seq_cst);
    return total;
}

/* The caller has made sure that it has a slot and may write. */
static inline enum cells_result cells_take(const struct gws_region *region, gws_word *cells, uint64_t limit)
{
    for (int i = 0; i < CELLS_TRIES; i++) {
        if (cells_sum(region, cells) >= limit)
            return i == 0 ? CELLS_FULL : CELLS_STEPPED;
        atomic_fetch_add_explicit(&cells[region->slot], 1, memory_order_seq_cst);
        if (cells_sum(region, cells) <= limit)
            return CELLS_TAKEN;
        atomic_fetch_sub_explicit(&cells[region->slot], 1, memory_order_seq_cst);
    }
    return CELLS_STEPPED;
}

/* Nobody else lowers an owned cell of a live slot, so looking first is enough to keep it from going below zero. */
static inline void cells_give(const struct gws_region *region, gws_word *cells)
{
    if (atomic_load_explicit(&cells[region->slot], memory_order_relaxed) != 0)
        atomic_fetch_sub_explicit(&cells[region->slot], 1, memory_order_seq_cst);
}

/* Whether the caller has cells of its own to write. */
static inline bool cells_owned(const struct gws_region *region)
{
    return slot_at(region, region->slot) != NULL && may_change(region);
}

/* Zero everything that a slot holds. May stop anywhere and be begun again. */
void cells_clear(struct gws_region *region, uint32_t slot);

#endif
