/*
 * The processes of the gateway, one row per slot in use. A slot whose lock nobody holds belongs to a process that died
 * and was not reaped yet, which is what an operator wants to see after a crash; so it is shown, as dead.
 */

#include "tools/gatewayctl/workers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "libshm/clock.h"
#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/command.h"
#include "tools/gatewayctl/out.h"
#include "tools/gatewayctl/region.h"
#include "tools/gatewayctl/times.h"

static const char *role_name(enum gws_role role)
{
    static const char *const names[] = {"none", "master", "worker", "steward", "guest"};
    return role <= GWS_ROLE_GUEST ? names[role] : "unknown";
}

bool workers_read(const struct gws_region *region, uint32_t slot, struct gws_slot_info *info, const char **state)
{
    gws_slot_read(region, (int)slot, info);
    switch (info->state) {
    case GWS_SLOT_STARTING:
        *state = "starting"; /* it takes its lock only once it runs */
        return true;
    case GWS_SLOT_LIVE:
        *state = gws_slot_locked(region, (int)slot) ? "live" : "dead";
        return true;
    case GWS_SLOT_DYING:
        *state = "dying";
        return true;
    default:
        return false;
    }
}

unsigned workers_alive(const struct gws_region *region)
{
    unsigned alive = 0;
    for (uint32_t slot = 0; slot < region->dims.slots; slot++) {
        struct gws_slot_info info;
        const char *state;
        if (workers_read(region, slot, &info, &state) && info.role == GWS_ROLE_WORKER &&
            strcmp(state, "live") == 0)
            alive++;
    }
    return alive;
}

static uint64_t uptime_s(const struct gws_slot_info *info, uint64_t now)
{
    return now > info->started_ms ? (now - info->started_ms) / 1000 : 0;
}

/* A slot that is being started still bears its master's pid, which nobody should take for a worker's. */
static int32_t shown_pid(const struct gws_slot_info *info)
{
    return info->state == GWS_SLOT_STARTING ? 0 : info->pid;
}

static void print_json(const struct gws_region *region, uint64_t now)
{
    json_t *list = out_must(json_array());
    for (uint32_t slot = 0; slot < region->dims.slots; slot++) {
        struct gws_slot_info info;
        const char *state;
        if (!workers_read(region, slot, &info, &state))
            continue;
        json_t *row = json_pack("{s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "slot", (json_int_t)slot,
                                "pid", (json_int_t)shown_pid(&info), "role", role_name(info.role), "state", state,
                                "generation", (json_int_t)info.config, "in_flight", (json_int_t)info.in_flight,
                                "connections", (json_int_t)info.connections, "requests", (json_int_t)info.requests,
                                "uptime_s", (json_int_t)uptime_s(&info, now), "restarts", (json_int_t)info.restarts);
        json_array_append_new(list, out_must(row));
    }
    out_json(json_pack("{s:o}", "workers", list));
}

static void print_table(const struct gws_region *region, uint64_t now)
{
    static const char *const heads[] = {"SLOT",      "PID",         "ROLE",     "STATE",  "GENERATION",
                                        "IN-FLIGHT", "CONNECTIONS", "REQUESTS", "UPTIME", "RESTARTS"};
    struct out_table table;
    out_table_init(&table, heads, 10, 0x3f3);
    for (uint32_t slot = 0; slot < region->dims.slots; slot++) {
        struct gws_slot_info info;
        const char *state;
        if (!workers_read(region, slot, &info, &state))
            continue;
        out_cell(&table, OUT_PLAIN, "%" PRIu32, slot);
        out_cell(&table, OUT_PLAIN, "%" PRId32, shown_pid(&info));
        out_cell(&table, OUT_PLAIN, "%s", role_name(info.role));
        out_cell(&table, strcmp(state, "live") == 0 ? OUT_GREEN : OUT_YELLOW, "%s", state);
        out_cell(&table, OUT_PLAIN, "%" PRIu64, info.config);
        out_cell(&table, OUT_PLAIN, "%" PRIu64, info.in_flight);
        out_cell(&table, OUT_PLAIN, "%" PRIu64, info.connections);
        out_cell(&table, OUT_PLAIN, "%" PRIu64, info.requests);
        out_cell(&table, OUT_PLAIN, "%s", times_span(uptime_s(&info, now) * 1000).text);
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
        print_json(&region, now);
    else
        print_table(&region, now);
    region_leave(&region);
    return CTL_DONE;
}
