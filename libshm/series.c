/*
 * Counters of the domains. A line belongs to one slot, so its owner adds with a plain load and store; what all write is
 * written seldom. A row is either a pair's or an endpoint's, so the two kinds of counters share a line.
 */

#include "libshm/series.h"

#include "libshm/breaker.h"
#include "libshm/word.h"

enum { ANSWERED_STEP_MS = 100, MODES = 4 };

_Static_assert((int)GWS_ENDINGS <= (int)GWS_SERIES_PER_LINE, "the endings of a row fit a line");
_Static_assert((int)GWS_REPEATS <= (int)GWS_SERIES_PER_LINE, "the repeats of a row fit a line");
_Static_assert(sizeof(((struct gws_domain_row *)0)->transitions) == MODES * sizeof(gws_word) &&
                   (int)GWS_FORCED == MODES - 1, "a word for each mode");

static void count(const struct gws_region *region, uint32_t row, unsigned which)
{
    if (row < region->dims.domains && slot_at(region, region->slot) != NULL && may_change(region))
        word_add_own(&series_of(region, (uint32_t)region->slot, row)[which], 1);
}

static void add_slot(const struct gws_region *region, uint32_t slot, uint32_t row, uint64_t *out, unsigned words)
{
    const gws_word *line = series_of(region, slot, row);

    for (unsigned i = 0; i < words; i++)
        out[i] += word_load_relaxed(&line[i]);
}

static void sum(const struct gws_region *region, uint32_t row, uint64_t *out, unsigned words)
{
    struct slot_runs runs = slot_runs(region);

    for (unsigned i = 0; i < words; i++)
        out[i] = 0;
    if (row >= region->dims.domains)
        return;
    for (uint32_t slot = 0; slot < runs.own_end; slot++)
        add_slot(region, slot, row, out, words);
    for (uint32_t slot = runs.guest_begin; slot < runs.guest_end; slot++)
        add_slot(region, slot, row, out, words);
}

void gws_series_count(struct gws_region *region, uint32_t row, enum gws_ending ending)
{
    if ((unsigned)ending < GWS_ENDINGS)
        count(region, row, ending);
}

void gws_series_read(const struct gws_region *region, uint32_t row, uint64_t out[GWS_ENDINGS])
{
    sum(region, row, out, GWS_ENDINGS);
}

void gws_series_repeat(struct gws_region *region, uint32_t row, enum gws_repeat why)
{
    if ((unsigned)why < GWS_REPEATS)
        count(region, row, why);
}

void gws_series_repeats(const struct gws_region *region, uint32_t row, uint64_t out[GWS_REPEATS])
{
    sum(region, row, out, GWS_REPEATS);
}

void gws_series_answered(struct gws_region *region, uint32_t row, uint64_t now)
{
    struct gws_domain_row *domain = domain_at(region, row);

    if (domain != NULL && may_change(region) && now >= word_load_relaxed(&domain->answered) + ANSWERED_STEP_MS)
        word_store_relaxed(&domain->answered, now);
}

uint64_t gws_series_last_answer(const struct gws_region *region, uint32_t row)
{
    const struct gws_domain_row *domain = domain_at(region, row);
    return domain == NULL ? 0 : word_load_relaxed(&domain->answered);
}

void gws_series_transitions(const struct gws_region *region, uint32_t row, uint64_t out[MODES])
{
    const struct gws_domain_row *domain = domain_at(region, row);

    for (int i = 0; i < MODES; i++)
        out[i] = domain == NULL ? 0 : word_load_relaxed(&domain->transitions[i]);
}

void gws_series_clear(struct gws_region *region, uint32_t row)
{
    struct gws_domain_row *domain = domain_at(region, row);

    if (domain == NULL || !may_change(region))
        return;
    for (uint32_t slot = 0; slot < region->dims.slots; slot++)
        for (int i = 0; i < GWS_SERIES_PER_LINE; i++)
            word_store_relaxed(&series_of(region, slot, row)[i], 0);
    for (int i = 0; i < MODES; i++)
        word_store_relaxed(&domain->transitions[i], 0);
    word_store_relaxed(&domain->answered, 0);
}
