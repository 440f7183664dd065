#include "gatewayd/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/log.h"
#include "gatewayd/request_steps.h"
#include "gatewayd/truncate.h"
#include "libshm/budget.h"
#include "libshm/clock.h"
#include "libshm/count.h"
#include "libshm/slot.h"

/*
 * The story of a request: a table of steps, and below it the steps in the order of the table. A step checks what the
 * one before promised, calls one module and translates its result; only here do results become HTTP statuses. Whatever
 * happens, request_end() is the way out: it gives back what is held, ends what runs, writes the log line.
 */

enum { COMMENT_MS = 2000 };

static enum step_result parse(struct request *r);
static enum step_result route(struct request *r);
static enum step_result fit(struct request *r);
static enum step_result pick(struct request *r);
static enum step_result send(struct request *r);
static enum step_result judge(struct request *r);
static enum step_result relay(struct request *r);

enum { STEP_PICK = 4, STEP_SEND = 5, STEP_JUDGE = 6 };

static enum step_result (*const steps[])(struct request *r) = {
    parse,              /* who asks, by when, under which id */
    request_own,        /* what the gateway answers itself */
    route,              /* who may answer */
    fit,                /* a model with room for it */
    [STEP_PICK] = pick, /* an endpoint, with everything it takes; or wait for one */
    [STEP_SEND] = send,
    [STEP_JUDGE] = judge, /* what came of it: an answer, or somebody else's turn */
    relay,              /* the rest of the answer, from whoever can give it */
};

static void request_end(struct request *r);
static void arm(struct request *r);

static void run(struct request *r)
{
    for (;;) {
        switch (steps[r->step](r)) {
        case NEXT:
            r->step++;
            break;
        case AGAIN:
            r->step = STEP_PICK;
            break;
        case WAIT:
            arm(r);
            return;
        case FAIL:
            request_say_failure(r);
            request_end(r);
            return;
        case DONE:
            request_end(r);
            return;
        }
    }
}

enum step_result request_fail(struct request *r, int status, const char *type, const char *code, const char *message)
{
    r->failure = (struct request_failure){status, type, code, message, -1};
    return FAIL;
}

enum step_result request_fail_here(struct request *r)
{
    r->keep_alive = false;
    return request_fail(r, 500, "server_error", "internal_error", "The gateway is out of memory");
}

static struct str header(const struct request *r, struct str name)
{
    return http_header_find(r->head->headers, r->head->header_count, name);
}

/* A request id is kept when it is printable and of sane length, else made. */
static void take_id(struct request *r)
{
    struct str given = header(r, STR("x-request-id"));
    bool good = given.len > 0 && given.len < REQUEST_ID_MAX;
    for (size_t i = 0; good && i < given.len; i++)
        good = given.at[i] > 0x20 && given.at[i] < 0x7f && given.at[i] != '"' && given.at[i] != '\\';
    if (good) {
        memcpy(r->id_text, given.at, given.len);
        r->id = (struct str){r->id_text, given.len};
    } else {
        secret_request_id(r->id_text);
        r->id = str_of(r->id_text);
    }
}

static enum step_result parse(struct request *r)
{
    struct str timeout = header(r, STR("x-gateway-timeout"));
    uint64_t ms;
    take_id(r);
    r->deadline = UINT64_MAX;
    if (r->head->method.len > 20)
        return request_fail(r, 400, "invalid_request_error", "bad_request", "No method has a name of that length");
    if (timeout.at) {
        if (!str_to_u64(timeout, &ms) || ms == 0)
            return request_fail(r, 400, "invalid_request_error", "bad_request",
                        "X-Gateway-Timeout is a number of milliseconds above zero");
        uint64_t now = event_now_ms(r->service->loop);
        r->deadline = ms < UINT64_MAX - now ? now + ms : UINT64_MAX;
    }
    if (route_find(&r->route, r->service->plan, r->head, r->body, &r->arena) != 0)
        return request_fail_here(r);
    return NEXT;
}

