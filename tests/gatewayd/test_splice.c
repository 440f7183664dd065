/*
 * Going on with an answer by another stream of it, event by event: what the client has is left out, what it has in part
 * is cut to the character, ids stay what they were, and whatever does not agree is said to differ.
 */

#include "tests/gatewayd/splice_rig.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Some events of chat completions. */
#define CHUNK(id, choices) "data: {'id':'" id "','created':1,'model':'m','choices':[" choices "]}\n\n"
#define DELTA(index, delta) "{'index':" index ",'delta':{" delta "},'finish_reason':null}"
#define CHAT(id, delta) CHUNK(id, DELTA("0", delta))
#define SAYS(text) CHAT("a", "'content':'" text "'")
#define AGAIN(text) CHAT("b", "'content':'" text "'")
#define CALL(index, id, name, arguments) \
    "'tool_calls':[{'index':" index ",'id':'" id "','type':'function','function':" \
    "{'name':'" name "','arguments':'" arguments "'}}]"
#define MORE(index, arguments) "'tool_calls':[{'index':" index ",'function':{'arguments':'" arguments "'}}]"
#define FINISH(id, index) CHUNK(id, "{'index':" index ",'delta':{},'finish_reason':'stop'}")

static void knows_apis_by_their_paths(void **state)
{
    (void)state;
    assert_int_equal(splice_api_of(STR("/chat/completions")), SPLICE_CHAT);
    assert_int_equal(splice_api_of(STR("/completions")), SPLICE_TEXT);
    assert_int_equal(splice_api_of(STR("/responses?a=/messages")), SPLICE_RESPONSES);
    assert_int_equal(splice_api_of(STR("/messages?beta=true")), SPLICE_MESSAGES);
    assert_int_equal(splice_api_of(STR("/messages/count_tokens")), SPLICE_NONE);
    assert_int_equal(splice_api_of(STR("/embeddings")), SPLICE_NONE);
    assert_int_equal(splice_api_of(STR("")), SPLICE_NONE);
    assert_int_equal(splice_api_of(str_of(NULL)), SPLICE_NONE);
}

static void keeps_nothing_of_unknown_streams(void **state)
{
    struct splice none = {.api = SPLICE_NONE};

    (void)state;
    splice_note(&none, STR("data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n"));
    assert_false(splice_possible(&none));
    splice_fini(&none);
    splice_fini(NULL);
    assert_false(splice_possible(&splice));
    note(": comment\n\n");
    note(CHAT("a", "'role':'assistant','content':''"));
    assert_false(splice_possible(&splice));
    note(SAYS("x"));
    assert_true(splice_possible(&splice));
    splice_begin(&splice, SPLICE_CHAT);
    assert_false(splice_possible(&splice));
}

static void goes_on_in_the_middle_of_an_event(void **state)
{
    (void)state;
    BEGIN(SPLICE_CHAT, CHAT("a", "'role':'assistant','content':''"), SAYS("Hel"), SAYS("lo wor"));
    assert_false(splice_caught_up(&splice));
    had(": waiting\n\n");
    had(CHAT("b", "'role':'assistant','content':''"));
    had(AGAIN("Hello"));
    had("data: {'id':'b','choices':[],'usage':{'total_tokens':3}}\n\n");
    had(AGAIN(""));
    passes(AGAIN(" world\\n"), SAYS("ld\\n"));
    assert_true(splice_caught_up(&splice));
    had(": still here\n\n");
    passes(AGAIN("!"), SAYS("!"));
    passes(AGAIN(""), SAYS(""));
    passes(FINISH("b", "0"), FINISH("a", "0"));
    passes("data: {'id':'b','choices':[],'usage':{'total_tokens':3}}\n\n",
           "data: {'id':'a','choices':[],'usage':{'total_tokens':3}}\n\n");
    passes("data: [DONE]\n\n", "data: [DONE]\n\n");
}

