/*
 * Events: where they end, however their lines end and however they arrive; what those of every provider mean, looked at
 * with care and at a glance; and that a glance is not fooled by an answer that talks about finish reasons and errors.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "gatewayd/sse.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void assert_str(struct str got, const char *want)
{
    if (got.len != strlen(want) || memcmp(got.at, want, got.len) != 0)
        fail_msg("\"%.*s\" instead of \"%s\"", (int)got.len, got.at, want);
}

static const struct {
    struct str in;
    size_t ends[6]; /* of the whole events, 0 after the last */
} streams[] = {
    {STR(""), {0}},
    {STR("\n"), {1}},
    {STR("\n\n"), {1, 2}},
    {STR("\r\n\r\n"), {2, 4}},
    {STR("data: a"), {0}},
    {STR("data: a\n"), {0}},
    {STR("data: a\n\n"), {9}},
    {STR("data: a\r\n\r\n"), {11}},
    {STR("data: a\r\n\r"), {0}}, /* the line feed that belongs to it is still to come */
    {STR("data: a\r\r"), {0}},
    {STR("data: a\r\rb"), {9}},
    {STR("data: a\r\r\n"), {10}},
    {STR("data: a\n\r\n"), {10}},
    {STR("data: a\r\n\n"), {10}},
    {STR("data: a\n\rdata: b\n\n"), {9, 18}},
    {STR("data: a\n\ndata: b\r\n\r\ndata: c\r\r: d"), {9, 20, 29}},
    {STR("data: a\ndata: b\nid: 1\n\n: x\n\n"), {23, 28}},
    {STR("\xef\xbb\xbf" "data: a\n\n"), {12}},
    {STR("data: a\0\n\n"), {10}},
};

/* Cut the input at every place, and at every byte: the ends are always the same. */
static void ends_events(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(streams); i++) {
        struct str in = streams[i].in;
        for (size_t step = 1; step <= in.len + 1; step++) {
            size_t begin = 0, scanned = 0, found = 0;
            for (size_t have = 0;; have = have + step < in.len ? have + step : in.len) {
                size_t len;
                while ((len = sse_event_end((struct str){in.at + begin, have - begin}, &scanned)) > 0) {
                    begin += len;
                    assert_int_equal(scanned, 0);
                    assert_true(found < COUNT(streams[i].ends));
                    assert_int_equal(begin, streams[i].ends[found++]);
                }
                if (have == in.len)
                    break;
            }
            assert_true(found == COUNT(streams[i].ends) || streams[i].ends[found] == 0);
        }
    }
}

/* A long line that trickles in is not looked at again from its beginning: no byte is read a second time. */
static void looks_at_each_byte_once(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE);
    size_t scanned = 0;

    assert_non_null(text);
    memset(text, 'x', SIZE);
    for (size_t len = 1; len <= SIZE; len++) {
        assert_int_equal(sse_event_end((struct str){text, len}, &scanned), 0);
        assert_int_equal(scanned, len);
    }
    free(text);
}

