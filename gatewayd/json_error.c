#include "gatewayd/json_error.h"

/*
 * Most providers put an object into `error`; Gemini's OpenAI-compatible API wraps that into an array, a failed event of
 * OpenAI's Responses API into `response`; Ollama and others make it a text; Mistral, Azure's front door and the error
 * event of the Responses API leave the members at the top. Whoever reads the error should not have to know.
 */

static void read_members(struct str object, struct json_error *out)
{
    out->code = json_path(object, "code");
    out->type = json_path(object, "type");
    out->status = json_path(object, "status");
    out->message = json_path(object, "message");
    out->details = json_path(object, "details");
    out->metadata = json_path(object, "metadata");
    out->retry_after = json_path(object, "retry_after");
}

/* Members at the top: marked by {"object":"error"} (Mistral, vLLM) or {"type":"error"} (OpenAI's Responses). */
static bool find_at_top(struct str body, struct json_error *out)
{
    struct json_error found = {0};
    read_members(body, &found);
    found.marked = json_str_eq(found.type, STR("error")) || json_str_eq(json_path(body, "object"), STR("error"));
    if (!found.marked && found.message.type != JSON_STRING && found.code.type == JSON_NONE)
        return false;
    *out = found;
    return true;
}

bool json_error_find(struct str body, struct json_error *out)
{
    static const char *const places[] = {"error", "0.error", "response.error"};
    *out = (struct json_error){0};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct json_value error = json_path(body, places[i]);
        if (error.type != JSON_OBJECT && error.type != JSON_STRING)
            continue;
        out->marked = true;
        if (error.type == JSON_OBJECT)
            read_members(error.text, out);
        else
            out->message = error;
        return true;
    }
    return find_at_top(body, out);
}

struct json_value json_error_retry_delay(const struct json_error *error)
{
    struct str rest = error->details.type == JSON_ARRAY ? error->details.text : STR("");
    struct json_value detail;
    while (json_next(&rest, NULL, &detail)) {
        struct json_value delay = json_path(detail.text, "retryDelay");
        if (detail.type == JSON_OBJECT && delay.type == JSON_STRING)
            return delay;
    }
    return (struct json_value){JSON_NONE, {NULL, 0}};
}

static bool any_violation(struct json_value violations, struct str part)
{
    struct str rest = violations.type == JSON_ARRAY ? violations.text : STR("");
    struct json_value violation;
    while (json_next(&rest, NULL, &violation)) {
        struct json_value id = json_path(violation.text, "quotaId");
        if (violation.type == JSON_OBJECT && id.type == JSON_STRING && json_error_after(id.text, part).at)
            return true;
    }
    return false;
}

bool json_error_violates(const struct json_error *error, struct str part)
{
    struct str rest = error->details.type == JSON_ARRAY ? error->details.text : STR("");
    struct json_value detail;
    while (json_next(&rest, NULL, &detail))
        if (detail.type == JSON_OBJECT && any_violation(json_path(detail.text, "violations"), part))
            return true;
    return false;
}

struct str json_error_after(struct str text, struct str words)
{
    for (; text.len >= words.len; text.at++, text.len--)
        if (((text.at[0] ^ words.at[0]) & ~0x20) == 0 && strncasecmp(text.at, words.at, words.len) == 0)
            return (struct str){text.at + words.len, text.len - words.len};
    return (struct str){NULL, 0};
}