static void goes_on_between_events(void **state)
{
    (void)state;
    BEGIN(SPLICE_CHAT, SAYS("Hello"));
    had(AGAIN("He"));
    assert_false(splice_caught_up(&splice));
    had(AGAIN("llo"));
    assert_true(splice_caught_up(&splice));
    passes("data: [DONE]\r\n\r\n", "data: [DONE]\r\n\r\n");
}

/* A text as its characters, in each of the ways in which they may be escaped. A character beyond the BMP is two. */
static const struct {
    const char *ways[4];
} units[] = {
    {{"a", "\\u0061", "a", "\\u0061"}},
    {{"\\n", "\\u000a", "\\u000A", "\\n"}},
    {{"\\\\", "\\u005c", "\\\\", "\\u005C"}},
    {{"\\u0022", "\\\"", "\\\"", "\\u0022"}},
    {{"\xc3\xa9", "\\u00e9", "\\u00E9", "\xc3\xa9"}},
    {{"/", "\\/", "\\u002f", "/"}},
    {{"\xe2\x82\xac", "\\u20ac", "\\u20AC", "\xe2\x82\xac"}},
    {{"\\u0000", "\\u0000", "\\u0000", "\\u0000"}},
    {{"\\ud83d", "\\uD83D", "\\ud83d", "\\ud83d"}},
    {{"\\ude00", "\\uDE00", "\\ude00", "\\ude00"}},
    {{"z", "z", "\\u007a", "z"}},
    {{"\\ud83d", "\\ud83d", "\\ud83d", "\\ud83d"}}, /* half a character that stays one */
    {{"\xed\x9f\xbf", "\\ud7ff", "\\uD7FF", "\xed\x9f\xbf"}},
};

static void add_units(char *text, size_t from, size_t until, size_t way)
{
    for (size_t i = from; i < until; i++)
        strcat(text, units[i].ways[(way + i) % 4]);
}

static void splits_at_every_character(void **state)
{
    char text[400], rest[400];

    (void)state;
    for (size_t ways = 0; ways < 16; ways++) {
        for (size_t cut = 1; cut < COUNT(units); cut++) {
            splice_begin(&splice, SPLICE_CHAT);
            strcpy(text, "data: {'choices':[{'delta':{'content':'");
            add_units(text, 0, cut, ways % 4);
            strcat(text, "'}}]}\n\n");
            note(text);
            splice_replay(&splice);
            strcpy(text, "data: {'choices':[{'delta':{'content':'");
            strcpy(rest, text);
            add_units(text, 0, COUNT(units), ways / 4);
            add_units(rest, cut, COUNT(units), ways / 4);
            strcat(text, "'}}]}\n\n");
            strcat(rest, "'}}]}\n\n");
            passes(text, rest);
            splice_replay(&splice);
            had(text);
            assert_true(splice_caught_up(&splice));
        }
    }
}

static void splits_whole_characters_in_halves(void **state)
{
    (void)state;
    BEGIN(SPLICE_CHAT, SAYS("a\\ud83d"));
    passes(AGAIN("a\xf0\x9f\x98\x80 b"), SAYS("\\ude00 b"));
    splice_replay(&splice);
    had(AGAIN("a\\ud83d"));
    had(AGAIN("\\ude00"));
    passes(AGAIN(" b\xf0\x9f\x98\x80\xf0\x9f\x98\x81"), SAYS("\xf0\x9f\x98\x80\xf0\x9f\x98\x81"));
    splice_replay(&splice);
    had(AGAIN("a\\uD83D\\uDE00 b\\ud83d"));
    had(AGAIN("\\ude00"));
    differs(AGAIN("\\ud83d\\ude02"));
    BEGIN(SPLICE_CHAT, SAYS("\xf0\x9f\x98\x80"));
    had(AGAIN("\\ud83d"));
    passes(AGAIN("\\ude00!"), SAYS("!"));
    /* What is no character is compared byte by byte; half of one that is escaped cannot be sent. */
    BEGIN(SPLICE_CHAT, SAYS("\xe2\x82"));
    passes(AGAIN("\xe2\x82\xac"), SAYS("\xac"));
    BEGIN(SPLICE_CHAT, SAYS("\xe2\x82"));
    differs(AGAIN("\\u20ac"));
}

