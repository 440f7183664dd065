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
    {"/responses", "{\"output\":[],\"error\":null}", false},
    {"/audio/speech", "ID3 not JSON at all", false},
    {"/files", "{\"error\":{}}", false},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (answer_missing(str_of(rows[i].path), str_of(rows[i].body)) != rows[i].missing)
            fail_msg("%s %s: expected %s", rows[i].path, rows[i].body, rows[i].missing ? "missing" : "an answer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
