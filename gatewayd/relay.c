#include "gatewayd/relay.h"

#include <errno.h>

/*
 * The loop that runs for every event allocates nothing: events that arrive whole are handed to the kernel from the
 * transport's own buffer, between the two pieces of their chunk's frame. Only a torn event is copied.
 */

void relay_fini(struct relay *relay)
{
    buf_fini(&relay->held);
    buf_fini(&relay->head);
}

void relay_reset(struct relay *relay)
{
    relay->mode = RELAY_NONE;
    relay->committed = relay->finished = relay->terminal = relay->failed = relay->content = false;
    relay->bytes = relay->events = 0;
    relay->looked = relay->scanned = 0;
    buf_clear(&relay->held);
    buf_shrink(&relay->held, SOCK_HIGH_WATER);
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

/* Take note of one event. False when nothing after it may pass. */
static bool note(struct relay *relay, enum sse_kind kind)
{
    relay->events++;
    switch (kind) {
    case SSE_FINISH:
        relay->finished = relay->content = true;
        break;
    case SSE_TERMINAL:
        relay->terminal = true;
        break;
    case SSE_CONTENT:
        relay->content = true;
        break;
    case SSE_ERROR:
        relay->failed = true;
        return false;
    case SSE_COMMENT:
    case SSE_PREAMBLE:
        break;
    }
    return true;
}

/* How many bytes from the front of `in` are whole events that may pass. */
static size_t look(struct relay *relay, struct str in)
{
    size_t used = relay->looked;
    for (;;) {
        struct str rest = {in.at + used, in.len - used};
        size_t len = sse_event_end(rest, &relay->scanned);
        if (len == 0)
            break;
        struct str event = {rest.at, len};
        bool goes_on = note(relay, relay->content ? sse_glance(event) : sse_judge(event));
        used += len;
        if (!goes_on)
            break;
    }
    return used;
}

static enum upstream_flow pass_events(struct relay *relay, struct str in, size_t whole)
{
    if (!relay->committed && relay->failed) /* nothing was promised: somebody else may do better */
        return UPSTREAM_ABORT;
    if (!relay->content) {
        relay->looked = whole;
        return UPSTREAM_TAKEN;
    }
    int rc = relay->committed ? 0 : commit(relay, SIZE_MAX);
    if (rc == 0 && whole > 0)
        rc = pass(relay, (struct str){in.at, whole});
    relay->looked = 0;
    return rc != 0 || relay->failed ? UPSTREAM_ABORT : UPSTREAM_TAKEN;
}

static enum upstream_flow events_body(struct relay *relay, struct str in)
{
    if (buf_len(&relay->held) == 0) {
        size_t whole = look(relay, in);
        enum upstream_flow flow = pass_events(relay, in, whole);
        size_t keep = relay->content ? whole : 0;
        if (flow == UPSTREAM_TAKEN && keep < in.len && buf_add(&relay->held, in.at + keep, in.len - keep) != 0)
            return UPSTREAM_ABORT;
        return flow;
    }
    if (buf_len(&relay->held) + in.len > SSE_EVENT_MAX || buf_add(&relay->held, in.at, in.len) != 0)
        return UPSTREAM_ABORT;
    size_t whole = look(relay, buf_str(&relay->held));
    enum upstream_flow flow = pass_events(relay, buf_str(&relay->held), whole);
    if (relay->content)
        buf_consume(&relay->held, whole);
    return flow;
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
    if (relay->committed && sock_full(relay->client))
        return UPSTREAM_PAUSE;
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
    /* What is left of a stream is an event without its blank line: a provider's way to end is passed on as it is. */
    if (buf_len(&relay->held) > 0) {
        int rc = pass(relay, buf_str(&relay->held));
        buf_clear(&relay->held);
        if (rc != 0)
            return rc;
    }
    if (!relay->chunked)
        return 0;
    struct iovec end = {(char *)"0\r\n\r\n", 5};
    return sock_send(relay->client, &end, 1);
}

int relay_add(struct relay *relay, struct str bytes)
{
    return pass(relay, bytes);
}
