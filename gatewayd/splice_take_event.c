/*
 * Events that have names: Anthropic's messages and OpenAI's responses. There is one track. What is structure rather
 * than text becomes marks, so a block or item must begin and end in a replay where it did before.
 */

#include "gatewayd/splice_take.h"

#include "gatewayd/sse.h"

#include <inttypes.h>

static bool is_one_of(struct json_value type, const char *const names[])
{
    for (; *names != NULL; names++)
        if (json_str_eq(type, str_of(*names)))
            return true;
    return false;
}

static bool is(struct json_value type, const char *name)
{
    return json_str_eq(type, str_of(name));
}

/* What an event says it is. The name of the event stands in for a type that is not there. */
static struct json_value type_of(struct str event, struct json_value type)
{
    return type.type == JSON_STRING ? type : (struct json_value){JSON_STRING, sse_name(event)};
}

/* The texts and marks of a content block. One may begin with some of its text. */
static bool take_block_start(struct splice_taken *taken, uint64_t index, struct json_value block)
{
    enum { TYPE, NAME, INPUT, TEXT, THINKING, COUNT };
    static const char *const names[] = {"type", "name", "input", "text", "thinking"};
    struct json_value v[COUNT];
    struct splice_part *mark;

    if (block.type != JSON_OBJECT || json_find(block.text, names, v, COUNT, NULL) != 0)
        return false;
    mark = splice_take_mark(taken, 0, "!start %" PRIu64, index);
    splice_take_more(taken, mark, v[TYPE]);
    splice_take_more(taken, mark, v[NAME]);
    if (v[INPUT].type == JSON_OBJECT && !str_eq(v[INPUT].text, STR("{}")))
        splice_take_more(taken, mark, v[INPUT]);
    return splice_take_text(taken, 0, v[TEXT], ".text_delta %" PRIu64, index) &&
           splice_take_text(taken, 0, v[THINKING], ".thinking_delta %" PRIu64, index);
}

static bool take_block_delta(struct splice_taken *taken, uint64_t index, struct json_value delta)
{
    enum { TYPE, TEXT, INPUT, THINKING, COUNT };
    static const char *const names[] = {"type", "text", "partial_json", "thinking"};
    struct json_value v[COUNT];

    if (delta.type != JSON_OBJECT || json_find(delta.text, names, v, COUNT, NULL) != 0)
        return false;
    if (is(v[TYPE], "text_delta"))
        return splice_take_text(taken, 0, v[TEXT], ".text_delta %" PRIu64, index);
    if (is(v[TYPE], "input_json_delta"))
        return splice_take_text(taken, 0, v[INPUT], ".input_json_delta %" PRIu64, index);
    if (is(v[TYPE], "thinking_delta"))
        return splice_take_text(taken, 0, v[THINKING], ".thinking_delta %" PRIu64, index);
    splice_take_more(taken, splice_take_mark(taken, 0, "!delta %" PRIu64, index), v[TYPE]);
    return true;
}

enum splice_kind splice_take_message(struct splice_taken *taken, struct str event, struct str data)
{
    enum { TYPE, INDEX, BLOCK, DELTA, COUNT };
    static const char *const names[] = {"type", "index", "content_block", "delta"};
    struct json_value v[COUNT], type, reason;
    uint64_t index;

    if (json_find(data, names, v, COUNT, NULL) != 0)
        return SPLICE_STRANGE;
    type = type_of(event, v[TYPE]);
    index = splice_take_index(v[INDEX], 0);
    if (is(type, "message_start"))
        return SPLICE_OPENING;
    if (is(type, "message_stop"))
        return SPLICE_TERMINAL;
    if (is(type, "error"))
        return SPLICE_ERROR;
    if (is(type, "content_block_start"))
        return take_block_start(taken, index, v[BLOCK]) ? SPLICE_PARTS : SPLICE_STRANGE;
    if (is(type, "content_block_delta"))
        return take_block_delta(taken, index, v[DELTA]) ? SPLICE_PARTS : SPLICE_STRANGE;
    if (is(type, "content_block_stop"))
        splice_take_mark(taken, 0, "!stop %" PRIu64, index);
    if (is(type, "message_delta")) {
        reason = v[DELTA].type == JSON_OBJECT ? json_path(v[DELTA].text, "stop_reason") : v[DELTA];
        if (reason.type == JSON_STRING && reason.text.len > 0)
            splice_take_more(taken, splice_take_mark(taken, 0, "!finish"), reason);
    }
    return SPLICE_PARTS;
}

static void take_item_ids(struct splice_taken *taken, uint64_t index, struct json_value item)
{
    if (item.type != JSON_OBJECT)
        return;
    splice_take_value(taken, SPLICE_PART_ID, 0, index, json_path(item.text, "id"));
    splice_take_value(taken, SPLICE_PART_CALL_ID, 0, index, json_path(item.text, "call_id"));
}

