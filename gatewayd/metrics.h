#ifndef GATEWAYD_METRICS_H
#define GATEWAYD_METRICS_H

/*
 * Metrics for Prometheus, read from the region alone: whoever has it mapped can answer a scrape, whatever the workers
 * do. Counters belong to the region and survive restarts; those of an endpoint or a model begin anew when another one
 * takes over its row.
 */

#include "gatewayd/buf.h"
#include "libshm/region.h"

/* Append everything as text, Content-Type "text/plain; version=0.0.4; charset=utf-8". `path`: where the region stands.
 * 0, or -ENOMEM with nothing appended. */
int metrics_write(struct gws_region *region, const char *path, struct buf *out);

#endif