/* X-Gateway-Endpoint: the one candidate to ask, for debugging. 0, or 1 when there is none of that name. */
static int pin(struct course *course, struct str name)
{
    course->count = 1;
    for (uint32_t i = 0; i < course->now->model->candidate_count; i++)
        if (str_eq(name, str_of(course->now->model->candidates[i].target->conf->name)))
            course->now->pick.pinned = (int)i;
    return course->now->pick.pinned < 0;
}

static enum step_result route(struct request *r)
{
    if (!r->route.model)
        return request_model_not_found(r, r->route.asked);
    struct str name = header(r, STR("x-gateway-endpoint"));
    bool fallbacks = !str_eq(header(r, STR("x-gateway-no-fallback")), STR("1"));
    if (course_make(&r->course, r->service->plan, &r->route, fallbacks, &r->arena) != 0)
        return request_fail_here(r);
    const char *said = NULL;
    if (name.len > 0 && r->service->plan->conf->expose && pin(&r->course, name) != 0)
        said = arena_printf(&r->arena, "X-Gateway-Endpoint: no endpoint '%.*s' serves this model",
                            (int)(name.len < 128 ? name.len : 128), name.at);
    else if (!pick_any(r->route.model, &r->course.now->pick) && !course_next(&r->course, false))
        said = arena_printf(&r->arena, "No endpoint of this model understands %.*s",
                            (int)(r->head->path.len < 128 ? r->head->path.len : 128), r->head->path.at);
    return said ? request_fail(r, 400, "invalid_request_error", "bad_request", said) : NEXT;
}

/* The body without its oldest messages. */
static enum step_result shorten(struct request *r)
{
    struct stage *stage = r->course.now;
    const char *const names[] = {"model"};
    struct json_value model[1];
    buf_clear(&r->shorter);
    int rc = truncate_messages(r->body, course_room(&r->course, stage), &r->shorter, &r->truncated);
    if (rc < 0)
        return request_fail_here(r);
    if (rc > 0)
        return request_fail(r, 400, "invalid_request_error", "context_length_exceeded",
                            "The request is longer than the model's context, and cannot be cut to fit");
    r->body = buf_str(&r->shorter);
    course_estimate(&r->course, r->service->region, r->body);
    if (r->route.model_value.type != JSON_NONE && json_find(r->body, names, model, 1, NULL) == 0)
        r->route.model_value = model[0];
    return NEXT;
}

static enum step_result fit(struct request *r)
{
    struct course *course = &r->course;
    if (r->route.kind == ROUTE_MODEL)
        course_estimate(course, r->service->region, r->body);
    gws_tally_enter(r->service->region, GWS_TALLY_REQUESTS);
    r->counted = true;
    if (course_fits(course->now))
        return NEXT;
    enum conf_overflow overflow = course->now->model->conf->overflow;
    if (overflow == CONF_OVERFLOW_TRUNCATE)
        return shorten(r);
    struct stage *next = overflow == CONF_OVERFLOW_FALLBACK ? course_next(course, true) : NULL;
    if (next) {
        course->now = next;
        return NEXT;
    }
    return request_fail(r, 400, "invalid_request_error", "context_length_exceeded",
                        "The request is longer than the context of every model that could serve it");
}

/* The connection ends here, and the client can tell that the answer is not whole. */
static enum step_result cut_off(struct request *r, const char *message)
{
    r->keep_alive = false;
    r->outcome = "cut";
    if (r->events)
        request_say_cut(r, message);
    return DONE;
}

/* Choosing, and waiting for somebody to choose. */

/* A place among the retries, replays and hedges of the whole gateway. */
static bool take_retry(struct request *r)
{
    const struct conf_retry *retry = &r->service->plan->conf->retry;
    struct gws_budget_rules rules = {retry->budget, retry->budget_min};
    return gws_budget_take(r->service->region, GWS_TALLY_RETRIES, &rules) == GWS_BUDGET_TAKEN;
}

