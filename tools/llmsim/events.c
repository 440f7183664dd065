/*
 * What the imagined model says word by word: the server-sent events of each API, in the order its own servers send
 * them. A token is one event; its frame is formatted once for a run of tokens, since that is what a benchmark spends
 * its time on.
 */

#include "tools/llmsim/answer.h"
#include "tools/llmsim/sim.h"

static void completed_usage(struct buf *out, const struct answer *a)
{
    sim_must(buf_addf(out, "{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%u}", a->prompt_tokens,
                      a->tokens, a->prompt_tokens + a->tokens));
}

/* The part of a chat or completions event before its choices. */
static void chunk_head(struct buf *out, const struct answer *a)
{
    bool chat = a->api == API_CHAT;

    sim_must(buf_addf(out, "data: {\"id\":\"%s-%012llx\",\"object\":\"%s\",\"created\":%lld,\"model\":\"%.*s\",",
                      chat ? "chatcmpl" : "cmpl", (unsigned long long)a->number,
                      chat ? "chat.completion.chunk" : "text_completion", (long long)a->created, (int)a->model_len,
                      a->model));
    sim_must(buf_add_str(out, chat ? STR("\"system_fingerprint\":\"fp_llmsim\",\"choices\":[") : STR("\"choices\":[")));
}

/* OpenAI sends `usage` in every chunk of a stream that asked for it, null in all but the last. */
static struct str chunk_tail(const struct answer *a)
{
    return a->usage ? STR("],\"usage\":null}\n\n") : STR("]}\n\n");
}

static void chunk_end(struct buf *out, const struct answer *a)
{
    chunk_head(out, a);
    sim_must(buf_addf(out, "{\"index\":0,%s,\"logprobs\":null,\"finish_reason\":\"%s\"}",
                      a->api == API_CHAT ? "\"delta\":{}" : "\"text\":\"\"", a->shortened ? "length" : "stop"));
    sim_must(buf_add_str(out, chunk_tail(a)));
    if (a->usage) {
        chunk_head(out, a);
        sim_must(buf_add_str(out, STR("],\"usage\":")));
        completed_usage(out, a);
        sim_must(buf_add_str(out, STR("}\n\n")));
    }
}

void answer_response(struct buf *out, const struct answer *a, const char *status)
{
    bool complete = strcmp(status, "completed") == 0;
    struct str text = words_first(a->words, complete ? a->tokens : 0);

    if (complete && a->bytes && a->bytes < text.len)
        text.len = a->bytes;
    if (complete && a->shortened)
        status = "incomplete";
    sim_must(buf_addf(out,
                      "{\"id\":\"resp_%012llx\",\"object\":\"response\",\"created_at\":%lld,\"status\":\"%s\","
                      "\"error\":null,\"incomplete_details\":%s,\"model\":\"%.*s\",\"output\":[",
                      (unsigned long long)a->number, (long long)a->created, status,
                      complete && a->shortened ? "{\"reason\":\"max_output_tokens\"}" : "null", (int)a->model_len,
                      a->model));
    if (complete) {
        sim_must(buf_addf(out,
                          "{\"type\":\"message\",\"id\":\"msg_%012llx\",\"status\":\"%s\",\"role\":\"assistant\","
                          "\"content\":[{\"type\":\"output_text\",\"annotations\":[],\"text\":\"",
                          (unsigned long long)a->number, status));
        sim_must(buf_add_str(out, text));
        sim_must(buf_addf(out,
                          "\"}]}],\"usage\":{\"input_tokens\":%u,\"input_tokens_details\":{\"cached_tokens\":0},"
                          "\"output_tokens\":%u,\"output_tokens_details\":{\"reasoning_tokens\":0},"
                          "\"total_tokens\":%u}}",
                          a->prompt_tokens, a->tokens, a->prompt_tokens + a->tokens));
    } else {
        sim_must(buf_add_str(out, STR("],\"usage\":null}")));
    }
}

