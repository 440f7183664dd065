#include "gatewayd/sse.h"

#include "gatewayd/json.h"

/*
 * Relaying events is where a gateway for language models spends its life, so there are two looks at an event. Before
 * the answer is committed every event is taken apart; after it, a glance tells the end and the errors from the rest.
 */

static bool ends_line(char c)
{
    return c == '\n' || c == '\r';
}

size_t sse_event_end(struct str in, size_t *scanned)
{
    size_t at = *scanned; /* never between the CR and the LF of one line's end */
    if (at == 0 && in.len > 2) { /* nearly always: one line, an empty one, and no CR */
        const char *nl = memchr(in.at, '\n', in.len - 1);
        if (nl && nl[1] == '\n' && nl != in.at && !memchr(in.at, '\r', (size_t)(nl - in.at)))
            return (size_t)(nl - in.at) + 2;
    }
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

/* `begun`: content has passed before this event. */
static enum sse_kind take_apart(struct str event, bool begun)
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
        bool answered = begun || content || !json_str_eq(reason, STR("stop"));
        if (reason.type == JSON_STRING && reason.text.len > 0 && answered)
            return SSE_FINISH;
        if (content)
            kind = SSE_CONTENT;
    }
    return kind;
}

enum sse_kind sse_judge(struct str event)
{
    return take_apart(event, false);
}

/* Where a colon and a text that is not empty follow, past the name of a member. */
static bool text_follows(const char *at, const char *end)
{
    bool colon = false;
    for (; at < end && (*at == ' ' || *at == '\t' || (*at == ':' && !colon)); at++)
        colon = colon || *at == ':';
    return colon && end - at >= 2 && at[0] == '"' && at[1] != '"';
}

static bool is_at(const char *at, const char *end, struct str text)
{
    return (size_t)(end - at) >= text.len && memcmp(at, text.at, text.len) == 0;
}

/* Sixteen bytes at a time, on any machine. */
typedef signed char lanes __attribute__((vector_size(16)));

static bool any(lanes mask)
{
    uint64_t halves[2];
    memcpy(halves, &mask, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

/* What the names of the members say of an event that is one object in one line. */
struct names {
    bool finish;  /* a finish reason with something in it */
    bool careful; /* names that may mean anything: look at it with care */
};

static void look_at_quote(const char *at, const char *end, struct names *names)
{
    if (is_at(at, end, STR("\"finish_reason\"")))
        names->finish = names->finish || text_follows(at + 15, end);
    else
        names->careful = names->careful || is_at(at, end, STR("\"error\"")) || is_at(at, end, STR("\"type\""));
}

/*
 * Only a quote before one of three letters is looked at more closely, which nearly always is once: at
 * "finish_reason":null. Within a text quotes are escaped, so only a text that is nothing but the name looks like it,
 * and then no colon follows, or it is looked at with care.
 */
static struct names find_names(struct str data)
{
    const char *end = data.at + data.len;
    struct names names = {false, false};
    size_t i = 0;
    for (; i + 17 <= data.len; i += 16) {
        lanes here, next;
        memcpy(&here, data.at + i, sizeof here);
        memcpy(&next, data.at + i + 1, sizeof next);
        if (!any((here == '"') & ((next == 'e') | (next == 'f') | (next == 't'))))
            continue;
        for (const char *at = data.at + i; at < data.at + i + 16; at++)
            if (*at == '"')
                look_at_quote(at, end, &names);
    }
    for (; i < data.len; i++)
        if (data.at[i] == '"')
            look_at_quote(data.at + i, end, &names);
    return names;
}

/* The most common event by far: one line of data, an object, and an empty line. */
static bool is_plain_object(struct str event, struct str *data)
{
    if (event.len < 10 || memcmp(event.at, "data: {", 7) != 0 || memcmp(event.at + event.len - 2, "\n\n", 2) != 0)
        return false;
    *data = str_trim((struct str){event.at + 6, event.len - 8});
    return data->at[data->len - 1] == '}' && !memchr(data->at, '\n', data->len) && !memchr(data->at, '\r', data->len);
}

enum sse_kind sse_glance(struct str event)
{
    struct str data;
    if (is_plain_object(event, &data)) {
        struct names names = find_names(data);
        if (!names.careful)
            return names.finish ? SSE_FINISH : SSE_CONTENT;
    }
    enum sse_kind kind = take_apart(event, true);
    return kind == SSE_PREAMBLE ? SSE_CONTENT : kind;
}
