#ifndef GATEWAYD_KEEP_H
#define GATEWAYD_KEEP_H

/* The region's state as a text beside it ("STATE.export"): written when gatewayd stops, read when a region is made
 * anew. */

#include "libshm/region.h"

/* Write it, whole or not at all. 0, or 1 when that failed, which is logged. */
int keep_write(const struct gws_region *region, const char *state);

/* Take up what is there, once the rows have their names. Nothing there is nothing to do. */
void keep_read(struct gws_region *region, const char *state);

#endif
