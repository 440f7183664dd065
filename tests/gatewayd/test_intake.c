/*
 * The way of an answer: what the client reads, byte for byte, whatever the pieces in which the upstream sends it; when
 * the answer is committed and when it may still be thrown away; how it ends; and that a slow client slows its upstream.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gatewayd/intake.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define FIRST "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"
#define WORD "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n"
#define STOP "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n"
#define USAGE "data: {\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n"
#define DONE "data: [DONE]\n\n"
#define ALIVE ": keep-alive\n\n"
#define ERROR "data: {\"error\":{\"message\":\"no\"}}\n\n"
#define USAGELESS "data: {\"choices\":[]}\n\n"
#define BAD "data: {\"choices\":[{\"delta\":{\"content\":\"half a\n\n"

struct scene {
    struct event_loop loop;
    struct sock client;
    struct relay relay;
    struct intake intake;
    bool holds;     /* the owner does not release when it is asked */
    unsigned asked; /* how often it was */
    int peer;
    unsigned commits; /* how often a head was made */
    size_t length;    /* of the body, as the head was told */
    struct buf got;   /* what the client has read */
    int drained;
};

static struct scene *scene_of(struct relay *relay)
{
    return (struct scene *)(void *)((char *)relay - offsetof(struct scene, relay));
}

/* The owner: it releases at once, unless the test says that it holds. */
static void answering(struct intake *intake)
{
    struct scene *s = (struct scene *)(void *)((char *)intake - offsetof(struct scene, intake));

    s->asked++;
    if (!s->holds)
        assert_int_equal(intake_release(intake, &s->relay, false), 0);
}

static int make_head(struct relay *relay, struct buf *head, size_t length)
{
    scene_of(relay)->length = length;
    scene_of(relay)->commits++;
    assert_true(relay->committed);
    splice_begin(&relay->given, SPLICE_CHAT);
    return buf_add_str(head, STR("HEAD\r\n\r\n"));
}

static void ready(struct event_io *io, int what)
{
    (void)io;
    (void)what;
}

static void drained(struct sock *sock)
{
    ((struct scene *)(void *)((char *)sock - offsetof(struct scene, client)))->drained++;
}

