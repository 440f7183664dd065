/*
 * Why a breaker is open stands in the log. Where many are open at once, which is when somebody looks, the log is read
 * for all of them together: it is a hundred times as long as what is looked for.
 */

#include <stdlib.h>

#include "gatewayd/history.h"
#include "gatewayd/show.h"
#include "libshm/breaker.h"

enum { BY_FAILURES, BY_WINDOW, KINDS };

struct history_trip {
    uint64_t time; /* region ms */
    uint64_t from; /* the breaker's word before */
    bool known;
};

/* The kind of a trip, or -1 when the event is none. */
static int kind_of(const struct gws_event *event)
{
    struct gws_breaker_view to = gws_breaker_view(event->new);
    if (event->code != GWS_EVENT_BREAKER || to.mode != GWS_OPEN || gws_breaker_view(event->old).mode != GWS_CLOSED)
        return -1;
    if (to.reason == GWS_TRIP_RATE || to.reason == GWS_TRIP_SLOW)
        return BY_WINDOW;
    return to.reason == GWS_TRIP_FAILURES ? BY_FAILURES : -1;
}

static bool is_trip(const struct gws_event *event, const void *context)
{
    (void)context;
    return kind_of(event) >= 0;
}

/* Oldest first, so that the last of each stays. */
static void load(struct history_trips *trips, const struct gws_region *region)
{
    size_t count;
    struct gws_event *events = history_read(region, NULL, SIZE_MAX, is_trip, NULL, &count);
    trips->rows = region->dims.domains;
    trips->list = show_must(calloc(trips->rows + 1u, KINDS * sizeof(*trips->list)));
    for (size_t i = 0; i < count; i++)
        if (events[i].domain < trips->rows)
            trips->list[events[i].domain * KINDS + (uint32_t)kind_of(&events[i])] =
                (struct history_trip){events[i].time, events[i].old, true};
    free(events);
}

/* The last trip of that kind; one that is not known when no event of it is left. */
static struct history_trip last_trip(const struct gws_region *region, struct history_trips *trips, uint32_t row,
                                     uint32_t kind)
{
    if (!trips->list)
        load(trips, region);
    return row < trips->rows ? trips->list[row * KINDS + kind] : (struct history_trip){0};
}

void history_trips_fini(struct history_trips *trips)
{
    free(trips->list);
    *trips = (struct history_trips){0};
}

/* The word says only that there were enough; the word before it says how many there had been. */
uint32_t history_tripped_by(const struct gws_region *region, struct history_trips *trips, uint32_t row)
{
    struct history_trip trip = last_trip(region, trips, row, BY_FAILURES);
    return trip.known ? gws_breaker_view(trip.from).failures + 1u : 0;
}

/* An open breaker lets nothing through that would be counted, so the window still stands as it was. */
struct gws_window_totals history_tripped_on(const struct gws_region *region, struct history_trips *trips, uint32_t row)
{
    struct history_trip trip = last_trip(region, trips, row, BY_WINDOW);
    if (!trip.known)
        return (struct gws_window_totals){.span_ms = 1};
    return gws_window_sum(region, row, GWS_WINDOW_BUCKETS * GWS_WINDOW_BUCKET_MS, gws_breaker_view(trip.from).t,
                          trip.time);
}
