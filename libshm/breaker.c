/*
 * The breaker. The step functions say what becomes of a word and touch nothing; the operations put that into the region
 * with one compare-and-swap. A healthy breaker costs one load to ask and one to report: nothing is written until a
 * failure happens. The generation changes with every mode, so an outcome that began before a change can not undo it, on
 * success or on failure; and a trial is a lease in the word, so a killed prober is replaced when the lease runs out.
 */

#include "libshm/breaker.h"

#include "libshm/word.h"

enum {
    GEN_MASK = 0x3fff,
    LEVEL_MAX = 15,
    AUX_MAX = 255,
    TRIALS_MAX = 15,
    /* While trials are out nobody knows when they end; a waiter looks again after so long at the latest. */
    HALF_POLL_MS = 250
};

#define T_MAX ((UINT64_C(1) << 36) - 1)

/* The word taken apart. */
struct parts {
    uint32_t mode;
    uint32_t gen;
    uint32_t level;
    uint32_t aux;
    uint64_t t;
};

static struct parts parts_of(uint64_t word)
{
    struct parts p = {
        .mode = (uint32_t)(word >> 62),
        .gen = (uint32_t)(word >> 48) & GEN_MASK,
        .level = (uint32_t)(word >> 44) & 0xf,
        .aux = (uint32_t)(word >> 36) & 0xff,
        .t = word & T_MAX,
    };
    return p;
}

/* Time that does not fit stays at the end of the scale, where `now >= t` is soon true: late is never wedged. */
static uint64_t join(uint32_t mode, uint32_t gen, uint32_t level, uint32_t aux, uint64_t t)
{
    return (uint64_t)mode << 62 | (uint64_t)(gen & GEN_MASK) << 48 | (uint64_t)(level & 0xf) << 44 |
           (uint64_t)(aux & 0xff) << 36 | (t < T_MAX ? t : T_MAX);
}

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
    struct parts p = parts_of(word);
    struct gws_breaker_view view = {
        .mode = (enum gws_breaker_mode)p.mode, .gen = (uint16_t)p.gen, .level = (uint8_t)p.level, .t = p.t};

    switch (view.mode) {
    case GWS_CLOSED:
        view.failures = (uint8_t)p.aux;
        break;
    case GWS_OPEN:
        view.reason = p.aux <= GWS_TRIP_OPERATOR ? (enum gws_trip)p.aux : GWS_TRIP_NONE;
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
static uint64_t first_trial(struct parts p, const struct gws_breaker_rules *rules, uint64_t now,
                            struct gws_permit *permit)
{
    permit->gen = (uint16_t)((p.gen + 1) & GEN_MASK);
    permit->trial = true;
    return join(GWS_HALF, p.gen + 1, p.level, 1u << 4, later(now, rules->lease_ms));
}

static int permit_half(uint64_t old, struct parts p, const struct gws_breaker_rules *rules, uint64_t now,
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
        *word = join(GWS_HALF, p.gen, p.level, (outstanding + 1) << 4 | successes, lease > p.t ? lease : p.t);
        *permit = (struct gws_permit){.gen = (uint16_t)p.gen, .trial = true};
        return GWS_GO;
    }
    *word = old;
    *retry_at = p.t < later(now, HALF_POLL_MS) ? p.t : later(now, HALF_POLL_MS);
    return GWS_DENIED;
}