static void begin(struct scene *s, int status, const char *type)
{
    static struct upstream_response response;
    int pair[2];

    *s = (struct scene){.length = 77};
    assert_int_equal(event_loop_init(&s->loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    s->client.fd = pair[0];
    s->client.drained = drained;
    s->peer = pair[1];
    event_io_init(&s->client.io, &s->loop, pair[0], ready);
    s->relay = (struct relay){.client = &s->client, .make_head = make_head};
    s->intake.answering = answering;
    intake_reset(&s->intake, 1);
    response = (struct upstream_response){.status = status, .header_count = 1};
    response.headers[0] = (struct http_header){STR("Content-Type"), str_of(type)};
    intake_begin(&s->intake, &response);
}

static void end(struct scene *s)
{
    event_io_watch(&s->client.io, 0);
    close(s->client.fd);
    close(s->peer);
    intake_fini(&s->intake);
    relay_fini(&s->relay);
    buf_fini(&s->client.out);
    buf_fini(&s->got);
    event_loop_fini(&s->loop);
}

/* Let the client read everything that is there. */
static void read_all(struct scene *s)
{
    for (;;) {
        assert_int_equal(buf_room(&s->got, 65536), 0);
        ssize_t n = read(s->peer, s->got.data + s->got.end, 65536);
        if (n > 0)
            s->got.end += (size_t)n;
        else if (sock_pending(&s->client) > 0)
            sock_flush(&s->client);
        else
            return;
    }
}

static void assert_got(struct scene *s, const char *want)
{
    read_all(s);
    if (!str_eq(buf_str(&s->got), str_of(want)))
        fail_msg("the client read\n%.*s\ninstead of\n%s", (int)buf_len(&s->got), buf_at(&s->got), want);
}

/* Undo the framing; the end must be there. */
static void assert_payload(struct scene *s, const char *want)
{
    struct http_chunked chunked = {0};
    struct str head = STR("HEAD\r\n\r\n");
    size_t payload = 0;

    read_all(s);
    assert_true(str_starts(buf_str(&s->got), head));
    buf_consume(&s->got, head.len);
    int64_t used = http_chunked_feed(&chunked, buf_at(&s->got), buf_len(&s->got), &payload);
    assert_int_equal(used, buf_len(&s->got));
    assert_true(chunked.done);
    if (!str_eq((struct str){buf_at(&s->got), payload}, str_of(want)))
        fail_msg("the client read\n%.*s\ninstead of\n%s", (int)payload, buf_at(&s->got), want);
}

/* The bytes come in memory of their own, as they do from a transport, which takes it back. */
static enum upstream_flow feed(struct scene *s, struct str bytes)
{
    char *copy = malloc(bytes.len ? bytes.len : 1);

    assert_non_null(copy);
    memcpy(copy, bytes.at, bytes.len);
    enum upstream_flow flow = intake_body(&s->intake, copy, bytes.len);
    free(copy);
    return flow;
}

/* The upstream has sent all of it. */
static int finish(struct scene *s)
{
    int rc = intake_end(&s->intake);

    if (rc == 0 && !s->intake.relay)
        rc = intake_release(&s->intake, &s->relay, true);
    if (rc == 0)
        rc = intake_close(&s->intake);
    return rc ? rc : relay_end(&s->relay);
}

static void chooses_by_the_head(void **state)
{
    static const struct {
        int status;
        const char *type;
        enum intake_mode mode;
    } cases[] = {
        {200, "text/event-stream", INTAKE_EVENTS}, {200, "Text/Event-Stream; charset=utf-8", INTAKE_EVENTS},
        {201, "text/event-stream", INTAKE_EVENTS}, {200, "application/json", INTAKE_WHOLE},
        {200, "", INTAKE_WHOLE},                   {204, "", INTAKE_WHOLE},
        {200, "text/plain", INTAKE_WHOLE},         {429, "text/event-stream", INTAKE_ERROR},
        {500, "application/json", INTAKE_ERROR},   {301, "", INTAKE_ERROR},
        {304, "", INTAKE_ERROR},
    };
    struct scene s;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        begin(&s, cases[i].status, cases[i].type);
        assert_int_equal(s.intake.mode, cases[i].mode);
        end(&s);
    }
    begin(&s, 200, "");
    intake_reset(&s.intake, 1);
    assert_int_equal(s.intake.mode, INTAKE_NONE);
    assert_int_equal(feed(&s, STR("x")), UPSTREAM_ABORT);
    end(&s);
}

/* Nothing is promised by comments, preambles and what is no JSON; the first content carries out all that was held. */
static void commits_at_the_first_content(void **state)
{
    static const char *const nothing[] = {ALIVE, FIRST, USAGE, BAD, FIRST ALIVE};
    struct scene s;

    (void)state;
    begin(&s, 200, "text/event-stream");
    for (size_t i = 0; i < COUNT(nothing); i++) {
        assert_int_equal(feed(&s, str_of(nothing[i])), UPSTREAM_TAKEN);
        assert_false(s.relay.committed || s.intake.content);
    }
    assert_got(&s, "");
    assert_int_equal(feed(&s, STR(WORD)), UPSTREAM_TAKEN);
    assert_true(s.relay.committed);
    assert_int_equal(s.commits, 1);
    assert_int_equal(s.length, SIZE_MAX);
    assert_int_equal(s.intake.dropped, 1);
    assert_got(&s, "HEAD\r\n\r\n" ALIVE FIRST USAGE FIRST ALIVE WORD);
    assert_int_equal(s.relay.bytes, strlen(ALIVE FIRST USAGE FIRST ALIVE WORD));
    assert_int_equal(feed(&s, STR(WORD WORD)), UPSTREAM_TAKEN);
    assert_int_equal(s.commits, 1);
    end(&s);
}

static void frames_chunks(void **state)
{
    struct scene s;
    char want[512];

    (void)state;
    begin(&s, 200, "text/event-stream");
    s.relay.chunked = true;
    assert_int_equal(feed(&s, STR(WORD)), UPSTREAM_TAKEN);
    int n = snprintf(want, sizeof want, "HEAD\r\n\r\n%zx\r\n" WORD "\r\n", strlen(WORD));
    assert_got(&s, want);
    assert_int_equal(feed(&s, STR(STOP DONE)), UPSTREAM_TAKEN);
    n += snprintf(want + n, sizeof want - (size_t)n, "%zx\r\n" STOP DONE "\r\n", strlen(STOP DONE));
    assert_got(&s, want);
    assert_int_equal(relay_pass(&s.relay, STR(": ours\n\n")), 0);
    n += snprintf(want + n, sizeof want - (size_t)n, "8\r\n: ours\n\n\r\n");
    assert_got(&s, want);
    assert_int_equal(finish(&s), 0);
    snprintf(want + n, sizeof want - (size_t)n, "0\r\n\r\n");
    assert_got(&s, want);
    assert_int_equal(s.relay.bytes, strlen(WORD STOP DONE) + 8);
    end(&s);
}

/* One stream in pieces of every size, and in two pieces at every place: always the same bytes. */
static void pieces_make_no_difference(void **state)
{
    static const char *const sent = ALIVE FIRST WORD BAD ALIVE WORD STOP BAD USAGE DONE;
    static const char *const seen = ALIVE FIRST WORD ALIVE WORD STOP USAGE DONE;
    const size_t len = strlen(sent);
    struct scene s;

    (void)state;
    for (size_t step = 1; step < len; step++) {
        begin(&s, 200, "text/event-stream");
        s.relay.chunked = true;
        for (size_t at = 0; at < len; at += step)
            assert_int_equal(feed(&s, (struct str){sent + at, at + step < len ? step : len - at}), UPSTREAM_TAKEN);
        assert_int_equal(finish(&s), 0);
        assert_true(s.intake.finished && s.intake.terminal && !s.intake.failed);
        assert_int_equal(s.intake.dropped, 2);
        assert_int_equal(s.intake.events, 10);
        assert_int_equal(s.relay.bytes, strlen(seen));
        assert_payload(&s, seen);
        end(&s);
    }
    for (size_t cut = 0; cut <= len; cut++) {
        begin(&s, 200, "text/event-stream");
        s.relay.chunked = true;
        assert_int_equal(feed(&s, (struct str){sent, cut}), UPSTREAM_TAKEN);
        assert_int_equal(feed(&s, (struct str){sent + cut, len - cut}), UPSTREAM_TAKEN);
        assert_int_equal(finish(&s), 0);
        assert_payload(&s, seen);
        end(&s);
    }
}

/* An error before anything was promised: nobody hears of it, somebody else is asked. */
static void aborts_on_an_error_first(void **state)
{
    static const char *const streams[] = {
        ERROR, ALIVE ERROR, FIRST ERROR WORD, BAD ERROR, "event: error\ndata: {\"type\":\"error\"}\n\n",
        "{\"error\":{\"code\":503}}\n\n",
    };
    struct scene s;

    (void)state;
    for (size_t i = 0; i < COUNT(streams); i++) {
        struct str stream = str_of(streams[i]);
        for (size_t cut = 0; cut < stream.len; cut++) {
            begin(&s, 200, "text/event-stream");
            enum upstream_flow flow = feed(&s, (struct str){stream.at, cut});
            if (flow == UPSTREAM_TAKEN)
                flow = feed(&s, (struct str){stream.at + cut, stream.len - cut});
            assert_int_equal(flow, UPSTREAM_ABORT);
            assert_true(s.intake.failed && !s.relay.committed && !s.intake.content);
            assert_got(&s, "");
            end(&s);
        }
    }
}

/* Later too: it is kept for whoever judges it, what follows it is not taken in, and the client is told by the owner. */
static void keeps_an_error_later(void **state)
{
    struct scene s;

    (void)state;
    for (size_t cut = 0; cut < strlen(WORD ERROR WORD); cut++) {
        begin(&s, 200, "text/event-stream");
        enum upstream_flow flow = feed(&s, (struct str){WORD ERROR WORD, cut});
        if (flow == UPSTREAM_TAKEN)
            flow = feed(&s, (struct str){WORD ERROR WORD + cut, strlen(WORD ERROR WORD) - cut});
        assert_int_equal(flow, UPSTREAM_ABORT);
        assert_true(s.intake.failed && s.relay.committed);
        assert_got(&s, "HEAD\r\n\r\n" WORD);
        assert_true(str_eq(buf_str(&s.intake.held), STR(ERROR)));
        end(&s);
    }
}

/* After the end of an answer it makes no difference any more; without an answer there was no end of one. */
static void ignores_an_error_past_the_end(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, 200, "text/event-stream");
    assert_int_equal(feed(&s, STR(WORD STOP DONE ERROR DONE)), UPSTREAM_TAKEN);
    assert_true(s.intake.terminal && !s.intake.failed);
    assert_got(&s, "HEAD\r\n\r\n" WORD STOP DONE DONE);
    end(&s);

    begin(&s, 200, "text/event-stream");
    assert_int_equal(feed(&s, STR(FIRST DONE ERROR)), UPSTREAM_ABORT);
    assert_true(s.intake.failed);
    end(&s);
}

