/*
 * Bulkheads. There is no total to keep in step with the cells: the total is their sum, so a dead worker's share is
 * gone the moment its cell is zeroed. How places are taken without a total is told in cells.h.
 */

#include "libshm/gate.h"

#include "libshm/cells.h"

_Static_assert((int)GWS_GATE_TAKEN == (int)CELLS_TAKEN && (int)GWS_GATE_FULL == (int)CELLS_FULL &&
                   (int)GWS_GATE_STEPPED == (int)CELLS_STEPPED,
               "the gate passes on what the cells say");

static gws_word *own_cells(const struct gws_region *region, uint32_t endpoint)
{
    return endpoint < region->dims.endpoints && cells_owned(region) ? gauges_of(region, endpoint) : NULL;
}

int gws_gate_take(struct gws_region *region, uint32_t endpoint, uint32_t limit)
{
    gws_word *cells = own_cells(region, endpoint);
    return cells == NULL ? GWS_GATE_FULL : (int)cells_take(region, cells, limit);
}

void gws_gate_give(struct gws_region *region, uint32_t endpoint)
{
    gws_word *cells = own_cells(region, endpoint);

    if (cells != NULL)
        cells_give(region, cells);
}

uint64_t gws_gate_sum(const struct gws_region *region, uint32_t endpoint)
{
    return endpoint < region->dims.endpoints ? cells_sum(region, gauges_of(region, endpoint)) : 0;
}
