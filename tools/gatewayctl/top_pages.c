/* The other pages of `top`: one endpoint with all that is known of it, the event log, and the keys. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gatewayd/times.h"
#include "tools/gatewayctl/top_draw.h"
#include "tools/gatewayctl/top_parts.h"

/* Details. */

/* Returns the row below them. */
static int draw_facts(struct screen *screen, int row, const struct top_model *model, size_t endpoint)
{
    const struct overview *overview = &model->reading.overview;
    const struct overview_endpoint *at = &overview->endpoints[endpoint];
    const struct top_extra *extra = &model->reading.extras[endpoint];
    const struct top_track *track = &model->tracks[endpoint];
    screen_print(screen, row++, 0, screen->width, SCREEN_PLAIN,
                 "in flight %" PRIu64 "/%" PRIu64 "  requests/s %s  errors %s  last good %s", at->in_flight, at->limit,
                 top_rate(track->rate).text, top_share(track->error_rate).text,
                 at->last_ok ? times_ago(overview_since(at->last_ok, overview->now)).text : "never");
    screen_print(screen, row++, 0, screen->width, SCREEN_PLAIN,
                 "since the region was made: tries %" PRIu64 "  errors %" PRIu64, at->tried, at->errors);
    if (extra->account[0])
        screen_print(screen, row++, 0, screen->width, SCREEN_PLAIN, "account %s: %s", extra->account,
                     extra->cooldown.text);
    return row;
}

static int draw_first_tokens(struct screen *screen, int row, const struct top_model *model, size_t endpoint)
{
    const struct overview_endpoint *at = &model->reading.overview.endpoints[endpoint];
    const struct top_track *track = &model->tracks[endpoint];
    enum { NINETY = 9000 };
    screen_print(screen, row++, 0, screen->width, SCREEN_PLAIN,
                 "first token, last 10s: p50 %-6s  p90 %-6s  p99 %-6s  of %" PRIu64,
                 top_ms(top_track_first_ms(track, OVERVIEW_MEDIAN)).text,
                 top_ms(top_track_first_ms(track, NINETY)).text,
                 top_ms(top_track_first_ms(track, OVERVIEW_SLOWEST)).text, track->recent.count);
    screen_print(screen, row++, 0, screen->width, SCREEN_PLAIN,
                 "first token, ever:     p50 %-6s  p90 %-6s  p99 %-6s  of %" PRIu64,
                 top_ms(overview_first_ms(at, OVERVIEW_MEDIAN)).text, top_ms(overview_first_ms(at, NINETY)).text,
                 top_ms(overview_first_ms(at, OVERVIEW_SLOWEST)).text, at->first.count);
    return row;
}

/* The rows of the table of breakers: where each column begins, at which width of the screen it is there. */
struct details_column {
    const char *head;
    int width;
    int from_width;
    bool right;
};
static const struct details_column details_columns[] = {
    {"MODEL", 0, 0, false},   {"BREAKER", 13, 0, false}, {"FAILS", 5, 60, true},   {"LEVEL", 5, 90, true},
    {"TRIES", 6, 60, true},   {"FAILED", 6, 60, true},   {"SLOW", 5, 90, true},    {"WHY", 0, 0, false},
};
enum { DETAILS_COLUMNS = sizeof(details_columns) / sizeof(details_columns[0]) };

static void draw_details_cells(struct screen *screen, int row, unsigned paint, unsigned state_paint,
                               const char *const texts[DETAILS_COLUMNS])
{
    int at = 0, gap = screen->width < 100 ? 1 : 2;
    int name = screen->width < 60 ? 12 : screen->width < 100 ? 16 : 32;
    for (int i = 0; i < DETAILS_COLUMNS; i++) {
        const struct details_column *column = &details_columns[i];
        if (screen->width < column->from_width)
            continue;
        bool last = i == DETAILS_COLUMNS - 1;
        int width = last ? screen->width - at : i == 0 ? name : column->width;
        if (column->right)
            screen_right(screen, row, at, width, paint, texts[i]);
        else
            screen_text(screen, row, at, width, i == 1 || last ? state_paint : paint, texts[i]);
        at += width + gap;
    }
}