/* Content has come and is not released: an error can still be judged as if nothing had. */
static void holds_content(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, 200, "text/event-stream");
    s.holds = true;
    assert_int_equal(feed(&s, STR(FIRST WORD BAD WORD)), UPSTREAM_TAKEN);
    assert_int_equal(s.asked, 1);
    assert_got(&s, "");
    assert_int_equal(intake_release(&s.intake, &s.relay, false), 0);
    assert_got(&s, "HEAD\r\n\r\n" FIRST WORD WORD);
    assert_int_equal(feed(&s, STR(STOP)), UPSTREAM_TAKEN);
    assert_got(&s, "HEAD\r\n\r\n" FIRST WORD WORD STOP);
    end(&s);

    begin(&s, 200, "text/event-stream");
    s.holds = true;
    assert_int_equal(feed(&s, STR(WORD ERROR)), UPSTREAM_ABORT);
    assert_true(str_eq(buf_str(&s.intake.held), STR(ERROR)));
    assert_got(&s, "");
    end(&s);

    /* Not for ever: beyond a bound it asks again with every event. */
    begin(&s, 200, "text/event-stream");
    s.holds = true;
    for (size_t held = 0; held <= INTAKE_HOLD_MAX; held += strlen(WORD))
        assert_int_equal(feed(&s, STR(WORD)), UPSTREAM_TAKEN);
    assert_int_equal(s.asked, 2);
    end(&s);
}

