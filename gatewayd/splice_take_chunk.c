/*
 * The chunks of chat and text completions. Each choice is a track; its texts are told apart by what they are and, of
 * tool calls, by the call's index. The order of members within a chunk says nothing, so parts come in an order of our
 * own: reasoning, content, refusal, calls, the finish.
 */

#include "gatewayd/splice_take.h"

#include <inttypes.h>

static bool is_missing(struct json_value value)
{
    return value.type == JSON_NONE || value.type == JSON_NULL;
}

static bool says_something(struct json_value value)
{
    return value.type == JSON_STRING && value.text.len > 0;
}

/* The members of an object that may be missing. False when it is something else or one of them is there twice. */
static bool members(struct json_value value, const char *const names[], struct json_value values[], size_t count)
{
    if (value.type == JSON_OBJECT)
        return json_find(value.text, names, values, count, NULL) == 0;
    for (size_t i = 0; i < count; i++)
        values[i] = (struct json_value){JSON_NONE, {NULL, 0}};
    return is_missing(value);
}

/* A function's or a tool's name begins a call, unless it only says again which call is meant. */
static void take_name(struct splice_taken *taken, const struct splice_ids *ids, uint64_t choice, uint64_t index,
                      struct json_value id, struct json_value name)
{
    struct splice_part *mark = splice_take_mark(taken, choice, "!call %" PRIu64, index);

    splice_take_more(taken, mark, name);
    if (taken->failed)
        return;
    mark->begins = true;
    mark->index = index;
    mark->id = says_something(id) ? splice_take_literal(id) : (struct str){"", 0};
    mark->name = splice_take_literal(name);
    if (splice_ids_repeats(ids, choice, index, splice_taken_label(taken, mark), mark->id)) {
        mark->kind = SPLICE_PART_ID;
        mark->value = mark->id;
    }
}

static bool take_call(struct splice_taken *taken, const struct splice_ids *ids, uint64_t choice, uint64_t index,
                      struct json_value id, struct json_value called, const char *text)
{
    const char *const names[] = {"name", text};
    struct json_value v[2];

    if (!members(called, names, v, 2))
        return false;
    if (says_something(v[0]))
        take_name(taken, ids, choice, index, id, v[0]);
    else if (says_something(id))
        splice_take_value(taken, SPLICE_PART_ID, choice, index, id);
    return splice_take_text(taken, choice, v[1], ".arguments %" PRIu64, index);
}

static bool take_calls(struct splice_taken *taken, const struct splice_ids *ids, uint64_t choice,
                       struct json_value calls)
{
    static const char *const names[] = {"index", "id", "function", "custom"};
    struct json_value call, v[4];

    if (calls.type != JSON_ARRAY)
        return is_missing(calls);
    for (uint64_t i = 0; json_next(&calls.text, NULL, &call); i++) {
        if (call.type != JSON_OBJECT || json_find(call.text, names, v, 4, NULL) != 0)
            return false;
        bool custom = is_missing(v[2]) && !is_missing(v[3]);
        if (!take_call(taken, ids, choice, splice_take_index(v[0], i), v[1], custom ? v[3] : v[2],
                       custom ? "input" : "arguments"))
            return false;
    }
    return true;
}

/* One text under the two names that providers gave it. Some write both. */
static bool take_reasoning(struct splice_taken *taken, uint64_t choice, struct json_value one, struct json_value other)
{
    struct splice_part *mirror;

    if (!says_something(one) || !says_something(other))
        return splice_take_text(taken, choice, one, ".reasoning") &&
               splice_take_text(taken, choice, other, ".reasoning");
    if (!str_eq(one.text, other.text))
        return false;
    splice_take_text(taken, choice, one, ".reasoning");
    mirror = splice_take_part(taken, SPLICE_PART_MIRROR, choice);
    if (mirror != NULL)
        mirror->value = other.text;
    return true;
}

static bool take_delta(struct splice_taken *taken, const struct splice_ids *ids, uint64_t choice,
                       struct json_value delta)
{
    enum { CONTENT, REASONING_CONTENT, REASONING, REFUSAL, TOOL_CALLS, FUNCTION_CALL, AUDIO, COUNT };
    static const char *const names[] = {"content",    "reasoning_content", "reasoning", "refusal",
                                        "tool_calls", "function_call",     "audio"};
    const struct json_value nothing = {JSON_NONE, {NULL, 0}};
    struct json_value v[COUNT];

    if (!members(delta, names, v, COUNT) || !is_missing(v[AUDIO])) /* two recordings are never the same bytes */
        return false;
    return take_reasoning(taken, choice, v[REASONING_CONTENT], v[REASONING]) &&
           splice_take_text(taken, choice, v[CONTENT], ".content") &&
           splice_take_text(taken, choice, v[REFUSAL], ".refusal") &&
           (is_missing(v[FUNCTION_CALL]) ||
            take_call(taken, ids, choice, UINT64_MAX, nothing, v[FUNCTION_CALL], "arguments")) &&
           take_calls(taken, ids, choice, v[TOOL_CALLS]);
}

static bool take_choice(struct splice_taken *taken, enum splice_api api, const struct splice_ids *ids, uint64_t place,
                        struct json_value choice)
{
    enum { INDEX, DELTA, TEXT, FINISH, COUNT };
    static const char *const names[] = {"index", "delta", "text", "finish_reason"};
    struct json_value v[COUNT];
    uint64_t index;

    if (choice.type != JSON_OBJECT || json_find(choice.text, names, v, COUNT, NULL) != 0)
        return false;
    index = splice_take_index(v[INDEX], place);
    splice_take_part(taken, SPLICE_PART_CHOICE, index);
    if (api == SPLICE_TEXT ? !splice_take_text(taken, index, v[TEXT], ".text")
                           : !take_delta(taken, ids, index, v[DELTA]))
        return false;
    if (says_something(v[FINISH]))
        splice_take_more(taken, splice_take_mark(taken, index, "!finish"), v[FINISH]);
    return true;
}

enum splice_kind splice_take_chunk(struct splice_taken *taken, enum splice_api api, const struct splice_ids *ids,
                                   struct str data)
{
    enum { ID, CREATED, MODEL, CHOICES, FAILURE, NOISE, COUNT };
    static const char *const names[] = {"id", "created", "model", "choices", "error", "obfuscation"};
    struct json_value v[COUNT], choice;

    if (json_find(data, names, v, COUNT, NULL) != 0)
        return SPLICE_STRANGE;
    if (!is_missing(v[FAILURE]))
        return SPLICE_ERROR;
    splice_take_value(taken, SPLICE_PART_FIRST, 0, SPLICE_ID, v[ID]);
    splice_take_value(taken, SPLICE_PART_FIRST, 0, SPLICE_CREATED, v[CREATED]);
    splice_take_value(taken, SPLICE_PART_FIRST, 0, SPLICE_MODEL, v[MODEL]);
    if (v[NOISE].type == JSON_STRING)
        splice_take_value(taken, SPLICE_PART_NOISE, 0, 0, v[NOISE]);
    if (v[CHOICES].type != JSON_ARRAY)
        return is_missing(v[CHOICES]) ? SPLICE_PARTS : SPLICE_STRANGE;
    for (uint64_t i = 0; json_next(&v[CHOICES].text, NULL, &choice); i++)
        if (!take_choice(taken, api, ids, i, choice))
            return SPLICE_STRANGE;
    return SPLICE_PARTS;
}