static void draw_domain(struct screen *screen, int row, const struct top_rows *rows, size_t i, uint64_t now)
{
    const struct state_domain *domain = &rows->domains[i];
    const struct gws_window_totals *window = &rows->windows[i];
    struct state_view state = state_of_domain(domain, now);
    struct top_figure figures[5];
    snprintf(figures[0].text, sizeof(figures[0].text), "%u",
             domain->breaker.mode == GWS_OPEN ? domain->tripped_by : domain->breaker.failures);
    snprintf(figures[1].text, sizeof(figures[1].text), "%u", domain->breaker.level);
    snprintf(figures[2].text, sizeof(figures[2].text), "%" PRIu32, window->total);
    snprintf(figures[3].text, sizeof(figures[3].text), "%" PRIu32, window->failed);
    snprintf(figures[4].text, sizeof(figures[4].text), "%" PRIu32, window->slow);
    const char *const texts[DETAILS_COLUMNS] = {i == 0 ? "(the endpoint)" : domain->name,
                                                words_breaker_name(&domain->breaker, now), figures[0].text,
                                                figures[1].text, figures[2].text, figures[3].text, figures[4].text,
                                                state.reason[0] ? state.reason : "-"};
    draw_details_cells(screen, row, SCREEN_PLAIN, top_state_paint(state.kind), texts);
}

/* Returns the row below it. */
static int draw_domains(struct screen *screen, int row, int end, const struct top_rows *rows, struct top_view *view,
                        uint64_t now)
{
    const char *heads[DETAILS_COLUMNS];
    for (int i = 0; i < DETAILS_COLUMNS; i++)
        heads[i] = details_columns[i].head;
    draw_details_cells(screen, row++, SCREEN_CYAN | SCREEN_BOLD, SCREEN_CYAN | SCREEN_BOLD, heads);
    size_t room = end > row ? (size_t)(end - row) : 0;
    view->page_rows = room;
    size_t first = room > 0 && view->detail >= room ? view->detail - room + 1 : 0;
    for (size_t i = first; i < rows->count && row < end; i++, row++) {
        draw_domain(screen, row, rows, i, now);
        if (i == view->detail)
            screen_mark(screen, row, SCREEN_REVERSE);
    }
    return row;
}

/* The last failure of the selected row; the endpoint's is the latest of all its rows. */
static void draw_evidence(struct screen *screen, int row, const struct top_rows *rows, size_t selected, uint64_t now)
{
    size_t at = selected;
    for (size_t i = 0; selected == 0 && i < rows->count; i++)
        if (rows->evidence[i].pid != 0 && (rows->evidence[at].pid == 0 || rows->evidence[i].at > rows->evidence[at].at))
            at = i;
    const struct gws_evidence *evidence = &rows->evidence[at];
    char status[16] = "no answer";
    if (evidence->status > 0)
        snprintf(status, sizeof(status), "%u", evidence->status);
    if (evidence->pid != 0)
        screen_print(screen, row, 0, screen->width, SCREEN_PLAIN, "last failure %s, %s: %s%s%s",
                     times_ago(overview_since(evidence->at, now)).text, rows->names[at].label, status,
                     evidence->text[0] ? ", " : "", evidence->text);
}

static bool is_of_selected(const struct top_view *view, const struct top_event *event)
{
    return strcmp(view->selected, event->endpoint) == 0;
}