/* Two answers were asked for: the stream is finished with the second finish reason, not with the first. */
static void waits_for_every_choice(void **state)
{
    static const char *const both =
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"},"
        "{\"index\":1,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n";
    struct scene s;

    (void)state;
    begin(&s, 200, "text/event-stream");
    s.intake.choices = s.intake.unfinished = 2;
    assert_int_equal(feed(&s, STR(WORD STOP)), UPSTREAM_TAKEN);
    assert_false(s.intake.finished);
    assert_int_equal(feed(&s, STR(WORD STOP)), UPSTREAM_TAKEN);
    assert_true(s.intake.finished);
    end(&s);
    begin(&s, 200, "text/event-stream");
    s.intake.choices = s.intake.unfinished = 2;
    assert_int_equal(feed(&s, STR(WORD)), UPSTREAM_TAKEN);
    assert_int_equal(feed(&s, str_of(both)), UPSTREAM_TAKEN);
    assert_true(s.intake.finished);
    end(&s);
}

static void hears_the_usage(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, 200, "text/event-stream");
    assert_int_equal(feed(&s, STR(FIRST WORD STOP)), UPSTREAM_TAKEN);
    assert_false(s.intake.usage.known);
    assert_int_equal(feed(&s, STR("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,"
                                  "\"total_tokens\":10}}\n\n" DONE)), UPSTREAM_TAKEN);
    assert_true(s.intake.usage.known);
    assert_int_equal(s.intake.usage.input, 7);
    assert_int_equal(s.intake.usage.output, 3);
    end(&s);
}

#define TOLD(id, text)                                                                                                 \
    "data: {\"id\":\"" id "\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"},"                         \
    "\"finish_reason\":null}]}\n\n"