static struct request_try *free_try(struct request *r)
{
    return r->tries[0].attempt.active ? &r->tries[1] : &r->tries[0];
}

enum taken { TAKEN, NOBODY, SPENT };

/* One candidate, with everything it takes, for the try `t`. */
static enum taken take(struct request *r, struct request_try *t, enum pick_who who)
{
    struct stage *stage = r->course.now;
    struct attempt *a = &t->attempt;
    bool retry = r->rescuing || who == PICK_AGAIN;
    if (retry && !take_retry(r))
        return SPENT;
    if (pick_take(r->service->region, stage->model, &stage->pick, who, &a->ticket, &a->index) != 0) {
        if (retry)
            gws_tally_leave(r->service->region, GWS_TALLY_RETRIES);
        return NOBODY;
    }
    t->retry = retry;
    t->hedge = false;
    return TAKEN;
}

/* Another model's turn; or there is nobody left. */
static enum step_result give_way(struct request *r)
{
    if (r->rescuing) {
        gws_count(r->service->region, GWS_COUNT_RESCUE_FAILED, 1);
        return cut_off(r, "The upstream's answer was cut off, and nobody could go on with it");
    }
    struct stage *next = course_next(&r->course, false);
    if (!next)
        return request_say_exhausted(r);
    r->course.now = next;
    return AGAIN;
}

/* The bits are the process's: they stay for whoever else waits here. */
static void await_no_more(struct request *r)
{
    const struct stage *stage = r->course.now;
    if (r->service->park->count == 0)
        pick_await(r->service->region, stage->model, &stage->pick, false);
}

/* How long to stay parked, at most `patience`; 0 when that would bring nothing. */
static uint64_t wait_for(const struct request *r, struct pick_outlook outlook, uint64_t patience)
{
    uint64_t now = gws_clock_ms(r->service->region);
    if (patience == 0)
        return 0;
    if (outlook.at == UINT64_MAX || outlook.at > now + patience)
        return outlook.place ? patience : 0;
    uint64_t wait = outlook.at > now ? outlook.at - now : 0;
    uint64_t spread = course_spread(&r->course, wait, secret_random32());
    wait = spread < patience ? spread : wait; /* to come at the last moment is to come too late */
    return wait > 0 ? wait : 1;
}

static enum step_result park(struct request *r, struct pick_outlook outlook)
{
    struct stage *stage = r->course.now;
    uint64_t now = event_now_ms(r->service->loop), left = r->deadline > now ? r->deadline - now : 0;
    uint64_t patience = course_patience(&r->course);
    uint64_t wait = wait_for(r, outlook, patience < left ? patience : left);
    if (wait == 0)
        return give_way(r);
    if (outlook.place) { /* first the bit, then the last look: see libshm/waiter.h */
        pick_await(r->service->region, stage->model, &stage->pick, true);
        if (take(r, r->current, PICK_UNTRIED) == TAKEN) {
            await_no_more(r);
            return NEXT;
        }
    }
    if (park_enter(r->service->park, &r->parked, r->service->plan->conf->wait.queue) != 0) {
        r->queue_full = true;
        gws_count(r->service->region, GWS_COUNT_QUEUE_FULL, 1);
        await_no_more(r);
        return give_way(r);
    }
    r->outlook = outlook;
    r->parks = true;
    r->parked_us = event_clock_us();
    r->parked.wake_at = now + wait;
    return WAIT;
}

static void unpark(struct request *r)
{
    if (!r->parks)
        return;
    uint64_t us = event_clock_us() - r->parked_us;
    r->parks = false;
    r->waited_us += us;
    r->course.now->waited_ms += (us + 999) / 1000;
    park_leave(r->service->park, &r->parked);
    if (r->outlook.place)
        await_no_more(r);
}

