#include "gatewayd/admit_internal.h"

#include "gatewayd/wake.h"
#include "libshm/clock.h"
#include "libshm/gate.h"
#include "libshm/order.h"
#include "libshm/stat.h"

/*
 * The order is fixed: what costs nothing to ask first, then the bulkhead, the limits, the two breakers. The breakers
 * come last because their half-open permits are few, and a permit given back is a neutral trial that somebody else
 * could have had.
 *
 * Everything is asked before anything is taken. Else a request that waits for an endpoint which is, say, over its rate
 * would take a place there and give it back whenever it looks, and wake by that all who wait, itself among them, who
 * would do the same: nobody would sleep. So a place is given back unused only when somebody else was quicker to take
 * what was free a moment ago.
 */

static bool is_cooling(const struct gws_region *region, const struct plan_candidate *c, uint64_t now,
                       struct refused *refused)
{
    const uint32_t rows[] = {c->pair_row, c->target->row, c->target->account->row};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t until;
        if (gws_cooldown_check(region, rows[i], now, &until) == 0 || until <= refused->until)
            continue;
        struct gws_cooldown_view view = gws_cooldown_view(gws_cooldown_word(region, rows[i]));
        *refused = (struct refused){.why = REFUSAL_COOLING, .until = until, .cooling = view.reason,
                                    .exhausted = gws_cooldown_exhausted(&view)};
    }
    return refused->why != REFUSAL_NONE;
}

static bool is_open(const struct gws_region *region, const struct plan_candidate *c, uint64_t now,
                    struct refused *refused)
{
    uint64_t until, pair_until;
    bool endpoint = gws_breaker_peek(region, c->target->row, &c->target->breaker, now, &until) != GWS_GO;
    bool pair = gws_breaker_peek(region, c->pair_row, &c->breaker, now, &pair_until) != GWS_GO;
    if (!endpoint && !pair)
        return false;
    *refused = (struct refused){.why = REFUSAL_OPEN, .until = endpoint ? until : pair_until};
    if (endpoint && pair && pair_until > until)
        refused->until = pair_until;
    return true;
}

/* Whether anything but the lack of a place refuses. */
static bool is_out(struct gws_region *region, const struct plan_candidate *c, uint64_t tokens, uint64_t now,
                   struct refused *refused)
{
    *refused = (struct refused){0};
    if (gws_order_drained(region, c->target->row)) {
        *refused = (struct refused){.why = REFUSAL_DRAINED, .until = UINT64_MAX};
        return true;
    }
    return is_cooling(region, c, now, refused) || is_open(region, c, now, refused) ||
           (c->target->limited && admit_limits_refuse(region, c, tokens, now, refused));
}

uint32_t admit_places(const struct gws_region *region, const struct plan_target *t)
{
    return t->adaptive.max ? gws_adapt_limit(region, t->row, &t->adaptive) : t->conf->max_concurrent;
}

bool admit_peek(struct gws_region *region, const struct plan_candidate *c, uint64_t tokens, struct refused *refused)
{
    if (is_out(region, c, tokens, gws_clock_ms(region), refused))
        return true;
    if (gws_gate_sum(region, c->target->endpoint) < admit_places(region, c->target))
        return false;
    refused->why = REFUSAL_FULL;
    return true;
}

void admit_wake(struct gws_region *region, uint32_t endpoint)
{
    struct gws_slots slots;
    memset(&slots, 0, sizeof slots);
    if (gws_waiter_collect(region, endpoint, &slots))
        wake_slots(&slots);
}

void admit_give_place(struct gws_region *region, uint32_t endpoint)
{
    gws_gate_give(region, endpoint);
    admit_wake(region, endpoint);
}

/* Permission of both breakers, or of neither. */
static bool take_breakers(struct gws_region *region, const struct plan_candidate *c, struct ticket *ticket,
                          uint64_t now, struct refused *refused)
{
    const struct plan_target *t = c->target;
    uint64_t until = 0;
    if (gws_breaker_permit(region, t->row, &t->breaker, now, &ticket->endpoint, &until) == GWS_GO) {
        if (gws_breaker_permit(region, c->pair_row, &c->breaker, now, &ticket->pair, &until) == GWS_GO)
            return true;
        gws_breaker_report(region, t->row, &t->breaker, ticket->endpoint, GWS_NEUTRAL, now, 0, 0);
    }
    *refused = (struct refused){.why = REFUSAL_OPEN, .until = until};
    return false;
}

/* With a place in the bulkhead: the rest, or nothing. */
static bool take_rest(struct gws_region *region, const struct plan_candidate *c, uint64_t tokens,
                      struct ticket *ticket, uint64_t now, struct refused *refused)
{
    bool limited = c->target->limited;
    if (limited && !admit_limits_take(region, c, tokens, now, ticket, refused))
        return false;
    bool permitted = take_breakers(region, c, ticket, now, refused);
    if (limited && permitted)
        admit_limits_commit(region, c);
    else if (limited)
        admit_limits_undo(region, c, ticket);
    return permitted;
}

static int take_all(struct gws_region *region, const struct plan_candidate *c, uint64_t tokens, struct ticket *ticket,
                    struct refused *refused)
{
    const struct plan_target *t = c->target;
    uint64_t now = gws_clock_ms(region);
    if (is_out(region, c, tokens, now, refused))
        return 1;
    int place = gws_gate_take(region, t->endpoint, admit_places(region, t));
    if (place != GWS_GATE_TAKEN) {
        if (place == GWS_GATE_STEPPED)
            admit_wake(region, t->endpoint);
        refused->why = REFUSAL_FULL;
        return 1;
    }
    *ticket = (struct ticket){0};
    if (!take_rest(region, c, tokens, ticket, now, refused)) {
        admit_give_place(region, t->endpoint);
        return 1;
    }
    ticket->candidate = c;
    ticket->cool_endpoint = gws_cooldown_gen(region, t->row);
    ticket->cool_pair = gws_cooldown_gen(region, c->pair_row);
    ticket->cool_account = gws_cooldown_gen(region, t->account->row);
    ticket->taken_ms = now;
    gws_stat_count(region, t->endpoint, GWS_STAT_TRIES);
    return 0;
}

int admit_take(struct gws_region *region, const struct plan_candidate *c, uint64_t tokens, struct ticket *ticket,
               struct refused *refused)
{
    int rc = take_all(region, c, tokens, ticket, refused);
    if (rc != 0 && refused->why == REFUSAL_LIMITED)
        admit_limits_count(region, refused);
    return rc;
}
