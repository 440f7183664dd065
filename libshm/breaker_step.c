/*
 * The breaker's steps: what becomes of a word, and nothing else. They touch no region and read no clock, so every
 * transition can be tested to the millisecond, and a model of them can be compared with them.
 */

#include "libshm/breaker_word.h"

enum {
    LEVEL_MAX = 15,
    TRIALS_MAX = 15,
    /* While trials are out nobody knows when they end; a waiter looks again after so long at the latest. */
    HALF_POLL_MS = 250
};

static uint64_t later(uint64_t now, uint64_t ms)
{
    return now > UINT64_MAX - ms ? UINT64_MAX : now + ms;
}

static uint32_t between(uint32_t value, uint32_t least, uint32_t most)
{
    return value < least ? least : value > most ? most : value;
}

struct gws_breaker_view gws_breaker_view(uint64_t word)
{
    struct breaker_parts p = breaker_parts(word);
    struct gws_breaker_view view = {
        .mode = (enum gws_breaker_mode)p.mode, .gen = (uint16_t)p.gen, .level = (uint8_t)p.level, .t = p.t};

    switch (view.mode) {
    case GWS_CLOSED:
        view.failures = (uint8_t)p.aux;
        break;
    case GWS_OPEN:
        view.reason = p.aux <= GWS_TRIP_SLOW ? (enum gws_trip)p.aux : GWS_TRIP_NONE;
        break;
    case GWS_HALF:
        view.outstanding = (uint8_t)(p.aux >> 4);
        view.successes = (uint8_t)(p.aux & 0xf);
        break;
    case GWS_FORCED:
        view.forced_open = p.aux != 0;
        break;
    }
    return view;
}

/* The first trial of a new generation; whatever trials an older one had are lost to it. */
static uint64_t first_trial(struct breaker_parts p, const struct gws_breaker_rules *rules, uint64_t now,
                            struct gws_permit *permit)
{
    permit->gen = (uint16_t)((p.gen + 1) & GEN_MASK);
    permit->trial = true;
    return breaker_join(GWS_HALF, p.gen + 1, p.level, 1u << 4, later(now, rules->lease_ms));
}

static int permit_half(uint64_t old, struct breaker_parts p, const struct gws_breaker_rules *rules, uint64_t now,
                       uint64_t *word, struct gws_permit *permit, uint64_t *retry_at)
{
    uint32_t outstanding = p.aux >> 4;
    uint32_t successes = p.aux & 0xf;

    if (now >= p.t) {
        *word = first_trial(p, rules, now, permit);
        return GWS_GO;
    }
    if (outstanding + successes < between(rules->successes, 1, TRIALS_MAX) &&
        outstanding < between(rules->half_open, 1, TRIALS_MAX)) {
        /* The lease covers the youngest trial. A lost one keeps its place until then, and others use the rest. */
        uint64_t lease = later(now, rules->lease_ms);
        *word = breaker_join(GWS_HALF, p.gen, p.level, (outstanding + 1) << 4 | successes, lease > p.t ? lease : p.t);
        *permit = (struct gws_permit){.gen = (uint16_t)p.gen, .trial = true};
        return GWS_GO;
    }
    *word = old;
    *retry_at = p.t < later(now, HALF_POLL_MS) ? p.t : later(now, HALF_POLL_MS);
    return GWS_DENIED;
}

static int permit_forced(uint64_t old, struct breaker_parts p, uint64_t now, uint64_t *word, struct gws_permit *permit,
                         uint64_t *retry_at)
{
    *permit = (struct gws_permit){.gen = (uint16_t)p.gen};
    *word = old;
    if (p.t != 0 && now >= p.t) {
        permit->gen = (uint16_t)((p.gen + 1) & GEN_MASK);
        *word = breaker_join(GWS_CLOSED, p.gen + 1, p.level, 0, p.t);
        return GWS_GO;
    }
    if (p.aux == 0)
        return GWS_GO;
    *retry_at = p.t != 0 ? p.t : UINT64_MAX;
    return GWS_DENIED;
}

int gws_breaker_step_permit(uint64_t old, const struct gws_breaker_rules *rules, uint64_t now, uint64_t *word,
                            struct gws_permit *permit, uint64_t *retry_at)
{
    struct breaker_parts p = breaker_parts(old);

    switch (p.mode) {
    case GWS_CLOSED:
        *word = old;
        *permit = (struct gws_permit){.gen = (uint16_t)p.gen};
        return GWS_GO;
    case GWS_OPEN:
        if (now < p.t) {
            *word = old;
            *retry_at = p.t;
            return GWS_DENIED;
        }
        *word = first_trial(p, rules, now, permit);
        return GWS_GO;
    case GWS_HALF:
        return permit_half(old, p, rules, now, word, permit, retry_at);
    default:
        return permit_forced(old, p, now, word, permit, retry_at);
    }
}

