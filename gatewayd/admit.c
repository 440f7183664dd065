#include "gatewayd/admit.h"

#include "libshm/clock.h"
#include "libshm/gate.h"
#include "libshm/order.h"
#include "libshm/stat.h"

/*
 * The order is fixed: what costs nothing to ask (orders, cooldowns) first, then the bulkhead, the rate, the two
 * breakers. The breakers come last because their half-open permits are few, and a permit given back is a neutral trial
 * that somebody else could have had.
 */

static bool is_cooling(struct gws_region *region, const struct plan_candidate *c, uint64_t now, struct refused *refused)
{
    const uint32_t rows[] = {c->pair_row, c->target->row, c->target->account_row};
    uint64_t latest = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t until;
        if (gws_cooldown_check(region, rows[i], now, &until) != 0 && until > latest) {
            latest = until;
            refused->cooling = gws_cooldown_view(gws_cooldown_word(region, rows[i])).reason;
        }
    }
    refused->until = latest;
    return latest != 0;
}

/* What can be asked without taking anything. */
static bool is_out(struct gws_region *region, const struct plan_candidate *c, uint64_t now, struct refused *refused)
{
    *refused = (struct refused){0};
    if (gws_order_drained(region, c->target->row)) {
        *refused = (struct refused){REFUSAL_DRAINED, UINT64_MAX, GWS_COOL_NONE};
        return true;
    }
    if (is_cooling(region, c, now, refused)) {
        refused->why = REFUSAL_COOLING;
        return true;
    }
    return false;
}

bool admit_peek(struct gws_region *region, const struct plan_candidate *c, struct refused *refused)
{
    const struct plan_target *t = c->target;
    uint64_t now = gws_clock_ms(region), until = 0, pair_until = 0, retry_ns;
    if (is_out(region, c, now, refused))
        return true;
    int endpoint = gws_breaker_peek(region, t->row, &t->breaker, now, &until);
    int pair = gws_breaker_peek(region, c->pair_row, &c->breaker, now, &pair_until);
    if (endpoint != GWS_GO || pair != GWS_GO) {
        uint64_t a = endpoint != GWS_GO ? until : 0, b = pair != GWS_GO ? pair_until : 0;
        *refused = (struct refused){REFUSAL_OPEN, a > b ? a : b, GWS_COOL_NONE};
        return true;
    }
    if (gws_gate_sum(region, t->endpoint) >= t->conf->max_concurrent) {
        *refused = (struct refused){REFUSAL_FULL, 0, GWS_COOL_NONE};
        return true;
    }
    if (t->rpm_row != PLAN_NO_ROW &&
        gws_limit_peek(region, t->rpm_row, &t->rpm, 1, gws_clock_ns(region), &retry_ns) != GWS_LIMIT_TAKEN) {
        *refused = (struct refused){REFUSAL_LIMITED, now + retry_ns / 1000000 + 1, GWS_COOL_NONE};
        return true;
    }
    return false;
}

/* Permission of both breakers, or of neither. */
static bool take_breakers(struct gws_region *region, const struct plan_candidate *c, struct ticket *ticket,
                          uint64_t now, struct refused *refused)
{
    const struct plan_target *t = c->target;
    uint64_t until = 0;
    /* The endpoint's trials are few, and each one that is given and taken back is written down: ask the pair first. */
    if (gws_breaker_peek(region, c->pair_row, &c->breaker, now, &until) == GWS_GO &&
        gws_breaker_permit(region, t->row, &t->breaker, now, &ticket->endpoint, &until) == GWS_GO) {
        if (gws_breaker_permit(region, c->pair_row, &c->breaker, now, &ticket->pair, &until) == GWS_GO)
            return true;
        gws_breaker_report(region, t->row, &t->breaker, ticket->endpoint, GWS_NEUTRAL, now, 0, 0);
    }
    *refused = (struct refused){REFUSAL_OPEN, until, GWS_COOL_NONE};
    return false;
}

