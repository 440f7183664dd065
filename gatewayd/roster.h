#ifndef GATEWAYD_ROSTER_H
#define GATEWAYD_ROSTER_H

/* The slots of the region as processes. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "libshm/slot.h"

/* Read a slot in use and the word for its state: "starting", "live", "dying" or "dead". False when it is free. */
bool roster_read(const struct gws_region *region, uint32_t slot, struct gws_slot_info *info, const char **state);

const char *roster_role(enum gws_role role);
uint64_t roster_uptime_s(const struct gws_slot_info *info, uint64_t now);
/* A slot that is being started still bears its master's pid, which nobody should take for a worker's: 0 then. */
int32_t roster_pid(const struct gws_slot_info *info);

/* How many workers live. */
unsigned roster_workers(const struct gws_region *region);
/* The master's pid; 0 when none runs. `path` is the region's. */
int32_t roster_master(const struct gws_region *region, const char *path);

/* {"workers":[...]} */
json_t *roster_json(const struct gws_region *region, uint64_t now);

#endif
