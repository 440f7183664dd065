#ifndef LIBSHM_CLOCK_H
#define LIBSHM_CLOCK_H

/*
 * The region's clock: time since the region was made, on a clock that runs on while the machine sleeps (CLOCK_BOOTTIME,
 * else CLOCK_MONOTONIC). Every operation takes `now` as an argument; only event loops and tools read this.
 */

#include <stdint.h>

struct gws_region;

uint64_t gws_clock_ms(const struct gws_region *region);
uint64_t gws_clock_ns(const struct gws_region *region);

/* The clock's reading without a region, in ns since boot, and the pair that ties it to real time. */
uint64_t gws_clock_boot_ns(void);
uint64_t gws_clock_real_ms(void);

#endif
