#ifndef GATEWAYCTL_TOP_READING_H
#define GATEWAYCTL_TOP_READING_H

/* All that `top` shows of a region, read at one moment. What follows from two of them is worked out in top_model.h. */

#include <stddef.h>
#include <stdint.h>

#include "gatewayd/history.h"
#include "gatewayd/overview.h"
#include "gatewayd/times.h"
#include "libshm/count.h"
#include "libshm/evidence.h"

enum { TOP_EVENTS_MAX = 1000 };

/* An event in words. */
struct top_event {
    struct times_text time; /* "2025-11-03T09:12:45.678Z" */
    const char *kind;
    struct history_label label;
    char endpoint[GWS_NAME_MAX + 1]; /* empty: not about one, nor about a model on one */
    struct words_text by;
    struct words_text change;
    const char *from; /* the bare states of the change; NULL: it has none */
    const char *to;
};

/* What the overview does not say of an endpoint. */
struct top_extra {
    char account[GWS_NAME_MAX + 1]; /* empty: not known */
    struct words_text cooldown;     /* the account's */
};

struct top_reading {
    uint64_t real_ms; /* since the epoch */
    struct overview overview;
    struct gws_window_totals *windows; /* of the last minute, one per name of the overview */
    struct gws_evidence *evidence;     /* the last failure, one per name; without a pid: none */
    struct top_extra *extras;          /* one per endpoint */
    uint64_t counts[GWS_COUNTS];
    uint64_t retries; /* of all endpoints */
    struct top_event *events; /* newest first */
    size_t event_count;
};

/* `path`: where the region stands. `now`: the region's time. */
void top_reading_take(struct top_reading *reading, const struct gws_region *region, const char *path, uint64_t now);
void top_reading_fini(struct top_reading *reading);

/* The name rows of an endpoint: it and the models behind it. */
struct top_rows {
    const struct names_row *names; /* [0] is the endpoint's own */
    const struct gws_window_totals *windows;
    const struct gws_evidence *evidence;
    const struct state_domain *domains;
    size_t count;
};
struct top_rows top_reading_rows(const struct top_reading *reading, size_t endpoint);

#endif
