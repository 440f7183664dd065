#include "gatewayd/attempt.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "gatewayd/answer.h"
#include "gatewayd/headers.h"
#include "gatewayd/log.h"
#include "gatewayd/quote.h"
#include "gatewayd/wait.h"
#include "libshm/clock.h"
#include "libshm/estimate.h"
#include "libshm/evidence.h"
#include "libshm/latency.h"
#include "libshm/stat.h"

/*
 * An attempt begins with everything taken that it needs, and settles what it took by the first thing that decides it:
 * the first content of a stream, the end of anything else. From then on a stream can only still be cut.
 */

enum { ERROR_SPREAD_MAX = 8192, PENALTY_US = 1000 * 1000 };
enum { SOFT_RECHECK_MS = 250, CLIENT_STALL_MS = 75000, SHARED_STALL_MS = 2000, FINISHED_MS = 5000, ENDED_MS = 100 };

static uint64_t now_ms(const struct attempt *a)
{
    return event_now_ms(a->service->loop);
}

/* Sending. */

/* The body with the model's upstream name in place of the one asked for; every other byte as it came. */
static int rename_model(struct attempt *a, struct str *body)
{
    const struct attempt_task *task = &a->task;
    struct json_value value = task->route->model_value;
    struct str was = value.text;
    *body = task->body;
    if (value.type != JSON_STRING || str_eq(task->route->asked, a->model))
        return 0;
    size_t before = (size_t)(was.at - task->body.at);
    buf_clear(&a->body);
    int rc = buf_add(&a->body, task->body.at, before);
    if (rc == 0)
        rc = buf_add_json(&a->body, a->model);
    if (rc == 0)
        rc = buf_add(&a->body, was.at + was.len, task->body.len - before - was.len);
    *body = buf_str(&a->body);
    return rc;
}

static int make_lines(struct attempt *a, struct arena *arena)
{
    const struct conf_endpoint *conf = a->ticket.candidate->target->conf;
    const struct http_request *head = a->task.head;
    bool passthrough = conf->key.source == CONF_KEY_PASSTHROUGH;
    a->line_count = headers_up(head, conf->headers, conf->header_count, passthrough, a->lines, HTTP_HEADERS_MAX);
    char *id = arena_printf(arena, "X-Request-Id: %.*s", (int)a->task.id.len, a->task.id.at);
    if (!id)
        return -ENOMEM;
    a->lines[a->line_count++] = id;
    if (http_header_find(head->headers, head->header_count, STR("content-type")).len == 0 && a->task.body.len > 0)
        a->lines[a->line_count++] = (char *)"Content-Type: application/json";
    return 0;
}

static void arm(struct attempt *a)
{
    uint64_t at = a->idle_at;
    if (!a->intake.content) {
        at = a->response_at;
        at = a->soft_at < at ? a->soft_at : at;
    }
    if (at == UINT64_MAX)
        event_timer_off(&a->timer);
    else
        event_timer_at(&a->timer, at);
}

static void set_limits(struct attempt *a)
{
    const struct conf_timeouts *t = &a->ticket.candidate->timeouts;
    uint64_t now = now_ms(a);
    a->soft_at = a->task.route->stream ? now + t->first_token : UINT64_MAX;
    a->response_at = now + t->response;
    a->idle_at = UINT64_MAX;
    a->paused = false;
    arm(a);
}

static const struct upstream_events upstream_events;

static int send(struct attempt *a)
{
    const struct plan_candidate *c = a->ticket.candidate;
    struct upstream_request up = {
        .target = c->target,
        .events = &upstream_events,
        .owner = a,
        .method = a->task.head->method,
        .path = a->task.route->upstream_path,
        .header_lines = a->lines,
        .header_count = a->line_count,
        .fresh = a->fresh,
        .connect_ms = c->timeouts.connect,
    };
    intake_reset(&a->intake, a->task.route->choices);
    a->intake.replays = a->task.replays;
    a->response = NULL;
    a->over = a->silent = a->client_stalled = false;
    a->why[0] = '\0';
    a->first_us = a->done_us = 0;
    a->sent_us = event_clock_us();
    int rc = rename_model(a, &up.body);
    if (rc == 0)
        rc = upstream_start(a->service->upstream, &up, &a->transfer);
    if (rc == 0)
        set_limits(a);
    return rc;
}

int attempt_start(struct attempt *a, const struct attempt_task *task, struct str model, struct arena *arena)
{
    a->active = true;
    a->fresh = false;
    a->task = *task;
    a->model = model;
    a->verdict = (struct verdict){CLASS_ABORT, GWS_NO_WAIT, 0};
    int rc = make_lines(a, arena);
    return rc ? rc : send(a);
}

