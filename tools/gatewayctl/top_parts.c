#include "tools/gatewayctl/top_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/gatewayctl/colors.h"

struct top_figure top_rate(double rate)
{
    struct top_figure out = {"-"};
    if (rate >= 99950)
        snprintf(out.text, sizeof(out.text), "%.0fk", rate / 1000);
    else if (rate >= 9999.5)
        snprintf(out.text, sizeof(out.text), "%.1fk", rate / 1000);
    else if (rate >= 0)
        snprintf(out.text, sizeof(out.text), "%.*f", rate < 999.95 ? 1 : 0, rate);
    return out;
}

struct top_figure top_percent(double share)
{
    struct top_figure out = {"-"};
    if (share >= 0)
        snprintf(out.text, sizeof(out.text), "%.*f", share < 0.9995 ? 1 : 0, 100 * share);
    return out;
}

struct top_figure top_share(double share)
{
    struct top_figure out = top_percent(share);
    if (share >= 0)
        strcat(out.text, "%");
    return out;
}

struct top_figure top_ms(double ms)
{
    struct top_figure out = {"-"};
    if (ms >= 0)
        snprintf(out.text, sizeof(out.text), "%.31s", times_brief(ms).text);
    return out;
}

struct top_figure top_first(const struct top_track *track)
{
    struct top_figure out = {"-"};
    if (track->recent.count > 0)
        snprintf(out.text, sizeof(out.text), "%.15s/%.15s", top_ms(top_track_first_ms(track, OVERVIEW_MEDIAN)).text,
                 top_ms(top_track_first_ms(track, OVERVIEW_SLOWEST)).text);
    return out;
}

static unsigned paint_of(enum out_color color)
{
    static const unsigned paints[] = {[OUT_PLAIN] = SCREEN_PLAIN, [OUT_GREEN] = SCREEN_GREEN,
                                      [OUT_YELLOW] = SCREEN_YELLOW, [OUT_RED] = SCREEN_RED | SCREEN_BOLD,
                                      [OUT_DIM] = SCREEN_DIM};
    return paints[color];
}

unsigned top_state_paint(enum state_kind kind)
{
    return paint_of(colors_of_state(kind));
}

const char *top_reason(const struct state_view *state)
{
    const char *name = state_name(state->kind);
    size_t length = strlen(name);
    if (!state->reason[0])
        return "-";
    if (strncmp(state->reason, name, length) == 0 && state->reason[length] == ' ')
        return state->reason + length + 1;
    return state->reason;
}

void top_draw_title(struct screen *screen, int row, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    screen_text(screen, row, 0, screen->width, SCREEN_CYAN | SCREEN_BOLD, text);
}

enum { LABEL = 13, PEAK = 12 };

void top_draw_series(struct screen *screen, int row, const char *label, const double points[TOP_SERIES],
                     struct top_figure (*figure)(double value))
{
    int room = screen->width - LABEL - PEAK;
    room = room < 0 ? 0 : room > TOP_SERIES ? TOP_SERIES : room;
    screen_text(screen, row, 0, LABEL - 1, SCREEN_PLAIN, label);
    screen_bars(screen, row, LABEL, room, SCREEN_GREEN, points, TOP_SERIES);
    screen_print(screen, row, LABEL + room + 2, PEAK - 2, SCREEN_DIM, "peak %s", figure(top_series_peak(points)).text);
}

/* What somebody should look at is red, what got well is green. */
static unsigned paint_of_event(const struct top_event *event)
{
    static const struct {
        const char *word;
        unsigned paint;
    } words[] = {{"worker_death", SCREEN_RED},    {"reload_failed", SCREEN_RED},  {"upgrade_failed", SCREEN_RED},
                 {"upgrade_refused", SCREEN_RED}, {"open", SCREEN_RED},           {"forced_open", SCREEN_RED},
                 {"exhausted", SCREEN_RED},       {"cooling", SCREEN_YELLOW},     {"half_open", SCREEN_YELLOW},
                 {"drained", SCREEN_YELLOW},      {"enabled", SCREEN_GREEN},      {"not_cooling", SCREEN_GREEN},
                 {"closed", SCREEN_GREEN}};
    const char *to = event->to ? event->to : event->kind;
    if (event->to && event->from && strcmp(event->to, event->from) == 0)
        return SCREEN_PLAIN;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i].word, to) == 0 || strcmp(words[i].word, event->kind) == 0)
            return words[i].paint;
    return SCREEN_PLAIN;
}

/* A narrow screen has no room for who did it and what kind it is of: the change says most of that. */
static void draw_event(struct screen *screen, int row, const struct top_event *event)
{
    bool wide = screen->width >= 100, narrow = screen->width < 60;
    int name = wide ? 28 : narrow ? 12 : 18, kind = wide ? 15 : 12, gap = wide ? 2 : 1;
    bool timed = strlen(event->time.text) > 11;
    int column = 8 + gap;
    screen_print(screen, row, 0, 8, SCREEN_DIM, "%.8s", timed ? event->time.text + 11 : "");
    if (!narrow) {
        screen_text(screen, row, column, kind, SCREEN_PLAIN, event->kind);
        column += kind + gap;
    }
    screen_text(screen, row, column, name, SCREEN_PLAIN, event->label.text);
    column += name + gap;
    if (wide) {
        screen_text(screen, row, column, 9, SCREEN_PLAIN, event->by.text);
        column += 9 + gap;
    }
    bool silent = strcmp(event->change.text, "-") == 0;
    screen_text(screen, row, column, screen->width - column, paint_of_event(event),
                narrow && silent ? event->kind : event->change.text);
}

int top_draw_events(struct screen *screen, int row, int end, const struct top_model *model, size_t skip,
                    bool (*wanted)(const struct top_view *view, const struct top_event *event),
                    const struct top_view *view)
{
    int drawn = 0;
    for (size_t i = 0; i < model->reading.event_count && row + drawn < end; i++) {
        const struct top_event *event = &model->reading.events[i];
        if (!wanted(view, event))
            continue;
        if (skip > 0) {
            skip--;
            continue;
        }
        draw_event(screen, row + drawn++, event);
    }
    return drawn;
}
