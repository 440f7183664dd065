/*
 * What an event means, in the words of every API: OpenAI's chat and completions (choices), its responses and
 * Anthropic's messages (a type, or an event's name), Gemini's own (candidates). An event is told by its shape, not by
 * the path that was asked: gateways behind this one translate, and an error may come in any dialect.
 */

#include "gatewayd/sse.h"

#include "gatewayd/json.h"

struct meaning {
    enum sse_kind kind;
    unsigned finishes;
};

/* A text, list or object with something in it. */
static bool holds_something(struct json_value value)
{
    struct json_value first;
    if (value.type == JSON_ARRAY || value.type == JSON_OBJECT)
        return json_next(&value.text, NULL, &first);
    return value.type == JSON_STRING && value.text.len > 0;
}

/* An object with something in one of its members, those of two names aside. */
static bool member_holds(struct json_value object, struct str not, struct str nor)
{
    struct json_value member;
    struct str name;
    if (object.type != JSON_OBJECT)
        return false;
    while (json_next(&object.text, &name, &member))
        if (!str_eq(name, not) && !str_eq(name, nor) && holds_something(member))
            return true;
    return false;
}

/* Some say "" where others say null. */
static bool is_reason(struct json_value reason)
{
    return reason.type == JSON_STRING && reason.text.len > 0;
}

/* To stop of its own accord without a word is no answer; to be cut short, by the caller's own limit say, is one. */
static bool is_own_accord(struct json_value reason)
{
    return json_str_eq(reason, STR("stop")) || json_str_eq(reason, STR("STOP")) || json_str_eq(reason, STR("end_turn"));
}

/* What one choice says: any of the answer, and why it ended. */
struct choice {
    bool content;
    struct json_value reason;
};

/* Of OpenAI: text, reasoning, a refusal, a tool call. */
static struct choice read_choice(struct json_value value)
{
    const char *const names[] = {"delta", "text", "finish_reason"};
    struct json_value v[3];
    if (value.type != JSON_OBJECT || json_find(value.text, names, v, 3, NULL) != 0)
        return (struct choice){.content = true};
    return (struct choice){holds_something(v[1]) || member_holds(v[0], STR("role"), STR("role")), v[2]};
}

/* Of Gemini: parts, of which a thought's signature says nothing to anybody. */
static struct choice read_candidate(struct json_value value)
{
    const char *const names[] = {"content", "finishReason"};
    struct json_value v[2], part;
    if (value.type != JSON_OBJECT || json_find(value.text, names, v, 2, NULL) != 0)
        return (struct choice){.content = true};
    struct choice choice = {false, v[1]};
    struct json_value parts = v[0].type == JSON_OBJECT ? json_path(v[0].text, "parts") : v[0];
    if (parts.type != JSON_ARRAY)
        return choice;
    while (!choice.content && json_next(&parts.text, NULL, &part))
        choice.content = member_holds(part, STR("thought"), STR("thoughtSignature"));
    return choice;
}

/* `begun`: content has passed before this event. */
static struct meaning weigh_choices(struct str list, struct choice (*read)(struct json_value value), bool begun)
{
    bool content = begun, here = false, cut = false;
    unsigned finishes = 0;
    struct json_value value;
    while (json_next(&list, NULL, &value)) {
        struct choice choice = read(value);
        here = here || choice.content;
        finishes += is_reason(choice.reason);
        cut = cut || (is_reason(choice.reason) && !is_own_accord(choice.reason));
    }
    content = content || here;
    enum sse_kind kind = cut || (finishes > 0 && content) ? SSE_FINISH : here ? SSE_CONTENT : SSE_PREAMBLE;
    return (struct meaning){kind, finishes};
}

/* The end of Anthropic's messages, which comes with the last numbers of the usage. */
static struct meaning weigh_message_delta(struct json_value delta, bool begun)
{
    struct json_value reason = {JSON_NONE, {NULL, 0}};
    if (delta.type == JSON_OBJECT)
        reason = json_path(delta.text, "stop_reason");
    bool finishes = is_reason(reason);
    return (struct meaning){finishes && (begun || !is_own_accord(reason)) ? SSE_FINISH : SSE_PREAMBLE, finishes};
}

enum { UNKNOWN = -1 };

static int kind_by_name(struct str name)
{
    static const struct {
        struct str name;
        enum sse_kind kind;
    } known[] = {
        {{"error", 5}, SSE_ERROR},
        {{"response.failed", 15}, SSE_ERROR},
        {{"response.error", 14}, SSE_ERROR},
        {{"message_stop", 12}, SSE_TERMINAL},
        {{"response.completed", 18}, SSE_TERMINAL},
        {{"response.incomplete", 19}, SSE_TERMINAL},
        {{"ping", 4}, SSE_PREAMBLE},
        {{"message_start", 13}, SSE_PREAMBLE},
        {{"content_block_start", 19}, SSE_PREAMBLE},
        {{"content_block_stop", 18}, SSE_PREAMBLE},
        {{"response.created", 16}, SSE_PREAMBLE},
        {{"response.queued", 15}, SSE_PREAMBLE},
        {{"response.in_progress", 20}, SSE_PREAMBLE},
        {{"response.output_item.added", 26}, SSE_PREAMBLE},
        {{"response.content_part.added", 27}, SSE_PREAMBLE},
        {{"response.reasoning_summary_part.added", 37}, SSE_PREAMBLE},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eq(name, known[i].name))
            return (int)known[i].kind;
    return UNKNOWN;
}

