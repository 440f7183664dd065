/*
 * What answers of every provider say they cost, whole and in pieces; and that nonsense leaves what was known.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gatewayd/usage.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    const char *json;
    struct usage usage;
} whole[] = {
    /* OpenAI and those who speak like it. */
    {"{\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":7,\"total_tokens\":107,"
     "\"prompt_tokens_details\":{\"cached_tokens\":64,\"audio_tokens\":0},"
     "\"completion_tokens_details\":{\"reasoning_tokens\":5}}}", {true, 100, 64, 7}},
    {"{\"usage\": {\"prompt_tokens\": 3, \"completion_tokens\": 0}}", {true, 3, 0, 0}},
    {"{\"data\":[],\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}", {true, 8, 0, 0}},
    {"{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1,\"prompt_tokens_details\":null}}", {true, 9, 0, 1}},
    {"{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1,\"prompt_cache_hit_tokens\":4,"
     "\"prompt_cache_miss_tokens\":5}}", {true, 9, 4, 1}},
    {"{\"choices\":[],\"usage\":null}", {0}},
    {"{\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\": 5\"}}]}", {0}},
    {"{\"usage\":{}}", {0}},
    {"{\"usage\":[1]}", {0}},
    {"{\"x_groq\":{\"id\":\"r\",\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6,\"total_time\":0.1}}}",
     {true, 5, 0, 6}},
    {"{\"x_groq\":{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6}},"
     "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7}}", {true, 5, 0, 7}},
    /* Gateways that tell in both words. */
    {"{\"usage\":{\"prompt_tokens\":50,\"completion_tokens\":7,\"input_tokens\":10,\"output_tokens\":7,"
     "\"cache_read_input_tokens\":40,\"prompt_tokens_details\":{\"cached_tokens\":40}}}", {true, 50, 40, 7}},

    /* Responses. */
    {"{\"object\":\"response\",\"output\":[],\"usage\":{\"input_tokens\":20,\"input_tokens_details\":"
     "{\"cached_tokens\":16},\"output_tokens\":3,\"total_tokens\":23}}", {true, 20, 16, 3}},
    {"{\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":20,\"output_tokens\":3}}}",
     {true, 20, 0, 3}},
    {"{\"type\":\"response.created\",\"response\":{\"usage\":null}}", {0}},

    /* Anthropic, whose input is what was not cached. */
    {"{\"type\":\"message\",\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":200,"
     "\"cache_read_input_tokens\":3000,\"output_tokens\":4,\"service_tier\":\"standard\"}}", {true, 3210, 3000, 4}},
    {"{\"type\":\"message\",\"usage\":{\"input_tokens\":10,\"output_tokens\":4}}", {true, 10, 0, 4}},
    {"{\"type\":\"message\",\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":null,\"output_tokens\":4}}",
     {true, 10, 0, 4}},
    {"{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}",
     {true, 25, 0, 1}},

    /* Gemini, whose thoughts are apart. */
    {"{\"candidates\":[],\"usageMetadata\":{\"promptTokenCount\":30,\"cachedContentTokenCount\":10,"
     "\"candidatesTokenCount\":5,\"thoughtsTokenCount\":50,\"totalTokenCount\":85}}", {true, 30, 10, 55}},
    {"{\"usageMetadata\":{\"promptTokenCount\":30,\"toolUsePromptTokenCount\":7,\"totalTokenCount\":37}}",
     {true, 37, 0, 0}},

    /* Nonsense. */
    {"{\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":2}}", {true, 0, 0, 2}},
    {"{\"usage\":{\"prompt_tokens\":1000000000,\"completion_tokens\":1000000001}}", {true, 1000000000, 0, 0}},
    {"{\"usage\":{\"prompt_tokens\":\"5\",\"completion_tokens\":2.5}}", {0}},
    {"{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":9}}}",
     {true, 5, 5, 2}},
    {"{\"usage\":{\"prompt_tokens\":5,\"prompt_tokens\":6}}", {0}},
    {"{\"usage\":{\"prompt_tokens\":5}", {0}},
    {"[{\"usage\":{\"prompt_tokens\":5}}]", {0}},
    {"", {0}},
    {"\"usage", {0}},
};

static void assert_usage(const char *json, struct usage got, struct usage want)
{
    if (got.known != want.known || got.input != want.input || got.cached != want.cached || got.output != want.output)
        fail_msg("%d %lu (%lu) %lu: %s", got.known, (unsigned long)got.input, (unsigned long)got.cached,
                 (unsigned long)got.output, json);
}

static void reads_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(whole); i++) {
        struct usage usage = {0};
        usage_read(str_of(whole[i].json), &usage);
        assert_usage(whole[i].json, usage, whole[i].usage);
    }
}

static void reads(struct usage *usage, const char *json, struct usage want)
{
    usage_read(str_of(json), usage);
    assert_usage(json, *usage, want);
}

/* Events complete each other, and what they do not mention stays. */
static void reads_streams(void **state)
{
    struct usage usage = {0};

    (void)state;
    reads(&usage, "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,"
                  "\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":0,\"output_tokens\":1}}}",
          (struct usage){true, 125, 100, 1});
    reads(&usage, "{\"type\":\"content_block_delta\",\"delta\":{\"text\":\"usage\"}}",
          (struct usage){true, 125, 100, 1});
    reads(&usage, "{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":15}}", (struct usage){true, 125, 100, 15});
    reads(&usage, "{\"type\":\"message_delta\",\"usage\":{\"input_tokens\":25,\"output_tokens\":16}}",
          (struct usage){true, 125, 100, 16});
    reads(&usage, "{\"type\":\"message_delta\",\"usage\":{\"input_tokens\":30,\"cache_read_input_tokens\":100,"
                  "\"output_tokens\":17}}", (struct usage){true, 130, 100, 17});

    usage = (struct usage){0};
    reads(&usage, "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":0,\"output_tokens\":0}}}",
          (struct usage){true, 0, 0, 0});
    reads(&usage, "{\"type\":\"message_delta\",\"usage\":{\"input_tokens\":40,\"output_tokens\":3}}",
          (struct usage){true, 40, 0, 3});

    usage = (struct usage){0};
    reads(&usage, "{\"usageMetadata\":{\"promptTokenCount\":30}}", (struct usage){true, 30, 0, 0});
    reads(&usage, "{\"usageMetadata\":{\"promptTokenCount\":30,\"candidatesTokenCount\":2}}",
          (struct usage){true, 30, 0, 2});
    reads(&usage, "{\"usageMetadata\":null,\"usage\":null}", (struct usage){true, 30, 0, 2});
    reads(&usage, "{\"usageMetadata\":{\"promptTokenCount\":30,\"candidatesTokenCount\":9}}",
          (struct usage){true, 30, 0, 9});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_answers),
        cmocka_unit_test(reads_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
