/*
 * The line that is written for a request: one JSON object with the names that readers rely on, whatever the client and
 * the configuration put into it, and however much of it. And what is counted of it.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gatewayd/account.h"
#include "gatewayd/json.h"
#include "gatewayd/log.h"
#include "libshm/count.h"
#include "libshm/measure.h"
#include "tests/libshm/fixture.h"

static char path[] = "/tmp/gwaccount-XXXXXX";

static int open_log(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    log_setup(LOG_INFO_LEVEL, true, "test");
    return log_access_open(path);
}

static int close_log(void **state)
{
    (void)state;
    log_access_open("off");
    return unlink(path);
}

/* What was logged since the last call. */
static struct str logged(void)
{
    static char text[1 << 20];

    log_access_flush();
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t len = read(fd, text, sizeof text);
    assert_true(len >= 0 && (size_t)len < sizeof text);
    assert_int_equal(ftruncate(fd, 0), 0);
    close(fd);
    return (struct str){text, (size_t)len};
}

/* One line, and that one object with every name once. */
static struct str logged_object(void)
{
    static const char *const names[] = {"time", "id", "traceparent", "client", "method", "path", "model_asked",
                                        "model_answered", "endpoint", "attempts", "status", "bytes", "events", "cache",
                                        "tokens", "wait_ms", "upstream_ms", "overhead_ms", "total_ms", "end"};
    struct json_value values[sizeof names / sizeof *names];
    struct str line = logged();
    const char *why = "";

    assert_true(line.len > 0);
    assert_ptr_equal(memchr(line.at, '\n', line.len), line.at + line.len - 1);
    line.len--;
    if (json_find(line, names, values, sizeof names / sizeof *names, &why) != 0)
        fail_msg("%s: %.*s", why, (int)line.len, line.at);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (values[i].type == JSON_NONE)
            fail_msg("no %s in %.*s", names[i], (int)line.len, line.at);
    return line;
}

