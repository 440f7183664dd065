#include "tests/tools/top_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatewayd/show.h"

enum { NOON_MS = 12 * 3600 * 1000, ROOM = 1000 };

static void name_row(struct names_row *row, enum gws_kind kind, const char *name, const char *model)
{
    *row = (struct names_row){.info = {.kind = kind}};
    snprintf(row->info.name, sizeof(row->info.name), "%s", name);
    snprintf(row->info.model, sizeof(row->info.model), "%s", model);
    snprintf(row->label, sizeof(row->label), "%s%s%s", name, model[0] ? "/" : "", model);
}

static void add(struct top_reading *reading, const struct sample *sample)
{
    struct overview *overview = &reading->overview;
    size_t first = overview->names.count, models = 0;
    for (; models < 3 && sample->models[models]; models++) {
        name_row(&overview->names.rows[first + 1 + models], GWS_KIND_PAIR, sample->name, sample->models[models]);
        overview->domains[first + 1 + models].name = sample->models[models];
    }
    name_row(&overview->names.rows[first], GWS_KIND_ENDPOINT, sample->name, "");
    overview->names.count += 1 + models;

    struct overview_endpoint *at = &overview->endpoints[overview->count];
    *at = (struct overview_endpoint){.name = &overview->names.rows[first],
                                     .models = &overview->domains[first + 1],
                                     .model_count = models,
                                     .in_flight = sample->in_flight,
                                     .limit = 20,
                                     .tried = sample->tried,
                                     .errors = sample->errors,
                                     .state = {.kind = sample->kind}};
    snprintf(at->state.reason, sizeof(at->state.reason), "%s", sample->reason ? sample->reason : "");
    at->first.count = at->first.buckets[gws_latency_bucket(sample->first_us)] = sample->firsts;
    struct top_extra *extra = &reading->extras[overview->count++];
    snprintf(extra->account, sizeof(extra->account), "%s", sample->account ? sample->account : "");
    extra->cooldown.name = sample->account_cools ? "exhausted" : "not_cooling";
    snprintf(extra->cooldown.text, sizeof(extra->cooldown.text), "%s",
             sample->account_cools ? "exhausted 10m00s (quota)" : "not cooling");
    overview->usable += state_usable(sample->kind);
}

struct top_reading support_reading(const struct sample *samples, size_t count)
{
    struct top_reading reading = {.real_ms = NOON_MS};
    struct overview *overview = &reading.overview;
    overview->workers = 4;
    overview->master = 4711;
    overview->generation = 2;
    overview->now = 60000;
    overview->names.rows = show_must(calloc(count * 4 + 1, sizeof(*overview->names.rows)));
    overview->domains = show_must(calloc(count * 4 + 1, sizeof(*overview->domains)));
    overview->endpoints = show_must(calloc(count + 1, sizeof(*overview->endpoints)));
    reading.windows = show_must(calloc(count * 4 + 1, sizeof(*reading.windows)));
    reading.evidence = show_must(calloc(count * 4 + 1, sizeof(*reading.evidence)));
    reading.extras = show_must(calloc(count + 1, sizeof(*reading.extras)));
    reading.events = show_must(calloc(ROOM, sizeof(*reading.events)));
    for (size_t i = 0; i < count; i++)
        add(&reading, &samples[i]);
    overview->serving = overview->usable > 0;
    return reading;
}

void support_event(struct top_reading *reading, const char *kind, const char *label, const char *from, const char *to,
                   const char *change)
{
    if (reading->event_count == ROOM)
        return;
    memmove(reading->events + 1, reading->events, reading->event_count * sizeof(reading->events[0]));
    struct top_event *event = &reading->events[0];
    *event = (struct top_event){.time = times_iso(NOON_MS + reading->event_count++ * 1000), .kind = kind, .from = from,
                                .to = to};
    snprintf(event->label.text, sizeof(event->label.text), "%s", label);
    snprintf(event->endpoint, sizeof(event->endpoint), "%.*s", (int)strcspn(label, "/"), label);
    snprintf(event->by.text, sizeof(event->by.text), "worker 1");
    snprintf(event->change.text, sizeof(event->change.text), "%s", change);
}
