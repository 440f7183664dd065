/*
 * From a path and a body to who may answer: the paths of the API and those that are none, names and aliases with and
 * without a list of models, the place of a model's name in the body, bodies that cannot be routed.
 */

#include "tests/gatewayd/rig.h"

#include "gatewayd/route.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char with_models[] =
    "state: /tmp/x\n"
    "endpoints:\n"
    "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none}\n"
    "  - {name: b, url: \"http://127.0.0.1:2/v1\", key: none}\n"
    "models:\n"
    "  gpt-4.1: {endpoints: [a, {name: b, as: gpt-4.1-2025}]}\n"
    "  org/claude: {endpoints: [b]}\n"
    "aliases: {latest: gpt-4.1, fast: org/claude}\n";

static const char without_models[] =
    "state: /tmp/x\n"
    "endpoints:\n"
    "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none}\n"
    "aliases: {latest: some-model}\n";

struct asked {
    struct rig *rig;
    struct http_request head;
    struct route route;
    struct arena arena;
    char text[512];
};

static struct str no_body(void)
{
    return (struct str){"", 0};
}

static void ask(struct asked *a, const char *line, const char *more, struct str body)
{
    const char *why = NULL;
    int n = snprintf(a->text, sizeof a->text, "%s HTTP/1.1\r\nHost: x\r\n%s\r\n", line, more);

    if (http_request_parse(a->text, (size_t)n, 0, &a->head, &why) <= 0)
        fail_msg("%s: %s", line, why);
    assert_int_equal(route_find(&a->route, a->rig->plan, &a->head, body, &a->arena), 0);
}

static void assert_str(struct str got, const char *want)
{
    if (got.len != strlen(want) || memcmp(got.at, want, got.len) != 0)
        fail_msg("\"%.*s\" instead of \"%s\"", (int)got.len, got.at, want);
}

static void knows_paths(void **state)
{
    static const struct {
        const char *line;
        enum route_kind kind;
    } cases[] = {
        {"GET /health", ROUTE_HEALTH},
        {"HEAD /health", ROUTE_HEALTH},
        {"GET /health?x=1", ROUTE_HEALTH},
        {"POST /health", ROUTE_BAD_METHOD},
        {"GET /ready", ROUTE_READY},
        {"DELETE /ready", ROUTE_BAD_METHOD},
        {"GET /v1/models", ROUTE_MODELS},
        {"HEAD /v1/models", ROUTE_MODELS},
        {"POST /v1/models", ROUTE_BAD_METHOD},
        {"GET /v1/models/gpt-4.1", ROUTE_MODEL_ONE},
        {"GET /v1/models/org/claude", ROUTE_MODEL_ONE},
        {"DELETE /v1/models/ft:x", ROUTE_ONCE},
        {"GET /v1/files", ROUTE_ONCE},
        {"GET /v1/responses/resp_1", ROUTE_ONCE},
        {"PUT /v1/x", ROUTE_ONCE},
        {"POST /v1/files", ROUTE_POOL},
        {"POST /v1/responses/resp_1/cancel", ROUTE_POOL},
        {"GET /", ROUTE_UNKNOWN},
        {"GET /v1", ROUTE_UNKNOWN},
        {"GET /v2/models", ROUTE_UNKNOWN},
        {"GET /healthy", ROUTE_UNKNOWN},
        {"GET /Health", ROUTE_UNKNOWN},
        {"GET /v1/../admin", ROUTE_UNKNOWN},
        {"POST /v1/./chat/completions", ROUTE_UNKNOWN},
        {"GET /v1/files/..", ROUTE_UNKNOWN},
        {"GET /v1/%2e%2E/admin", ROUTE_UNKNOWN},
        {"GET /v1/.%2e/admin", ROUTE_UNKNOWN},
        {"GET /v1/files/..x", ROUTE_ONCE},
        {"GET /v1/files/a.b", ROUTE_ONCE},
        {"GET /v1/files?path=/../x", ROUTE_ONCE},
        {"OPTIONS *", ROUTE_UNKNOWN},
        {"GET http://x/health", ROUTE_HEALTH},
    };
    struct rig rig;
    struct asked a = {.rig = &rig};

    (void)state;
    rig_open(&rig, with_models);
    for (size_t i = 0; i < COUNT(cases); i++) {
        ask(&a, cases[i].line, "", no_body());
        if (a.route.kind != cases[i].kind)
            fail_msg("%s: %d, not %d", cases[i].line, (int)a.route.kind, (int)cases[i].kind);
        if (a.route.kind == ROUTE_ONCE || a.route.kind == ROUTE_POOL)
            assert_ptr_equal(a.route.model, rig.plan->pool);
    }
    ask(&a, "GET /v1/models/org/claude", "", no_body());
    assert_str(a.route.asked, "org/claude");
    arena_fini(&a.arena);
    rig_close(&rig);
}

