#ifndef GATEWAYCTL_TOP_PARTS_H
#define GATEWAYCTL_TOP_PARTS_H

/* What the pages of `top` have in common: how figures, states, series and events look. */

#include "tools/gatewayctl/screen.h"
#include "tools/gatewayctl/top_view.h"

struct top_figure {
    char text[32];
};

struct top_figure top_rate(double rate);   /* "0.0", "12.3", "1234", "12.3k"; "-" below 0 */
struct top_figure top_percent(double share); /* "0.0", "12.3", "100" */
struct top_figure top_share(double share); /* the same with its sign: "12.3%" */
struct top_figure top_ms(double ms);       /* "152ms", "1.2s" */
struct top_figure top_first(const struct top_track *track); /* "152ms/1.2s", half and 99 of 100 */

unsigned top_state_paint(enum state_kind kind);

/* The reason of a state that stands beside its name: without the name. "-" when there is none. */
const char *top_reason(const struct state_view *state);

/* One line of a series with its name before it and its peak behind it. */
void top_draw_series(struct screen *screen, int row, const char *label, const double points[TOP_SERIES],
                     struct top_figure (*figure)(double value));

/* Some events from `row` down to `end`, without the newest `skip` of those that are wanted. Returns how many lines. */
int top_draw_events(struct screen *screen, int row, int end, const struct top_model *model, size_t skip,
                    bool (*wanted)(const struct top_view *view, const struct top_event *event),
                    const struct top_view *view);

/* A title above a part of the screen. */
void top_draw_title(struct screen *screen, int row, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
