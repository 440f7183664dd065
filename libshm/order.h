#ifndef LIBSHM_ORDER_H
#define LIBSHM_ORDER_H

/* What the operator ordered of an endpoint, in a word of its own: drained, or not. It outlives every automatic
 * decision and every restart, until the operator takes it back. */

#include "libshm/region.h"

bool gws_order_drained(const struct gws_region *region, uint32_t row);
void gws_order_drain(struct gws_region *region, uint32_t row, uint64_t now, uint32_t who);
void gws_order_enable(struct gws_region *region, uint32_t row, uint64_t now, uint32_t who);

#endif
