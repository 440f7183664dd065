#include "gatewayd/relay.h"

#include <errno.h>

/*
 * The loop that runs for every event allocates nothing: events that arrive whole are handed to the kernel from the
 * transport's own buffer, between the two pieces of their chunk's frame. Only a torn event is copied.
 */

void relay_fini(struct relay *relay)
{
    buf_fini(&relay->held);
    buf_fini(&relay->torn);
    buf_fini(&relay->head);
}

void relay_reset(struct relay *relay)
{
    relay->mode = RELAY_NONE;
    relay->committed = relay->finished = relay->terminal = relay->failed = relay->content = relay->slow = false;
    relay->pausable = true;
    relay->bytes = relay->events = relay->dropped = 0;
    relay->scanned = 0;
    buf_clear(&relay->held);
    buf_shrink(&relay->held, SOCK_HIGH_WATER);
    buf_clear(&relay->torn);
    buf_shrink(&relay->torn, SOCK_HIGH_WATER);
    buf_clear(&relay->head);
}

void relay_begin(struct relay *relay, const struct upstream_response *response)
{
    struct str type = http_header_find(response->headers, response->header_count, STR("content-type"));
    struct str stream = STR("text/event-stream");
    if (response->status < 200 || response->status > 299)
        relay->mode = RELAY_ERROR;
    else if (type.len >= stream.len && str_eq_nocase((struct str){type.at, stream.len}, stream))
        relay->mode = RELAY_EVENTS;
    else
        relay->mode = RELAY_WHOLE;
}

static size_t hex(char *out, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 1;
    for (size_t rest = n; rest >>= 4;)
        len++;
    for (size_t i = len; i-- > 0; n >>= 4)
        out[i] = digits[n & 15];
    return len;
}

/* Body bytes to the client, behind the head when it has not gone yet. */
static int pass(struct relay *relay, struct str bytes)
{
    char frame[20];
    struct iovec pieces[4];
    int count = 0;
    if (buf_len(&relay->head) > 0)
        pieces[count++] = (struct iovec){buf_at(&relay->head), buf_len(&relay->head)};
    if (relay->chunked && bytes.len > 0) {
        size_t len = hex(frame, bytes.len);
        frame[len++] = '\r';
        frame[len++] = '\n';
        pieces[count++] = (struct iovec){frame, len};
    }
    if (bytes.len > 0)
        pieces[count++] = (struct iovec){(char *)bytes.at, bytes.len};
    if (relay->chunked && bytes.len > 0)
        pieces[count++] = (struct iovec){(char *)"\r\n", 2};
    relay->bytes += bytes.len;
    int rc = count ? sock_send(relay->client, pieces, count) : 0;
    buf_clear(&relay->head);
    return rc;
}

static int commit(struct relay *relay, size_t length)
{
    relay->committed = true;
    relay->committing(relay);
    return relay->make_head(relay, &relay->head, length);
}

/* Take note of one event. */
static void note(struct relay *relay, enum sse_kind kind)
{
    relay->events++;
    relay->content = relay->content || kind == SSE_CONTENT || kind == SSE_FINISH;
    relay->finished = relay->finished || kind == SSE_FINISH;
    relay->terminal = relay->terminal || kind == SSE_TERMINAL;
    relay->failed = relay->failed || kind == SSE_ERROR;
    relay->dropped += kind == SSE_BAD;
}

/* An event before anything was promised: held, until one of them is a reason to promise. 0 or -errno. */
static int hold_event(struct relay *relay, struct str event)
{
    int rc = buf_add_str(&relay->held, event);
    if (rc != 0 || !relay->content)
        return rc;
    rc = commit(relay, SIZE_MAX);
    if (rc == 0)
        rc = pass(relay, buf_str(&relay->held));
    buf_clear(&relay->held);
    return rc;
}

/*
 * Deal with the whole events at the front of `in`; `*used` becomes their length. Runs of events that pass are handed on
 * in one piece.
 */
static int take_apart(struct relay *relay, struct str in, size_t *used)
{
    size_t from = 0, at = 0, len;
    int rc = 0;
    while (rc == 0 && !relay->failed &&
           (len = sse_event_end((struct str){in.at + at, in.len - at}, &relay->scanned)) > 0) {
        struct str event = {in.at + at, len};
        enum sse_kind kind = relay->content ? sse_glance(event) : sse_judge(event);
        bool held = !relay->committed;
        note(relay, kind);
        if (!held && kind == SSE_BAD && at > from)
            rc = pass(relay, (struct str){in.at + from, at - from});
        if (held && relay->failed) { /* kept alone, for whoever judges it */
            buf_clear(&relay->held);
            rc = buf_add_str(&relay->held, event);
        } else if (held && kind != SSE_BAD) {
            rc = hold_event(relay, event);
        }
        at += len;
        if (held || kind == SSE_BAD)
            from = at;
    }
    if (rc == 0 && at > from)
        rc = pass(relay, (struct str){in.at + from, at - from});
    *used = at;
    return rc;
}

