/* Counters of the gateway as a whole: plain loads and stores by the slot's owner, sums by whoever reads. */

#include "libshm/count.h"

#include "libshm/word.h"

_Static_assert((int)GWS_COUNTS <= (int)GWS_COUNTS_PER_SLOT, "the counters fit the slot's lines");

void gws_count(struct gws_region *region, enum gws_count what, uint64_t more)
{
    struct gws_slot_row *row = may_change(region) ? slot_at(region, region->slot) : NULL;

    if (row != NULL && (unsigned)what < GWS_COUNTS)
        word_add_own(&row->counts[what], more);
}

static void add_slot(const struct gws_slot_row *row, uint64_t out[GWS_COUNTS])
{
    for (int i = 0; i < GWS_COUNTS; i++)
        out[i] += word_load_relaxed(&row->counts[i]);
}

void gws_count_read(const struct gws_region *region, uint64_t out[GWS_COUNTS])
{
    struct slot_runs runs = slot_runs(region);

    for (int i = 0; i < GWS_COUNTS; i++)
        out[i] = 0;
    for (uint32_t slot = 0; slot < runs.own_end; slot++)
        add_slot(&region->slots[slot], out);
    for (uint32_t slot = runs.guest_begin; slot < runs.guest_end; slot++)
        add_slot(&region->slots[slot], out);
}
