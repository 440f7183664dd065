#include "gatewayd/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gatewayd/answer.h"
#include "gatewayd/headers.h"
#include "gatewayd/log.h"
#include "gatewayd/reply.h"
#include "gatewayd/request_say.h"
#include "libshm/clock.h"
#include "libshm/latency.h"
#include "libshm/slot.h"
#include "libshm/stat.h"

/*
 * The story of a request: a table of steps, and below it the steps in the order of the table. A step checks what the
 * one before promised, calls one module and translates its result; only here do results become HTTP statuses. Whatever
 * happens, request_end() is the way out: it settles the ticket, ends the transfer, writes the log line.
 */

enum {
    SOFT_RECHECK_MS = 250,
    CLIENT_STALL_MS = 75000,
    SHARED_STALL_MS = 2000,
    ENDED_MS = 100
};

enum step_result {
    NEXT,  /* on to the next step */
    WAIT,  /* something will call back */
    AGAIN, /* another candidate */
    FAIL,  /* `failure` says what to tell the client */
    DONE   /* answered */
};

static enum step_result parse(struct request *r);
static enum step_result own(struct request *r);
static enum step_result route(struct request *r);
static enum step_result pick(struct request *r);
static enum step_result send(struct request *r);
static enum step_result judge(struct request *r);
static enum step_result relay(struct request *r);

enum { STEP_PICK = 3, STEP_SEND = 4, STEP_JUDGE = 5 };

