#include "gatewayd/request_steps.h"

#include "libshm/budget.h"
#include "libshm/clock.h"
#include "libshm/count.h"
#include "libshm/series.h"

/*
 * The story's step of sending, and what becomes of a try afterwards: begun, joined by a hedge, heard of, written off,
 * closed. Of two that run the first with content has the request; the other is closed when the loop comes round.
 */

void request_note_try(struct request_try *t, struct verdict verdict)
{
    if (t->note)
        *t->note = (struct account_try){t->attempt.ticket.candidate->target->conf->name, verdict.class, verdict.status};
}

/* Of every try but a request's first: who is asked, and why once more. */
static void count_repeat(struct request *r, const struct request_try *t)
{
    enum gws_repeat why = t->hedge ? GWS_REPEAT_HEDGE : r->rescuing ? GWS_REPEAT_REPLAY
                          : t->retry                                ? GWS_REPEAT_RETRY
                                                                    : GWS_REPEAT_FAILOVER;
    if (r->attempts > 0)
        gws_series_repeat(r->service->region, t->attempt.ticket.candidate->target->row, why);
}

static int start(struct request *r, struct request_try *t)
{
    struct stage *stage = r->course.now;
    const struct plan_candidate *c = t->attempt.ticket.candidate;
    struct attempt_task task = {
        .head = r->head,
        .route = &r->route,
        .id = r->id,
        .body = r->body,
        .min_chars = stage->model->conf ? stage->model->conf->min_chars : 0,
        .thumb = r->course.thumb,
        .estimate_row = stage->model->estimate_row,
        .replays = r->rescuing,
    };
    uint64_t now = event_now_ms(r->service->loop);
    if (r->attempts == 0 && now + c->timeouts.total < r->deadline)
        r->deadline = now + c->timeouts.total;
    t->note = r->attempts < ACCOUNT_TRIES ? &r->notes[r->attempts] : NULL;
    count_repeat(r, t);
    r->attempts++;
    stage->tries++;
    if (r->rescuing)
        splice_replay(&r->relay.given);
    int rc = attempt_start(&t->attempt, &task, c->as.at ? c->as : stage->name, &r->arena);
    request_note_try(t, t->attempt.verdict);
    return rc;
}

enum step_result request_send(struct request *r)
{
    uint32_t after = r->service->plan->conf->hedge.after;
    bool hedges = after > 0 && r->attempts == 0 && r->route.stream && r->route.kind == ROUTE_MODEL;
    if (start(r, r->current) != 0)
        return request_fail_here(r);
    if (hedges)
        r->hedge_at = event_now_ms(r->service->loop) + after;
    return WAIT;
}

/* A second try beside the first, which is slow to say its first word. */
void request_hedge(struct request *r)
{
    const struct conf *conf = r->service->plan->conf;
    struct gws_region *region = r->service->region;
    struct gws_budget_rules rules = {conf->hedge.budget, 1};
    struct request_try *t = &r->tries[1];
    r->hedge_at = UINT64_MAX;
    if (!r->tries[0].attempt.active || t->attempt.active || r->tries[0].attempt.intake.content ||
        r->course.now->tries >= conf->retry.attempts ||
        gws_budget_take(region, GWS_TALLY_HEDGES, &rules) != GWS_BUDGET_TAKEN)
        return;
    if (!request_take_retry(r)) {
        gws_tally_leave(region, GWS_TALLY_HEDGES);
        return;
    }
    if (request_take(r, t, PICK_UNTRIED) != TAKEN) {
        gws_tally_leave(region, GWS_TALLY_HEDGES);
        gws_tally_leave(region, GWS_TALLY_RETRIES);
        return;
    }
    t->retry = t->hedge = true;
    if (start(r, t) != 0)
        request_close_try(r, t);
}

struct request_try *request_other_try(struct request *r, const struct request_try *t)
{
    struct request_try *other = t == &r->tries[0] ? &r->tries[1] : &r->tries[0];
    return other->attempt.active ? other : NULL;
}

/* What an attempt reports. */

static void on_answering(struct attempt *a)
{
    struct request *r = a->owner;
    struct request_try *t = a == &r->tries[0].attempt ? &r->tries[0] : &r->tries[1];
    uint64_t now = event_now_ms(r->service->loop), hold = r->service->plan->conf->stream.hold;
    bool first = r->hold_at == UINT64_MAX, stream = a->intake.mode == INTAKE_EVENTS;
    if (t == r->loser || (r->rescuing && !stream))
        return; /* about to be closed, or nothing to go on with */
    request_note_try(t, (struct verdict){CLASS_OK, GWS_NO_WAIT, a->response->status});
    r->current = t;
    r->hedge_at = UINT64_MAX;
    if (t->hedge && first)
        gws_count(r->service->region, GWS_COUNT_HEDGES_WON, 1);
    if (request_other_try(r, t)) /* closed when the loop comes round: not from within a transfer's report */
        r->loser = request_other_try(r, t);
    if (hold > 0 && first && stream && !r->rescuing)
        r->hold_at = now + hold;
    else
        attempt_release(a, &r->relay);
    request_arm(r);
}

static void on_ended(struct attempt *a)
{
    struct request *r = a->owner;
    struct request_try *t = a == &r->tries[0].attempt ? &r->tries[0] : &r->tries[1];
    if (t == r->loser) {
        r->loser = NULL;
        request_close_try(r, t);
        return;
    }
    bool failed = !a->intake.relay && classify_fails_over(a->verdict.class);
    if (failed && request_other_try(r, t) && request_other_try(r, t) != r->loser) { /* the other may still answer */
        struct request_try *other = request_other_try(r, t);
        request_note_failure(r, t);
        r->current = other;
        return;
    }
    r->current = t;
    request_go_on(r, STEP_JUDGE);
}

static bool on_elsewhere(struct attempt *a)
{
    struct request *r = a->owner;
    struct stage *stage = r->course.now;
    /* Of two that run each is somebody else for the other already. */
    bool alone = !r->tries[0].attempt.active || !r->tries[1].attempt.active;
    return alone && stage->tries < r->service->plan->conf->retry.attempts &&
           pick_possible(r->service->region, stage->model, &stage->pick);
}

void request_tries_init(struct request *r)
{
    for (size_t i = 0; i < REQUEST_TRIES; i++) {
        struct attempt *a = &r->tries[i].attempt;
        a->service = r->service;
        a->owner = r;
        a->answering = on_answering;
        a->ended = on_ended;
        a->elsewhere = on_elsewhere;
        attempt_init(a);
    }
}

/* What is left of it: its words, for the error, and when its candidate may be tried again. */
void request_note_failure(struct request *r, struct request_try *t)
{
    struct attempt *a = &t->attempt;
    request_note_try(t, a->verdict);
    course_failed(&r->course, a->index, a->verdict, a->silent, gws_clock_ms(r->service->region));
    r->verdict = a->verdict;
    r->failed_us += a->done_us - a->sent_us;
    r->hold_at = UINT64_MAX; /* what was held of it is thrown away */
    request_keep_words(r, a);
    request_close_try(r, t);
}

void request_close_try(struct request *r, struct request_try *t)
{
    if (t->attempt.active && t->attempt.intake.dropped > 0)
        gws_count(r->service->region, GWS_COUNT_DROPPED, t->attempt.intake.dropped);
    attempt_close(&t->attempt);
    if (t->retry)
        gws_tally_leave(r->service->region, GWS_TALLY_RETRIES);
    if (t->hedge)
        gws_tally_leave(r->service->region, GWS_TALLY_HEDGES);
    t->retry = t->hedge = false;
    t->note = NULL;
}
