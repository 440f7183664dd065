/*
 * What the imagined model says when it says it all at once: the words, the unstreamed bodies and the errors. The words
 * are made once and copied; everything else is a short formatted frame around them.
 */

#include "tools/llmsim/answer.h"

#include <stdlib.h>

#include "tools/llmsim/shape.h"
#include "tools/llmsim/sim.h"

void words_need(struct words *w, unsigned count)
{
    if (count > w->size) {
        unsigned size = count < 1000 ? 1000 : count;
        uint32_t *ends = realloc(w->ends, size * sizeof(*ends));
        sim_must(ends ? 0 : -1);
        w->ends = ends;
        w->size = size;
    }
    while (w->count < count) {
        sim_must(buf_addf(&w->text, "word%02u ", w->count + 1));
        w->ends[w->count++] = (uint32_t)buf_len(&w->text);
    }
}

struct str words_first(const struct words *w, unsigned count)
{
    return (struct str){w->text.data + w->text.start, count ? w->ends[count - 1] : 0};
}

unsigned words_covering(struct words *w, size_t bytes)
{
    unsigned count = 0;

    while (count < ANSWER_TOKENS_MAX) {
        words_need(w, count + 1);
        if (w->ends[count++] >= bytes)
            break;
    }
    return count;
}

void words_fini(struct words *w)
{
    buf_fini(&w->text);
    free(w->ends);
    *w = (struct words){0};
}

static struct str text_of(const struct answer *a)
{
    struct str text = words_first(a->words, a->tokens);

    if (a->bytes && a->bytes < text.len)
        text.len = a->bytes;
    return text;
}

static const char *chat_finish(const struct answer *a)
{
    return a->shortened ? "length" : "stop";
}

static void chat_usage(struct buf *out, const struct answer *a)
{
    sim_must(buf_addf(out, "\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%u}",
                      a->prompt_tokens, a->tokens, a->prompt_tokens + a->tokens));
}

static void whole_chat(struct buf *out, const struct answer *a)
{
    sim_must(buf_addf(out,
                      "{\"id\":\"chatcmpl-%012llx\",\"object\":\"chat.completion\",\"created\":%lld,\"model\":\"%.*s\","
                      "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"",
                      (unsigned long long)a->number, (long long)a->created, (int)a->model_len, a->model));
    sim_must(buf_add_str(out, text_of(a)));
    sim_must(buf_addf(out, "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"%s\"}],", chat_finish(a)));
    chat_usage(out, a);
    sim_must(buf_add_str(out, STR(",\"system_fingerprint\":\"fp_llmsim\"}")));
}

static void whole_completion(struct buf *out, const struct answer *a)
{
    sim_must(buf_addf(out,
                      "{\"id\":\"cmpl-%012llx\",\"object\":\"text_completion\",\"created\":%lld,\"model\":\"%.*s\","
                      "\"choices\":[{\"index\":0,\"text\":\"",
                      (unsigned long long)a->number, (long long)a->created, (int)a->model_len, a->model));
    sim_must(buf_add_str(out, text_of(a)));
    sim_must(buf_addf(out, "\",\"logprobs\":null,\"finish_reason\":\"%s\"}],", chat_finish(a)));
    chat_usage(out, a);
    sim_must(buf_add_str(out, STR("}")));
}

static void whole_message(struct buf *out, const struct answer *a)
{
    sim_must(buf_addf(out,
                      "{\"id\":\"msg_%012llx\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"%.*s\","
                      "\"content\":[",
                      (unsigned long long)a->number, (int)a->model_len, a->model));
    if (a->tokens) {
        sim_must(buf_add_str(out, STR("{\"type\":\"text\",\"text\":\"")));
        sim_must(buf_add_str(out, text_of(a)));
        sim_must(buf_add_str(out, STR("\"}")));
    }
    sim_must(buf_addf(out,
                      "],\"stop_reason\":\"%s\",\"stop_sequence\":null,"
                      "\"usage\":{\"input_tokens\":%u,\"output_tokens\":%u}}",
                      a->shortened ? "max_tokens" : "end_turn", a->prompt_tokens, a->tokens));
}

