/*
 * The first thing an operator types: one line per endpoint with its state, why and for how long, and one line that says
 * whether anything can be served at all. Rates are of the last minute, because whoever looks asks about now; latencies
 * are of all time, because one look at a counter has no other look to be compared with.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "libshm/budget.h"
#include "libshm/clock.h"
#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/command.h"
#include "tools/gatewayctl/out.h"
#include "tools/gatewayctl/region.h"
#include "tools/gatewayctl/survey.h"
#include "tools/gatewayctl/times.h"
#include "tools/gatewayctl/words.h"
#include "tools/gatewayctl/workers.h"

/* The quantiles that are shown, in hundredths of a percent. */
enum { MEDIAN = 5000, SLOWEST = 9900 };

struct summary {
    unsigned workers;
    uint64_t parked; /* requests that wait for an endpoint */
    int32_t master;  /* 0: not running */
    uint64_t generation;
    bool serving;
};

/* The lock file names the master, but only its own user and group may read that; its slot names it to everyone. */
static int32_t find_master(const struct gws_region *region, const char *path)
{
    int32_t pid = gws_lock_holder(path);
    for (uint32_t slot = 0; pid <= 0 && slot < region->dims.slots; slot++) {
        struct gws_slot_info info;
        const char *state;
        if (workers_read(region, slot, &info, &state) && info.role == GWS_ROLE_MASTER && strcmp(state, "live") == 0)
            pid = info.pid;
    }
    return pid > 0 ? pid : 0;
}

static double share(uint64_t part, uint64_t whole, double otherwise)
{
    return whole > 0 ? (double)part / (double)whole : otherwise;
}

/* In a row now, or those that opened it. */
static uint32_t failures_of(const struct state_domain *domain)
{
    return domain->breaker.mode == GWS_OPEN ? domain->tripped_by : domain->breaker.failures;
}

static uint64_t since(uint64_t then, uint64_t now)
{
    return now > then ? now - then : 0;
}

static json_t *models_json(const struct survey_endpoint *endpoint, uint64_t now)
{
    json_t *list = out_must(json_array());
    for (size_t i = 0; i < endpoint->model_count; i++) {
        const struct state_domain *model = &endpoint->models[i];
        struct state_view state = state_of_domain(model, now);
        json_t *row = json_pack("{s:s, s:s, s:s, s:I, s:s, s:I}", "name", model->name, "state", state_name(state.kind),
                                "reason", state.reason, "until_ms", (json_int_t)state.until_ms, "breaker",
                                words_breaker_name(&model->breaker, now), "failures", (json_int_t)failures_of(model));
        json_array_append_new(list, out_must(row));
    }
    return list;
}

/* A number that is not known is null, not 0. */
static json_t *real_or_null(double number)
{
    return out_must(number >= 0 ? json_real(number) : json_null());
}

static double first_ms(const struct survey_endpoint *endpoint, uint32_t share_of)
{
    return endpoint->first.count > 0 ? (double)gws_latency_quantile(&endpoint->first, share_of) / 1000 : -1;
}

static json_t *endpoint_json(const struct survey_endpoint *endpoint, uint64_t now)
{
    json_t *last = endpoint->last_ok ? json_integer((json_int_t)since(endpoint->last_ok, now)) : json_null();
    double error_rate = survey_error_rate(endpoint);
    return out_must(json_pack(
        "{s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:o, s:f, s:{s:o, s:o}, s:o, s:o}", "name",
        endpoint->name->info.name, "state", state_name(endpoint->state.kind), "reason", endpoint->state.reason,
        "until_ms", (json_int_t)endpoint->state.until_ms, "breaker", words_breaker_name(&endpoint->own.breaker, now),
        "failures", (json_int_t)failures_of(&endpoint->own), "in_flight", (json_int_t)endpoint->in_flight, "limit",
        (json_int_t)endpoint->limit, "requests", (json_int_t)endpoint->tried, "rps",
        real_or_null(survey_rate(endpoint)), "error_rate", error_rate > 0 ? error_rate : 0.0, "first_token_ms", "p50",
        real_or_null(first_ms(endpoint, MEDIAN)), "p99", real_or_null(first_ms(endpoint, SLOWEST)), "last_success_ms",
        last, "models", models_json(endpoint, now)));
}

static void print_json(const struct survey *survey, const struct summary *summary)
{
    json_t *list = out_must(json_array());
    for (size_t i = 0; i < survey->count; i++)
        json_array_append_new(list, endpoint_json(&survey->endpoints[i], survey->now));
    json_t *master = summary->master ? json_integer(summary->master) : json_null();
    out_json(json_pack("{s:o, s:{s:b, s:I, s:I, s:I, s:f, s:I, s:I, s:o, s:I}}", "endpoints", list, "summary",
                       "serving", (int)summary->serving, "endpoints", (json_int_t)survey->count, "usable",
                       (json_int_t)survey->usable, "requests", (json_int_t)survey->tried, "success_rate",
                       share(survey->tried - survey->errors, survey->tried, 1), "parked",
                       (json_int_t)summary->parked, "workers", (json_int_t)summary->workers, "master", master,
                       "generation", (json_int_t)summary->generation));
}

