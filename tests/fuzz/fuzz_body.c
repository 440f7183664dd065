/*
 * Bodies of requests and answers from a hostile peer. The promises: an estimate never exceeds what its bytes allow, and
 * a part more never makes the weight less; a request that was made to fit is JSON, fits, and differs in its messages
 * alone; what an answer says of its usage is never absurd; and whatever is asked of any answer, nothing is read beyond
 * it.
 */

#include "gatewayd/answer.h"
#include "gatewayd/tokens.h"
#include "gatewayd/truncate.h"
#include "gatewayd/usage.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition) ((condition) ? (void)0 : broken(__LINE__, #condition))

const struct fuzz_word fuzz_seeds[] = {
    WORD(" {\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be brief and kind\"},"
         "{\"role\":\"user\",\"content\":\"\\ud83d\\ude00 what is the matter with you\"},{\"role\":\"assistant\","
         "\"tool_calls\":[{\"id\":\"c\"}]},{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"a long answer\"},"
         "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\xe4\xb8\xad\xe6\x96\x87 and so on and on\"},"
         "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:a;base64,AAAA\"}}]}],\"max_tokens\":5,\"n\":2}"),
    WORD(" {\"input\":[[1,2],\"data:a;base64,\",{\"content\":[{\"source\":{\"type\":\"text\",\"data\":\"x\"}}]}],"
         "\"system\":[{\"text\":\"x\"}],\"tools\":[{}],\"prompt\":[1,2,\"x\"]}"),
    WORD(" {\"choices\":[{\"message\":{\"content\":\"hi\",\"tool_calls\":[]},\"finish_reason\":\"stop\"}],\"usage\":"
         "{\"prompt_tokens\":9,\"completion_tokens\":1,\"prompt_tokens_details\":{\"cached_tokens\":4}}}"),
    WORD(" {\"content\":[{\"type\":\"text\",\"text\":\"hi\"}],\"stop_reason\":\"end_turn\",\"usage\":{"
         "\"input_tokens\":1,\"cache_read_input_tokens\":2,\"output_tokens\":3}}"),
    WORD(" {\"output\":[{\"type\":\"message\",\"content\":[{\"text\":\"hi\"}]}],\"status\":\"completed\","
         "\"usageMetadata\":{\"promptTokenCount\":1,\"thoughtsTokenCount\":2},\"response\":{\"usage\":{}}}"),
};
const size_t fuzz_seed_count = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);

const struct fuzz_word fuzz_words[] = {
    WORD("{"), WORD("}"), WORD("["), WORD("]"), WORD(":"), WORD(","), WORD("\""), WORD("\\"), WORD(" "),
    WORD("\\u00e9"), WORD("\\ud83d\\ude00"), WORD("\\ud83d"), WORD("\xe4\xb8\xad"), WORD("\xf0"),
    WORD("\x80\x80\x80\x80\x80"),
    WORD("{\"role\":\"user\",\"content\":\"and one more of them\"},"), WORD("\"role\":\"system\","),
    WORD("{\"role\":\"tool\",\"content\":\"what it returned is this\"},"), WORD("\"role\":\"assistant\","),
    WORD("{\"type\":\"tool_result\",\"content\":\"what it returned\"},"), WORD("\"messages\":["), WORD("\"content\":"),
    WORD("\"text\":\"some text that is long enough to cut\","), WORD("\"input\":"), WORD("data:a;base64,"),
    WORD("null"), WORD("18446744073709551615"), WORD("-1"), WORD("1000000000"), WORD("\"usage\":"),
    WORD("\"stop\""), WORD("\"\""),
    WORD("[[[[[[[[[["), WORD("]]]]]]]]]]"),
};
const size_t fuzz_word_count = sizeof(fuzz_words) / sizeof(fuzz_words[0]);

static void broken(int line, const char *what)
{
    fprintf(stderr, "fuzz_body.c:%d: not so: %s\n", line, what);
    abort();
}

static void check_tokens(struct str body, struct tokens *tokens)
{
    struct tokens_weight weight;
    bool understood = tokens_weigh(body, &weight);

    tokens_estimate(body, tokens);
    MUST(tokens->prompt == tokens_sum(&weight));
    MUST(weight.text.bytes <= body.len && weight.text.not_ascii <= weight.text.bytes);
    MUST(weight.text.characters <= weight.text.bytes);
    MUST(understood || (weight.messages == 0 && weight.flat == 0));
}

static void check_truncate(struct str body, uint64_t most, struct tokens whole)
{
    const char *const names[] = {"messages"};
    struct json_value was, is;
    struct buf out = {0};
    struct tokens tokens;
    unsigned count = 0;
    int rc = truncate_messages(body, most, &out, &count);

    MUST(rc == TRUNCATE_DONE || rc == TRUNCATE_CANNOT);
    MUST(rc == TRUNCATE_DONE || buf_len(&out) == 0);
    if (rc == TRUNCATE_DONE) {
        struct str made = buf_str(&out);
        MUST(json_find(body, names, &was, 1, NULL) == 0 && json_find(made, names, &is, 1, NULL) == 0);
        size_t before = (size_t)(was.text.at - body.at), after = body.len - before - was.text.len;
        MUST((size_t)(is.text.at - made.at) == before && memcmp(made.at, body.at, before) == 0);
        MUST(made.len - before - is.text.len == after);
        MUST(memcmp(is.text.at + is.text.len, was.text.at + was.text.len, after) == 0);
        tokens_estimate(made, &tokens);
        MUST(tokens.prompt <= most && tokens.answer == whole.answer);
        MUST(count > 0 || str_eq(made, body));
        MUST(whole.prompt > most || count == 0);
    }
    buf_fini(&out);
}

static void check_answer(struct str body)
{
    static const char *const paths[] = {"/chat/completions", "/completions", "/messages", "/responses", "/embeddings"};
    struct usage usage = {0};

    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        MUST(!answer_missing(str_of(paths[i]), body, 0) || answer_missing(str_of(paths[i]), body, 3));
    usage_read(body, &usage);
    MUST(usage.cached <= usage.input && usage.input <= UINT64_C(3000000000) && usage.output <= UINT64_C(2000000000));
    MUST(usage.known || (usage.input == 0 && usage.output == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str body = {(const char *)data + 1, size - 1};
    struct tokens tokens;

    check_tokens(body, &tokens);
    /* Between nothing and everything: the first byte says how much is allowed. */
    check_truncate(body, tokens.prompt * data[0] / 200, tokens);
    check_answer(body);
    return 0;
}
