/* The gateway's processes, one row for each slot in use. */

#include "gatewayd/roster.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "libshm/clock.h"
#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/command.h"
#include "tools/gatewayctl/out.h"
#include "tools/gatewayctl/region.h"
#include "gatewayd/times.h"

static void print_table(const struct gws_region *region, uint64_t now)
{
    static const char *const heads[] = {"SLOT",      "PID",         "ROLE",     "STATE",  "GENERATION",
                                        "IN-FLIGHT", "CONNECTIONS", "REQUESTS", "UPTIME", "RESTARTS"};
    struct out_table table;
    out_table_init(&table, heads, 10, 0x3f3);
    for (uint32_t slot = 0; slot < region->dims.slots; slot++) {
        struct gws_slot_info info;
        const char *state;
        if (!roster_read(region, slot, &info, &state))
            continue;
        out_cell(&table, OUT_PLAIN, "%" PRIu32, slot);
        out_cell(&table, OUT_PLAIN, "%" PRId32, roster_pid(&info));
        out_cell(&table, OUT_PLAIN, "%s", roster_role(info.role));
        out_cell(&table, strcmp(state, "live") == 0 ? OUT_GREEN : OUT_YELLOW, "%s", state);
        if (info.role == GWS_ROLE_MASTER) /* it outlives configurations */
            out_cell(&table, OUT_PLAIN, "-");
        else
            out_cell(&table, OUT_PLAIN, "%" PRIu64, info.config);
        out_cell(&table, OUT_PLAIN, "%" PRIu64, info.in_flight);
        out_cell(&table, OUT_PLAIN, "%" PRIu64, info.connections);
        out_cell(&table, OUT_PLAIN, "%" PRIu64, info.requests);
        out_cell(&table, OUT_PLAIN, "%s", times_span(roster_uptime_s(&info, now) * 1000).text);
        out_cell(&table, info.restarts ? OUT_YELLOW : OUT_PLAIN, "%" PRIu64, info.restarts);
    }
    if (table.count > 0)
        out_table_print(&table);
    else
        puts("no processes: gatewayd is not running");
    out_table_fini(&table);
}

int command_workers(const struct ctl *ctl, int argc, char **argv)
{
    if (args_take(&argc, argv, NULL, 0, argv[0]) != 0 || args_operands(argc, argv, 0, 0) != 0)
        return CTL_USAGE;
    struct gws_region region;
    int status = region_enter(ctl, GWS_LOOK, &region);
    if (status != 0)
        return status;
    uint64_t now = gws_clock_ms(&region);
    if (ctl->json)
        out_json(roster_json(&region, now));
    else
        print_table(&region, now);
    region_leave(&region);
    return CTL_DONE;
}