/* A stream breaks off; another one of the same answer is taken in, and the client gets what it lacks. */
static void goes_on_with_a_replay(void **state)
{
    static struct upstream_response response = {.status = 200, .header_count = 1};
    const char *whole = FIRST TOLD("b", "On") TOLD("b", "ce upon") TOLD("b", " a time") STOP DONE;
    struct scene s;

    (void)state;
    response.headers[0] = (struct http_header){STR("content-type"), STR("text/event-stream")};
    for (size_t step = 1; step <= strlen(whole); step += 7) {
        begin(&s, 200, "text/event-stream");
        assert_int_equal(feed(&s, STR(FIRST TOLD("a", "Once ") "data: {\"cho")), UPSTREAM_TAKEN);
        intake_reset(&s.intake, 1);
        intake_begin(&s.intake, &response);
        s.intake.replays = true;
        splice_replay(&s.relay.given);
        for (size_t at = 0; at < strlen(whole); at += step)
            assert_int_equal(feed(&s, (struct str){whole + at, at + step < strlen(whole) ? step : strlen(whole) - at}),
                             UPSTREAM_TAKEN);
        assert_true(s.intake.finished && s.intake.terminal);
        assert_int_equal(feed(&s, STR(ERROR DONE TOLD("b", "!"))), UPSTREAM_TAKEN); /* past the end */
        assert_got(&s, "HEAD\r\n\r\n" FIRST TOLD("a", "Once ") TOLD("a", "upon") TOLD("a", " a time") STOP DONE);
        end(&s);
    }
    begin(&s, 200, "text/event-stream");
    assert_int_equal(feed(&s, STR(TOLD("a", "Once "))), UPSTREAM_TAKEN);
    intake_reset(&s.intake, 1);
    intake_begin(&s.intake, &response);
    s.intake.replays = true;
    splice_replay(&s.relay.given);
    assert_int_equal(feed(&s, STR(TOLD("b", "Only"))), UPSTREAM_ABORT);
    assert_true(s.intake.differs);
    assert_got(&s, "HEAD\r\n\r\n" TOLD("a", "Once "));
    end(&s);
}

/* How streams end that say so, that forget to, and that were cut within what nobody needs. */
static void ends_streams(void **state)
{
    static const struct {
        const char *sent, *closing, *seen;
    } cases[] = {
        {WORD STOP DONE, DONE, WORD STOP DONE},
        {WORD STOP, DONE, WORD STOP DONE},
        {WORD STOP, "", WORD STOP},
        {WORD STOP "data: [DONE]", DONE, WORD STOP DONE},
        {WORD STOP "data: [DONE]\n", DONE, WORD STOP DONE},
        {WORD STOP "data: [DONE]\r", DONE, WORD STOP "data: [DONE]\r\n\n"},
        {WORD STOP "data: [DONE]\r\r", DONE, WORD STOP "data: [DONE]\r\r\n"},
        {WORD STOP "data: {\"choices\":[]}", DONE, WORD STOP "data: {\"choices\":[]}\n\n" DONE},
        {WORD STOP "data: {\"choices\":[]}\n", DONE, WORD STOP USAGELESS DONE},
        {WORD STOP "data: {\"choices\":[]}", "", WORD STOP USAGELESS},
        {WORD STOP "data: {\"choices\":[],\"usage\":{}", DONE, WORD STOP DONE},
        {WORD STOP "data: {\"cho", DONE, WORD STOP DONE},
        {WORD STOP "da", DONE, WORD STOP DONE},
        {WORD STOP ": keep", DONE, WORD STOP DONE},
        {WORD STOP "data: {\"cho", "", WORD STOP},
    };
    struct scene s;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        begin(&s, 200, "text/event-stream");
        s.relay.chunked = true;
        s.intake.closing = str_of(cases[i].closing);
        assert_int_equal(feed(&s, str_of(cases[i].sent)), UPSTREAM_TAKEN);
        assert_int_equal(finish(&s), 0);
        assert_payload(&s, cases[i].seen);
        end(&s);
    }
}

/* To HTTP/1.0 there is no framing: the end of the connection is the end. */
static void leaves_frames_out(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, 200, "text/event-stream");
    s.intake.closing = STR(DONE);
    assert_int_equal(feed(&s, STR(WORD STOP)), UPSTREAM_TAKEN);
    assert_int_equal(finish(&s), 0);
    assert_got(&s, "HEAD\r\n\r\n" WORD STOP DONE);
    end(&s);
}