static void tells_texts_apart(void **state)
{
    (void)state;
    BEGIN(SPLICE_CHAT, CHAT("a", "'reasoning_content':'think'"), SAYS("so"), CHAT("a", "'refusal':'no'"));
    had(CHAT("b", "'reasoning':'thi'"));
    had(CHAT("b", "'content':'s','reasoning':'nk'")); /* the order of members says nothing */
    passes(CHAT("b", "'content':'o','refusal':'no!'"), CHAT("a", "'content':'','refusal':'!'"));
    splice_replay(&splice);
    had(CHAT("b", "'reasoning':'think'"));
    differs(CHAT("b", "'refusal':'so'"));
    splice_replay(&splice);
    differs(AGAIN("think"));
}

static void cuts_what_is_there_twice(void **state)
{
    (void)state;
    BEGIN(SPLICE_CHAT, CHAT("a", "'reasoning':'ab','reasoning_content':'ab'"));
    passes(CHAT("b", "'reasoning':'abc','reasoning_content':'abc'"),
           CHAT("a", "'reasoning':'c','reasoning_content':'c'"));
    splice_replay(&splice);
    passes(CHAT("b", "'reasoning':'abcd'"), CHAT("a", "'reasoning':'d'"));
}

static void goes_on_with_completions(void **state)
{
    (void)state;
    BEGIN(SPLICE_TEXT, "data: {'id':'a','choices':[{'index':0,'text':'Hel','finish_reason':null}]}\n\n");
    passes("data: {'id':'b','choices':[{'index':0,'text':'Hello','finish_reason':'length'}]}\n\n",
           "data: {'id':'a','choices':[{'index':0,'text':'lo','finish_reason':'length'}]}\n\n");
    splice_replay(&splice);
    differs("data: {'id':'b','choices':[{'index':0,'text':'Help','finish_reason':null}]}\n\n");
}

static void keeps_ids_of_tool_calls(void **state)
{
    (void)state;
    BEGIN(SPLICE_CHAT, CHAT("a", CALL("0", "call_1", "f", "")), CHAT("a", MORE("0", "{\\u0022x")));
    had(CHAT("b", CALL("0", "call_9", "f", "")));
    had(CHAT("b", MORE("0", "{")));
    /* A call that the client knows has its name when an event says its id again. */
    passes(CHAT("b", "'tool_calls':[{'index':0,'id':'call_9','function':{'arguments':'\\u0022x\\u0022'}}]"),
           CHAT("a", "'tool_calls':[{'index':0,'id':'call_1','function':{'arguments':'\\u0022'}}]"));
    passes(CHAT("b", CALL("0", "call_9", "f", ":1}")), CHAT("a", CALL("0", "call_1", "f", ":1}")));
    passes(CHAT("b", CALL("0", "", "f", ":1}")), CHAT("a", CALL("0", "", "f", ":1}")));
    /* A new one has its own. */
    passes(CHAT("b", CALL("1", "call_8", "g", "{")), CHAT("a", CALL("1", "call_8", "g", "{")));
    /* The third stream's are all its own, and none is seen. */
    splice_replay(&splice);
    had(CHAT("c", CALL("0", "call_5", "f", "{\\u0022x\\u0022:1}:1}")));
    passes(CHAT("c", CALL("1", "call_6", "g", "{}")),
           CHAT("a", "'tool_calls':[{'index':1,'id':null,'type':'function','function':"
                     "{'name':null,'arguments':'}'}}]"));
    passes(CHAT("c", CALL("1", "call_6", "g", "}")), CHAT("a", CALL("1", "call_8", "g", "}")));
}

