#include "gatewayd/sse.h"

#include "gatewayd/json.h"

/*
 * Relaying events is where a gateway for language models spends its life, so there are two looks at an event. Before
 * the answer is committed every event is taken apart (sse_judge.c); after it, a glance tells the end and the errors
 * from the rest.
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

/* The next line of an event, without its end. */
static bool next_line(struct str *rest, struct str *line)
{
    if (rest->len == 0)
        return false;
    const char *nl = memchr(rest->at, '\n', rest->len);
    size_t end = nl ? (size_t)(nl - rest->at) : rest->len;
    const char *cr = memchr(rest->at, '\r', end);
    if (cr)
        end = (size_t)(cr - rest->at);
    *line = (struct str){rest->at, end};
    end += end < rest->len;
    *rest = (struct str){rest->at + end, rest->len - end};
    return true;
}

/* The next line that is a field of that name, as its value. */
static bool next_field(struct str *rest, struct str name, struct str *value)
{
    struct str line;
    while (next_line(rest, &line)) {
        if (line.len <= name.len || line.at[name.len] != ':' || memcmp(line.at, name.at, name.len) != 0)
            continue;
        size_t skip = name.len + 1;
        skip += line.len > skip && line.at[skip] == ' ';
        *value = (struct str){line.at + skip, line.len - skip};
        return true;
    }
    return false;
}

static struct str without_mark(struct str event)
{
    if (str_starts(event, STR("\xef\xbb\xbf"))) /* a byte order mark may open the stream */
        event = (struct str){event.at + 3, event.len - 3};
    return event;
}

/* The next data line that holds anything. */
static bool next_data(struct str *rest, struct str *value)
{
    while (next_field(rest, STR("data"), value))
        if (value->len > 0)
            return true;
    return false;
}

static bool is_bare_error(struct str event)
{
    if (event.len == 0 || event.at[0] != '{')
        return false;
    enum json_type type = json_path(event, "error").type;
    return type == JSON_OBJECT || type == JSON_STRING;
}

struct str sse_data(struct str event)
{
    struct str rest = without_mark(event), data;
    if (next_data(&rest, &data))
        return data;
    return is_bare_error(event) ? event : (struct str){"", 0};
}

struct str sse_whole_data(struct str event, char *room, size_t size)
{
    struct str rest = without_mark(event), data, more;
    size_t used = 0;
    if (!next_data(&rest, &data))
        return sse_data(event);
    for (more = data; next_data(&rest, &more);) {
        size_t first = used == 0 ? data.len : 0, need = first + 1 + more.len;
        if (need > size - used)
            return (struct str){NULL, 0};
        memcpy(room + used, data.at, first);
        room[used + first] = '\n';
        memcpy(room + used + first + 1, more.at, more.len);
        used += need;
    }
    return used > 0 ? (struct str){room, used} : data;
}

struct str sse_name(struct str event)
{
    struct str rest = without_mark(event), name;
    return next_field(&rest, STR("event"), &name) ? name : (struct str){"", 0};
}

struct str sse_closing(struct str path)
{
    const char *query = memchr(path.at, '?', path.len);
    if (query)
        path.len = (size_t)(query - path.at);
    if (str_eq(path, STR("/chat/completions")) || str_eq(path, STR("/completions")))
        return STR("data: [DONE]\n\n");
    if (str_eq(path, STR("/messages")))
        return STR("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    return (struct str){"", 0};
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

/* Whether a member's name begins here, at its quote, that may mean the end or an error. Other people's objects may hold
 * it as well (the arguments of a call, say), so it only makes us look at the event with care. */
static inline bool is_telling(const char *at, const char *end)
{
    if (end - at < 7)
        return false;
    switch (at[1]) {
    case 'e':
        return is_at(at, end, STR("\"error\""));
    case 't':
        return memcmp(at, "\"type\"", 6) == 0;
    case 'f':
        return (is_at(at, end, STR("\"finish_reason\"")) && text_follows(at + 15, end)) ||
               (is_at(at, end, STR("\"finishReason\"")) && text_follows(at + 14, end));
    default:
        return false;
    }
}

/*
 * Only a quote before one of three letters is looked at more closely, which nearly always is once: at
 * "finish_reason":null. Within a text quotes are escaped, so only a text that is nothing but the name looks like it.
 */
static bool is_told(struct str data)
{
    const char *end = data.at + data.len;
    size_t i = 0;
    for (; i + 17 <= data.len; i += 16) {
        lanes here, next;
        memcpy(&here, data.at + i, sizeof here);
        memcpy(&next, data.at + i + 1, sizeof next);
        if (!any((here == '"') & ((next == 'e') | (next == 'f') | (next == 't'))))
            continue;
        for (const char *at = data.at + i; at < data.at + i + 16; at++)
            if (*at == '"' && is_telling(at, end))
                return true;
    }
    for (; i < data.len; i++)
        if (data.at[i] == '"' && is_telling(data.at + i, end))
            return true;
    return false;
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
    return is_plain_object(event, &data) && !is_told(data) ? SSE_CONTENT : sse_judge_on(event);
}