static int permit_forced(uint64_t old, struct parts p, uint64_t now, uint64_t *word, struct gws_permit *permit,
                         uint64_t *retry_at)
{
    *permit = (struct gws_permit){.gen = (uint16_t)p.gen};
    *word = old;
    if (p.t != 0 && now >= p.t) {
        permit->gen = (uint16_t)((p.gen + 1) & GEN_MASK);
        *word = join(GWS_CLOSED, p.gen + 1, p.level, 0, p.t);
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
    struct parts p = parts_of(old);

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
static uint64_t trip(struct parts p, const struct gws_breaker_rules *rules, enum gws_trip reason, uint64_t now,
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
    return join(GWS_OPEN, p.gen + 1, level, reason, later(now, open));
}

static uint64_t report_closed(uint64_t old, struct parts p, const struct gws_breaker_rules *rules,
                              enum gws_outcome outcome, uint64_t now, uint64_t min_open_ms, uint32_t rnd)
{
    if (outcome == GWS_OK)
        return p.aux == 0 ? old : join(GWS_CLOSED, p.gen, p.level, 0, p.t);
    if (outcome != GWS_FAILED)
        return old;
    if (p.aux < AUX_MAX)
        p.aux++;
    if (rules->failures != 0 && p.aux >= between(rules->failures, 1, AUX_MAX))
        return trip(p, rules, GWS_TRIP_FAILURES, now, min_open_ms, rnd);
    return join(GWS_CLOSED, p.gen, p.level, p.aux, p.t);
}

static uint64_t report_half(uint64_t old, struct parts p, const struct gws_breaker_rules *rules,
                            enum gws_outcome outcome, uint64_t now, uint64_t min_open_ms, uint32_t rnd)
{
    uint32_t outstanding = p.aux >> 4;
    uint32_t successes = p.aux & 0xf;

    if (outstanding == 0)
        return old; /* reported twice; the second time says nothing */
    if (outcome == GWS_FAILED || outcome == GWS_THROTTLED)
        return trip(p, rules, GWS_TRIP_TRIAL, now, min_open_ms, rnd);
    outstanding--;
    if (outcome == GWS_OK && ++successes >= between(rules->successes, 1, TRIALS_MAX))
        return join(GWS_CLOSED, p.gen + 1, p.level, 0, now);
    return join(GWS_HALF, p.gen, p.level, outstanding << 4 | successes, p.t);
}

uint64_t gws_breaker_step_report(uint64_t old, const struct gws_breaker_rules *rules, struct gws_permit permit,
                                 enum gws_outcome outcome, uint64_t now, uint64_t min_open_ms, uint32_t rnd)
{
    struct parts p = parts_of(old);

    if (p.gen != permit.gen)
        return old;
    if (p.mode == GWS_CLOSED && !permit.trial)
        return report_closed(old, p, rules, outcome, now, min_open_ms, rnd);
    if (p.mode == GWS_HALF && permit.trial)
        return report_half(old, p, rules, outcome, now, min_open_ms, rnd);
    return old;
}

/* Nearly every call finds this. The steps say the same; asking here saves taking the word apart and joining it. */
static bool is_closed(uint64_t word)
{
    return word >> 62 == GWS_CLOSED;
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
        if (word_change(region, &domain->breaker, &old, new, GWS_EVENT_BREAKER, row, GWS_BY_GATEWAY, now))
            return result;
    }
}

int gws_breaker_peek(const struct gws_region *region, uint32_t row, const struct gws_breaker_rules *rules,
                     uint64_t now, uint64_t *retry_at)
{
    const struct gws_domain_row *domain = domain_at(region, row);
    struct gws_permit permit;
    uint64_t new;

    *retry_at = UINT64_MAX;
    if (domain == NULL)
        return GWS_DENIED;
    return gws_breaker_step_permit(word_load(&domain->breaker), rules, now, &new, &permit, retry_at);
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
    if (outcome == GWS_OK && is_closed(old) && (old >> 36 & AUX_MAX) == 0)
        return; /* of whatever generation it is, it changes nothing */
    do {
        new = gws_breaker_step_report(old, rules, permit, outcome, now, min_open_ms, rnd);
        if (new == old)
            return;
    } while (!word_change(region, &domain->breaker, &old, new, GWS_EVENT_BREAKER, row, GWS_BY_GATEWAY, now));
}

/* A deadline that shrinks takes a new generation with it, as every such change does. */
void gws_breaker_advance(struct gws_region *region, uint32_t row, uint64_t now)
{
    struct gws_domain_row *domain = domain_at(region, row);
    struct parts p;
    uint64_t old;

    if (domain == NULL || !may_change(region))
        return;
    old = word_load(&domain->breaker);
    do {
        p = parts_of(old);
        if (p.mode != GWS_OPEN || now >= p.t)
            return;
    } while (!word_change(region, &domain->breaker, &old, join(GWS_OPEN, p.gen + 1, p.level, p.aux, now),
                          GWS_EVENT_BREAKER, row, GWS_BY_GATEWAY, now));
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
        struct parts p = parts_of(old);
        if (p.mode != GWS_CLOSED)
            return;
        new = report_closed(old, p, rules, GWS_FAILED, now, 0, rnd);
    } while (!word_change(region, &domain->breaker, &old, new, GWS_EVENT_BREAKER, row, GWS_BY_GATEWAY, now));
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
        struct parts p = parts_of(old);
        if (order.only_forced && p.mode != GWS_FORCED)
            return;
        new = join(order.mode, p.gen + 1, order.forget_level ? 0 : p.level, order.aux, order.t);
    } while (!word_change(region, &domain->breaker, &old, new, GWS_EVENT_BREAKER, row, who, now));
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
