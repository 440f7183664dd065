#include "gatewayd/request.h"

#include "gatewayd/log.h"
#include "gatewayd/request_steps.h"
#include "gatewayd/truncate.h"
#include "libshm/budget.h"
#include "libshm/count.h"
#include "libshm/slot.h"

/*
 * The story of a request: a table of steps, and below it the steps in the order of the table. A step checks what the
 * one before promised, calls one module and translates its result; only here and in request_say.c do results become
 * HTTP statuses. Three parts have files of their own: choosing, with the wait for somebody to choose; the tries; and
 * time. Whatever happens, request_end() is the way out: it gives back what is held, ends what runs, logs what became
 * of it.
 */

static enum step_result parse(struct request *r);
static enum step_result route(struct request *r);
static enum step_result fit(struct request *r);
static enum step_result judge(struct request *r);
static enum step_result relay(struct request *r);

static enum step_result (*const steps[])(struct request *r) = {
    parse,                      /* who asks, by when, under which id */
    request_own,                /* what the gateway answers itself */
    route,                      /* who may answer */
    fit,                        /* a model with room for it */
    [STEP_PICK] = request_pick, /* an endpoint, with everything it takes; or wait for one */
    [STEP_SEND] = request_send,
    [STEP_JUDGE] = judge,       /* what came of it: an answer, or somebody else's turn */
    relay,                      /* the rest of the answer, from whoever can give it */
};

static void request_end(struct request *r);

static void run(struct request *r)
{
    for (;;) {
        enum step_result result = steps[r->step](r);
        switch (result) {
        case NEXT:
            r->step++;
            break;
        case AGAIN:
            r->step = STEP_PICK;
            break;
        case WAIT:
            request_arm(r);
            return;
        case FAIL:
        case DONE:
            request_finish(r, result);
            return;
        }
    }
}

void request_go_on(struct request *r, unsigned step)
{
    r->step = step;
    run(r);
}

void request_finish(struct request *r, enum step_result result)
{
    if (result == FAIL)
        request_say_failure(r);
    request_end(r);
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

enum step_result request_cut_off(struct request *r, const char *message)
{
    r->keep_alive = false;
    r->outcome = "cut";
    if (r->events)
        request_say_cut(r, message);
    return DONE;
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
    if (said)
        return request_fail(r, 400, "invalid_request_error", "bad_request", said);
    /* From here on it is one of the requests in flight, of which the retry budget is a share. */
    gws_tally_enter(r->service->region, GWS_TALLY_REQUESTS);
    r->counted = true;
    return NEXT;
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

/* Judging. */

/* Whether the failed try may have been carried out already and must not be repeated elsewhere. */
static bool only_once(const struct request *r, const struct attempt *a)
{
    return r->route.kind == ROUTE_ONCE && a->end != UPSTREAM_CONNECT && a->end != UPSTREAM_TLS &&
           a->end != UPSTREAM_STALE;
}

/* A request that is too long for one model may fit another. */
static bool other_context(struct request *r, const struct attempt *a)
{
    struct stage *next = a->verdict.class == CLASS_CONTEXT ? course_next(&r->course, true) : NULL;
    if (!next)
        return false;
    if (request_other_try(r, r->current)) { /* it asks the model that is left behind */
        request_close_try(r, request_other_try(r, r->current));
        r->loser = NULL;
    }
    request_note_failure(r, r->current);
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
    request_note_failure(r, r->current);
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
        return request_cut_off(r, "The upstream's answer was cut off, and another one differs from it");
    }
    if (!replay || event_now_ms(r->service->loop) >= r->deadline)
        return request_cut_off(r, a->silent ? "The upstream's answer stalled" : "The upstream's answer was cut off");
    request_note_failure(r, r->current);
    r->rescuing = true;
    r->course.fixed = true;
    r->comment_at = event_now_ms(r->service->loop) + COMMENT_MS;
    return AGAIN;
}

static enum step_result relay(struct request *r)
{
    struct attempt *a = &r->current->attempt;
    int rc = a->intake.relay ? 0 : attempt_release(a, &r->relay);
    request_note_try(r->current, a->verdict);
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
    r->promised = r->current->attempt.ticket.candidate->target->conf->name;
    if (r->events && r->service->plan->conf->stream.replay && r->route.kind == ROUTE_MODEL)
        splice_begin(&r->relay.given, splice_api_of(r->route.upstream_path));
    return request_say_head(r, out, length);
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
    r->parked.look = request_look;
    event_timer_init(&r->timer, service->loop, request_on_time);
    request_tries_init(r);
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
    r->promised = NULL;
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

/* The answer is somebody's: of an upstream that is asked still, or was until now. */
static bool is_answered(const struct request *r)
{
    return r->relay.committed && r->current->attempt.active;
}

struct spent {
    uint64_t total_us;
    uint64_t upstream_us;
    uint64_t overhead_us; /* what is neither upstream nor waiting */
};

static struct spent spent_by(const struct request *r)
{
    uint64_t now = event_clock_us();
    const struct attempt *a = &r->current->attempt;
    uint64_t answer = is_answered(r) ? (a->done_us > a->sent_us ? a->done_us : now) - a->sent_us : 0;
    struct spent spent = {.total_us = now - r->began_us, .upstream_us = r->failed_us + answer};
    uint64_t elsewhere = spent.upstream_us + r->waited_us;
    spent.overhead_us = spent.total_us > elsewhere ? spent.total_us - elsewhere : 0;
    return spent;
}

static void log_end(struct request *r, const struct spent *spent)
{
    const struct attempt *a = &r->current->attempt;
    bool answered = is_answered(r);
    struct account_record record = {
        .id = r->id,
        .traceparent = http_header_find(r->head->headers, r->head->header_count, STR("traceparent")),
        .method = r->head->method,
        .path = r->head->path,
        .model_asked = r->route.asked,
        .model_answered = r->promised ? r->course.now->name : (struct str){0},
        .endpoint = answered ? a->ticket.candidate->target->conf->name : r->promised,
        .attempts = r->attempts,
        .status = r->status,
        .bytes = r->relay.bytes,
        .events = answered ? a->intake.events : 0,
        .usage = answered ? a->intake.usage : (struct usage){0},
        .wait_us = r->waited_us,
        .upstream_us = spent->upstream_us,
        .total_us = spent->total_us,
        .overhead_us = spent->overhead_us,
        .end = r->outcome,
    };
    memcpy(record.tries, r->notes, sizeof record.tries);
    account_log(&record);
}

static void note_end(struct request *r)
{
    bool logs = log_access_enabled();
    account_answer(r->service->region, r->status, r->outcome);
    if (!logs && r->attempts == 0)
        return;
    struct spent spent = spent_by(r);
    if (r->attempts > 0)
        account_effort(r->service->region, r->attempts, spent.overhead_us);
    if (logs)
        log_end(r, &spent);
}

/* Everything that is held is given back here and nowhere else. */
static void settle(struct request *r)
{
    if (r->active)
        note_end(r);
    request_unpark(r);
    for (size_t i = 0; i < REQUEST_TRIES; i++)
        request_close_try(r, &r->tries[i]);
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
