/*
 * What of a request counts as text, by API, and what does not; and that bodies made to look small or to be slow are
 * neither.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gatewayd/tokens.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    const char *body;
    uint64_t bytes, not_ascii, messages, flat;
} weights[] = {
    {"{}", 0, 0, 0, 0},
    {"{\"model\":\"a long name of a model\",\"user\":\"somebody\",\"stop\":[\"x\"]}", 0, 0, 0, 0},

    /* Chat: texts and parts, calls and their answers, names. */
    {"{\"messages\":[{\"role\":\"user\",\"content\":\"12345678\"}]}", 8, 0, 1, 0},
    {"{\"messages\":[{\"role\":\"system\",\"content\":\"1234\"},{\"role\":\"user\",\"content\":\"5\"}]}", 5, 0, 2, 0},
    {"{\"messages\":[{\"role\":\"user\",\"content\":\"\\n\\u00e9\xc3\xa9\"}]}", 5, 4, 1, 0},
    {"{\"messages\":[{\"role\":\"user\",\"name\":\"abc\",\"content\":[{\"type\":\"text\",\"text\":\"12\"},"
     "{\"type\":\"text\",\"text\":\"34\"}]}]}", 7, 0, 1, 0},
    {"{\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\","
     "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},"
     "{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"42\"}]}", 10, 0, 2, 0},
    {"{\"messages\":null}", 0, 0, 0, 0},
    {"{\"messages\":[]}", 0, 0, 0, 0},

    /* Images, audio and files. */
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
     "\"data:image/png;base64,AAAAAAAAAAAAAAAA\",\"detail\":\"high\"}},{\"type\":\"text\",\"text\":\"What?\"}]}]}",
     5, 0, 1, TOKENS_MEDIA},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAAA\","
     "\"format\":\"wav\"}},{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":\"AAAA\"}}]}]}",
     0, 0, 1, 2 * TOKENS_MEDIA},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\","
     "\"media_type\":\"image/png\",\"data\":\"AAAAAAAA\"}},{\"type\":\"document\",\"title\":\"T\",\"source\":"
     "{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"abc\"}}]}]}", 4, 0, 1, TOKENS_MEDIA},
    {"{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"https://a/b\"},"
     "{\"type\":\"input_text\",\"text\":\"ab\"}]}]}", 2, 0, 1, TOKENS_MEDIA},
    {"{\"input\":\"data:image/jpeg;base64,AAAAAAAAAAAAAA\"}", 0, 0, 0, TOKENS_MEDIA},
    {"{\"input\":\"data: not base64\"}", 16, 0, 0, 0},

    /* Completions, embeddings, moderations: a text, texts, or tokens. */
    {"{\"prompt\":\"abc\",\"suffix\":\"de\"}", 5, 0, 0, 0},
    {"{\"prompt\":[\"abc\",\"de\"]}", 5, 0, 0, 0},
    {"{\"prompt\":[1,2,3]}", 0, 0, 0, 3},
    {"{\"prompt\":[[1,2,3],[4]]}", 0, 0, 0, 4},
    {"{\"input\":[\"abc\",\"de\"]}", 5, 0, 0, 0},
    {"{\"input\":[1,2,3]}", 0, 0, 0, 3},
    {"{\"input\":[[1],[2]]}", 0, 0, 0, 2},

    /* Responses. */
    {"{\"input\":\"abc\",\"instructions\":\"de\"}", 5, 0, 0, 0},
    {"{\"input\":[{\"role\":\"user\",\"content\":\"abc\"},{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\","
     "\"arguments\":\"{}\"},{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"42\"},"
     "{\"type\":\"reasoning\",\"encrypted_content\":\"AAAAAAAA\",\"summary\":[]}]}", 8, 0, 4, 0},

    /* Messages. */
    {"{\"system\":\"abc\",\"messages\":[{\"role\":\"user\",\"content\":\"de\"}]}", 5, 0, 1, 0},
    {"{\"system\":[{\"type\":\"text\",\"text\":\"abc\",\"cache_control\":{\"type\":\"ephemeral\"}}]}", 3, 0, 0, 0},
    {"{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"Hm\","
     "\"signature\":\"AAAA\"},{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\": 1}}]},"
     "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":"
     "[{\"type\":\"text\",\"text\":\"42\"}]}]}]}", 13, 0, 2, 0},

    /* Definitions as they stand. */
    {"{\"tools\":[{\"type\":\"function\"}]}", 21, 0, 0, 0},
    {"{\"functions\":[{}],\"response_format\":{\"type\":\"text\"},\"tool_choice\":\"auto\"}", 19, 0, 0, 0},

    /* What is not understood counts by its bytes. */
    {"{\"messages\":[],\"messages\":[]}", 29, 0, 0, 0},
    {"[\"messages\"]", 12, 0, 0, 0},
    {"", 0, 0, 0, 0},
};

