#include "gatewayd/answer.h"

#include "gatewayd/json.h"

/*
 * Upstreams answer 200 with an error object, with no choices, with a login page, with an empty text. A client's library
 * would stumble over it much later; here it is a failure like any other, and somebody else is asked. What the caller
 * brought about, a limit too low for a single word, is an answer: another endpoint would say no more.
 */

/* What was found in an answer. */
struct said {
    bool something; /* anything at all: text, reasoning, audio */
    bool excused;   /* a call of tools, a refusal, a cut: good however little text there is */
    uint64_t chars; /* of text */
};

static bool holds_something(struct json_value value)
{
    struct json_value first;
    if (value.type == JSON_STRING)
        return value.text.len > 0;
    if (value.type == JSON_ARRAY || value.type == JSON_OBJECT)
        return json_next(&value.text, NULL, &first);
    return false;
}

static void hear_text(struct json_value text, struct said *said)
{
    struct json_extent extent = {0, 0, 0};
    if (text.type != JSON_STRING)
        return;
    json_measure(text.text, &extent);
    said->chars += extent.characters;
    said->something = said->something || extent.characters > 0;
}

/* Why an answer ended. Those that ended by themselves need to have said something; all else cut them short. */
static bool is_cut(struct json_value reason)
{
    static const struct str ended[] = {{"stop", 4}, {"end_turn", 8}, {"completed", 9}, {"failed", 6}, {"error", 5}};
    if (reason.type != JSON_STRING || reason.text.len == 0)
        return false;
    for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
        if (json_str_eq(reason, ended[i]))
            return false;
    return true;
}

/* One part of a list of parts or blocks: text, a refusal, a call, or something else, such as a thought. */
static void hear_part(struct json_value part, struct said *said)
{
    const char *const names[] = {"type", "text", "refusal"};
    struct json_value v[3];
    if (part.type != JSON_OBJECT || json_find(part.text, names, v, 3, NULL) != 0)
        return;
    hear_text(v[1], said);
    bool calls = v[0].type == JSON_STRING && memmem(v[0].text.at, v[0].text.len, "tool_use", 8) != NULL;
    said->excused = said->excused || calls || holds_something(v[2]);
    said->something = said->something || (v[1].type == JSON_NONE && v[2].type == JSON_NONE);
}

static void hear_parts(struct json_value list, struct said *said)
{
    struct json_value part;
    hear_text(list, said);
    while (list.type == JSON_ARRAY && json_next(&list.text, NULL, &part))
        hear_part(part, said);
}

/* A message of a chat completion: a member beside its role and content is worth no text, but it is something. */
static void hear_message(struct str message, struct said *said)
{
    static const struct str excuses[] = {
        {"tool_calls", 10}, {"function_call", 13}, {"refusal", 7}, {"audio", 5}, {"images", 6}};
    struct json_value member;
    struct str name;
    while (json_next(&message, &name, &member)) {
        if (str_eq(name, STR("content"))) {
            hear_parts(member, said);
        } else if (!str_eq(name, STR("role")) && holds_something(member)) {
            said->something = true;
            for (size_t i = 0; i < sizeof excuses / sizeof *excuses; i++)
                said->excused = said->excused || str_eq(name, excuses[i]);
        }
    }
}

static void hear_choices(struct str choices, struct said *said)
{
    const char *const names[] = {"message", "text", "finish_reason"};
    struct json_value choice, v[3];
    while (json_next(&choices, NULL, &choice)) {
        if (choice.type != JSON_OBJECT || json_find(choice.text, names, v, 3, NULL) != 0)
            continue;
        hear_text(v[1], said);
        if (v[0].type == JSON_OBJECT)
            hear_message(v[0].text, said);
        /* A choice of a shape that is not known is taken at its word. */
        bool unknown = v[0].type == JSON_NONE && v[1].type == JSON_NONE;
        said->excused = said->excused || unknown || is_cut(v[2]);
    }
}

/* Reasoning that says something, or says it to the model alone. */
static bool reasons(struct str item)
{
    const char *const names[] = {"summary", "content", "encrypted_content"};
    struct json_value v[3];
    return json_find(item, names, v, 3, NULL) == 0 &&
           (holds_something(v[0]) || holds_something(v[1]) || holds_something(v[2]));
}

/* The output of Responses: messages, reasoning, and calls of many kinds. */
static void hear_output(struct str output, struct said *said)
{
    const char *const names[] = {"type", "content"};
    struct json_value item, v[2];
    while (json_next(&output, NULL, &item)) {
        if (item.type != JSON_OBJECT || json_find(item.text, names, v, 2, NULL) != 0)
            continue;
        if (json_str_eq(v[0], STR("reasoning")))
            said->something = said->something || reasons(item.text);
        else if (v[0].type == JSON_NONE || json_str_eq(v[0], STR("message")))
            hear_parts(v[1], said);
        else
            said->excused = true;
    }
}

/* What nearly every answer has: a member "content" or "text" whose value is a text with something in it. Within a
 * text the quotes would be escaped, so this needs no parser. */
static bool plainly_answers(struct str choices)
{
    static const struct str starts[] = {{"\"content\":\"", 11}, {"\"text\":\"", 8}};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        const char *at = memmem(choices.at, choices.len, starts[i].at, starts[i].len);
        if (at && at + starts[i].len < choices.at + choices.len && at[starts[i].len] != '"')
            return true;
    }
    return false;
}

enum api { CHOICES, MESSAGE, OUTPUT, PLAIN };

/* Where the answer stands in the body, and why it ended, by path. */
static const struct shape {
    struct str path;
    enum api api;
    const char *member, *reason;
} shapes[] = {{{"/chat/completions", 17}, CHOICES, "choices", ""}, {{"/completions", 12}, CHOICES, "choices", ""},
              {{"/messages", 9}, MESSAGE, "content", "stop_reason"}, {{"/responses", 10}, OUTPUT, "output", "status"},
              {{"/embeddings", 11}, PLAIN, "data", ""}, {{"/moderations", 12}, PLAIN, "results", ""}};

static const struct shape *shape_of(struct str path)
{
    const char *query = memchr(path.at, '?', path.len);
    if (query)
        path.len = (size_t)(query - path.at);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (str_eq(path, shapes[i].path))
            return &shapes[i];
    return NULL;
}

bool answer_missing(struct str path, struct str body, uint32_t min_chars)
{
    const struct shape *shape = shape_of(path);
    if (!shape)
        return false;
    const char *const names[] = {"error", shape->member, shape->reason};
    struct json_value v[3];
    if (json_find(body, names, v, 2 + (*shape->reason != '\0'), NULL) != 0 || v[1].type != JSON_ARRAY)
        return true;
    if (v[0].type != JSON_NONE && v[0].type != JSON_NULL)
        return true;
    struct said said = {0};
    if (shape->api == PLAIN || (shape->api == CHOICES && min_chars == 0 && plainly_answers(v[1].text)))
        return false;
    if (shape->api == CHOICES)
        hear_choices(v[1].text, &said);
    else if (shape->api == MESSAGE)
        hear_parts(v[1], &said);
    else
        hear_output(v[1].text, &said);
    if (said.excused || (*shape->reason != '\0' && is_cut(v[2])))
        return false;
    return !said.something || said.chars < min_chars;
}
