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
#include "tools/gatewayctl/colors.h"
#include "tools/gatewayctl/command.h"
#include "tools/gatewayctl/out.h"
#include "tools/gatewayctl/region.h"
#include "gatewayd/overview.h"
#include "gatewayd/times.h"
#include "gatewayd/words.h"

static void print_rates(struct out_table *table, const struct overview_endpoint *at)
{
    double rate = overview_rate(at), errors = overview_error_rate(at);
    if (rate >= 0)
        out_cell(table, OUT_PLAIN, "%.1f", rate);
    else
        out_cell(table, OUT_PLAIN, "-");
    if (errors >= 0)
        out_cell(table, errors > 0 ? OUT_YELLOW : OUT_PLAIN, "%.1f", 100 * errors);
    else
        out_cell(table, OUT_PLAIN, "-");
    if (at->first.count > 0)
        out_cell(table, OUT_PLAIN, "%s/%s", times_brief(overview_first_ms(at, OVERVIEW_MEDIAN)).text,
                 times_brief(overview_first_ms(at, OVERVIEW_SLOWEST)).text);
    else
        out_cell(table, OUT_PLAIN, "-");
}

static void print_table(const struct overview *overview)
{
    static const char *const heads[] = {"NAME",  "STATE", "WHY",          "BREAKER", "IN-FLIGHT",
                                        "REQ/S", "ERR %", "TTFT p50/p99", "LAST OK"};
    struct out_table table;
    out_table_init(&table, heads, 9, 0xf0);
    for (size_t i = 0; i < overview->count; i++) {
        const struct overview_endpoint *at = &overview->endpoints[i];
        out_cell(&table, OUT_PLAIN, "%s", at->name->info.name);
        out_cell(&table, colors_of_state(at->state.kind), "%s", state_name(at->state.kind));
        out_cell(&table, OUT_PLAIN, "%s", at->state.reason[0] ? at->state.reason : "-");
        out_cell(&table, OUT_PLAIN, "%s", overview_breaker(at, overview->now).text);
        out_cell(&table, OUT_PLAIN, "%" PRIu64 "/%" PRIu64, at->in_flight, at->limit);
        print_rates(&table, at);
        out_cell(&table, OUT_PLAIN, "%s",
                 at->last_ok ? times_ago(overview_since(at->last_ok, overview->now)).text : "never");
    }
    if (overview->count > 0)
        out_table_print(&table);
    out_table_fini(&table);
}

static void print_summary(const struct overview *overview)
{
    fputs(overview_verdict(overview).text, stdout);
    if (overview->tried > 0)
        printf("; %.2f%% of %" PRIu64 " tries good",
               100 * overview_success_rate(overview), overview->tried);
    if (overview->parked > 0)
        printf("; %" PRIu64 " parked", overview->parked);
    if (overview->workers > 0 || overview->master)
        printf("; %u worker%s", overview->workers, overview->workers == 1 ? "" : "s");
    if (overview->master)
        printf("; master %" PRId32 ", generation %" PRIu64, overview->master, overview->generation);
    else if (overview->workers > 0)
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

    struct overview overview;
    overview_read(&overview, &region, path, gws_clock_ms(&region));
    if (ctl->json) {
        out_json(overview_json(&overview));
    } else {
        print_table(&overview);
        print_summary(&overview);
    }
    /* Who watches with it is to hear of a gateway that is gone, however well its endpoints were when it went. */
    if (check && !overview.serving)
        status = CTL_NO;
    for (size_t i = 0; check && i < overview.count; i++)
        if (overview.endpoints[i].state.kind != STATE_HEALTHY)
            status = CTL_NO;
    overview_fini(&overview);
    region_leave(&region);
    return status;
}
