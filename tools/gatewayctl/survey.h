#ifndef GATEWAYCTL_SURVEY_H
#define GATEWAYCTL_SURVEY_H

/*
 * All endpoints of a region as they stand at one moment: states, counts, and the models behind them. What `status`
 * shows, and whatever else wants to look at everything at once.
 */

#include <stddef.h>
#include <stdint.h>

#include "libshm/stat.h"
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

/* The words of one domain, as the derivation of a state wants them. */
struct state_domain survey_domain(const struct gws_region *region, const struct names_row *name);

#endif
