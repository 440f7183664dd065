/*
 * The average is weighted by time and not by samples: what a domain did in the last seconds counts the same whether it
 * was asked ten times or ten thousand. The weight is decay/(decay + elapsed) instead of an exponential, which needs no
 * floating point and differs in nothing that matters here. A peak is taken over whole, because one slow answer is news
 * and one fast answer is not.
 */

#include "libshm/latency.h"

#include "libshm/histogram.h"

enum { LINEAR = 8, OCTAVE_BITS = 3, TOP_BIT = 23, UNITS_PER_MS = 16, US_PER_MS = 1000, WHOLE = 10000 };

_Static_assert(((TOP_BIT - OCTAVE_BITS + 1) << OCTAVE_BITS) + LINEAR == GWS_LATENCY_BUCKETS, "octaves make buckets");
_Static_assert(sizeof(((struct gws_histogram *)0)->pairs) * 2 == GWS_LATENCY_BUCKETS * sizeof(uint64_t), "two a word");

#define EWMA_MAX UINT32_MAX

/* Milliseconds since the word was stamped; a writer that was held up comes out as none. */
static uint64_t elapsed(uint64_t word, uint64_t now)
{
    uint32_t ms = (uint32_t)now - (uint32_t)word;
    return ms <= INT32_MAX ? ms : 0;
}

static uint64_t fade(uint64_t value, uint64_t ms, uint32_t decay_ms)
{
    return decay_ms == 0 ? 0 : value * decay_ms / (decay_ms + ms);
}

uint64_t gws_latency_step(uint64_t old, uint64_t us, uint32_t decay_ms, uint64_t now)
{
    uint64_t ewma = old >> 32;
    uint64_t ms = elapsed(old, now);

    us = us < 1 ? 1 : us < EWMA_MAX ? us : EWMA_MAX;
    if (us < ewma)
        us += fade(ewma - us, ms, decay_ms);
    return us << 32 | (uint32_t)((uint32_t)old + ms);
}

void gws_latency_feed(struct gws_region *region, uint32_t row, uint64_t us, uint32_t decay_ms, uint64_t now)
{
    struct gws_domain_row *domain = domain_at(region, row);
    uint64_t old;
    uint64_t new;

    if (domain == NULL || !may_change(region))
        return;
    old = word_load_relaxed(&domain->latency);
    do {
        new = gws_latency_step(old == 0 ? (uint32_t)now : old, us, decay_ms, now);
        if (new == old)
            return;
    } while (!word_swap(&domain->latency, &old, new));
}

uint64_t gws_latency_expect(const struct gws_region *region, uint32_t row, uint32_t decay_ms, uint64_t now)
{
    const struct gws_domain_row *domain = domain_at(region, row);
    uint64_t word = domain == NULL ? 0 : word_load_relaxed(&domain->latency);
    return fade(word >> 32, elapsed(word, now), decay_ms);
}

uint32_t gws_latency_bucket(uint64_t us)
{
    uint64_t units = us > UINT64_MAX / UNITS_PER_MS ? UINT64_MAX : us * UNITS_PER_MS / US_PER_MS;
    uint32_t top;

    if (units < LINEAR)
        return (uint32_t)units;
    top = 63 - (uint32_t)__builtin_clzll(units);
    if (top > TOP_BIT)
        return GWS_LATENCY_BUCKETS - 1;
    return ((top - OCTAVE_BITS + 1) << OCTAVE_BITS) + (uint32_t)(units >> (top - OCTAVE_BITS) & (LINEAR - 1));
}

static uint64_t bucket_begin(uint32_t bucket)
{
    uint64_t units = bucket;

    if (bucket >= LINEAR)
        units = (uint64_t)(LINEAR + bucket % LINEAR) << (bucket / LINEAR - 1);
    return (units * US_PER_MS + UNITS_PER_MS - 1) / UNITS_PER_MS;
}

uint64_t gws_latency_bucket_end(uint32_t bucket)
{
    return bucket >= GWS_LATENCY_BUCKETS - 1 ? UINT64_MAX : bucket_begin(bucket + 1);
}

void gws_latency_count(struct gws_region *region, uint32_t endpoint, enum gws_latency_kind kind, uint64_t us)
{
    if (endpoint >= region->dims.endpoints || slot_at(region, region->slot) == NULL || !may_change(region) ||
        (unsigned)kind >= GWS_HISTOGRAMS)
        return;
    histogram_count(&histograms_of(region, (uint32_t)region->slot, endpoint)[kind], us);
}

void gws_latency_read(const struct gws_region *region, uint32_t endpoint, enum gws_latency_kind kind,
                      struct gws_latency_counts *out)
{
    struct slot_runs runs = slot_runs(region);

    *out = (struct gws_latency_counts){.count = 0};
    if (endpoint >= region->dims.endpoints || (unsigned)kind >= GWS_HISTOGRAMS)
        return;
    for (uint32_t slot = 0; slot < runs.own_end; slot++)
        histogram_add(&histograms_of(region, slot, endpoint)[kind], out);
    for (uint32_t slot = runs.guest_begin; slot < runs.guest_end; slot++)
        histogram_add(&histograms_of(region, slot, endpoint)[kind], out);
}

/* A reading that is smaller than the one before is of a row that changed hands: it began afresh. */
void gws_latency_since(struct gws_latency_counts *newer, const struct gws_latency_counts *older)
{
    uint64_t count = 0;

    for (int i = 0; i < GWS_LATENCY_BUCKETS; i++)
        if (newer->buckets[i] < older->buckets[i])
            return;
    for (int i = 0; i < GWS_LATENCY_BUCKETS; i++) {
        newer->buckets[i] -= older->buckets[i];
        count += newer->buckets[i];
    }
    newer->count = count;
    newer->sum_us -= older->sum_us < newer->sum_us ? older->sum_us : newer->sum_us;
}

uint64_t gws_latency_quantile(const struct gws_latency_counts *counts, uint32_t share)
{
    uint64_t rank = (counts->count / WHOLE) * share + (counts->count % WHOLE * share + WHOLE - 1) / WHOLE;
    uint64_t seen = 0;

    if (counts->count == 0)
        return 0;
    rank = rank < 1 ? 1 : rank < counts->count ? rank : counts->count;
    for (uint32_t i = 0; i < GWS_LATENCY_BUCKETS; i++) {
        seen += counts->buckets[i];
        if (seen >= rank)
            return i == GWS_LATENCY_BUCKETS - 1 ? bucket_begin(i)
                                                : (bucket_begin(i) + gws_latency_bucket_end(i)) / 2;
    }
    return bucket_begin(GWS_LATENCY_BUCKETS - 1);
}
