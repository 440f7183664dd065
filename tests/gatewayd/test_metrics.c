/*
 * What a scrape says of a region: every family with its exact names and labels, the numbers that were put in, and
 * nothing that promtool would object to.
 */

#include "tests/gatewayd/rig.h"

#include "gatewayd/metrics.h"
#include "gatewayd/metrics_text.h"
#include "libshm/breaker.h"
#include "libshm/budget.h"
#include "libshm/cooldown.h"
#include "libshm/count.h"
#include "libshm/gate.h"
#include "libshm/measure.h"
#include "libshm/series.h"
#include "libshm/stat.h"

static const char text[] =
    "state: /tmp/x\n"
    "endpoints:\n"
    "  - {name: us-east, url: \"http://127.0.0.1:1/v1\", key: none, limits: {rpm: 10, rpd: 20}}\n"
    "  - {name: eu-west, url: \"http://127.0.0.1:2/v1\", key: none}\n"
    "models: {gpt: {}, o1: {endpoints: [eu-west]}}\n";

struct scene {
    struct rig rig;
    struct gws_region *region;
    const struct plan_candidate *east, *west, *odd;
    struct buf out;
};

static void begin(struct scene *s)
{
    *s = (struct scene){.region = NULL};
    rig_open(&s->rig, text);
    s->region = s->rig.region;
    s->east = rig_candidate(rig_model(&s->rig, "gpt"), "us-east");
    s->west = rig_candidate(rig_model(&s->rig, "gpt"), "eu-west");
    s->odd = rig_candidate(rig_model(&s->rig, "o1"), "eu-west");
}

static void end(struct scene *s)
{
    buf_fini(&s->out);
    rig_close(&s->rig);
}

static void scrape(struct scene *s)
{
    buf_clear(&s->out);
    assert_int_equal(metrics_write(s->region, s->rig.f.path, &s->out), 0);
    assert_int_equal(buf_add(&s->out, "", 1), 0);
}

/* The line stands there, as a line of its own and once. */
static void assert_line(struct scene *s, const char *line)
{
    char whole[512];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    const char *found = strstr(buf_at(&s->out), whole);
    if (!found)
        fail_msg("'%s' is not in\n%s", line, buf_at(&s->out));
    assert_null(strstr(found + 1, whole));
}

static void shows_an_idle_gateway(void **state)
{
    static const char *const lines[] = {
        "# TYPE gatewayd_requests_total counter",
        "gatewayd_requests_total{endpoint=\"us-east\",model=\"gpt\",status=\"ok\"} 0",
        "gatewayd_requests_total{endpoint=\"eu-west\",model=\"o1\",status=\"left\"} 0",
        "# TYPE gatewayd_client_requests_total counter",
        "gatewayd_client_requests_total{client=\"anonymous\",status=\"2xx\"} 0",
        "# TYPE gatewayd_request_seconds histogram",
        "gatewayd_request_seconds_bucket{endpoint=\"us-east\",le=\"+Inf\"} 0",
        "gatewayd_request_seconds_sum{endpoint=\"us-east\"} 0.000000",
        "gatewayd_request_seconds_count{endpoint=\"us-east\"} 0",
        "# TYPE gatewayd_first_token_seconds histogram",
        "# TYPE gatewayd_overhead_seconds histogram",
        "gatewayd_overhead_seconds_bucket{le=\"6.25e-05\"} 0",
        "# TYPE gatewayd_retries_total counter",
        "gatewayd_retries_total{endpoint=\"eu-west\",reason=\"failover\"} 0",
        "# TYPE gatewayd_attempts histogram",
        "gatewayd_attempts_bucket{le=\"15\"} 0",
        "gatewayd_attempts_sum 0",
        "# TYPE gatewayd_endpoint_state gauge",
        "gatewayd_endpoint_state{endpoint=\"us-east\",state=\"healthy\"} 1",
        "gatewayd_endpoint_state{endpoint=\"us-east\",state=\"drained\"} 0",
        "# TYPE gatewayd_active_endpoint gauge",
        "gatewayd_active_endpoint{model=\"gpt\",endpoint=\"us-east\"} 0",
        "# TYPE gatewayd_breaker_transitions_total counter",
        "gatewayd_breaker_transitions_total{endpoint=\"us-east\",to=\"half_open\"} 0",
        "# TYPE gatewayd_cooldown_seconds gauge",
        "gatewayd_cooldown_seconds{endpoint=\"us-east\"} 0.000000",
        "# TYPE gatewayd_in_flight gauge",
        "gatewayd_in_flight{endpoint=\"us-east\"} 0",
        "# TYPE gatewayd_limit_rejections_total counter",
        "# TYPE gatewayd_workers gauge",
        "gatewayd_workers 0",
        "# TYPE gatewayd_parked gauge",
        "gatewayd_parked 0",
        "# TYPE gatewayd_rescues_total counter",
        "gatewayd_rescues_total{result=\"rescued\"} 0",
        "# TYPE gatewayd_queue_full_total counter",
        "gatewayd_queue_full_total 0",
        "gatewayd_hedges_won_total 0",
        "gatewayd_dropped_events_total 0",
        "# TYPE gatewayd_worker_restarts_total counter",
        "gatewayd_worker_restarts_total 0",
        "gatewayd_build_info{version=\"" GATEWAYD_VERSION "\"} 1",
    };
    struct scene s;

    (void)state;
    begin(&s);
    scrape(&s);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_line(&s, lines[i]);
    end(&s);
}

