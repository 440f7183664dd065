#include "gatewayd/request_say.h"

#include "gatewayd/headers.h"
#include "gatewayd/reply.h"
#include "gatewayd/survey.h"

/*
 * What a request says to its client in the gateway's own words: the head of an answer, or an error in place of one.
 * Apart from the story, because the story is about what happens and this about how it is put.
 */

static void set_failure(struct request *r, int status, const char *type, const char *code, const char *message)
{
    r->failure = (struct request_failure){status, type, code, message, -1};
}

/* What the last upstream said; nothing when it repeats the credential, as some providers do when they refuse one. */
static struct str quote_of(struct request *r)
{
    if (r->relay.mode != RELAY_ERROR || r->verdict.class == CLASS_AUTH)
        return STR("");
    struct json_value message = json_path(buf_str(&r->relay.held), "error.message");
    if (message.type != JSON_STRING)
        return STR("");
    const struct secret *key = r->route.model->candidates[r->index].target->key;
    struct str text = key ? secret_text(key) : STR("");
    if (text.len > 0 && memmem(message.text.at, message.text.len, text.at, text.len))
        return STR("");
    char *plain = arena_alloc(&r->arena, message.text.len + 1);
    size_t len = plain ? json_unescape(message.text, plain) : 0;
    return plain ? (struct str){plain, len < 300 ? len : 300} : STR("");
}

/* Nobody untried can take it: say why, and when somebody could. */
bool request_say_exhausted(struct request *r)
{
    const struct conf *conf = r->service->plan->conf;
    struct survey s;
    buf_clear(&r->endpoints);
    if (survey_make(r->service->region, r->route.model, &r->pick, r->last, &s, &r->endpoints) != 0)
        return false;
    if (r->verdict.class == CLASS_LOCAL) {
        set_failure(r, 503, "server_error", "at_capacity", "The gateway itself has no connection left to try it with");
        r->failure.retry_after_ms = 1000;
        return true;
    }
    bool rate = r->verdict.class == CLASS_RATE || r->verdict.class == CLASS_QUOTA;
    if (s.tried > 0 && !rate) {
        struct str quote = quote_of(r);
        char *text = r->verdict.status
                         ? arena_printf(&r->arena, "All endpoints failed. The last answered %d%s%.*s",
                                        r->verdict.status, quote.len ? ": " : "", (int)quote.len, quote.at)
                         : arena_printf(&r->arena, "All endpoints failed. The last one: %s",
                                        conf->expose ? r->why : classify_name(r->verdict.class));
        if (text)
            set_failure(r, 502, "server_error", "all_endpoints_failed", text);
        return text != NULL;
    }
    int64_t wait = s.soonest_ms >= 0 ? s.soonest_ms : 1000;
    if (s.limited > 0 && s.full == 0 && (s.open == 0 || s.limit_is_soonest))
        set_failure(r, 429, "rate_limit_error", "rate_limit_exceeded", "Every endpoint is rate limited");
    else if (s.full > 0)
        set_failure(r, 503, "server_error", "at_capacity",
                    "Every endpoint that could serve this is at its limit of requests");
    else if (s.open > 0)
        set_failure(r, 503, "server_error", "circuit_open", "Every endpoint's circuit breaker is open");
    else if (rate)
        set_failure(r, 429, "rate_limit_error", "rate_limit_exceeded", "Every endpoint is rate limited");
    else if (s.other > 0)
        set_failure(r, 503, "server_error", "circuit_open", "Every endpoint is out of service");
    else
        set_failure(r, 503, "server_error", "at_capacity", "No endpoint could be taken just now");
    r->failure.retry_after_ms = wait;
    return true;
}

static int add_gateway_headers(struct request *r, struct buf *out)
{
    const struct plan_candidate *c = r->ticket.candidate;
    uint64_t upstream = r->failed_us + (r->first_us ? r->first_us : event_clock_us()) - r->sent_us;
    uint64_t total = event_clock_us() - r->began_us;
    int rc = 0;
    if (r->service->plan->conf->expose) {
        rc = buf_add_str(out, STR("X-Gateway-Endpoint: "));
        if (rc == 0)
            rc = buf_add_str(out, str_of(c->target->conf->name));
        if (rc == 0)
            rc = buf_add_str(out, STR("\r\n"));
    }
    if (rc == 0 && r->route.resolved.len > 0) {
        rc = buf_add_str(out, STR("X-Gateway-Model: "));
        for (size_t i = 0; rc == 0 && i < r->route.resolved.len; i++) {
            char byte = r->route.resolved.at[i]; /* the client's own words: no line breaks into our head */
            rc = buf_add(out, byte >= 0x20 && byte < 0x7f ? &byte : "?", 1);
        }
        if (rc == 0)
            rc = buf_add_str(out, STR("\r\n"));
    }
    char attempts[2] = {(char)('0' + r->attempts / 10 % 10), (char)('0' + r->attempts % 10)};
    if (rc == 0)
        rc = buf_add_str(out, STR("X-Gateway-Attempts: "));
    if (rc == 0)
        rc = buf_add(out, attempts + (r->attempts < 10), r->attempts < 10 ? 1 : 2);
    if (rc == 0)
        rc = buf_add_str(out, STR("\r\nX-Gateway-Cache: off\r\nServer-Timing: gateway;dur="));
    if (rc == 0)
        rc = reply_add_ms(out, total > upstream ? total - upstream : 0);
    if (rc == 0)
        rc = buf_add_str(out, STR(", wait;dur=0, upstream;dur="));
    if (rc == 0)
        rc = reply_add_ms(out, upstream);
    return rc ? rc : buf_add_str(out, STR("\r\n"));
}

int request_say_head(struct relay *relay, struct buf *out, size_t length)
{
    struct request *r = (struct request *)(void *)((char *)relay - offsetof(struct request, relay));
    int rc = reply_begin(out, r->response->status, r->id);
    if (rc == 0)
        rc = headers_down(r->response->headers, r->response->header_count, out);
    if (rc == 0)
        rc = add_gateway_headers(r, out);
    bool bodiless = r->response->status == 204 || r->response->status == 304;
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