/*
 * Open. Tripping again soon after having closed (or without having closed at all) doubles the time; a breaker that was
 * closed for stable_ms begins at the first level. The jitter is drawn here, once, and stands in the word for everyone.
 */
static uint64_t trip(struct breaker_parts p, const struct gws_breaker_rules *rules, enum gws_trip reason, uint64_t now,
                     uint64_t min_open_ms, uint32_t rnd)
{
    bool stable = p.mode == GWS_CLOSED && now >= p.t && now - p.t >= rules->stable_ms;
    uint32_t level = stable ? 1 : between(p.level + 1, 1, LEVEL_MAX);
    uint64_t open = (uint64_t)rules->open_ms << (level - 1);

    if (open > rules->max_open_ms)
        open = rules->max_open_ms;
    open += (open * rnd >> 32) / 5;
    if (open < min_open_ms)
        open = min_open_ms;
    return breaker_join(GWS_OPEN, p.gen + 1, level, reason, later(now, open));
}

static uint64_t report_closed(uint64_t old, struct breaker_parts p, const struct gws_breaker_rules *rules,
                              enum gws_outcome outcome, uint64_t now, uint64_t min_open_ms, uint32_t rnd)
{
    if (outcome == GWS_OK || outcome == GWS_SLOW)
        return p.aux == 0 ? old : breaker_join(GWS_CLOSED, p.gen, p.level, 0, p.t);
    if (outcome != GWS_FAILED)
        return old;
    if (p.aux < AUX_MAX)
        p.aux++;
    if (rules->failures != 0 && p.aux >= between(rules->failures, 1, AUX_MAX))
        return trip(p, rules, GWS_TRIP_FAILURES, now, min_open_ms, rnd);
    return breaker_join(GWS_CLOSED, p.gen, p.level, p.aux, p.t);
}

static uint64_t report_half(uint64_t old, struct breaker_parts p, const struct gws_breaker_rules *rules,
                            enum gws_outcome outcome, uint64_t now, uint64_t min_open_ms, uint32_t rnd)
{
    uint32_t outstanding = p.aux >> 4;
    uint32_t successes = p.aux & 0xf;

    if (outstanding == 0)
        return old; /* reported twice; the second time says nothing */
    if (outcome == GWS_FAILED || outcome == GWS_THROTTLED)
        return trip(p, rules, GWS_TRIP_TRIAL, now, min_open_ms, rnd);
    outstanding--;
    if ((outcome == GWS_OK || outcome == GWS_SLOW) && ++successes >= between(rules->successes, 1, TRIALS_MAX))
        return breaker_join(GWS_CLOSED, p.gen + 1, p.level, 0, now);
    return breaker_join(GWS_HALF, p.gen, p.level, outstanding << 4 | successes, p.t);
}

uint64_t gws_breaker_step_report(uint64_t old, const struct gws_breaker_rules *rules, struct gws_permit permit,
                                 enum gws_outcome outcome, uint64_t now, uint64_t min_open_ms, uint32_t rnd)
{
    struct breaker_parts p = breaker_parts(old);

    if (p.gen != permit.gen)
        return old;
    if (p.mode == GWS_CLOSED && !permit.trial)
        return report_closed(old, p, rules, outcome, now, min_open_ms, rnd);
    if (p.mode == GWS_HALF && permit.trial)
        return report_half(old, p, rules, outcome, now, min_open_ms, rnd);
    return old;
}

static bool is_share(uint32_t part, uint32_t total, uint32_t hundredths)
{
    return hundredths != 0 && (uint64_t)part * 10000 >= (uint64_t)hundredths * total;
}

uint64_t gws_breaker_step_window(uint64_t old, const struct gws_breaker_rules *rules, struct gws_permit permit,
                                 const struct gws_window_totals *totals, uint64_t now, uint64_t min_open_ms,
                                 uint32_t rnd)
{
    struct breaker_parts p = breaker_parts(old);

    if (p.mode != GWS_CLOSED || permit.trial || p.gen != permit.gen || totals->total == 0 ||
        totals->total < rules->min_requests)
        return old;
    if (is_share(totals->failed, totals->total, rules->rate))
        return trip(p, rules, GWS_TRIP_RATE, now, min_open_ms, rnd);
    if (is_share(totals->slow, totals->total, rules->slow_rate))
        return trip(p, rules, GWS_TRIP_SLOW, now, min_open_ms, rnd);
    return old;
}