/* The client puts names and ids together like texts: it must not have them twice. */
static void silences_beginnings_that_the_client_has(void **state)
{
    (void)state;
    BEGIN(SPLICE_CHAT, SAYS("x"), CHAT("a", CALL("0", "call_1", "f", "{")));
    passes(CHAT("b", "'content':'x'," CALL("0", "call_9", "f", "{}")),
           CHAT("a", "'content':'','tool_calls':[{'index':0,'id':null,'type':'function','function':"
                     "{'name':null,'arguments':'}'}}]"));
    BEGIN(SPLICE_CHAT, CHAT("a", "'function_call':{'name':'f','arguments':''}"));
    passes(CHAT("b", "'function_call':{'name':'f','arguments':'{}'}"),
           CHAT("a", "'function_call':{'name':null,'arguments':'{}'}"));
    BEGIN(SPLICE_CHAT, CHAT("a", "'tool_calls':[{'id':'i','custom':{'name':'f','input':'a'}}]"));
    passes(CHAT("b", "'tool_calls':[{'id':'j','custom':{'name':'f','input':'ab'}}]"),
           CHAT("a", "'tool_calls':[{'id':null,'custom':{'name':null,'input':'b'}}]"));
}

static void knows_calls_of_one_index_by_their_ids(void **state)
{
    (void)state;
    BEGIN(SPLICE_CHAT, CHAT("a", CALL("0", "i", "f", "{}")), CHAT("a", CALL("0", "j", "f", "{")));
    had(CHAT("b", CALL("0", "k", "f", "{}")));
    had(CHAT("b", CALL("0", "l", "f", "")));
    passes(CHAT("b", CALL("0", "l", "f", "{}")), CHAT("a", CALL("0", "j", "f", "}")));
    /* An upstream that repeats name and id in every event made one call all the same. */
    BEGIN(SPLICE_CHAT, CHAT("a", CALL("0", "i", "f", "{")), CHAT("a", CALL("0", "i", "f", "1")));
    had(CHAT("b", CALL("0", "k", "f", "")));
    passes(CHAT("b", MORE("0", "{12")), CHAT("a", MORE("0", "2")));
}

static void tells_calls_apart(void **state)
{
    static const char *const others[] = {
        CHAT("b", CALL("0", "i", "g", "")), CHAT("b", CALL("1", "i", "f", "")), CHAT("b", MORE("0", "{")),
        AGAIN("{"), FINISH("b", "0"), "data: [DONE]\n\n"};

    (void)state;
    for (size_t i = 0; i < COUNT(others); i++) {
        BEGIN(SPLICE_CHAT, CHAT("a", CALL("0", "i", "f", "")), CHAT("a", MORE("0", "{")));
        differs(others[i]);
    }
    BEGIN(SPLICE_CHAT, CHAT("a", CALL("0", "i", "f", "{}")), CHAT("a", CALL("1", "j", "g", "")));
    had(CHAT("b", CALL("0", "k", "f", "{}")));
    differs(CHAT("b", MORE("0", " ")));
}

static void follows_each_choice_by_itself(void **state)
{
    (void)state;
    BEGIN(SPLICE_CHAT, CHUNK("a", DELTA("0", "'content':'a'")), CHUNK("a", DELTA("1", "'content':'x'")),
          CHUNK("a", DELTA("0", "'content':'b'")), CHUNK("a", DELTA("1", "'content':'y'")));
    had(CHUNK("b", DELTA("1", "'content':'xy'")));
    assert_false(splice_caught_up(&splice));
    passes(CHUNK("b", DELTA("1", "'content':'z'")), CHUNK("a", DELTA("1", "'content':'z'")));
    passes(CHUNK("b", DELTA("1", "'content':'!'") "," DELTA("0", "'content':'a'")),
           CHUNK("a", DELTA("1", "'content':'!'") "," DELTA("0", "'content':''")));
    passes(CHUNK("b", DELTA("0", "'content':'bc'") "," DELTA("2", "'role':'assistant'")),
           CHUNK("a", DELTA("0", "'content':'c'") "," DELTA("2", "'role':'assistant'")));
    assert_true(splice_caught_up(&splice));
    passes(FINISH("b", "0"), FINISH("a", "0"));
    splice_replay(&splice);
    had(CHUNK("c", DELTA("2", "'role':'assistant'")));
    had(CHUNK("c", DELTA("0", "'content':'abc'")));
    had(FINISH("c", "0"));
    differs(FINISH("c", "1"));
}

