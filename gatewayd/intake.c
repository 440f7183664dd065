#include "gatewayd/intake.h"

#include <errno.h>

/*
 * The loop that runs for every event allocates nothing: events that arrive whole are handed on from the transport's own
 * buffer, runs of them in one piece. Only a torn event is copied.
 */

void intake_fini(struct intake *intake)
{
    buf_fini(&intake->held);
    buf_fini(&intake->torn);
    buf_fini(&intake->spliced);
}

static void empty(struct buf *buf)
{
    buf_clear(buf);
    buf_shrink(buf, SOCK_HIGH_WATER);
}

void intake_reset(struct intake *intake, unsigned choices)
{
    intake->mode = INTAKE_NONE;
    intake->relay = NULL;
    intake->replays = intake->content = intake->finished = intake->terminal = false;
    intake->failed = intake->differs = intake->slow = false;
    intake->pausable = true;
    intake->choices = intake->unfinished = choices;
    intake->events = intake->dropped = 0;
    intake->usage = (struct usage){0};
    intake->closing = (struct str){0};
    intake->scanned = 0;
    empty(&intake->held);
    empty(&intake->torn);
    empty(&intake->spliced);
}

void intake_begin(struct intake *intake, const struct upstream_response *response)
{
    struct str type = http_header_find(response->headers, response->header_count, STR("content-type"));
    struct str stream = STR("text/event-stream");
    if (response->status < 200 || response->status > 299)
        intake->mode = INTAKE_ERROR;
    else if (type.len >= stream.len && str_eq_nocase((struct str){type.at, stream.len}, stream))
        intake->mode = INTAKE_EVENTS;
    else
        intake->mode = INTAKE_WHOLE;
}

/* Events that have been judged, to the client. */

/* Compare a replay's event with what the client has, and keep what is new of it. 0 or -errno. */
static int splice_one(struct intake *intake, struct str event)
{
    int rc = splice_event(&intake->relay->given, event, &intake->spliced);
    intake->differs = rc == SPLICE_DIFFERS;
    return rc < 0 ? rc : 0;
}

static int pass_spliced(struct intake *intake)
{
    int rc = buf_len(&intake->spliced) > 0 ? relay_pass(intake->relay, buf_str(&intake->spliced)) : 0;
    buf_clear(&intake->spliced);
    return rc;
}

/* Events that were held. 0 or -errno. */
static int give(struct intake *intake, struct str events)
{
    struct str rest = events;
    size_t scanned = 0, len;
    int rc = 0;
    while (rc == 0 && !intake->differs && (len = sse_event_end(rest, &scanned)) > 0) {
        struct str event = {rest.at, len};
        if (intake->replays)
            rc = splice_one(intake, event);
        else
            splice_note(&intake->relay->given, event);
        rest = (struct str){rest.at + len, rest.len - len};
    }
    if (rc != 0)
        return rc;
    return intake->replays ? pass_spliced(intake) : relay_pass(intake->relay, events);
}

/* A stream of several choices has finished when every one has; some of them may have had nothing to say. */
static void note_finishes(struct intake *intake, struct str event, enum sse_kind kind)
{
    unsigned finishes = intake->choices > 1 ? sse_finishes(event) : kind == SSE_FINISH;
    intake->unfinished -= finishes < intake->unfinished ? finishes : intake->unfinished;
    intake->finished = intake->finished || (intake->content && intake->unfinished == 0);
}

/* Take note of one event. */
static void note(struct intake *intake, struct str event, enum sse_kind kind)
{
    intake->events++;
    intake->content = intake->content || kind == SSE_CONTENT || kind == SSE_FINISH;
    intake->terminal = intake->terminal || kind == SSE_TERMINAL;
    intake->failed = kind == SSE_ERROR;
    intake->dropped += kind == SSE_BAD;
    if (kind == SSE_FINISH || (kind == SSE_PREAMBLE && intake->choices > 1))
        note_finishes(intake, event, kind);
    /* Where providers say what it cost: before the content, with its end, or after that. */
    if (kind == SSE_FINISH || kind == SSE_PREAMBLE || kind == SSE_TERMINAL || intake->finished)
        usage_read(sse_data(event), &intake->usage);
}

/* An error is kept alone, for whoever judges it. */
static int keep_error(struct intake *intake, struct str event)
{
    buf_clear(&intake->held);
    return buf_add_str(&intake->held, event);
}

/* An event while nothing is promised. 0 or -errno. */
static int hold_event(struct intake *intake, struct str event, bool first_content)
{
    int rc = buf_add_str(&intake->held, event);
    if (rc == 0 && (first_content || (intake->content && buf_len(&intake->held) > INTAKE_HOLD_MAX)))
        intake->answering(intake);
    return rc;
}

/*
 * What an answer's end is followed by is no part of it: an error there makes it no less whole, and of a replay the
 * client has had all it needs. The rest is passed on, as everything is.
 */
static bool is_past_the_end(const struct intake *intake, enum sse_kind kind)
{
    return intake->terminal && intake->content && (kind == SSE_ERROR || intake->replays);
}

/* One event, judged and noted. True when it may pass to the client as it is, together with its neighbours. */
static bool deal_with(struct intake *intake, struct str event, int *rc)
{
    bool had_content = intake->content;
    enum sse_kind kind = had_content ? sse_glance(event) : sse_judge(event);
    if (is_past_the_end(intake, kind))
        return false;
    note(intake, event, kind);
    if (kind == SSE_ERROR)
        *rc = keep_error(intake, event);
    else if (kind == SSE_BAD)
        return false;
    else if (!intake->relay)
        *rc = hold_event(intake, event, intake->content && !had_content);
    else if (intake->replays)
        *rc = splice_one(intake, event);
    else {
        splice_note(&intake->relay->given, event);
        return true;
    }
    return false;
}