/* Held whole, and then sent with its length, unframed; an empty one too, and the body of an error. */
static void sends_whole_answers(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, 200, "application/json");
    s.relay.chunked = true;
    assert_int_equal(feed(&s, STR("{\"choices\"")), UPSTREAM_TAKEN);
    assert_int_equal(feed(&s, STR(":[]}")), UPSTREAM_TAKEN);
    assert_got(&s, "");
    assert_int_equal(s.commits, 0);
    assert_int_equal(finish(&s), 0);
    assert_int_equal(s.commits, 1);
    assert_int_equal(s.length, 14);
    assert_int_equal(s.relay.bytes, 14);
    assert_got(&s, "HEAD\r\n\r\n{\"choices\":[]}");
    end(&s);

    begin(&s, 200, "");
    s.relay.chunked = true;
    assert_int_equal(finish(&s), 0);
    assert_int_equal(s.length, 0);
    assert_got(&s, "HEAD\r\n\r\n");
    end(&s);

    begin(&s, 400, "text/event-stream");
    s.relay.chunked = true;
    assert_int_equal(feed(&s, STR("{\"error\":{}}")), UPSTREAM_TAKEN);
    assert_int_equal(finish(&s), 0);
    assert_got(&s, "HEAD\r\n\r\n{\"error\":{}}");
    end(&s);
}

static char *letters(size_t size)
{
    char *text = malloc(size + 1);

    assert_non_null(text);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + i % 26);
    text[size] = '\0';
    return text;
}

/* What is too large to be held flows, from its first byte on; up to the bound it does not. */
static void flows_above_a_megabyte(void **state)
{
    enum { PIECE = 16384 };
    struct scene s;
    char *body = letters(INTAKE_WHOLE_MAX + 100);

    (void)state;
    begin(&s, 200, "application/json");
    s.relay.chunked = true;
    for (size_t at = 0; at < INTAKE_WHOLE_MAX; at += PIECE)
        assert_int_equal(feed(&s, (struct str){body + at, PIECE}), UPSTREAM_TAKEN);
    assert_int_equal(s.intake.mode, INTAKE_WHOLE);
    assert_int_equal(s.commits, 0);
    assert_int_equal(feed(&s, (struct str){body + INTAKE_WHOLE_MAX, 100}), UPSTREAM_TAKEN);
    assert_int_equal(s.intake.mode, INTAKE_FLOW);
    assert_int_equal(s.commits, 1);
    assert_int_equal(s.length, SIZE_MAX);
    read_all(&s);
    assert_int_equal(feed(&s, STR("end")), UPSTREAM_TAKEN);
    assert_int_equal(finish(&s), 0);
    assert_int_equal(s.relay.bytes, INTAKE_WHOLE_MAX + 103);
    char *whole = malloc(INTAKE_WHOLE_MAX + 104);
    assert_non_null(whole);
    sprintf(whole, "%send", body);
    assert_payload(&s, whole);
    free(whole);
    end(&s);

    begin(&s, 200, "application/json");
    assert_int_equal(feed(&s, (struct str){body, INTAKE_WHOLE_MAX}), UPSTREAM_TAKEN);
    assert_int_equal(finish(&s), 0);
    assert_int_equal(s.length, INTAKE_WHOLE_MAX);
    end(&s);
    free(body);
}

static void bounds_what_it_holds(void **state)
{
    struct scene s;
    char *text = letters(2 * 1024 * 1024);
    enum upstream_flow flow = UPSTREAM_TAKEN;
    int pieces = 0;

    (void)state;
    /* An error is only kept for judging. */
    begin(&s, 500, "text/plain");
    for (int i = 0; i < 4; i++)
        assert_int_equal(feed(&s, (struct str){text, INTAKE_ERROR_MAX / 3}), UPSTREAM_TAKEN);
    assert_int_equal(buf_len(&s.intake.held), INTAKE_ERROR_MAX);
    end(&s);

    /* An event without an end. */
    begin(&s, 200, "text/event-stream");
    for (; flow == UPSTREAM_TAKEN && pieces < 100; pieces++)
        flow = feed(&s, (struct str){text, 65536});
    assert_int_equal(flow, UPSTREAM_ABORT);
    assert_int_equal(pieces, SSE_EVENT_MAX / 65536 + 1);
    end(&s);

    /* Preambles without an end. */
    begin(&s, 200, "text/event-stream");
    for (flow = UPSTREAM_TAKEN, pieces = 0; flow == UPSTREAM_TAKEN && pieces < 1000000; pieces++)
        flow = feed(&s, STR(FIRST));
    assert_int_equal(flow, UPSTREAM_ABORT);
    assert_int_equal(pieces, SSE_EVENT_MAX / strlen(FIRST) + 1);
    assert_false(s.relay.committed);
    end(&s);
    free(text);
}

