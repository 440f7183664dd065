/*
 * The admin server's rules, which are pure: what a path means, who may ask, and what the last hour looked like.
 */

#include "tests/gatewayd/rig.h"

#include "gatewayd/admin_routes.h"
#include "gatewayd/admin_samples.h"

static struct http_request parsed(const char *text)
{
    struct http_request request;
    const char *why = NULL;

    if (http_request_parse(text, strlen(text), 0, &request, &why) <= 0)
        fail_msg("%s: %s", text, why ? why : "not whole");
    return request;
}

/* "GET /x" -> a whole request to localhost. */
static struct admin_route routed(const char *line)
{
    static char text[1024];
    struct admin_route route;

    snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: localhost\r\n\r\n", line);
    struct http_request request = parsed(text);
    admin_route(&request, &route);
    return route;
}

static void finds_what_to_show(void **state)
{
    static const struct {
        const char *line;
        enum admin_what what;
        enum admin_need need;
    } cases[] = {
        {"GET /", ADMIN_PAGE, ADMIN_NEED_NOTHING},
        {"GET /?x=1", ADMIN_PAGE, ADMIN_NEED_NOTHING},
        {"HEAD /dashboard.js", ADMIN_PAGE, ADMIN_NEED_NOTHING},
        {"GET /dashboard.css", ADMIN_PAGE, ADMIN_NEED_NOTHING},
        {"GET /metrics", ADMIN_METRICS, ADMIN_NEED_METRICS},
        {"GET /metrics?x", ADMIN_BAD, ADMIN_NEED_METRICS},
        {"GET /api/status", ADMIN_STATUS, ADMIN_NEED_TOKEN},
        {"HEAD /api/status", ADMIN_STATUS, ADMIN_NEED_TOKEN},
        {"GET /api/status?all=1", ADMIN_BAD, ADMIN_NEED_TOKEN},
        {"GET /api/status/", ADMIN_UNKNOWN, ADMIN_NEED_TOKEN},
        {"GET /api/workers", ADMIN_WORKERS, ADMIN_NEED_TOKEN},
        {"GET /api/history", ADMIN_HISTORY, ADMIN_NEED_TOKEN},
        {"GET /api/history?since=1700000000000", ADMIN_HISTORY, ADMIN_NEED_TOKEN},
        {"GET /api/history?since=yesterday", ADMIN_BAD, ADMIN_NEED_TOKEN},
        {"GET /api/history?n=1", ADMIN_BAD, ADMIN_NEED_TOKEN},
        {"GET /api/stream", ADMIN_STREAM, ADMIN_NEED_TOKEN},
        {"GET /api/events", ADMIN_EVENTS, ADMIN_NEED_TOKEN},
        {"GET /api/events?n=1001", ADMIN_BAD, ADMIN_NEED_TOKEN},
        {"GET /api/events?n=-1", ADMIN_BAD, ADMIN_NEED_TOKEN},
        {"GET /api/events?n=", ADMIN_BAD, ADMIN_NEED_TOKEN},
        {"GET /api/events?n=1&n=2", ADMIN_BAD, ADMIN_NEED_TOKEN},
        {"GET /api/", ADMIN_UNKNOWN, ADMIN_NEED_TOKEN},
        {"GET /nothing", ADMIN_UNKNOWN, ADMIN_NEED_NOTHING},
        {"GET /api/../dashboard.js", ADMIN_UNKNOWN, ADMIN_NEED_TOKEN},
        {"OPTIONS *", ADMIN_UNKNOWN, ADMIN_NEED_TOKEN},
        {"OPTIONS /api/status", ADMIN_NOT_ALLOWED, ADMIN_NEED_TOKEN},
        {"POST /api/status", ADMIN_NOT_ALLOWED, ADMIN_NEED_TOKEN},
        {"DELETE /", ADMIN_NOT_ALLOWED, ADMIN_NEED_NOTHING},
        {"GET /api/breaker/a/reset", ADMIN_NOT_ALLOWED, ADMIN_NEED_TOKEN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct admin_route route = routed(cases[i].line);
        if (route.what != cases[i].what || route.need != cases[i].need)
            fail_msg("%s: what %d, need %d", cases[i].line, route.what, route.need);
    }
    assert_int_equal(routed("GET /api/events").count, 100);
    assert_int_equal(routed("GET /api/events?n=7").count, 7);
    assert_int_equal(routed("GET /api/history?since=1700000000000").since_ms, 1700000000000);
    assert_string_equal(routed("PUT /metrics").allow, "GET, HEAD");
    assert_string_equal(routed("GET /api/endpoint/a/drain").allow, "POST");
    assert_non_null(memmem(routed("GET /").page->text.at, routed("GET /").page->text.len, "dashboard.js", 12));
}

static void finds_what_to_change(void **state)
{
    static const struct {
        const char *line;
        enum change_kind change;
        const char *name;
    } cases[] = {
        {"POST /api/breaker/us-east/reset", CHANGE_BREAKER_RESET, "us-east"},
        {"POST /api/breaker/us-east%2Fgpt-4.1/open", CHANGE_BREAKER_OPEN, "us-east/gpt-4.1"},
        {"POST /api/breaker/us-east/gpt-4.1/close", CHANGE_BREAKER_CLOSE, "us-east/gpt-4.1"},
        {"POST /api/breaker/a/b/c/auto", CHANGE_BREAKER_AUTO, "a/b/c"},
        {"POST /api/breaker/open/open", CHANGE_BREAKER_OPEN, "open"},
        {"POST /api/endpoint/a%20b/drain", CHANGE_DRAIN, "a b"},
        {"POST /api/endpoint/%c3%A4/enable", CHANGE_ENABLE, "\xc3\xa4"},
        {"POST /api/cooldown/a/clear", CHANGE_COOLDOWN_CLEAR, "a"},
    };
    static const char *const nothing[] = {"POST /api/breaker/reset", "POST /api/breaker//reset", "POST /api/breaker/a/",
                                          "POST /api/breaker/a/drain", "POST /api/endpoint/a/open", "POST /api/a/reset",
                                          "POST /api/breaker/a/reset/", "POST /api/breaker/a/RESET"};
    static const char *const bad[] = {"POST /api/breaker/a%/reset", "POST /api/breaker/a%2/reset",
                                      "POST /api/breaker/a%g0/reset", "POST /api/breaker/a%00b/reset",
                                      "POST /api/breaker/a/reset?for=10m", "POST /api/breaker/a/open?fro=10m",
                                      "POST /api/breaker/a/open?for=", "POST /api/breaker/a/open?for=10",
                                      "POST /api/breaker/a/open?for=366d", "POST /api/breaker/a/open?for=0s"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct admin_route route = routed(cases[i].line);
        assert_int_equal(route.what, ADMIN_CHANGE);
        assert_int_equal(route.need, ADMIN_NEED_TOKEN);
        assert_int_equal(route.change, cases[i].change);
        assert_string_equal(route.name, cases[i].name);
        assert_int_equal(route.hold_ms, 0);
    }
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        if (routed(nothing[i]).what != ADMIN_UNKNOWN)
            fail_msg("%s", nothing[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (routed(bad[i]).what != ADMIN_BAD)
            fail_msg("%s", bad[i]);
    assert_int_equal(routed("POST /api/breaker/a/open?for=10m").hold_ms, 600000);
    assert_int_equal(routed("POST /api/breaker/a/open?for=250ms").hold_ms, 250);

    char line[700] = "POST /api/endpoint/";
    memset(line + strlen(line), 'x', 600);
    strcpy(line + 619, "/drain");
    assert_int_equal(routed(line).what, ADMIN_BAD);
}

static void knows_names_that_cannot_be_pointed_here(void **state)
{
    static const char *const own[] = {"127.0.0.1", "127.0.0.1:9901", "[::1]:9901", "[::1]", "10.1.2.3", "localhost",
                                      "LOCALHOST:1", "gw1", "GW1:9901"};
    static const char *const foreign[] = {"", ":9901", "evil.example", "evil.example:9901", "127.0.0.1.evil.example",
                                          "localhost.evil.example", "gw1.evil.example", "127.1", "2130706433", "[",
                                          "[::1", "[gw1]x", "127.0.0.1@evil.example", "0x7f.0.0.1"};

    (void)state;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (!admin_guard_host(str_of(own[i]), STR("gw1")))
            fail_msg("%s", own[i]);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (admin_guard_host(str_of(foreign[i]), STR("gw1x")))
            fail_msg("%s", foreign[i]);
    assert_true(admin_guard_host((struct str){0}, STR("gw1")));
    assert_false(admin_guard_host(STR("gw1"), STR("")));
}

static enum admin_verdict guarded(const struct admin_rules *rules, enum admin_need need, const char *host,
                                  const char *headers)
{
    static char text[1024];

    snprintf(text, sizeof text, "POST /x HTTP/1.1\r\nHost: %s\r\n%s\r\n", host, headers);
    struct http_request request = parsed(text);
    return admin_guard(&request, rules, need);
}

#define RIGHT "Authorization: Bearer s3cret-token\r\n"
#define WRONG "Authorization: Bearer s3cret-tokem\r\n"

static void wants_the_token_over_tcp(void **state)
{
    unsigned char hash[SECRET_HASH_SIZE];
    struct admin_rules tcp = {.needs_token = true, .token = hash, .hostname = STR("gw1")};

    (void)state;
    assert_int_equal(secret_setup(), 0);
    secret_hash(STR("s3cret-token"), hash);
    assert_int_equal(guarded(&tcp, ADMIN_NEED_TOKEN, "127.0.0.1:1", RIGHT), ADMIN_ADMITTED);
    assert_int_equal(guarded(&tcp, ADMIN_NEED_TOKEN, "127.0.0.1:1", "authorization:bearer  s3cret-token \r\n"),
                     ADMIN_ADMITTED);
    assert_int_equal(guarded(&tcp, ADMIN_NEED_TOKEN, "gw1.internal", RIGHT), ADMIN_ADMITTED);
    assert_int_equal(guarded(&tcp, ADMIN_NEED_TOKEN, "127.0.0.1:1", ""), ADMIN_NO_TOKEN);
    assert_int_equal(guarded(&tcp, ADMIN_NEED_TOKEN, "127.0.0.1:1", WRONG), ADMIN_WRONG_TOKEN);
    static const char *const wrong[] = {"Authorization: \r\n", "Authorization: Bearer \r\n",
                                        "Authorization: Bearer\r\n",
                                        "Authorization: s3cret-token\r\n", "Authorization: Basic s3cret-token\r\n",
                                        "Authorization: Bearer s3cret-token2\r\n", "Authorization: Bearer s3cret\r\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(guarded(&tcp, ADMIN_NEED_TOKEN, "127.0.0.1:1", wrong[i]), ADMIN_WRONG_TOKEN);
    assert_int_equal(guarded(&tcp, ADMIN_NEED_NOTHING, "evil.example", ""), ADMIN_ADMITTED);
    assert_int_equal(guarded(&tcp, ADMIN_NEED_METRICS, "127.0.0.1:1", ""), ADMIN_NO_TOKEN);
    tcp.open_metrics = true;
    assert_int_equal(guarded(&tcp, ADMIN_NEED_METRICS, "127.0.0.1:1", ""), ADMIN_ADMITTED);
    assert_int_equal(guarded(&tcp, ADMIN_NEED_METRICS, "127.0.0.1:1", WRONG), ADMIN_ADMITTED);
    assert_int_equal(guarded(&tcp, ADMIN_NEED_METRICS, "evil.example:1", ""), ADMIN_FOREIGN_HOST);
    assert_int_equal(guarded(&tcp, ADMIN_NEED_METRICS, "gw1.internal:1", RIGHT), ADMIN_ADMITTED);
    assert_int_equal(guarded(&tcp, ADMIN_NEED_TOKEN, "127.0.0.1:1", ""), ADMIN_NO_TOKEN);
    tcp.token = NULL; /* never let in for want of something to compare */
    assert_int_equal(guarded(&tcp, ADMIN_NEED_TOKEN, "127.0.0.1:1", RIGHT), ADMIN_NO_TOKEN);
}

static void wants_no_token_over_a_unix_socket(void **state)
{
    const struct admin_rules rules = {.hostname = STR("gw1")};

    (void)state;
    assert_int_equal(guarded(&rules, ADMIN_NEED_TOKEN, "localhost", ""), ADMIN_ADMITTED);
    assert_int_equal(guarded(&rules, ADMIN_NEED_TOKEN, "localhost", WRONG), ADMIN_ADMITTED);
    assert_int_equal(guarded(&rules, ADMIN_NEED_TOKEN, "evil.example", ""), ADMIN_FOREIGN_HOST);
    assert_int_equal(guarded(&rules, ADMIN_NEED_TOKEN, "evil.example", RIGHT), ADMIN_FOREIGN_HOST);
}

static void refuses_other_sites(void **state)
{
    unsigned char hash[SECRET_HASH_SIZE];
    const struct admin_rules tcp = {.needs_token = true, .token = hash}, unix_rules = {.needs_token = false};
    static const char *const foreign[] = {"https://evil.example", "null", "http://localhost:9901.evil.example",
                                          "http://localhost", "http://localhost:99011", "localhost:9901", ""};

    (void)state;
    assert_int_equal(secret_setup(), 0);
    secret_hash(STR("s3cret-token"), hash);
    assert_int_equal(guarded(&tcp, ADMIN_NEED_TOKEN, "localhost:9901", RIGHT "Origin: http://localhost:9901\r\n"),
                     ADMIN_ADMITTED);
    assert_int_equal(guarded(&tcp, ADMIN_NEED_TOKEN, "gw.example", RIGHT "Origin: https://gw.example\r\n"),
                     ADMIN_ADMITTED);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        char headers[200];
        snprintf(headers, sizeof headers, RIGHT "Origin: %s\r\n", foreign[i]);
        assert_int_equal(guarded(&tcp, ADMIN_NEED_TOKEN, "localhost:9901", headers), ADMIN_FOREIGN_ORIGIN);
        assert_int_equal(guarded(&unix_rules, ADMIN_NEED_TOKEN, "localhost:9901", headers), ADMIN_FOREIGN_ORIGIN);
        assert_int_equal(guarded(&unix_rules, ADMIN_NEED_NOTHING, "localhost:9901", headers), ADMIN_FOREIGN_ORIGIN);
    }
}

/* So many tries ever, of them errors, all of whose first tokens took 100 ms but the last, which took two seconds. */
static struct admin_reading reading(uint64_t tried, uint64_t errors)
{
    struct admin_reading out = {.tried = tried, .errors = errors, .state = STATE_DEGRADED};

    if (tried > 0) {
        out.first.buckets[gws_latency_bucket(100000)] = tried - 1;
        out.first.buckets[gws_latency_bucket(2000000)] = 1;
        out.first.count = tried;
    }
    return out;
}

static void sample(struct admin_samples *samples, uint64_t at, const char *name, const struct admin_reading *value)
{
    admin_samples_begin(samples, at);
    if (name)
        admin_samples_add(samples, name, value);
    admin_samples_end(samples);
}

static const struct admin_point *last_point(const struct admin_samples *samples, size_t series)
{
    return &samples->list[series]->points[(samples->taken - 1) % ADMIN_SAMPLES];
}

static void samples_are_differences(void **state)
{
    struct admin_samples samples = {0};
    struct admin_reading first = reading(100, 50), second = reading(120, 55), same = reading(120, 55);

    (void)state;
    sample(&samples, 1000000, "a", &first);
    assert_true(last_point(&samples, 0)->rps < 0);
    assert_int_equal(last_point(&samples, 0)->state, STATE_DEGRADED);
    sample(&samples, 1010000, "a", &second);
    assert_true(last_point(&samples, 0)->rps == 2.0F);
    assert_true(last_point(&samples, 0)->error_rate == 0.25F);
    assert_in_range((int)last_point(&samples, 0)->p50, 90, 115);
    sample(&samples, 1020000, "a", &same);
    assert_true(last_point(&samples, 0)->rps == 0.0F);
    assert_true(last_point(&samples, 0)->error_rate < 0);
    assert_true(last_point(&samples, 0)->p99 < 0);
    /* Away for one sample: nothing is told of the time in between. */
    sample(&samples, 1030000, NULL, NULL);
    assert_int_equal(last_point(&samples, 0)->state, -1);
    sample(&samples, 1040000, "a", &same);
    assert_true(last_point(&samples, 0)->rps < 0);
    /* Counters that went back are another endpoint's. */
    sample(&samples, 1050000, "a", &first);
    assert_true(last_point(&samples, 0)->rps < 0);
    /* A clock that was set back says nothing of how much time has passed. */
    sample(&samples, 1040000, "a", &second);
    assert_true(last_point(&samples, 0)->rps < 0);
    sample(&samples, 1050000, "a", &second);
    assert_true(last_point(&samples, 0)->rps == 0.0F);
    admin_samples_fini(&samples);
    admin_samples_fini(&samples);
}

static void samples_are_bounded(void **state)
{
    struct admin_samples samples = {0};
    struct admin_reading value = reading(1, 0);

    (void)state;
    admin_samples_begin(&samples, 5);
    for (int i = 0; i < ADMIN_SAMPLED_MAX + 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "e%d", i);
        admin_samples_add(&samples, name, &value);
    }
    admin_samples_end(&samples);
    assert_int_equal(samples.count, ADMIN_SAMPLED_MAX);
    for (int i = 0; i < ADMIN_SAMPLES; i++)
        sample(&samples, 10 + (uint64_t)i, "e7", &value);
    assert_int_equal(samples.count, 1); /* the others have been gone for an hour */
    assert_string_equal(samples.list[0]->name, "e7");
    admin_samples_fini(&samples);
}

static void samples_as_json(void **state)
{
    struct admin_samples samples = {0};
    struct admin_reading first = reading(0, 0), second = reading(20, 5);
    struct buf out = {0};

    (void)state;
    assert_int_equal(admin_samples_json(&samples, 0, &out), 0);
    assert_string_equal((buf_add(&out, "", 1), buf_at(&out)),
                        "{\"interval_ms\":10000,\"times\":[],\"endpoints\":[]}\n");
    buf_clear(&out);
    sample(&samples, 1000000, "a\"b", &first);
    sample(&samples, 1010000, "a\"b", &second);
    assert_int_equal(admin_samples_json(&samples, 0, &out), 0);
    buf_add(&out, "", 1);
    const char *text = buf_at(&out);
    assert_non_null(strstr(text, "\"times\":[1000000,1010000]"));
    assert_non_null(strstr(text, "{\"name\":\"a\\\"b\",\"rps\":[null,2],\"error_rate\":[null,0.25],"
                                 "\"first_token_ms\":{\"p50\":[null,"));
    assert_non_null(strstr(text, "\"state\":[\"degraded\",\"degraded\"]}]}\n"));
    /* The oldest give way. */
    for (int i = 0; i < ADMIN_SAMPLES; i++)
        sample(&samples, 2000000 + (uint64_t)i * 10000, "a\"b", &second);
    buf_clear(&out);
    assert_int_equal(admin_samples_json(&samples, 0, &out), 0);
    buf_add(&out, "", 1);
    assert_non_null(strstr(buf_at(&out), "\"times\":[2000000,2010000,"));
    buf_fini(&out);
    admin_samples_fini(&samples);
}

static void assert_times(const struct admin_samples *samples, uint64_t since_ms, const char *times)
{
    struct buf out = {0};
    char want[128];
    assert_int_equal(admin_samples_json(samples, since_ms, &out), 0);
    buf_add(&out, "", 1);
    snprintf(want, sizeof want, "{\"interval_ms\":10000,\"times\":[%s],", times);
    if (strncmp(buf_at(&out), want, strlen(want)) != 0)
        fail_msg("since %llu: %s", (unsigned long long)since_ms, buf_at(&out));
    buf_fini(&out);
}

static void samples_since_a_moment(void **state)
{
    struct admin_samples samples = {0};
    struct admin_reading first = reading(0, 0);
    struct buf out = {0};

    (void)state;
    assert_times(&samples, 5, "");
    for (int i = 0; i < 3; i++)
        sample(&samples, 1000 + (uint64_t)i * 10, "a", &first);
    assert_times(&samples, 0, "1000,1010,1020");
    assert_times(&samples, 1009, "1010,1020");
    assert_times(&samples, 1010, "1020");
    assert_times(&samples, 1020, "");
    assert_int_equal(admin_samples_json(&samples, 1010, &out), 0);
    buf_add(&out, "", 1);
    assert_non_null(strstr(buf_at(&out), "\"rps\":[0],\"error_rate\":[null],"));
    assert_non_null(strstr(buf_at(&out), "\"state\":[\"degraded\"]}]}\n"));
    buf_fini(&out);
    /* The clock was set back: nobody who asks for what is later may wait for an hour. */
    assert_times(&samples, 5000, "1000,1010,1020");
    sample(&samples, 500, "a", &first);
    assert_times(&samples, 1020, "1000,1010,1020,500");
    admin_samples_fini(&samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_to_show),
        cmocka_unit_test(finds_what_to_change),
        cmocka_unit_test(knows_names_that_cannot_be_pointed_here),
        cmocka_unit_test(wants_the_token_over_tcp),
        cmocka_unit_test(wants_no_token_over_a_unix_socket),
        cmocka_unit_test(refuses_other_sites),
        cmocka_unit_test(samples_are_differences),
        cmocka_unit_test(samples_are_bounded),
        cmocka_unit_test(samples_as_json),
        cmocka_unit_test(samples_since_a_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
