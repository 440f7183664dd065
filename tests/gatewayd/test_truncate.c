/*
 * Requests made to fit: which messages go and which stay, where a text is cut, and that whatever the limit is, the
 * result is JSON of at most that estimate which differs from the request in its messages alone.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gatewayd/tokens.h"
#include "gatewayd/truncate.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define TEXT(role, text) "{\"role\":\"" role "\",\"content\":\"" text "\"}"
#define SAYS(text) TEXT("user", text)
#define REPLIES(text) TEXT("assistant", text)
#define CALLS \
    "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}"
#define RETURNS(text) "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"" text "\"}"
#define BODY(messages) "{\"model\":\"m\",\"messages\":[" messages "],\"n\":1}"
#define TEN "0123456789"
#define FORTY TEN TEN TEN TEN
#define FACES "\\ud83d\\ude00\\ud83d\\ude00\\ud83d\\ude00\\ud83d\\ude00"

/* A message of forty characters is fourteen tokens. */
static const struct {
    const char *body;
    uint64_t most;
    const char *want; /* NULL: it cannot be made to fit */
    unsigned count;
} cases[] = {
    /* Nothing to do. */
    {BODY(SAYS(FORTY)), 14, BODY(SAYS(FORTY)), 0},
    {BODY(" " SAYS("a") " , " SAYS("b") " "), 100, BODY(" " SAYS("a") " , " SAYS("b") " "), 0},

    /* The oldest go first. */
    {BODY(SAYS(FORTY) "," SAYS(FORTY) "," SAYS(FORTY)), 41, BODY(SAYS(FORTY) "," SAYS(FORTY)), 1},
    {BODY(SAYS(FORTY) "," SAYS(FORTY) "," SAYS(FORTY)), 27, BODY(SAYS(FORTY)), 2},
    {BODY(" " SAYS(FORTY) " ,\n" SAYS(FORTY) "\n"), 14, BODY(SAYS(FORTY) "\n"), 1},
    /* Those of the system stay, wherever they stand. */
    {BODY(TEXT("system", "be") "," SAYS(FORTY) "," SAYS(FORTY)), 19,
     BODY(TEXT("system", "be") "," SAYS(FORTY)), 1},
    {BODY(SAYS(FORTY) ", " TEXT("developer", "be") ", " SAYS(FORTY)), 19,
     BODY(TEXT("developer", "be") ", " SAYS(FORTY)), 1},
    {BODY(SAYS(FORTY) "," SAYS(FORTY) "," TEXT("system", "be")), 19, BODY(SAYS(FORTY) "," TEXT("system", "be")), 1},
    /* An answer goes with its question. */
    {BODY(SAYS(FORTY) "," REPLIES(FORTY) "," SAYS(FORTY)), 28, BODY(SAYS(FORTY)), 2},
    {BODY(SAYS(FORTY) "," REPLIES(FORTY) "," REPLIES(FORTY)), 28, BODY(REPLIES(FORTY) "," REPLIES(FORTY)), 1},
    {BODY(SAYS(FORTY) "," REPLIES(FORTY)), 14, BODY(REPLIES(FORTY)), 1},
    /* An answer to a call goes with the call. */
    {BODY(SAYS("a") "," CALLS "," RETURNS(FORTY) "," RETURNS("b") "," SAYS(FORTY)), 30, BODY(SAYS(FORTY)), 4},
    {BODY(SAYS(FORTY) "," CALLS "," RETURNS("ab")), 10, BODY(CALLS "," RETURNS("ab")), 1},
    {BODY("{\"role\":\"user\",\"content\":\"" FORTY "\"},"
          "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"input\":{}}]},"
          "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":\"ab\"}]}"), 9,
     BODY("{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"input\":{}}]},"
          "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":\"ab\"}]}"), 1},

    /* Then the longest is cut. */
    {BODY(SAYS(FORTY)), 13, BODY(SAYS(TEN TEN "0... [truncated]")), 1},
    {BODY(SAYS(FORTY)), 8, BODY(SAYS("0... [truncated]")), 1},
    {BODY(SAYS(FORTY)), 7, NULL, 0},
    {BODY(SAYS("a") "," SAYS(FORTY)), 10, BODY(SAYS("012345678... [truncated]")), 2},
    {BODY(TEXT("system", FORTY FORTY) "," SAYS(FORTY)), 30,
     BODY(TEXT("system", TEN TEN TEN "012... [truncated]") "," SAYS(FORTY)), 1},
    {BODY(TEXT("system", FORTY FORTY) "," SAYS(FORTY)), 20,
     BODY(TEXT("system", "0... [truncated]") "," SAYS(TEN "0123456... [truncated]")), 2},
    /* Never within a character. */
    {BODY(SAYS("\\n\\n\\n\\n\\n\\n\\n\\n" TEN)), 8, BODY(SAYS("\\n... [truncated]")), 1},
    {BODY(SAYS(FACES FACES)), 11,
     BODY(SAYS("\\ud83d\\ude00... [truncated]")), 1},
    /* Of parts, the longest; also of what a call returned. */
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"ab\"},"
     "{\"type\":\"text\",\"text\":\"" FORTY "\"}]}]}", 10,
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"ab\"},"
     "{\"type\":\"text\",\"text\":\"0123456... [truncated]\"}]}]}", 1},
    {BODY("{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"content\":[{\"type\":\"text\",\"text\":\"" FORTY
          "\"}]}]}"), 10,
     BODY("{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"content\":[{\"type\":\"text\",\"text\":\""
          "012345678... [truncated]\"}]}]}"), 1},

    /* What cannot be made to fit. */
    {BODY(SAYS("short")), 5, NULL, 0},
    {"{\"messages\":[" SAYS("a") "],\"tools\":[\"" FORTY "\"]}", 10, NULL, 0},
    {BODY(CALLS), 4, NULL, 0},
    {BODY(""), 100, NULL, 0},
    {BODY("\"text\""), 100, NULL, 0},
    {"{\"prompt\":\"" FORTY "\"}", 5, NULL, 0},
    {"{\"messages\":\"" FORTY "\"}", 5, NULL, 0},
    {"{\"messages\":[],\"messages\":[]}", 100, NULL, 0},
    {"not json", 100, NULL, 0},
};

