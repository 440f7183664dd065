/*
 * One function for each family, called in the order in which they are written; what they show is read once, before.
 * A label takes few values: endpoints, models and limits of the configuration in force, and words from the tables here.
 */

#include "gatewayd/metrics.h"

#include <stdlib.h>

#include "gatewayd/metrics_text.h"
#include "gatewayd/overview.h"
#include "gatewayd/show.h"
#include "libshm/budget.h"
#include "libshm/clock.h"
#include "libshm/count.h"
#include "libshm/limit.h"
#include "libshm/measure.h"
#include "libshm/quota.h"
#include "libshm/series.h"
#include "libshm/slot.h"

enum { STATES = STATE_DRAINED + 1, MODES = 4 };

/* 1/16 ms. */
static const uint32_t long_ends[] = {64,    128,   256,   512,   1024,   1536,   2048,   3072,   4096,
                                     6144,  8192,  12288, 16384, 24576,  32768,  49152,  65536,  98304,
                                     131072, 196608, 262144, 524288, 1048576, 2097152, 4194304, 8388608};
static const uint32_t short_ends[] = {1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256, 1024, 16384};
static const uint32_t tries_ends[] = {1, 2, 3, 4, 5, 6, 8, 10, 15};

#define SCALE(ends, things) {ends, sizeof(ends) / sizeof *(ends), things}
static const struct metrics_scale long_times = SCALE(long_ends, false), short_times = SCALE(short_ends, false),
                                  tries = SCALE(tries_ends, true);

struct scrape {
    struct metrics_page page;
    const struct gws_region *region;
    struct overview overview;
    uint64_t counts[GWS_COUNTS];
};

static const char *name_of(const struct overview_endpoint *endpoint)
{
    return endpoint->name->info.name;
}

/* The pairs: every other row of the overview's names. */
static bool is_pair(const struct names_row *row)
{
    return row->info.kind == GWS_KIND_PAIR;
}

static void write_requests(struct scrape *s)
{
    static const char *const statuses[GWS_ENDINGS] = {"ok",      "refused", "limited", "server",
                                                      "invalid", "silent",  "lost",    "left"};
    const char *family = "gatewayd_requests_total";
    metrics_family(&s->page, family, "counter",
                   "Tries sent upstream, by how they ended: ok, refused (a 4xx of the request's own), limited (429, "
                   "quota, credential), server (5xx), invalid (a success without an answer), silent, lost, left (the "
                   "client).");
    for (size_t i = 0; i < s->overview.names.count; i++) {
        const struct names_row *row = &s->overview.names.rows[i];
        uint64_t ended[GWS_ENDINGS];
        if (!is_pair(row))
            continue;
        gws_series_read(s->region, row->row, ended);
        for (int e = 0; e < GWS_ENDINGS; e++)
            metrics_count(&s->page, family, METRICS_LABELS_OF({"endpoint", row->info.name}, {"model", row->info.model},
                                                              {"status", statuses[e]}), ended[e]);
    }
}

static void write_client_requests(struct scrape *s)
{
    static const struct {
        const char *status;
        enum gws_count count;
    } kinds[] = {{"2xx", GWS_COUNT_ANSWERED_2XX}, {"3xx", GWS_COUNT_ANSWERED_3XX}, {"4xx", GWS_COUNT_ANSWERED_4XX},
                 {"5xx", GWS_COUNT_ANSWERED_5XX}, {"aborted", GWS_COUNT_ABORTED}};
    const char *family = "gatewayd_client_requests_total";
    metrics_family(&s->page, family, "counter",
                   "Requests of clients, by the status they were answered with; an answer that broke off is a 5xx, "
                   "aborted is a client that left or did not read.");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        metrics_count(&s->page, family, METRICS_LABELS_OF({"client", "anonymous"}, {"status", kinds[i].status}),
                      s->counts[kinds[i].count]);
}

static void write_times(struct scrape *s)
{
    metrics_family(&s->page, "gatewayd_request_seconds", "histogram",
                   "How long whole answers of an endpoint took, from the sending of the request to the last byte.");
    for (size_t i = 0; i < s->overview.count; i++) {
        const struct overview_endpoint *e = &s->overview.endpoints[i];
        struct gws_latency_counts total;
        gws_latency_read(s->region, e->name->info.endpoint, GWS_LATENCY_TOTAL, &total);
        metrics_histogram(&s->page, "gatewayd_request_seconds", (struct metrics_label){"endpoint", name_of(e)},
                          &long_times, &total);
    }
    metrics_family(&s->page, "gatewayd_first_token_seconds", "histogram",
                   "How long streams of an endpoint took to their first content.");
    for (size_t i = 0; i < s->overview.count; i++) {
        const struct overview_endpoint *e = &s->overview.endpoints[i];
        metrics_histogram(&s->page, "gatewayd_first_token_seconds", (struct metrics_label){"endpoint", name_of(e)},
                          &long_times, &e->first);
    }
}

