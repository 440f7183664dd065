/*
 * Counting what a model will read, without its tokenizer: the texts are found where every API keeps them and measured,
 * the rest of the body (settings, ids, braces) is passed over. It need not be right, only close and cheap, and never
 * far too low for a body that was made to look small: what is not understood counts by its bytes.
 */

#include "gatewayd/tokens.h"

#include "libshm/estimate.h"

/* Deeper than any API nests its texts. Every level is read once more, so this also bounds the work. */
enum { DEPTH_MAX = 8, DATA_URL_HEAD = 128 };

static bool is_one_of(struct str name, const struct str list[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(name, list[i]))
            return true;
    return false;
}

/* Members that no model reads. */
static bool is_silent(struct str name)
{
    static const struct str names[] = {
        {"type", 4}, {"role", 4}, {"id", 2}, {"tool_call_id", 12}, {"tool_use_id", 11}, {"call_id", 7},
        {"cache_control", 13}, {"signature", 9}, {"encrypted_content", 17}, {"media_type", 10}, {"detail", 6},
        {"status", 6}, {"filename", 8}};
    return is_one_of(name, names, sizeof names / sizeof *names);
}

static bool is_media(struct str name)
{
    static const struct str names[] = {
        {"image_url", 9}, {"input_audio", 11}, {"audio", 5}, {"image", 5}, {"video_url", 9}, {"file_data", 9},
        {"file_id", 7}, {"file_url", 8}, {"inline_data", 11}};
    return is_one_of(name, names, sizeof names / sizeof *names);
}

/* A source of Anthropic's is an image or a document, unless it says that it is text. */
static bool is_media_source(struct str name, struct json_value value)
{
    if (!str_eq(name, STR("source")) || value.type != JSON_OBJECT)
        return false;
    struct json_value type = json_path(value.text, "type");
    return !json_str_eq(type, STR("text")) && !json_str_eq(type, STR("content"));
}

bool tokens_is_text(struct json_value text)
{
    struct str head = {text.text.at, text.text.len < DATA_URL_HEAD ? text.text.len : DATA_URL_HEAD};
    return text.type == JSON_STRING &&
           !(str_starts(head, STR("data:")) && memmem(head.at, head.len, ";base64,", 8) != NULL);
}

static void walk(struct json_value value, unsigned depth, struct tokens_weight *weight);

static void walk_member(struct str name, struct json_value value, unsigned depth, struct tokens_weight *weight)
{
    if (is_silent(name))
        return;
    if (value.type > JSON_NULL && (is_media(name) || is_media_source(name, value)))
        weight->flat += TOKENS_MEDIA;
    else if (value.type == JSON_OBJECT && str_eq(name, STR("input"))) /* the arguments of a call */
        json_measure(value.text, &weight->text);
    else
        walk(value, depth, weight);
}

static void walk(struct json_value value, unsigned depth, struct tokens_weight *weight)
{
    struct json_value inner;
    struct str name, rest = value.text;
    if (value.type == JSON_STRING && !tokens_is_text(value)) {
        weight->flat += TOKENS_MEDIA;
    } else if (value.type == JSON_STRING || (depth == 0 && value.type >= JSON_ARRAY)) {
        json_measure(value.text, &weight->text);
    } else if (value.type == JSON_OBJECT) {
        while (json_next(&rest, &name, &inner))
            walk_member(name, inner, depth - 1, weight);
    } else if (value.type == JSON_ARRAY) {
        while (json_next(&rest, NULL, &inner))
            if (inner.type == JSON_NUMBER) /* a prompt may be tokens already */
                weight->flat++;
            else
                walk(inner, depth - 1, weight);
    }
}

void tokens_weigh_message(struct json_value message, struct tokens_weight *weight)
{
    weight->messages += message.type == JSON_OBJECT;
    weight->flat += message.type == JSON_NUMBER;
    walk(message, DEPTH_MAX, weight);
}

/* A list of messages, or of texts, or a text. */
static void weigh_messages(struct json_value list, struct tokens_weight *weight)
{
    struct json_value message;
    if (list.type != JSON_ARRAY)
        walk(list, DEPTH_MAX, weight);
    else
        while (json_next(&list.text, NULL, &message))
            tokens_weigh_message(message, weight);
}

bool tokens_weigh(struct str body, struct tokens_weight *weight)
{
    enum { MESSAGES, INPUT, SYSTEM, PROMPT, INSTRUCTIONS, SUFFIX, TOOLS, FUNCTIONS, FORMAT, COUNT };
    static const char *const names[] = {"messages", "input", "system", "prompt", "instructions", "suffix",
                                        "tools", "functions", "response_format"};
    struct json_value v[COUNT];
    *weight = (struct tokens_weight){0};
    if (json_find(body, names, v, COUNT, NULL) != 0) {
        json_measure(body, &weight->text);
        return false;
    }
    weigh_messages(v[MESSAGES], weight);
    weigh_messages(v[INPUT], weight);
    for (size_t i = SYSTEM; i < TOOLS; i++)
        walk(v[i], DEPTH_MAX, weight);
    for (size_t i = TOOLS; i < COUNT; i++)
        if (v[i].type == JSON_ARRAY || v[i].type == JSON_OBJECT)
            json_measure(v[i].text, &weight->text);
    return true;
}

uint64_t tokens_sum(const struct tokens_weight *weight)
{
    return gws_estimate_thumb(weight->text.bytes, weight->text.not_ascii, weight->messages) + weight->flat;
}

/* What the caller allows for the answer. */
static uint64_t answer_limit(struct str body)
{
    static const char *const names[] = {"max_completion_tokens", "max_output_tokens", "max_tokens", "n"};
    struct json_value v[4];
    uint64_t limit = 0, n = 1, product;
    if (json_find(body, names, v, 4, NULL) != 0)
        return 0;
    for (size_t i = 0; i < 3 && limit == 0; i++)
        if (!json_to_u64(v[i], &limit))
            limit = 0;
    if (!json_to_u64(v[3], &n) || n == 0)
        n = 1;
    return __builtin_mul_overflow(limit, n, &product) ? UINT64_MAX : product;
}

void tokens_estimate(struct str body, struct tokens *tokens)
{
    struct tokens_weight weight;
    tokens_weigh(body, &weight);
    *tokens = (struct tokens){tokens_sum(&weight), answer_limit(body)};
}
