/*
 * Token estimates. The rule of thumb counts like seven answers, so the first moves the ratio by an eighth of its
 * distance, and later ones by less, down to a thirty-second; a sample is brought between a quarter and four first, so
 * that a wrong `usage` can not spoil more. Estimates round up: reserving a token too much is settled, reserving one too
 * few lets one too many through.
 */

#include "libshm/estimate.h"

#include "libshm/word.h"

enum { SAMPLES_SHIFT = 48, SAMPLES_MAX = 0xffff, FIRST_WEIGHT = 8, WEIGHT = 32, WIDEST = 4 };

#define RATIO_MASK ((UINT64_C(1) << SAMPLES_SHIFT) - 1)

uint64_t gws_estimate_thumb(uint64_t bytes, uint64_t not_ascii, uint64_t messages)
{
    uint64_t each = not_ascii > bytes / 5 ? 3 : 4;
    return bytes / each + (bytes % each != 0) + 4 * messages;
}

static uint64_t ratio_of(uint64_t word)
{
    uint64_t ratio = word & RATIO_MASK;
    uint64_t least = GWS_ESTIMATE_ONE / WIDEST;
    uint64_t most = (uint64_t)GWS_ESTIMATE_ONE * WIDEST;

    if (word >> SAMPLES_SHIFT == 0)
        return GWS_ESTIMATE_ONE;
    return ratio < least ? least : ratio < most ? ratio : most;
}

uint64_t gws_estimate_step(uint64_t old, uint64_t thumb, uint64_t actual)
{
    uint64_t samples = old >> SAMPLES_SHIFT;
    int64_t ratio = (int64_t)ratio_of(old);
    int64_t weight = samples + FIRST_WEIGHT < WEIGHT ? (int64_t)samples + FIRST_WEIGHT : WEIGHT;
    int64_t seen;

    if (thumb == 0)
        return old;
    if (actual / thumb >= WIDEST)
        seen = (int64_t)GWS_ESTIMATE_ONE * WIDEST;
    else
        seen = (int64_t)((unsigned __int128)actual * GWS_ESTIMATE_ONE / thumb);
    if (seen < GWS_ESTIMATE_ONE / WIDEST)
        seen = GWS_ESTIMATE_ONE / WIDEST;
    ratio += (seen - ratio) / weight;
    return (samples < SAMPLES_MAX ? samples + 1 : samples) << SAMPLES_SHIFT | (uint64_t)ratio;
}

uint64_t gws_estimate_ratio(const struct gws_region *region, uint32_t row, uint32_t *samples)
{
    const struct gws_model_row *model = model_at(region, row);
    uint64_t word = model == NULL ? 0 : word_load_relaxed(&model->ratio);

    *samples = (uint32_t)(word >> SAMPLES_SHIFT);
    return ratio_of(word);
}

uint64_t gws_estimate_tokens(const struct gws_region *region, uint32_t row, uint64_t thumb)
{
    uint32_t samples;
    uint64_t ratio = gws_estimate_ratio(region, row, &samples);
    unsigned __int128 tokens = ((unsigned __int128)thumb * ratio + GWS_ESTIMATE_ONE - 1) / GWS_ESTIMATE_ONE;

    return tokens < UINT64_MAX ? (uint64_t)tokens : UINT64_MAX;
}

void gws_estimate_learn(struct gws_region *region, uint32_t row, uint64_t thumb, uint64_t actual)
{
    struct gws_model_row *model = model_at(region, row);
    uint64_t old;
    uint64_t new;

    if (model == NULL || !may_change(region))
        return;
    old = word_load_relaxed(&model->ratio);
    do {
        new = gws_estimate_step(old, thumb, actual);
        if (new == old)
            return;
    } while (!word_swap(&model->ratio, &old, new));
}
