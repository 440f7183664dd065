/*
 * Going on with answers whose events have names, Anthropic's messages and OpenAI's responses: blocks and items begin
 * and end where they did, and are called what they were.
 */

#include "tests/gatewayd/splice_rig.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *const message[] = {
    "event: message_start\ndata: {'type':'message_start','message':{'id':'msg_a','content':[]}}\n\n",
    "event: content_block_start\ndata: {'type':'content_block_start','index':0,'content_block':"
    "{'type':'thinking','thinking':''}}\n\n",
    "event: content_block_delta\ndata: {'type':'content_block_delta','index':0,'delta':"
    "{'type':'thinking_delta','thinking':'hm'}}\n\n",
    "event: content_block_delta\ndata: {'type':'content_block_delta','index':0,'delta':"
    "{'type':'signature_delta','signature':'xyz'}}\n\n",
    "event: content_block_stop\ndata: {'type':'content_block_stop','index':0}\n\n",
    "event: content_block_start\ndata: {'type':'content_block_start','index':1,'content_block':"
    "{'type':'tool_use','id':'toolu_a','name':'f','input':{}}}\n\n",
    "event: content_block_delta\ndata: {'type':'content_block_delta','index':1,'delta':"
    "{'type':'input_json_delta','partial_json':'{1'}}\n\n",
    NULL,
};

static void goes_on_with_messages(void **state)
{
    (void)state;
    begin(SPLICE_MESSAGES, message);
    had("event: message_start\ndata: {'type':'message_start','message':{'id':'msg_b','content':[]}}\n\n");
    had(message[1]);
    had("event: ping\ndata: {'type':'ping'}\n\n");
    had(message[2]);
    had("event: content_block_delta\ndata: {'type':'content_block_delta','index':0,'delta':"
        "{'type':'signature_delta','signature':'different'}}\n\n");
    had(message[4]);
    had("data: {'type':'content_block_start','index':1,'content_block':"
        "{'type':'tool_use','id':'toolu_b','name':'f','input':{}}}\n\n");
    passes("event: content_block_delta\ndata: {'type':'content_block_delta','index':1,'delta':"
           "{'type':'input_json_delta','partial_json':'{12'}}\n\n",
           "event: content_block_delta\ndata: {'type':'content_block_delta','index':1,'delta':"
           "{'type':'input_json_delta','partial_json':'2'}}\n\n");
    passes("event: ping\ndata: {'type':'ping'}\n\n", "event: ping\ndata: {'type':'ping'}\n\n");
    passes("data: {'type':'content_block_stop','index':1}\n\n", "data: {'type':'content_block_stop','index':1}\n\n");
    passes("data: {'type':'content_block_start','index':2,'content_block':{'type':'tool_use','name':'g'}}\n\n",
           "data: {'type':'content_block_start','index':2,'content_block':{'type':'tool_use','name':'g'}}\n\n");
    passes("data: {'type':'message_delta','delta':{'stop_reason':'end_turn'},'usage':{}}\n\n",
           "data: {'type':'message_delta','delta':{'stop_reason':'end_turn'},'usage':{}}\n\n");
    passes("event: message_stop\ndata: {'type':'message_stop'}\n\n",
           "event: message_stop\ndata: {'type':'message_stop'}\n\n");
}