static enum out_color color_of(enum state_kind kind)
{
    switch (kind) {
    case STATE_HEALTHY:
        return OUT_GREEN;
    case STATE_DEGRADED:
    case STATE_COOLING:
    case STATE_HALF_OPEN:
        return OUT_YELLOW;
    case STATE_DRAINED:
        return OUT_DIM;
    default:
        return OUT_RED;
    }
}

/* "85ms", "1.2s": three figures are more than a histogram knows. */
static struct times_text brief(double ms)
{
    struct times_text out;
    if (ms < 10)
        snprintf(out.text, sizeof(out.text), "%.1fms", ms);
    else if (ms < 1000)
        snprintf(out.text, sizeof(out.text), "%.0fms", ms);
    else
        snprintf(out.text, sizeof(out.text), "%.1fs", ms / 1000);
    return out;
}

static void print_rates(struct out_table *table, const struct survey_endpoint *at)
{
    double rate = survey_rate(at), errors = survey_error_rate(at);
    if (rate >= 0)
        out_cell(table, OUT_PLAIN, "%.1f", rate);
    else
        out_cell(table, OUT_PLAIN, "-");
    if (errors >= 0)
        out_cell(table, errors > 0 ? OUT_YELLOW : OUT_PLAIN, "%.1f", 100 * errors);
    else
        out_cell(table, OUT_PLAIN, "-");
    if (at->first.count > 0)
        out_cell(table, OUT_PLAIN, "%s/%s", brief(first_ms(at, MEDIAN)).text, brief(first_ms(at, SLOWEST)).text);
    else
        out_cell(table, OUT_PLAIN, "-");
}

static void print_table(const struct survey *survey)
{
    static const char *const heads[] = {"NAME",  "STATE", "WHY",          "BREAKER", "IN-FLIGHT",
                                        "REQ/S", "ERR %", "TTFT p50/p99", "LAST OK"};
    struct out_table table;
    out_table_init(&table, heads, 9, 0xf0);
    for (size_t i = 0; i < survey->count; i++) {
        const struct survey_endpoint *at = &survey->endpoints[i];
        out_cell(&table, OUT_PLAIN, "%s", at->name->info.name);
        out_cell(&table, color_of(at->state.kind), "%s", state_name(at->state.kind));
        out_cell(&table, OUT_PLAIN, "%s", at->state.reason[0] ? at->state.reason : "-");
        out_cell(&table, OUT_PLAIN, "%s", words_breaker_name(&at->own.breaker, survey->now));
        out_cell(&table, OUT_PLAIN, "%" PRIu64 "/%" PRIu64, at->in_flight, at->limit);
        print_rates(&table, at);
        out_cell(&table, OUT_PLAIN, "%s", at->last_ok ? times_ago(since(at->last_ok, survey->now)).text : "never");
    }
    if (survey->count > 0)
        out_table_print(&table);
    out_table_fini(&table);
}

static void print_summary(const struct survey *survey, const struct summary *summary)
{
    if (summary->serving)
        printf("serving: %zu of %zu endpoints can be tried", survey->usable, survey->count);
    else if (summary->workers == 0)
        printf("NOT SERVING: %s; %zu of %zu endpoints could be tried",
               summary->master ? "no workers" : "gatewayd is not running", survey->usable, survey->count);
    else
        printf("NOT SERVING: none of %zu endpoints can be tried now", survey->count);
    if (survey->tried > 0)
        printf("; %.2f%% of %" PRIu64 " tries good",
               100 * share(survey->tried - survey->errors, survey->tried, 1), survey->tried);
    if (summary->parked > 0)
        printf("; %" PRIu64 " parked", summary->parked);
    if (summary->workers > 0 || summary->master)
        printf("; %u worker%s", summary->workers, summary->workers == 1 ? "" : "s");
    if (summary->master)
        printf("; master %" PRId32 ", generation %" PRIu64, summary->master, summary->generation);
    else if (summary->workers > 0)
        printf("; the master is gone: start gatewayd again, the workers go on until then");
    putchar('\n');
}

int command_status(const struct ctl *ctl, int argc, char **argv)
{
    bool check = false;
    const struct args_option options[] = {{"--check", NULL, &check, NULL}};
    if (args_take(&argc, argv, options, 1, argv[0]) != 0 || args_operands(argc, argv, 0, 0) != 0)
        return CTL_USAGE;

    char path[REGION_PATH_SIZE];
    struct gws_region region;
    int status = region_path(ctl, path);
    if (status == 0)
        status = region_open(path, GWS_LOOK, &region);
    if (status != 0)
        return status;

    struct survey survey;
    survey_read(&survey, &region, gws_clock_ms(&region));
    struct summary summary = {
        .workers = workers_alive(&region),
        .parked = gws_tally_sum(&region, GWS_TALLY_PARKED),
        .master = find_master(&region, path),
        .generation = gws_region_generation(&region),
    };
    summary.serving = summary.workers > 0 && survey.usable > 0;
    if (ctl->json) {
        print_json(&survey, &summary);
    } else {
        print_table(&survey);
        print_summary(&survey, &summary);
    }
    for (size_t i = 0; check && i < survey.count; i++)
        if (survey.endpoints[i].state.kind != STATE_HEALTHY)
            status = CTL_NO;
    survey_fini(&survey);
    region_leave(&region);
    return status;
}