static void whole_embeddings(struct buf *out, const struct answer *a)
{
    sim_must(buf_add_str(out, STR("{\"object\":\"list\",\"data\":[")));
    for (unsigned i = 0; i < a->inputs; i++) {
        sim_must(buf_addf(out, "%s{\"object\":\"embedding\",\"index\":%u,\"embedding\":[", i ? "," : "", i));
        for (unsigned d = 0; d < a->dimensions; d++)
            sim_must(buf_addf(out, "%s0.%04u", d ? "," : "", (i * 31 + d * 7 + 1) % 10000));
        sim_must(buf_add_str(out, STR("]}")));
    }
    sim_must(buf_addf(out, "],\"model\":\"%.*s\",\"usage\":{\"prompt_tokens\":%u,\"total_tokens\":%u}}",
                      (int)a->model_len, a->model, a->prompt_tokens, a->prompt_tokens));
}

static void whole_moderation(struct buf *out, const struct answer *a)
{
    sim_must(buf_addf(out, "{\"id\":\"modr-%012llx\",\"model\":\"%.*s\",\"results\":[", (unsigned long long)a->number,
                      (int)a->model_len, a->model));
    for (unsigned i = 0; i < a->inputs; i++)
        sim_must(buf_addf(out,
                          "%s{\"flagged\":false,\"categories\":{\"hate\":false,\"violence\":false},"
                          "\"category_scores\":{\"hate\":0.0001,\"violence\":0.0002}}",
                          i ? "," : ""));
    sim_must(buf_add_str(out, STR("]}")));
}

void answer_whole(struct buf *out, const struct answer *a)
{
    switch (a->api) {
    case API_COMPLETIONS:
        whole_completion(out, a);
        break;
    case API_EMBEDDINGS:
        whole_embeddings(out, a);
        break;
    case API_MODERATIONS:
        whole_moderation(out, a);
        break;
    case API_MESSAGES:
        whole_message(out, a);
        break;
    case API_RESPONSES:
        answer_response(out, a, "completed");
        break;
    default:
        whole_chat(out, a);
    }
}

static void one_model(struct buf *out, struct str name, int64_t created)
{
    sim_must(buf_add_str(out, STR("{\"id\":\"")));
    sim_must(buf_add_json(out, name));
    sim_must(buf_addf(out, "\",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"llmsim\"}", (long long)created));
}

void answer_models(struct buf *out, struct str one, int64_t created)
{
    static const char *const names[] = {"gpt-4.1", "gpt-4.1-mini", "claude-sonnet-4-5", "gemini-2.5-flash",
                                        "deepseek-v3.2", "text-embedding-3-small"};

    if (one.len) {
        one_model(out, one, created);
        return;
    }
    sim_must(buf_add_str(out, STR("{\"object\":\"list\",\"data\":[")));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (i)
            sim_must(buf_add_str(out, STR(",")));
        one_model(out, str_of(names[i]), created);
    }
    sim_must(buf_add_str(out, STR("]}")));
}

void answer_error(struct buf *out, enum api api, uint64_t number, const struct answer_error *e)
{
    if (e->shape) {
        shape_print(e->shape, e->message, e->more, out);
        return;
    }
    if (api == API_MESSAGES)
        sim_must(buf_addf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"", e->anthropic));
    else
        sim_must(buf_add_str(out, STR("{\"error\":{\"message\":\"")));
    sim_must(buf_add_json(out, e->message));
    if (api == API_MESSAGES)
        sim_must(buf_add_str(out, STR("\"")));
    else if (e->code)
        sim_must(buf_addf(out, "\",\"type\":\"%s\",\"param\":null,\"code\":\"%s\"", e->type, e->code));
    else
        sim_must(buf_addf(out, "\",\"type\":\"%s\",\"param\":null,\"code\":null", e->type));
    sim_must(buf_add_str(out, e->more));
    if (api == API_MESSAGES)
        sim_must(buf_addf(out, "},\"request_id\":\"req_%012llx\"}", (unsigned long long)number));
    else
        sim_must(buf_add_str(out, STR("}}")));
}