int admit_take(struct gws_region *region, const struct plan_candidate *c, struct ticket *ticket,
               struct refused *refused)
{
    const struct plan_target *t = c->target;
    uint64_t now = gws_clock_ms(region), retry_ns = 0;
    if (is_out(region, c, now, refused))
        return 1;
    *ticket = (struct ticket){0};
    if (gws_gate_take(region, t->endpoint, t->conf->max_concurrent) != GWS_GATE_TAKEN) {
        *refused = (struct refused){REFUSAL_FULL, 0, GWS_COOL_NONE};
        return 1;
    }
    bool limited = t->rpm_row != PLAN_NO_ROW;
    if (limited && gws_limit_take(region, t->rpm_row, &t->rpm, 1, gws_clock_ns(region), &retry_ns) != GWS_LIMIT_TAKEN) {
        *refused = (struct refused){REFUSAL_LIMITED, now + retry_ns / 1000000 + 1, GWS_COOL_NONE};
        gws_gate_give(region, t->endpoint);
        return 1;
    }
    if (!take_breakers(region, c, ticket, now, refused)) {
        if (limited)
            gws_limit_undo(region, t->rpm_row, &t->rpm, 1);
        gws_gate_give(region, t->endpoint);
        return 1;
    }
    ticket->candidate = c;
    ticket->cool_pair = gws_cooldown_gen(region, c->pair_row);
    ticket->cool_account = gws_cooldown_gen(region, t->account_row);
    ticket->taken_ms = now;
    gws_stat_count(region, t->endpoint, GWS_STAT_TRIES);
    return 0;
}

/* What each class says about the endpoint (its connection) and about the pair (its answer), and what is counted. */
struct effect {
    enum gws_outcome endpoint;
    enum gws_outcome pair;
    enum gws_stat stat;
};

static const struct effect effects[] = {
    [CLASS_OK] = {GWS_OK, GWS_OK, GWS_STAT_OK},
    [CLASS_CLIENT] = {GWS_OK, GWS_NEUTRAL, GWS_STAT_REFUSED},
    [CLASS_CONTEXT] = {GWS_OK, GWS_NEUTRAL, GWS_STAT_REFUSED},
    [CLASS_AUTH] = {GWS_OK, GWS_NEUTRAL, GWS_STAT_FAILED},
    [CLASS_QUOTA] = {GWS_OK, GWS_NEUTRAL, GWS_STAT_THROTTLED},
    [CLASS_RATE] = {GWS_OK, GWS_THROTTLED, GWS_STAT_THROTTLED},
    [CLASS_OVERLOAD] = {GWS_OK, GWS_FAILED, GWS_STAT_FAILED},
    [CLASS_SERVER] = {GWS_OK, GWS_FAILED, GWS_STAT_FAILED},
    [CLASS_INVALID] = {GWS_OK, GWS_FAILED, GWS_STAT_FAILED},
    [CLASS_SILENCE] = {GWS_NEUTRAL, GWS_FAILED, GWS_STAT_FAILED},
    [CLASS_TRANSPORT] = {GWS_FAILED, GWS_NEUTRAL, GWS_STAT_FAILED},
    [CLASS_CUT] = {GWS_NEUTRAL, GWS_FAILED, GWS_STAT_FAILED},
    [CLASS_STALE] = {GWS_NEUTRAL, GWS_NEUTRAL, GWS_STAT_RESENT},
    [CLASS_LOCAL] = {GWS_NEUTRAL, GWS_NEUTRAL, GWS_STAT_ABORTED},
    [CLASS_ABORT] = {GWS_NEUTRAL, GWS_NEUTRAL, GWS_STAT_ABORTED},
};

