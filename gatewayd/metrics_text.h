#ifndef GATEWAYD_METRICS_TEXT_H
#define GATEWAYD_METRICS_TEXT_H

/* Prometheus' text format, for metrics.c alone: families, samples, histograms. */

#include "gatewayd/buf.h"
#include "libshm/latency.h"

/* What is written so far; once memory is out nothing more is. */
struct metrics_page {
    struct buf *out;
    int rc; /* 0 or -ENOMEM */
};

/* The value of a name that is NULL ends the list. Values are escaped. */
struct metrics_label {
    const char *name;
    const char *value;
};

enum { METRICS_LABELS = 3 };
#define METRICS_LABELS_OF(...) ((const struct metrics_label[METRICS_LABELS + 1]){__VA_ARGS__})
#define METRICS_NO_LABELS METRICS_LABELS_OF({NULL, NULL})

/* The two lines before the samples of a family. `type`: counter, gauge or histogram. */
void metrics_family(struct metrics_page *page, const char *name, const char *type, const char *help);

void metrics_count(struct metrics_page *page, const char *name, const struct metrics_label *labels, uint64_t value);
void metrics_seconds(struct metrics_page *page, const char *name, const struct metrics_label *labels, uint64_t us);

/* Where the buckets of a histogram end that are shown: of times in 1/16 ms, at the end of a bucket of latency.h; or of
 * a number of things, each counted as so many ms. */
struct metrics_scale {
    const uint32_t *ends;
    size_t count;
    bool things;
};

/* All its samples, with at most one label. */
void metrics_histogram(struct metrics_page *page, const char *name, struct metrics_label label,
                       const struct metrics_scale *scale, const struct gws_latency_counts *counts);

#endif