/* Judging. */

/* Whether an end without a sign of it is no end: of the APIs whose streams are known to carry one. */
static bool must_finish(const struct attempt *a)
{
    struct str path = a->task.route->upstream_path;
    return splice_api_of(path) != SPLICE_NONE || memmem(path.at, path.len, "GenerateContent", 15) != NULL;
}

/* Where the key is the client's own, a refusal of it is the client's to hear. */
static struct verdict of_whose_key(const struct attempt *a, struct verdict said)
{
    if (said.class == CLASS_AUTH && a->ticket.candidate->target->conf->key.source == CONF_KEY_PASSTHROUGH)
        said.class = CLASS_CLIENT;
    return said;
}

/* An upstream's words for what is wrong, in the place of an answer or as an event of a stream: what it says decides. */
static struct verdict judge_error(const struct attempt *a, struct str json)
{
    const struct upstream_response *r = a->response;
    return of_whose_key(a, classify_error_body(r->status, r->headers, r->header_count, json, time(NULL)));
}

static struct verdict judge_stream(const struct attempt *a)
{
    const struct intake *in = &a->intake;
    struct verdict ok = {CLASS_OK, GWS_NO_WAIT, a->response->status};
    if (in->failed && !in->content) {
        char room[ERROR_SPREAD_MAX];
        struct str data = sse_whole_data(buf_str(&in->held), room, sizeof room);
        struct verdict said = judge_error(a, data.at ? data : (struct str){"", 0});
        return said.class != CLASS_OK ? said : (struct verdict){CLASS_INVALID, GWS_NO_WAIT, ok.status};
    }
    if (in->differs || (in->content && !in->failed && (in->finished || in->terminal)))
        return ok;
    if (in->content && a->end == UPSTREAM_COMPLETE && !in->failed && !must_finish(a))
        return ok;
    if (in->content)
        return (struct verdict){CLASS_CUT, GWS_NO_WAIT, ok.status};
    if (a->end != UPSTREAM_COMPLETE && a->end != UPSTREAM_ABORTED)
        return classify_end(a->end);
    return (struct verdict){CLASS_INVALID, GWS_NO_WAIT, ok.status};
}

static struct verdict judge_body(const struct attempt *a)
{
    const struct upstream_response *r = a->response;
    struct str body = buf_str(&a->intake.held);
    enum route_kind kind = a->task.route->kind;
    if (a->intake.mode == INTAKE_ERROR) {
        /* What only one endpoint can be asked has answers of its own kind: 304, a redirect that is not followed. */
        if (kind == ROUTE_ONCE && r->status < 400)
            return (struct verdict){CLASS_CLIENT, GWS_NO_WAIT, r->status};
        return of_whose_key(a, classify_response(r->status, r->headers, r->header_count, body, time(NULL)));
    }
    if (a->intake.mode == INTAKE_WHOLE && kind == ROUTE_MODEL) {
        struct verdict said = judge_error(a, body);
        if (said.class != CLASS_OK)
            return said;
        if (a->task.replays || answer_missing(a->task.route->upstream_path, body, a->task.min_chars))
            return (struct verdict){CLASS_INVALID, GWS_NO_WAIT, r->status};
    }
    return (struct verdict){CLASS_OK, GWS_NO_WAIT, r->status};
}

/* A success may announce that it was the last for now. */
static struct verdict with_depletion(const struct attempt *a, struct verdict verdict)
{
    if (verdict.class == CLASS_OK && a->response)
        verdict.wait_ms = wait_depleted(a->response->headers, a->response->header_count, time(NULL));
    return verdict;
}

static struct verdict judge(const struct attempt *a)
{
    bool stream = a->response && a->intake.mode == INTAKE_EVENTS;
    if (a->silent && !a->intake.content)
        return (struct verdict){CLASS_SILENCE, GWS_NO_WAIT, 0};
    if (a->client_stalled || a->intake.slow || (a->intake.relay && a->intake.relay->client->failed))
        return (struct verdict){CLASS_ABORT, GWS_NO_WAIT, 0};
    if (stream)
        return judge_stream(a);
    if (a->end == UPSTREAM_ABORTED)
        return (struct verdict){a->intake.relay ? CLASS_CUT : CLASS_INVALID, GWS_NO_WAIT,
                                a->response ? a->response->status : 0};
    if (a->end != UPSTREAM_COMPLETE)
        return classify_end(a->end);
    return with_depletion(a, judge_body(a));
}

