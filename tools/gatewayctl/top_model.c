/*
 * "Now" is ten seconds: long enough for the figures of a quiet endpoint not to jump, short enough to see what an
 * operator's key did. Counters of the past are kept a second apart, whatever the interval, so that their number stays
 * small; with an interval longer than ten seconds "now" is the last interval.
 */

#include "tools/gatewayctl/top_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gatewayd/show.h"

enum { MARK_MS = 900, SLACK_MS = 500, SECOND_MS = 1000, MEDIAN = 5000 };

void top_track_init(struct top_track *track, const char *name)
{
    *track = (struct top_track){.rate = -1, .error_rate = -1};
    snprintf(track->name, sizeof(track->name), "%s", name);
    for (int i = 0; i < TOP_SERIES; i++)
        track->rates[i] = track->firsts[i] = -1;
}

static bool fell(const struct top_counters *now, const struct top_counters *before)
{
    return now->at < before->at || now->tried < before->tried || now->errors < before->errors ||
           now->first.count < before->first.count;
}

/* What the present is compared with: the oldest mark that is not too old, else the newest; NULL: there is none. */
static const struct top_counters *baseline(const struct top_track *track, uint64_t now)
{
    for (size_t i = 0; i < track->marked; i++)
        if (now - track->marks[i].at <= TOP_WINDOW_MS + SLACK_MS)
            return &track->marks[i];
    return track->marked > 0 ? &track->marks[track->marked - 1] : NULL;
}

static double per_second(uint64_t count, uint64_t ms)
{
    return (double)count * SECOND_MS / (double)ms;
}

static void measure(struct top_track *track, const struct top_counters *now)
{
    const struct top_counters *from = baseline(track, now->at);
    if (!from || from->at == now->at)
        return;
    uint64_t tried = now->tried - from->tried;
    track->rate = per_second(tried, now->at - from->at);
    track->error_rate = tried > 0 ? (double)(now->errors - from->errors) / (double)tried : -1;
    track->recent = now->first;
    gws_latency_since(&track->recent, &from->first);
}

static void mark(struct top_track *track, const struct top_counters *now)
{
    if (track->marked > 0 && now->at - track->marks[track->marked - 1].at < MARK_MS)
        return;
    if (track->marked == TOP_MARKS) {
        memmove(track->marks, track->marks + 1, (TOP_MARKS - 1) * sizeof(track->marks[0]));
        track->marked--;
    }
    track->marks[track->marked++] = *now;
}

static double median_ms(const struct gws_latency_counts *counts)
{
    return counts->count > 0 ? (double)gws_latency_quantile(counts, MEDIAN) / 1000 : -1;
}

static void push(double points[TOP_SERIES], size_t count, double point)
{
    count = count < TOP_SERIES ? count : TOP_SERIES;
    memmove(points, points + count, (TOP_SERIES - count) * sizeof(points[0]));
    for (size_t i = TOP_SERIES - count; i < TOP_SERIES; i++)
        points[i] = point;
}

/* Points are seconds of the clock. Readings are never quite a second apart: one that falls into the second of the last
 * waits for the next, and one that comes late gives all the seconds it is of the same value. */
static void chart(struct top_track *track, const struct top_counters *now)
{
    uint64_t from = track->charted.at;
    size_t seconds = now->at > from ? (size_t)(now->at / SECOND_MS - from / SECOND_MS) : 0;
    if (from > 0 && seconds == 0 && !track->afresh)
        return;
    if (from > 0 && track->afresh) {
        push(track->rates, seconds, -1);
        push(track->firsts, seconds, -1);
    } else if (from > 0) {
        struct gws_latency_counts first = now->first;
        gws_latency_since(&first, &track->charted.first);
        push(track->rates, seconds, per_second(now->tried - track->charted.tried, now->at - from));
        push(track->firsts, seconds, median_ms(&first));
    }
    track->charted = *now;
}

void top_track_feed(struct top_track *track, const struct top_counters *counters)
{
    if (track->marked > 0 && fell(counters, &track->charted))
        track->afresh = true;
    if (track->afresh) {
        track->marked = 0;
        track->rate = track->error_rate = -1;
        track->recent = (struct gws_latency_counts){.count = 0};
    }
    measure(track, counters);
    mark(track, counters);
    chart(track, counters);
    track->afresh = false;
}

double top_track_first_ms(const struct top_track *track, uint32_t share)
{
    return track->recent.count > 0 ? (double)gws_latency_quantile(&track->recent, share) / 1000 : -1;
}

