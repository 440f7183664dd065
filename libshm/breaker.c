/*
 * The breaker's operations: the steps of breaker_step.c put into the region with one compare-and-swap. A healthy
 * breaker costs one load to ask and one to report: nothing is written to its word until a failure happens. The
 * generation changes with every mode, so an outcome that began before a change can not undo it, on success or on
 * failure; and a trial is a lease in the word, so a killed prober is replaced when the lease runs out.
 */

#include "libshm/breaker.h"

#include "libshm/breaker_word.h"
#include "libshm/restore.h"
#include "libshm/word.h"

enum { LATELY_MS = 12000, FEW_IN_A_ROW = 2, WHOLE = 10000 };

/* Nearly every call finds this. The steps say the same; asking here saves taking the word apart and joining it. */
static bool is_closed(uint64_t word)
{
    return word >> 62 == GWS_CLOSED;
}

/* One swap, with its event; whoever made the breaker go over to another mode counts that. Dying in between loses the
 * event and the count, as every change may. */
static bool change(struct gws_region *region, uint32_t row, uint64_t *old, uint64_t new, uint32_t who, uint64_t now)
{
    struct gws_domain_row *domain = &region->domains[row];
    uint64_t before = *old;

    if (!word_change(region, &domain->breaker, old, new, GWS_EVENT_BREAKER, row, who, now))
        return false;
    if (before >> 62 != new >> 62)
        word_add_shared(&domain->transitions[new >> 62], 1);
    return true;
}

int gws_breaker_permit(struct gws_region *region, uint32_t row, const struct gws_breaker_rules *rules, uint64_t now,
                       struct gws_permit *permit, uint64_t *retry_at)
{
    struct gws_domain_row *domain = domain_at(region, row);
    uint64_t old;
    uint64_t new;

    *retry_at = UINT64_MAX;
    if (domain == NULL)
        return GWS_DENIED;
    old = word_load(&domain->breaker);
    if (is_closed(old)) {
        *permit = (struct gws_permit){.gen = (uint16_t)(old >> 48 & GEN_MASK)};
        return GWS_GO;
    }
    for (;;) {
        int result = gws_breaker_step_permit(old, rules, now, &new, permit, retry_at);
        if (new == old)
            return result;
        if (!may_change(region))
            return GWS_DENIED;
        if (change(region, row, &old, new, GWS_BY_GATEWAY, now))
            return result;
    }
}

int gws_breaker_peek(const struct gws_region *region, uint32_t row, const struct gws_breaker_rules *rules,
                     uint64_t now, uint64_t *retry_at)
{
    const struct gws_domain_row *domain = domain_at(region, row);
    struct gws_permit permit;
    uint64_t word;
    uint64_t new;

    *retry_at = UINT64_MAX;
    if (domain == NULL)
        return GWS_DENIED;
    word = word_load(&domain->breaker);
    return is_closed(word) ? GWS_GO : gws_breaker_step_permit(word, rules, now, &new, &permit, retry_at);
}

/* Mode, level and failures in a row, all of them 0. */
bool gws_breaker_calm(const struct gws_region *region, uint32_t row)
{
    const struct gws_domain_row *domain = domain_at(region, row);
    uint64_t word = domain == NULL ? 0 : word_load(&domain->breaker);
    return is_closed(word) && (word >> 36 & 0xfff) == 0;
}

bool gws_breaker_degraded(const struct gws_region *region, uint32_t row, const struct gws_breaker_rules *rules,
                          uint64_t now)
{
    const struct gws_domain_row *domain = domain_at(region, row);
    struct breaker_parts p;
    struct gws_window_totals totals;

    if (domain == NULL)
        return false;
    p = breaker_parts(word_load(&domain->breaker));
    if (p.mode != GWS_CLOSED || p.aux == 0 || gws_window_sum(region, row, LATELY_MS, p.t, now).failed == 0)
        return false;
    totals = gws_window_sum(region, row, rules->window_ms, p.t, now);
    if (rules->rate == 0 || totals.total < rules->min_requests)
        return p.aux >= FEW_IN_A_ROW;
    return (uint64_t)totals.failed * 2 * WHOLE >= (uint64_t)rules->rate * totals.total;
}

/* Only a try of the generation in force says anything about now; one without an outcome says nothing at all. */
static void sample(struct gws_region *region, uint32_t row, uint64_t word, struct gws_permit permit,
                   enum gws_outcome outcome, uint64_t now)
{
    enum gws_sample kind = GWS_SAMPLE_OK;

    if (outcome == GWS_NEUTRAL || breaker_parts(word).gen != permit.gen)
        return;
    if (outcome == GWS_FAILED || outcome == GWS_THROTTLED)
        kind = GWS_SAMPLE_FAILED;
    else if (outcome == GWS_SLOW)
        kind = GWS_SAMPLE_SLOW;
    gws_window_add(region, row, kind, now);
}

/*
 * The window is added to before it is looked at, so of those that fail together the last one sees them all. Only what
 * can make a share larger looks: a success never trips. Dying in between leaves the trip to the next failure.
 */
