/*
 * Bulkheads. There is no total to keep in step with the cells: the total is their sum, so a dead worker's share is
 * gone the moment its cell is zeroed. Everything here is sequentially consistent, because the argument needs one order
 * of all increments: of those that were admitted, the one whose increment came last saw all the others in its sum.
 */

#include "libshm/gate.h"

#include "libshm/word.h"

enum { TRIES = 4 };

static uint64_t sum(const struct gws_region *region, const gws_word *cells)
{
    struct slot_runs runs = slot_runs(region);
    uint64_t total = 0;

    for (uint32_t i = 0; i < runs.own_end; i++)
        total += atomic_load_explicit(&cells[i], memory_order_seq_cst);
    for (uint32_t i = runs.guest_begin; i < runs.guest_end; i++)
        total += atomic_load_explicit(&cells[i], memory_order_seq_cst);
    return total;
}

static gws_word *own_cells(const struct gws_region *region, uint32_t endpoint)
{
    if (endpoint >= region->dims.endpoints || slot_at(region, region->slot) == NULL || !may_change(region))
        return NULL;
    return gauges_of(region, endpoint);
}

/* Two that race for the last place may both step back; a few more tries make that rare and it is never wrong. */
int gws_gate_take(struct gws_region *region, uint32_t endpoint, uint32_t limit)
{
    gws_word *cells = own_cells(region, endpoint);

    if (cells == NULL)
        return GWS_GATE_FULL;
    for (int i = 0; i < TRIES; i++) {
        if (sum(region, cells) >= limit)
            return GWS_GATE_FULL;
        atomic_fetch_add_explicit(&cells[region->slot], 1, memory_order_seq_cst);
        if (sum(region, cells) <= limit)
            return GWS_GATE_TAKEN;
        atomic_fetch_sub_explicit(&cells[region->slot], 1, memory_order_seq_cst);
    }
    return GWS_GATE_FULL;
}

void gws_gate_give(struct gws_region *region, uint32_t endpoint)
{
    gws_word *cells = own_cells(region, endpoint);

    /* Nobody else lowers an owned cell of a live slot, so looking first is enough to keep it from going below zero. */
    if (cells != NULL && atomic_load_explicit(&cells[region->slot], memory_order_relaxed) != 0)
        atomic_fetch_sub_explicit(&cells[region->slot], 1, memory_order_seq_cst);
}

uint64_t gws_gate_sum(const struct gws_region *region, uint32_t endpoint)
{
    return endpoint < region->dims.endpoints ? sum(region, gauges_of(region, endpoint)) : 0;
}