static void weighs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(weights); i++) {
        struct tokens_weight got;
        tokens_weigh(str_of(weights[i].body), &got);
        if (got.text.bytes != weights[i].bytes || got.text.not_ascii != weights[i].not_ascii ||
            got.messages != weights[i].messages || got.flat != weights[i].flat)
            fail_msg("%lu (%lu) bytes, %lu messages, %lu: %s", (unsigned long)got.text.bytes,
                     (unsigned long)got.text.not_ascii, (unsigned long)got.messages, (unsigned long)got.flat,
                     weights[i].body);
    }
}

static const struct {
    const char *body;
    struct tokens tokens;
} estimates[] = {
    {"{\"messages\":[{\"role\":\"user\",\"content\":\"123456789\"}]}", {3 + 4, 0}},
    {"{\"prompt\":\"\xe4\xb8\xad\xe6\x96\x87\",\"max_tokens\":16}", {2, 16}},
    {"{\"prompt\":[1,2,3],\"max_tokens\":16,\"n\":3}", {3, 48}},
    {"{\"max_tokens\":5,\"max_completion_tokens\":7}", {0, 7}},
    {"{\"max_completion_tokens\":null,\"max_tokens\":5}", {0, 5}},
    {"{\"input\":\"1234\",\"max_output_tokens\":6}", {1, 6}},
    {"{\"max_tokens\":5,\"n\":0}", {0, 5}},
    {"{\"max_tokens\":-5,\"n\":2}", {0, 0}},
    {"{\"max_tokens\":\"5\"}", {0, 0}},
    {"{\"max_tokens\":18446744073709551615,\"n\":2}", {0, UINT64_MAX}},
    {"{\"max_tokens\":1,\"max_tokens\":2}", {0, 0}},
    {"not json", {2, 0}},
};

static void estimates_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(estimates); i++) {
        struct tokens got;
        tokens_estimate(str_of(estimates[i].body), &got);
        if (got.prompt != estimates[i].tokens.prompt || got.answer != estimates[i].tokens.answer)
            fail_msg("%lu and %lu: %s", (unsigned long)got.prompt, (unsigned long)got.answer, estimates[i].body);
    }
}

/* Nested as deeply as JSON may be, a text still counts, and is not read once for every level. */
static void bounds_its_work(void **state)
{
    enum { LEVELS = JSON_DEPTH_MAX - 4, TEXT = 256 * 1024 };
    char *body = malloc(TEXT + 2 * LEVELS + 64);
    size_t len = (size_t)sprintf(body, "{\"prompt\":");
    struct tokens_weight weight;

    (void)state;
    memset(body + len, '[', LEVELS);
    body[len + LEVELS] = '"';
    memset(body + len + LEVELS + 1, 'x', TEXT);
    body[len + LEVELS + TEXT + 1] = '"';
    memset(body + len + LEVELS + TEXT + 2, ']', LEVELS);
    len += 2 * LEVELS + TEXT + 2;
    body[len++] = '}';
    assert_true(tokens_weigh((struct str){body, len}, &weight));
    assert_in_range(weight.text.bytes, TEXT, TEXT + 2 * LEVELS + 2);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weighs),
        cmocka_unit_test(estimates_requests),
        cmocka_unit_test(bounds_its_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