/* A piece that holds nothing is no piece: some send an empty one before they begin. */
static enum sse_kind weigh_delta(struct json_value delta)
{
    bool empty = delta.type == JSON_STRING && delta.text.len == 0;
    if (delta.type == JSON_OBJECT)
        empty = !member_holds(delta, STR("type"), STR("type"));
    return empty ? SSE_PREAMBLE : SSE_CONTENT;
}

/* Where the type in the data and the event's name disagree, the one that is known counts. */
static struct meaning weigh_type(struct str type, struct str name, struct json_value delta, bool begun)
{
    if (str_eq(type, STR("message_delta")) || (type.len == 0 && str_eq(name, STR("message_delta"))))
        return weigh_message_delta(delta, begun);
    int kind = kind_by_name(type);
    if (kind == UNKNOWN)
        kind = kind_by_name(name);
    /* The caller's own limit left no room for a word: that is an answer. */
    bool cut_short = str_eq(type, STR("response.incomplete")) || str_eq(name, STR("response.incomplete"));
    if (kind == SSE_TERMINAL && cut_short && !begun)
        return (struct meaning){SSE_FINISH, 1};
    return (struct meaning){kind == UNKNOWN ? weigh_delta(delta) : (enum sse_kind)kind, 0};
}

/* An event of Gemini without candidates: the prompt was refused, which is an answer while there is no other, or only
 * the usage is told. */
static struct meaning weigh_feedback(struct json_value feedback, bool begun)
{
    struct json_value reason = {JSON_NONE, {NULL, 0}};
    if (feedback.type == JSON_OBJECT && !begun)
        reason = json_path(feedback.text, "blockReason");
    return is_reason(reason) ? (struct meaning){SSE_FINISH, 1} : (struct meaning){SSE_PREAMBLE, 0};
}

static struct meaning weigh_data(struct str data, struct str name, bool begun)
{
    enum { ERROR, CHOICES, CANDIDATES, FEEDBACK, USAGE, TYPE, EVENT_TYPE, OBJECT, DELTA, COUNT };
    static const char *const names[] = {"error", "choices", "candidates", "promptFeedback", "usageMetadata",
                                        "type", "event_type", "object", "delta"};
    struct json_value v[COUNT];
    if (str_eq(str_trim(data), STR("[DONE]")))
        return (struct meaning){SSE_TERMINAL, 0};
    if (json_find(data, names, v, COUNT, NULL) != 0)
        return (struct meaning){SSE_BAD, 0};
    if (v[ERROR].type != JSON_NONE && v[ERROR].type != JSON_NULL)
        return (struct meaning){SSE_ERROR, 0};
    if (v[CHOICES].type == JSON_ARRAY)
        return weigh_choices(v[CHOICES].text, read_choice, begun);
    if (v[CANDIDATES].type == JSON_ARRAY)
        return weigh_choices(v[CANDIDATES].text, read_candidate, begun);
    if (json_str_eq(v[OBJECT], STR("error")))
        return (struct meaning){SSE_ERROR, 0};
    struct json_value type = v[TYPE].type == JSON_STRING ? v[TYPE] : v[EVENT_TYPE];
    if (type.type == JSON_STRING || name.len > 0)
        return weigh_type(type.type == JSON_STRING ? type.text : (struct str){"", 0}, name, v[DELTA], begun);
    if (v[FEEDBACK].type != JSON_NONE || v[USAGE].type != JSON_NONE)
        return weigh_feedback(v[FEEDBACK], begun);
    return (struct meaning){v[CHOICES].type == JSON_NONE ? SSE_CONTENT : SSE_PREAMBLE, 0};
}

/* Data over several lines is allowed and sent by nobody. What is too long to be joined is passed on as what its name
 * says. */
static __attribute__((noinline)) struct meaning weigh_spread(struct str event, struct str name, bool begun)
{
    char room[SSE_SPREAD_MAX];
    struct str data = sse_whole_data(event, room, sizeof room);
    if (data.at)
        return weigh_data(data, name, begun);
    int kind = kind_by_name(name);
    return (struct meaning){kind == UNKNOWN ? SSE_CONTENT : (enum sse_kind)kind, 0};
}

static struct meaning weigh(struct str event, bool begun)
{
    char none;
    struct str name = sse_name(event), data = sse_whole_data(event, &none, 0);
    if (str_eq(name, STR("error")))
        return (struct meaning){SSE_ERROR, 0};
    if (!data.at)
        return weigh_spread(event, name, begun);
    return data.len == 0 ? (struct meaning){SSE_COMMENT, 0} : weigh_data(data, name, begun);
}

enum sse_kind sse_judge(struct str event)
{
    return weigh(event, false).kind;
}

enum sse_kind sse_judge_on(struct str event)
{
    enum sse_kind kind = weigh(event, true).kind;
    return kind == SSE_PREAMBLE ? SSE_CONTENT : kind;
}

unsigned sse_finishes(struct str event)
{
    return weigh(event, false).finishes;
}
