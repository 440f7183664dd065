/*
 * Why an endpoint takes a request or does not. Whether it does is admit_peek()'s to say; here the same words of the
 * region are read again, to say all that stands in the way and not only the first of it. Between the two a microsecond
 * may change something: then the answer stands without a reason that would contradict it.
 */

#include "tools/gatewayctl/explain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/history.h"
#include "gatewayd/overview.h"
#include "gatewayd/show.h"
#include "gatewayd/times.h"
#include "libshm/gate.h"
#include "libshm/latency.h"
#include "libshm/name.h"
#include "libshm/order.h"

static void add(struct explain_candidate *c, const char *code, uint64_t until_ms, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void add(struct explain_candidate *c, const char *code, uint64_t until_ms, const char *format, ...)
{
    if (c->count == EXPLAIN_REASONS)
        return;
    struct explain_reason *reason = &c->reasons[c->count++];
    reason->code = code;
    reason->until_ms = until_ms;
    va_list args;
    va_start(args, format);
    vsnprintf(reason->text, sizeof(reason->text), format, args);
    va_end(args);
    show_clean(reason->text);
}

static uint64_t left(const struct explain *e, uint64_t until)
{
    return until != UINT64_MAX && until > e->now ? until - e->now : 0;
}

/* The words of a domain as the sentences of `status` want them. */
static struct state_domain domain_of(const struct explain *e, uint32_t row)
{
    struct names_row name = {.row = row};
    gws_name_domain_read(e->region, row, &name.info);
    struct state_domain domain = overview_domain(e->region, e->trips, &name);
    domain.name = NULL;
    return domain;
}

/* An operator's order about a row, and the word that says which. */
struct ordered {
    uint32_t row;
    enum gws_event_code code;
};

static bool is_ordered(const struct gws_event *event, const void *context)
{
    const struct ordered *ordered = context;
    if (event->code != ordered->code || event->domain != ordered->row || event->who == GWS_BY_GATEWAY)
        return false;
    return event->code == GWS_EVENT_ORDER || gws_breaker_view(event->new).mode == GWS_FORCED;
}

/* " by uid 1000 5s ago": by whom and when it was ordered; empty when the log has forgotten it. */
static struct words_text ordered_by(const struct explain *e, uint32_t row, enum gws_event_code code)
{
    const struct ordered ordered = {row, code};
    struct words_text out = {.text = ""};
    size_t count;
    struct gws_event *events = history_read(e->region, NULL, 1, is_ordered, &ordered, &count);
    if (count > 0)
        snprintf(out.text, sizeof(out.text), " by uid %" PRIu32 " %s", events[0].who,
                 times_ago(overview_since(events[0].time, e->now)).text);
    free(events);
    return out;
}

static bool is_known(const struct explain *e, uint32_t row)
{
    struct gws_name_info info;
    return gws_name_domain_read(e->region, row, &info) && gws_name_current(e->region, &info);
}

static void add_cooldown(const struct explain *e, struct explain_candidate *c, uint32_t row, const char *before,
                         const char *after)
{
    uint64_t until;
    if (gws_cooldown_check(e->region, row, e->now, &until) == 0)
        return;
    struct state_domain domain = {.cooldown = gws_cooldown_view(gws_cooldown_word(e->region, row))};
    struct state_view view = state_of_domain(&domain, e->now);
    add(c, state_name(view.kind), view.until_ms, "%s%s%s", before, view.reason, after);
}

static void add_cooldowns(const struct explain *e, struct explain_candidate *c)
{
    const struct plan_target *t = c->candidate->target;
    char account[160];
    snprintf(account, sizeof(account), "account %s ", e->plan->conf->accounts[t->conf->account].name);
    add_cooldown(e, c, c->candidate->pair_row, "", "");
    add_cooldown(e, c, t->row, "", " (all its models)");
    add_cooldown(e, c, t->account->row, account, "");
}

/* A breaker that refuses, or whose next request would be a trial. */
static void add_breaker(const struct explain *e, struct explain_candidate *c, uint32_t row,
                        const struct gws_breaker_rules *rules, const char *whose)
{
    uint64_t until;
    struct state_domain domain = domain_of(e, row);
    domain.cooldown = (struct gws_cooldown_view){0};
    struct state_view view = state_of_domain(&domain, e->now);
    bool denied = gws_breaker_peek(e->region, row, rules, e->now, &until) != GWS_GO;
    if (view.kind == STATE_FORCED_OPEN) {
        char hold[80] = "";
        if (view.until_ms > 0)
            snprintf(hold, sizeof(hold), " for %s", times_span(view.until_ms).text);
        add(c, state_name(view.kind), view.until_ms, "breaker%s held open%s%s", whose, hold,
            ordered_by(e, row, GWS_EVENT_BREAKER).text);
    } else if (denied) {
        add(c, state_name(view.kind), left(e, until), "breaker%s %s", whose, view.reason);
    } else if (view.kind >= STATE_HALF_OPEN) {
        add(c, "trial", 0, "it would be a trial: breaker%s %s", whose, view.reason);
    }
}

static void add_breakers(const struct explain *e, const struct explain_model *m, struct explain_candidate *c)
{
    const struct plan_target *t = c->candidate->target;
    char whose[160];
    snprintf(whose, sizeof(whose), " for %.*s", (int)m->model->name.len, m->model->name.at);
    add_breaker(e, c, t->row, &t->breaker, "");
    add_breaker(e, c, c->candidate->pair_row, &c->candidate->breaker, whose);
}

static void add_limits(const struct explain *e, const struct explain_model *m, struct explain_candidate *c)
{
    struct admit_limit limits[ADMIT_LIMITS];
    const struct plan_target *t = c->candidate->target;
    unsigned count = admit_limits_now(e->region, c->candidate, m->pick->tokens, limits);
    for (unsigned i = 0; i < count; i++) {
        const char *account = limits[i].account ? e->plan->conf->accounts[t->conf->account].name : "";
        uint64_t wait = left(e, limits[i].until);
        add(c, "limited", wait, "limit %s%s%s spent, next in %s", limits[i].name,
            limits[i].account ? " of account " : "", account, times_span(wait).text);
    }
}

static void add_bulkhead(const struct explain *e, struct explain_candidate *c)
{
    const struct plan_target *t = c->candidate->target;
    uint64_t in_flight = gws_gate_sum(e->region, t->endpoint);
    uint32_t places = admit_places(e->region, t);
    char cut[48] = "";
    if (in_flight < places)
        return;
    if (places < t->conf->max_concurrent)
        snprintf(cut, sizeof(cut), ", %" PRIu32 " but for overload", t->conf->max_concurrent);
    add(c, "full", 0, "bulkhead %" PRIu64 "/%" PRIu32 " full%s", in_flight, places, cut);
}

/* Not one that this request could have: false. */
static bool is_for_it(const struct explain *e, const struct explain_model *m, struct explain_candidate *c)
{
    const struct plan_target *t = c->candidate->target;
    int pinned = m->pick->pinned;
    if (pinned >= 0 && c->candidate != &m->model->candidates[pinned])
        add(c, "pinned", 0, "the request is pinned to %s", m->model->candidates[pinned].target->conf->name);
    if (m->pick->dialect && !(t->dialects & m->pick->dialect))
        add(c, "dialect", 0, "speaks %s only", t->dialects == CONF_DIALECT_ANTHROPIC ? "anthropic" : "openai");
    bool endpoint = is_known(e, t->row), account = is_known(e, t->account->row);
    if (!endpoint || !account || !is_known(e, c->candidate->pair_row))
        add(c, "unknown", 0, "the gateway does not know %s yet: gatewayctl reload",
            !endpoint ? "it" : !account ? "its account" : "the model here");
    return c->count == 0;
}

void explain_refusals(const struct explain *e, const struct explain_model *m, struct explain_candidate *c)
{
    const struct plan_target *t = c->candidate->target;
    struct refused refused;
    c->answer = EXPLAIN_NO;
    if (!is_for_it(e, m, c))
        return;
    bool out = admit_peek(e->region, c->candidate, m->pick->tokens, &refused);
    c->answer = out ? EXPLAIN_NO : EXPLAIN_BEHIND;
    c->until_ms = out ? left(e, refused.until) : 0;
    if (gws_order_drained(e->region, t->row)) {
        struct words_text by = ordered_by(e, t->row, GWS_EVENT_ORDER);
        add(c, "drained", 0, "drained%s", by.text[0] ? by.text : " by the operator");
    }
    add_cooldowns(e, c);
    add_breakers(e, m, c);
    if (t->limited)
        add_limits(e, m, c);
    add_bulkhead(e, c);
    if (out && c->count == 0)
        add(c, "changed", 0, "it could not be asked a moment ago");
}

static const struct plan_tier *tier_of(const struct plan_model *model, const struct plan_candidate *c)
{
    uint32_t index = (uint32_t)(c - model->candidates);
    const struct plan_tier *tier = model->tiers;
    while (index >= tier->first + tier->count)
        tier++;
    return tier;
}

/* What the strategy goes by, of this candidate. */
static void say_strategy(const struct explain *e, const struct plan_model *model, const struct plan_candidate *c,
                         char *out, size_t size)
{
    const struct plan_tier *tier = tier_of(model, c);
    enum conf_strategy strategy = model->conf ? model->conf->strategy : CONF_WEIGHTED;
    uint64_t in_flight = gws_gate_sum(e->region, c->target->endpoint), weights = 0;
    for (uint32_t i = tier->first; i < tier->first + tier->count; i++)
        weights += model->candidates[i].target->conf->weight;
    if (strategy == CONF_LATENCY)
        snprintf(out, size, "first token expected after %.0fms, %" PRIu64 " in flight",
                 (double)gws_latency_expect(e->region, c->pair_row, PLAN_LATENCY_DECAY_MS, e->now) / 1000, in_flight);
    else if (strategy == CONF_LEAST_BUSY)
        snprintf(out, size, "%" PRIu64 " in flight, weight %" PRIu32, in_flight, c->target->conf->weight);
    else if (strategy == CONF_ROUND_ROBIN)
        snprintf(out, size, "one turn in %" PRIu32, tier->count);
    else
        snprintf(out, size, "weight %" PRIu32 " of %" PRIu64, c->target->conf->weight, weights);
}

static void add_chosen(const struct explain *e, const struct explain_model *m, struct explain_candidate *c)
{
    const struct plan_model *model = m->model;
    const struct plan_tier *tier = tier_of(model, c->candidate);
    char by[96];
    say_strategy(e, model, c->candidate, by, sizeof(by));
    if (m->pick->pinned >= 0)
        add(c, "pinned", 0, "the request is pinned to it");
    else if (tier->count == 1)
        add(c, "turn", 0, "alone at priority %" PRIu32, c->candidate->target->conf->priority);
    else
        add(c, "turn", 0, "its turn: %s", by);
}

static void add_behind(const struct explain *e, const struct explain_model *m, struct explain_candidate *c)
{
    const struct conf_endpoint *chosen = m->chosen->candidate->target->conf;
    const struct conf_endpoint *own = c->candidate->target->conf;
    char by[96];
    say_strategy(e, m->model, c->candidate, by, sizeof(by));
    if (own->priority == chosen->priority)
        add(c, "turn", 0, "not its turn: %s", by);
    else if (own->priority > chosen->priority)
        add(c, "priority", 0, "priority %" PRIu32 ": only when nobody of priority %" PRIu32 " can", own->priority,
            chosen->priority);
    else
        add(c, "turn", 0, "could take it, and is asked later");
}

void explain_standing(const struct explain *e, const struct explain_model *m, struct explain_candidate *c)
{
    if (c->answer == EXPLAIN_NO)
        return;
    struct state_domain own = domain_of(e, c->candidate->target->row), pair = domain_of(e, c->candidate->pair_row);
    unsigned failures = own.breaker.failures > pair.breaker.failures ? own.breaker.failures : pair.breaker.failures;
    if (c->place.maintained)
        add(c, "maintenance", 0, "in maintenance: asked when nobody else can");
    if (c->place.standing == PICK_DEGRADED)
        add(c, "degraded", 0, "degraded, %u failures in a row: goes behind its healthy peers", failures);
    if (c->place.standing == PICK_RECOVERING)
        add(c, "recovering", 0, "just back: it gets its share little by little");
    bool told = c->place.maintained || c->place.standing != PICK_WELL;
    if (c->answer == EXPLAIN_NOW)
        add_chosen(e, m, c);
    else if (!told || c->candidate->target->conf->priority > m->chosen->candidate->target->conf->priority)
        add_behind(e, m, c);
}