static enum step_result (*const steps[])(struct request *r) = {
    parse,           /* who asks, by when, under which id */
    own,             /* what the gateway answers itself */
    route,           /* which candidates */
    [STEP_PICK] = pick, /* one of them, with everything it takes */
    [STEP_SEND] = send,
    [STEP_JUDGE] = judge, /* what came of it: an answer, or somebody else's turn */
    relay,           /* the rest of the answer */
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

static enum step_result fail(struct request *r, int status, const char *type, const char *code, const char *message)
{
    r->failure = (struct request_failure){status, type, code, message, -1};
    return FAIL;
}

static enum step_result fail_here(struct request *r)
{
    r->keep_alive = false;
    return fail(r, 500, "server_error", "internal_error", "The gateway is out of memory");
}

/* A request id is kept when it is printable and of sane length, else made. */
static void take_id(struct request *r)
{
    struct str given = http_header_find(r->head->headers, r->head->header_count, STR("x-request-id"));
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
    struct str timeout = http_header_find(r->head->headers, r->head->header_count, STR("x-gateway-timeout"));
    uint64_t ms;
    take_id(r);
    r->deadline = UINT64_MAX;
    if (r->head->method.len > 20)
        return fail(r, 400, "invalid_request_error", "bad_request", "No method has a name of that length");
    if (timeout.at) {
        if (!str_to_u64(timeout, &ms) || ms == 0)
            return fail(r, 400, "invalid_request_error", "bad_request",
                        "X-Gateway-Timeout is a number of milliseconds above zero");
        uint64_t now = event_now_ms(r->service->loop);
        r->deadline = ms < UINT64_MAX - now ? now + ms : UINT64_MAX;
    }
    if (route_find(&r->route, r->service->plan, r->head, r->body, &r->arena) != 0)
        return fail_here(r);
    return NEXT;
}

static enum step_result answer_own(struct request *r, int status, const char *content_type, struct str body)
{
    bool head_only = str_eq(r->head->method, STR("HEAD"));
    buf_clear(&r->text);
    if (reply_whole(&r->text, status, content_type, body, r->id, r->keep_alive, r->head->minor, head_only) != 0)
        return fail_here(r);
    struct iovec piece = {buf_at(&r->text), buf_len(&r->text)};
    sock_send(r->client, &piece, 1);
    r->status = status;
    return DONE;
}

static enum step_result answer_ready(struct request *r)
{
    const struct plan_model *pool = r->service->plan->pool;
    for (uint32_t m = 0; m <= r->service->plan->model_count; m++) {
        const struct plan_model *model = &r->service->plan->models[m];
        for (uint32_t i = 0; i < model->candidate_count && (model != pool || r->service->plan->model_count == 0); i++) {
            struct refused refused;
            if (!admit_peek(r->service->region, &model->candidates[i], 0, &refused))
                return answer_own(r, 200, "text/plain", STR("ready\n"));
        }
    }
    return answer_own(r, 503, "text/plain", STR("no endpoint can take a request now\n"));
}

static enum step_result model_not_found(struct request *r, struct str name)
{
    struct str hint = route_nearest(r->service->plan, name);
    char *text = hint.at ? arena_printf(&r->arena, "Model '%.*s' not found. Did you mean '%.*s'?",
                                        (int)(name.len < 128 ? name.len : 128), name.at, (int)hint.len, hint.at)
                         : arena_printf(&r->arena, "Model '%.*s' not found",
                                        (int)(name.len < 128 ? name.len : 128), name.at);
    return text ? fail(r, 404, "invalid_request_error", "model_not_found", text) : fail_here(r);
}

static enum step_result own(struct request *r)
{
    struct str resolved;
    switch (r->route.kind) {
    case ROUTE_HEALTH:
        return answer_own(r, 200, "text/plain", STR("healthy\n"));
    case ROUTE_READY:
        return answer_ready(r);
    case ROUTE_MODELS:
        return answer_own(r, 200, "application/json", r->service->models_json);
    case ROUTE_MODEL_ONE: {
        bool known = route_model(r->service->plan, r->route.asked, &resolved) && r->service->plan->model_count;
        struct buf json = {0};
        if (!known)
            return model_not_found(r, r->route.asked);
        enum step_result result = route_model_json(r->route.asked, &json) == 0
                                      ? answer_own(r, 200, "application/json", buf_str(&json))
                                      : fail_here(r);
        buf_fini(&json);
        return result;
    }
    case ROUTE_BAD_METHOD:
        return fail(r, 405, "invalid_request_error", "method_not_allowed", "This path does not know that method");
    case ROUTE_UNKNOWN:
        return fail(r, 404, "invalid_request_error", "unknown_url",
                    "Unknown path: the gateway serves /v1/…, /health and /ready");
    case ROUTE_BAD_BODY: {
        char *text = arena_printf(&r->arena, "The request's body is not JSON that can be routed: %s", r->route.why);
        return text ? fail(r, 400, "invalid_request_error", "bad_request", text) : fail_here(r);
    }
    case ROUTE_MODEL:
    case ROUTE_POOL:
    case ROUTE_ONCE:
        break;
    }
    return NEXT;
}

static enum step_result route(struct request *r)
{
    const struct plan_model *model = r->route.model;
    if (!model)
        return model_not_found(r, r->route.asked);
    r->pick = (struct pick_state){.per_endpoint = 1};
    r->pick.marks = arena_alloc(&r->arena, model->candidate_count * sizeof *r->pick.marks);
    r->last = arena_alloc(&r->arena, model->candidate_count * sizeof *r->last);
    if (!r->pick.marks || !r->last)
        return fail_here(r);
    r->pick.pinned = -1;
    struct str pin = http_header_find(r->head->headers, r->head->header_count, STR("x-gateway-endpoint"));
    if (pin.len == 0 || !r->service->plan->conf->expose)
        return NEXT;
    for (uint32_t i = 0; i < model->candidate_count; i++)
        if (str_eq(pin, str_of(model->candidates[i].target->conf->name)))
            r->pick.pinned = (int)i;
    if (r->pick.pinned >= 0)
        return NEXT;
    char *text = arena_printf(&r->arena, "X-Gateway-Endpoint: no endpoint '%.*s' serves this model",
                              (int)(pin.len < 128 ? pin.len : 128), pin.at);
    return text ? fail(r, 400, "invalid_request_error", "bad_request", text) : fail_here(r);
}

static enum step_result fail_exhausted(struct request *r)
{
    return request_say_exhausted(r) ? FAIL : fail_here(r);
}

static enum step_result pick(struct request *r)
{
    const struct conf *conf = r->service->plan->conf;
    if (r->attempts >= conf->retry.attempts)
        return fail_exhausted(r);
    if (pick_take(r->service->region, r->route.model, &r->pick, PICK_UNTRIED, &r->ticket, &r->index) != 0)
        return fail_exhausted(r);
    r->fresh = false;
    return NEXT;
}

/* The body with the model's upstream name in place of the one asked for; every other byte as it came. */
static int rename_model(struct request *r, struct str name, struct str *body)
{
    struct str was = r->route.model_value.text;
    *body = r->body;
    if (r->route.model_value.type != JSON_STRING || str_eq(r->route.asked, name))
        return 0;
    size_t before = (size_t)(was.at - r->body.at);
    buf_clear(&r->text);
    int rc = buf_add(&r->text, r->body.at, before);
    if (rc == 0)
        rc = buf_add_json(&r->text, name);
    if (rc == 0)
        rc = buf_add(&r->text, was.at + was.len, r->body.len - before - was.len);
    *body = buf_str(&r->text);
    return rc;
}

static int make_lines(struct request *r, const struct plan_target *target)
{
    bool passthrough = target->conf->key.source == CONF_KEY_PASSTHROUGH;
    r->line_count = headers_up(r->head, target->conf->headers, target->conf->header_count, passthrough, r->lines,
                               HTTP_HEADERS_MAX);
    char *id = arena_printf(&r->arena, "X-Request-Id: %.*s", (int)r->id.len, r->id.at);
    if (!id)
        return -ENOMEM;
    r->lines[r->line_count++] = id;
    if (http_header_find(r->head->headers, r->head->header_count, STR("content-type")).len == 0 && r->body.len > 0)
        r->lines[r->line_count++] = (char *)"Content-Type: application/json";
    return 0;
}

static void set_deadlines(struct request *r, const struct conf_timeouts *t)
{
    uint64_t now = event_now_ms(r->service->loop);
    if (r->attempts == 1 && now + t->total < r->deadline)
        r->deadline = now + t->total;
    r->soft_at = r->route.stream ? now + t->first_token : UINT64_MAX;
    r->response_at = now + t->response;
    r->idle_at = UINT64_MAX;
    r->paused = false;
    arm(r);
}

static const struct upstream_events upstream_events;

static enum step_result send(struct request *r)
{
    const struct plan_candidate *c = r->ticket.candidate;
    struct upstream_request up = {
        .target = c->target,
        .events = &upstream_events,
        .owner = r,
        .method = r->head->method,
        .path = r->route.upstream_path,
        .header_lines = r->lines,
        .fresh = r->fresh,
        .connect_ms = c->timeouts.connect,
    };
    relay_reset(&r->relay);
    r->response = NULL;
    r->silent = false;
    r->why[0] = '\0';
    r->first_us = 0;
    if (rename_model(r, c->as.at ? c->as : r->route.resolved, &up.body) != 0 || make_lines(r, c->target) != 0)
        return fail_here(r);
    up.header_count = r->line_count;
    r->attempts++;
    r->sent_us = event_clock_us();
    set_deadlines(r, &c->timeouts);
    if (upstream_start(r->service->upstream, &up, &r->transfer) != 0)
        return fail_here(r);
    r->step = STEP_JUDGE;
    return WAIT;
}

/* An error in the body of a success, in its place or as a stream's first event: what it says decides. */
static struct verdict judge_error(const struct request *r, struct str json)
{
    const struct upstream_response *response = r->response;
    return classify_error_body(response->status, response->headers, response->header_count, json, time(NULL));
}

/* What the try came to, before anything was promised to the client. */
static struct verdict judge_try(struct request *r)
{
    if (r->silent)
        return (struct verdict){CLASS_SILENCE, GWS_NO_WAIT, 0};
    if (r->client->failed)
        return (struct verdict){CLASS_ABORT, GWS_NO_WAIT, 0};
    if (r->end == UPSTREAM_ABORTED && r->response && r->relay.failed) {
        char room[SSE_SPREAD_MAX];
        struct verdict said = judge_error(r, sse_whole_data(buf_str(&r->relay.held), room, sizeof room));
        if (classify_fails_over(said.class))
            return said;
    }
    if (r->end == UPSTREAM_ABORTED)
        return (struct verdict){CLASS_INVALID, GWS_NO_WAIT, r->response ? r->response->status : 0};
    if (r->end != UPSTREAM_COMPLETE)
        return classify_end(r->end);
    const struct upstream_response *response = r->response;
    /* What only one endpoint can be asked has answers of its own kind: 304, a redirect that is not followed. */
    if (r->relay.mode == RELAY_ERROR && r->route.kind == ROUTE_ONCE && response->status < 400)
        return (struct verdict){CLASS_CLIENT, GWS_NO_WAIT, response->status};
    if (r->relay.mode == RELAY_ERROR)
        return classify_response(response->status, response->headers, response->header_count,
                                 buf_str(&r->relay.held), time(NULL));
    if (r->relay.mode == RELAY_WHOLE && r->route.kind == ROUTE_MODEL) {
        struct verdict said = judge_error(r, buf_str(&r->relay.held));
        if (said.class != CLASS_OK)
            return said;
    }
    bool no_answer = r->relay.mode == RELAY_EVENTS
                         ? !r->relay.content
                         : r->relay.mode == RELAY_WHOLE && r->route.kind == ROUTE_MODEL &&
                               answer_missing(r->route.upstream_path, buf_str(&r->relay.held), 0);
    return (struct verdict){no_answer ? CLASS_INVALID : CLASS_OK, GWS_NO_WAIT, response->status};
}

static void note_try(struct request *r, struct verdict verdict)
{
    if (r->attempts > 0 && r->attempts <= ACCOUNT_TRIES)
        r->tries[r->attempts - 1] =
            (struct account_try){r->ticket.candidate->target->conf->name, verdict.class, verdict.status};
}

/* Whether the failed try may have been carried out already and must not be repeated elsewhere. */
static bool only_once(const struct request *r)
{
    return r->route.kind == ROUTE_ONCE && r->end != UPSTREAM_CONNECT && r->end != UPSTREAM_TLS &&
           r->end != UPSTREAM_STALE;
}

static enum step_result judge(struct request *r)
{
    if (r->relay.committed)
        return NEXT;
    struct gws_region *region = r->service->region;
    r->verdict = judge_try(r);
    note_try(r, r->verdict);
    if (r->verdict.class == CLASS_STALE && !r->fresh) {
        gws_stat_count(region, r->ticket.candidate->target->endpoint, GWS_STAT_RESENT);
        r->transfer = NULL;
        r->fresh = true;
        r->step = STEP_SEND;
        return send(r);
    }
    bool loss = r->transfer && (r->end == UPSTREAM_RESET || r->end == UPSTREAM_CUT) && upstream_loss_known(r->transfer);
    r->transfer = NULL;
    admit_settle(region, &r->ticket, r->verdict, loss);
    if (r->verdict.class == CLASS_ABORT) {
        r->outcome = "client left";
        return DONE;
    }
    if (!classify_fails_over(r->verdict.class))
        return NEXT;
    r->last[r->index] = r->verdict;
    r->failed_us += r->done_us - r->sent_us;
    admit_release(region, &r->ticket);
    if (only_once(r))
        return fail_exhausted(r);
    if (event_now_ms(r->service->loop) >= r->deadline)
        return fail(r, 504, "server_error", "deadline_exceeded", "The deadline passed before an answer");
    return AGAIN;
}

/* The connection ends here, and the client can tell that the answer is not whole. */
static enum step_result cut_off(struct request *r, const char *message)
{
    struct verdict cut = {CLASS_CUT, GWS_NO_WAIT, 0};
    admit_settle(r->service->region, &r->ticket, cut, false);
    note_try(r, cut);
    r->keep_alive = false;
    r->outcome = "cut";
    if (r->relay.mode != RELAY_EVENTS || r->relay.failed)
        return DONE;
    struct reply_error error = {.status = 502, .type = "server_error", .code = "upstream_cut", .message = message,
                                .request_id = r->id, .retry_after_ms = -1, .anthropic = r->route.anthropic};
    buf_clear(&r->text);
    if (reply_error_event(&r->text, &error) == 0)
        relay_add(&r->relay, buf_str(&r->text));
    return DONE;
}

static enum step_result relay(struct request *r)
{
    struct relay *answer = &r->relay;
    r->transfer = NULL;
    r->status = r->response->status;
    if (r->client->failed) {
        r->outcome = "client left";
        return DONE;
    }
    if (answer->slow) {
        r->outcome = "client too slow";
        r->keep_alive = false;
        return DONE;
    }
    bool whole = answer->mode == RELAY_EVENTS && (answer->finished || answer->terminal) && !answer->failed;
    if (answer->committed && !whole && (r->end != UPSTREAM_COMPLETE || answer->failed))
        return cut_off(r, "The upstream's answer was cut off");
    if (answer->mode == RELAY_EVENTS && !whole)
        return cut_off(r, "The upstream's answer ended before it was complete");
    if (relay_finish(answer) != 0)
        r->outcome = "client left";
    return DONE;
}

/* What the transport reports. */

static enum upstream_flow on_head(void *owner, const struct upstream_response *response)
{
    struct request *r = owner;
    r->response = response;
    r->first_us = event_clock_us();
    relay_begin(&r->relay, response);
    r->relay.chunked = r->head->minor > 0;
    r->relay.pausable = !upstream_is_shared(r->transfer);
    r->relay.closing = sse_closing(r->route.upstream_path);
    return UPSTREAM_TAKEN;
}

/* How long a reader may stand still; less when others wait behind it on the same connection. */
static uint64_t stall_ms(const struct request *r)
{
    return r->relay.pausable ? CLIENT_STALL_MS : SHARED_STALL_MS;
}

static enum upstream_flow on_body(void *owner, const char *bytes, size_t len)
{
    struct request *r = owner;
    enum upstream_flow flow = relay_body(&r->relay, bytes, len);
    if (!r->relay.committed)
        return flow;
    uint64_t now = event_now_ms(r->service->loop);
    if (flow == UPSTREAM_PAUSE) {
        r->paused = true;
        r->sent_when_paused = r->client->sent;
        r->idle_at = now + stall_ms(r);
    } else {
        /* After the announced end only the connection's own end is awaited, and not for long. */
        r->idle_at = now + (r->relay.terminal ? ENDED_MS : r->ticket.candidate->timeouts.idle);
    }
    arm(r);
    return flow;
}

static void on_done(void *owner, enum upstream_end end, const char *why)
{
    struct request *r = owner;
    r->end = end;
    r->done_us = event_clock_us();
    if (end != UPSTREAM_COMPLETE)
        snprintf(r->why, sizeof r->why, "%s", why);
    run(r);
}

static const struct upstream_events upstream_events = {on_head, on_body, on_done};

/* The answer's head, made when it is committed. */

/* The time to the first content, of the try that has it: total time would measure the length of the answer. */
static void note_latency(const struct request *r)
{
    struct gws_region *region = r->service->region;
    const struct plan_candidate *c = r->ticket.candidate;
    uint64_t us = event_clock_us() - r->sent_us;
    gws_latency_feed(region, c->pair_row, us, PLAN_LATENCY_DECAY_MS, gws_clock_ms(region));
    gws_latency_count(region, c->target->endpoint, GWS_LATENCY_FIRST, us);
}

static void on_commit(struct relay *relay)
{
    struct request *r = (struct request *)(void *)((char *)relay - offsetof(struct request, relay));
    struct verdict ok = {CLASS_OK, GWS_NO_WAIT, r->response->status};
    r->keep_alive = r->keep_alive && !r->service->draining;
    if (r->relay.mode != RELAY_ERROR && !r->ticket.settled) {
        admit_settle(r->service->region, &r->ticket, ok, false);
        note_try(r, ok);
        note_latency(r);
    }
    if (relay->mode != RELAY_WHOLE && relay->mode != RELAY_ERROR && r->head->minor == 0)
        r->keep_alive = false; /* only the connection's end can end this body */
}

/* Time. */

static void arm(struct request *r)
{
    uint64_t at = r->deadline;
    if (r->relay.committed) {
        at = r->idle_at < at ? r->idle_at : at;
    } else {
        at = r->response_at < at ? r->response_at : at;
        at = r->soft_at < at ? r->soft_at : at;
    }
    event_timer_at(&r->timer, at);
}

/* The running try is given up. */
static void give_up(struct request *r)
{
    upstream_cancel(r->transfer);
    r->transfer = NULL;
    r->silent = true;
    r->end = UPSTREAM_ABORTED;
    r->done_us = event_clock_us();
    snprintf(r->why, sizeof r->why, "no answer within the time allowed");
}

static void finish_with(struct request *r, enum step_result result)
{
    if (result == FAIL)
        request_say_failure(r);
    request_end(r);
}

static void out_of_time(struct request *r)
{
    give_up(r);
    if (r->relay.committed) {
        r->status = r->response ? r->response->status : 0;
        finish_with(r, cut_off(r, "The deadline passed before the answer was complete"));
        return;
    }
    struct verdict late = {CLASS_ABORT, GWS_NO_WAIT, 0};
    note_try(r, late);
    admit_settle(r->service->region, &r->ticket, late, false);
    finish_with(r, fail(r, 504, "server_error", "deadline_exceeded", "The deadline passed before an answer"));
}

static void idle_too_long(struct request *r, uint64_t now)
{
    if (r->paused && r->client->sent > r->sent_when_paused) { /* slow, but reading */
        r->sent_when_paused = r->client->sent;
        r->idle_at = now + stall_ms(r);
        arm(r);
        return;
    }
    bool client_stalled = r->paused;
    give_up(r);
    if (!client_stalled && r->relay.mode == RELAY_EVENTS && (r->relay.finished || r->relay.terminal)) {
        run(r); /* the answer is whole, whatever the upstream still waits for */
        return;
    }
    r->status = r->response->status;
    if (client_stalled) {
        r->outcome = "client stalled";
        r->keep_alive = false;
        request_end(r);
        return;
    }
    finish_with(r, cut_off(r, "The upstream's answer stalled"));
}

static void on_time(struct event_timer *timer)
{
    struct request *r = (struct request *)(void *)((char *)timer - offsetof(struct request, timer));
    uint64_t now = event_now_ms(r->service->loop);
    if (!r->active || !r->transfer)
        return;
    if (now >= r->deadline) {
        out_of_time(r);
    } else if (r->relay.committed) {
        if (now >= r->idle_at)
            idle_too_long(r, now);
        else
            arm(r);
    } else if (now >= r->response_at ||
               (now >= r->soft_at && r->attempts < r->service->plan->conf->retry.attempts &&
                pick_possible(r->service->region, r->route.model, &r->pick))) {
        give_up(r);
        run(r);
    } else {
        if (now >= r->soft_at)
            r->soft_at = now + SOFT_RECHECK_MS;
        arm(r);
    }
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
    r->relay.make_head = request_say_head;
    r->relay.committing = on_commit;
    event_timer_init(&r->timer, service->loop, on_time);
}

void request_fini(struct request *r)
{
    event_timer_stop(&r->timer);
    relay_fini(&r->relay);
    buf_fini(&r->text);
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
    r->sent_us = r->first_us = r->done_us = r->failed_us = 0;
    r->keep_alive = head->keep_alive && !r->service->draining;
    r->attempts = 0;
    r->status = 0;
    r->outcome = "done";
    r->response = NULL;
    r->route = (struct route){0};
    r->verdict = (struct verdict){0};
    r->relay.bytes = r->relay.events = 0;
    r->relay.committed = false;
    r->relay.mode = RELAY_NONE;
    buf_clear(&r->endpoints);
    gws_slot_count_request(r->service->region);
    run(r);
}

static void log_end(struct request *r)
{
    uint64_t now = event_clock_us();
    bool answered = r->relay.committed && r->ticket.candidate;
    uint64_t upstream = r->failed_us + (answered ? (r->done_us > r->sent_us ? r->done_us : now) - r->sent_us : 0);
    struct account_record record = {
        .id = r->id,
        .method = r->head->method,
        .path = r->head->path,
        .model_asked = r->route.asked,
        .model_answered = answered ? r->route.resolved : (struct str){0},
        .endpoint = answered ? r->ticket.candidate->target->conf->name : NULL,
        .attempts = r->attempts,
        .status = r->status ? r->status : r->response && r->relay.committed ? r->response->status : 0,
        .bytes = r->relay.bytes,
        .events = r->relay.events,
        .upstream_us = upstream,
        .total_us = now - r->began_us,
        .overhead_us = now - r->began_us > upstream ? now - r->began_us - upstream : 0,
        .end = r->outcome,
    };
    memcpy(record.tries, r->tries, sizeof record.tries);
    account_log(&record);
}

/* Everything that is held is given back here and nowhere else. */
static void settle(struct request *r)
{
    if (r->transfer)
        upstream_cancel(r->transfer);
    r->transfer = NULL;
    if (log_access_enabled())
        log_end(r);
    admit_release(r->service->region, &r->ticket);
    event_timer_off(&r->timer);
    r->active = false;
    arena_reset(&r->arena);
    buf_shrink(&r->text, SOCK_HIGH_WATER);
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
    if (r->ticket.candidate && !r->ticket.settled)
        note_try(r, (struct verdict){CLASS_ABORT, GWS_NO_WAIT, 0});
    settle(r);
}

void request_client_drained(struct request *r)
{
    if (!r->active || !r->paused)
        return;
    r->paused = false;
    r->idle_at = event_now_ms(r->service->loop) + r->ticket.candidate->timeouts.idle;
    upstream_resume(r->transfer);
}