static void keeps_the_query(void **state)
{
    struct rig rig;
    struct asked a = {.rig = &rig};

    (void)state;
    rig_open(&rig, with_models);
    ask(&a, "GET /v1/files?limit=2&after=/v1/", "", no_body());
    assert_str(a.route.upstream_path, "/files?limit=2&after=/v1/");
    assert_false(a.route.anthropic);
    ask(&a, "POST /v1/messages?beta=true", "", STR("{\"model\":\"fast\"}"));
    assert_str(a.route.upstream_path, "/messages?beta=true");
    assert_true(a.route.anthropic);
    ask(&a, "POST http://x/v1/messages/count_tokens", "", STR("{\"model\":\"fast\"}"));
    assert_str(a.route.upstream_path, "/messages/count_tokens");
    assert_true(a.route.anthropic);
    ask(&a, "POST /v1/messagesx", "", STR("{\"model\":\"fast\"}"));
    assert_false(a.route.anthropic);
    arena_fini(&a.arena);
    rig_close(&rig);
}

/* What the body says, and where: the view is of the body itself, so that it can be replaced in place. */
static void reads_bodies(void **state)
{
    static const struct {
        const char *body, *asked, *span, *resolved, *model; /* model NULL: nobody's */
        bool stream;
    } cases[] = {
        {"{\"model\":\"gpt-4.1\"}", "gpt-4.1", "gpt-4.1", "gpt-4.1", "gpt-4.1", false},
        {" {\"stream\": true, \"model\" : \"latest\"} \n", "latest", "latest", "gpt-4.1", "gpt-4.1", true},
        {"{\"stream\":false,\"model\":\"fast\"}", "fast", "fast", "org/claude", "org/claude", false},
        {"{\"stream\":\"true\",\"model\":\"fast\"}", "fast", "fast", "org/claude", "org/claude", false},
        {"{\"model\":\"org\\/claude\"}", "org/claude", "org\\/claude", "org/claude", "org/claude", false},
        {"{\"model\":\"gpt\\u002d4.1\"}", "gpt-4.1", "gpt\\u002d4.1", "gpt-4.1", "gpt-4.1", false},
        {"{\"m\\u006fdel\":\"fast\"}", "fast", "fast", "org/claude", "org/claude", false},
        {"{\"messages\":[{\"model\":\"gpt-4.1\"}],\"model\":\"fast\"}", "fast", "fast", "org/claude", "org/claude",
         false},
        {"{\"messages\":[{\"content\":\"\\\"model\\\":\\\"gpt-4.1\\\"\"}],\"model\":\"fast\"}", "fast", "fast",
         "org/claude", "org/claude", false},
        {"{\"model\":\"unheard-of\"}", "unheard-of", "unheard-of", "unheard-of", NULL, false},
        {"{\"model\":\"GPT-4.1\"}", "GPT-4.1", "GPT-4.1", "GPT-4.1", NULL, false},
        {"{\"model\":\"*\"}", "*", "*", "*", NULL, false},
    };
    struct rig rig;
    struct asked a = {.rig = &rig};

    (void)state;
    rig_open(&rig, with_models);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct str body = str_of(cases[i].body);
        ask(&a, "POST /v1/chat/completions", "", body);
        assert_int_equal(a.route.kind, ROUTE_MODEL);
        assert_str(a.route.asked, cases[i].asked);
        assert_str(a.route.resolved, cases[i].resolved);
        assert_str(a.route.model_value.text, cases[i].span);
        assert_true(a.route.model_value.text.at > body.at && a.route.model_value.text.at < body.at + body.len);
        assert_ptr_equal(a.route.model, cases[i].model ? rig_model(&rig, cases[i].model) : NULL);
        assert_int_equal(a.route.stream, cases[i].stream);
    }
    arena_fini(&a.arena);
    rig_close(&rig);
}