/* What it cost, and what that teaches about the estimate. */
static void note_cost(struct attempt *a)
{
    struct usage *usage = &a->intake.usage;
    bool wanted = a->task.thumb > 0 || log_access_enabled();
    if (wanted && a->intake.mode == INTAKE_WHOLE && a->verdict.class == CLASS_OK)
        usage_read(buf_str(&a->intake.held), usage);
    if (!usage->known)
        return;
    admit_cost(&a->ticket, usage->input + usage->output);
    if (a->task.thumb > 0)
        gws_estimate_learn(a->service->region, a->task.estimate_row, a->task.thumb, usage->input);
}

size_t attempt_quote(const struct attempt *a, char *out, size_t size)
{
    const struct secret *key = a->ticket.candidate->target->key;
    if (a->intake.mode != INTAKE_ERROR || a->verdict.class == CLASS_AUTH)
        return 0;
    return quote_error(buf_str(&a->intake.held), key ? secret_text(key) : STR(""), out, size);
}

/* What the failure looked like. Where the credential is the client's own, nobody else gets to see what an upstream made
 * of it. */
static void witness(const struct attempt *a, bool loss)
{
    bool private = a->ticket.candidate->target->conf->key.source == CONF_KEY_PASSTHROUGH;
    char quote[GWS_EVIDENCE_TEXT];
    if (!classify_fails_over(a->verdict.class))
        return;
    struct str words = {quote, private ? 0 : attempt_quote(a, quote, sizeof quote)};
    admit_witness(a->service->region, &a->ticket, a->verdict, loss, words.len > 0 ? words : str_of(a->why));
}

/* How long whole answers take, from their sending to their last byte. */
static void note_total(const struct attempt *a)
{
    if (a->verdict.class == CLASS_OK && !a->intake.differs)
        gws_latency_count(a->service->region, a->ticket.candidate->target->endpoint, GWS_LATENCY_TOTAL,
                          a->done_us - a->sent_us);
}

/* Of a failure: a candidate that fails quickly must not look quick. */
static void note_failure(const struct attempt *a)
{
    struct gws_region *region = a->service->region;
    enum outcome_class class = a->verdict.class;
    uint64_t us = event_clock_us() - a->sent_us;
    if (!classify_fails_over(class) || class == CLASS_RATE || class == CLASS_STALE || class == CLASS_LOCAL)
        return;
    gws_latency_feed(region, a->ticket.candidate->pair_row, us > PENALTY_US ? us : PENALTY_US, PLAN_LATENCY_DECAY_MS,
                     gws_clock_ms(region));
}

/* It is over: the shared words are told, then the owner. */
static void end(struct attempt *a)
{
    a->over = true;
    a->verdict = judge(a);
    event_timer_off(&a->timer);
    bool loss = a->transfer && (a->end == UPSTREAM_RESET || a->end == UPSTREAM_CUT) && upstream_loss_known(a->transfer);
    note_cost(a);
    note_total(a);
    note_failure(a);
    witness(a, loss);
    admit_settle(a->service->region, &a->ticket, a->verdict, loss);
    a->transfer = NULL;
    a->ended(a);
}

/* The running transfer is given up, for what `why` says. */
static void give_up(struct attempt *a, const char *why)
{
    upstream_cancel(a->transfer);
    a->transfer = NULL;
    a->end = UPSTREAM_ABORTED;
    a->done_us = event_clock_us();
    snprintf(a->why, sizeof a->why, "%s", why);
}

/* What the transport reports. */

static enum upstream_flow on_head(void *owner, const struct upstream_response *response)
{
    struct attempt *a = owner;
    a->response = response;
    a->first_us = event_clock_us();
    intake_begin(&a->intake, response);
    a->intake.pausable = !upstream_is_shared(a->transfer);
    a->intake.closing = sse_closing(a->task.route->upstream_path);
    /* A stream that nobody asked for is no answer that its client could read. */
    bool unasked = a->intake.mode == INTAKE_EVENTS && !a->task.route->stream &&
                   splice_api_of(a->task.route->upstream_path) != SPLICE_NONE;
    return unasked ? UPSTREAM_ABORT : UPSTREAM_TAKEN;
}

/* How long a reader may stand still; less when others wait behind it on the same connection. */
static uint64_t stall_ms(const struct attempt *a)
{
    return a->intake.pausable ? CLIENT_STALL_MS : SHARED_STALL_MS;
}

/* How long nothing may come: after the last finish reason there is little left to say, after the announced end only the
 * connection's own end is awaited. */
static uint64_t idle_ms(const struct attempt *a)
{
    uint64_t idle = a->ticket.candidate->timeouts.idle;
    uint64_t most = a->intake.terminal ? ENDED_MS : a->intake.finished ? FINISHED_MS : idle;
    return most < idle ? most : idle;
}