static void finds_fields(void **state)
{
    static const struct {
        const char *event, *data, *name;
    } cases[] = {
        {"data: a\n\n", "a", ""},
        {"data:a\n\n", "a", ""},
        {"data:  a \n\n", " a ", ""},
        {"data:\n\n", "", ""},
        {"data\n\n", "", ""},
        {"datax: a\n\n", "", ""},
        {" data: a\n\n", "", ""},
        {"data: a\r\n\r\n", "a", ""},
        {"data: a\r\r", "a", ""},
        {"data: a", "a", ""},
        {"event: ping\ndata: {}\n\n", "{}", "ping"},
        {"data: {}\nevent:ping\n\n", "{}", "ping"},
        {": comment\nid: 7\nevent: x\nretry: 1\ndata: y\n\n", "y", "x"},
        {"data: a\ndata: b\n\n", "a", ""},
        {"data:\ndata: b\n\n", "b", ""},
        {"{\"error\":{}}\n\n", "{\"error\":{}}\n\n", ""},
        {"{\"data\":{}}\n\n", "", ""},
        {"\xef\xbb\xbf" "data: a\n\n", "a", ""},
        {"", "", ""},
        {"\n", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_str(sse_data(str_of(cases[i].event)), cases[i].data);
        assert_str(sse_name(str_of(cases[i].event)), cases[i].name);
    }
}

enum { SAME = -1 };

/* What a glance says instead: never PREAMBLE, which is CONTENT by then. */
static const struct {
    const char *event;
    enum sse_kind judged;
    int glanced;
} events[] = {
    /* Nothing said. */
    {"\n", SSE_COMMENT, SAME},
    {": keep-alive\n\n", SSE_COMMENT, SAME},
    {": OPENROUTER PROCESSING\n\n", SSE_COMMENT, SAME},
    {"id: 5\nretry: 10\n\n", SSE_COMMENT, SAME},
    {"data:\n\n", SSE_COMMENT, SAME},
    {"event: ping\n\n", SSE_COMMENT, SAME},

    /* OpenAI, chat. */
    {"data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
     "\"finish_reason\":null}]}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[],"
     "\"function_call\":{}},\"finish_reason\":null}]}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"\"}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"Hm\"}}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"refusal\":\"No\"}}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\"}}]}}]}\n\n",
     SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n", SSE_FINISH, SAME},
    /* To stop without having said a word is no answer; to run into the caller's limit is one. */
    {"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", SSE_PREAMBLE, SSE_FINISH},
    {"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n", SSE_FINISH, SAME},
    {"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"error\":null}\n\n", SSE_PREAMBLE, SSE_FINISH},
    {"id: 3\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", SSE_PREAMBLE, SSE_FINISH},
    {"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"type\":\"x\"}\n\n", SSE_PREAMBLE, SSE_FINISH},
    {"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\" :\t\"length\"}]}\r\n\r\n",
     SSE_FINISH, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}},{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", SSE_FINISH,
     SAME},
    {"data: {\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"data: {\"choices\":null,\"usage\":{\"total_tokens\":3}}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"data: {\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"data: [DONE]\n\n", SSE_TERMINAL, SAME},
    {"data:[DONE]\r\n\r\n", SSE_TERMINAL, SAME},
    {"data:  [DONE] \r\r", SSE_TERMINAL, SAME},
    {"data: [DONE]", SSE_TERMINAL, SAME},
    {"id: 9\ndata: [DONE]\n\n", SSE_TERMINAL, SAME},

    /* OpenAI, completions. */
    {"data: {\"choices\":[{\"text\":\"\",\"finish_reason\":null}]}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"data: {\"choices\":[{\"text\":\"Hi\",\"finish_reason\":null}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n", SSE_PREAMBLE, SSE_FINISH},

    /* OpenAI, responses: by the event's name, or the type in its data. */
    {"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"error\":null}}\n\n", SSE_PREAMBLE,
     SSE_CONTENT},
    {"event: response.in_progress\ndata: {\"type\":\"response.in_progress\"}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"data: {\"type\":\"response.output_item.added\",\"item\":{}}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"data: {\"type\":\"response.content_part.added\"}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n",
     SSE_CONTENT, SAME},
    {"event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{}}}\n\n", SSE_TERMINAL,
     SAME},
    {"data: {\"type\":\"response.completed\",\"response\":{\"error\":null}}\n\n", SSE_TERMINAL, SAME},
    {"data: {\"type\":\"response.incomplete\"}\n\n", SSE_FINISH, SSE_TERMINAL},
    {"event: message\ndata: {\"type\":\"response.incomplete\"}\n\n", SSE_FINISH, SSE_TERMINAL},
    {"event: response.completed\ndata: {\"type\":\"response\"}\n\n", SSE_TERMINAL, SAME},
    {"data: {\"type\":\"response.output_text.delta\",\"delta\":\"\"}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"data: {\"type\":\"response.function_call_arguments.delta\",\"delta\":\"{\\\"a\"}\n\n", SSE_CONTENT, SAME},
    {"data: {\"type\":\"response.reasoning_summary_text.delta\",\"delta\":\"Hm\"}\n\n", SSE_CONTENT, SAME},
    {"data: {\"type\":\"response.reasoning_text.delta\",\"delta\":\"Hm\"}\n\n", SSE_CONTENT, SAME},
    {"data: {\"type\":\"response.refusal.delta\",\"delta\":\"No\"}\n\n", SSE_CONTENT, SAME},
    {"data: {\"type\":\"response.output_text.done\",\"text\":\"Hi\"}\n\n", SSE_CONTENT, SAME},
    {"event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"x\"}}}\n\n",
     SSE_ERROR, SAME},
    {"data: {\"type\":\"response.failed\"}\n\n", SSE_ERROR, SAME},
    {"data: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\",\"param\":null,\"sequence_number\":3}\n\n",
     SSE_ERROR, SAME},
    {"event: error\ndata: {\"type\":\"error\",\"code\":\"x\",\"message\":\"m\"}\n\n", SSE_ERROR, SAME},

    /* Anthropic. */
    {"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1}}}\n\n",
     SSE_PREAMBLE, SSE_CONTENT},
    {"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"content_block\":{\"text\":\"\"}}\n\n",
     SSE_PREAMBLE, SSE_CONTENT},
    {"event: ping\ndata: {\"type\": \"ping\"}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"Hi\"}}\n\n",
     SSE_CONTENT, SAME},
    {"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\","
     "\"text\":\"\"}}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"input_json_delta\","
     "\"partial_json\":\"{\"}}\n\n", SSE_CONTENT, SAME},
    {"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n",
     SSE_PREAMBLE, SSE_FINISH},
    {"data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"max_tokens\",\"stop_sequence\":null}}\n\n",
     SSE_FINISH, SAME},
    {"event: message_delta\ndata: {\"delta\":{\"stop_reason\":\"tool_use\"}}\n\n", SSE_FINISH, SAME},
    {"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null},\"usage\":"
     "{\"output_tokens\":1}}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":1}}\n\n", SSE_PREAMBLE,
     SSE_CONTENT},
    {"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", SSE_TERMINAL, SAME},
    {"data: {\"type\":\"message_stop\"}\n\n", SSE_TERMINAL, SAME},
    {"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n",
     SSE_ERROR, SAME},

    /* Gemini's own. */
    {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}],\"role\":\"model\"},\"index\":0}],"
     "\"usageMetadata\":{\"promptTokenCount\":3}}\r\n\r\n", SSE_CONTENT, SAME},
    {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":"
     "{\"finishReason\":\"x\",\"error\":1,\"finish_reason\":\"x\"}}}]}}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\",\"thoughtSignature\":\"Ab\"}]}}]}\n\n",
     SSE_PREAMBLE, SSE_CONTENT},
    {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hm\",\"thought\":true}]}}]}\n\n", SSE_CONTENT,
     SAME},
    {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\".\"}]},\"finishReason\":\"STOP\"}]}\n\n",
     SSE_FINISH, SAME},
    {"data: {\"candidates\": [{\"finishReason\": \"STOP\",\"index\": 0}]}\n\n", SSE_PREAMBLE, SSE_FINISH},
    {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\"}]}\n\n",
     SSE_PREAMBLE, SSE_FINISH},
    {"data: {\"candidates\":[{\"finishReason\":\"MAX_TOKENS\"}]}\n\n", SSE_FINISH, SAME},
    {"data: {\"candidates\":[{\"finishReason\":\"SAFETY\"}]}\n\n", SSE_FINISH, SAME},
    {"data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":{}}\n\n", SSE_FINISH, SSE_CONTENT},
    {"data: {\"promptFeedback\":{\"safetyRatings\":[]}}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"data: {\"usageMetadata\":{\"promptTokenCount\":3},\"modelVersion\":\"gemini\"}\n\n", SSE_PREAMBLE, SSE_CONTENT},

    /* Errors of the others. */
    {"data: {\"event_type\":\"error\",\"error\":{\"code\":\"quota_exceeded\"}}\n\n", SSE_ERROR, SAME},
    {"data: {\"event_type\":\"error\"}\n\n", SSE_ERROR, SAME},
    {"data: {\"object\":\"error\",\"message\":\"m\",\"type\":\"BadRequestError\",\"code\":400}\n\n", SSE_ERROR, SAME},
    {"data: {\"object\":\"error\",\"message\":\"m\"}\n\n", SSE_ERROR, SAME},
    {"event: message\ndata: {\"type\":\"error\",\"message\":\"m\"}\n\n", SSE_ERROR, SAME},
    {"event: error\ndata: overloaded\n\n", SSE_ERROR, SAME},
    {"event: error\ndata: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n", SSE_ERROR, SAME},
    {"{\"error\":\"overloaded\"}\r\n\r\n", SSE_ERROR, SAME},
    {"{\"errors\":{}}\n\n", SSE_COMMENT, SAME},
    {"data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\"}}\n\n", SSE_ERROR, SAME},
    {"data: {\"error\":\"overloaded\"}\n\n", SSE_ERROR, SAME},
    {"data: { \"id\":\"x\", \"error\" : {\"code\":502}, \"choices\":[]}\n\n", SSE_ERROR, SAME},
    {"data: {\"error\":{\"code\":\"server_error\"},\"choices\":[{\"delta\":{\"content\":\"\"},"
     "\"finish_reason\":\"error\"}]}\n\n", SSE_ERROR, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"error\":null}\n\n", SSE_CONTENT, SAME},
    {"event: error\n\n", SSE_ERROR, SAME},
    {"event: error\ndata: {\"message\":\"m\"}\n\n", SSE_ERROR, SAME},
    {"data: {\"message\":\"m\"}\nevent: error\n\n", SSE_ERROR, SAME},
    {": c\nevent: error\ndata: {\"message\":\"m\"}\n\n", SSE_ERROR, SAME},
    {"\xef\xbb\xbf" "data: {\"error\":{}}\n\n", SSE_ERROR, SAME},
    {"{\n  \"error\": {\n    \"code\": 429,\n    \"status\": \"RESOURCE_EXHAUSTED\"\n  }\n}\n\n", SSE_ERROR, SAME},
    {"{\"error\":{\"code\":429}}\n\n", SSE_ERROR, SAME},

    /* No JSON. */
    {"data: hello\n\n", SSE_BAD, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"half a\n\n", SSE_BAD, SAME},
    {"event: content_block_delta\ndata: {\"choices\":[{\"delta\"\n\n", SSE_BAD, SAME},
    {"data: [1,2]\n\n", SSE_BAD, SAME},
    {"data: [DONE\n\n", SSE_BAD, SAME},
    {"data: {\"choices\":[]}\ndata: {\"choices\":[]}\n\n", SSE_BAD, SAME}, /* what joins them finds no JSON either */

    /* Over several lines: sent by nobody, and understood. */
    {"data: {\"choices\":\ndata: []}\n\n", SSE_PREAMBLE, SSE_CONTENT},
    {"data: {\ndata:\ndata: \"error\":\r\nid: 1\r\ndata: {\"code\":1}}\n\n", SSE_ERROR, SAME},
    {"data:\ndata: {\"type\":\"message_stop\"}\n\n", SSE_TERMINAL, SAME},
    {"data: {\"choices\":[{\"delta\":{},\ndata: \"finish_reason\":\"length\"}]}\n\n", SSE_FINISH, SAME},
    {"data: [DONE]\ndata:\n\n", SSE_TERMINAL, SAME},

    /* An answer that talks about all this. */
    {"data: {\"choices\":[{\"delta\":{\"content\":\"\\\"finish_reason\\\":\\\"stop\\\"\"},"
     "\"finish_reason\":null}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"\\\"finish_reason\\\":\\\"stop\\\"\"}}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"finish_reason\"}}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"finish_reason\"},\"finish_reason\":\"stop\"}]}\n\n", SSE_FINISH,
     SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"finish_reason\",\"x\":\"stop\"}}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"\\\"error\\\": {}\"}}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"error\"}}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"[DONE]\"}}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"event: error\\n\\ndata: [DONE]\"}}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"\\\"type\\\":\\\"error\\\"\"}}]}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"object\":\"error\"}\n\n", SSE_CONTENT, SAME},
    {"data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"error\"}]}\n\n", SSE_FINISH, SAME},
};

static void judges(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(events); i++) {
        struct str event = str_of(events[i].event);
        char *copy = malloc(event.len); /* of its exact size: a byte too many would be seen */
        assert_non_null(copy);
        memcpy(copy, event.at, event.len);
        enum sse_kind judged = sse_judge((struct str){copy, event.len});
        enum sse_kind glanced = sse_glance((struct str){copy, event.len});
        enum sse_kind want = events[i].glanced == SAME ? events[i].judged : (enum sse_kind)events[i].glanced;
        if (judged != events[i].judged || glanced != want)
            fail_msg("judged %d (not %d), glanced %d (not %d): %s", (int)judged, (int)events[i].judged, (int)glanced,
                     (int)want, events[i].event);
        free(copy);
    }
}

/* Any piece of any event may be looked at: nothing is read beyond it, and a glance is never a preamble. */
static void takes_any_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(events); i++) {
        struct str event = str_of(events[i].event);
        for (size_t len = 0; len < event.len; len++) {
            char *copy = malloc(len ? len : 1);
            assert_non_null(copy);
            memcpy(copy, event.at, len);
            sse_judge((struct str){copy, len});
            assert_int_not_equal(sse_glance((struct str){copy, len}), SSE_PREAMBLE);
            free(copy);
        }
    }
}

static void joins_data(void **state)
{
    static const struct {
        const char *event, *data;
    } cases[] = {
        {"data: a\n\n", "a"},
        {"data: a\ndata: b\ndata:\r\ndata:c\n\n", "a\nb\nc"},
        {"data: a\nevent: x\rdata: bc\r\r", "a\nbc"},
        {"data: abc\ndata: de\n\n", NULL}, /* one byte too many */
        {"data: much longer than the room\n\n", "much longer than the room"},
        {": c\n\n", ""},
        {"{\"error\":{}}", "{\"error\":{}}"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char room[5];
        struct str data = sse_whole_data(str_of(cases[i].event), room, sizeof room);
        if (cases[i].data)
            assert_str(data, cases[i].data);
        else
            assert_null(data.at);
    }
}

/* Data over so many lines that it is not joined goes by the event's name. */
static void passes_long_data(void **state)
{
    enum { LINES = SSE_SPREAD_MAX / 8 };
    static char event[64 + 16 * LINES];
    size_t len = (size_t)sprintf(event, "event: response.completed\n");

    (void)state;
    for (int i = 0; i < LINES; i++)
        len += (size_t)sprintf(event + len, "data: 12345678\n");
    len += (size_t)sprintf(event + len, "\n");
    assert_int_equal(sse_judge((struct str){event, len}), SSE_TERMINAL);
    assert_int_equal(sse_glance((struct str){event, len}), SSE_TERMINAL);
    assert_int_equal(sse_judge((struct str){event + 26, len - 26}), SSE_CONTENT);
}

static void counts_finishes(void **state)
{
    static const struct {
        const char *event;
        unsigned count;
    } cases[] = {
        {"data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", 1},
        {"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"},{\"finish_reason\":\"length\"},"
         "{\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}\n\n", 2},
        {"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"\"}]}\n\n", 0},
        {"data: {\"choices\":[],\"usage\":{}}\n\n", 0},
        {"data: {\"candidates\":[{\"finishReason\":\"STOP\"},{\"finishReason\":\"STOP\"}]}\n\n", 2},
        {"data: {\"promptFeedback\":{\"blockReason\":\"OTHER\"}}\n\n", 1},
        {"data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n", 1},
        {"data: {\"type\":\"message_delta\",\"delta\":{}}\n\n", 0},
        {"data: {\"type\":\"message_stop\"}\n\n", 0},
        {"data: [DONE]\n\n", 0},
        {"data: {\"error\":{},\"choices\":[{\"finish_reason\":\"error\"}]}\n\n", 0},
        {": c\n\n", 0},
        {"data: {\"choices\":[{\"finish_reason\":\"stop\"}]\n\n", 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (sse_finishes(str_of(cases[i].event)) != cases[i].count)
            fail_msg("not %u: %s", cases[i].count, cases[i].event);
}

static void closes_streams(void **state)
{
    const char *const done = "data: [DONE]\n\n";
    const char *const stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

    (void)state;
    assert_str(sse_closing(STR("/chat/completions")), done);
    assert_str(sse_closing(STR("/chat/completions?api-version=1")), done);
    assert_str(sse_closing(STR("/completions")), done);
    assert_str(sse_closing(STR("/messages")), stop);
    assert_str(sse_closing(STR("/messages?beta=true")), stop);
    assert_str(sse_closing(STR("/messages/count_tokens")), "");
    assert_str(sse_closing(STR("/responses")), "");
    assert_str(sse_closing(STR("")), "");
    assert_int_equal(sse_judge(sse_closing(STR("/completions"))), SSE_TERMINAL);
    assert_int_equal(sse_judge(sse_closing(STR("/messages"))), SSE_TERMINAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_events),
        cmocka_unit_test(looks_at_each_byte_once),
        cmocka_unit_test(finds_fields),
        cmocka_unit_test(judges),
        cmocka_unit_test(takes_any_bytes),
        cmocka_unit_test(joins_data),
        cmocka_unit_test(passes_long_data),
        cmocka_unit_test(counts_finishes),
        cmocka_unit_test(closes_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
