#include "gatewayd/request_steps.h"

#include "gatewayd/headers.h"
#include "gatewayd/reply.h"
#include "gatewayd/survey.h"

/*
 * What a request says to its client in the gateway's own words: the head of an answer, or an error in place of one.
 * Apart from the story, because the story is about what happens and this about how it is put.
 */

enum { QUOTE_MAX = 300 };

/* What the last upstream said, or what became of the connection. */
void request_keep_words(struct request *r, const struct attempt *a)
{
    char *room = arena_alloc(&r->arena, QUOTE_MAX);
    memcpy(r->why, a->why, sizeof r->why);
    r->quote = (struct str){room, room ? attempt_quote(a, room, QUOTE_MAX) : 0};
}

static enum step_result all_failed(struct request *r)
{
    char *text = r->verdict.status
                     ? arena_printf(&r->arena, "All endpoints failed. The last answered %d%s%.*s", r->verdict.status,
                                    r->quote.len ? ": " : "", (int)r->quote.len, r->quote.at)
                     : arena_printf(&r->arena, "All endpoints failed. The last one: %s",
                                    r->service->plan->conf->expose ? r->why : classify_name(r->verdict.class));
    return text ? request_fail(r, 502, "server_error", "all_endpoints_failed", text) : request_fail_here(r);
}

static bool is_rate(const struct request *r)
{
    enum outcome_class class = r->verdict.class;
    return class == CLASS_RATE || class == CLASS_QUOTA || class == CLASS_QUOTA_HERE;
}

static enum step_result none_available(struct request *r, const struct survey *s)
{
    struct survey_error error = survey_error(s, is_rate(r));
    request_fail(r, error.status, error.type, error.code, error.message);
    r->failure.retry_after_ms = s->soonest_ms >= 0 ? s->soonest_ms : 1000;
    return FAIL;
}

/* The state of every endpoint that could have answered, of the model asked for and of its fallbacks. */
static int take_survey(struct request *r, struct survey *s)
{
    const struct course *course = &r->course;
    buf_clear(&r->endpoints);
    int rc = survey_begin(s, &r->endpoints);
    for (const struct stage *stage = course->stages; rc == 0 && stage <= course->now; stage++)
        rc = survey_add(s, &r->endpoints, r->service->region, stage->model, &stage->pick, stage->last,
                        stage != course->stages);
    return rc ? rc : survey_end(&r->endpoints);
}

enum step_result request_say_exhausted(struct request *r)
{
    struct survey s;
    if (take_survey(r, &s) != 0)
        return request_fail_here(r);
    if (r->verdict.class == CLASS_LOCAL) {
        request_fail(r, 503, "server_error", "at_capacity", "The gateway itself has no connection left to try it with");
        r->failure.retry_after_ms = 1000;
        return FAIL;
    }
    if (r->queue_full) {
        request_fail(r, 503, "server_error", "queue_full", "Too many requests wait for an endpoint already");
        r->failure.retry_after_ms = s.soonest_ms >= 0 ? s.soonest_ms : 1000;
        return FAIL;
    }
    return s.tried > 0 && !is_rate(r) ? all_failed(r) : none_available(r, &s);
}

/* The client's own words, when the model is one that the configuration does not know: no line breaks into our head. */
static int add_model(struct buf *out, struct str model)
{
    int rc = buf_add_str(out, STR("X-Gateway-Model: "));
    for (size_t i = 0; rc == 0 && i < model.len; i++) {
        char byte = model.at[i];
        rc = buf_add(out, byte >= 0x20 && byte < 0x7f ? &byte : "?", 1);
    }
    return rc ? rc : buf_add_str(out, STR("\r\n"));
}

/* Nearly always one digit, and this is done for every request. */
static int add_attempts(struct buf *out, unsigned attempts)
{
    char digit = (char)('0' + attempts % 10);
    int rc = buf_add_str(out, STR("X-Gateway-Attempts: "));
    if (rc == 0)
        rc = attempts < 10 ? buf_add(out, &digit, 1) : buf_addf(out, "%u", attempts);
    return rc ? rc : buf_add_str(out, STR("\r\n"));
}