static void count_some(struct scene *s)
{
    struct gws_region *r = s->region;

    gws_series_count(r, s->east->pair_row, GWS_ENDING_OK);
    gws_series_count(r, s->east->pair_row, GWS_ENDING_OK);
    gws_series_count(r, s->east->pair_row, GWS_ENDING_LIMITED);
    gws_series_count(r, s->odd->pair_row, GWS_ENDING_SILENT);
    gws_series_repeat(r, s->west->target->row, GWS_REPEAT_HEDGE);
    gws_count(r, GWS_COUNT_ANSWERED_2XX, 5);
    gws_count(r, GWS_COUNT_ABORTED, 2);
    gws_count(r, GWS_COUNT_RESCUE_DIFFERED, 3);
    gws_count(r, GWS_COUNT_QUEUE_FULL, 4);
    gws_latency_count(r, s->east->target->endpoint, GWS_LATENCY_TOTAL, 3999);
    gws_latency_count(r, s->east->target->endpoint, GWS_LATENCY_TOTAL, 4000);
    gws_latency_count(r, s->east->target->endpoint, GWS_LATENCY_TOTAL, 700000000);
    gws_latency_count(r, s->west->target->endpoint, GWS_LATENCY_FIRST, 100000);
    gws_measure_count(r, GWS_MEASURE_OVERHEAD, 62);
    gws_measure_count(r, GWS_MEASURE_OVERHEAD, 63);
    for (uint64_t tries = 1; tries <= 5; tries++)
        gws_measure_count(r, GWS_MEASURE_ATTEMPTS, tries * 1000);
    gws_limit_count_refusal(r, s->east->target->limits.rpm_row);
    gws_quota_count_refusal(r, s->east->target->limits.rpd_row);
    gws_quota_count_refusal(r, s->east->target->limits.rpd_row);
    gws_tally_enter(r, GWS_TALLY_PARKED);
    assert_int_equal(gws_gate_take(r, s->west->target->endpoint, 10), GWS_GATE_TAKEN);
}

static void shows_what_was_counted(void **state)
{
    static const char *const lines[] = {
        "gatewayd_requests_total{endpoint=\"us-east\",model=\"gpt\",status=\"ok\"} 2",
        "gatewayd_requests_total{endpoint=\"us-east\",model=\"gpt\",status=\"limited\"} 1",
        "gatewayd_requests_total{endpoint=\"eu-west\",model=\"gpt\",status=\"ok\"} 0",
        "gatewayd_requests_total{endpoint=\"eu-west\",model=\"o1\",status=\"silent\"} 1",
        "gatewayd_retries_total{endpoint=\"eu-west\",reason=\"hedge\"} 1",
        "gatewayd_retries_total{endpoint=\"us-east\",reason=\"hedge\"} 0",
        "gatewayd_client_requests_total{client=\"anonymous\",status=\"2xx\"} 5",
        "gatewayd_client_requests_total{client=\"anonymous\",status=\"aborted\"} 2",
        "gatewayd_request_seconds_bucket{endpoint=\"us-east\",le=\"0.004\"} 1",
        "gatewayd_request_seconds_bucket{endpoint=\"us-east\",le=\"0.008\"} 2",
        "gatewayd_request_seconds_bucket{endpoint=\"us-east\",le=\"524.288\"} 2",
        "gatewayd_request_seconds_bucket{endpoint=\"us-east\",le=\"+Inf\"} 3",
        "gatewayd_request_seconds_sum{endpoint=\"us-east\"} 700.007999",
        "gatewayd_request_seconds_count{endpoint=\"us-east\"} 3",
        "gatewayd_first_token_seconds_bucket{endpoint=\"eu-west\",le=\"0.096\"} 0",
        "gatewayd_first_token_seconds_bucket{endpoint=\"eu-west\",le=\"0.128\"} 1",
        "gatewayd_overhead_seconds_bucket{le=\"6.25e-05\"} 1",
        "gatewayd_overhead_seconds_bucket{le=\"0.000125\"} 2",
        "gatewayd_overhead_seconds_sum 0.000125",
        "gatewayd_attempts_bucket{le=\"1\"} 1",
        "gatewayd_attempts_bucket{le=\"4\"} 4",
        "gatewayd_attempts_bucket{le=\"+Inf\"} 5",
        "gatewayd_attempts_sum 15",
        "gatewayd_rescues_total{result=\"differed\"} 3",
        "gatewayd_queue_full_total 4",
        "gatewayd_limit_rejections_total{limit=\"endpoint/us-east/rpm\"} 1",
        "gatewayd_limit_rejections_total{limit=\"endpoint/us-east/rpd\"} 2",
        "gatewayd_parked 1",
        "gatewayd_in_flight{endpoint=\"eu-west\"} 1",
        "gatewayd_in_flight{endpoint=\"us-east\"} 0",
    };
    struct scene s;

    (void)state;
    begin(&s);
    count_some(&s);
    scrape(&s);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_line(&s, lines[i]);
    end(&s);
}

