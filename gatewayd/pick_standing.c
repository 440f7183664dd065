#include "gatewayd/pick_internal.h"

#include "libshm/clock.h"
#include "libshm/gate.h"
#include "libshm/latency.h"

/*
 * How one candidate stands: functions of the shared words and of the turn, so that every process comes to the same
 * answer. Nearly always there is nothing to see in either breaker's word, and then nothing else is read.
 */

enum { LEAST_SHARE = 20 /* one turn in so many, from the first moment on */, FRACTION = 1024 };

/* The finalizer of splitmix64: numbers in a row become numbers that have nothing to do with each other. */
uint64_t pick_hash(uint64_t turn)
{
    uint64_t x = turn + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

bool pick_share(uint64_t turn, uint64_t since_ms, uint32_t slow_start_ms)
{
    uint64_t least = slow_start_ms / LEAST_SHARE + (slow_start_ms % LEAST_SHARE != 0);
    return pick_hash(turn) % slow_start_ms < (since_ms > least ? since_ms : least);
}

/*
 * A breaker that was ever open keeps its level when it closes, and `t` is the moment of that. One that was only made,
 * or reset by the operator (who says by it that the endpoint is well), or that starts afresh after a reboot, has none.
 */
static bool is_recovering(const struct gws_breaker_view *view, const struct plan_target *t, uint64_t turn,
                          uint64_t now)
{
    if (view->mode != GWS_CLOSED || view->level == 0 || now >= view->t + t->slow_start_ms)
        return false;
    return !pick_share(turn, now > view->t ? now - view->t : 0, t->slow_start_ms);
}

enum pick_standing pick_standing(const struct gws_region *region, const struct plan_candidate *c, uint64_t turn,
                                 uint64_t *now)
{
    const struct plan_target *t = c->target;
    if (gws_breaker_calm(region, t->row) && gws_breaker_calm(region, c->pair_row))
        return PICK_WELL;
    struct gws_breaker_view own = gws_breaker_view(gws_breaker_word(region, t->row));
    struct gws_breaker_view pair = gws_breaker_view(gws_breaker_word(region, c->pair_row));
    bool slowly = t->slow_start_ms != 0 && (own.level != 0 || pair.level != 0);
    if (own.failures == 0 && pair.failures == 0 && !slowly)
        return PICK_WELL;
    if (*now == 0)
        *now = gws_clock_ms(region);
    if ((own.failures != 0 && gws_breaker_degraded(region, t->row, &t->breaker, *now)) ||
        (pair.failures != 0 && gws_breaker_degraded(region, c->pair_row, &c->breaker, *now)))
        return PICK_DEGRADED;
    if (slowly && (is_recovering(&own, t, turn, *now) || is_recovering(&pair, t, turn, *now)))
        return PICK_RECOVERING;
    return PICK_WELL;
}

/* An endpoint of whose latency nothing is known scores 0, and is asked before all others that are looked at. */
uint64_t pick_score(const struct gws_region *region, const struct plan_candidate *c, enum conf_strategy strategy,
                    uint64_t now)
{
    uint64_t in_flight = gws_gate_sum(region, c->target->endpoint);
    uint64_t weight = c->target->conf->weight;
    if (strategy == CONF_LATENCY)
        return gws_latency_expect(region, c->pair_row, PLAN_LATENCY_DECAY_MS, now) * (in_flight + 1) * FRACTION /
               weight;
    return in_flight * FRACTION * FRACTION / weight;
}