static enum step_result pick(struct request *r)
{
    struct gws_region *region = r->service->region;
    struct stage *stage = r->course.now;
    r->current = free_try(r);
    unpark(r);
    if (stage->tries >= r->service->plan->conf->retry.attempts)
        return give_way(r);
    enum taken taken = take(r, r->current, PICK_UNTRIED);
    if (taken == TAKEN)
        return NEXT;
    if (taken == SPENT)
        return give_way(r);
    struct pick_outlook outlook = pick_outlook(region, stage->model, &stage->pick, true);
    if (outlook.at <= gws_clock_ms(region)) {
        taken = take(r, r->current, PICK_AGAIN);
        if (taken == TAKEN)
            return NEXT;
        if (taken == SPENT) /* only a first try is worth waiting for */
            outlook = pick_outlook(region, stage->model, &stage->pick, false);
    }
    return park(r, outlook);
}

/* Trying. */

static void close_try(struct request *r, struct request_try *t)
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

static void note_try(struct request_try *t, struct verdict verdict)
{
    if (t->note)
        *t->note = (struct account_try){t->attempt.ticket.candidate->target->conf->name, verdict.class, verdict.status};
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
    r->attempts++;
    stage->tries++;
    if (r->rescuing)
        splice_replay(&r->relay.given);
    if (t->retry)
        gws_count(r->service->region,
                  t->hedge ? GWS_COUNT_HEDGES : r->rescuing ? GWS_COUNT_REPLAYS : GWS_COUNT_RETRIES, 1);
    int rc = attempt_start(&t->attempt, &task, c->as.at ? c->as : stage->name, &r->arena);
    note_try(t, t->attempt.verdict);
    return rc;
}

static enum step_result send(struct request *r)
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
static void hedge(struct request *r)
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
    if (!take_retry(r)) {
        gws_tally_leave(region, GWS_TALLY_HEDGES);
        return;
    }
    if (take(r, t, PICK_UNTRIED) != TAKEN) {
        gws_tally_leave(region, GWS_TALLY_HEDGES);
        gws_tally_leave(region, GWS_TALLY_RETRIES);
        return;
    }
    t->retry = t->hedge = true;
    if (start(r, t) != 0)
        close_try(r, t);
}

/* Judging. */

/* The other try, when both run. */
static struct request_try *other_try(struct request *r, const struct request_try *t)
{
    struct request_try *other = t == &r->tries[0] ? &r->tries[1] : &r->tries[0];
    return other->attempt.active ? other : NULL;
}

/* Whether the failed try may have been carried out already and must not be repeated elsewhere. */
static bool only_once(const struct request *r, const struct attempt *a)
{
    return r->route.kind == ROUTE_ONCE && a->end != UPSTREAM_CONNECT && a->end != UPSTREAM_TLS &&
           a->end != UPSTREAM_STALE;
}

/* What is left of a try that failed: its words, for the error, and when its candidate may be tried again. */
static void note_failure(struct request *r, struct request_try *t)
{
    struct attempt *a = &t->attempt;
    note_try(t, a->verdict);
    course_failed(&r->course, a->index, a->verdict, a->silent, gws_clock_ms(r->service->region));
    r->verdict = a->verdict;
    r->failed_us += a->done_us - a->sent_us;
    r->hold_at = UINT64_MAX; /* what was held of it is thrown away */
    request_keep_words(r, a);
    close_try(r, t);
}

/* A request that is too long for one model may fit another. */
static bool other_context(struct request *r, const struct attempt *a)
{
    struct stage *next = a->verdict.class == CLASS_CONTEXT ? course_next(&r->course, true) : NULL;
    if (!next)
        return false;
    if (other_try(r, r->current)) { /* it asks the model that is left behind */
        close_try(r, other_try(r, r->current));
        r->loser = NULL;
    }
    note_failure(r, r->current);
    r->course.now = next;
    return true;
}