void top_draw_details(struct screen *screen, int from, int end, const struct top_model *model, struct top_view *view)
{
    size_t endpoint;
    if (!top_view_endpoint(view, model, &endpoint)) {
        screen_print(screen, from, 0, screen->width, SCREEN_DIM, "there is no endpoint %s any more; q goes back",
                     view->selected);
        return;
    }
    const struct overview *overview = &model->reading.overview;
    const struct state_view *state = &overview->endpoints[endpoint].state;
    struct top_rows rows = top_reading_rows(&model->reading, endpoint);
    view->detail = view->detail < rows.count ? view->detail : rows.count - 1;
    bool tall = end - from >= 16;
    int row = from;
    top_draw_title(screen, row, "%s", view->selected);
    int used = screen_columns(view->selected) + 2;
    screen_text(screen, row, used, screen->width - used, top_state_paint(state->kind),
                state->reason[0] ? state->reason : state_name(state->kind));
    row++;
    if (tall) {
        row = draw_facts(screen, row, model, endpoint);
        row = draw_first_tokens(screen, row, model, endpoint);
        top_draw_series(screen, row++, "requests/s", model->tracks[endpoint].rates, top_rate);
        top_draw_series(screen, row++, "first token", model->tracks[endpoint].firsts, top_ms);
        draw_evidence(screen, row++, &rows, view->detail, overview->now);
        row++;
    }
    int events = end - row >= 12 ? 5 : 0;
    row = draw_domains(screen, row, end - events, &rows, view, overview->now);
    if (row + 2 < end) {
        top_draw_title(screen, row + 1, "EVENTS OF %s", view->selected);
        top_draw_events(screen, row + 2, end, model, 0, is_of_selected, view);
    }
}

/* Events. */

void top_draw_log(struct screen *screen, int from, int end, const struct top_model *model, struct top_view *view)
{
    int room = end - from - 1;
    size_t count = 0;
    for (size_t i = 0; i < model->reading.event_count; i++)
        count += top_view_lists_event(view, &model->reading.events[i]);
    view->page_rows = room > 0 ? (size_t)room : 0;
    if (view->scrolled >= count)
        view->scrolled = count > 0 ? count - 1 : 0;
    if (view->filter[0])
        top_draw_title(screen, from, "EVENTS with \"%s\", newest first: %zu of %zu", view->filter, count,
                       model->reading.event_count);
    else
        top_draw_title(screen, from, "EVENTS, newest first: %zu", count);
    if (top_draw_events(screen, from + 1, end, model, view->scrolled, top_view_lists_event, view) == 0)
        screen_text(screen, from + 1, 0, screen->width, SCREEN_DIM,
                    view->filter[0] ? "nothing matches the filter; / changes it" : "no events");
}

/* Help. */

void top_draw_help(struct screen *screen, int from, int end)
{
    static const char *const lines[][2] = {
        {"j k arrows", "select; page up and down, g and G to the ends"},
        {"enter", "details of the endpoint: its models, its breakers, its events"},
        {"e", "the event log on the whole screen"},
        {"/", "filter by name, model, state, reason, account; escape: all again"},
        {"s", "sort by name, state, rate, errors, latency"},
        {"q escape", "back; on the first page q quits, as Q does everywhere"},
        {"", ""},
        {"r", "reset its breakers and its models': closed, failures forgotten"},
        {"o f a", "hold the breakers open, hold them closed, let them act by themselves"},
        {"c", "clear its cooldowns, and its account's when that is what cools"},
        {"d", "drain it: nothing new is sent there; d again enables it"},
        {"", "On the page of details these keys mean the selected row alone."},
        {"", "Each asks first, and stands in the event log with your uid."},
        {"", ""},
        {"", "REQ/S, ERR % and TTFT (time to the first token) are of the last 10 seconds;"},
        {"", "bars are of one second each, the newest at the right, the peak the tallest."},
        {"", "TRIES, FAILED and SLOW of a breaker are of the last minute."},
    };
    top_draw_title(screen, from, "KEYS");
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]) && from + 1 + (int)i < end; i++) {
        int row = from + 1 + (int)i;
        screen_text(screen, row, 0, 11, SCREEN_BOLD, lines[i][0]);
        int indent = lines[i][0][0] ? 12 : 0;
        screen_text(screen, row, indent, screen->width - indent, SCREEN_PLAIN, lines[i][1]);
    }
}