static enum upstream_flow events_body(struct relay *relay, struct str in)
{
    bool torn = buf_len(&relay->torn) > 0;
    size_t used;
    if (torn && buf_add(&relay->torn, in.at, in.len) != 0)
        return UPSTREAM_ABORT;
    if (torn)
        in = buf_str(&relay->torn);
    int rc = take_apart(relay, in, &used);
    if (torn)
        buf_consume(&relay->torn, used);
    else if (rc == 0 && used < in.len)
        rc = buf_add(&relay->torn, in.at + used, in.len - used);
    bool too_long = buf_len(&relay->torn) > SSE_EVENT_MAX || buf_len(&relay->held) > SSE_EVENT_MAX;
    return rc != 0 || relay->failed || too_long ? UPSTREAM_ABORT : UPSTREAM_TAKEN;
}

static enum upstream_flow hold(struct relay *relay, struct str in, size_t max)
{
    size_t room = max - buf_len(&relay->held);
    return buf_add(&relay->held, in.at, in.len < room ? in.len : room) == 0 ? UPSTREAM_TAKEN : UPSTREAM_ABORT;
}

static enum upstream_flow whole_body(struct relay *relay, struct str in)
{
    if (buf_len(&relay->held) + in.len <= RELAY_WHOLE_MAX)
        return hold(relay, in, RELAY_WHOLE_MAX);
    relay->mode = RELAY_FLOW;
    int rc = commit(relay, SIZE_MAX);
    if (rc == 0)
        rc = pass(relay, buf_str(&relay->held));
    buf_clear(&relay->held);
    buf_shrink(&relay->held, 0);
    if (rc == 0)
        rc = pass(relay, in);
    return rc == 0 ? UPSTREAM_TAKEN : UPSTREAM_ABORT;
}

enum upstream_flow relay_body(struct relay *relay, const char *bytes, size_t len)
{
    struct str in = {bytes, len};
    if (relay->committed && (relay->pausable || relay->mode == RELAY_FLOW) && sock_full(relay->client))
        return UPSTREAM_PAUSE;
    relay->slow = relay->committed && sock_pending(relay->client) > RELAY_UNREAD_MAX;
    if (relay->slow)
        return UPSTREAM_ABORT;
    switch (relay->mode) {
    case RELAY_EVENTS:
        return events_body(relay, in);
    case RELAY_WHOLE:
        return whole_body(relay, in);
    case RELAY_FLOW:
        return pass(relay, in) == 0 ? UPSTREAM_TAKEN : UPSTREAM_ABORT;
    case RELAY_ERROR:
        return hold(relay, in, RELAY_ERROR_MAX);
    case RELAY_NONE:
        break;
    }
    return UPSTREAM_ABORT;
}

/*
 * A last event without its blank line is passed on as it is: some providers end like that. A part of one is not, nobody
 * could read it; and the closing event, when it was forgotten, must not become a part of what stands before it.
 */
static int finish_events(struct relay *relay)
{
    struct str left = buf_str(&relay->torn);
    enum sse_kind kind = left.len > 0 ? sse_judge(left) : SSE_COMMENT;
    bool readable = kind != SSE_BAD && kind != SSE_COMMENT;
    relay->terminal = relay->terminal || kind == SSE_TERMINAL;
    bool closes = !relay->terminal && relay->closing.len > 0;
    int rc = readable ? pass(relay, left) : 0;
    if (rc == 0 && readable && closes)
        rc = pass(relay, STR("\n\n"));
    if (rc == 0 && closes)
        rc = pass(relay, relay->closing);
    buf_clear(&relay->torn);
    return rc;
}

int relay_finish(struct relay *relay)
{
    if (!relay->committed) {
        int rc = commit(relay, buf_len(&relay->held));
        if (rc != 0)
            return rc;
        relay->chunked = false;
        rc = pass(relay, buf_str(&relay->held));
        buf_clear(&relay->held);
        return rc;
    }
    int rc = relay->mode == RELAY_EVENTS ? finish_events(relay) : 0;
    if (rc != 0 || !relay->chunked)
        return rc;
    struct iovec end = {(char *)"0\r\n\r\n", 5};
    return sock_send(relay->client, &end, 1);
}

int relay_add(struct relay *relay, struct str bytes)
{
    return pass(relay, bytes);
}