static uint64_t judge(const struct gws_region *region, uint32_t row, uint64_t old,
                      const struct gws_breaker_rules *rules, struct gws_permit permit, enum gws_outcome outcome,
                      uint64_t now, uint64_t min_open_ms, uint32_t rnd)
{
    uint64_t new = gws_breaker_step_report(old, rules, permit, outcome, now, min_open_ms, rnd);
    uint64_t tripped;
    struct gws_window_totals totals;

    if (rules->window_ms == 0 || !is_closed(new) || outcome == GWS_OK || outcome == GWS_NEUTRAL)
        return new;
    totals = gws_window_sum(region, row, rules->window_ms, breaker_parts(old).t, now);
    tripped = gws_breaker_step_window(old, rules, permit, &totals, now, min_open_ms, rnd);
    return tripped != old ? tripped : new;
}

void gws_breaker_report(struct gws_region *region, uint32_t row, const struct gws_breaker_rules *rules,
                        struct gws_permit permit, enum gws_outcome outcome, uint64_t now, uint64_t min_open_ms,
                        uint32_t rnd)
{
    struct gws_domain_row *domain = domain_at(region, row);
    uint64_t old;
    uint64_t new;

    if (domain == NULL || !may_change(region))
        return;
    old = word_load(&domain->breaker);
    if (rules->window_ms != 0)
        sample(region, row, old, permit, outcome, now);
    if (outcome == GWS_OK && is_closed(old) && (old >> 36 & AUX_MAX) == 0)
        return; /* of whatever generation it is, it changes nothing */
    do {
        new = judge(region, row, old, rules, permit, outcome, now, min_open_ms, rnd);
        if (new == old)
            return;
    } while (!change(region, row, &old, new, GWS_BY_GATEWAY, now));
}

/* A deadline that shrinks takes a new generation with it, as every such change does. */
void gws_breaker_advance(struct gws_region *region, uint32_t row, uint64_t now)
{
    struct gws_domain_row *domain = domain_at(region, row);
    struct breaker_parts p;
    uint64_t old;

    if (domain == NULL || !may_change(region))
        return;
    old = word_load(&domain->breaker);
    do {
        p = breaker_parts(old);
        if (p.mode != GWS_OPEN || now >= p.t)
            return;
    } while (!change(region, row, &old, breaker_join(GWS_OPEN, p.gen + 1, p.level, p.aux, now),
                     GWS_BY_GATEWAY, now));
}

void gws_breaker_probe_failed(struct gws_region *region, uint32_t row, const struct gws_breaker_rules *rules,
                              uint64_t now, uint32_t rnd)
{
    struct gws_domain_row *domain = domain_at(region, row);
    uint64_t old;
    uint64_t new;

    if (domain == NULL || !may_change(region))
        return;
    old = word_load(&domain->breaker);
    do {
        struct breaker_parts p = breaker_parts(old);
        if (p.mode != GWS_CLOSED)
            return;
        new = gws_breaker_step_report(old, rules, (struct gws_permit){.gen = (uint16_t)p.gen}, GWS_FAILED, now, 0, rnd);
        if (new == old)
            return;
    } while (!change(region, row, &old, new, GWS_BY_GATEWAY, now));
}

/* The operator's moves differ in nothing but the word they leave. */
struct order {
    enum gws_breaker_mode mode;
    uint32_t aux;
    uint64_t t;
    bool forget_level;
    bool only_forced;
};

static void obey(struct gws_region *region, uint32_t row, struct order order, uint64_t now, uint32_t who)
{
    struct gws_domain_row *domain = domain_at(region, row);
    uint64_t old;
    uint64_t new;

    if (domain == NULL || !may_change(region))
        return;
    old = word_load(&domain->breaker);
    do {
        struct breaker_parts p = breaker_parts(old);
        if (order.only_forced && p.mode != GWS_FORCED)
            return;
        new = breaker_join(order.mode, p.gen + 1, order.forget_level ? 0 : p.level, order.aux, order.t);
    } while (!change(region, row, &old, new, who, now));
}

void gws_breaker_reset(struct gws_region *region, uint32_t row, uint64_t now, uint32_t who)
{
    obey(region, row, (struct order){.mode = GWS_CLOSED, .t = now, .forget_level = true}, now, who);
}

void gws_breaker_force_open(struct gws_region *region, uint32_t row, uint64_t until, uint64_t now, uint32_t who)
{
    obey(region, row, (struct order){.mode = GWS_FORCED, .aux = 1, .t = until == UINT64_MAX ? 0 : until}, now, who);
}

void gws_breaker_force_closed(struct gws_region *region, uint32_t row, uint64_t now, uint32_t who)
{
    obey(region, row, (struct order){.mode = GWS_FORCED}, now, who);
}

void gws_breaker_auto(struct gws_region *region, uint32_t row, uint64_t now, uint32_t who)
{
    obey(region, row, (struct order){.mode = GWS_CLOSED, .t = now, .only_forced = true}, now, who);
}

uint64_t gws_breaker_word(const struct gws_region *region, uint32_t row)
{
    const struct gws_domain_row *domain = domain_at(region, row);
    return domain == NULL ? 0 : word_load(&domain->breaker);
}

bool breaker_restore(struct gws_region *region, uint32_t row, const struct breaker_parts *parts, uint64_t now)
{
    struct gws_domain_row *domain = domain_at(region, row);
    uint64_t old;
    uint64_t new;

    if (domain == NULL || !may_change(region) || parts->mode > GWS_FORCED || parts->level > 15 ||
        parts->aux > AUX_MAX)
        return false;
    old = word_load(&domain->breaker);
    do
        new = breaker_join(parts->mode, breaker_parts(old).gen + 1, parts->level, parts->aux, parts->t);
    while (!change(region, row, &old, new, GWS_BY_GATEWAY, now));
    return true;
}