double top_series_peak(const double points[TOP_SERIES])
{
    double peak = -1;
    for (int i = 0; i < TOP_SERIES; i++)
        peak = points[i] > peak ? points[i] : peak;
    return peak;
}

void top_model_init(struct top_model *model)
{
    *model = (struct top_model){.tracks = NULL};
    top_track_init(&model->total, "");
}

void top_model_fini(struct top_model *model)
{
    top_reading_fini(&model->reading);
    free(model->tracks);
    *model = (struct top_model){.tracks = NULL};
}

static void add_first(struct gws_latency_counts *sum, const struct gws_latency_counts *more)
{
    sum->count += more->count;
    sum->sum_us += more->sum_us;
    for (int i = 0; i < GWS_LATENCY_BUCKETS; i++)
        sum->buckets[i] += more->buckets[i];
}

/* What is known of an endpoint by its name: its place in the list changes with every configuration. */
static void find_track(const struct top_model *model, const char *name, struct top_track *track)
{
    for (size_t i = 0; i < model->reading.overview.count; i++) {
        if (strcmp(model->tracks[i].name, name) == 0) {
            *track = model->tracks[i];
            return;
        }
    }
    top_track_init(track, name);
}

void top_model_feed(struct top_model *model, struct top_reading *reading, uint64_t now)
{
    const struct overview *overview = &reading->overview;
    struct top_counters sum = {.at = now};
    struct top_track *tracks = show_must(calloc(overview->count + 1, sizeof(*tracks)));
    model->in_flight = 0;
    for (size_t i = 0; i < overview->count; i++) {
        const struct overview_endpoint *at = &overview->endpoints[i];
        const struct top_counters counters = {now, at->tried, at->errors, at->first};
        find_track(model, at->name->info.name, &tracks[i]);
        top_track_feed(&tracks[i], &counters);
        sum.tried += at->tried;
        sum.errors += at->errors;
        add_first(&sum.first, &at->first);
        model->in_flight += at->in_flight;
    }
    top_track_feed(&model->total, &sum);
    free(model->tracks);
    top_reading_fini(&model->reading);
    model->tracks = tracks;
    model->reading = *reading;
    *reading = (struct top_reading){0};
}

void top_model_afresh(struct top_model *model)
{
    for (size_t i = 0; i < model->reading.overview.count; i++)
        model->tracks[i].afresh = true;
    model->total.afresh = true;
}

const char *top_sort_name(enum top_sort sort)
{
    static const char *const names[TOP_SORTS] = {"name", "state", "rate", "errors", "latency"};
    return names[sort];
}

static bool holds(const char *text, const char *word)
{
    return strcasestr(text, word) != NULL;
}

static bool passes(const struct top_model *model, size_t endpoint, const char *filter)
{
    const struct overview_endpoint *at = &model->reading.overview.endpoints[endpoint];
    if (!filter[0] || holds(at->name->info.name, filter) || holds(state_name(at->state.kind), filter) ||
        holds(at->state.reason, filter) || holds(model->reading.extras[endpoint].account, filter))
        return true;
    for (size_t i = 0; i < at->model_count; i++)
        if (holds(at->models[i].name, filter))
            return true;
    return false;
}

struct sorting {
    const struct top_model *model;
    enum top_sort sort;
};

static double weight(const struct sorting *sorting, size_t endpoint)
{
    const struct top_track *track = &sorting->model->tracks[endpoint];
    switch (sorting->sort) {
    case TOP_BY_STATE:
        return sorting->model->reading.overview.endpoints[endpoint].state.kind;
    case TOP_BY_RATE:
        return track->rate;
    case TOP_BY_ERRORS:
        return track->error_rate;
    case TOP_BY_LATENCY:
        return top_track_first_ms(track, MEDIAN);
    default:
        return 0;
    }
}

static int compare(const void *left, const void *right, void *context)
{
    const struct sorting *sorting = context;
    size_t a = *(const size_t *)left, b = *(const size_t *)right;
    double of_a = weight(sorting, a), of_b = weight(sorting, b);
    if (of_a != of_b)
        return of_a > of_b ? -1 : 1;
    const struct overview_endpoint *endpoints = sorting->model->reading.overview.endpoints;
    return strcmp(endpoints[a].name->info.name, endpoints[b].name->info.name);
}

size_t top_model_order(const struct top_model *model, enum top_sort sort, const char *filter, size_t *order)
{
    struct sorting sorting = {model, sort};
    size_t count = 0;
    for (size_t i = 0; i < model->reading.overview.count; i++)
        if (passes(model, i, filter))
            order[count++] = i;
    qsort_r(order, count, sizeof(order[0]), compare, &sorting);
    return count;
}
