/*
 * The events are put into words at once: their names are those of the moment, and the region may be another one when
 * they are shown.
 */

#include "tools/gatewayctl/top_reading.h"

#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/show.h"
#include "libshm/series.h"

static void describe(const struct history_view *view, const struct gws_event *event, struct top_event *out)
{
    struct history_entry entry;
    history_describe(view, event, &entry);
    *out = (struct top_event){.time = times_iso(entry.real_ms),
                              .kind = entry.kind,
                              .label = history_label(&entry),
                              .by = entry.by,
                              .change = history_change(&entry),
                              .from = entry.from.name,
                              .to = entry.to.name};
    if (entry.name.kind == GWS_KIND_ENDPOINT || entry.name.kind == GWS_KIND_PAIR)
        snprintf(out->endpoint, sizeof(out->endpoint), "%s", entry.name.name);
}

static void read_events(struct top_reading *reading, const struct gws_region *region)
{
    struct history_view view = history_view(region);
    struct gws_event *events = history_read(region, NULL, TOP_EVENTS_MAX, NULL, NULL, &reading->event_count);
    reading->events = show_must(calloc(reading->event_count + 1, sizeof(*reading->events)));
    for (size_t i = 0; i < reading->event_count; i++)
        describe(&view, &events[reading->event_count - 1 - i], &reading->events[i]);
    free(events);
}

static struct top_extra read_extra(const struct gws_region *region, const struct overview_endpoint *endpoint,
                                   uint64_t now)
{
    struct top_extra extra = {.account = ""};
    struct gws_name_info account;
    uint32_t row = endpoint->name->info.parent;
    if (!gws_name_domain_read(region, row, &account) || account.kind != GWS_KIND_ACCOUNT)
        return extra;
    snprintf(extra.account, sizeof(extra.account), "%s", account.name);
    extra.cooldown = words_cooldown(gws_cooldown_word(region, row), now);
    return extra;
}

static void read_rows(struct top_reading *reading, const struct gws_region *region, uint64_t now)
{
    const struct names *names = &reading->overview.names;
    reading->windows = show_must(calloc(names->count + 1, sizeof(*reading->windows)));
    reading->evidence = show_must(calloc(names->count + 1, sizeof(*reading->evidence)));
    for (size_t i = 0; i < names->count; i++) {
        reading->windows[i] = gws_window_read(region, names->rows[i].row, now);
        if (!gws_evidence_read(region, names->rows[i].row, &reading->evidence[i]))
            reading->evidence[i] = (struct gws_evidence){.pid = 0};
    }
}

void top_reading_take(struct top_reading *reading, const struct gws_region *region, const char *path, uint64_t now)
{
    *reading = (struct top_reading){.real_ms = gws_region_real_base(region) + now};
    overview_read(&reading->overview, region, path, now);
    const struct overview *overview = &reading->overview;
    read_rows(reading, region, now);
    reading->extras = show_must(calloc(overview->count + 1, sizeof(*reading->extras)));
    for (size_t i = 0; i < overview->count; i++) {
        uint64_t repeats[GWS_REPEATS];
        gws_series_repeats(region, overview->endpoints[i].name->row, repeats);
        reading->retries += repeats[GWS_REPEAT_RETRY];
        reading->extras[i] = read_extra(region, &overview->endpoints[i], now);
    }
    gws_count_read(region, reading->counts);
    read_events(reading, region);
}

void top_reading_fini(struct top_reading *reading)
{
    overview_fini(&reading->overview);
    free(reading->windows);
    free(reading->evidence);
    free(reading->extras);
    free(reading->events);
    *reading = (struct top_reading){0};
}

struct top_rows top_reading_rows(const struct top_reading *reading, size_t endpoint)
{
    const struct overview *overview = &reading->overview;
    const struct overview_endpoint *at = &overview->endpoints[endpoint];
    size_t first = (size_t)(at->name - overview->names.rows);
    return (struct top_rows){at->name, &reading->windows[first], &reading->evidence[first], &overview->domains[first],
                             at->model_count + 1};
}
