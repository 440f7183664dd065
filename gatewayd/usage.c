/*
 * What an answer cost. Every API counts the same three things and names and adds them differently: for OpenAI and
 * Gemini the prompt includes what was cached, for Anthropic it does not, and Gemini keeps thoughts apart from the
 * answer.
 */

#include "gatewayd/usage.h"

#include "gatewayd/json.h"

enum { ABSURD = 1000 * 1000 * 1000 };

/* A number that may not have been mentioned. */
struct count {
    bool there;
    uint64_t n;
};

static struct count count_of(struct json_value value)
{
    struct count count = {0};
    count.there = json_to_u64(value, &count.n) && count.n <= ABSURD;
    return count.there ? count : (struct count){0};
}

static struct count either(struct count a, struct count b)
{
    return a.there ? a : b;
}

static struct count sum(struct count a, struct count b)
{
    return (struct count){a.there || b.there, a.n + b.n};
}

static void take(struct usage *usage, struct count input, struct count cached, struct count output)
{
    usage->known = usage->known || input.there || output.there;
    if (input.there)
        usage->input = input.n;
    if (cached.there)
        usage->cached = cached.n;
    if (usage->cached > usage->input)
        usage->cached = usage->input;
    if (output.there)
        usage->output = output.n;
}

static struct count detail(struct json_value details)
{
    return details.type == JSON_OBJECT ? count_of(json_path(details.text, "cached_tokens")) : (struct count){0};
}

/* OpenAI's chat and responses, whose numbers of the prompt include what was cached; DeepSeek names that part itself. */
static void read_openai(struct str object, struct usage *usage)
{
    enum { PROMPT, INPUT, COMPLETION, OUTPUT, PROMPT_DETAILS, INPUT_DETAILS, HIT, COUNT };
    static const char *const names[] = {"prompt_tokens", "input_tokens", "completion_tokens", "output_tokens",
                                        "prompt_tokens_details", "input_tokens_details", "prompt_cache_hit_tokens"};
    struct json_value v[COUNT];
    if (json_find(object, names, v, COUNT, NULL) != 0)
        return;
    struct count cached = either(detail(v[PROMPT_DETAILS]), either(detail(v[INPUT_DETAILS]), count_of(v[HIT])));
    struct count input = either(count_of(v[PROMPT]), count_of(v[INPUT]));
    /* The last event of an Anthropic stream may repeat what was not cached alone; the first has said it all. */
    if (!cached.there && !v[PROMPT].text.at && usage->cached > 0 && input.n < usage->input)
        input.there = false;
    take(usage, input, cached, either(count_of(v[COMPLETION]), count_of(v[OUTPUT])));
}

/* Anthropic's, told by words that only it has; false when they are not there. */
static bool read_anthropic(struct str object, struct usage *usage)
{
    enum { INPUT, OUTPUT, READ, CREATED, PROMPT, COUNT };
    static const char *const names[] = {"input_tokens", "output_tokens", "cache_read_input_tokens",
                                        "cache_creation_input_tokens", "prompt_tokens"};
    struct json_value v[COUNT];
    if (json_find(object, names, v, COUNT, NULL) != 0 || v[PROMPT].type != JSON_NONE)
        return false;
    struct count read = count_of(v[READ]), created = count_of(v[CREATED]), input = count_of(v[INPUT]);
    if (!read.there && !created.there)
        return false;
    if (input.there)
        input = sum(input, sum(read, created));
    take(usage, input, read, count_of(v[OUTPUT]));
    return true;
}

static void read_usage(struct json_value value, struct usage *usage)
{
    if (value.type == JSON_OBJECT && !read_anthropic(value.text, usage))
        read_openai(value.text, usage);
}

/* Of Anthropic's message_start, Responses' terminal events and Groq's chunks. */
static void read_within(struct json_value value, struct usage *usage)
{
    if (value.type == JSON_OBJECT)
        read_usage(json_path(value.text, "usage"), usage);
}

static void read_gemini(struct json_value value, struct usage *usage)
{
    enum { PROMPT, TOOL, CACHED, CANDIDATES, THOUGHTS, COUNT };
    static const char *const names[] = {"promptTokenCount", "toolUsePromptTokenCount", "cachedContentTokenCount",
                                        "candidatesTokenCount", "thoughtsTokenCount"};
    struct json_value v[COUNT];
    if (value.type != JSON_OBJECT || json_find(value.text, names, v, COUNT, NULL) != 0)
        return;
    struct count input = count_of(v[PROMPT]);
    if (input.there)
        input = sum(input, count_of(v[TOOL]));
    take(usage, input, count_of(v[CACHED]), sum(count_of(v[CANDIDATES]), count_of(v[THOUGHTS])));
}

void usage_read(struct str json, struct usage *usage)
{
    enum { MESSAGE, RESPONSE, GROQ, GEMINI, USAGE, COUNT };
    static const char *const names[] = {"message", "response", "x_groq", "usageMetadata", "usage"};
    struct json_value v[COUNT];
    /* Nearly every event says nothing of it. */
    if (json.len == 0 || !memmem(json.at, json.len, "\"usage", 6) || json_find(json, names, v, COUNT, NULL) != 0)
        return;
    read_within(v[MESSAGE], usage);
    read_within(v[RESPONSE], usage);
    read_within(v[GROQ], usage);
    read_gemini(v[GEMINI], usage);
    read_usage(v[USAGE], usage);
}
