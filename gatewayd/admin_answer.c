/*
 * Answers are made whole before anything is sent, so what a client gets is never half of one moment and half of
 * another. They are JSON with the names of gatewayctl's, made by the same code.
 */

#include "gatewayd/admin_answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/history.h"
#include "gatewayd/log.h"
#include "gatewayd/metrics.h"
#include "gatewayd/reply.h"
#include "gatewayd/roster.h"
#include "gatewayd/secret.h"
#include "gatewayd/show.h"
#include "libshm/clock.h"
#include "libshm/event.h"

/* Nothing is kept by anyone on the way, nothing runs but our own files, and no page of anyone holds ours in a frame. */
#define HEADERS                                                                                                        \
    "Cache-Control: no-store\r\n"                                                                                      \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "               \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"                              \
    "Cross-Origin-Resource-Policy: same-origin\r\n"                                                                    \
    "Referrer-Policy: no-referrer\r\n"                                                                                 \
    "X-Content-Type-Options: nosniff\r\n"                                                                              \
    "X-Frame-Options: DENY\r\n"

void admin_answer_fini(struct admin_answer *answer)
{
    buf_fini(&answer->body);
}

void admin_answer_error(struct admin_answer *answer, int status, const char *code, const char *message)
{
    answer->status = status;
    answer->code = code;
    answer->message = message;
}

void admin_answer_refuse(enum admin_verdict verdict, struct admin_answer *answer)
{
    switch (verdict) {
    case ADMIN_NO_TOKEN:
        admin_answer_error(answer, 401, "invalid_api_key", "This needs the header Authorization: Bearer TOKEN");
        break;
    case ADMIN_WRONG_TOKEN:
        admin_answer_error(answer, 401, "invalid_api_key", "The token is wrong");
        break;
    case ADMIN_FOREIGN_HOST:
        admin_answer_error(answer, 403, "foreign_host",
                           "Without a token this is served only under an address, localhost or this machine's name");
        break;
    default:
        admin_answer_error(answer, 403, "foreign_origin", "Other sites may not use the admin server");
        break;
    }
}

static void out_of_memory(struct admin_answer *answer)
{
    admin_answer_error(answer, 503, "at_capacity", "Out of memory");
}

static int dump_to(const char *bytes, size_t len, void *out)
{
    return buf_add(out, bytes, len) == 0 ? 0 : -1;
}

static int add_json(struct buf *out, json_t *json)
{
    int rc = json_dump_callback(json, dump_to, out, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(json);
    return rc == 0 ? 0 : -ENOMEM;
}

static void answer_json(struct admin_answer *answer, json_t *json)
{
    if (add_json(&answer->body, json) != 0 || buf_add_str(&answer->body, STR("\n")) != 0)
        out_of_memory(answer);
}

int admin_answer_status(const struct admin_facts *facts, struct buf *out)
{
    struct overview overview;
    overview_read(&overview, facts->region, facts->state, gws_clock_ms(facts->region));
    int rc = add_json(out, overview_json(&overview));
    overview_fini(&overview);
    return rc;
}

static void answer_status(const struct admin_facts *facts, struct admin_answer *answer)
{
    if (admin_answer_status(facts, &answer->body) != 0 || buf_add_str(&answer->body, STR("\n")) != 0)
        out_of_memory(answer);
}

static void answer_events(const struct admin_facts *facts, uint64_t most, struct admin_answer *answer)
{
    struct history_view view = history_view(facts->region);
    size_t count;
    struct gws_event *events = history_read(facts->region, NULL, most, NULL, NULL, &count);
    json_t *list = show_must(json_array());
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, history_json(&view, &events[i]));
    free(events);
    answer_json(answer, show_must(json_pack("{s:o}", "events", list)));
}

static void answer_history(const struct admin_facts *facts, uint64_t since_ms, struct admin_answer *answer)
{
    if (admin_samples_json(facts->samples, since_ms, &answer->body) != 0)
        out_of_memory(answer);
}

static void answer_metrics(const struct admin_facts *facts, struct admin_answer *answer)
{
    answer->type = "text/plain; version=0.0.4; charset=utf-8";
    if (metrics_write(facts->region, facts->state, &answer->body) != 0)
        out_of_memory(answer);
}

static const char *verb_of(enum change_kind kind)
{
    static const char *const verbs[] = {
        [CHANGE_BREAKER_RESET] = "breaker reset", [CHANGE_BREAKER_OPEN] = "breaker open",
        [CHANGE_BREAKER_CLOSE] = "breaker close", [CHANGE_BREAKER_AUTO] = "breaker auto",
        [CHANGE_COOLDOWN_CLEAR] = "cooldown clear", [CHANGE_DRAIN] = "drain", [CHANGE_ENABLE] = "enable"};
    return verbs[kind];
}

static void log_change(const struct admin_route *route, const struct admin_facts *facts)
{
    char name[sizeof route->name];
    memcpy(name, route->name, sizeof name);
    show_clean(name);
    if (facts->who == GWS_BY_ADMIN)
        log_info("%s %s, by the admin token", verb_of(route->change), name);
    else
        log_info("%s %s, by uid %u", verb_of(route->change), name, facts->who);
}