/* A whole response: in its announcements and at its end. */
static void take_response(struct splice_taken *taken, struct json_value response)
{
    struct json_value output, item;

    if (response.type != JSON_OBJECT)
        return;
    splice_take_value(taken, SPLICE_PART_FIRST, 0, SPLICE_ID, json_path(response.text, "id"));
    splice_take_value(taken, SPLICE_PART_FIRST, 0, SPLICE_CREATED, json_path(response.text, "created_at"));
    splice_take_value(taken, SPLICE_PART_FIRST, 0, SPLICE_MODEL, json_path(response.text, "model"));
    output = json_path(response.text, "output");
    for (uint64_t i = 0; output.type == JSON_ARRAY && json_next(&output.text, NULL, &item); i++)
        take_item_ids(taken, i, item);
}

enum { TYPE, ITEM, ITEM_ID, RESPONSE, RESPONSE_ID, OUTPUT, CONTENT, SUMMARY, DELTA, SEQUENCE, NOISE, RESPONSE_NAMES };

static const char *const response_names[] = {"type",         "item",          "item_id",       "response",
                                             "response_id",  "output_index",  "content_index", "summary_index",
                                             "delta",        "sequence_number", "obfuscation"};

/* What is no delta of a text: an item or a part of one begins, ends or makes progress. */
static void take_structure(struct splice_taken *taken, uint64_t output, struct json_value type,
                           const struct json_value v[])
{
    bool begins = is(type, "response.output_item.added");
    struct splice_part *mark =
        splice_take_mark(taken, 0, "!%" PRIu64 " %" PRIu64 " %" PRIu64, output, splice_take_index(v[CONTENT], 0),
                         splice_take_index(v[SUMMARY], 0));

    splice_take_more(taken, mark, type);
    if (v[ITEM].type == JSON_OBJECT) {
        splice_take_more(taken, mark, json_path(v[ITEM].text, "type"));
        splice_take_more(taken, mark, json_path(v[ITEM].text, "name"));
    }
    if (!begins || taken->failed) {
        take_item_ids(taken, output, v[ITEM]);
        return;
    }
    mark->begins = true;
    mark->index = output;
    mark->id = splice_take_literal(json_path(v[ITEM].text, "id"));
    mark->call_id = splice_take_literal(json_path(v[ITEM].text, "call_id"));
}

static bool ends_with(struct str text, struct str end)
{
    return text.len >= end.len && memcmp(text.at + text.len - end.len, end.at, end.len) == 0;
}

enum splice_kind splice_take_response(struct splice_taken *taken, struct str event, struct str data)
{
    static const char *const openings[] = {"response.created", "response.in_progress", "response.queued", NULL};
    static const char *const terminals[] = {"response.completed", "response.incomplete", "response.cancelled", NULL};
    static const char *const errors[] = {"error", "response.failed", NULL};
    struct json_value v[RESPONSE_NAMES], type;
    uint64_t output;

    if (json_find(data, response_names, v, RESPONSE_NAMES, NULL) != 0)
        return SPLICE_STRANGE;
    type = type_of(event, v[TYPE]);
    output = splice_take_index(v[OUTPUT], 0);
    taken->numbered = v[SEQUENCE].type == JSON_NUMBER;
    if (taken->numbered)
        splice_take_value(taken, SPLICE_PART_SEQUENCE, 0, 0, v[SEQUENCE]);
    splice_take_value(taken, SPLICE_PART_FIRST, 0, SPLICE_ID, v[RESPONSE_ID]);
    if (v[NOISE].type == JSON_STRING)
        splice_take_value(taken, SPLICE_PART_NOISE, 0, 0, v[NOISE]);
    take_response(taken, v[RESPONSE]);
    if (is_one_of(type, openings))
        return SPLICE_OPENING;
    if (is_one_of(type, terminals))
        return SPLICE_TERMINAL;
    if (is_one_of(type, errors))
        return SPLICE_ERROR;
    if (!str_starts(type.text, STR("response.")))
        return SPLICE_PARTS;
    splice_take_value(taken, SPLICE_PART_ID, 0, output, v[ITEM_ID]);
    if (!ends_with(type.text, STR(".delta"))) {
        take_structure(taken, output, type, v);
        return SPLICE_PARTS;
    }
    return splice_take_text(taken, 0, v[DELTA], ".%" PRIu64 " %" PRIu64 " %" PRIu64 " %.*s", output,
                            splice_take_index(v[CONTENT], 0), splice_take_index(v[SUMMARY], 0), (int)type.text.len,
                            type.text.at)
               ? SPLICE_PARTS
               : SPLICE_STRANGE;
}
