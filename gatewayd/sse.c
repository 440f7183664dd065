#include "gatewayd/sse.h"

#include "gatewayd/json.h"

/*
 * Relaying events is where a gateway for language models spends its life, so there are two looks at an event. Before the
 * answer is committed every event is taken apart; after it, a glance tells the end and the errors from the rest.
 */

static bool ends_line(char c)
{
    return c == '\n' || c == '\r';
}

size_t sse_event_end(struct str in, size_t *scanned)
{
    size_t at = *scanned; /* never between the CR and the LF of one line's end */
    while (at < in.len) {
        const char *nl = memchr(in.at + at, '\n', in.len - at);
        const char *cr = memchr(in.at + at, '\r', nl ? (size_t)(nl - in.at) - at : in.len - at);
        size_t end = cr ? (size_t)(cr - in.at) : nl ? (size_t)(nl - in.at) : in.len;
        at = end;
        if (end >= in.len)
            break;
        size_t next = end + 1;
        if (in.at[end] == '\r') {
            if (next >= in.len)
                break; /* a LF may follow that belongs to this line's end */
            if (in.at[next] == '\n')
                next++;
        }
        if (end == 0 || ends_line(in.at[end - 1])) { /* an empty line: the event is whole */
            *scanned = 0;
            return next;
        }
        at = next;
    }
    *scanned = at;
    return 0;
}

static struct str field(struct str event, struct str name)
{
    if (str_starts(event, STR("\xef\xbb\xbf"))) /* a byte order mark may open the stream */
        event = (struct str){event.at + 3, event.len - 3};
    while (event.len > 0) {
        size_t end = 0;
        while (end < event.len && !ends_line(event.at[end]))
            end++;
        if (end > name.len && memcmp(event.at, name.at, name.len) == 0 && event.at[name.len] == ':') {
            struct str value = {event.at + name.len + 1, end - name.len - 1};
            if (value.len > 0 && value.at[0] == ' ')
                value = (struct str){value.at + 1, value.len - 1};
            return value;
        }
        while (end < event.len && ends_line(event.at[end]))
            end++;
        event = (struct str){event.at + end, event.len - end};
    }
    return (struct str){"", 0};
}

struct str sse_data(struct str event)
{
    return field(event, STR("data"));
}

struct str sse_name(struct str event)
{
    return field(event, STR("event"));
}

/* Whether the data is spread over several lines: allowed, sent by nobody, and passed on without a look into it. */
static bool has_more_data(struct str event, struct str data)
{
    const char *end = event.at + event.len, *at = data.at + data.len;
    while (at < end && (*at == '\n' || *at == '\r'))
        at++;
    return field((struct str){at, (size_t)(end - at)}, STR("data")).len > 0;
}

static enum sse_kind kind_by_name(struct str name)
{
    static const struct str terminals[] = {
        {"message_stop", 12}, {"response.completed", 18}, {"response.incomplete", 19}};
    static const struct str preambles[] = {
        {"ping", 4}, {"message_start", 13}, {"content_block_start", 19}, {"response.created", 16},
        {"response.in_progress", 20}, {"response.output_item.added", 26}, {"response.content_part.added", 27}};
    if (str_eq(name, STR("error")) || str_eq(name, STR("response.failed")))
        return SSE_ERROR;
    for (size_t i = 0; i < sizeof terminals / sizeof *terminals; i++)
        if (str_eq(name, terminals[i]))
            return SSE_TERMINAL;
    for (size_t i = 0; i < sizeof preambles / sizeof *preambles; i++)
        if (str_eq(name, preambles[i]))
            return SSE_PREAMBLE;
    return SSE_CONTENT;
}

/* A text, list or object with something in it. */
static bool holds_something(struct json_value value)
{
    struct json_value first;
    if (value.type == JSON_ARRAY || value.type == JSON_OBJECT)
        return json_next(&value.text, NULL, &first);
    return value.type == JSON_STRING && value.text.len > 0;
}

