/*
 * The story of one request: count it, understand it, let a fault or the limiter have it, else answer it. The functions
 * stand in that order.
 */

#include "tools/llmsim/serve.h"

#include "gatewayd/json.h"
#include "tools/llmsim/control.h"
#include "tools/llmsim/record.h"
#include "tools/llmsim/reply.h"

static void take_fault(struct conn *c, const struct fault *f)
{
    struct exchange *x = &c->x;
    struct journal_entry *e = journal_find(&c->sim->journal, x->n);

    x->kind = f->kind;
    journal_text(x->fault, sizeof(x->fault), str_of(f->text));
    x->effect = f->kind->effect;
    x->token = f->token;
    x->duration_ms = f->duration_ms;
    if (e)
        journal_text(e->fault, sizeof(e->fault), str_of(f->text));
}

/* The method is checked here, while the head is at hand; whoever asked wrongly is told after the body. */
static void read_head(struct exchange *x, const struct http_request *r)
{
    const char *method = api_paths[x->api].method;

    x->minor = r->minor;
    x->wrong_method = method[0] && !str_eq(r->method, str_of(method));
    x->post = str_eq(r->method, STR("POST"));
    x->quiet = str_eq(r->query, STR("log=0"));
    if (x->api == API_CONTROL)
        x->wrong_method = !x->post && !str_eq(r->method, STR("GET"));
    if (x->api == API_MODELS && r->path.len > sizeof("/v1/models/") - 1) {
        size_t skip = sizeof("/v1/models/") - 1, len = r->path.len - skip;
        x->answer.model_len = len < ANSWER_MODEL_MAX ? len : ANSWER_MODEL_MAX;
        memcpy(x->answer.model, r->path.at + skip, x->answer.model_len);
    }
}

void serve_head(struct conn *c, const struct http_request *r, struct str raw)
{
    struct sim *sim = c->sim;
    struct counts *counts = &sim->counts;
    struct exchange *x = &c->x;
    enum api api = api_of(r->path);

    memset(x, 0, offsetof(struct exchange, answer.model));
    x->api = api;
    read_head(x, r);
    c->close = !r->keep_alive;
    if (api == API_CONTROL || c->control)
        return;
    if (sim->down) {
        counts->refused++;
        conn_reset(c, "refused");
        return;
    }
    x->n = ++sim->last_request;
    x->from_us = sim_now_us();
    journal_text(x->id, sizeof(x->id), http_header_find(r->headers, r->header_count, STR("x-request-id")));
    x->in_flight = true;
    counts->requests++;
    counts->by_api[api]++;
    if (++counts->in_flight > counts->peak_in_flight)
        counts->peak_in_flight = counts->in_flight;
    journal_begin(&sim->journal, x->n, sim_epoch_ms(), c->number, raw);
    if (c->served > 0) {
        struct fault_ask ask = {.now_ms = sim_now_ms(), .api = api, .model = STR(""), .early = true};
        const struct fault *f = fault_pick(&sim->faults, &ask, &sim->random);
        if (f) {
            take_fault(c, f);
            conn_close(c, "closed");
        }
    }
}

void serve_over(struct conn *c, const char *end)
{
    struct counts *counts = &c->sim->counts;
    struct journal_entry *e = journal_find(&c->sim->journal, c->x.n);

    if (!c->x.in_flight)
        return;
    c->x.in_flight = false;
    counts->in_flight--;
    if (end && strcmp(end, "aborted") == 0)
        counts->aborted++;
    if (e)
        e->end = end;
    record_request(c, end, sim_now_us());
}

static void refuse(struct conn *c, int status, const char *code, const char *message)
{
    struct answer_error e = {.type = "invalid_request_error",
                             .code = code,
                             .anthropic = status == 404 ? "not_found_error" : "invalid_request_error",
                             .message = str_of(message),
                             .more = STR("")};

    reply_error(c, status, &e, STR(""));
}

void serve_bad(struct conn *c, int status, const char *why)
{
    /* A head that cannot be read leaves the last request's facts in place; only its form of error must not linger. */
    if (!c->x.in_flight)
        c->x = (struct exchange){.api = API_OTHER, .minor = 1};
    c->close = true;
    refuse(c, status, "bad_request", why);
}

