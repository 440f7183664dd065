/*
 * The processes of the gateway, one for each slot in use. A slot whose lock nobody holds belongs to a process that died
 * and was not reaped yet, which is what an operator wants to see after a crash; so it is shown, as dead.
 */

#include "gatewayd/roster.h"

#include <string.h>

#include "gatewayd/show.h"
#include "libshm/lock.h"

const char *roster_role(enum gws_role role)
{
    static const char *const names[] = {"none", "master", "worker", "steward", "guest"};
    return role <= GWS_ROLE_GUEST ? names[role] : "unknown";
}

bool roster_read(const struct gws_region *region, uint32_t slot, struct gws_slot_info *info, const char **state)
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

unsigned roster_workers(const struct gws_region *region)
{
    unsigned alive = 0;
    for (uint32_t slot = 0; slot < region->dims.slots; slot++) {
        struct gws_slot_info info;
        const char *state;
        if (roster_read(region, slot, &info, &state) && info.role == GWS_ROLE_WORKER &&
            strcmp(state, "live") == 0)
            alive++;
    }
    return alive;
}

uint64_t roster_uptime_s(const struct gws_slot_info *info, uint64_t now)
{
    return now > info->started_ms ? (now - info->started_ms) / 1000 : 0;
}

/* A slot that is being started still bears its master's pid, which nobody should take for a worker's. */
int32_t roster_pid(const struct gws_slot_info *info)
{
    return info->state == GWS_SLOT_STARTING ? 0 : info->pid;
}

/* The lock file names the master, but only its own user and group may read that; its slot names it to everyone. */
int32_t roster_master(const struct gws_region *region, const char *path)
{
    int32_t pid = gws_lock_holder(path);
    uint64_t latest = 0; /* one that an upgrade has replaced may still wait for its workers */
    bool held = pid > 0;
    for (uint32_t slot = 0; !held && slot < region->dims.slots; slot++) {
        struct gws_slot_info info;
        const char *state;
        if (!roster_read(region, slot, &info, &state) || info.role != GWS_ROLE_MASTER || strcmp(state, "live") != 0 ||
            info.started_ms < latest)
            continue;
        pid = info.pid;
        latest = info.started_ms;
    }
    return pid > 0 ? pid : 0;
}

json_t *roster_json(const struct gws_region *region, uint64_t now)
{
    json_t *list = show_must(json_array());
    for (uint32_t slot = 0; slot < region->dims.slots; slot++) {
        struct gws_slot_info info;
        const char *state;
        if (!roster_read(region, slot, &info, &state))
            continue;
        json_t *row = json_pack("{s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "slot", (json_int_t)slot,
                                "pid", (json_int_t)roster_pid(&info), "role", roster_role(info.role), "state", state,
                                "generation", (json_int_t)info.config, "in_flight", (json_int_t)info.in_flight,
                                "connections", (json_int_t)info.connections, "requests", (json_int_t)info.requests,
                                "uptime_s", (json_int_t)roster_uptime_s(&info, now), "restarts",
                                (json_int_t)info.restarts);
        json_array_append_new(list, show_must(row));
    }
    return show_must(json_pack("{s:o}", "workers", list));
}
