#include "gatewayd/park.h"

#include "gatewayd/wake.h"
#include "libshm/budget.h"
#include "libshm/slot.h"

/*
 * Wake-ups come through a descriptor. What comes without one (an operator's reset, a probe that passed, the places of a
 * process whose descriptors died with its master) is found by looking every now and then while somebody waits.
 */

enum { TICK_MS = 100 };

static void append(struct park *park, struct parked *parked)
{
    parked->next = NULL;
    parked->place = park->last;
    *park->last = parked;
    park->last = &parked->next;
}

static void take_out(struct park *park, struct parked *parked)
{
    *parked->place = parked->next;
    if (parked->next)
        parked->next->place = parked->place;
    else
        park->last = parked->place;
    parked->next = NULL;
    parked->place = NULL;
}

/* Each that is there now looks once; whoever looks may leave, and may come back at the end. */
static void all_look(struct park *park)
{
    append(park, &park->mark);
    while (park->first != &park->mark) {
        struct parked *parked = park->first;
        take_out(park, parked);
        append(park, parked); /* in the order in which they came, behind the mark */
        parked->look(parked);
    }
    take_out(park, &park->mark);
}

static void arm(struct park *park)
{
    if (park->count > 0)
        event_timer_at(&park->tick, event_now_ms(park->loop) + TICK_MS);
    else
        event_timer_off(&park->tick);
}

static void on_tick(struct event_timer *timer)
{
    struct park *park = (struct park *)(void *)((char *)timer - offsetof(struct park, tick));
    all_look(park);
    arm(park);
}

static void on_wake(struct event_io *io, int what)
{
    (void)what;
    struct park *park = (struct park *)(void *)((char *)io - offsetof(struct park, io));
    wake_drain(park->region->slot);
    all_look(park);
}

void park_init(struct park *park, struct event_loop *loop, struct gws_region *region, int slot)
{
    *park = (struct park){.loop = loop, .region = region};
    park->last = &park->first;
    event_timer_init(&park->tick, loop, on_tick);
    int fd = wake_descriptor(slot);
    park->watching = fd >= 0;
    if (!park->watching)
        return;
    event_io_init(&park->io, loop, fd, on_wake);
    event_io_watch(&park->io, EVENT_READ);
}

void park_fini(struct park *park)
{
    if (park->watching)
        event_io_watch(&park->io, 0);
    event_timer_stop(&park->tick);
}

int park_enter(struct park *park, struct parked *parked, uint64_t queue)
{
    if (gws_tally_take(park->region, GWS_TALLY_PARKED, queue) != GWS_BUDGET_TAKEN)
        return 1;
    append(park, parked);
    if (park->count++ == 0)
        arm(park);
    return 0;
}

void park_leave(struct park *park, struct parked *parked)
{
    if (!parked->place)
        return;
    take_out(park, parked);
    gws_tally_leave(park->region, GWS_TALLY_PARKED);
    if (--park->count == 0)
        event_timer_off(&park->tick);
}
