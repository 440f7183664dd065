/*
 * The page that `top` opens with. Which columns there are follows from the width of the screen and the longest name
 * alone, never from what is the matter: when something breaks, the figures stay where they are.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatewayd/show.h"
#include "gatewayd/times.h"
#include "tools/gatewayctl/top_draw.h"
#include "tools/gatewayctl/top_parts.h"

enum list_column {
    LIST_NAME,
    LIST_STATE,
    LIST_RATE,
    LIST_RATES,
    LIST_ERRORS,
    LIST_BUSY,
    LIST_FIRST,
    LIST_FIRSTS,
    LIST_BREAKER,
    LIST_LAST_OK,
    LIST_WHY,
    LIST_COLUMNS
};

struct list_plan {
    int widths[LIST_COLUMNS]; /* 0: there is no room for it */
    int gap;
};

static int at_most(int value, int most)
{
    return value < most ? value : most;
}

static int longest_name(const struct top_model *model)
{
    int longest = 8;
    for (size_t i = 0; i < model->reading.overview.count; i++) {
        int own = screen_columns(model->reading.overview.endpoints[i].name->info.name);
        longest = own > longest ? own : longest;
    }
    return longest;
}

/* Give a column its width when there is room; returns what is left. */
static int add(struct list_plan *plan, enum list_column column, int width, int left)
{
    if (left < width + plan->gap)
        return left;
    plan->widths[column] = width;
    return left - width - plan->gap;
}

/* Columns in the order in which they are missed. */
static struct list_plan plan_columns(int width, int name)
{
    struct list_plan plan = {.gap = width < 100 ? 1 : 2};
    enum { WHY = 22, WHY_LEAST = 10, WHY_WIDE = 44, BARS = 20 };
    plan.widths[LIST_NAME] = at_most(name, width < 60 ? 8 : width < 100 ? 16 : 32);
    int left = width - plan.widths[LIST_NAME];
    left = add(&plan, LIST_STATE, width < 60 ? 9 : 11, left);
    left = add(&plan, LIST_RATE, 6, left);
    left = add(&plan, LIST_ERRORS, 5, left);
    left = add(&plan, LIST_BUSY, width < 60 ? 8 : 9, left); /* 1000/1000 */
    left = add(&plan, LIST_FIRST, 12, left);
    left = add(&plan, LIST_WHY, at_most(WHY, left - plan.gap < WHY_LEAST ? WHY_LEAST : left - plan.gap), left);
    if (plan.widths[LIST_WHY] < WHY)
        return plan;
    static const struct {
        enum list_column column;
        int width;
    } luxuries[] = {{LIST_RATES, BARS}, {LIST_FIRSTS, BARS}, {LIST_BREAKER, 18}, {LIST_LAST_OK, 10}};
    for (size_t i = 0; i < sizeof(luxuries) / sizeof(luxuries[0]); i++) {
        left = add(&plan, luxuries[i].column, luxuries[i].width, left);
        if (plan.widths[luxuries[i].column] == 0)
            break;
    }
    if (plan.widths[LIST_FIRSTS] > 0 && left > WHY_WIDE - WHY) {
        int more = at_most((left - (WHY_WIDE - WHY)) / 2, TOP_SERIES - BARS);
        plan.widths[LIST_RATES] += more;
        plan.widths[LIST_FIRSTS] += more;
        left -= 2 * more;
    }
    plan.widths[LIST_WHY] += left;
    return plan;
}

static bool is_right(enum list_column column)
{
    return column == LIST_RATE || column == LIST_ERRORS || column == LIST_BUSY || column == LIST_FIRST ||
           column == LIST_LAST_OK;
}

static const char *head_of(enum list_column column)
{
    static const char *const heads[LIST_COLUMNS] = {
        "NAME", "STATE", "REQ/S", "REQ/S", "ERR %", "BUSY/MAX", "TTFT p50/p99", "TTFT", "BREAKER",
        "LAST OK", "WHY"};
    return heads[column];
}

static void draw_cell(struct screen *screen, int row, int column, int width, bool right, unsigned paint,
                      const char *text)
{
    if (right)
        screen_right(screen, row, column, width, paint, text);
    else
        screen_text(screen, row, column, width, paint, text);
}

static void draw_heads(struct screen *screen, int row, const struct list_plan *plan)
{
    int at = 0;
    for (enum list_column column = 0; column < LIST_COLUMNS; column++) {
        char head[32];
        if (plan->widths[column] == 0)
            continue;
        snprintf(head, sizeof(head), "%s", head_of(column));
        if (column == LIST_RATES || column == LIST_FIRSTS)
            snprintf(head, sizeof(head), "%s, %ds", head_of(column), plan->widths[column]);
        draw_cell(screen, row, at, plan->widths[column], is_right(column), SCREEN_CYAN | SCREEN_BOLD, head);
        at += plan->widths[column] + plan->gap;
    }
}

