/*
 * The adaptive limit. The word keeps a fraction because a limit of a thousand grows by a thousandth at a time; below
 * 1/4096 the step is rounded up, so a very large limit grows a little faster than it should and none stands still.
 * Growth ends at the configured limit, and a word that has come back there is 0 again: nothing is remembered of a cut
 * that is healed.
 */

#include "libshm/adapt.h"

#include "libshm/word.h"

enum { ONE = 4096, WHOLE = 10000, KEEP = 7000, PAUSE_MS = 1000, CUT_BITS = 36, LIMIT_MAX = 0xffff };

#define CUT_MASK ((UINT64_C(1) << CUT_BITS) - 1)

static uint64_t least(const struct gws_adapt_rules *rules)
{
    return (uint64_t)(rules->min != 0 ? rules->min : 1) * ONE;
}

/* In 1/4096. A word that was made under other rules is brought between these. Beyond what fits nothing adapts. */
static uint64_t limit_of(uint64_t word, const struct gws_adapt_rules *rules)
{
    uint64_t most = (uint64_t)rules->max * ONE;
    uint64_t limit = word >> CUT_BITS;

    if (word == 0 || limit > most)
        return most;
    return limit < least(rules) && least(rules) < most ? least(rules) : limit;
}

uint32_t gws_adapt_limit_of(uint64_t word, const struct gws_adapt_rules *rules)
{
    return (uint32_t)(limit_of(word, rules) / ONE);
}

uint64_t gws_adapt_step_cut(uint64_t old, const struct gws_adapt_rules *rules, uint64_t now)
{
    uint64_t pause = rules->pause_ms != 0 ? rules->pause_ms : PAUSE_MS;
    uint64_t keep = rules->keep != 0 ? rules->keep : KEEP;
    uint64_t limit = limit_of(old, rules);
    uint64_t last = old & CUT_MASK;

    if (limit <= least(rules) || (old != 0 && (now < last || now - last < pause)))
        return old;
    limit = limit * keep / WHOLE;
    if (limit < least(rules))
        limit = least(rules);
    if (limit > (uint64_t)LIMIT_MAX * ONE)
        limit = (uint64_t)LIMIT_MAX * ONE;
    return limit << CUT_BITS | (now < CUT_MASK ? now : CUT_MASK);
}

uint64_t gws_adapt_step_raise(uint64_t old, const struct gws_adapt_rules *rules, uint64_t in_flight)
{
    uint64_t limit = limit_of(old, rules);
    uint64_t step;

    if (old == 0 || in_flight * 2 * ONE < limit)
        return old;
    step = limit != 0 ? (uint64_t)ONE * ONE / limit : ONE;
    limit += step != 0 ? step : 1;
    if (limit >= (uint64_t)rules->max * ONE || limit > (uint64_t)LIMIT_MAX * ONE)
        return 0;
    return limit << CUT_BITS | (old & CUT_MASK);
}

uint32_t gws_adapt_limit(const struct gws_region *region, uint32_t row, const struct gws_adapt_rules *rules)
{
    const struct gws_domain_row *domain = domain_at(region, row);
    return domain == NULL ? 0 : gws_adapt_limit_of(word_load(&domain->adapt), rules);
}

void gws_adapt_overload(struct gws_region *region, uint32_t row, const struct gws_adapt_rules *rules, uint64_t now)
{
    struct gws_domain_row *domain = domain_at(region, row);
    uint64_t old;
    uint64_t new;

    if (domain == NULL || !may_change(region))
        return;
    old = word_load(&domain->adapt);
    do {
        new = gws_adapt_step_cut(old, rules, now);
        if (new == old)
            return;
    } while (!word_swap(&domain->adapt, &old, new));
}

void gws_adapt_success(struct gws_region *region, uint32_t row, const struct gws_adapt_rules *rules, uint64_t in_flight)
{
    struct gws_domain_row *domain = domain_at(region, row);
    uint64_t old;
    uint64_t new;

    if (domain == NULL || !may_change(region))
        return;
    old = word_load(&domain->adapt);
    do {
        new = gws_adapt_step_raise(old, rules, in_flight);
        if (new == old)
            return;
    } while (!word_swap(&domain->adapt, &old, new));
}

void gws_adapt_reset(struct gws_region *region, uint32_t row)
{
    struct gws_domain_row *domain = domain_at(region, row);
    uint64_t old;

    if (domain == NULL || !may_change(region))
        return;
    old = word_load(&domain->adapt);
    while (old != 0 && !word_swap(&domain->adapt, &old, 0))
        ;
}
