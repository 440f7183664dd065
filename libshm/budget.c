/*
 * Tallies and budgets. The share is of the requests in flight at the moment of asking; when they become fewer while
 * retries are under way the budget is exceeded until those end, which nobody could have known.
 */

#include "libshm/budget.h"

#include "libshm/cells.h"

_Static_assert((int)GWS_TALLIES <= (int)GWS_TALLY_ROWS, "every tally has a row");

enum { WHOLE = 10000 };

static gws_word *own_cells(const struct gws_region *region, enum gws_tally tally)
{
    return (unsigned)tally < GWS_TALLIES && cells_owned(region) ? tallies_of(region, (uint32_t)tally) : NULL;
}

void gws_tally_enter(struct gws_region *region, enum gws_tally tally)
{
    gws_word *cells = own_cells(region, tally);

    if (cells != NULL)
        atomic_fetch_add_explicit(&cells[region->slot], 1, memory_order_seq_cst);
}

void gws_tally_leave(struct gws_region *region, enum gws_tally tally)
{
    gws_word *cells = own_cells(region, tally);

    if (cells != NULL)
        cells_give(region, cells);
}

uint64_t gws_tally_sum(const struct gws_region *region, enum gws_tally tally)
{
    return (unsigned)tally < GWS_TALLIES ? cells_sum(region, tallies_of(region, (uint32_t)tally)) : 0;
}

int gws_tally_take(struct gws_region *region, enum gws_tally tally, uint64_t limit)
{
    gws_word *cells = own_cells(region, tally);

    if (cells == NULL || cells_take(region, cells, limit) != CELLS_TAKEN)
        return GWS_BUDGET_SPENT;
    return GWS_BUDGET_TAKEN;
}

int gws_budget_take(struct gws_region *region, enum gws_tally tally, const struct gws_budget_rules *rules)
{
    uint64_t limit = gws_tally_sum(region, GWS_TALLY_REQUESTS) * rules->share / WHOLE;
    return gws_tally_take(region, tally, limit > rules->min ? limit : rules->min);
}
