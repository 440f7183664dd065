#ifndef GATEWAYD_OVERVIEW_H
#define GATEWAYD_OVERVIEW_H

/*
 * All endpoints of a region as they stand at one moment: states, counts, and the models behind them. What `status`
 * shows, and whatever else wants to look at everything at once.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libshm/latency.h"
#include "libshm/stat.h"
#include "libshm/window.h"
#include "gatewayd/history.h"
#include "gatewayd/names.h"
#include "gatewayd/state.h"
#include "gatewayd/words.h"

struct overview_endpoint {
    const struct names_row *name;
    struct state_domain own;
    struct state_view state;
    char account[GWS_NAME_MAX + 1]; /* that it belongs to; empty when the region does not say */
    struct state_view owed;         /* the account's own state, which is one of its waits */
    struct state_domain *models; /* part of the overview's array; their names are those of the rows behind `name` */
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

struct overview {
    uint64_t now;
    unsigned workers;
    uint64_t parked; /* requests that wait for an endpoint */
    int32_t master;  /* 0: not running */
    uint64_t generation;
    bool serving;    /* some worker lives, and some endpoint can be tried */
    struct names names;
    struct overview_endpoint *endpoints;
    size_t count;
    size_t usable;
    uint64_t tried;
    uint64_t errors;
    struct state_domain *domains; /* one per name */
    struct history_trips trips;
};

/* `path`: where the region stands, which tells who its master is. */
void overview_read(struct overview *overview, const struct gws_region *region, const char *path, uint64_t now);
void overview_fini(struct overview *overview);

/* The share of errors: of the last minute where that holds anything, else since the region was made; a value below 0
 * when nothing was ever tried. */
double overview_error_rate(const struct overview_endpoint *endpoint);

/* Tries a second in the last minute; a value below 0 when they are not counted. */
double overview_rate(const struct overview_endpoint *endpoint);

/* The words of one domain, as the derivation of a state wants them. */
struct state_domain overview_domain(const struct gws_region *region, struct history_trips *trips,
                                    const struct names_row *name);

/* The share of tries that were good, since the region was made; 1 before any. */
double overview_success_rate(const struct overview *overview);

/* The time to the first token that so many of the tries stay below, in ms; below 0 when there was none. */
enum { OVERVIEW_MEDIAN = 5000, OVERVIEW_SLOWEST = 9900 };
double overview_first_ms(const struct overview_endpoint *endpoint, uint32_t share);

/* The ms that have passed since then. */
uint64_t overview_since(uint64_t then, uint64_t now);

/* Its own breaker, or, while that is closed, the worst of its models': "2 models open". */
struct words_text overview_breaker(const struct overview_endpoint *endpoint, uint64_t now);

/* "serving: 2 of 3 endpoints can be tried", or why nothing is served. */
struct words_text overview_verdict(const struct overview *overview);

/* What `status` prints with --json. */
json_t *overview_json(const struct overview *overview);

#endif