static enum step_result judge(struct request *r)
{
    struct attempt *a = &r->current->attempt;
    enum outcome_class class = a->verdict.class;
    if (a->intake.relay)
        return NEXT;
    if (class == CLASS_ABORT) {
        r->outcome = "client left";
        return DONE;
    }
    if (other_context(r, a))
        return AGAIN;
    if (!classify_fails_over(class) && (class == CLASS_OK || !r->rescuing))
        return NEXT;
    bool once = only_once(r, a);
    note_failure(r, r->current);
    if (once)
        return request_say_exhausted(r);
    return AGAIN;
}

/* Answering. */

/* The answer broke off: let others begin it anew and go on where the client stands. */
static enum step_result rescue(struct request *r)
{
    struct attempt *a = &r->current->attempt;
    bool replay = r->service->plan->conf->stream.replay && r->events && splice_possible(&r->relay.given);
    if (a->intake.differs) {
        gws_count(r->service->region, GWS_COUNT_RESCUE_DIFFERED, 1);
        return cut_off(r, "The upstream's answer was cut off, and another one differs from it");
    }
    if (!replay || event_now_ms(r->service->loop) >= r->deadline)
        return cut_off(r, a->silent ? "The upstream's answer stalled" : "The upstream's answer was cut off");
    note_failure(r, r->current);
    r->rescuing = true;
    r->course.fixed = true;
    r->comment_at = event_now_ms(r->service->loop) + COMMENT_MS;
    return AGAIN;
}

static enum step_result relay(struct request *r)
{
    struct attempt *a = &r->current->attempt;
    int rc = a->intake.relay ? 0 : attempt_release(a, &r->relay);
    note_try(r->current, a->verdict);
    if (rc != 0 || r->client->failed) {
        r->outcome = "client left";
        return DONE;
    }
    if (a->intake.slow || a->client_stalled) {
        r->outcome = a->intake.slow ? "client too slow" : "client stalled";
        r->keep_alive = false;
        return DONE;
    }
    if (a->intake.differs || classify_fails_over(a->verdict.class))
        return rescue(r);
    if (r->rescuing)
        gws_count(r->service->region, GWS_COUNT_RESCUED, 1);
    if (intake_close(&a->intake) != 0 || relay_end(&r->relay) != 0)
        r->outcome = "client left";
    return DONE;
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
    note_try(t, (struct verdict){CLASS_OK, GWS_NO_WAIT, a->response->status});
    r->current = t;
    r->hedge_at = UINT64_MAX;
    if (t->hedge && first)
        gws_count(r->service->region, GWS_COUNT_HEDGES_WON, 1);
    if (other_try(r, t)) /* closed when the loop comes round: not from within a transfer's report */
        r->loser = other_try(r, t);
    if (hold > 0 && first && stream && !r->rescuing)
        r->hold_at = now + hold;
    else
        attempt_release(a, &r->relay);
    arm(r);
}

static void on_ended(struct attempt *a)
{
    struct request *r = a->owner;
    struct request_try *t = a == &r->tries[0].attempt ? &r->tries[0] : &r->tries[1];
    if (t == r->loser) {
        r->loser = NULL;
        close_try(r, t);
        return;
    }
    bool failed = !a->intake.relay && classify_fails_over(a->verdict.class);
    if (failed && other_try(r, t) && other_try(r, t) != r->loser) { /* the other may still answer */
        struct request_try *other = other_try(r, t);
        note_failure(r, t);
        r->current = other;
        return;
    }
    r->current = t;
    r->step = STEP_JUDGE;
    run(r);
}

static bool on_elsewhere(struct attempt *a)
{
    struct request *r = a->owner;
    struct stage *stage = r->course.now;
    return !r->tries[1].attempt.active && stage->tries < r->service->plan->conf->retry.attempts &&
           pick_possible(r->service->region, stage->model, &stage->pick);
}