/* Figures of an endpoint that nobody asks are dim, so that the busy ones stand out. */
static unsigned paint_of(const struct overview_endpoint *at, const struct top_track *track, enum list_column column)
{
    switch (column) {
    case LIST_NAME:
        return SCREEN_BOLD;
    case LIST_STATE:
        return top_state_paint(at->state.kind);
    case LIST_ERRORS:
        if (track->error_rate > 0.1)
            return SCREEN_RED | SCREEN_BOLD;
        return track->error_rate > 0 ? SCREEN_YELLOW : SCREEN_PLAIN;
    case LIST_RATE:
        return track->rate > 0 ? SCREEN_PLAIN : SCREEN_DIM;
    default:
        return SCREEN_PLAIN;
    }
}

static void text_of(const struct top_model *model, size_t endpoint, enum list_column column, char *out, size_t size)
{
    const struct overview *overview = &model->reading.overview;
    const struct overview_endpoint *at = &overview->endpoints[endpoint];
    const struct top_track *track = &model->tracks[endpoint];
    switch (column) {
    case LIST_NAME:
        snprintf(out, size, "%s", at->name->info.name);
        break;
    case LIST_STATE:
        snprintf(out, size, "%s", state_name(at->state.kind));
        break;
    case LIST_RATE:
        snprintf(out, size, "%s", top_rate(track->rate).text);
        break;
    case LIST_ERRORS:
        snprintf(out, size, "%s", top_percent(track->error_rate).text);
        break;
    case LIST_BUSY:
        snprintf(out, size, "%" PRIu64 "/%" PRIu64, at->in_flight, at->limit);
        break;
    case LIST_FIRST:
        snprintf(out, size, "%s", top_first(track).text);
        break;
    case LIST_BREAKER:
        snprintf(out, size, "%s", overview_breaker(at, overview->now).text);
        break;
    case LIST_LAST_OK:
        snprintf(out, size, "%s", at->last_ok ? times_ago(overview_since(at->last_ok, overview->now)).text : "never");
        break;
    default:
        snprintf(out, size, "%s", top_reason(&at->state));
        break;
    }
}

static void draw_row(struct screen *screen, int row, const struct list_plan *plan, const struct top_model *model,
                     size_t endpoint)
{
    const struct top_track *track = &model->tracks[endpoint];
    int at = 0;
    for (enum list_column column = 0; column < LIST_COLUMNS; column++) {
        char text[320];
        int width = plan->widths[column];
        if (width == 0)
            continue;
        if (column == LIST_RATES || column == LIST_FIRSTS) {
            screen_bars(screen, row, at, width, SCREEN_GREEN, column == LIST_RATES ? track->rates : track->firsts,
                        TOP_SERIES);
        } else {
            text_of(model, endpoint, column, text, sizeof(text));
            draw_cell(screen, row, at, width, is_right(column),
                      paint_of(&model->reading.overview.endpoints[endpoint], track, column), text);
        }
        at += width + plan->gap;
    }
}

/* In the order in which they are missed; none is cut in half. */
static void draw_processes(struct screen *screen, int row, const struct top_model *model)
{
    const struct overview *overview = &model->reading.overview;
    const uint64_t *counts = model->reading.counts;
    const struct {
        const char *what;
        uint64_t count;
    } items[] = {
        {"workers", overview->workers},
        {"in flight", model->in_flight},
        {"parked", overview->parked},
        {"rescued", counts[GWS_COUNT_RESCUED]},
        {"not rescued", counts[GWS_COUNT_RESCUE_DIFFERED] + counts[GWS_COUNT_RESCUE_FAILED]},
        {"retries", model->reading.retries},
        {"generation", overview->generation},
        {"master", (uint64_t)overview->master},
    };
    int column = 0;
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "%s %" PRIu64, items[i].what, items[i].count);
        if (column + screen_columns(text) > screen->width)
            break;
        column += screen_text(screen, row, column, screen->width, SCREEN_PLAIN, text) + 2;
    }
}

static void draw_totals(struct screen *screen, int row, const struct top_model *model)
{
    const struct top_track *total = &model->total;
    int used = screen_print(screen, row, 0, screen->width, SCREEN_PLAIN,
                            "req/s %-6s  errors %-5s  first token %-11s  ", top_rate(total->rate).text,
                            top_share(total->error_rate).text, top_first(total).text);
    int room = at_most(screen->width - used, TOP_SERIES);
    if (room >= 10)
        screen_bars(screen, row, used, room, SCREEN_GREEN, total->rates, TOP_SERIES);
}

