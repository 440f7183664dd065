#ifndef GATEWAYCTL_SURVEY_H
#define GATEWAYCTL_SURVEY_H

/*
 * All endpoints of a region as they stand at one moment: states, counts, and the models behind them. What `status`
 * shows, and whatever else wants to look at everything at once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libshm/latency.h"
#include "libshm/stat.h"
#include "libshm/window.h"
#include "tools/gatewayctl/names.h"
#include "tools/gatewayctl/state.h"

struct survey_endpoint {
    const struct names_row *name;
    struct state_domain own;
    struct state_view state;
    struct state_domain *models; /* part of the survey's array; their names are those of the rows behind `name` */
    size_t model_count;
    uint64_t in_flight;
    uint64_t limit;
    uint64_t tried;  /* ended with an outcome of the upstream's: what the rates are taken of */
    uint64_t errors; /* of those: failed or throttled */
    uint64_t last_ok; /* region clock; 0: never */
    struct gws_window_totals window; /* of the last minute, its models' failures among them */
    bool windowed;                   /* false: it has traffic that no window counts */
    struct gws_latency_counts first; /* times to the first token, since the region was made */
};

struct survey {
    uint64_t now;
    struct names names;
    struct survey_endpoint *endpoints;
    size_t count;
    size_t usable;
    uint64_t tried;
    uint64_t errors;
    struct state_domain *domains; /* one per name */
};

void survey_read(struct survey *survey, const struct gws_region *region, uint64_t now);
void survey_fini(struct survey *survey);

/* The share of errors: of the last minute where that holds anything, else since the region was made; a value below 0
 * when nothing was ever tried. */
double survey_error_rate(const struct survey_endpoint *endpoint);

/* Tries a second in the last minute; a value below 0 when they are not counted. */
double survey_rate(const struct survey_endpoint *endpoint);

/* The words of one domain, as the derivation of a state wants them. */
struct state_domain survey_domain(const struct gws_region *region, const struct names_row *name);

#endif