/* Whether a chunk of a chat completion carries any of the answer: text, reasoning, a refusal, a tool call. */
static bool choice_has_content(struct str choice)
{
    const char *const names[] = {"delta", "text", "finish_reason"};
    struct json_value v[3];
    if (json_find(choice, names, v, 3, NULL) != 0)
        return true;
    if (holds_something(v[1]))
        return true;
    if (v[0].type != JSON_OBJECT)
        return false;
    struct str rest = v[0].text, name;
    struct json_value member;
    while (json_next(&rest, &name, &member)) {
        if (!str_eq(name, STR("role")) && holds_something(member))
            return true;
    }
    return false;
}

/* Some providers break off a stream with an error that is no event but the bare object they send otherwise. */
static bool is_bare_error(struct str event)
{
    return event.len > 0 && event.at[0] == '{' && json_path(event, "error").type == JSON_OBJECT;
}

enum sse_kind sse_judge(struct str event)
{
    struct str data = sse_data(event), name = sse_name(event);
    if (data.len == 0)
        return str_eq(name, STR("error")) || is_bare_error(event) ? SSE_ERROR : SSE_COMMENT;
    if (str_eq(str_trim(data), STR("[DONE]")))
        return SSE_TERMINAL;

    const char *const names[] = {"error", "choices", "type"};
    struct json_value v[3];
    if (json_find(data, names, v, 3, NULL) != 0)
        return has_more_data(event, data) ? SSE_CONTENT : SSE_BAD;
    if (v[0].type != JSON_NONE && v[0].type != JSON_NULL)
        return SSE_ERROR;
    if (v[1].type != JSON_ARRAY) {
        if (name.len == 0 && v[2].type == JSON_STRING)
            name = v[2].text;
        return name.len ? kind_by_name(name) : v[1].type == JSON_NONE ? SSE_CONTENT : SSE_PREAMBLE;
    }
    enum sse_kind kind = SSE_PREAMBLE;
    struct str rest = v[1].text;
    struct json_value choice;
    while (json_next(&rest, NULL, &choice)) {
        struct json_value reason = json_path(choice.text, "finish_reason");
        bool content = choice_has_content(choice.text);
        /* Some say "" where others say null. To stop of its own accord without a word is no answer; to be cut short by
         * the caller's own limit is one. */
        if (reason.type == JSON_STRING && reason.text.len > 0 && (content || !json_str_eq(reason, STR("stop"))))
            return SSE_FINISH;
        if (content)
            kind = SSE_CONTENT;
    }
    return kind;
}

/* A member of that name whose value is a text that is not empty. Within a text its quotes would be escaped, so only a
 * text that is nothing but the name looks like it, and no colon follows that. */
static bool has_text_member(struct str data, struct str quoted)
{
    const char *end = data.at + data.len, *at;
    while ((at = memmem(data.at, data.len, quoted.at, quoted.len)) != NULL) {
        bool colon = false;
        for (at += quoted.len; at < end && (*at == ' ' || *at == '\t' || (*at == ':' && !colon)); at++)
            colon = colon || *at == ':';
        if (colon && end - at >= 2 && at[0] == '"' && at[1] != '"')
            return true;
        data = (struct str){at, (size_t)(end - at)};
    }
    return false;
}

static bool contains(struct str s, struct str part)
{
    return memmem(s.at, s.len, part.at, part.len) != NULL;
}

/* Nothing but one line of data, which is what nearly every event is. */
static bool is_plain(struct str event, struct str data)
{
    return data.at && data.len > 0 && str_starts(event, STR("data:")) &&
           event.at + event.len - (data.at + data.len) <= 4; /* two line ends */
}

enum sse_kind sse_glance(struct str event)
{
    struct str data = str_trim(sse_data(event));
    bool plain = is_plain(event, data);
    if (plain && str_eq(data, STR("[DONE]")))
        return SSE_TERMINAL;
    bool whole = plain && data.at[0] == '{' && data.at[data.len - 1] == '}';
    if (whole && !contains(data, STR("\"error\""))) {
        if (has_text_member(data, STR("\"finish_reason\"")))
            return SSE_FINISH;
        if (!contains(data, STR("\"type\"")))
            return SSE_CONTENT;
    }
    enum sse_kind kind = sse_judge(event);
    return kind == SSE_PREAMBLE ? SSE_CONTENT : kind;
}