static void tells_blocks_apart(void **state)
{
    static const struct {
        size_t after;
        const char *event;
    } others[] = {
        {1, "data: {'type':'content_block_start','index':0,'content_block':{'type':'text','text':''}}\n\n"},
        {2, "data: {'type':'content_block_delta','index':0,'delta':{'type':'text_delta','text':'hm'}}\n\n"},
        {2, "data: {'type':'content_block_delta','index':1,'delta':{'type':'thinking_delta','thinking':'hm'}}\n\n"},
        {3, "data: {'type':'content_block_delta','index':0,'delta':{'type':'thinking_delta','thinking':'!'}}\n\n"},
        {3, "data: {'type':'content_block_stop','index':0}\n\n"},
        {5, "data: {'type':'content_block_start','index':1,'content_block':{'type':'tool_use','name':'g'}}\n\n"},
        {6, "data: {'type':'content_block_stop','index':1}\n\n"},
        {6, "data: {'type':'message_delta','delta':{'stop_reason':'end_turn'}}\n\n"},
        {6, "event: message_stop\ndata: {'type':'message_stop'}\n\n"},
        {6, "event: message_stop\ndata: {}\n\n"},
        {6, "event: error\ndata: {'type':'error','error':{'type':'overloaded_error'}}\n\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(others); i++) {
        begin(SPLICE_MESSAGES, message);
        for (size_t n = 0; n < others[i].after; n++)
            had(message[n]);
        differs(others[i].event);
    }
    /* A block that begins with text the client lacks would begin twice. */
    BEGIN(SPLICE_MESSAGES,
          "data: {'type':'content_block_start','index':0,'content_block':{'type':'text','text':'a'}}\n\n");
    differs("data: {'type':'content_block_start','index':0,'content_block':{'type':'text','text':'ab'}}\n\n");
    splice_replay(&splice);
    had("data: {'type':'content_block_start','index':0,'content_block':{'type':'text','text':''}}\n\n");
    passes("data: {'type':'content_block_delta','index':0,'delta':{'type':'text_delta','text':'ab'}}\n\n",
           "data: {'type':'content_block_delta','index':0,'delta':{'type':'text_delta','text':'b'}}\n\n");
}

#define ADDED(n, id, call) \
    "data: {'type':'response.output_item.added','sequence_number':" n ",'output_index':0,'item':" \
    "{'id':'" id "','type':'function_call','call_id':'" call "','name':'f','arguments':''}}\n\n"
#define ARGUMENTS(n, id, text) \
    "event: response.function_call_arguments.delta\ndata: {'type':'response.function_call_arguments.delta'," \
    "'sequence_number':" n ",'item_id':'" id "','output_index':0,'delta':'" text "','obfuscation':'a" n "'}\n\n"
#define ITEM(type, n, id, call) \
    "data: {'type':'response." type "','sequence_number':" n ",'output_index':0,'item':" \
    "{'id':'" id "','type':'function_call','call_id':'" call "','name':'f','arguments':'{}'}}\n\n"
#define WHOLE(type, n, response, output) \
    "data: {'type':'response." type "','response':{'id':'" response "','status':'x','output':[" output "]}," \
    "'sequence_number':" n "}\n\n"
#define OUTPUT(id, call) "{'id':'" id "','call_id':'" call "','type':'function_call'}"

static void goes_on_with_responses(void **state)
{
    (void)state;
    BEGIN(SPLICE_RESPONSES, WHOLE("created", "0", "resp_a", ""), WHOLE("in_progress", "1", "resp_a", ""),
          ADDED("2", "fc_a", "call_a"), ARGUMENTS("3", "fc_a", "{"), ARGUMENTS("4", "fc_a", "1"),
          ARGUMENTS("5", "fc_a", "2"));
    had(WHOLE("created", "0", "resp_b", ""));
    had(ADDED("1", "fc_b", "call_b"));
    passes(ARGUMENTS("2", "fc_b", "{12}"), "event: response.function_call_arguments.delta\ndata: "
           "{'type':'response.function_call_arguments.delta','sequence_number':6,'item_id':'fc_a','output_index':0,"
           "'delta':'}','obfuscation':'a2'}\n\n");
    passes(ITEM("output_item.done", "3", "fc_b", "call_b"), ITEM("output_item.done", "7", "fc_a", "call_a"));
    passes(WHOLE("completed", "4", "resp_b", OUTPUT("fc_b", "call_b") "," OUTPUT("fc_x", "call_x")),
           WHOLE("completed", "8", "resp_a", OUTPUT("fc_a", "call_a") "," OUTPUT("fc_x", "call_x")));
}

static void responses_keep_who_they_are(void **state)
{
    (void)state;
    BEGIN(SPLICE_RESPONSES, "data: {'type':'response.created','response':{'id':'a','created_at':1,'model':'x'}}\n\n",
          ADDED("2", "a", "c"), ARGUMENTS("3", "a", "{"));
    had(ADDED("2", "b", "c"));
    had(ARGUMENTS("3", "b", "{"));
    passes("data: {'type':'response.completed','response':{'model':'y','created_at':22,'id':'b'}}\n\n",
           "data: {'type':'response.completed','response':{'model':'x','created_at':1,'id':'a'}}\n\n");
}

static void tells_items_apart(void **state)
{
    static const char *const others[] = {
        ARGUMENTS("2", "b", "{"),
        "data: {'type':'response.output_item.added','output_index':0,'item':{'type':'message'}}\n\n",
        "data: {'type':'response.output_item.added','output_index':1,'item':{'type':'function_call','name':'f'}}\n\n",
        ITEM("output_item.done", "1", "b", "b"),
        WHOLE("completed", "1", "b", ""),
        WHOLE("failed", "1", "b", ""),
        "event: error\ndata: {'type':'error','code':'x','message':'y'}\n\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(others); i++) {
        BEGIN(SPLICE_RESPONSES, ADDED("2", "a", "c"), ARGUMENTS("3", "a", "{"));
        differs(others[i]);
    }
    BEGIN(SPLICE_RESPONSES, ADDED("2", "a", "c"), ARGUMENTS("3", "a", "{"), ITEM("output_item.done", "4", "a", "c"));
    had(ADDED("2", "b", "d"));
    differs(ARGUMENTS("3", "b", "{}"));
    BEGIN(SPLICE_RESPONSES, "data: {'type':'response.output_text.delta','delta':'a'}\n\n");
    passes("data: {'type':'response.output_text.delta','delta':'ab'}\n\n",
           "data: {'type':'response.output_text.delta','delta':'b'}\n\n");
    passes("data: {'type':'keepalive'}\n\n", "data: {'type':'keepalive'}\n\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(goes_on_with_messages, start, stop),
        cmocka_unit_test_setup_teardown(tells_blocks_apart, start, stop),
        cmocka_unit_test_setup_teardown(goes_on_with_responses, start, stop),
        cmocka_unit_test_setup_teardown(responses_keep_who_they_are, start, stop),
        cmocka_unit_test_setup_teardown(tells_items_apart, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
