#ifndef LIBSHM_WORD_H
#define LIBSHM_WORD_H

/*
 * How libshm's own modules reach a word and change it. An index that came from elsewhere is checked here, once; a
 * change is one compare-and-swap whose winner alone writes the event, so each event stands for exactly one change.
 */

#include "libshm/event.h"
#include "libshm/layout.h"

static inline struct gws_domain_row *domain_at(const struct gws_region *region, uint32_t row)
{
    return row < region->dims.domains ? &region->domains[row] : NULL;
}

static inline struct gws_limit_row *limit_at(const struct gws_region *region, uint32_t row)
{
    return row < region->dims.limits ? &region->limits[row] : NULL;
}

static inline struct gws_quota_row *quota_at(const struct gws_region *region, uint32_t row)
{
    return row < region->dims.quotas ? &region->quotas[row] : NULL;
}

static inline struct gws_model_row *model_at(const struct gws_region *region, uint32_t row)
{
    return row < region->dims.models ? &region->models[row] : NULL;
}

static inline struct gws_waiter_row *waiter_at(const struct gws_region *region, uint32_t endpoint)
{
    return endpoint < region->dims.endpoints ? &region->waiters[endpoint] : NULL;
}

static inline struct gws_slot_row *slot_at(const struct gws_region *region, int slot)
{
    return slot >= 0 && (uint32_t)slot < region->dims.slots ? &region->slots[slot] : NULL;
}

/* A mapping made to look is read-only memory: a write to it would be a crash, not an error. */
static inline bool may_change(const struct gws_region *region)
{
    return region->access == GWS_CHANGE;
}

/* The bulkhead cells of an endpoint, one per slot. The caller has checked the endpoint. */
static inline gws_word *gauges_of(const struct gws_region *region, uint32_t endpoint)
{
    return region->gauges + (size_t)endpoint * gws_gauge_lines(&region->dims) * GWS_GAUGES_PER_LINE;
}

/* The cells of a tally, one per slot. The caller has checked the tally. */
static inline gws_word *tallies_of(const struct gws_region *region, uint32_t tally)
{
    return region->tallies + (size_t)tally * gws_gauge_lines(&region->dims) * GWS_GAUGES_PER_LINE;
}

/* The cells of a quota, one per slot. The caller has checked the quota. */
static inline struct gws_quota_cell *quota_cells_of(const struct gws_region *region, uint32_t quota)
{
    return region->cells + (size_t)quota * region->dims.slots;
}

/* The histograms of (slot, endpoint). The caller has checked both. */
static inline struct gws_histogram *histograms_of(const struct gws_region *region, uint32_t slot, uint32_t endpoint)
{
    return region->histograms + ((size_t)slot * region->dims.endpoints + endpoint) * GWS_HISTOGRAMS;
}

/* The counters of (slot, domain row). The caller has checked both. */
static inline gws_word *series_of(const struct gws_region *region, uint32_t slot, uint32_t row)
{
    return region->series + ((size_t)slot * region->dims.domains + row) * GWS_SERIES_PER_LINE;
}

/* The counters of (slot, endpoint). The caller has checked both. */
static inline gws_word *stats_of(const struct gws_region *region, uint32_t slot, uint32_t endpoint)
{
    return region->stats + ((size_t)slot * region->dims.endpoints + endpoint) * GWS_STATS_PER_LINE;
}

/* One more in a word that everybody counts in; never of what is decided by. */
static inline void word_add_shared(gws_word *word, uint64_t n)
{
    atomic_fetch_add_explicit(word, n, memory_order_relaxed);
}

static inline uint64_t word_load(const gws_word *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static inline uint64_t word_load_relaxed(const gws_word *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void word_store_relaxed(gws_word *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* Add to a word that only the caller's slot writes. A reader sees the value before or after. */
static inline void word_add_own(gws_word *word, uint64_t n)
{
    word_store_relaxed(word, word_load_relaxed(word) + n);
}

static inline bool word_swap(gws_word *word, uint64_t *old, uint64_t new)
{
    return atomic_compare_exchange_strong_explicit(word, old, new, memory_order_acq_rel, memory_order_acquire);
}

/* Swap and, having won, record. On a lost race `*old` holds what stands there now. */
static inline bool word_change(struct gws_region *region, gws_word *word, uint64_t *old, uint64_t new,
                               enum gws_event_code code, uint32_t row, uint32_t who, uint64_t now)
{
    uint64_t before = *old;

    if (!word_swap(word, old, new))
        return false;
    gws_event_record(region, code, row, before, new, who, now);
    return true;
}

/* Slot's next owner, before it writes: keep a record that was finished when its writer died (event.c). */
void gws_event_resume(struct gws_region *region, int slot);

/* Slots come in two runs, the gateway's own and the guests'; sums look only at what was ever used of each. */
struct slot_runs {
    uint32_t own_end;
    uint32_t guest_begin;
    uint32_t guest_end;
};

/* The marks are clamped: a scribbled file must not lead outside the mapping. */
static inline struct slot_runs slot_runs(const struct gws_region *region)
{
    uint32_t guests = region->dims.guests;
    uint32_t own = region->dims.slots - guests;
    uint64_t high = atomic_load_explicit(&region->header->slot_high, memory_order_seq_cst);
    uint64_t guest_high = atomic_load_explicit(&region->header->guest_high, memory_order_seq_cst);
    struct slot_runs runs = {
        .own_end = high < own ? (uint32_t)high : own,
        .guest_begin = own,
        .guest_end = own + (guest_high < guests ? (uint32_t)guest_high : guests),
    };
    return runs;
}

#endif
