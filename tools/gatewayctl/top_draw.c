/* What stands on every page: whether anything is served in the first line, and in the last one what was asked, what
 * came of it, or which keys there are. */

#include "tools/gatewayctl/top_draw.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gatewayd/times.h"
#include "tools/gatewayctl/top_parts.h"

static void draw_first_line(struct screen *screen, const struct top_model *model, const struct top_view *view)
{
    const struct overview *overview = &model->reading.overview;
    unsigned paint = SCREEN_REVERSE | SCREEN_BOLD | (overview->serving && !view->note ? SCREEN_PLAIN : SCREEN_RED);
    char right[96], every[64];
    bool whole = view->interval_ms % 1000 == 0 && view->interval_ms < 60000;
    snprintf(every, sizeof(every), "%s", times_span(view->interval_ms).text);
    if (whole)
        snprintf(every, sizeof(every), "%" PRIu64 "s", view->interval_ms / 1000);
    snprintf(right, sizeof(right), "%.8s UTC, every %s", times_iso(model->reading.real_ms).text + 11, every);
    int room = screen->width - 2;
    const char *text = view->note ? view->note : overview_verdict(overview).text;
    screen_mark(screen, 0, paint);
    screen_print(screen, 0, 1, room, paint, "gatewayctl top  %s", text);
    if (16 + screen_columns(text) + 3 + screen_columns(right) <= room)
        screen_right(screen, 0, 1, room, paint, right);
}

static void draw_hints(struct screen *screen, int row, enum top_page page)
{
    static const char *const of_list[] = {"q quit", "? help", "enter details", "e events", "/ filter", "s sort",
                                          "r reset", "d drain", "c clear", "o open", "f close", "a auto", NULL};
    static const char *const of_details[] = {"q back", "? help", "e events", "r reset", "d drain", "c clear",
                                             "o hold open", "f hold closed", "a auto", NULL};
    static const char *const of_events[] = {"q back", "? help", "/ filter", "j down", "k up", NULL};
    static const char *const of_help[] = {"q back", NULL};
    static const char *const *const all[] = {of_list, of_details, of_events, of_help};
    int column = 0;
    for (const char *const *hint = all[page]; *hint; hint++) {
        int key = (int)strcspn(*hint, " ");
        int width = screen_columns(*hint);
        if (column + width > screen->width)
            break;
        screen_print(screen, row, column, key, SCREEN_BOLD, "%.*s", key, *hint);
        screen_text(screen, row, column + key, width - key, SCREEN_DIM, *hint + key);
        column += width + 2;
    }
}

static void draw_last_line(struct screen *screen, const struct top_view *view)
{
    int row = screen->height - 1, room = screen->width;
    if (view->asking)
        screen_print(screen, row, 0, room, SCREEN_YELLOW | SCREEN_BOLD | SCREEN_REVERSE, "[y/n] %s",
                     view->order.question);
    else if (view->typing)
        screen_print(screen, row, 0, room, SCREEN_BOLD, "filter: %s_", view->filter);
    else if (view->message[0])
        screen_text(screen, row, 0, room, view->bad ? SCREEN_RED | SCREEN_BOLD : SCREEN_GREEN, view->message);
    else
        draw_hints(screen, row, view->page);
}

void top_draw(struct screen *screen, const struct top_model *model, struct top_view *view)
{
    int end = screen->height - 1;
    screen_clear(screen);
    switch (view->page) {
    case TOP_LIST:
        top_draw_list(screen, 1, end, model, view);
        break;
    case TOP_DETAILS:
        top_draw_details(screen, 1, end, model, view);
        break;
    case TOP_EVENTS:
        top_draw_log(screen, 1, end, model, view);
        break;
    case TOP_HELP:
        top_draw_help(screen, 1, end);
        break;
    }
    draw_first_line(screen, model, view);
    for (int column = 0; column < screen->width; column++) /* a page that is taller than the screen ends above it */
        *screen_cell(screen, end, column) = (struct screen_cell){' ', SCREEN_PLAIN};
    draw_last_line(screen, view);
}