/* A client that does not read: so much is queued for it and no more, and nothing is lost or doubled by the pause. */
static void pauses_for_a_slow_client(void **state)
{
    struct scene s;
    unsigned passed = 0;
    enum upstream_flow flow;

    (void)state;
    begin(&s, 200, "text/event-stream");
    while ((flow = feed(&s, STR(WORD))) == UPSTREAM_TAKEN && passed < 1000000)
        passed++;
    assert_int_equal(flow, UPSTREAM_PAUSE);
    assert_true(sock_pending(&s.client) >= SOCK_HIGH_WATER);
    assert_true(sock_pending(&s.client) < SOCK_HIGH_WATER + strlen(WORD));
    assert_int_equal(event_io_watched(&s.client.io) & EVENT_WRITE, EVENT_WRITE);
    assert_int_equal(feed(&s, STR(WORD)), UPSTREAM_PAUSE); /* asked again, it is still so */
    assert_int_equal(s.intake.events, passed);
    read_all(&s);
    assert_int_equal(s.drained, 1);
    assert_int_equal(feed(&s, STR(WORD)), UPSTREAM_TAKEN);
    read_all(&s);
    assert_int_equal(buf_len(&s.got), strlen("HEAD\r\n\r\n") + (passed + 1) * strlen(WORD));
    end(&s);
}

static void aborts_for_a_client_that_left(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, 200, "text/event-stream");
    assert_int_equal(feed(&s, STR(WORD)), UPSTREAM_TAKEN);
    close(s.peer);
    s.peer = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(feed(&s, STR(WORD)), UPSTREAM_ABORT);
    assert_true(s.client.failed);
    assert_int_equal(finish(&s), 0 /* unframed: nothing was left to say */);
    s.relay.chunked = true;
    assert_true(finish(&s) < 0);
    end(&s);
}

/* The next try begins with nothing of the last one. */
static void starts_over(void **state)
{
    struct upstream_response response = {.status = 200, .header_count = 1};
    struct scene s;

    (void)state;
    response.headers[0] = (struct http_header){STR("content-type"), STR("text/event-stream")};
    begin(&s, 200, "text/event-stream");
    assert_int_equal(feed(&s, STR(FIRST "data: {\"cho")), UPSTREAM_TAKEN);
    intake_reset(&s.intake, 1);
    intake_begin(&s.intake, &response);
    assert_int_equal(feed(&s, STR(FIRST ERROR)), UPSTREAM_ABORT);
    intake_reset(&s.intake, 1);
    intake_begin(&s.intake, &response);
    assert_false(s.intake.failed);
    assert_int_equal(feed(&s, STR(WORD)), UPSTREAM_TAKEN);
    assert_got(&s, "HEAD\r\n\r\n" WORD);
    assert_int_equal(s.intake.events, 1);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses_by_the_head),
        cmocka_unit_test(commits_at_the_first_content),
        cmocka_unit_test(frames_chunks),
        cmocka_unit_test(pieces_make_no_difference),
        cmocka_unit_test(aborts_on_an_error_first),
        cmocka_unit_test(keeps_an_error_later),
        cmocka_unit_test(ignores_an_error_past_the_end),
        cmocka_unit_test(holds_content),
        cmocka_unit_test(waits_for_every_choice),
        cmocka_unit_test(hears_the_usage),
        cmocka_unit_test(goes_on_with_a_replay),
        cmocka_unit_test(ends_streams),
        cmocka_unit_test(leaves_frames_out),
        cmocka_unit_test(sends_whole_answers),
        cmocka_unit_test(flows_above_a_megabyte),
        cmocka_unit_test(bounds_what_it_holds),
        cmocka_unit_test(pauses_for_a_slow_client),
        cmocka_unit_test(aborts_for_a_client_that_left),
        cmocka_unit_test(starts_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
