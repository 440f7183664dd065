#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gatewayd/answer.h"

/* What counts as an answer, as a table: path, body, whether it is missing. */

struct row {
    const char *path;
    const char *body;
    bool missing;
};

#define CHAT "/chat/completions"

static const struct row rows[] = {
    {CHAT, "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}",
     false},
    {CHAT "?v=1", "{\"choices\":[{\"message\":{\"content\":\"hi\"}}]}", false},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}", true},
    {CHAT, "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":null},\"finish_reason\":\"stop\"}]}", true},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"length\"}]}", false},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{\"id\":\"1\"}]},"
           "\"finish_reason\":\"stop\"}]}", false},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[]},\"finish_reason\":\"stop\"}]}", true},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"no\"},\"finish_reason\":\"stop\"}]}", false},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"\"}},{\"message\":{\"content\":\"x\"}}]}", false},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"content_filter\"}]}", false},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}", true},
    {CHAT, "{\"choices\":[{\"message\":{\"content\": [{\"type\":\"text\",\"text\": \"hi\"}]}}]}", false},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"\"}]}}]}", true},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"\",\"reasoning_content\":\"Hm\"}}]}", false},
    {CHAT, "{\"choices\":[]}", true},
    {CHAT, "{\"choices\":null}", true},
    {CHAT, "{\"choices\":[7]}", true},
    {CHAT, "{\"error\":{\"message\":\"quota\"}}", true},
    {CHAT, "{\"error\":null,\"choices\":[{\"message\":{\"content\":\"hi\"}}]}", false},
    {CHAT, "{\"error\":\"x\",\"choices\":[{\"message\":{\"content\":\"hi\"}}]}", true},
    {CHAT, "", true},
    {CHAT, "<html>a login page</html>", true},
    {CHAT, "[]", true},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"hi\"}}]", true},
    {"/completions", "{\"choices\":[{\"text\":\"hi\",\"finish_reason\":\"stop\"}]}", false},
    {"/completions", "{\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}]}", true},
    {"/embeddings", "{\"data\":[{\"embedding\":[0.1]}]}", false},
    {"/embeddings", "{\"object\":\"list\"}", true},
    {"/messages", "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}", false},
    {"/messages", "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}", true},
    {"/messages", "{\"content\":[],\"stop_reason\":\"end_turn\"}", true},
    {"/messages", "{\"content\":[],\"stop_reason\":null}", true},
    {"/messages", "{\"content\":[],\"stop_reason\":\"max_tokens\"}", false},
    {"/messages?beta=true", "{\"content\":[],\"stop_reason\":\"refusal\"}", false},
    {"/messages", "{\"content\":[{\"type\":\"text\",\"text\":\"\"}],\"stop_reason\":\"end_turn\"}", true},
    {"/messages", "{\"content\":[{\"type\":\"thinking\",\"thinking\":\"Hm\"}],\"stop_reason\":\"end_turn\"}", false},
    {"/messages", "{\"content\":[{\"type\":\"tool_use\",\"name\":\"f\",\"input\":{}}]}", false},
    {"/messages", "{\"content\":\"hi\"}", true},
    {"/responses", "{\"output\":[],\"error\":null}", true},
    {"/responses", "{\"status\":\"completed\",\"output\":[]}", true},
    {"/responses", "{\"status\":\"incomplete\",\"output\":[]}", false},
    {"/responses", "{\"status\":\"queued\",\"output\":[]}", false},
    {"/responses", "{\"output\":[{\"type\":\"message\",\"content\":"
                   "[{\"type\":\"output_text\",\"text\":\"hi\"}]}]}", false},
    {"/responses", "{\"output\":[{\"type\":\"message\",\"content\":"
                   "[{\"type\":\"output_text\",\"text\":\"\"}]}]}", true},
    {"/responses", "{\"output\":[{\"type\":\"message\",\"content\":[]}]}", true},
    {"/responses", "{\"output\":[{\"type\":\"message\",\"content\":"
                   "[{\"type\":\"refusal\",\"refusal\":\"no\"}]}]}", false},
    {"/responses", "{\"output\":[{\"type\":\"function_call\",\"name\":\"f\",\"arguments\":\"{}\"}]}", false},
    {"/responses", "{\"output\":[{\"type\":\"reasoning\",\"id\":\"r\",\"summary\":[]}]}", true},
    {"/responses", "{\"output\":[{\"type\":\"reasoning\",\"summary\":[{\"text\":\"Hm\"}]}]}", false},
    {"/audio/speech", "ID3 not JSON at all", false},
    {"/files", "{\"error\":{}}", false},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (answer_missing(str_of(rows[i].path), str_of(rows[i].body), 0) != rows[i].missing)
            fail_msg("%s %s: expected %s", rows[i].path, rows[i].body, rows[i].missing ? "missing" : "an answer");
}

/* Answers and how many characters they count for: one more is missing. UINT32_MAX: never. */
static const struct {
    const char *path;
    const char *body;
    uint32_t chars;
} lengths[] = {
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}", 5},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"\\u00e9\\n\\ud83d\\ude00\xc3\xa9\"}}]}", 4},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"ab\"}},{\"message\":{\"content\":\"cde\"}}]}", 5},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"ab\"},{\"text\":\"c\"}]}}]}", 3},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"ab\",\"reasoning_content\":\"much longer\"}}]}", 2},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"length\"}]}", UINT32_MAX},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"content_filter\"}]}", UINT32_MAX},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"a\",\"tool_calls\":[{\"id\":\"1\"}]}}]}", UINT32_MAX},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":\"a\",\"tool_calls\":[]}}]}", 1},
    {CHAT, "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"no\"}}]}", UINT32_MAX},
    {"/completions", "{\"choices\":[{\"text\":\"hi\",\"finish_reason\":\"stop\"}]}", 2},
    {"/messages", "{\"content\":[{\"type\":\"text\",\"text\":\"ab\"},{\"type\":\"text\",\"text\":\"c\"}],"
                  "\"stop_reason\":\"end_turn\"}", 3},
    {"/messages", "{\"content\":[{\"type\":\"text\",\"text\":\"a\"}],\"stop_reason\":\"max_tokens\"}", UINT32_MAX},
    {"/messages", "{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"tool_use\"}],"
                  "\"stop_reason\":\"tool_use\"}", UINT32_MAX},
    {"/responses", "{\"status\":\"completed\",\"output\":[{\"type\":\"reasoning\",\"summary\":[]},"
                   "{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"abc\"}]}]}", 3},
    {"/responses", "{\"status\":\"incomplete\",\"output\":[{\"type\":\"message\",\"content\":[{\"text\":\"a\"}]}]}",
     UINT32_MAX},
    {"/responses", "{\"output\":[{\"type\":\"custom_tool_call\",\"input\":\"x\"}]}", UINT32_MAX},
    {"/embeddings", "{\"data\":[]}", UINT32_MAX},
    {"/moderations", "{\"results\":[{}]}", UINT32_MAX},
    {"/audio/speech", "ID3", UINT32_MAX},
};

static void test_lengths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct str path = str_of(lengths[i].path), body = str_of(lengths[i].body);
        uint32_t chars = lengths[i].chars;
        if (answer_missing(path, body, chars) || (chars < UINT32_MAX && !answer_missing(path, body, chars + 1)))
            fail_msg("%s %s: not %u", lengths[i].path, lengths[i].body, chars);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_lengths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