static void write_efforts(struct scrape *s)
{
    const struct metrics_label none = {NULL, NULL};
    struct gws_latency_counts counts;
    metrics_family(&s->page, "gatewayd_overhead_seconds", "histogram",
                   "Time that a relayed request spent neither upstream nor waiting for an endpoint.");
    gws_measure_read(s->region, GWS_MEASURE_OVERHEAD, &counts);
    metrics_histogram(&s->page, "gatewayd_overhead_seconds", none, &short_times, &counts);
    metrics_family(&s->page, "gatewayd_attempts", "histogram", "Tries that a relayed request took.");
    gws_measure_read(s->region, GWS_MEASURE_ATTEMPTS, &counts);
    metrics_histogram(&s->page, "gatewayd_attempts", none, &tries, &counts);
}

static void write_retries(struct scrape *s)
{
    static const char *const reasons[GWS_REPEATS] = {"failover", "retry", "replay", "hedge"};
    metrics_family(&s->page, "gatewayd_retries_total", "counter",
                   "Tries beyond a request's first, by who was asked and why: failover (another endpoint failed), "
                   "retry (this one did), replay (for the rest of a broken stream), hedge (another one is slow).");
    for (size_t i = 0; i < s->overview.count; i++) {
        const struct overview_endpoint *e = &s->overview.endpoints[i];
        uint64_t repeats[GWS_REPEATS];
        gws_series_repeats(s->region, e->name->row, repeats);
        for (int r = 0; r < GWS_REPEATS; r++)
            metrics_count(&s->page, "gatewayd_retries_total",
                          METRICS_LABELS_OF({"endpoint", name_of(e)}, {"reason", reasons[r]}), repeats[r]);
    }
}

static void write_states(struct scrape *s)
{
    metrics_family(&s->page, "gatewayd_endpoint_state", "gauge",
                   "1 for the state an endpoint is in, 0 for the others.");
    for (size_t i = 0; i < s->overview.count; i++) {
        const struct overview_endpoint *e = &s->overview.endpoints[i];
        for (int state = 0; state < STATES; state++)
            metrics_count(&s->page, "gatewayd_endpoint_state",
                          METRICS_LABELS_OF({"endpoint", name_of(e)}, {"state", state_name((enum state_kind)state)}),
                          (int)e->state.kind == state);
    }
    metrics_family(&s->page, "gatewayd_cooldown_seconds", "gauge",
                   "How long an endpoint that is cooling or exhausted stays so; 0 when it is neither.");
    for (size_t i = 0; i < s->overview.count; i++) {
        const struct overview_endpoint *e = &s->overview.endpoints[i];
        bool cools = e->state.kind == STATE_COOLING || e->state.kind == STATE_EXHAUSTED;
        metrics_seconds(&s->page, "gatewayd_cooldown_seconds", METRICS_LABELS_OF({"endpoint", name_of(e)}),
                        cools ? e->state.until_ms * 1000 : 0);
    }
    metrics_family(&s->page, "gatewayd_in_flight", "gauge", "Requests that an endpoint is being asked now.");
    for (size_t i = 0; i < s->overview.count; i++) {
        const struct overview_endpoint *e = &s->overview.endpoints[i];
        metrics_count(&s->page, "gatewayd_in_flight", METRICS_LABELS_OF({"endpoint", name_of(e)}), e->in_flight);
    }
}

/* A model on an endpoint, and when it last answered. */
struct serving {
    const struct gws_name_info *info;
    uint64_t at;
};

static int by_model_newest_first(const void *left, const void *right)
{
    const struct serving *a = left, *b = right;
    int order = strcmp(a->info->model, b->info->model);
    return order ? order : (a->at < b->at) - (a->at > b->at);
}

static void write_active(struct scrape *s)
{
    struct serving *all = show_must(calloc(s->overview.names.count + 1, sizeof *all));
    size_t count = 0;
    for (size_t i = 0; i < s->overview.names.count; i++)
        if (is_pair(&s->overview.names.rows[i]))
            all[count++] = (struct serving){&s->overview.names.rows[i].info,
                                            gws_series_last_answer(s->region, s->overview.names.rows[i].row)};
    qsort(all, count, sizeof *all, by_model_newest_first);
    metrics_family(&s->page, "gatewayd_active_endpoint", "gauge",
                   "1 for the endpoint that gave a model's last good answer, 0 for the others.");
    for (size_t i = 0; i < count; i++) {
        bool newest = i == 0 || strcmp(all[i - 1].info->model, all[i].info->model) != 0;
        metrics_count(&s->page, "gatewayd_active_endpoint",
                      METRICS_LABELS_OF({"model", all[i].info->model}, {"endpoint", all[i].info->name}),
                      newest && all[i].at > 0);
    }
    free(all);
}

static void add_transitions(const struct scrape *s, uint32_t row, uint64_t sums[MODES])
{
    uint64_t own[MODES];
    gws_series_transitions(s->region, row, own);
    for (int mode = 0; mode < MODES; mode++)
        sums[mode] += own[mode];
}

