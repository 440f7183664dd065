#ifndef GATEWAYCTL_TOP_MODEL_H
#define GATEWAYCTL_TOP_MODEL_H

/*
 * What `top` makes of one reading after the other: rates and latencies of the last seconds, series of the last minute,
 * and the order in which endpoints are listed. Pure: readings and times come in. Times are ms on a clock of the
 * caller's that goes on when the region is replaced.
 *
 * Everything follows from counters that only grow. Where one is smaller than before, it is another's, and what is known
 * of it begins afresh: its series have a gap there and go on.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/gatewayctl/top_reading.h"

enum {
    TOP_SERIES = 60,          /* points of a series, a second each */
    TOP_WINDOW_MS = 10 * 1000, /* what "now" means to rates and latencies */
    TOP_MARKS = 12            /* counters of the past that are kept for that */
};

/* The counters of an endpoint, or of all, at one moment. */
struct top_counters {
    uint64_t at;
    uint64_t tried;
    uint64_t errors;
    struct gws_latency_counts first;
};

struct top_track {
    char name[GWS_NAME_MAX + 1];
    struct top_counters marks[TOP_MARKS]; /* oldest first, about a second apart */
    size_t marked;
    struct top_counters charted; /* up to where the series go; at 0: not begun */
    bool afresh;                 /* the next counters have nothing to do with those before */

    double rate;                      /* tries a second; below 0: not known yet */
    double error_rate;                /* the share of errors among them; below 0: there were none */
    struct gws_latency_counts recent; /* first tokens of that time */
    double rates[TOP_SERIES];         /* tries a second, newest last; below 0: not known */
    double firsts[TOP_SERIES];        /* the median time to the first token in ms; below 0: there was none */
};

struct top_model {
    struct top_reading reading;
    struct top_track *tracks; /* one per endpoint of the reading */
    struct top_track total;
    uint64_t in_flight;
};

enum top_sort { TOP_BY_NAME, TOP_BY_STATE, TOP_BY_RATE, TOP_BY_ERRORS, TOP_BY_LATENCY, TOP_SORTS };

void top_model_init(struct top_model *model);
void top_model_fini(struct top_model *model);

/* Take a reading over, made at `now`. */
void top_model_feed(struct top_model *model, struct top_reading *reading, uint64_t now);

/* The next reading is of another region: its counters tell nothing of what was before. */
void top_model_afresh(struct top_model *model);

/* One track on its own, for what has counters but no row. */
void top_track_init(struct top_track *track, const char *name);
void top_track_feed(struct top_track *track, const struct top_counters *counters);

/* Of the last seconds, in ms, in hundredths of a percent; below 0: there was none. */
double top_track_first_ms(const struct top_track *track, uint32_t share);

/* The largest of a series; below 0: nothing is known. */
double top_series_peak(const double points[TOP_SERIES]);

const char *top_sort_name(enum top_sort sort);

/*
 * The endpoints to list, as indices into the reading's: those in which `filter` stands (in the name, the state, the
 * reason, the account or a model's name, in any case of letters), sorted: by name, or the worst, busiest or slowest
 * first. `order` has room for all. Returns how many.
 */
size_t top_model_order(const struct top_model *model, enum top_sort sort, const char *filter, size_t *order);

#endif