static struct account_record example(void)
{
    return (struct account_record){
        .id = STR("req_1"),
        .traceparent = STR("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        .method = STR("POST"),
        .path = STR("/v1/chat/completions"),
        .model_asked = STR("latest"),
        .model_answered = STR("gpt-4.1"),
        .endpoint = "us-east",
        .attempts = 2,
        .tries = {{"eu-west", CLASS_RATE, 429}, {"us-east", CLASS_OK, 200}},
        .status = 200,
        .bytes = 1234567890123,
        .events = 42,
        .usage = {true, 120, 40, 60},
        .wait_us = 0,
        .upstream_us = 1500,
        .overhead_us = 61,
        .total_us = 1561,
        .end = "done",
    };
}

static void writes_all_that_is_known(void **state)
{
    struct account_record r = example();

    (void)state;
    account_log(&r);
    struct str line = logged_object();
    static const char rest[] =
        "\"id\":\"req_1\",\"traceparent\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\","
        "\"client\":\"anonymous\",\"method\":\"POST\",\"path\":\"/v1/chat/completions\","
        "\"model_asked\":\"latest\",\"model_answered\":\"gpt-4.1\",\"endpoint\":\"us-east\",\"attempts\":["
        "{\"endpoint\":\"eu-west\",\"outcome\":\"rate\",\"status\":429},"
        "{\"endpoint\":\"us-east\",\"outcome\":\"ok\",\"status\":200}],"
        "\"status\":200,\"bytes\":1234567890123,\"events\":42,\"cache\":\"off\",\"tokens\":{"
        "\"input\":120,\"cached\":40,\"output\":60},\"wait_ms\":0.000,"
        "\"upstream_ms\":1.500,\"overhead_ms\":0.061,\"total_ms\":1.561,\"end\":\"done\"}";
    static const char shape[] = "{\"time\":\"dddd-dd-ddTdd:dd:dd.dddZ\",";
    assert_int_equal(line.len, sizeof shape - 1 + sizeof rest - 1);
    assert_memory_equal(line.at + sizeof shape - 1, rest, sizeof rest - 1);
    for (size_t i = 0; i < sizeof shape - 1; i++)
        if (shape[i] == 'd')
            assert_in_range(line.at[i], '0', '9');
        else
            assert_int_equal(line.at[i], shape[i]);
}

static void writes_null_for_what_is_not(void **state)
{
    struct account_record r = {.id = STR("req_2"), .method = STR("GET"), .path = STR("/health"), .end = NULL};

    (void)state;
    account_log(&r);
    struct str line = logged_object();
    assert_int_equal(json_path(line, "traceparent").type, JSON_NULL);
    assert_int_equal(json_path(line, "model_asked").type, JSON_NULL);
    assert_int_equal(json_path(line, "model_answered").type, JSON_NULL);
    assert_int_equal(json_path(line, "endpoint").type, JSON_NULL);
    assert_int_equal(json_path(line, "end").type, JSON_NULL);
    assert_true(str_eq(json_path(line, "attempts").text, STR("[]")));
}

/* Quotes, line ends, control characters, no UTF-8, no text at all: the line stays one line and one object. */
static void survives_hostile_names(void **state)
{
    static const struct str names[] = {
        STR("\"},{\"status\":500,\"x\":\""), STR("a\nb\r\n{\"time\":\"now\"}\n"), STR("\\"), STR("\\\""), STR("\0"),
        STR("a\0b"), STR("\x01\x1f\x7f"), STR("\xff\xfe\x80"), STR("\xc3"), STR("\xed\xa0\x80"),
        STR("\xf0\x9f\x98\x80"), STR(""), STR("\xe2\x80\xa8"), STR("%s%n%d"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct account_record r = example();
        char endpoint[64] = {0};
        char text[256];

        memcpy(endpoint, names[i].at, names[i].len);
        r.id = r.method = r.path = r.model_asked = r.model_answered = names[i];
        r.endpoint = r.tries[0].endpoint = r.tries[1].endpoint = r.end = endpoint;
        account_log(&r);
        struct str line = logged_object();
        assert_true(str_eq(json_path(line, "status").text, STR("200")));
        struct json_value asked = json_path(line, "model_asked");
        assert_int_equal(asked.type, JSON_STRING);
        assert_true(asked.text.len < sizeof text);
        size_t len = json_unescape(asked.text, text);
        if ((unsigned char)names[i].at[0] < 0x80) /* what is text comes back as it was */
            assert_true(str_eq((struct str){text, len}, names[i]));
    }
}

/* A name of any length is written in part: nobody stays out of the log by sending too much. */
static void keeps_lines_short(void **state)
{
    enum { MANY = 300000 };
    static const char *const fillers[] = {"x", "\"", "\xff", "\xc3\xa9"};
    char *much = malloc(MANY);

    (void)state;
    assert_non_null(much);
    for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++) {
        struct account_record r = example();
        size_t len = strlen(fillers[i]);
        for (size_t at = 0; at + len <= MANY; at += len)
            memcpy(much + at, fillers[i], len);
        r.path = r.model_asked = r.model_answered = (struct str){much, MANY};
        account_log(&r);
        struct str line = logged_object();
        assert_true(line.len < 32768);
        assert_true(json_path(line, "path").text.len >= 1000);
    }
    free(much);
}

/* More tries than are remembered. */
static void counts_what_it_knows(void **state)
{
    struct account_record r = example();

    (void)state;
    for (int i = 0; i < ACCOUNT_TRIES; i++)
        r.tries[i] = (struct account_try){"e", CLASS_SERVER, 500};
    r.attempts = 100;
    account_log(&r);
    struct json_value tries = json_path(logged_object(), "attempts"), one;
    int count = 0;
    while (json_next(&tries.text, NULL, &one))
        count++;
    assert_int_equal(count, ACCOUNT_TRIES);
}

static void is_silent_when_off(void **state)
{
    struct account_record r = example();

    (void)state;
    assert_int_equal(log_access_open("off"), 0);
    account_log(&r);
    assert_int_equal(logged().len, 0);
    assert_int_equal(log_access_open(path), 0);
}

static void counts_what_clients_got(void **state)
{
    static const struct {
        int status;
        const char *end;
        enum gws_count count;
    } answers[] = {
        {200, "done", GWS_COUNT_ANSWERED_2XX},           {204, "done", GWS_COUNT_ANSWERED_2XX},
        {304, "done", GWS_COUNT_ANSWERED_3XX},           {404, "model_not_found", GWS_COUNT_ANSWERED_4XX},
        {502, "all_endpoints_failed", GWS_COUNT_ANSWERED_5XX}, {529, "done", GWS_COUNT_ANSWERED_5XX},
        {999, "done", GWS_COUNT_ANSWERED_5XX},           {200, "cut", GWS_COUNT_ANSWERED_5XX},
        {200, "client left", GWS_COUNT_ABORTED},         {0, "client left", GWS_COUNT_ABORTED},
        {200, "client stalled", GWS_COUNT_ABORTED},      {0, "done", GWS_COUNT_ABORTED},
    };
    struct fixture f;

    (void)state;
    fixture_open(&f);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        uint64_t before[GWS_COUNTS], after[GWS_COUNTS];
        gws_count_read(&f.region, before);
        account_answer(&f.region, answers[i].status, answers[i].end);
        gws_count_read(&f.region, after);
        for (int c = 0; c < GWS_COUNTS; c++)
            assert_int_equal(after[c] - before[c], c == (int)answers[i].count);
    }
    fixture_close(&f);
}

static void measures_what_it_took(void **state)
{
    struct fixture f;
    struct gws_latency_counts counts;

    (void)state;
    fixture_open(&f);
    account_effort(&f.region, 3, 80);
    gws_measure_read(&f.region, GWS_MEASURE_ATTEMPTS, &counts);
    assert_int_equal(counts.count, 1);
    assert_int_equal(counts.sum_us, 3000);
    gws_measure_read(&f.region, GWS_MEASURE_OVERHEAD, &counts);
    assert_int_equal(counts.count, 1);
    assert_int_equal(counts.sum_us, 80);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_all_that_is_known),
        cmocka_unit_test(writes_null_for_what_is_not),
        cmocka_unit_test(survives_hostile_names),
        cmocka_unit_test(keeps_lines_short),
        cmocka_unit_test(counts_what_it_knows),
        cmocka_unit_test(is_silent_when_off),
        cmocka_unit_test(counts_what_clients_got),
        cmocka_unit_test(measures_what_it_took),
    };
    return cmocka_run_group_tests(tests, open_log, close_log);
}
