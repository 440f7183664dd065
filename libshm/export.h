#ifndef LIBSHM_EXPORT_H
#define LIBSHM_EXPORT_H

/*
 * The state as text, by name, for a region of another layout: written on stop and upgrade, read by the next master when
 * it has made a new region and named its rows. One fact a line,
 *
 *   gwshm 1
 *   time real=1700000000000 boot=0123… namespace=4026531834 clock=123456789000000
 *   breaker us-east id=89ab… mode=open level=2 aux=1 left=2750
 *   quota client/trading/usd id=cdef… day=19700 committed=1250000
 *
 * Deadlines are what was left of them in ms, ages how long ago. A row is found by its id, the hash of all that makes
 * its identity, so an endpoint that kept its name and changed its url begins afresh; the name is for people. A line,
 * key or row that is not known is passed over, so versions may differ in either direction. What is not written:
 * histograms, windows, events, tickets.
 */

#include <stdio.h>

#include "libshm/region.h"

/* The moment of an export or import, and the boot it lies in. */
struct gws_export_time {
    uint64_t now_ms;  /* on the region's clock */
    uint64_t boot_ns; /* on the boot's */
    uint64_t real_ms;
    uint64_t boot_id[2]; /* zeroed: unknown, and never the same */
    uint64_t time_namespace;
};

void gws_export_now(const struct gws_region *region, struct gws_export_time *time);

/* 0, or -EIO when the stream failed. A row in use that has nothing to tell has no line. */
int gws_export_write(const struct gws_region *region, FILE *out, const struct gws_export_time *time);

struct gws_import_counts {
    uint32_t taken;
    uint32_t ignored; /* of rows that this region does not have, not understood, or dropped with their boot */
};

/*
 * Master, in a slot, before anyone else decides. Into a region that is in use deadlines only grow. After another boot
 * the deadlines are dropped, and with them the limits' debts, latencies and adaptive limits; what the operator
 * ordered without an end, days and money, counters and what was learned of models stay. May be repeated, but for the
 * breakers' words, which are set again. 0, 1 when the text is not an export, or -EIO, -EPERM.
 */
int gws_export_read(struct gws_region *region, FILE *in, const struct gws_export_time *time,
                    struct gws_import_counts *counts);

#endif