static void draw_what_is_listed(struct screen *screen, int row, const struct top_model *model,
                                const struct top_view *view, size_t count)
{
    size_t all = model->reading.overview.count;
    size_t last = view->first + view->page_rows < count ? view->first + view->page_rows : count;
    char part[64] = "", filter[128] = "";
    if (last - view->first < count)
        snprintf(part, sizeof(part), "%zu to %zu of ", view->first + 1, last);
    if (view->filter[0])
        snprintf(filter, sizeof(filter), " of %zu with \"%s\"", all, view->filter);
    screen_print(screen, row, 0, screen->width, SCREEN_DIM, "%s%zu endpoint%s%s, by %s", part, count,
                 count == 1 ? "" : "s", filter, top_sort_name(view->sort));
}

/* The selected endpoint's last minute. */
static void draw_selected(struct screen *screen, int row, const struct top_model *model, size_t endpoint)
{
    const struct overview *overview = &model->reading.overview;
    const struct overview_endpoint *at = &overview->endpoints[endpoint];
    const char *name = at->name->info.name;
    top_draw_title(screen, row, "%s", name);
    int used = at_most(screen_columns(name), screen->width) + 2;
    used += screen_text(screen, row, used, screen->width - used, top_state_paint(at->state.kind),
                        at->state.reason[0] ? at->state.reason : state_name(at->state.kind));
    screen_print(screen, row, used, screen->width - used, SCREEN_DIM, ", %zu model%s, last good %s", at->model_count,
                 at->model_count == 1 ? "" : "s",
                 at->last_ok ? times_ago(overview_since(at->last_ok, overview->now)).text : "never");
    top_draw_series(screen, row + 1, "requests/s", model->tracks[endpoint].rates, top_rate);
    top_draw_series(screen, row + 2, "first token", model->tracks[endpoint].firsts, top_ms);
}

/* Where the parts of the page stand. */
struct list_places {
    int processes, totals, listed; /* 0: not shown */
    int heads;
    int rows; /* how many */
    int selected;
    int events;
};

static struct list_places place(int from, int end, size_t count)
{
    struct list_places at = {0};
    int height = end - from, row = from;
    int panel = height >= 19 ? 4 : 0, events = height >= 14 ? 5 : 0;
    if (height >= 6)
        at.processes = row++;
    if (height >= 10) {
        at.totals = row++;
        at.listed = row++;
    }
    at.heads = row++;
    int room = end - row - panel - events;
    room = room < 0 ? 0 : room;
    at.rows = (size_t)room < count ? room : (int)count;
    row += at.rows > 0 ? at.rows : 1;
    if (panel && count > 0) {
        at.selected = row + 1;
        row += panel;
    }
    at.events = events ? row + 1 : 0;
    return at;
}

static void draw_rows(struct screen *screen, const struct list_places *places, const struct top_model *model,
                      struct top_view *view, const size_t *order, size_t count, size_t selected)
{
    struct list_plan plan = plan_columns(screen->width, longest_name(model));
    size_t rows = (size_t)places->rows;
    view->page_rows = rows;
    if (selected < view->first)
        view->first = selected;
    if (rows > 0 && selected >= view->first + rows)
        view->first = selected - rows + 1;
    if (view->first + rows > count)
        view->first = count > rows ? count - rows : 0;
    draw_heads(screen, places->heads, &plan);
    for (size_t i = 0; i < rows && view->first + i < count; i++) {
        int row = places->heads + 1 + (int)i;
        draw_row(screen, row, &plan, model, order[view->first + i]);
        if (view->first + i == selected)
            screen_mark(screen, row, SCREEN_REVERSE);
    }
    if (count == 0)
        screen_print(screen, places->heads + 1, 0, screen->width, SCREEN_DIM, "%s",
                     view->filter[0] ? "nothing matches the filter; escape takes it back"
                                     : "no endpoints: the region holds no names yet; start gatewayd");
}

/* A failure that is merely counted is no news here; the page of events has them all. */
static bool is_news(const struct top_view *view, const struct top_event *event)
{
    (void)view;
    return !event->from || !event->to || strcmp(event->from, event->to) != 0;
}

void top_draw_list(struct screen *screen, int from, int end, const struct top_model *model, struct top_view *view)
{
    size_t *order = show_must(calloc(model->reading.overview.count + 1, sizeof(*order)));
    size_t count = top_model_order(model, view->sort, view->filter, order);
    size_t selected = top_view_settle(view, model, order, count);
    struct list_places places = place(from, end, count);

    draw_rows(screen, &places, model, view, order, count, selected);
    if (places.processes)
        draw_processes(screen, places.processes, model);
    if (places.totals) {
        draw_totals(screen, places.totals, model);
        draw_what_is_listed(screen, places.listed, model, view, count);
    }
    if (places.selected)
        draw_selected(screen, places.selected, model, order[selected]);
    if (places.events) {
        top_draw_title(screen, places.events, "EVENTS");
        top_draw_events(screen, places.events + 1, end, model, 0, is_news, view);
    }
    free(order);
}