static enum upstream_flow on_body(void *owner, const char *bytes, size_t len)
{
    struct attempt *a = owner;
    enum upstream_flow flow = intake_body(&a->intake, bytes, len);
    if (!a->intake.content)
        return flow;
    uint64_t now = now_ms(a);
    if (flow == UPSTREAM_PAUSE) {
        a->paused = true;
        a->sent_when_paused = a->intake.relay->client->sent;
        a->idle_at = now + stall_ms(a);
    } else {
        a->idle_at = now + idle_ms(a);
    }
    arm(a);
    return flow;
}

static void on_done(void *owner, enum upstream_end how, const char *why)
{
    struct attempt *a = owner;
    a->end = how;
    a->done_us = event_clock_us();
    if (how != UPSTREAM_COMPLETE)
        snprintf(a->why, sizeof a->why, "%s", why);
    if (how == UPSTREAM_STALE && !a->fresh) {
        gws_stat_count(a->service->region, a->ticket.candidate->target->endpoint, GWS_STAT_RESENT);
        a->fresh = true;
        if (send(a) == 0)
            return;
        a->end = UPSTREAM_LOCAL;
    }
    if (a->end == UPSTREAM_COMPLETE && intake_end(&a->intake) != 0)
        a->end = UPSTREAM_LOCAL;
    end(a);
}

static const struct upstream_events upstream_events = {on_head, on_body, on_done};

/* Of the try that has it: the time to its first content. Total time would measure the length of the answer. */
static void note_latency(const struct attempt *a)
{
    struct gws_region *region = a->service->region;
    const struct plan_candidate *c = a->ticket.candidate;
    uint64_t us = event_clock_us() - a->sent_us;
    gws_latency_feed(region, c->pair_row, us, PLAN_LATENCY_DECAY_MS, gws_clock_ms(region));
    gws_latency_count(region, c->target->endpoint, GWS_LATENCY_FIRST, us);
}

static void on_answering(struct intake *intake)
{
    struct attempt *a = (struct attempt *)(void *)((char *)intake - offsetof(struct attempt, intake));
    if (!a->ticket.answering) {
        struct verdict ok = {CLASS_OK, GWS_NO_WAIT, a->response->status};
        admit_answering(a->service->region, &a->ticket, with_depletion(a, ok));
        note_latency(a);
    }
    a->answering(a);
}

int attempt_release(struct attempt *a, struct relay *relay)
{
    return intake_release(&a->intake, relay, a->over);
}

/* Time. */

static void idle_too_long(struct attempt *a, uint64_t now)
{
    struct sock *client = a->intake.relay ? a->intake.relay->client : NULL;
    if (a->paused && client->sent > a->sent_when_paused) { /* slow, but reading */
        a->sent_when_paused = client->sent;
        a->idle_at = now + stall_ms(a);
        arm(a);
        return;
    }
    a->client_stalled = a->paused;
    a->silent = !a->paused;
    give_up(a, "the answer stalled");
    end(a);
}

static void on_time(struct event_timer *timer)
{
    struct attempt *a = (struct attempt *)(void *)((char *)timer - offsetof(struct attempt, timer));
    uint64_t now = now_ms(a);
    if (!a->transfer)
        return;
    if (a->intake.content) {
        if (now >= a->idle_at)
            idle_too_long(a, now);
        else
            arm(a);
    } else if (now >= a->response_at || (now >= a->soft_at && a->elsewhere(a))) {
        a->silent = true;
        give_up(a, "no answer within the time allowed");
        end(a);
    } else {
        if (now >= a->soft_at)
            a->soft_at = now + SOFT_RECHECK_MS;
        arm(a);
    }
}

/* Life. */

void attempt_init(struct attempt *a)
{
    a->intake.answering = on_answering;
    event_timer_init(&a->timer, a->service->loop, on_time);
}

void attempt_fini(struct attempt *a)
{
    event_timer_stop(&a->timer);
    intake_fini(&a->intake);
    buf_fini(&a->body);
}

void attempt_drained(struct attempt *a)
{
    if (!a->paused || !a->transfer)
        return;
    a->paused = false;
    a->idle_at = now_ms(a) + a->ticket.candidate->timeouts.idle;
    upstream_resume(a->transfer);
}

void attempt_close(struct attempt *a)
{
    if (!a->active)
        return;
    if (a->transfer)
        upstream_cancel(a->transfer);
    a->transfer = NULL;
    a->response = NULL;
    event_timer_off(&a->timer);
    admit_release(a->service->region, &a->ticket);
    a->active = false;
    intake_reset(&a->intake, 1);
    buf_clear(&a->body);
    buf_shrink(&a->body, SOCK_HIGH_WATER);
}
