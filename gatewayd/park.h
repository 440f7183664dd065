#ifndef GATEWAYD_PARK_H
#define GATEWAYD_PARK_H

/*
 * Where the requests of a process wait until an endpoint can be asked again: in the order in which they came, bounded
 * in number over all processes. Each has its own time; what the park adds is that all of them look again when something
 * may have changed before that: a place came free, here or in another process, or an operator cleared a deadline.
 */

#include "gatewayd/event.h"
#include "libshm/region.h"

struct parked {
    struct parked *next, **place; /* in the park; place is NULL when it is not there */
    uint64_t wake_at;             /* on the loop's clock */
    /* Look whether there is something to be had sooner than that. May leave the park, or end the request. */
    void (*look)(struct parked *self);
};

struct park {
    struct event_loop *loop;
    struct gws_region *region;
    struct parked *first, **last;
    struct parked mark; /* how far the list is looked through */
    unsigned count;     /* of those that are parked here */
    struct event_io io; /* other processes wake this one */
    struct event_timer tick;
    bool watching;
};

/* `slot` is this process's, whose descriptor of wake.h is watched. */
void park_init(struct park *park, struct event_loop *loop, struct gws_region *region, int slot);
void park_fini(struct park *park);

/* 0, or 1 when `queue` requests are parked already, over all processes. */
int park_enter(struct park *park, struct parked *parked, uint64_t queue);
/* Safe when it is not there. */
void park_leave(struct park *park, struct parked *parked);

#endif