/* The answer's head, made when it is promised. */
static int make_head(struct relay *relay, struct buf *out, size_t length)
{
    struct request *r = (struct request *)(void *)((char *)relay - offsetof(struct request, relay));
    enum intake_mode mode = r->current->attempt.intake.mode;
    r->keep_alive = r->keep_alive && !r->service->draining;
    r->events = mode == INTAKE_EVENTS;
    if (length == SIZE_MAX && r->head->minor == 0)
        r->keep_alive = false; /* only the connection's end can end this body */
    r->status = r->current->attempt.response->status;
    if (r->events && r->service->plan->conf->stream.replay && r->route.kind == ROUTE_MODEL)
        splice_begin(&r->relay.given, splice_api_of(r->route.upstream_path));
    return request_say_head(r, out, length);
}

/* Time. */

static void arm(struct request *r)
{
    uint64_t at = r->deadline;
    if (r->parks && r->parked.wake_at < at)
        at = r->parked.wake_at;
    at = r->hedge_at < at ? r->hedge_at : at;
    at = r->hold_at < at ? r->hold_at : at;
    at = r->rescuing && r->comment_at < at ? r->comment_at : at;
    at = r->loser ? 1 : at;
    if (at == UINT64_MAX)
        event_timer_off(&r->timer);
    else
        event_timer_at(&r->timer, at);
}

static void finish_with(struct request *r, enum step_result result)
{
    if (result == FAIL)
        request_say_failure(r);
    request_end(r);
}

static void out_of_time(struct request *r)
{
    const char *message = "The deadline passed before an answer";
    unpark(r);
    if (r->rescuing)
        gws_count(r->service->region, GWS_COUNT_RESCUE_FAILED, 1);
    if (r->relay.committed)
        finish_with(r, cut_off(r, "The deadline passed before the answer was complete"));
    else
        finish_with(r, request_fail(r, 504, "server_error", "deadline_exceeded", message));
}

/* While others are asked for the rest, the client's connection is kept from looking dead. */
static void comment(struct request *r, uint64_t now)
{
    bool waits = !r->current->attempt.active || !splice_caught_up(&r->relay.given);
    if (waits)
        relay_pass(&r->relay, STR(": the answer is being continued\n\n"));
    r->comment_at = waits ? now + COMMENT_MS : UINT64_MAX;
}

static void on_time(struct event_timer *timer)
{
    struct request *r = (struct request *)(void *)((char *)timer - offsetof(struct request, timer));
    uint64_t now = event_now_ms(r->service->loop);
    if (!r->active)
        return;
    if (r->loser) {
        close_try(r, r->loser);
        r->loser = NULL;
    }
    if (now >= r->deadline) {
        out_of_time(r);
        return;
    }
    if (r->parks && now >= r->parked.wake_at) {
        r->step = STEP_PICK;
        run(r);
        return;
    }
    if (now >= r->hold_at) {
        r->hold_at = UINT64_MAX;
        attempt_release(&r->current->attempt, &r->relay);
    }
    if (now >= r->hedge_at)
        hedge(r);
    if (r->rescuing && now >= r->comment_at)
        comment(r, now);
    arm(r);
}

/* Something may have changed before its time: look whether it did. */
static void on_look(struct parked *parked)
{
    struct request *r = (struct request *)(void *)((char *)parked - offsetof(struct request, parked));
    struct stage *stage = r->course.now;
    if (r->outlook.place) /* whoever woke us took the bit; and again it comes before the look */
        pick_await(r->service->region, stage->model, &stage->pick, true);
    struct pick_outlook now = pick_outlook(r->service->region, stage->model, &stage->pick, true);
    if (now.at >= r->outlook.at)
        return;
    r->step = STEP_PICK;
    run(r);
}

/* Life. */

void request_init(struct request *r, struct service *service, struct sock *client,
                  void (*ended)(struct request *self, bool keep_alive))
{
    memset(r, 0, sizeof *r);
    r->service = service;
    r->client = client;
    r->ended = ended;
    r->relay.client = client;
    r->relay.make_head = make_head;
    r->parked.look = on_look;
    event_timer_init(&r->timer, service->loop, on_time);
    for (size_t i = 0; i < REQUEST_TRIES; i++) {
        struct attempt *a = &r->tries[i].attempt;
        a->service = service;
        a->owner = r;
        a->answering = on_answering;
        a->ended = on_ended;
        a->elsewhere = on_elsewhere;
        attempt_init(a);
    }
}

