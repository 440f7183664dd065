/*
 * The window. The epoch in each word says which six seconds it counts, so what is old is recognized when it is read
 * and replaced when it is written, and no moment exists at which somebody must turn the window for all. Sixteen bits
 * of epoch come round after four and a half days, and on the same word after 22: an idle row may then show an old
 * word for six seconds. A try more or less in a share of twenty is no harm that would be worth another word.
 */

#include "libshm/window.h"

#include "libshm/word.h"

enum { FIELD_MAX = 0xffff, FAILED_SHIFT = 16, SLOW_SHIFT = 32, EPOCH_SHIFT = 48 };

static uint64_t epoch_of(uint64_t now)
{
    return now / GWS_WINDOW_BUCKET_MS;
}

static uint64_t field(uint64_t word, int shift)
{
    return word >> shift & FIELD_MAX;
}

uint64_t gws_window_step(uint64_t old, enum gws_sample sample, uint64_t now)
{
    uint64_t epoch = epoch_of(now) & FIELD_MAX;
    uint64_t ahead = (field(old, EPOCH_SHIFT) - epoch) & FIELD_MAX;

    /* A writer that was held up finds the word taken by a later epoch: its sample is too old to matter. */
    if (ahead != 0 && ahead <= GWS_WINDOW_BUCKETS && field(old, 0) != 0)
        return old;
    if (ahead != 0)
        old = epoch << EPOCH_SHIFT;
    if (field(old, 0) == FIELD_MAX)
        return old;
    /* Neither part can outgrow the total, which does not overflow. */
    old += 1;
    if (sample == GWS_SAMPLE_FAILED && field(old, FAILED_SHIFT) < FIELD_MAX)
        old += UINT64_C(1) << FAILED_SHIFT;
    if (sample == GWS_SAMPLE_SLOW && field(old, SLOW_SHIFT) < FIELD_MAX)
        old += UINT64_C(1) << SLOW_SHIFT;
    return old;
}

void gws_window_add(struct gws_region *region, uint32_t row, enum gws_sample sample, uint64_t now)
{
    struct gws_domain_row *domain = domain_at(region, row);
    gws_word *word;
    uint64_t old;
    uint64_t new;

    if (domain == NULL || !may_change(region))
        return;
    word = &domain->window[epoch_of(now) % GWS_WINDOW_BUCKETS];
    old = word_load_relaxed(word);
    do {
        new = gws_window_step(old, sample, now);
        if (new == old)
            return;
    } while (!word_swap(word, &old, new));
}

struct gws_window_totals gws_window_sum(const struct gws_region *region, uint32_t row, uint32_t window_ms,
                                        uint64_t since, uint64_t now)
{
    const struct gws_domain_row *domain = domain_at(region, row);
    uint64_t last = epoch_of(now);
    uint64_t count = ((uint64_t)window_ms + GWS_WINDOW_BUCKET_MS - 1) / GWS_WINDOW_BUCKET_MS;
    uint64_t first = (since + GWS_WINDOW_BUCKET_MS - 1) / GWS_WINDOW_BUCKET_MS;
    struct gws_window_totals totals = {.span_ms = 1};

    count = count < GWS_WINDOW_BUCKETS ? count : GWS_WINDOW_BUCKETS;
    if (last + 1 >= count && first < last + 1 - count)
        first = last + 1 - count;
    if (domain == NULL || first > last)
        return totals;
    for (uint64_t epoch = first; epoch <= last; epoch++) {
        uint64_t word = word_load_relaxed(&domain->window[epoch % GWS_WINDOW_BUCKETS]);
        if (field(word, EPOCH_SHIFT) != (epoch & FIELD_MAX))
            continue;
        totals.total += (uint32_t)field(word, 0);
        totals.failed += (uint32_t)field(word, FAILED_SHIFT);
        totals.slow += (uint32_t)field(word, SLOW_SHIFT);
    }
    if (now > first * GWS_WINDOW_BUCKET_MS)
        totals.span_ms = (uint32_t)(now - first * GWS_WINDOW_BUCKET_MS);
    return totals;
}

struct gws_window_totals gws_window_read(const struct gws_region *region, uint32_t row, uint64_t now)
{
    return gws_window_sum(region, row, GWS_WINDOW_BUCKETS * GWS_WINDOW_BUCKET_MS, 0, now);
}

void gws_window_clear(struct gws_region *region, uint32_t row)
{
    struct gws_domain_row *domain = domain_at(region, row);

    for (int i = 0; domain != NULL && may_change(region) && i < GWS_WINDOW_BUCKETS; i++)
        word_store_relaxed(&domain->window[i], 0);
}