/* What an event brings of one choice is not kept when it differs in another: nobody was given it. */
static void keeps_nothing_of_what_differs(void **state)
{
    (void)state;
    BEGIN(SPLICE_CHAT, CHUNK("a", DELTA("0", "'content':'a'") "," DELTA("1", "'content':'x'")));
    differs(CHUNK("b", DELTA("0", "'content':'ab'") "," DELTA("1", "'content':'y'")));
    splice_replay(&splice);
    passes(CHUNK("c", DELTA("0", "'content':'ac'") "," DELTA("1", "'content':'x'")),
           CHUNK("a", DELTA("0", "'content':'c'") "," DELTA("1", "'content':''")));
}

static void goes_on_time_and_again(void **state)
{
    char text[256] = "data: {'id':'b','choices':[{'delta':{'content':'0";

    (void)state;
    BEGIN(SPLICE_CHAT, SAYS("0"));
    for (int n = 1; n < 60; n++) {
        char event[300], rest[256];
        snprintf(text + strlen(text), 3, "%d", n % 10);
        snprintf(event, sizeof event, "%s'}}]}\n\n", text);
        snprintf(rest, sizeof rest, "data: {'id':'a','choices':[{'delta':{'content':'%d'}}]}\n\n", n % 10);
        splice_replay(&splice);
        passes(event, rest);
        splice_replay(&splice);
        had(event);
        assert_true(splice_caught_up(&splice));
    }
}

static void takes_the_first_that_says_its_id(void **state)
{
    (void)state;
    BEGIN(SPLICE_CHAT, "data: {'id':'','created':0,'model':'','choices':[],'prompt_filter_results':[]}\n\n",
          "data: {'id':'a','created':17,'model':'m-1','choices':[{'index':0,'delta':{'content':'x'}}]}\n\n");
    had("data: {'id':'','created':0,'model':'','choices':[],'prompt_filter_results':[]}\n\n");
    passes("data: {'model':'m-22','id':'bb' , 'created':188,'choices':[{'index':0,'delta':{'content':'xy'}}]}\n\n",
           "data: {'model':'m-1','id':'a' , 'created':17,'choices':[{'index':0,'delta':{'content':'y'}}]}\n\n");
    passes("data: {'id':'','created':null,'choices':[{'delta':{'content':'z'}}]}\n\n",
           "data: {'id':'','created':null,'choices':[{'delta':{'content':'z'}}]}\n\n");
    BEGIN(SPLICE_CHAT, "data: {'choices':[{'index':0,'delta':{'content':'x'}}]}\n\n");
    passes("data: {'id':'b','choices':[{'index':0,'delta':{'content':'xy'}}]}\n\n",
           "data: {'id':'b','choices':[{'index':0,'delta':{'content':'y'}}]}\n\n");
}

static void says_what_differs(void **state)
{
    static const char *const others[] = {
        AGAIN("x"),
        AGAIN("Hex"),
        AGAIN("Hello!"), /* it went on with a refusal */
        AGAIN("hello"),
        CHAT("b", "'refusal':'Hello'"),
        CHAT("b", "'reasoning':'Hello'"),
        CHAT("b", CALL("0", "i", "f", "")),
        FINISH("b", "0"),
        CHUNK("b", "{'index':0,'delta':{'content':'Hello'},'finish_reason':'stop'}"),
        "data: [DONE]\n\n",
        "data: {'error':{'message':'overloaded'}}\n\n",
        "event: error\ndata: {'error':{'message':'overloaded'}}\n\n",
        "data: {'choices':\ndata: []}\n\n",
        "data: {'choices':[1]}\n\n",
        "data: {'choices':{}}\n\n",
        "data: {'choices':[{'delta':{'content':['text']}}]}\n\n",
        "data: {'choices':[{'delta':{'content':'Hel','content':'lo'}}]}\n\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(others); i++) {
        BEGIN(SPLICE_CHAT, SAYS("Hel"), SAYS("lo"), CHAT("a", "'refusal':'no'"));
        differs(others[i]);
    }
    BEGIN(SPLICE_CHAT, SAYS("x"));
    had("data: {'half a\n\n"); /* a bad event is left out wherever it stands */
    passes(AGAIN("xy"), SAYS("y"));
}

