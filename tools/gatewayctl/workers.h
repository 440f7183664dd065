#ifndef GATEWAYCTL_WORKERS_H
#define GATEWAYCTL_WORKERS_H

/* The slots of the region as processes. */

#include <stdbool.h>
#include <stdint.h>

#include "libshm/slot.h"

/* Read a slot in use and the word for its state: "starting", "live", "dying" or "dead". False when it is free. */
bool workers_read(const struct gws_region *region, uint32_t slot, struct gws_slot_info *info, const char **state);

/* How many workers live. */
unsigned workers_alive(const struct gws_region *region);

#endif
