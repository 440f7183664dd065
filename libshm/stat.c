/*
 * Counters. A line belongs to one slot, so its owner adds with a plain load and store, no locked instruction, and two
 * workers never touch the same line. Nobody else writes them but the master, when an endpoint's row changes hands.
 */

#include "libshm/stat.h"

#include "libshm/word.h"

_Static_assert((int)GWS_STATS <= (int)GWS_STATS_PER_LINE, "the counters of an endpoint fit a line");

static gws_word *own_line(const struct gws_region *region, uint32_t endpoint)
{
    if (endpoint >= region->dims.endpoints || slot_at(region, region->slot) == NULL || !may_change(region))
        return NULL;
    return stats_of(region, (uint32_t)region->slot, endpoint);
}

void gws_stat_count(struct gws_region *region, uint32_t endpoint, enum gws_stat stat)
{
    gws_word *line = own_line(region, endpoint);

    if (line != NULL && (unsigned)stat < GWS_STAT_LAST_OK)
        word_add_own(&line[stat], 1);
}

void gws_stat_last_ok(struct gws_region *region, uint32_t endpoint, uint64_t now)
{
    gws_word *line = own_line(region, endpoint);

    if (line != NULL)
        word_store_relaxed(&line[GWS_STAT_LAST_OK], now);
}

static void add_slot(const struct gws_region *region, uint32_t slot, uint32_t endpoint, uint64_t out[GWS_STATS])
{
    const gws_word *line = stats_of(region, slot, endpoint);
    uint64_t last_ok = word_load_relaxed(&line[GWS_STAT_LAST_OK]);

    for (int i = 0; i < GWS_STAT_LAST_OK; i++)
        out[i] += word_load_relaxed(&line[i]);
    if (last_ok > out[GWS_STAT_LAST_OK])
        out[GWS_STAT_LAST_OK] = last_ok;
}

void gws_stat_read(const struct gws_region *region, uint32_t endpoint, uint64_t out[GWS_STATS])
{
    struct slot_runs runs = slot_runs(region);

    for (int i = 0; i < GWS_STATS; i++)
        out[i] = 0;
    if (endpoint >= region->dims.endpoints)
        return;
    for (uint32_t slot = 0; slot < runs.own_end; slot++)
        add_slot(region, slot, endpoint, out);
    for (uint32_t slot = runs.guest_begin; slot < runs.guest_end; slot++)
        add_slot(region, slot, endpoint, out);
}
