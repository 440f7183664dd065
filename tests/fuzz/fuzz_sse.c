/*
 * Events from a hostile peer. The promises: where events end does not depend on how the stream was cut into pieces; a
 * glance sees what a careful look sees, but for what is no JSON; content having passed changes only what its lack had
 * meant; and the events that end a stream of ours are ends.
 */

#include "gatewayd/sse.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition) ((condition) ? (void)0 : broken(__LINE__, #condition))

const struct fuzz_word fuzz_seeds[] = {
    WORD(" data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a word\"},\"finish_reason\":null}]}\n\n"
         "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\ndata: [DONE]\n\n"),
    WORD(" event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n"
         "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
    WORD(" data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]},\"finishReason\":\"STOP\"}]}\r\n\r\n"
         "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\r\n\r\n"),
    WORD(" event: error\rdata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\r\r: keep-alive\n\n"),
    WORD(" {\n  \"error\": {\n    \"code\": 429\n  }\n}\n\ndata: {\"type\":\"response.completed\"}\n\n"),
    WORD(" \xef\xbb\xbf" "data: {\"object\":\"error\",\ndata: \"message\":\"m\",\ndata:\ndata: \"code\":400}\n\n"),
    WORD(" data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"type\":\"function\",\"function\":{\"arguments\":"
         "\"{\\\"error\\\":1}\"}}]}}]}\n\n"),
};
const size_t fuzz_seed_count = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);

const struct fuzz_word fuzz_words[] = {
    WORD("\n"), WORD("\r"), WORD("\r\n"), WORD("\n\n"), WORD("\0"), WORD("data:"), WORD("data: "), WORD("\ndata: "),
    WORD("event: error\n"), WORD("event: x\n"), WORD(": "), WORD("{"), WORD("}"), WORD("["), WORD("]"), WORD(","),
    WORD("\""), WORD("\\"), WORD(" "), WORD("\"error\""), WORD("\"error\":{},"), WORD("\"error\":null,"),
    WORD("\"type\":\"error\","), WORD("\"type\":\"message_stop\","), WORD("\"object\":\"error\","), WORD("null"),
    WORD("\"finish_reason\""), WORD("\"finish_reason\" : \"length\","), WORD("\"finishReason\":\"MAX_TOKENS\","),
    WORD("\"stop\""), WORD("\"\""), WORD("\"choices\":[],"), WORD("\"choices\":null,"), WORD("\"candidates\":[{}],"),
    WORD("\"text\":\"x\","), WORD("\"delta\":\"x\","), WORD("\"event_type\":"), WORD("[DONE]"), WORD("\xef\xbb\xbf"),
    WORD("\xff"),
};
const size_t fuzz_word_count = sizeof(fuzz_words) / sizeof(fuzz_words[0]);

static void broken(int line, const char *what)
{
    fprintf(stderr, "fuzz_sse.c:%d: not so: %s\n", line, what);
    abort();
}

/* Names are not recognized at a glance when they are written with escapes. */
static bool has_unicode_escape(struct str event)
{
    return memmem(event.at, event.len, "\\u", 2) != NULL;
}

static void check_event(struct str event)
{
    enum sse_kind first = sse_judge(event), later = sse_judge_on(event), glance = sse_glance(event);
    unsigned finishes = sse_finishes(event);

    MUST(later != SSE_PREAMBLE && glance != SSE_PREAMBLE);
    if (later != glance && !has_unicode_escape(event))
        MUST(later == SSE_BAD && glance == SSE_CONTENT);
    if (first != later)
        MUST(first == SSE_PREAMBLE ? later == SSE_CONTENT || later == SSE_FINISH
                                   : first == SSE_FINISH && later == SSE_CONTENT);
    MUST(first != SSE_FINISH || finishes > 0);
    MUST(finishes == 0 || first == SSE_FINISH || first == SSE_PREAMBLE);
}

/* Data is part of the event, or of the room. */
static void check_data(struct str event)
{
    char room[64];
    struct str data = sse_data(event), whole = sse_whole_data(event, room, sizeof room), name = sse_name(event);

    MUST(data.len == 0 || (data.at >= event.at && data.at + data.len <= event.at + event.len));
    MUST(name.len == 0 || (name.at >= event.at && name.at + name.len <= event.at + event.len));
    if (whole.at == room)
        MUST(whole.len <= sizeof room && data.len < whole.len && memcmp(room, data.at, data.len) == 0);
    else if (whole.at)
        MUST(str_eq(whole, data));
}

/* As a relay reads it: what has arrived grows by `step`, and whole events are taken off its front. */
static size_t next_end(struct str in, size_t from, size_t step, size_t *have, size_t *scanned)
{
    for (;;) {
        size_t len = sse_event_end((struct str){in.at + from, *have - from}, scanned);
        if (len > 0)
            return from + len;
        if (*have == in.len)
            return 0;
        *have = *have + step < in.len ? *have + step : in.len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str in = {(const char *)data + 1, size - 1};
    size_t step = 1 + data[0] % 23, from = 0, at_once = 0, in_pieces = 0, have = 0, all = in.len;

    for (;;) {
        size_t end = next_end(in, from, 1, &all, &at_once);
        /* A CR at the very end of a piece waits for its LF, so both see the same. */
        MUST(next_end(in, from, step, &have, &in_pieces) == end);
        if (end == 0)
            break;
        MUST(end > from && end <= in.len && at_once == 0 && in_pieces == 0);
        check_event((struct str){in.at + from, end - from});
        check_data((struct str){in.at + from, end - from});
        from = end;
    }
    check_event((struct str){in.at + from, in.len - from});
    check_data((struct str){in.at + from, in.len - from});
    return 0;
}
