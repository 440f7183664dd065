/* Histograms that no endpoint has: those of a slot stand together, written by its owner, summed by whoever reads. */

#include "libshm/measure.h"

#include "libshm/histogram.h"

_Static_assert((int)GWS_MEASURES == (int)GWS_DISTRIBUTIONS, "a histogram for each measure");

static struct gws_histogram *measure_of(const struct gws_region *region, uint32_t slot, enum gws_measure what)
{
    return &region->measures[(size_t)slot * GWS_DISTRIBUTIONS + what];
}

void gws_measure_count(struct gws_region *region, enum gws_measure what, uint64_t value)
{
    if (slot_at(region, region->slot) != NULL && may_change(region) && (unsigned)what < GWS_MEASURES)
        histogram_count(measure_of(region, (uint32_t)region->slot, what), value);
}

void gws_measure_read(const struct gws_region *region, enum gws_measure what, struct gws_latency_counts *out)
{
    struct slot_runs runs = slot_runs(region);

    *out = (struct gws_latency_counts){.count = 0};
    if ((unsigned)what >= GWS_MEASURES)
        return;
    for (uint32_t slot = 0; slot < runs.own_end; slot++)
        histogram_add(measure_of(region, slot, what), out);
    for (uint32_t slot = runs.guest_begin; slot < runs.guest_end; slot++)
        histogram_add(measure_of(region, slot, what), out);
}