/* Begin one event of /v1/responses; its further members follow, then "}\n\n". */
static void response_event(struct buf *out, struct answer *a, const char *type)
{
    sim_must(buf_addf(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%u", type, type, a->sequence++));
}

static void response_state(struct buf *out, struct answer *a, const char *type, const char *status)
{
    response_event(out, a, type);
    sim_must(buf_add_str(out, STR(",\"response\":")));
    answer_response(out, a, status);
    sim_must(buf_add_str(out, STR("}\n\n")));
}

static void response_opening(struct buf *out, struct answer *a)
{
    unsigned long long id = a->number;

    response_state(out, a, "response.created", "in_progress");
    response_state(out, a, "response.in_progress", "in_progress");
    response_event(out, a, "response.output_item.added");
    sim_must(buf_addf(out,
                      ",\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"msg_%012llx\","
                      "\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}}\n\n",
                      id));
    response_event(out, a, "response.content_part.added");
    sim_must(buf_addf(out,
                      ",\"item_id\":\"msg_%012llx\",\"output_index\":0,\"content_index\":0,"
                      "\"part\":{\"type\":\"output_text\",\"annotations\":[],\"text\":\"\"}}\n\n",
                      id));
}

static void response_closing(struct buf *out, struct answer *a)
{
    struct str text = words_first(a->words, a->tokens);
    unsigned long long id = a->number;
    const char *status = a->shortened ? "incomplete" : "completed";
    const char *last = a->shortened ? "response.incomplete" : "response.completed";

    response_event(out, a, "response.output_text.done");
    sim_must(buf_addf(out,
                      ",\"item_id\":\"msg_%012llx\",\"output_index\":0,\"content_index\":0,\"text\":\"%.*s\"}\n\n",
                      id, (int)text.len, text.at));
    response_event(out, a, "response.content_part.done");
    sim_must(buf_addf(out,
                      ",\"item_id\":\"msg_%012llx\",\"output_index\":0,\"content_index\":0,"
                      "\"part\":{\"type\":\"output_text\",\"annotations\":[],\"text\":\"%.*s\"}}\n\n",
                      id, (int)text.len, text.at));
    response_event(out, a, "response.output_item.done");
    sim_must(buf_addf(out,
                      ",\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"msg_%012llx\",\"status\":\"%s\","
                      "\"role\":\"assistant\",\"content\":"
                      "[{\"type\":\"output_text\",\"annotations\":[],\"text\":\"%.*s\"}]}}\n\n",
                      id, status, (int)text.len, text.at));
    response_state(out, a, last, "completed");
}

static void message_opening(struct buf *out, const struct answer *a)
{
    sim_must(buf_addf(out,
                      "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_%012llx\","
                      "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"%.*s\",\"content\":[],"
                      "\"stop_reason\":null,\"stop_sequence\":null,"
                      "\"usage\":{\"input_tokens\":%u,\"output_tokens\":1}}}\n\n",
                      (unsigned long long)a->number, (int)a->model_len, a->model, a->prompt_tokens));
    sim_must(buf_add_str(out, STR("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
                                  "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
                                  "event: ping\ndata: {\"type\":\"ping\"}\n\n")));
}

static void message_closing(struct buf *out, const struct answer *a)
{
    sim_must(buf_addf(out,
                      "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
                      "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\","
                      "\"stop_sequence\":null},\"usage\":{\"output_tokens\":%u}}\n\n"
                      "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
                      a->shortened ? "max_tokens" : "end_turn", a->tokens));
}

void answer_opening(struct buf *out, struct answer *a)
{
    if (a->api == API_RESPONSES) {
        response_opening(out, a);
    } else if (a->api == API_MESSAGES) {
        message_opening(out, a);
    } else if (a->api == API_CHAT) {
        chunk_head(out, a);
        sim_must(buf_add_str(out, STR("{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\","
                                      "\"refusal\":null},\"logprobs\":null,\"finish_reason\":null}")));
        sim_must(buf_add_str(out, chunk_tail(a)));
    }
}

/* The bytes of a token's event on either side of the token. */
static void token_frame(struct buf *frame, struct answer *a, struct str *after)
{
    if (a->api == API_MESSAGES) {
        sim_must(buf_add_str(frame, STR("event: content_block_delta\n"
                                        "data: {\"type\":\"content_block_delta\",\"index\":0,"
                                        "\"delta\":{\"type\":\"text_delta\",\"text\":\"")));
        *after = STR("\"}}\n\n");
        return;
    }
    chunk_head(frame, a);
    if (a->api == API_CHAT) {
        sim_must(buf_add_str(frame, STR("{\"index\":0,\"delta\":{\"content\":\"")));
        *after = a->usage ? STR("\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n")
                          : STR("\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    } else {
        sim_must(buf_add_str(frame, STR("{\"index\":0,\"text\":\"")));
        *after = a->usage ? STR("\",\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n")
                          : STR("\",\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    }
}

static struct str word(const struct words *w, unsigned token)
{
    size_t start = words_first(w, token - 1).len;

    return (struct str){w->text.data + w->text.start + start, w->ends[token - 1] - start};
}

void answer_tokens(struct buf *out, struct answer *a, unsigned from, unsigned until)
{
    static struct buf frame; /* kept between calls so that it is allocated once */
    struct str after = STR("");

    if (a->api == API_RESPONSES) {
        for (unsigned token = from + 1; token <= until; token++) {
            response_event(out, a, "response.output_text.delta");
            sim_must(buf_addf(out,
                              ",\"item_id\":\"msg_%012llx\",\"output_index\":0,\"content_index\":0,"
                              "\"delta\":\"%.*s\"}\n\n",
                              (unsigned long long)a->number, (int)word(a->words, token).len, word(a->words, token).at));
        }
        return;
    }
    buf_clear(&frame);
    token_frame(&frame, a, &after);
    for (unsigned token = from + 1; token <= until; token++) {
        sim_must(buf_add_str(out, buf_str(&frame)));
        sim_must(buf_add_str(out, word(a->words, token)));
        sim_must(buf_add_str(out, after));
    }
}

void answer_closing(struct buf *out, struct answer *a)
{
    if (a->api == API_RESPONSES)
        response_closing(out, a);
    else if (a->api == API_MESSAGES)
        message_closing(out, a);
    else
        chunk_end(out, a);
}

void answer_done(struct buf *out, const struct answer *a)
{
    if (a->api == API_CHAT || a->api == API_COMPLETIONS)
        sim_must(buf_add_str(out, STR("data: [DONE]\n\n")));
}

void answer_bad_event(struct buf *out, const struct answer *a)
{
    if (a->api == API_MESSAGES)
        sim_must(buf_add_str(out, STR("event: content_block_delta\n")));
    sim_must(buf_add_str(out, STR("data: {\"id\":\"broken\",\"choices\":[{\"delta\":{\"content\":\"half a\n\n")));
}

void answer_error_event(struct buf *out, struct answer *a, const struct answer_error *e)
{
    if (a->api == API_RESPONSES) {
        response_event(out, a, "error");
        sim_must(buf_addf(out, ",\"code\":\"%s\",\"message\":\"", e->code));
        sim_must(buf_add_json(out, e->message));
        sim_must(buf_add_str(out, STR("\",\"param\":null}\n\n")));
        return;
    }
    sim_must(buf_add_str(out, a->api == API_MESSAGES ? STR("event: error\ndata: ") : STR("data: ")));
    answer_error(out, a->api, a->number, e);
    sim_must(buf_add_str(out, STR("\n\n")));
}