static void truncates(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf out = {0};
        unsigned count = 99;
        int rc = truncate_messages(str_of(cases[i].body), cases[i].most, &out, &count);
        if (rc != (cases[i].want ? TRUNCATE_DONE : TRUNCATE_CANNOT))
            fail_msg("%d: %s", rc, cases[i].body);
        if (cases[i].want && (!str_eq(buf_str(&out), str_of(cases[i].want)) || count != cases[i].count))
            fail_msg("%u changed: %.*s\ninstead of %s", count, (int)buf_len(&out), buf_at(&out), cases[i].want);
        if (!cases[i].want)
            assert_int_equal(buf_len(&out), 0);
        buf_fini(&out);
    }
}

static uint64_t below(uint64_t *seed, uint64_t bound)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*seed >> 33) % bound;
}

static void add_text(struct buf *out, uint64_t *seed)
{
    static const char *const pieces[] = {"a word ", "\\n", "\\\\", "\xc3\xa9", "\\u00e9", "\\ud83d\\ude00", "\\\"",
                                         "\xe4\xb8\xad\xe6\x96\x87", "\xf0\x9f\x98\x80", "data:;base64,"};
    for (uint64_t n = below(seed, below(seed, 4) == 0 ? 200 : 6); n > 0; n--)
        assert_int_equal(buf_add_str(out, str_of(pieces[below(seed, COUNT(pieces))])), 0);
}

static void add_message(struct buf *out, uint64_t *seed)
{
    static const struct {
        const char *before, *after;
    } forms[] = {
        {"{\"role\":\"user\",\"content\":\"", "\"}"},
        {"{\"role\":\"assistant\",\"content\":\"", "\"}"},
        {"{\"content\":\"", "\",\"role\":\"system\"}"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"", "\"},{\"image_url\":{\"url\":\"x\"}}]}"},
        {"{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\"}],\"content\":\"", "\"}"},
        {"{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"", "\"}"},
    };
    size_t form = below(seed, COUNT(forms));
    assert_int_equal(buf_add_str(out, str_of(forms[form].before)), 0);
    add_text(out, seed);
    assert_int_equal(buf_add_str(out, str_of(forms[form].after)), 0);
}