static void write_transitions(struct scrape *s)
{
    static const char *const modes[MODES] = {"closed", "open", "half_open", "forced"};
    metrics_family(&s->page, "gatewayd_breaker_transitions_total", "counter",
                   "How often the breakers of an endpoint and of its models went over to a mode; forced is the "
                   "operator's.");
    for (size_t i = 0; i < s->overview.count; i++) {
        const struct overview_endpoint *e = &s->overview.endpoints[i];
        uint64_t sums[MODES] = {0};
        for (size_t row = 0; row <= e->model_count; row++) /* its models stand behind it */
            add_transitions(s, e->name[row].row, sums);
        for (int mode = 0; mode < MODES; mode++)
            metrics_count(&s->page, "gatewayd_breaker_transitions_total",
                          METRICS_LABELS_OF({"endpoint", name_of(e)}, {"to", modes[mode]}), sums[mode]);
    }
}

static void write_rejection(struct scrape *s, struct gws_name_info *info, uint64_t refusals)
{
    if (!gws_name_current(s->region, info))
        return;
    show_clean(info->name);
    metrics_count(&s->page, "gatewayd_limit_rejections_total", METRICS_LABELS_OF({"limit", info->name}), refusals);
}

static void write_rejections(struct scrape *s)
{
    struct gws_name_info info;
    metrics_family(&s->page, "gatewayd_limit_rejections_total", "counter",
                   "How often a limit of the gateway's own kept a request from an endpoint, which others may have "
                   "served.");
    for (uint32_t row = 0; row < s->region->dims.limits; row++)
        if (gws_name_limit_read(s->region, row, &info))
            write_rejection(s, &info, gws_limit_refusals(s->region, row));
    for (uint32_t row = 0; row < s->region->dims.quotas; row++)
        if (gws_name_quota_read(s->region, row, &info))
            write_rejection(s, &info, gws_quota_refusals(s->region, row));
}

static uint64_t restarts(const struct gws_region *region)
{
    uint64_t sum = 0;
    for (uint32_t slot = 0; slot < region->dims.slots; slot++) {
        struct gws_slot_info info;
        gws_slot_read(region, (int)slot, &info);
        sum += info.restarts;
    }
    return sum;
}

static void write_count(struct scrape *s, const char *name, const char *help, enum gws_count what)
{
    metrics_family(&s->page, name, "counter", help);
    metrics_count(&s->page, name, METRICS_NO_LABELS, s->counts[what]);
}

static void write_gateway(struct scrape *s)
{
    const char *rescues = "gatewayd_rescues_total";
    metrics_family(&s->page, "gatewayd_workers", "gauge", "Workers that live.");
    metrics_count(&s->page, "gatewayd_workers", METRICS_NO_LABELS, s->overview.workers);
    metrics_family(&s->page, "gatewayd_parked", "gauge", "Requests that wait for an endpoint.");
    metrics_count(&s->page, "gatewayd_parked", METRICS_NO_LABELS, s->overview.parked);
    metrics_family(&s->page, rescues, "counter",
                   "Streams that broke off, by what became of them: rescued by another answer, or cut because the "
                   "other answer differed, or because nobody had one (failed).");
    metrics_count(&s->page, rescues, METRICS_LABELS_OF({"result", "rescued"}), s->counts[GWS_COUNT_RESCUED]);
    metrics_count(&s->page, rescues, METRICS_LABELS_OF({"result", "differed"}), s->counts[GWS_COUNT_RESCUE_DIFFERED]);
    metrics_count(&s->page, rescues, METRICS_LABELS_OF({"result", "failed"}), s->counts[GWS_COUNT_RESCUE_FAILED]);
    write_count(s, "gatewayd_queue_full_total", "Requests that found no room to wait in.", GWS_COUNT_QUEUE_FULL);
    write_count(s, "gatewayd_hedges_won_total", "Answers by the second of two tries.", GWS_COUNT_HEDGES_WON);
    write_count(s, "gatewayd_dropped_events_total", "Events of streams that were no JSON, and were left out.",
                GWS_COUNT_DROPPED);
    metrics_family(&s->page, "gatewayd_worker_restarts_total", "counter",
                   "Processes that died without being asked to end.");
    metrics_count(&s->page, "gatewayd_worker_restarts_total", METRICS_NO_LABELS, restarts(s->region));
    metrics_family(&s->page, "gatewayd_build_info", "gauge", "1, with the version as a label.");
    metrics_count(&s->page, "gatewayd_build_info", METRICS_LABELS_OF({"version", GATEWAYD_VERSION}), 1);
}

int metrics_write(struct gws_region *region, const char *path, struct buf *out)
{
    size_t before = buf_len(out);
    struct scrape s = {.page = {.out = out}, .region = region};
    overview_read(&s.overview, region, path, gws_clock_ms(region));
    gws_count_read(region, s.counts);
    write_requests(&s);
    write_client_requests(&s);
    write_times(&s);
    write_efforts(&s);
    write_retries(&s);
    write_states(&s);
    write_active(&s);
    write_transitions(&s);
    write_rejections(&s);
    write_gateway(&s);
    overview_fini(&s.overview);
    if (s.page.rc != 0)
        out->end = out->start + before;
    return s.page.rc;
}