static void settle_cooldowns(struct gws_region *region, const struct ticket *ticket, struct verdict verdict,
                             uint64_t now)
{
    const struct plan_candidate *c = ticket->candidate;
    const struct plan_target *t = c->target;
    switch (verdict.class) {
    case CLASS_OK:
        gws_cooldown_success(region, c->pair_row, ticket->cool_pair, now);
        gws_cooldown_success(region, t->account_row, ticket->cool_account, now);
        break;
    case CLASS_RATE:
        gws_cooldown_hit(region, c->pair_row, &t->cooldown, ticket->cool_pair, GWS_COOL_RATE, verdict.wait_ms, now);
        break;
    case CLASS_OVERLOAD:
        if (verdict.wait_ms > 0)
            gws_cooldown_hit(region, c->pair_row, &t->cooldown, ticket->cool_pair, GWS_COOL_OVERLOAD, verdict.wait_ms,
                             now);
        break;
    case CLASS_QUOTA:
        gws_cooldown_hit(region, t->account_row, &t->quota, ticket->cool_account, GWS_COOL_QUOTA, verdict.wait_ms, now);
        break;
    case CLASS_AUTH: {
        const struct gws_cooldown_rules refused_credential = {60 * 1000, 60 * 60 * 1000};
        gws_cooldown_hit(region, t->account_row, &refused_credential, ticket->cool_account, GWS_COOL_AUTH, GWS_NO_WAIT,
                         now);
        break;
    }
    default:
        break;
    }
}

/* The end of a stream that had begun well: its success is told already, and a trial has already decided. */
static void settle_late_cut(struct gws_region *region, struct ticket *ticket, uint64_t now)
{
    const struct plan_candidate *c = ticket->candidate;
    ticket->succeeded = false;
    gws_stat_count(region, c->target->endpoint, GWS_STAT_FAILED);
    if (!ticket->pair.trial)
        gws_breaker_report(region, c->pair_row, &c->breaker, ticket->pair, GWS_FAILED, now, 0, secret_random32());
}

void admit_settle(struct gws_region *region, struct ticket *ticket, struct verdict verdict, bool loss_known)
{
    const struct plan_candidate *c = ticket->candidate;
    if (!c)
        return;
    uint64_t now = gws_clock_ms(region);
    if (ticket->settled) {
        if (verdict.class == CLASS_CUT && ticket->succeeded)
            settle_late_cut(region, ticket, now);
        return;
    }
    ticket->settled = true;
    ticket->succeeded = verdict.class == CLASS_OK;
    const struct plan_target *t = c->target;
    struct effect effect = effects[verdict.class];
    if (verdict.class == CLASS_OVERLOAD && verdict.status == 429) /* "slow_down": a matter of rate after all */
        effect.pair = GWS_THROTTLED;
    if (loss_known && effect.endpoint == GWS_FAILED)
        effect.endpoint = GWS_NEUTRAL;
    if (loss_known && verdict.class == CLASS_CUT)
        effect.pair = GWS_NEUTRAL;
    bool draws = effect.endpoint == GWS_FAILED || effect.pair != GWS_OK;
    uint32_t rnd = draws ? secret_random32() : 0;
    gws_breaker_report(region, t->row, &t->breaker, ticket->endpoint, effect.endpoint, now, 0, rnd);
    gws_breaker_report(region, c->pair_row, &c->breaker, ticket->pair, effect.pair, now,
                       verdict.wait_ms > 0 ? (uint64_t)verdict.wait_ms : 0, rnd);
    settle_cooldowns(region, ticket, verdict, now);
    gws_stat_count(region, t->endpoint, effect.stat);
    if (verdict.class == CLASS_OK)
        gws_stat_last_ok(region, t->endpoint, now);
}

void admit_release(struct gws_region *region, struct ticket *ticket)
{
    if (!ticket->candidate)
        return;
    if (!ticket->settled)
        admit_settle(region, ticket, (struct verdict){CLASS_ABORT, GWS_NO_WAIT, 0}, false);
    gws_gate_give(region, ticket->candidate->target->endpoint);
    *ticket = (struct ticket){0};
}
