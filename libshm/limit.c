/*
 * GCRA. The word is the moment at which the bucket will be empty of debt; a take moves it forward by what it costs and
 * is refused when that would bring it further than the tolerance beyond now. One word and one compare-and-swap, so any
 * number of processes admit exactly what one would. Products are taken in 128 bits and brought back saturated.
 */

#include "libshm/limit.h"

#include "libshm/word.h"

typedef unsigned __int128 wide;

enum { PER_NS = 16 };

#define BURST_MAX (UINT64_C(1) << 62)

static uint64_t narrow(wide value, uint64_t most)
{
    return value < most ? (uint64_t)value : most;
}

/* The interval is rounded up: a limit that does not divide evenly is kept a hair below, never above. */
struct gws_limit_rules gws_limit_rules(uint64_t count, uint64_t period_ns, uint64_t burst)
{
    struct gws_limit_rules rules = {0, 0};

    if (count == 0 || period_ns == 0)
        return rules;
    rules.interval = narrow(((wide)period_ns * PER_NS + count - 1) / count, BURST_MAX);
    rules.burst = narrow((wide)rules.interval * (burst != 0 ? burst : count), BURST_MAX);
    return rules;
}

static uint64_t to_ns_up(wide sixteenths)
{
    return narrow((sixteenths + PER_NS - 1) / PER_NS, UINT64_MAX);
}

int gws_limit_step(uint64_t old, const struct gws_limit_rules *rules, uint64_t units, uint64_t now_ns, uint64_t *word,
                   uint64_t *retry_in_ns)
{
    wide cost = (wide)rules->interval * units;
    wide now = (wide)now_ns * PER_NS;
    wide base = old > now ? old : now;

    if (cost == 0) {
        *word = old;
        return GWS_LIMIT_TAKEN;
    }
    if (cost > rules->burst ? old > now : base + cost - now > rules->burst) {
        *retry_in_ns = to_ns_up(cost > rules->burst ? old - now : base + cost - rules->burst - now);
        return GWS_LIMIT_FULL;
    }
    *word = narrow(base + cost, UINT64_MAX);
    return GWS_LIMIT_TAKEN;
}

int gws_limit_charge(struct gws_region *region, uint32_t row, const struct gws_limit_rules *rules, uint64_t units,
                     uint64_t now_ns, struct gws_limit_charge *charge, uint64_t *retry_in_ns)
{
    struct gws_limit_row *limit = limit_at(region, row);
    uint64_t old;
    uint64_t new;

    *charge = (struct gws_limit_charge){0, 0};
    if (limit == NULL || !may_change(region)) {
        *retry_in_ns = UINT64_MAX;
        return GWS_LIMIT_FULL;
    }
    old = word_load(&limit->tat);
    do {
        if (gws_limit_step(old, rules, units, now_ns, &new, retry_in_ns) == GWS_LIMIT_FULL)
            return GWS_LIMIT_FULL;
        if (new == old)
            break;
    } while (!word_swap(&limit->tat, &old, new));
    *charge = (struct gws_limit_charge){units, new};
    return GWS_LIMIT_TAKEN;
}

int gws_limit_take(struct gws_region *region, uint32_t row, const struct gws_limit_rules *rules, uint64_t units,
                   uint64_t now_ns, uint64_t *retry_in_ns)
{
    struct gws_limit_charge charge;
    return gws_limit_charge(region, row, rules, units, now_ns, &charge, retry_in_ns);
}

/*
 * What was taken later stands behind this charge, so of it is still there what lies between now and its end. Giving
 * that much back, and no more, keeps all that is really used within the burst and the rate.
 */
uint64_t gws_limit_step_settle(uint64_t old, const struct gws_limit_rules *rules, struct gws_limit_charge charge,
                               uint64_t actual, uint64_t now_ns)
{
    wide now = (wide)now_ns * PER_NS;
    wide cost;

    if (actual >= charge.units) {
        cost = (wide)rules->interval * (actual - charge.units);
        return cost == 0 ? old : narrow((old > now ? old : now) + cost, UINT64_MAX);
    }
    cost = (wide)rules->interval * (charge.units - actual);
    if (charge.until <= now)
        return old;
    if (cost > charge.until - now)
        cost = charge.until - now;
    return old > cost ? old - (uint64_t)cost : 0;
}

