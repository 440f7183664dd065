#include "gatewayd/answer.h"

#include "gatewayd/json.h"

/*
 * Upstreams answer 200 with an error object, with no choices, with a login page, with an empty text. A client's library
 * would stumble over it much later; here it is a failure like any other, and somebody else is asked.
 */

/* The member that holds the answer, by path. */
static const char *answer_member(struct str path)
{
    static const struct {
        struct str path;
        const char *member;
    } known[] = {{{"/chat/completions", 17}, "choices"}, {{"/completions", 12}, "choices"},
                 {{"/embeddings", 11}, "data"},          {{"/moderations", 12}, "results"},
                 {{"/responses", 10}, "output"},         {{"/messages", 9}, "content"}};
    const char *query = memchr(path.at, '?', path.len);
    if (query)
        path.len = (size_t)(query - path.at);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eq(path, known[i].path))
            return known[i].member;
    return NULL;
}

static bool says_something(struct json_value value)
{
    struct json_value first;
    if (value.type == JSON_STRING)
        return value.text.len > 0;
    if (value.type == JSON_ARRAY || value.type == JSON_OBJECT)
        return json_next(&value.text, NULL, &first);
    return false;
}

/* Text, a refusal, a tool call, audio or reasoning; or nothing, because the caller's own limit left no room for it. */
static bool choice_answers(struct str choice)
{
    const char *const names[] = {"message", "text", "finish_reason"};
    struct json_value v[3], member;
    if (json_find(choice, names, v, 3, NULL) != 0)
        return false;
    if (v[2].type == JSON_STRING && !json_str_eq(v[2], STR("stop")))
        return true;
    if (says_something(v[1]))
        return true;
    if (v[0].type != JSON_OBJECT)
        return v[0].type == JSON_NONE && v[1].type == JSON_NONE;
    struct str rest = v[0].text, name;
    while (json_next(&rest, &name, &member))
        if (!str_eq(name, STR("role")) && says_something(member))
            return true;
    return false;
}

static bool any_choice_answers(struct str choices)
{
    struct json_value choice;
    while (json_next(&choices, NULL, &choice))
        if (choice.type == JSON_OBJECT && choice_answers(choice.text))
            return true;
    return false;
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

bool answer_missing(struct str path, struct str body)
{
    const char *member = answer_member(path);
    if (!member)
        return false;
    const char *const names[] = {"error", member};
    struct json_value v[2];
    if (json_find(body, names, v, 2, NULL) != 0 || (v[0].type != JSON_NONE && v[0].type != JSON_NULL))
        return true;
    if (v[1].type != JSON_ARRAY)
        return true;
    return strcmp(member, "choices") == 0 && !plainly_answers(v[1].text) && !any_choice_answers(v[1].text);
}
