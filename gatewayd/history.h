#ifndef GATEWAYD_HISTORY_H
#define GATEWAYD_HISTORY_H

/*
 * Events, read from the region's rings and put into words.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libshm/event.h"
#include "libshm/name.h"
#include "libshm/window.h"
#include "gatewayd/words.h"

/* One event as it is shown. Texts are empty where there is nothing to say. */
struct history_entry {
    const char *kind;
    struct gws_name_info name; /* kind GWS_KIND_NONE: not about a domain or limiter */
    struct words_text from;
    struct words_text to;
    struct words_text by;
    uint64_t real_ms;
};

/*
 * What region times are counted from. Taken once for all events shown together: it follows the real clock, and two
 * readings may differ by a millisecond, which would put events out of order.
 */
struct history_view {
    const struct gws_region *region;
    uint64_t real_base;
};
struct history_view history_view(const struct gws_region *region);

void history_describe(const struct history_view *view, const struct gws_event *event, struct history_entry *entry);

/* Both sides of the change in one text, "closed (4 failures) -> open 5.0s"; "-" when there is nothing to say. */
struct words_text history_change(const struct history_entry *entry);

/* What it is about: "us-east/gpt-4.1", "account example"; "-" when that is the gateway as a whole. */
struct history_label {
    char text[2 * GWS_NAME_MAX + 16];
};
struct history_label history_label(const struct history_entry *entry);

/* {"time","kind","endpoint","model","from","to","by","detail"}; account, limit or quota as well when about one. `from`
 * and `to` are bare states, `detail` is the change as people read it. */
json_t *history_json(const struct history_view *view, const struct gws_event *event);

/* One line on stdout. Its columns are fixed, since the events to come are not known. */
void history_print(const struct history_view *view, const struct gws_event *event);
void history_print_head(void);

/*
 * The events after the cursor, oldest first, at most the newest `max` that `wanted` accepts (NULL: all). Leaves out
 * what the gateway did without a visible effect, like clearing a new row. The cursor may be NULL: all that is still
 * there. To be freed.
 */
struct gws_event *history_read(const struct gws_region *region, struct gws_event_cursor *cursor, size_t max,
                               bool (*wanted)(const struct gws_event *event, const void *context), const void *context,
                               size_t *count);

/* The last trips of every breaker, from one reading of the log when the first of them is asked for. Zeroed to begin. */
struct history_trips {
    struct history_trip *list; /* two a domain row */
    uint32_t rows;
};
void history_trips_fini(struct history_trips *trips);

/* How many failures in a row opened the breaker of a domain the last time that happened; 0 when that is forgotten. */
uint32_t history_tripped_by(const struct gws_region *region, struct history_trips *trips, uint32_t row);

/* What the window held when it last opened the breaker of a domain, as far back as a minute and since the breaker had
 * closed. A total of 0 when that is forgotten. */
struct gws_window_totals history_tripped_on(const struct gws_region *region, struct history_trips *trips, uint32_t row);

#endif