static void refuses_bodies(void **state)
{
    static const char *const bad[] = {
        "{\"model\":\"fast\",\"model\":\"fast\"}", "{\"model\":\"fast\",\"m\\u006fdel\":\"gpt-4.1\"}", "{\"model\":3}",
        "{\"model\":null}", "{\"model\":[\"fast\"]}", "{\"model\":\"fast\"", "{\"model\":\"fast\"} x", "[]", "fast",
        "{",
        "{\"model\":\"fast\",}", "{\"stream\":true,\"stream\":false,\"model\":\"fast\"}", " ", "\"fast\"",
    };
    struct rig rig;
    struct asked a = {.rig = &rig};

    (void)state;
    rig_open(&rig, with_models);
    for (size_t i = 0; i < COUNT(bad); i++) {
        ask(&a, "POST /v1/chat/completions", "Content-Type: application/json; charset=utf-8\r\n", str_of(bad[i]));
        if (a.route.kind != ROUTE_BAD_BODY || !a.route.why || !a.route.why[0])
            fail_msg("%s is taken", bad[i]);
    }
    arena_fini(&a.arena);
    rig_close(&rig);
}

/* Labelled as something else it is only read when it looks like an object; then the header names the model. */
static void reads_what_looks_like_json(void **state)
{
    static const struct {
        const char *headers, *body;
        enum route_kind kind;
        const char *model; /* NULL: the pool */
    } cases[] = {
        {"Content-Type: application/x-www-form-urlencoded\r\n", "{\"model\":\"fast\"}", ROUTE_MODEL, "org/claude"},
        {"Content-Type: text/plain\r\n", " \r\n\t{\"model\":\"fast\"}", ROUTE_MODEL, "org/claude"},
        {"Content-Type: APPLICATION/JSON\r\n", "{\"model\":\"fast\"}", ROUTE_MODEL, "org/claude"},
        {"Content-Type: multipart/form-data; boundary=x\r\n", "--x\r\n", ROUTE_POOL, NULL},
        {"Content-Type: multipart/form-data; boundary=x\r\nX-Gateway-Model: fast\r\n", "--x\r\n", ROUTE_MODEL,
         "org/claude"},
        {"X-Gateway-Model: latest\r\n", "{\"input\":1}", ROUTE_MODEL, "gpt-4.1"},
        {"X-Gateway-Model: latest\r\n", "{\"model\":\"fast\"}", ROUTE_MODEL, "org/claude"},
        {"X-Gateway-Model:\r\n", "{\"input\":1}", ROUTE_POOL, NULL},
        {"X-Gateway-Model: latest\r\n", "", ROUTE_MODEL, "gpt-4.1"},
        {"", "{\"input\":1}", ROUTE_POOL, NULL},
        {"", "{}", ROUTE_POOL, NULL},
        {"", "", ROUTE_POOL, NULL},
        {"Content-Type: application/json\r\n", "", ROUTE_POOL, NULL},
        {"Content-Type: text/plain\r\n", "{\"model\":", ROUTE_BAD_BODY, NULL},
        {"", "plain", ROUTE_BAD_BODY, NULL},
    };
    struct rig rig;
    struct asked a = {.rig = &rig};

    (void)state;
    rig_open(&rig, with_models);
    for (size_t i = 0; i < COUNT(cases); i++) {
        ask(&a, "POST /v1/audio/transcriptions", cases[i].headers, str_of(cases[i].body));
        if (a.route.kind != cases[i].kind)
            fail_msg("case %zu: %d, not %d", i, (int)a.route.kind, (int)cases[i].kind);
        if (a.route.kind != ROUTE_BAD_BODY)
            assert_ptr_equal(a.route.model, cases[i].model ? rig_model(&rig, cases[i].model) : rig.plan->pool);
        assert_int_equal(a.route.model_value.type, strstr(cases[i].body, "fast") ? JSON_STRING : JSON_NONE);
    }
    arena_fini(&a.arena);
    rig_close(&rig);
}