static void shows_states(void **state)
{
    static const struct gws_cooldown_rules rules = {.default_ms = 60000, .max_ms = 60000};
    struct scene s;

    (void)state;
    begin(&s);
    uint64_t now = gws_clock_ms(s.region);
    gws_breaker_force_open(s.region, s.east->pair_row, 0, now, 0);
    gws_breaker_force_open(s.region, s.east->target->row, 0, now, 0);
    gws_cooldown_hit(s.region, s.west->target->row, &rules, 0, GWS_COOL_RATE, 50000, now);
    scrape(&s);
    assert_line(&s, "gatewayd_endpoint_state{endpoint=\"us-east\",state=\"forced_open\"} 1");
    assert_line(&s, "gatewayd_endpoint_state{endpoint=\"us-east\",state=\"healthy\"} 0");
    assert_line(&s, "gatewayd_breaker_transitions_total{endpoint=\"us-east\",to=\"forced\"} 2");
    assert_line(&s, "gatewayd_endpoint_state{endpoint=\"eu-west\",state=\"cooling\"} 1");
    assert_line(&s, "gatewayd_cooldown_seconds{endpoint=\"us-east\"} 0.000000");
    const char *found = strstr(buf_at(&s.out), "\ngatewayd_cooldown_seconds{endpoint=\"eu-west\"} ");
    assert_non_null(found);
    double left = strtod(strchr(found, '}') + 1, NULL);
    assert_true(left > 0 && left <= 50);
    end(&s);
}

/* Of each model the one that answered last; a model that never was is nobody's. */
static void shows_who_answers(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    gws_series_answered(s.region, s.east->pair_row, 1000);
    gws_series_answered(s.region, s.west->pair_row, 2000);
    scrape(&s);
    assert_line(&s, "gatewayd_active_endpoint{model=\"gpt\",endpoint=\"eu-west\"} 1");
    assert_line(&s, "gatewayd_active_endpoint{model=\"gpt\",endpoint=\"us-east\"} 0");
    assert_line(&s, "gatewayd_active_endpoint{model=\"o1\",endpoint=\"eu-west\"} 0");
    gws_series_answered(s.region, s.east->pair_row, 3000);
    scrape(&s);
    assert_line(&s, "gatewayd_active_endpoint{model=\"gpt\",endpoint=\"us-east\"} 1");
    assert_line(&s, "gatewayd_active_endpoint{model=\"gpt\",endpoint=\"eu-west\"} 0");
    end(&s);
}

static void escapes_labels(void **state)
{
    struct buf out = {0};
    struct metrics_page page = {.out = &out};

    (void)state;
    metrics_count(&page, "x", METRICS_LABELS_OF({"a", "q\"b\\s\nn"}, {"b", ""}), 7);
    assert_int_equal(page.rc, 0);
    assert_true(str_eq(buf_str(&out), STR("x{a=\"q\\\"b\\\\s\\nn\",b=\"\"} 7\n")));
    buf_fini(&out);
}

/* What is in the buffer already stays before it. */
static void appends(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_int_equal(buf_add_str(&s.out, STR("HTTP/1.1 200 OK\r\n")), 0);
    assert_int_equal(metrics_write(s.region, s.rig.f.path, &s.out), 0);
    assert_true(str_starts(buf_str(&s.out), STR("HTTP/1.1 200 OK\r\n# HELP gatewayd_requests_total ")));
    end(&s);
}

static void pleases_promtool(void **state)
{
    struct scene s;

    (void)state;
    if (system("command -v promtool >/dev/null") != 0)
        skip();
    begin(&s);
    count_some(&s);
    assert_int_equal(metrics_write(s.region, s.rig.f.path, &s.out), 0);
    FILE *tool = popen("promtool check metrics", "w");
    assert_non_null(tool);
    assert_int_equal(fwrite(buf_at(&s.out), 1, buf_len(&s.out), tool), buf_len(&s.out));
    assert_int_equal(pclose(tool), 0);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_an_idle_gateway),
        cmocka_unit_test(shows_what_was_counted),
        cmocka_unit_test(shows_states),
        cmocka_unit_test(shows_who_answers),
        cmocka_unit_test(escapes_labels),
        cmocka_unit_test(appends),
        cmocka_unit_test(pleases_promtool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