static void serve_control(struct conn *c, struct str body)
{
    char why[600] = "";

    if (c->x.wrong_method) {
        refuse(c, 405, "method_not_allowed", "/sim takes GET and POST.");
        return;
    }
    if (c->x.post && !control_change(c->sim, body, why, sizeof(why))) {
        refuse(c, 400, "bad_control", why);
        return;
    }
    if (c->x.post && c->sim->down)
        conn_reset_all(c->sim, c);
    struct buf out = {0};
    control_print(c->sim, !c->x.post && !c->x.quiet, &out);
    record_flush(c->sim);
    reply_json(c, 200, buf_str(&out), STR(""));
    buf_fini(&out);
}

/* How many answers an embeddings or moderations input wants: one, or one for each text or token list. */
static unsigned count_inputs(struct json_value input)
{
    struct str rest = input.text;
    struct json_value item;
    unsigned count = 0;

    if (input.type != JSON_ARRAY)
        return 1;
    while (json_next(&rest, NULL, &item)) {
        if (item.type == JSON_NUMBER)
            return 1;
        count++;
    }
    return count;
}

enum { MODEL, STREAM, OPTIONS, MAX_TOKENS, MAX_COMPLETION, MAX_OUTPUT, DIMENSIONS, NEEDS, MEMBERS };

static void shape_text(struct conn *c, const struct json_value *v)
{
    struct exchange *x = &c->x;
    struct answer *a = &x->answer;
    const struct settings *s = &c->sim->settings;
    bool streamable = x->api != API_EMBEDDINGS && x->api != API_MODERATIONS;
    uint64_t most;

    x->stream = streamable && v[STREAM].type == JSON_TRUE;
    a->tokens = s->tokens;
    if (s->answer_bytes && !x->stream) {
        a->bytes = s->answer_bytes;
        a->tokens = words_covering(&c->sim->words, a->bytes);
    }
    for (int i = MAX_TOKENS; i <= MAX_OUTPUT && !a->bytes; i++) {
        if (json_to_u64(v[i], &most) && most < a->tokens) {
            a->tokens = (unsigned)most;
            a->shortened = true;
        }
    }
    a->usage = v[OPTIONS].type == JSON_OBJECT && json_path(v[OPTIONS].text, "include_usage").type == JSON_TRUE;
    a->inputs = count_inputs(v[NEEDS]);
    a->dimensions = json_to_u64(v[DIMENSIONS], &most) && most >= 1 && most <= 4096 ? (unsigned)most : 8;
    words_need(&c->sim->words, a->tokens);
}

/* Understand the body. False when the caller has been told what is wrong with it. */
static bool read_body(struct conn *c, struct str body)
{
    struct exchange *x = &c->x;
    const char *needs = api_paths[x->api].needs;
    const char *const names[MEMBERS] = {"model", "stream", "stream_options", "max_tokens", "max_completion_tokens",
                                        "max_output_tokens", "dimensions", needs};
    struct json_value v[MEMBERS];
    struct journal_entry *e = journal_find(&c->sim->journal, x->n);
    char message[200];
    const char *why = NULL;

    if (e)
        journal_body(e, body);
    if (json_find(body, names, v, MEMBERS, &why)) {
        snprintf(message, sizeof(message), "We could not parse the JSON body of your request: %s.",
                 why ? why : "not JSON");
        refuse(c, 400, NULL, message);
        return false;
    }
    if (v[MODEL].type != JSON_STRING || v[MODEL].text.len == 0 || v[MODEL].text.len >= ANSWER_MODEL_MAX) {
        refuse(c, 400, NULL, "you must provide a model parameter");
        return false;
    }
    if (v[NEEDS].type == JSON_NONE) {
        snprintf(message, sizeof(message), "Missing required parameter: '%s'.", needs);
        refuse(c, 400, "missing_required_parameter", message);
        return false;
    }
    x->answer.prompt_tokens = (unsigned)(body.len / 4);
    x->answer.model_len = v[MODEL].text.len;
    memcpy(x->answer.model, v[MODEL].text.at, v[MODEL].text.len);
    shape_text(c, v);
    if (e) {
        char model[ANSWER_MODEL_MAX];
        e->stream = x->stream;
        journal_text(e->model, sizeof(e->model), (struct str){model, json_unescape(v[MODEL].text, model)});
    }
    return true;
}

static void fail_as_told(struct conn *c, const struct fault *f)
{
    const struct fault_kind *kind = f->kind;
    struct buf headers = {0}, members = {0}, message = {0};
    struct answer_error e = {.type = kind->type, .code = kind->code, .anthropic = kind->anthropic, .more = STR("")};

    sim_must(buf_add_str(&message, str_of(kind->message)));
    fault_waits(f, sim_epoch_ms() / 1000, &headers, &members, &message);
    e.shape = f->shape;
    e.message = buf_str(&message);
    if (buf_len(&members))
        e.more = buf_str(&members);
    reply_error(c, kind->status, &e, buf_len(&headers) ? buf_str(&headers) : STR(""));
    buf_fini(&headers);
    buf_fini(&members);
    buf_fini(&message);
}

