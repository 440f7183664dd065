/*
 * Taking any event apart: its envelope, and what the APIs share. Nothing here is quick; the common event does not come
 * this way (see splice_shape.h).
 */

#include "gatewayd/splice_take.h"

#include <errno.h>

#include "gatewayd/sse.h"

void splice_taken_fini(struct splice_taken *taken)
{
    if (taken == NULL)
        return;
    buf_fini(&taken->parts);
    buf_fini(&taken->labels);
}

size_t splice_taken_count(const struct splice_taken *taken)
{
    return buf_len(&taken->parts) / sizeof(struct splice_part);
}

struct splice_part *splice_taken_part(const struct splice_taken *taken, size_t i)
{
    return (struct splice_part *)(void *)taken->parts.data + i;
}

struct str splice_taken_label(const struct splice_taken *taken, const struct splice_part *part)
{
    return part->label.len > 0 ? (struct str){taken->labels.data + part->label.from, part->label.len} : STR("");
}

struct splice_part *splice_take_part(struct splice_taken *taken, enum splice_part_kind kind, uint64_t choice)
{
    const struct str none = {"", 0};
    struct splice_part part = {
        .kind = kind, .choice = choice, .value = none, .id = none, .call_id = none, .name = none};

    part.label.from = (uint32_t)buf_len(&taken->labels);
    if (buf_add(&taken->parts, &part, sizeof part) < 0) {
        taken->failed = true;
        return NULL;
    }
    return splice_taken_part(taken, splice_taken_count(taken) - 1);
}

struct str splice_take_literal(struct json_value value)
{
    if (value.type == JSON_NONE)
        return (struct str){"", 0};
    if (value.type == JSON_STRING)
        return (struct str){value.text.at - 1, value.text.len + 2};
    return value.text;
}

void splice_take_value(struct splice_taken *taken, enum splice_part_kind kind, uint64_t choice, uint64_t index,
                       struct json_value value)
{
    struct splice_part *part;

    if (value.type != JSON_STRING && value.type != JSON_NUMBER)
        return;
    part = splice_take_part(taken, kind, choice);
    if (part == NULL)
        return;
    part->index = index;
    part->value = kind == SPLICE_PART_NOISE ? value.text : splice_take_literal(value);
}

/* Format the label of the latest part. */
static void add_label(struct splice_taken *taken, struct splice_part *part, const char *format, va_list args)
{
    if (part == NULL)
        return;
    if (buf_vaddf(&taken->labels, format, args) < 0)
        taken->failed = true;
    part->label.len = (uint32_t)buf_len(&taken->labels) - part->label.from;
}

bool splice_take_text(struct splice_taken *taken, uint64_t choice, struct json_value value, const char *format, ...)
{
    struct splice_part *part;
    va_list args;

    if (value.type != JSON_STRING)
        return value.type == JSON_NONE || value.type == JSON_NULL;
    if (value.text.len == 0)
        return true;
    part = splice_take_part(taken, SPLICE_PART_TEXT, choice);
    if (part != NULL)
        part->value = value.text;
    va_start(args, format);
    add_label(taken, part, format, args);
    va_end(args);
    return true;
}

struct splice_part *splice_take_mark(struct splice_taken *taken, uint64_t choice, const char *format, ...)
{
    struct splice_part *part = splice_take_part(taken, SPLICE_PART_MARK, choice);
    va_list args;

    va_start(args, format);
    add_label(taken, part, format, args);
    va_end(args);
    return part;
}

void splice_take_more(struct splice_taken *taken, struct splice_part *mark, struct json_value value)
{
    if (mark == NULL || value.type == JSON_NONE)
        return;
    if (buf_add_str(&taken->labels, STR(" ")) < 0 || buf_room(&taken->labels, value.text.len) < 0) {
        taken->failed = true;
        return;
    }
    taken->labels.end += json_unescape(value.text, taken->labels.data + taken->labels.end);
    mark->label.len = (uint32_t)buf_len(&taken->labels) - mark->label.from;
}

uint64_t splice_take_index(struct json_value value, uint64_t otherwise)
{
    uint64_t index;

    return json_to_u64(value, &index) ? index : otherwise;
}

/* How many lines of data an event has, as far as it matters: none, one, more. */
static unsigned count_data_lines(struct str event)
{
    const char *p = event.at, *end = event.at + event.len;
    unsigned count = 0;

    if (str_starts(event, STR("\xef\xbb\xbf")))
        p += 3;
    while (p < end && count < 2) {
        struct str line = {p, (size_t)(end - p)};
        count += str_starts(line, STR("data")) && line.len > 4 && memchr(":\r\n", line.at[4], 3) != NULL;
        while (p < end && *p != '\n' && *p != '\r')
            p++;
        while (p < end && (*p == '\n' || *p == '\r'))
            p++;
    }
    return count;
}

static enum splice_kind take_data(struct splice_taken *taken, enum splice_api api, const struct splice_ids *ids,
                                  struct str event, struct str data)
{
    if (str_eq(str_trim(data), STR("[DONE]")))
        return SPLICE_TERMINAL;
    switch (api) {
    case SPLICE_CHAT:
    case SPLICE_TEXT:
        return splice_take_chunk(taken, api, ids, data);
    case SPLICE_MESSAGES:
        return splice_take_message(taken, event, data);
    case SPLICE_RESPONSES:
        return splice_take_response(taken, event, data);
    default:
        return SPLICE_STRANGE;
    }
}

int splice_take(struct splice_taken *taken, enum splice_api api, const struct splice_ids *ids, struct str event)
{
    enum splice_kind kind;

    buf_clear(&taken->parts);
    buf_clear(&taken->labels);
    taken->numbered = taken->failed = false;
    if (sse_data(event).len == 0 || count_data_lines(event) == 0)
        return sse_judge(event) == SSE_ERROR ? SPLICE_ERROR : SPLICE_COMMENT;
    kind = count_data_lines(event) == 1 ? take_data(taken, api, ids, event, sse_data(event)) : SPLICE_STRANGE;
    if (kind == SPLICE_STRANGE && sse_judge(event) == SSE_BAD)
        kind = SPLICE_GARBAGE;
    return taken->failed ? -ENOMEM : (int)kind;
}