static void make_body(struct buf *out, uint64_t *seed)
{
    buf_clear(out);
    assert_int_equal(buf_addf(out, "{ \"system\":\"abc\",\"messages\" : ["), 0);
    for (uint64_t n = 1 + below(seed, 8); n > 0; n--) {
        add_message(out, seed);
        assert_int_equal(buf_add_str(out, n > 1 ? STR(" ,\n") : STR("] , \"n\":1}\n")), 0);
    }
}

/* Whether the first message that is not the system's answers a call. */
static bool begins_with_answer(struct str list)
{
    struct json_value message;
    while (json_next(&list, NULL, &message)) {
        struct json_value role = json_path(message.text, "role");
        if (!json_str_eq(role, STR("system")))
            return json_str_eq(role, STR("tool"));
    }
    return false;
}

/* Outside of its messages the result is the body, and each message is one of the body's, in their order, or a cut; the
 * first is no answer to a call that was left out. */
static void assert_kept(struct str body, struct str out)
{
    const char *const names[] = {"messages"};
    struct json_value was, is, message, old;

    assert_int_equal(json_find(body, names, &was, 1, NULL), 0);
    assert_int_equal(json_find(out, names, &is, 1, NULL), 0);
    struct str head = {body.at, (size_t)(was.text.at - body.at)}, tail = {was.text.at + was.text.len, 0};
    tail.len = (size_t)(body.at + body.len - tail.at);
    assert_true(str_starts(out, head));
    assert_true(str_eq((struct str){out.at + out.len - tail.len, tail.len}, tail));
    assert_ptr_equal(is.text.at + is.text.len, out.at + out.len - tail.len);
    assert_true(!begins_with_answer(is.text) || begins_with_answer(was.text));
    while (json_next(&is.text, NULL, &message)) {
        bool found = false, cut = memmem(message.text.at, message.text.len, "... [truncated]", 15) != NULL;
        size_t same = 0;
        while (!found && json_next(&was.text, NULL, &old)) {
            for (same = 0; same < old.text.len && same < message.text.len; same++)
                if (old.text.at[same] != message.text.at[same])
                    break;
            found = same == old.text.len || (cut && str_starts((struct str){message.text.at + same, 15}, STR("... [")));
        }
        assert_true(found);
    }
}

static void holds_for_any_limit(void **state)
{
    uint64_t seed = 7;
    struct buf body = {0}, out = {0};
    unsigned done = 0;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct tokens tokens;
        unsigned count = 0;
        make_body(&body, &seed);
        tokens_estimate(buf_str(&body), &tokens);
        uint64_t most = below(&seed, tokens.prompt + 2);
        buf_clear(&out);
        if (truncate_messages(buf_str(&body), most, &out, &count) != TRUNCATE_DONE)
            continue;
        bool same = str_eq(buf_str(&body), buf_str(&out));
        done += !same;
        assert_int_equal(same, tokens.prompt <= most);
        assert_int_equal(same, count == 0);
        assert_kept(buf_str(&body), buf_str(&out));
        tokens_estimate(buf_str(&out), &tokens);
        assert_in_range(tokens.prompt, 0, most);
    }
    assert_in_range(done, 500, 3000);
    buf_fini(&body);
    buf_fini(&out);
}

/* What is in the buffer already stays before it. */
static void appends(void **state)
{
    struct buf out = {0};
    unsigned count;

    (void)state;
    assert_int_equal(buf_add_str(&out, STR("x")), 0);
    assert_int_equal(truncate_messages(STR("{}"), 5, &out, &count), TRUNCATE_CANNOT);
    assert_int_equal(truncate_messages(str_of(BODY(SAYS("a"))), 5, &out, &count), TRUNCATE_DONE);
    assert_true(str_eq(buf_str(&out), str_of("x" BODY(SAYS("a")))));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncates),
        cmocka_unit_test(holds_for_any_limit),
        cmocka_unit_test(appends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
