/*
 * What a slot holds, in one place: whoever adds a gauge to the region adds a line here, or the dead keep it. Counters
 * are not here; they are the slot's and its next owner goes on with them.
 */

#include "libshm/cells.h"

void cells_clear(struct gws_region *region, uint32_t slot)
{
    for (uint32_t endpoint = 0; endpoint < region->dims.endpoints; endpoint++) {
        gws_word *waiting = &region->waiters[endpoint].slots[slot / 64];
        atomic_store_explicit(&gauges_of(region, endpoint)[slot], 0, memory_order_seq_cst);
        if ((word_load_relaxed(waiting) >> slot % 64 & 1) != 0)
            atomic_fetch_and_explicit(waiting, ~(UINT64_C(1) << slot % 64), memory_order_seq_cst);
    }
    for (uint32_t tally = 0; tally < GWS_TALLY_ROWS; tally++)
        atomic_store_explicit(&tallies_of(region, tally)[slot], 0, memory_order_seq_cst);
    for (uint32_t quota = 0; quota < region->dims.quotas; quota++)
        atomic_store_explicit(&quota_cells_of(region, quota)[slot].reserved, 0, memory_order_seq_cst);
    word_store_relaxed(&region->slots[slot].connections, 0);
}