static int add_timing(struct request *r, struct buf *out)
{
    const struct attempt *a = &r->current->attempt;
    uint64_t upstream = r->failed_us + (a->first_us ? a->first_us : event_clock_us()) - a->sent_us;
    uint64_t total = event_clock_us() - r->began_us, elsewhere = upstream + r->waited_us;
    int rc = buf_add_str(out, STR("Server-Timing: gateway;dur="));
    if (rc == 0)
        rc = reply_add_ms(out, total > elsewhere ? total - elsewhere : 0);
    if (rc == 0)
        rc = buf_add_str(out, STR(", wait;dur="));
    if (rc == 0)
        rc = reply_add_ms(out, r->waited_us);
    if (rc == 0)
        rc = buf_add_str(out, STR(", upstream;dur="));
    if (rc == 0)
        rc = reply_add_ms(out, upstream);
    return rc ? rc : buf_add_str(out, STR("\r\n"));
}

static int add_gateway_headers(struct request *r, struct buf *out)
{
    const struct plan_candidate *c = r->current->attempt.ticket.candidate;
    int rc = 0;
    if (r->service->plan->conf->expose) {
        rc = buf_add_str(out, STR("X-Gateway-Endpoint: "));
        if (rc == 0)
            rc = buf_add_str(out, str_of(c->target->conf->name));
        if (rc == 0)
            rc = buf_add_str(out, STR("\r\n"));
    }
    if (rc == 0 && r->route.resolved.len > 0)
        rc = add_model(out, r->course.now->name);
    if (rc == 0 && r->truncated > 0)
        rc = buf_addf(out, "X-Gateway-Truncated: %u\r\n", r->truncated);
    if (rc == 0)
        rc = add_attempts(out, r->attempts);
    if (rc == 0)
        rc = buf_add_str(out, STR("X-Gateway-Cache: off\r\n"));
    return rc ? rc : add_timing(r, out);
}

int request_say_head(struct request *r, struct buf *out, size_t length)
{
    const struct upstream_response *response = r->current->attempt.response;
    int rc = reply_begin(out, response->status, r->id);
    if (rc == 0)
        rc = headers_down(response->headers, response->header_count, out);
    if (rc == 0)
        rc = add_gateway_headers(r, out);
    /* The length of what a HEAD would have got is not known here, and none is better than a wrong one. */
    bool head_only = str_eq(r->head->method, STR("HEAD"));
    bool bodiless = head_only || response->status == 204 || response->status == 304;
    return rc ? rc : reply_end_head(out, bodiless ? REPLY_NO_BODY : length, r->keep_alive, r->head->minor);
}

/* An error of ours instead of an answer. */
void request_say_failure(struct request *r)
{
    const struct request_failure *f = &r->failure;
    struct reply_error error = {f->status, f->type, f->code, f->message, r->id, f->retry_after_ms, {0},
                                r->route.anthropic};
    if (r->service->plan->conf->expose)
        error.endpoints = buf_str(&r->endpoints);
    char *extra = r->attempts ? arena_printf(&r->arena, "X-Gateway-Attempts: %u\r\n", r->attempts) : NULL;
    if (f->status == 405)
        extra = (char *)(r->route.kind == ROUTE_BAD_METHOD ? "Allow: GET, HEAD\r\n" : "");
    r->status = f->status;
    r->outcome = f->code;
    buf_clear(&r->text);
    if (reply_error_whole(&r->text, &error, extra ? str_of(extra) : STR(""), r->keep_alive, r->head->minor,
                          str_eq(r->head->method, STR("HEAD"))) != 0) {
        r->keep_alive = false;
        return;
    }
    struct iovec piece = {buf_at(&r->text), buf_len(&r->text)};
    sock_send(r->client, &piece, 1);
}

void request_say_cut(struct request *r, const char *message)
{
    struct reply_error error = {.status = 502, .type = "server_error", .code = "upstream_cut", .message = message,
                                .request_id = r->id, .retry_after_ms = -1, .anthropic = r->route.anthropic};
    buf_clear(&r->text);
    if (reply_error_event(&r->text, &error) == 0)
        relay_pass(&r->relay, buf_str(&r->text));
}
