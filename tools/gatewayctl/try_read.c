/*
 * What an answer means is what it would mean to the gateway: the same classification decides, so an endpoint that this
 * calls good is one that the gateway would call good.
 */

#include "tools/gatewayctl/try.h"

#include <stdio.h>
#include <string.h>

#include "gatewayd/answer.h"
#include "gatewayd/classify.h"
#include "gatewayd/json_error.h"
#include "gatewayd/show.h"
#include "gatewayd/times.h"

/* One line of what the upstream says, unescaped, without the key. */
static void copy_line(struct json_value value, const struct secret *key, char *out, size_t size)
{
    struct arena arena = {0};
    char *plain = show_must(arena_alloc(&arena, value.text.len + 1));
    size_t length = value.type == JSON_STRING ? json_unescape(value.text, plain) : 0;
    plain[length] = '\0';
    struct str secret = key ? secret_text(key) : (struct str){0};
    for (char *at = plain; secret.len > 0;) {
        at = memmem(at, length - (size_t)(at - plain), secret.at, secret.len);
        if (!at)
            break;
        memset(at, '*', secret.len);
    }
    struct str line = str_trim((struct str){plain, length});
    const char *end = memchr(line.at, '\n', line.len);
    size_t shown = end ? (size_t)(end - line.at) : line.len;
    snprintf(out, size, "%.*s", (int)(shown < size ? shown : size), line.at);
    show_clean(out);
    explicit_bzero(plain, length);
    arena_fini(&arena);
}

static struct json_value text_of(struct str body)
{
    static const char *const places[] = {"choices.0.message.content", "choices.0.message.refusal", "content.0.text",
                                         "choices.0.message.reasoning_content"};
    struct json_value value = {0};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && value.text.len == 0; i++) {
        value = json_path(body, places[i]);
        if (value.type != JSON_STRING)
            value = (struct json_value){0};
    }
    return value;
}

static const char *meaning_of(enum outcome_class class)
{
    switch (class) {
    case CLASS_AUTH:
        return "the credential was refused";
    case CLASS_QUOTA:
    case CLASS_QUOTA_HERE:
        return "the quota is spent";
    case CLASS_RATE:
        return "rate limited";
    case CLASS_OVERLOAD:
        return "overloaded";
    case CLASS_SERVER:
        return "the upstream failed";
    case CLASS_INVALID:
        return "the answer holds no answer";
    case CLASS_CONTEXT:
        return "too long for the model";
    default:
        return "the request was refused";
    }
}

static struct verdict judge(const struct try_question *q, const struct try_reply *reply, int64_t now_real_s)
{
    struct upstream_response response = {.status = reply->status};
    struct str lines = buf_str(&reply->lines), body = buf_str(&reply->body);
    const char *path = q->endpoint->dialects == CONF_DIALECT_ANTHROPIC ? "/messages" : "/chat/completions";
    while (lines.len > 0 && response.header_count < HTTP_HEADERS_MAX) {
        const char *end = memchr(lines.at, '\n', lines.len);
        size_t length = end ? (size_t)(end - lines.at) : lines.len;
        struct http_header *header = &response.headers[response.header_count];
        response.header_count += http_header_parse((struct str){lines.at, length}, header);
        length += end != NULL;
        lines = (struct str){lines.at + length, lines.len - length};
    }
    if (reply->status < 200 || reply->status > 299)
        return classify_response(reply->status, response.headers, response.header_count, body, now_real_s);
    struct verdict verdict =
        classify_error_body(reply->status, response.headers, response.header_count, body, now_real_s);
    if (verdict.class == CLASS_OK && answer_missing(str_of(path), body, 0))
        verdict.class = CLASS_INVALID;
    return verdict;
}

static void say_refusal(const struct try_question *q, const struct try_reply *reply, struct verdict verdict, char *out,
                        size_t size)
{
    struct json_error error;
    char said[TRY_TEXT] = "", wait[96] = "";
    if (json_error_find(buf_str(&reply->body), &error))
        copy_line(error.message, q->key, said, sizeof(said));
    if (verdict.wait_ms > 0)
        snprintf(wait, sizeof(wait), ", asks to wait %s", times_span((uint64_t)verdict.wait_ms).text);
    snprintf(out, size, "%s%s%s%s", meaning_of(verdict.class), wait, said[0] ? ": " : "", said);
}

/* Without a whole answer. */
static const char *say_loss(const struct try_question *q, const struct try_reply *reply, char *out, size_t size)
{
    char why[160];
    snprintf(why, sizeof(why), "%.150s", reply->why);
    show_clean(why);
    if (reply->too_long) {
        snprintf(out, size, "far too long an answer to %d tokens", TRY_TOKENS);
        return classify_name(CLASS_INVALID);
    }
    if (reply->timed_out && reply->connected) {
        snprintf(out, size, "silent: no whole answer within %s", times_span(q->response_ms).text);
        return classify_name(CLASS_SILENCE);
    }
    if (reply->timed_out)
        snprintf(out, size, "no connection within %s", times_span(q->connect_ms).text);
    else if (reply->status > 0)
        snprintf(out, size, "cut within the answer: %s", why);
    else if (reply->connected)
        snprintf(out, size, "the connection ended before an answer: %s", why);
    else
        snprintf(out, size, "no connection: %s", why);
    return classify_name(reply->status > 0 ? CLASS_CUT : CLASS_TRANSPORT);
}

bool try_wants_newer_limit(const struct try_question *q, const struct try_reply *reply)
{
    struct str body = buf_str(&reply->body);
    static const char newer[] = "max_completion_tokens";
    return !q->newer_limit && reply->status == 400 && body.len > 0 &&
           memmem(body.at, body.len, newer, sizeof(newer) - 1) != NULL;
}

void try_read(const struct try_question *q, const struct try_reply *reply, int64_t now_real_s,
              struct try_outcome *outcome)
{
    *outcome = (struct try_outcome){.good = false};
    if (reply->why[0]) {
        outcome->name = say_loss(q, reply, outcome->error, sizeof(outcome->error));
        return;
    }
    struct verdict verdict = judge(q, reply, now_real_s);
    outcome->name = classify_name(verdict.class);
    outcome->good = verdict.class == CLASS_OK;
    if (outcome->good)
        copy_line(text_of(buf_str(&reply->body)), q->key, outcome->answer, sizeof(outcome->answer));
    else
        say_refusal(q, reply, verdict, outcome->error, sizeof(outcome->error));
    if (outcome->good && !outcome->answer[0])
        snprintf(outcome->answer, sizeof(outcome->answer), "(no text in %d tokens)", TRY_TOKENS);
}