/* True when a fault has had the request; one that only bends the answer is noted for later. */
static bool fault_has_it(struct conn *c)
{
    struct exchange *x = &c->x;
    struct fault_ask ask = {.now_ms = sim_now_ms(), .api = x->api, .model = {x->answer.model, x->answer.model_len}};
    const struct fault *f = c->sim->faults.count ? fault_pick(&c->sim->faults, &ask, &c->sim->random) : NULL;

    if (!f)
        return false;
    take_fault(c, f);
    switch (f->kind->effect) {
    case EFFECT_ERROR:
        fail_as_told(c, f);
        return true;
    case EFFECT_RESET:
        conn_reset(c, "reset");
        return true;
    case EFFECT_SILENCE:
        return true;
    case EFFECT_EMPTY:
        x->answer.tokens = 0;
        x->answer.bytes = 0;
        x->answer.shortened = false;
        return false;
    default:
        return false;
    }
}

/* OpenAI says in words how long to wait; Anthropic leaves that to its headers. */
static void limit_message(const struct limit_refusal *no, enum api api, char *message, size_t size)
{
    const char *what = no->by_tokens ? "tokens" : "requests";
    char span[32];

    if (api == API_MESSAGES) {
        snprintf(message, size, "This request would exceed your organization's rate limit of %llu %s per minute.",
                 (unsigned long long)no->limit, what);
        return;
    }
    limiter_span(no->wait_ms, span);
    snprintf(message, size,
             "Rate limit reached for model in organization org-llmsim on %s per min (%s): Limit %llu, Used %llu, "
             "Requested %llu. Please try again in %s.",
             what, no->by_tokens ? "TPM" : "RPM", (unsigned long long)no->limit, (unsigned long long)no->used,
             (unsigned long long)no->requested, span);
}

static bool limiter_has_it(struct conn *c)
{
    static struct buf headers;
    struct sim *sim = c->sim;
    struct limit_refusal no;
    int64_t now = sim_now_ms();
    char message[400];

    if (limiter_take(&sim->limiter, now, c->x.answer.prompt_tokens + c->x.answer.tokens, &no))
        return false;
    buf_clear(&headers);
    reply_limits(c, &headers);
    sim_must(buf_addf(&headers, "retry-after: %lld\r\n", (long long)(no.wait_ms + 999) / 1000));
    if (c->x.api != API_MESSAGES)
        sim_must(buf_addf(&headers, "retry-after-ms: %lld\r\n", (long long)no.wait_ms));
    limit_message(&no, c->x.api, message, sizeof(message));
    struct answer_error e = {.type = no.by_tokens ? "tokens" : "requests",
                             .code = "rate_limit_exceeded",
                             .anthropic = "rate_limit_error",
                             .message = str_of(message),
                             .more = STR("")};
    struct journal_entry *entry = journal_find(&sim->journal, c->x.n);
    journal_text(c->x.fault, sizeof(c->x.fault), STR("limit"));
    if (entry)
        journal_text(entry->fault, sizeof(entry->fault), STR("limit"));
    reply_error(c, 429, &e, buf_str(&headers));
    return true;
}

void serve_request(struct conn *c, struct str body)
{
    struct exchange *x = &c->x;
    char message[200];

    if (x->api == API_CONTROL) {
        serve_control(c, body);
        return;
    }
    if (c->control || x->api == API_OTHER || x->wrong_method) {
        struct journal_entry *e = journal_find(&c->sim->journal, x->n);
        if (e)
            journal_body(e, body);
        if (!c->control && fault_has_it(c))
            return;
        snprintf(message, sizeof(message), x->wrong_method ? "Only %s is allowed here." : "Invalid URL.",
                 api_paths[x->api].method);
        refuse(c, x->wrong_method ? 405 : 404, x->wrong_method ? "method_not_allowed" : "unknown_url", message);
        return;
    }
    if (x->api != API_MODELS && !read_body(c, body))
        return;
    x->answer.api = x->api;
    x->answer.words = &c->sim->words;
    x->answer.number = x->n;
    x->answer.created = sim_epoch_ms() / 1000;
    if (fault_has_it(c))
        return;
    if (x->api != API_MODELS && limiter_has_it(c))
        return;
    reply_begin(c);
}

void serve_tick(struct conn *c)
{
    reply_tick(c);
}
