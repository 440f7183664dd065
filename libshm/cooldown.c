/*
 * Cooldowns. A burst of refusals that arrive together is one hit: only a hit on a domain that was not cooling
 * lengthens the streak, and with it the wait that doubles. For the same reason a success that arrives while the domain
 * cools began before the hit and does not end the streak. The common case, a success without a streak, is one load.
 */

#include "libshm/cooldown.h"

#include "libshm/restore.h"
#include "libshm/word.h"

enum { GEN_MASK = 0x3ff, STREAK_MAX = 15, STREAK_EXHAUSTED = 3, REASON_MASK = 0x3f };

#define UNTIL_MAX ((UINT64_C(1) << 44) - 1)

struct gws_cooldown_view gws_cooldown_view(uint64_t word)
{
    struct gws_cooldown_view view = {
        .reason = (enum gws_cooldown_reason)(word >> 58),
        .streak = (uint8_t)(word >> 54 & 0xf),
        .gen = (uint16_t)(word >> 44 & GEN_MASK),
        .until = word & UNTIL_MAX,
    };
    return view;
}

static uint64_t join(struct gws_cooldown_view view)
{
    return (uint64_t)((uint32_t)view.reason & REASON_MASK) << 58 | (uint64_t)(view.streak & 0xf) << 54 |
           (uint64_t)(view.gen & GEN_MASK) << 44 | (view.until < UNTIL_MAX ? view.until : UNTIL_MAX);
}

bool gws_cooldown_exhausted(const struct gws_cooldown_view *view)
{
    return view->reason == GWS_COOL_QUOTA || view->reason == GWS_COOL_AUTH || view->streak >= STREAK_EXHAUSTED;
}

static uint64_t wait_of(const struct gws_cooldown_rules *rules, int64_t named_ms, uint32_t streak)
{
    uint64_t wait = named_ms >= 0 ? (uint64_t)named_ms : (uint64_t)rules->default_ms << (streak > 1 ? streak - 1 : 0);
    return wait < rules->max_ms ? wait : rules->max_ms;
}

/* An announcement or an order is not a refusal, and refusals are what a streak counts. */
static bool is_refusal(enum gws_cooldown_reason reason)
{
    return reason != GWS_COOL_DEPLETED && reason != GWS_COOL_OPERATOR;
}

uint64_t gws_cooldown_step_hit(uint64_t old, const struct gws_cooldown_rules *rules, uint16_t gen,
                               enum gws_cooldown_reason reason, int64_t named_ms, uint64_t now)
{
    struct gws_cooldown_view view = gws_cooldown_view(old);
    bool cooling = now < view.until;
    uint64_t until;

    if (view.gen != gen)
        return old;
    if (!cooling && is_refusal(reason) && view.streak < STREAK_MAX)
        view.streak++;
    until = now + wait_of(rules, named_ms, view.streak);
    if (!cooling || until > view.until)
        view.reason = reason;
    if (until > view.until)
        view.until = until;
    return join(view);
}

uint16_t gws_cooldown_gen(const struct gws_region *region, uint32_t row)
{
    return gws_cooldown_view(gws_cooldown_word(region, row)).gen;
}

int gws_cooldown_check(const struct gws_region *region, uint32_t row, uint64_t now, uint64_t *until)
{
    const struct gws_domain_row *domain = domain_at(region, row);
    uint64_t deadline = domain == NULL ? UINT64_MAX : word_load(&domain->cooldown) & UNTIL_MAX;

    if (now >= deadline)
        return 0;
    *until = deadline;
    return 1;
}

uint64_t gws_cooldown_hit(struct gws_region *region, uint32_t row, const struct gws_cooldown_rules *rules, uint16_t gen,
                          enum gws_cooldown_reason reason, int64_t named_ms, uint64_t now)
{
    struct gws_domain_row *domain = domain_at(region, row);
    uint64_t old;
    uint64_t new;

    if (domain == NULL || !may_change(region))
        return now;
    old = word_load(&domain->cooldown);
    do {
        new = gws_cooldown_step_hit(old, rules, gen, reason, named_ms, now);
        if (new == old)
            break;
    } while (!word_change(region, &domain->cooldown, &old, new, GWS_EVENT_COOLDOWN, row, GWS_BY_GATEWAY, now));
    return new & UNTIL_MAX;
}

void gws_cooldown_success(struct gws_region *region, uint32_t row, uint16_t gen, uint64_t now)
{
    struct gws_domain_row *domain = domain_at(region, row);
    struct gws_cooldown_view view;
    uint64_t old;

    if (domain == NULL)
        return;
    old = word_load(&domain->cooldown);
    do {
        view = gws_cooldown_view(old);
        if (view.streak == 0 || view.gen != gen || now < view.until || !may_change(region))
            return;
        view.streak = 0;
        view.reason = GWS_COOL_NONE;
    } while (!word_change(region, &domain->cooldown, &old, join(view), GWS_EVENT_COOLDOWN, row, GWS_BY_GATEWAY, now));
}

void gws_cooldown_clear(struct gws_region *region, uint32_t row, uint64_t now, uint32_t who)
{
    struct gws_domain_row *domain = domain_at(region, row);
    struct gws_cooldown_view cleared = {.reason = GWS_COOL_NONE};
    struct gws_cooldown_view was;
    uint64_t old;

    if (domain == NULL || !may_change(region))
        return;
    old = word_load(&domain->cooldown);
    do {
        was = gws_cooldown_view(old);
        cleared.gen = (uint16_t)(was.gen + 1);
    } while (!word_swap(&domain->cooldown, &old, join(cleared)));
    if (was.reason != GWS_COOL_NONE || was.streak > 0) /* most rows that --all clears have nothing to tell */
        gws_event_record(region, GWS_EVENT_COOLDOWN, row, old, join(cleared), who, now);
}

uint64_t gws_cooldown_word(const struct gws_region *region, uint32_t row)
{
    const struct gws_domain_row *domain = domain_at(region, row);
    return domain == NULL ? 0 : word_load(&domain->cooldown);
}

bool cooldown_restore(struct gws_region *region, uint32_t row, uint64_t reason, uint64_t streak, uint64_t until,
                      uint64_t now)
{
    struct gws_domain_row *domain = domain_at(region, row);
    struct gws_cooldown_view view;
    uint64_t old;

    if (domain == NULL || !may_change(region) || reason > GWS_COOL_OPERATOR || streak > STREAK_MAX)
        return false;
    old = word_load(&domain->cooldown);
    do {
        view = gws_cooldown_view(old);
        if (view.until >= until && view.streak >= streak)
            break;
        view.streak = (uint8_t)streak;
        view.reason = (enum gws_cooldown_reason)reason;
        view.until = until > view.until ? until : view.until;
    } while (!word_change(region, &domain->cooldown, &old, join(view), GWS_EVENT_COOLDOWN, row, GWS_BY_GATEWAY, now));
    return true;
}