static void apply(const struct admin_route *route, const struct admin_facts *facts, const struct names *names,
                  struct admin_answer *answer)
{
    const struct change change = {route->change, route->hold_ms, facts->who};
    uint64_t now = gws_clock_ms(facts->region);
    json_t *changed = show_must(json_array());
    for (size_t i = 0; i < names->count; i++) {
        struct change_done done;
        if (change_one(facts->region, &names->rows[i], &change, now, &done))
            json_array_append_new(changed, change_json(route->change, &done));
    }
    log_change(route, facts);
    answer_json(answer, show_must(json_pack("{s:o}", "changed", changed)));
}

static void answer_change(const struct admin_route *route, const struct admin_facts *facts,
                          struct admin_answer *answer)
{
    bool whole = route->change == CHANGE_DRAIN || route->change == CHANGE_ENABLE;
    struct names names;
    names_load(&names, facts->region);
    if (names_select(&names, route->name, change_kinds(route->change), answer->words, sizeof answer->words) != 0) {
        show_clean(answer->words);
        admin_answer_error(answer, 404, "endpoint_not_found", answer->words);
    } else if (whole && names.rows[0].info.kind != GWS_KIND_ENDPOINT) {
        admin_answer_error(answer, 400, "bad_request",
                           "drain and enable take a whole endpoint; for one model use its breaker");
    } else {
        if (whole)
            names.count = 1; /* the order is the endpoint's; its models have none */
        apply(route, facts, &names, answer);
    }
    names_fini(&names);
}

static void answer_not_allowed(const struct admin_route *route, struct admin_answer *answer)
{
    answer->allow = route->allow;
    snprintf(answer->words, sizeof answer->words, "This path takes %s", route->allow);
    admin_answer_error(answer, 405, "method_not_allowed", answer->words);
}

void admin_answer(const struct admin_route *route, const struct admin_facts *facts, struct admin_answer *answer)
{
    answer->status = 200;
    answer->type = "application/json";
    switch (route->what) {
    case ADMIN_PAGE:
        answer->type = route->page->type;
        answer->page = route->page->text;
        break;
    case ADMIN_METRICS:
        answer_metrics(facts, answer);
        break;
    case ADMIN_STATUS:
        answer_status(facts, answer);
        break;
    case ADMIN_EVENTS:
        answer_events(facts, route->count, answer);
        break;
    case ADMIN_WORKERS:
        answer_json(answer, roster_json(facts->region, gws_clock_ms(facts->region)));
        break;
    case ADMIN_HISTORY:
        answer_history(facts, route->since_ms, answer);
        break;
    case ADMIN_CHANGE:
        answer_change(route, facts, answer);
        break;
    case ADMIN_NOT_ALLOWED:
        answer_not_allowed(route, answer);
        break;
    case ADMIN_BAD:
        admin_answer_error(answer, 400, "bad_request", route->why);
        break;
    default:
        admin_answer_error(answer, 404, "unknown_url", "There is no such path; / is the dashboard");
        break;
    }
}

static const char *type_of(int status)
{
    return status == 401 ? "authentication_error" : status == 403 ? "permission_error"
         : status >= 500 ? "server_error" : "invalid_request_error";
}

static int write_error(const struct admin_answer *answer, bool keep_alive, int minor, bool head_only, struct buf *out)
{
    char id[SECRET_ID_SIZE], extra[sizeof HEADERS + 64];
    secret_request_id(id);
    const struct reply_error error = {.status = answer->status, .type = type_of(answer->status), .code = answer->code,
                                      .message = answer->message, .request_id = str_of(id),
                                      .retry_after_ms = answer->status == 503 ? 1000 : -1};
    const char *challenge = answer->status == 401 ? "WWW-Authenticate: Bearer realm=\"gatewayd\"\r\n" : "";
    snprintf(extra, sizeof extra, "%s%s%s%s%s", HEADERS, challenge, answer->allow ? "Allow: " : "",
             answer->allow ? answer->allow : "", answer->allow ? "\r\n" : "");
    return reply_error_whole(out, &error, str_of(extra), keep_alive, minor, head_only);
}

int admin_answer_write(const struct admin_answer *answer, bool keep_alive, int minor, bool head_only, struct buf *out)
{
    if (answer->code)
        return write_error(answer, keep_alive, minor, head_only, out);
    struct str body = answer->page.at ? answer->page : buf_str(&answer->body);
    int rc = reply_begin(out, answer->status, STR(""));
    if (rc == 0)
        rc = buf_addf(out, "Content-Type: %s\r\n" HEADERS, answer->type);
    if (rc == 0)
        rc = reply_end_head(out, body.len, keep_alive, minor);
    return rc || head_only ? rc : buf_add_str(out, body);
}

int admin_answer_stream_head(struct buf *out)
{
    int rc = reply_begin(out, 200, STR(""));
    if (rc == 0)
        rc = buf_add_str(out, STR("Content-Type: text/event-stream\r\n" HEADERS));
    return rc ? rc : reply_end_head(out, REPLY_NO_BODY, false, 1);
}