/* Deal with the whole events at the front of `in`; `*used` becomes their length. */
static int take_apart(struct intake *intake, struct str in, size_t *used)
{
    size_t from = 0, at = 0, len; /* from..at passes in one piece */
    int rc = 0;
    while (rc == 0 && !intake->failed && !intake->differs &&
           (len = sse_event_end((struct str){in.at + at, in.len - at}, &intake->scanned)) > 0) {
        bool passes = deal_with(intake, (struct str){in.at + at, len}, &rc);
        if (!passes && rc == 0 && at > from)
            rc = relay_pass(intake->relay, (struct str){in.at + from, at - from});
        at += len;
        if (!passes)
            from = at;
    }
    if (rc == 0 && at > from)
        rc = relay_pass(intake->relay, (struct str){in.at + from, at - from});
    if (rc == 0 && intake->replays && intake->relay)
        rc = pass_spliced(intake);
    *used = at;
    return rc;
}

static enum upstream_flow events_body(struct intake *intake, struct str in)
{
    bool torn = buf_len(&intake->torn) > 0;
    size_t used;
    if (torn && buf_add(&intake->torn, in.at, in.len) != 0)
        return UPSTREAM_ABORT;
    if (torn)
        in = buf_str(&intake->torn);
    int rc = take_apart(intake, in, &used);
    if (torn)
        buf_consume(&intake->torn, used);
    else if (rc == 0 && used < in.len)
        rc = buf_add(&intake->torn, in.at + used, in.len - used);
    bool too_long = buf_len(&intake->torn) > SSE_EVENT_MAX || buf_len(&intake->held) > SSE_EVENT_MAX;
    return rc != 0 || intake->failed || intake->differs || too_long ? UPSTREAM_ABORT : UPSTREAM_TAKEN;
}

static enum upstream_flow hold(struct intake *intake, struct str in, size_t max)
{
    size_t room = max - buf_len(&intake->held);
    return buf_add(&intake->held, in.at, in.len < room ? in.len : room) == 0 ? UPSTREAM_TAKEN : UPSTREAM_ABORT;
}

static enum upstream_flow whole_body(struct intake *intake, struct str in)
{
    if (buf_len(&intake->held) + in.len <= INTAKE_WHOLE_MAX)
        return hold(intake, in, INTAKE_WHOLE_MAX);
    intake->mode = INTAKE_FLOW;
    intake->content = true;
    intake->answering(intake);
    return intake->relay && relay_pass(intake->relay, in) == 0 ? UPSTREAM_TAKEN : UPSTREAM_ABORT;
}

enum upstream_flow intake_body(struct intake *intake, const char *bytes, size_t len)
{
    struct str in = {bytes, len};
    struct sock *client = intake->relay ? intake->relay->client : NULL;
    if (client && (intake->pausable || intake->mode == INTAKE_FLOW) && sock_full(client))
        return UPSTREAM_PAUSE;
    intake->slow = client && sock_pending(client) > INTAKE_UNREAD_MAX;
    if (intake->slow)
        return UPSTREAM_ABORT;
    switch (intake->mode) {
    case INTAKE_EVENTS:
        return events_body(intake, in);
    case INTAKE_WHOLE:
        return whole_body(intake, in);
    case INTAKE_FLOW:
        return relay_pass(intake->relay, in) == 0 ? UPSTREAM_TAKEN : UPSTREAM_ABORT;
    case INTAKE_ERROR:
        return hold(intake, in, INTAKE_ERROR_MAX);
    case INTAKE_NONE:
        break;
    }
    return UPSTREAM_ABORT;
}

/*
 * A last event without its blank line counts: some providers end like that. A part of one does not, nobody could read
 * it. The blank line is supplied, so that whatever follows does not become a part of it.
 */
int intake_end(struct intake *intake)
{
    struct str left = buf_str(&intake->torn);
    if (intake->mode != INTAKE_EVENTS || left.len == 0 || intake->failed || intake->differs)
        return 0;
    enum sse_kind kind = intake->content ? sse_judge_on(left) : sse_judge(left);
    int rc = 0;
    if (kind != SSE_BAD && kind != SSE_COMMENT) {
        size_t used;
        rc = buf_add_str(&intake->torn, STR("\n\n"));
        left = buf_str(&intake->torn);
        left.len = sse_event_end(left, &intake->scanned); /* the line may have had an end of its own */
        if (rc == 0)
            rc = take_apart(intake, left, &used);
    }
    buf_clear(&intake->torn);
    return rc;
}

int intake_release(struct intake *intake, struct relay *relay, bool whole)
{
    bool events = intake->mode == INTAKE_EVENTS;
    int rc = relay->committed ? 0 : relay_commit(relay, whole && !events ? buf_len(&intake->held) : SIZE_MAX);
    intake->relay = relay;
    if (rc == 0)
        rc = events ? give(intake, buf_str(&intake->held)) : relay_pass(relay, buf_str(&intake->held));
    buf_clear(&intake->held);
    buf_shrink(&intake->held, SOCK_HIGH_WATER);
    return rc;
}

int intake_close(struct intake *intake)
{
    bool closes = intake->mode == INTAKE_EVENTS && !intake->terminal && !intake->failed && intake->closing.len > 0;
    return closes ? relay_pass(intake->relay, intake->closing) : 0;
}