/* Events alike are read by what differs in them; nothing may come of it that care would not have made of them. */
static void reads_events_alike(void **state)
{
    static const char *const texts[] = {"a", "\\ud83d", "\\ude00", "", "\\\"", "\\\\", "\xf0\x9f\x98\x80", "\xc3\xa9"};
    char event[200];

    (void)state;
    for (size_t noise = 0; noise < 2; noise++) {
        splice_begin(&splice, SPLICE_CHAT);
        for (size_t i = 0; i < COUNT(texts); i++) {
            snprintf(event, sizeof event, "data: {'choices':[{'delta':{'content':'%s'}}],'obfuscation':'%.*s'}\n\n",
                     texts[i], noise ? (int)i : 0, "abcdefghijkl");
            note(event);
        }
        splice_replay(&splice);
        passes(AGAIN("a\xf0\x9f\x98\x80\\u0022\\u005c\\ud83d\\ude00\\u00e9!"), AGAIN("!"));
    }
    BEGIN(SPLICE_CHAT, SAYS("a"), SAYS("b"), CHAT("a", "'refusal':'b'"), SAYS("c"));
    had(AGAIN("ab"));
    had(CHAT("b", "'refusal':'b'"));
    passes(AGAIN("cd"), SAYS("d"));
}

static void gives_up_on_what_it_cannot_keep(void **state)
{
    static const char *const strange[] = {
        "data: {'choices':\ndata: []}\n\n", "data: {'choices':[{'delta':{'audio':{'data':'abc'}}}]}\n\n",
        SAYS("\\q"), SAYS("\\u12"), SAYS("a\tb"), "data: {'choices':[{'delta':{'content':1}}]}\n\n",
        "data: {'choices':[{'delta':{'tool_calls':[1]}}]}\n\n", "data: {'choices':[{'delta':{'tool_calls':{}}}]}\n\n",
        "data: [1]\n\n", "data\ndata: {}\n\n"};

    (void)state;
    for (size_t i = 0; i < COUNT(strange); i++) {
        splice_begin(&splice, SPLICE_CHAT);
        note(SAYS("a"));
        note(SAYS("b"));
        assert_true(splice_possible(&splice));
        note(strange[i]);
        assert_true(splice.lost);
        assert_false(splice_possible(&splice));
        note(SAYS("c"));
        splice_replay(&splice);
        differs(AGAIN("ab"));
    }
    splice_begin(&splice, SPLICE_CHAT);
    for (int i = 0; i < SPLICE_TRACKS_MAX + 1; i++) {
        char event[100];
        assert_false(splice.lost);
        snprintf(event, sizeof event, "data: {'choices':[{'index':%d,'delta':{'content':'x'}}]}\n\n", i);
        note(event);
    }
    assert_true(splice.lost);
}

/* An event of `len` bytes of text. */
static struct str long_event(size_t len)
{
    static const char before[] = "data: {\"id\":\"b\",\"choices\":[{\"delta\":{\"content\":\"", after[] = "\"}}]}\n\n";
    size_t size = sizeof before + sizeof after - 2 + len;
    char *event = malloc(size);

    assert_non_null(event);
    memcpy(event, before, sizeof before - 1);
    memset(event + sizeof before - 1, 'x', len);
    memcpy(event + sizeof before - 1 + len, after, sizeof after - 1);
    return (struct str){event, size};
}