void gws_limit_settle(struct gws_region *region, uint32_t row, const struct gws_limit_rules *rules,
                      struct gws_limit_charge charge, uint64_t actual, uint64_t now_ns)
{
    struct gws_limit_row *limit = limit_at(region, row);
    uint64_t old;
    uint64_t new;

    if (limit == NULL || !may_change(region))
        return;
    old = word_load(&limit->tat);
    do {
        new = gws_limit_step_settle(old, rules, charge, actual, now_ns);
        if (new == old)
            return;
    } while (!word_swap(&limit->tat, &old, new));
}

int gws_limit_peek(const struct gws_region *region, uint32_t row, const struct gws_limit_rules *rules, uint64_t units,
                   uint64_t now_ns, uint64_t *retry_in_ns)
{
    const struct gws_limit_row *limit = limit_at(region, row);
    uint64_t new;

    if (limit == NULL) {
        *retry_in_ns = UINT64_MAX;
        return GWS_LIMIT_FULL;
    }
    return gws_limit_step(word_load(&limit->tat), rules, units, now_ns, &new, retry_in_ns);
}

/* What has decayed meanwhile is not given back: a word behind now counts as now. */
void gws_limit_undo(struct gws_region *region, uint32_t row, const struct gws_limit_rules *rules, uint64_t units)
{
    struct gws_limit_row *limit = limit_at(region, row);
    uint64_t cost = narrow((wide)rules->interval * units, UINT64_MAX);
    uint64_t old;

    if (limit == NULL || cost == 0 || !may_change(region))
        return;
    old = word_load(&limit->tat);
    while (!word_swap(&limit->tat, &old, old > cost ? old - cost : 0))
        ;
}

void gws_limit_reset(struct gws_region *region, uint32_t row, uint64_t now_ns, uint32_t who)
{
    struct gws_limit_row *limit = limit_at(region, row);
    uint64_t old;

    if (limit == NULL || !may_change(region))
        return;
    old = word_load(&limit->tat);
    while (!word_change(region, &limit->tat, &old, 0, GWS_EVENT_LIMIT_RESET, row, who, now_ns / 1000000))
        ;
}

/*
 * The rules are stored before the debt is rescaled. Dying in between leaves a debt in the old scale, which decays by
 * itself; the other order would let a successor rescale it twice.
 */
void gws_limit_publish(struct gws_region *region, uint32_t row, const struct gws_limit_rules *rules, uint64_t now_ns)
{
    struct gws_limit_row *limit = limit_at(region, row);
    wide now = (wide)now_ns * PER_NS;
    uint64_t before;
    uint64_t old;
    wide debt;

    if (limit == NULL || !may_change(region))
        return;
    before = word_load_relaxed(&limit->interval);
    word_store_relaxed(&limit->interval, rules->interval);
    word_store_relaxed(&limit->burst, rules->burst);
    if (before == 0 || before == rules->interval)
        return;
    old = word_load(&limit->tat);
    do {
        if (old <= now)
            return;
        debt = (old - now) / before * rules->interval + (old - now) % before * rules->interval / before;
    } while (!word_swap(&limit->tat, &old, narrow(now + debt, UINT64_MAX)));
}

bool gws_limit_read(const struct gws_region *region, uint32_t row, struct gws_limit_rules *rules, uint64_t *word)
{
    const struct gws_limit_row *limit = limit_at(region, row);

    if (limit == NULL)
        return false;
    rules->interval = word_load_relaxed(&limit->interval);
    rules->burst = word_load_relaxed(&limit->burst);
    *word = word_load(&limit->tat);
    return true;
}

/* Counted by all in one word: whoever is refused sends nothing, and has the time. */
void gws_limit_count_refusal(struct gws_region *region, uint32_t row)
{
    struct gws_limit_row *limit = limit_at(region, row);

    if (limit != NULL && may_change(region))
        word_add_shared(&limit->refusals, 1);
}

uint64_t gws_limit_refusals(const struct gws_region *region, uint32_t row)
{
    const struct gws_limit_row *limit = limit_at(region, row);
    return limit == NULL ? 0 : word_load_relaxed(&limit->refusals);
}