void request_fini(struct request *r)
{
    event_timer_stop(&r->timer);
    for (size_t i = 0; i < REQUEST_TRIES; i++)
        attempt_fini(&r->tries[i].attempt);
    relay_fini(&r->relay);
    buf_fini(&r->text);
    buf_fini(&r->shorter);
    buf_fini(&r->endpoints);
    arena_fini(&r->arena);
}

void request_begin(struct request *r, const struct http_request *head, struct str body)
{
    r->head = head;
    r->body = body;
    r->active = true;
    r->step = 0;
    r->began_us = event_clock_us();
    r->failed_us = r->waited_us = 0;
    r->keep_alive = head->keep_alive && !r->service->draining;
    r->attempts = r->truncated = 0;
    r->status = 0;
    r->outcome = "done";
    r->route = (struct route){0};
    r->course = (struct course){0};
    r->verdict = (struct verdict){0};
    r->current = &r->tries[0];
    r->loser = NULL;
    r->counted = r->events = r->rescuing = r->queue_full = r->parks = false;
    r->hedge_at = r->hold_at = r->comment_at = UINT64_MAX;
    r->why[0] = '\0';
    r->quote = (struct str){0};
    relay_reset(&r->relay);
    r->relay.chunked = head->minor > 0;
    buf_clear(&r->endpoints);
    gws_slot_count_request(r->service->region);
    run(r);
}

static void log_end(struct request *r)
{
    uint64_t now = event_clock_us();
    const struct attempt *a = &r->current->attempt;
    bool answered = r->relay.committed && a->active;
    uint64_t upstream = r->failed_us + (answered ? (a->done_us > a->sent_us ? a->done_us : now) - a->sent_us : 0);
    uint64_t total = now - r->began_us, elsewhere = upstream + r->waited_us;
    struct account_record record = {
        .id = r->id,
        .method = r->head->method,
        .path = r->head->path,
        .model_asked = r->route.asked,
        .model_answered = answered ? r->course.now->name : (struct str){0},
        .endpoint = answered ? a->ticket.candidate->target->conf->name : NULL,
        .attempts = r->attempts,
        .status = r->status,
        .bytes = r->relay.bytes,
        .events = answered ? a->intake.events : 0,
        .usage = answered ? a->intake.usage : (struct usage){0},
        .wait_us = r->waited_us,
        .upstream_us = upstream,
        .total_us = total,
        .overhead_us = total > elsewhere ? total - elsewhere : 0,
        .end = r->outcome,
    };
    memcpy(record.tries, r->notes, sizeof record.tries);
    account_log(&record);
}

/* Everything that is held is given back here and nowhere else. */
static void settle(struct request *r)
{
    if (r->active && log_access_enabled())
        log_end(r);
    unpark(r);
    for (size_t i = 0; i < REQUEST_TRIES; i++)
        close_try(r, &r->tries[i]);
    if (r->counted)
        gws_tally_leave(r->service->region, GWS_TALLY_REQUESTS);
    event_timer_off(&r->timer);
    r->active = false;
    relay_reset(&r->relay);
    arena_reset(&r->arena);
    buf_shrink(&r->text, SOCK_HIGH_WATER);
    buf_clear(&r->shorter);
    buf_shrink(&r->shorter, 0);
}

static void request_end(struct request *r)
{
    settle(r);
    r->ended(r, r->keep_alive && !r->client->failed);
}

void request_client_left(struct request *r)
{
    if (!r->active)
        return;
    r->outcome = "client left";
    settle(r);
}

void request_client_drained(struct request *r)
{
    for (size_t i = 0; r->active && i < REQUEST_TRIES; i++)
        attempt_drained(&r->tries[i].attempt);
}
