#ifndef GATEWAYD_SERVICE_H
#define GATEWAYD_SERVICE_H

/* What all requests of one process share: its loop, its view of the region, its plan, its way upstream. */

#include "gatewayd/event.h"
#include "gatewayd/plan.h"

struct park;
struct upstream;

struct service {
    struct event_loop *loop;
    struct gws_region *region;
    const struct plan *plan;
    struct upstream *upstream;
    struct park *park; /* where requests wait */
    struct str models_json; /* the answer to GET /v1/models */
    bool draining;          /* answers say Connection: close */
};

#endif
