#include "gatewayd/admit_internal.h"

#include "libshm/clock.h"
#include "libshm/evidence.h"
#include "libshm/gate.h"
#include "libshm/series.h"
#include "libshm/stat.h"

/*
 * How a try went, told to each shared word that it concerns, and to no other. The breakers and cooldowns hear it at
 * once, because others decide by them; what it cost is settled when the ticket is given back, because a stream's usage
 * comes with its end.
 */

enum { DEPLETED_MAX_MS = 60 * 1000, AUTH_FIRST_MS = 60 * 1000, AUTH_MAX_MS = 60 * 60 * 1000 };

/* What each class says about the endpoint (its connection) and about the pair (its answer), and what is counted. */
struct effect {
    enum gws_outcome endpoint;
    enum gws_outcome pair;
    enum gws_stat stat;
    enum gws_ending ending;
    bool costs; /* something was or may have been generated, and will be paid for */
};

static const struct effect effects[] = {
    [CLASS_OK] = {GWS_OK, GWS_OK, GWS_STAT_OK, GWS_ENDING_OK, true},
    [CLASS_CLIENT] = {GWS_OK, GWS_NEUTRAL, GWS_STAT_REFUSED, GWS_ENDING_REFUSED, false},
    [CLASS_CONTEXT] = {GWS_OK, GWS_NEUTRAL, GWS_STAT_REFUSED, GWS_ENDING_REFUSED, false},
    [CLASS_AUTH] = {GWS_OK, GWS_NEUTRAL, GWS_STAT_FAILED, GWS_ENDING_LIMITED, false},
    [CLASS_QUOTA] = {GWS_OK, GWS_NEUTRAL, GWS_STAT_THROTTLED, GWS_ENDING_LIMITED, false},
    [CLASS_QUOTA_HERE] = {GWS_OK, GWS_NEUTRAL, GWS_STAT_THROTTLED, GWS_ENDING_LIMITED, false},
    [CLASS_RATE] = {GWS_OK, GWS_THROTTLED, GWS_STAT_THROTTLED, GWS_ENDING_LIMITED, false},
    [CLASS_OVERLOAD] = {GWS_OK, GWS_FAILED, GWS_STAT_FAILED, GWS_ENDING_SERVER, false},
    [CLASS_SERVER] = {GWS_OK, GWS_FAILED, GWS_STAT_FAILED, GWS_ENDING_SERVER, false},
    [CLASS_INVALID] = {GWS_OK, GWS_FAILED, GWS_STAT_FAILED, GWS_ENDING_INVALID, true},
    [CLASS_SILENCE] = {GWS_NEUTRAL, GWS_FAILED, GWS_STAT_FAILED, GWS_ENDING_SILENT, false},
    [CLASS_TRANSPORT] = {GWS_FAILED, GWS_NEUTRAL, GWS_STAT_FAILED, GWS_ENDING_LOST, false},
    [CLASS_CUT] = {GWS_NEUTRAL, GWS_FAILED, GWS_STAT_FAILED, GWS_ENDING_LOST, true},
    [CLASS_STALE] = {GWS_NEUTRAL, GWS_NEUTRAL, GWS_STAT_RESENT, GWS_ENDING_LOST, false},
    [CLASS_LOCAL] = {GWS_NEUTRAL, GWS_NEUTRAL, GWS_STAT_ABORTED, GWS_ENDING_LEFT, false},
    [CLASS_ABORT] = {GWS_NEUTRAL, GWS_NEUTRAL, GWS_STAT_ABORTED, GWS_ENDING_LEFT, true},
};

/* A refused credential is refused wherever it is used, and nobody else is concerned. */
static void cool_credential(struct gws_region *region, const struct ticket *ticket, uint64_t now)
{
    static const struct gws_cooldown_rules rules = {AUTH_FIRST_MS, AUTH_MAX_MS};
    const struct plan_target *own = ticket->candidate->target, *t = own;
    do {
        uint16_t gen = t == own ? ticket->cool_endpoint : gws_cooldown_gen(region, t->row);
        gws_cooldown_hit(region, t->row, &rules, gen, GWS_COOL_AUTH, GWS_NO_WAIT, now);
        t = t->same_key;
    } while (t != own);
}