static void keeps_no_more_than_it_may(void **state)
{
    struct str event = long_event(SPLICE_TEXT_MAX / 4), more = long_event(SPLICE_TEXT_MAX);
    struct buf out = {.data = NULL};

    (void)state;
    for (int i = 0; i < 4; i++) {
        splice_note(&splice, event);
        assert_int_equal(splice.lost, i == 3); /* the text and its label */
    }
    splice_begin(&splice, SPLICE_CHAT);
    splice_note(&splice, event);
    splice_replay(&splice);
    /* A replay that had caught up goes on, although nothing more is kept. */
    assert_int_equal(splice_event(&splice, more, &out), SPLICE_PASS);
    assert_int_equal(buf_len(&out), more.len - SPLICE_TEXT_MAX / 4);
    assert_true(splice.lost);
    assert_false(splice_possible(&splice));
    assert_true(splice_caught_up(&splice));
    assert_int_equal(splice_event(&splice, event, &out), SPLICE_PASS);
    assert_int_equal(buf_len(&out), more.len - SPLICE_TEXT_MAX / 4 + event.len);
    passes(CHAT("c", CALL("0", "i", "f", "")), CHAT("b", CALL("0", "i", "f", "")));
    passes(CHAT("c", CALL("0", "i", "f", "x")), CHAT("b", CALL("0", "i", "f", "x")));
    passes("data: [DONE]\n\n", "data: [DONE]\n\n");
    splice_replay(&splice);
    assert_false(splice_caught_up(&splice));
    differs("data: [DONE]\n\n");
    buf_fini(&out);
    free((void *)(uintptr_t)event.at);
    free((void *)(uintptr_t)more.at);
}

static void passes_what_it_cannot_read_once_caught_up(void **state)
{
    (void)state;
    BEGIN(SPLICE_CHAT, SAYS("x"));
    had(AGAIN("x"));
    passes("data: {'choices':\ndata: []}\n\n", "data: {'choices':\ndata: []}\n\n");
    assert_true(splice.lost);
    passes(AGAIN("y"), SAYS("y"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_apis_by_their_paths),
        cmocka_unit_test_setup_teardown(keeps_nothing_of_unknown_streams, start, stop),
        cmocka_unit_test_setup_teardown(goes_on_in_the_middle_of_an_event, start, stop),
        cmocka_unit_test_setup_teardown(goes_on_between_events, start, stop),
        cmocka_unit_test_setup_teardown(splits_at_every_character, start, stop),
        cmocka_unit_test_setup_teardown(splits_whole_characters_in_halves, start, stop),
        cmocka_unit_test_setup_teardown(tells_texts_apart, start, stop),
        cmocka_unit_test_setup_teardown(cuts_what_is_there_twice, start, stop),
        cmocka_unit_test_setup_teardown(goes_on_with_completions, start, stop),
        cmocka_unit_test_setup_teardown(keeps_ids_of_tool_calls, start, stop),
        cmocka_unit_test_setup_teardown(silences_beginnings_that_the_client_has, start, stop),
        cmocka_unit_test_setup_teardown(knows_calls_of_one_index_by_their_ids, start, stop),
        cmocka_unit_test_setup_teardown(tells_calls_apart, start, stop),
        cmocka_unit_test_setup_teardown(follows_each_choice_by_itself, start, stop),
        cmocka_unit_test_setup_teardown(keeps_nothing_of_what_differs, start, stop),
        cmocka_unit_test_setup_teardown(goes_on_time_and_again, start, stop),
        cmocka_unit_test_setup_teardown(takes_the_first_that_says_its_id, start, stop),
        cmocka_unit_test_setup_teardown(says_what_differs, start, stop),
        cmocka_unit_test_setup_teardown(reads_events_alike, start, stop),
        cmocka_unit_test_setup_teardown(gives_up_on_what_it_cannot_keep, start, stop),
        cmocka_unit_test_setup_teardown(keeps_no_more_than_it_may, start, stop),
        cmocka_unit_test_setup_teardown(passes_what_it_cannot_read_once_caught_up, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
