/*
 * The good answers and how they go wrong. A stream is driven by one timer a connection: each tick sends every token
 * that is due by now in one write, so a late tick makes a bigger write and never a slower stream. The faults that
 * strike in the middle of an answer live here, each at the place where the answer would otherwise go on.
 */

#include "tools/llmsim/reply.h"

enum { BACKLOG_MAX = 256 << 10, BACKLOG_WAIT_MS = 10, DRIPS = 20 };

void reply_head(struct conn *c, int status, const char *type, int64_t length, struct str headers)
{
    struct sim *sim = c->sim;
    struct exchange *x = &c->x;
    struct journal_entry *e = journal_find(&sim->journal, x->n);

    x->status = status;
    if (x->in_flight)
        sim->counts.by_status[status]++;
    if (e && x->in_flight)
        e->status = status;
    sim_must(buf_addf(&c->out,
                      "HTTP/1.1 %d %s\r\ncontent-type: %s\r\ndate: %s\r\n"
                      "x-request-id: req_%012llx\r\nx-sim-name: %s\r\n",
                      status, http_reason(status), type, sim_date(sim, sim_epoch_ms() / 1000), (unsigned long long)x->n,
                      sim->name));
    if (length >= 0)
        sim_must(buf_addf(&c->out, "content-length: %lld\r\n", (long long)length));
    else if (x->minor > 0)
        sim_must(buf_add_str(&c->out, STR("cache-control: no-cache\r\ntransfer-encoding: chunked\r\n")));
    else
        c->close = true;
    if (c->close)
        sim_must(buf_add_str(&c->out, STR("connection: close\r\n")));
    else if (x->minor == 0)
        sim_must(buf_add_str(&c->out, STR("connection: keep-alive\r\n")));
    sim_must(buf_add_str(&c->out, headers));
    sim_must(buf_add_str(&c->out, STR("\r\n")));
}

void reply_json(struct conn *c, int status, struct str body, struct str headers)
{
    reply_head(c, status, "application/json", (int64_t)body.len, headers);
    sim_must(buf_add_str(&c->out, body));
    conn_end(c);
}

void reply_error(struct conn *c, int status, const struct answer_error *e, struct str headers)
{
    struct buf *body = &c->sim->scratch;

    buf_clear(body);
    answer_error(body, c->x.api, c->x.n, e);
    reply_json(c, status, buf_str(body), headers);
}

static struct answer_error error_of(const struct fault_kind *kind)
{
    return (struct answer_error){.type = kind->type,
                                 .code = kind->code,
                                 .anthropic = kind->anthropic,
                                 .message = str_of(kind->message),
                                 .more = STR("")};
}

void reply_limits(struct conn *c, struct buf *headers)
{
    if (c->x.api == API_MESSAGES)
        limiter_headers_anthropic(&c->sim->limiter, sim_now_ms(), sim_epoch_ms(), headers);
    else
        limiter_headers(&c->sim->limiter, sim_now_ms(), headers);
}

/* The limiter's headers, in a buffer that is good until the next call. */
static struct str limit_headers(struct conn *c)
{
    static struct buf headers;

    buf_clear(&headers);
    if (c->x.post)
        reply_limits(c, &headers);
    return buf_len(&headers) ? buf_str(&headers) : STR("");
}

static void build_whole(struct conn *c, struct buf *body)
{
    struct exchange *x = &c->x;

    buf_clear(body);
    if (x->effect == EFFECT_ERROR_IN_200) {
        struct answer_error e = error_of(x->kind);
        answer_error(body, x->api, x->n, &e);
    } else if (x->api == API_MODELS) {
        answer_models(body, (struct str){x->answer.model, x->answer.model_len}, x->answer.created);
    } else {
        answer_whole(body, &x->answer);
    }
    if (x->effect == EFFECT_BAD_EVENT)
        body->end -= buf_len(body) / 2;
}

/* Where in an unstreamed body its text has had so many tokens; in a body without them, its middle. */
static size_t body_position(const struct exchange *x, struct str body)
{
    const char *first = x->answer.tokens ? memmem(body.at, body.len, "word01 ", 7) : NULL;
    unsigned tokens = x->token < x->answer.tokens ? x->token : x->answer.tokens;
    size_t at = first ? (size_t)(first - body.at) + words_first(x->answer.words, tokens).len : body.len / 2;

    return at < body.len ? at : body.len / 2;
}

static void play_whole(struct conn *c)
{
    struct exchange *x = &c->x;
    struct buf *body = &c->sim->scratch;

    x->play = PLAY_NOTHING;
    build_whole(c, body);
    struct str bytes = buf_str(body);
    if (x->effect != EFFECT_STALL && x->effect != EFFECT_CUT && x->effect != EFFECT_SLOW_BODY) {
        reply_json(c, 200, bytes, limit_headers(c));
        return;
    }
    reply_head(c, 200, "application/json", (int64_t)bytes.len, limit_headers(c));
    if (x->effect == EFFECT_SLOW_BODY) {
        buf_clear(&c->held);
        sim_must(buf_add_str(&c->held, bytes));
        x->slice = bytes.len / DRIPS + 1;
        x->play = PLAY_DRIP;
        conn_wake(c, x->duration_ms / DRIPS);
        return;
    }
    bytes.len = body_position(x, bytes);
    sim_must(buf_add_str(&c->out, bytes));
    if (x->effect == EFFECT_CUT) {
        x->end = "cut";
        c->close = true;
        conn_end(c);
    }
}