static void takes_any_name_without_models(void **state)
{
    struct rig rig;
    struct asked a = {.rig = &rig};
    struct str resolved;

    (void)state;
    rig_open(&rig, without_models);
    ask(&a, "POST /v1/chat/completions", "", STR("{\"model\":\"what\\u0000ever\"}"));
    assert_int_equal(a.route.kind, ROUTE_MODEL);
    assert_ptr_equal(a.route.model, rig.plan->pool);
    assert_true(str_eq(a.route.resolved, STR("what\0ever")));
    ask(&a, "POST /v1/chat/completions", "", STR("{\"model\":\"latest\"}"));
    assert_ptr_equal(a.route.model, rig.plan->pool);
    assert_str(a.route.resolved, "some-model");
    assert_ptr_equal(route_model(rig.plan, STR(""), &resolved), rig.plan->pool);
    arena_fini(&a.arena);
    rig_close(&rig);
}

static void hints_at_the_nearest(void **state)
{
    static const struct {
        const char *name, *nearest;
    } cases[] = {
        {"gpt-4.2", "gpt-4.1"}, {"gpt4.1", "gpt-4.1"},   {"latst", "latest"}, {"fasst", "fast"},
        {"org/claud", "org/claude"}, {"completely-different", NULL}, {"", NULL}, {"x", NULL},
    };
    struct rig rig;

    (void)state;
    rig_open(&rig, with_models);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct str near = route_nearest(rig.plan, str_of(cases[i].name));
        if (!cases[i].nearest)
            assert_null(near.at);
        else
            assert_str(near, cases[i].nearest);
    }
    char many[3000];
    memset(many, 'x', sizeof many);
    assert_null(route_nearest(rig.plan, (struct str){many, sizeof many}).at);
    rig_close(&rig);
}

static void lists_models(void **state)
{
    struct rig rig;
    struct buf out = {0};

    (void)state;
    rig_open(&rig, with_models);
    assert_int_equal(route_models_json(rig.plan, &out), 0);
#define MODEL(name) "{\"id\":\"" name "\",\"object\":\"model\",\"created\":0,\"owned_by\":\"gatewayd\"}"
    assert_str(buf_str(&out), "{\"object\":\"list\",\"data\":[" MODEL("gpt-4.1") "," MODEL("org/claude") ","
                              MODEL("latest") "," MODEL("fast") "]}");
    buf_clear(&out);
    assert_int_equal(route_model_json(STR("a\"b\n"), &out), 0);
    assert_str(buf_str(&out), MODEL("a\\\"b\\n"));
    rig_close(&rig);

    rig_open(&rig, "state: /tmp/x\nendpoints: [{name: a, url: \"http://127.0.0.1:1/v1\", key: none}]\n");
    buf_clear(&out);
    assert_int_equal(route_models_json(rig.plan, &out), 0);
    assert_str(buf_str(&out), "{\"object\":\"list\",\"data\":[]}");
    rig_close(&rig);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_paths),
        cmocka_unit_test(keeps_the_query),
        cmocka_unit_test(reads_bodies),
        cmocka_unit_test(refuses_bodies),
        cmocka_unit_test(reads_what_looks_like_json),
        cmocka_unit_test(takes_any_name_without_models),
        cmocka_unit_test(hints_at_the_nearest),
        cmocka_unit_test(lists_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