static void settle_cooldowns(struct gws_region *region, const struct ticket *ticket, struct verdict verdict,
                             uint64_t now)
{
    static const struct gws_cooldown_rules depleted = {0, DEPLETED_MAX_MS};
    const struct plan_candidate *c = ticket->candidate;
    const struct plan_target *t = c->target;
    struct gws_cooldown_rules rules = t->cooldown;
    switch (verdict.class) {
    case CLASS_OK:
        gws_cooldown_success(region, t->row, ticket->cool_endpoint, now);
        gws_cooldown_success(region, c->pair_row, ticket->cool_pair, now);
        gws_cooldown_success(region, t->account->row, ticket->cool_account, now);
        if (verdict.wait_ms > 0)
            gws_cooldown_hit(region, c->pair_row, &depleted, ticket->cool_pair, GWS_COOL_DEPLETED, verdict.wait_ms,
                             now);
        break;
    case CLASS_RATE:
        rules.default_ms <<= verdict.wait_ms == WAIT_TWICE;
        gws_cooldown_hit(region, c->pair_row, &rules, ticket->cool_pair, GWS_COOL_RATE,
                         verdict.wait_ms == WAIT_TWICE ? GWS_NO_WAIT : verdict.wait_ms, now);
        break;
    case CLASS_OVERLOAD:
        if (verdict.wait_ms > 0)
            gws_cooldown_hit(region, c->pair_row, &t->cooldown, ticket->cool_pair, GWS_COOL_OVERLOAD, verdict.wait_ms,
                             now);
        break;
    case CLASS_QUOTA:
        gws_cooldown_hit(region, t->account->row, &t->quota, ticket->cool_account, GWS_COOL_QUOTA, verdict.wait_ms,
                         now);
        break;
    case CLASS_QUOTA_HERE:
        gws_cooldown_hit(region, c->pair_row, &t->quota, ticket->cool_pair, GWS_COOL_QUOTA, verdict.wait_ms, now);
        break;
    case CLASS_AUTH:
        cool_credential(region, ticket, now);
        break;
    default:
        break;
    }
}

/* A success is looked at only when the bulkhead is cut: summing the requests in flight is not for nothing. */
static void settle_bulkhead(struct gws_region *region, const struct plan_target *t, enum outcome_class class,
                            uint64_t now)
{
    if (t->adaptive.max == 0)
        return;
    if (class == CLASS_OVERLOAD || class == CLASS_SILENCE)
        gws_adapt_overload(region, t->row, &t->adaptive, now);
    else if (class == CLASS_OK && gws_adapt_limit(region, t->row, &t->adaptive) < t->adaptive.max)
        gws_adapt_success(region, t->row, &t->adaptive, gws_gate_sum(region, t->endpoint));
}

static struct effect effect_of(struct verdict verdict, bool loss_known)
{
    struct effect effect = effects[verdict.class];
    /* A limit that says how long is obeyed to the ms. To count it against the endpoint as well would take a healthy one
     * out because it is used to its limit, and then its peers, who would get its load. */
    if (verdict.class == CLASS_RATE && verdict.wait_ms > 0)
        effect.pair = GWS_NEUTRAL;
    if (verdict.class == CLASS_OVERLOAD && verdict.status == 429) { /* "slow_down": no failure, but a refusal */
        effect.pair = GWS_THROTTLED;
        effect.ending = GWS_ENDING_LIMITED;
    }
    if (loss_known && effect.endpoint == GWS_FAILED)
        effect.endpoint = GWS_NEUTRAL;
    if (loss_known && verdict.class == CLASS_CUT)
        effect.pair = GWS_NEUTRAL;
    return effect;
}

/* What a sign of life says, wherever it comes: at a stream's first content, or at the end of anything else. */
static void settle_success(struct gws_region *region, const struct ticket *ticket, struct verdict verdict,
                           uint64_t now)
{
    const struct plan_target *t = ticket->candidate->target;
    gws_breaker_report(region, t->row, &t->breaker, ticket->endpoint, GWS_OK, now, 0, 0);
    settle_cooldowns(region, ticket, verdict, now);
    settle_bulkhead(region, t, CLASS_OK, now);
    gws_stat_last_ok(region, t->endpoint, now);
    gws_series_answered(region, ticket->candidate->pair_row, now);
}