static void play_drip(struct conn *c)
{
    struct exchange *x = &c->x;
    size_t len = buf_len(&c->held) < x->slice ? buf_len(&c->held) : x->slice;

    sim_must(buf_add(&c->out, buf_at(&c->held), len));
    buf_consume(&c->held, len);
    if (buf_len(&c->held))
        conn_wake(c, x->duration_ms / DRIPS);
    else
        conn_end(c);
}

/* Events into the answer, as one chunk where the body is chunked. */
static void send_events(struct conn *c, const struct buf *events)
{
    bool chunked = c->x.minor > 0;

    if (buf_len(events) == 0)
        return;
    if (chunked)
        sim_must(buf_addf(&c->out, "%zx\r\n", buf_len(events)));
    sim_must(buf_add_str(&c->out, buf_str(events)));
    if (chunked)
        sim_must(buf_add_str(&c->out, STR("\r\n")));
}

static void end_stream(struct conn *c, struct buf *events, bool done)
{
    if (done)
        answer_done(events, &c->x.answer);
    send_events(c, events);
    if (c->x.minor > 0)
        sim_must(buf_add_str(&c->out, STR("0\r\n\r\n")));
    conn_end(c);
}

/* The fault at this place of the stream. True when the stream does not go on after it. */
static bool strike(struct conn *c, struct buf *events)
{
    struct exchange *x = &c->x;

    x->struck = true;
    switch (x->effect) {
    case EFFECT_STALL:
        send_events(c, events);
        return true;
    case EFFECT_CUT:
        send_events(c, events);
        x->end = "cut";
        c->close = true;
        conn_end(c);
        return true;
    case EFFECT_ERROR_IN_200: {
        /* A done mark follows, as some relays send it: the trap is to take this stream for a complete one. */
        struct answer_error e = error_of(x->kind);
        answer_error_event(events, &x->answer, &e);
        end_stream(c, events, true);
        return true;
    }
    case EFFECT_BAD_EVENT:
        answer_bad_event(events, &x->answer);
        return false;
    default:
        return false;
    }
}

static unsigned tokens_due(const struct exchange *x, int64_t now_ms)
{
    unsigned tokens = x->answer.tokens;

    if (x->interval_ms <= 0)
        return tokens;
    double due = 1 + ((double)(now_ms - x->first_ms) + 0.5) / x->interval_ms;
    return due < tokens ? (unsigned)due : tokens;
}

static void play_stream(struct conn *c)
{
    struct exchange *x = &c->x;
    struct buf *events = &c->sim->scratch;
    int64_t now = sim_now_ms();

    if (buf_len(&c->out) > BACKLOG_MAX) {
        conn_wake(c, BACKLOG_WAIT_MS);
        return;
    }
    buf_clear(events);
    if (!x->opened) {
        x->opened = true;
        x->first_ms = now;
        if (x->effect != EFFECT_ERROR_IN_200 || x->token > 0)
            answer_opening(events, &x->answer);
    }
    unsigned due = tokens_due(x, now);
    unsigned token = x->token < x->answer.tokens ? x->token : x->answer.tokens;
    if (!x->struck && due >= token && x->effect >= EFFECT_STALL) {
        answer_tokens(events, &x->answer, x->sent, token);
        x->sent = token;
        if (strike(c, events))
            return;
    }
    answer_tokens(events, &x->answer, x->sent, due);
    x->sent = due;
    if (due == x->answer.tokens) {
        answer_closing(events, &x->answer);
        end_stream(c, events, x->effect != EFFECT_NO_DONE);
        return;
    }
    send_events(c, events);
    int64_t next = x->first_ms + (int64_t)((double)due * x->interval_ms);
    conn_wake(c, next > now ? next - now : 0);
}

static void begin_stream(struct conn *c, int64_t delay)
{
    struct exchange *x = &c->x;
    const struct settings *s = &c->sim->settings;

    x->interval_ms = s->rate > 0 ? 1000 / s->rate : 0;
    if (x->effect == EFFECT_SLOW_BODY && x->answer.tokens)
        x->interval_ms = (double)x->duration_ms / x->answer.tokens;
    reply_head(c, 200, "text/event-stream; charset=utf-8", REPLY_CHUNKED, limit_headers(c));
    x->play = PLAY_STREAM;
    if (delay > 0)
        conn_wake(c, delay);
    else
        play_stream(c);
}

void reply_begin(struct conn *c)
{
    struct exchange *x = &c->x;
    const struct settings *s = &c->sim->settings;
    int64_t delay = x->api == API_MODELS ? 0 : x->stream ? s->ttft_ms : s->latency_ms;

    if (x->effect == EFFECT_SLOW_FIRST && x->duration_ms > delay)
        delay = x->duration_ms;
    if (x->stream) {
        begin_stream(c, delay);
    } else if (delay > 0) {
        x->play = PLAY_WHOLE;
        conn_wake(c, delay);
    } else {
        play_whole(c);
    }
}

void reply_tick(struct conn *c)
{
    switch (c->x.play) {
    case PLAY_WHOLE:
        play_whole(c);
        break;
    case PLAY_DRIP:
        play_drip(c);
        break;
    case PLAY_STREAM:
        play_stream(c);
        break;
    case PLAY_NOTHING:
        break;
    }
}