void admit_answering(struct gws_region *region, struct ticket *ticket, struct verdict verdict)
{
    const struct plan_candidate *c = ticket->candidate;
    if (!c || ticket->settled || ticket->answering)
        return;
    uint64_t now = gws_clock_ms(region);
    ticket->answering = true;
    settle_success(region, ticket, verdict, now);
    if (ticket->pair.trial)
        gws_breaker_report(region, c->pair_row, &c->breaker, ticket->pair, GWS_OK, now, 0, 0);
}

/* The end of a stream that had begun well: a trial has decided already, and anybody else decides now. Who leaves it in
 * the middle says nothing against it. */
static void settle_stream(struct gws_region *region, const struct ticket *ticket, bool cut, bool loss_known,
                          uint64_t now)
{
    const struct plan_candidate *c = ticket->candidate;
    enum gws_outcome outcome = !cut ? GWS_OK : loss_known ? GWS_NEUTRAL : GWS_FAILED;
    if (!ticket->pair.trial)
        gws_breaker_report(region, c->pair_row, &c->breaker, ticket->pair, outcome, now, 0,
                           outcome == GWS_FAILED ? secret_random32() : 0);
    gws_stat_count(region, c->target->endpoint, cut ? GWS_STAT_FAILED : GWS_STAT_OK);
}

void admit_settle(struct gws_region *region, struct ticket *ticket, struct verdict verdict, bool loss_known)
{
    const struct plan_candidate *c = ticket->candidate;
    if (!c || ticket->settled)
        return;
    uint64_t now = gws_clock_ms(region);
    ticket->settled = true;
    const struct plan_target *t = c->target;
    struct effect effect = effect_of(verdict, loss_known);
    ticket->cost_nothing = !effect.costs;
    gws_series_count(region, c->pair_row, effect.ending);
    if (ticket->answering) {
        settle_stream(region, ticket, classify_fails_over(verdict.class), loss_known, now);
        return;
    }
    bool draws = effect.endpoint == GWS_FAILED || effect.pair != GWS_OK;
    uint32_t rnd = draws ? secret_random32() : 0;
    gws_breaker_report(region, c->pair_row, &c->breaker, ticket->pair, effect.pair, now,
                       verdict.wait_ms > 0 ? (uint64_t)verdict.wait_ms : 0, rnd);
    gws_stat_count(region, t->endpoint, effect.stat);
    if (verdict.class == CLASS_OK) {
        settle_success(region, ticket, verdict, now);
        return;
    }
    gws_breaker_report(region, t->row, &t->breaker, ticket->endpoint, effect.endpoint, now, 0, rnd);
    settle_cooldowns(region, ticket, verdict, now);
    settle_bulkhead(region, t, verdict.class, now);
}

/* The row whose breaker hears of it, and the pair's of what no breaker hears. */
void admit_witness(struct gws_region *region, const struct ticket *ticket, struct verdict verdict, bool loss_known,
                   struct str words)
{
    const struct plan_candidate *c = ticket->candidate;
    bool lost = verdict.class == CLASS_TRANSPORT || verdict.class == CLASS_CUT;
    if (!c || ticket->settled || !classify_fails_over(verdict.class) || verdict.class == CLASS_STALE ||
        verdict.class == CLASS_LOCAL || (loss_known && lost))
        return;
    gws_evidence_note(region, verdict.class == CLASS_TRANSPORT ? c->target->row : c->pair_row,
                      (uint8_t)(verdict.class + 1), (uint16_t)verdict.status, words.at, words.len,
                      gws_clock_ms(region));
}

void admit_cost(struct ticket *ticket, uint64_t tokens)
{
    ticket->tokens = tokens;
    ticket->cost_known = true;
}

void admit_release(struct gws_region *region, struct ticket *ticket)
{
    if (!ticket->candidate)
        return;
    if (!ticket->settled)
        admit_settle(region, ticket, (struct verdict){CLASS_ABORT, GWS_NO_WAIT, 0}, false);
    if (ticket->candidate->target->limited)
        admit_limits_settle(region, ticket);
    admit_give_place(region, ticket->candidate->target->endpoint);
    *ticket = (struct ticket){0};
}
