/*
 * Every word is read once and everything shown is derived from that reading, so that a line never contradicts itself;
 * two lines may be microseconds apart, which nobody can see.
 */

#include "gatewayd/overview.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libshm/adapt.h"
#include "libshm/gate.h"
#include "libshm/order.h"
#include "gatewayd/history.h"
#include "gatewayd/roster.h"
#include "gatewayd/show.h"
#include "libshm/budget.h"

struct state_domain overview_domain(const struct gws_region *region, struct history_trips *trips,
                                    const struct names_row *name)
{
    struct state_domain domain = {
        .name = name->info.kind == GWS_KIND_PAIR ? name->info.model : name->info.name,
        .breaker = gws_breaker_view(gws_breaker_word(region, name->row)),
        .cooldown = gws_cooldown_view(gws_cooldown_word(region, name->row)),
    };
    if (domain.breaker.mode == GWS_OPEN && domain.breaker.reason == GWS_TRIP_FAILURES)
        domain.tripped_by = history_tripped_by(region, trips, name->row);
    if (domain.breaker.mode == GWS_OPEN &&
        (domain.breaker.reason == GWS_TRIP_RATE || domain.breaker.reason == GWS_TRIP_SLOW))
        domain.tripped_on = history_tripped_on(region, trips, name->row);
    return domain;
}

/* The account an endpoint belongs to; false when the region does not say. */
static bool read_account(const struct gws_region *region, uint32_t row, struct gws_name_info *info,
                         struct state_domain *account)
{
    if (!gws_name_domain_read(region, row, info) || info->kind != GWS_KIND_ACCOUNT)
        return false;
    show_clean(info->name);
    *account = (struct state_domain){
        .name = info->name,
        .breaker = gws_breaker_view(gws_breaker_word(region, row)),
        .cooldown = gws_cooldown_view(gws_cooldown_word(region, row)),
    };
    return true;
}

/*
 * The tries of the last minute. An endpoint's own window counts as failed only what never reached it; an answer that is
 * an error counts there as a sign of life and in the model's window as failed. So the failures add up, while of the
 * tries each window leaves out some that the other has, and the larger number is the better one.
 */
static struct gws_window_totals read_window(const struct gws_region *region, const struct names_row *rows, size_t count,
                                            uint64_t now)
{
    struct gws_window_totals window = gws_window_read(region, rows[0].row, now);
    uint32_t of_models = window.failed;
    for (size_t i = 1; i < count; i++) {
        struct gws_window_totals model = gws_window_read(region, rows[i].row, now);
        of_models += model.total;
        window.failed += model.failed;
        window.slow += model.slow;
    }
    if (of_models > window.total)
        window.total = of_models;
    return window;
}

/* What its bulkhead admits now: the configured number, or what overload has left of it. */
static uint64_t limit_now(const struct gws_region *region, const struct names_row *name)
{
    const struct gws_adapt_rules rules = {.max = name->info.max_concurrent};
    return gws_adapt_limit(region, name->row, &rules);
}

static void read_endpoint(struct overview *overview, const struct gws_region *region, size_t first, size_t end)
{
    const struct names_row *name = &overview->names.rows[first];
    struct overview_endpoint *endpoint = &overview->endpoints[overview->count++];
    uint64_t counts[GWS_STATS] = {0};
    struct gws_name_info account_name;
    struct state_domain account;
    bool has_account = read_account(region, name->info.parent, &account_name, &account);

    for (size_t i = first; i < end; i++)
        overview->domains[i] = overview_domain(region, &overview->trips, &overview->names.rows[i]);
    gws_stat_read(region, name->info.endpoint, counts);
    *endpoint = (struct overview_endpoint){
        .name = name,
        .own = overview->domains[first],
        .models = &overview->domains[first + 1],
        .model_count = end - first - 1,
        .in_flight = gws_gate_sum(region, name->info.endpoint),
        .limit = limit_now(region, name),
        .tried = counts[GWS_STAT_OK] + counts[GWS_STAT_FAILED] + counts[GWS_STAT_THROTTLED] + counts[GWS_STAT_REFUSED],
        .errors = counts[GWS_STAT_FAILED] + counts[GWS_STAT_THROTTLED],
        .last_ok = counts[GWS_STAT_LAST_OK],
        .window = read_window(region, name, end - first, overview->now),
    };
    if (has_account) {
        snprintf(endpoint->account, sizeof(endpoint->account), "%s", account.name);
        endpoint->owed = state_of_domain(&account, overview->now);
    }
    gws_latency_read(region, name->info.endpoint, GWS_LATENCY_FIRST, &endpoint->first);
    /* An empty window is an idle endpoint, unless a success of the same minute says that nobody fills it. */
    endpoint->windowed = endpoint->window.total > 0 || endpoint->last_ok == 0 ||
                         endpoint->last_ok + endpoint->window.span_ms < overview->now;
    endpoint->state = state_of_endpoint(gws_order_drained(region, name->row), &endpoint->own,
                                        has_account ? &account : NULL, endpoint->models, endpoint->model_count,
                                        overview->now);
    overview->usable += state_usable(endpoint->state.kind);
    overview->tried += endpoint->tried;
    overview->errors += endpoint->errors;
}

double overview_error_rate(const struct overview_endpoint *endpoint)
{
    if (endpoint->window.total > 0)
        return (double)endpoint->window.failed / endpoint->window.total;
    return endpoint->tried > 0 ? (double)endpoint->errors / (double)endpoint->tried : -1;
}

/* A region that was just made has a window of milliseconds, of which no rate should be told. */
double overview_rate(const struct overview_endpoint *endpoint)
{
    uint32_t span_ms = endpoint->window.span_ms < 1000 ? 1000 : endpoint->window.span_ms;
    return endpoint->windowed ? endpoint->window.total * 1000.0 / span_ms : -1;
}

void overview_read(struct overview *overview, const struct gws_region *region, const char *path, uint64_t now)
{
    *overview = (struct overview){.now = now};
    names_load(&overview->names, region);
    (void)names_select(&overview->names, NULL, NAMES_ENDPOINTS | NAMES_MODELS, NULL, 0);
    size_t count = overview->names.count;
    overview->endpoints = show_must(calloc(count + 1, sizeof(*overview->endpoints)));
    overview->domains = show_must(calloc(count + 1, sizeof(*overview->domains)));

    const struct names_row *rows = overview->names.rows;
    for (size_t first = 0; first < count;) {
        size_t end = first + 1;
        while (end < count && rows[end].info.kind == GWS_KIND_PAIR && rows[end].info.parent == rows[first].row)
            end++;
        /* A model whose endpoint is gone leads a group of its own, and is passed over. */
        if (rows[first].info.kind == GWS_KIND_ENDPOINT)
            read_endpoint(overview, region, first, end);
        first = end;
    }
    overview->workers = roster_workers(region);
    overview->parked = gws_tally_sum(region, GWS_TALLY_PARKED);
    overview->master = roster_master(region, path);
    overview->generation = gws_region_generation(region);
    overview->serving = overview->workers > 0 && overview->usable > 0;
}

void overview_fini(struct overview *overview)
{
    names_fini(&overview->names);
    history_trips_fini(&overview->trips);
    free(overview->endpoints);
    free(overview->domains);
    *overview = (struct overview){0};
}

double overview_success_rate(const struct overview *overview)
{
    uint64_t good = overview->tried - overview->errors;
    return overview->tried > 0 ? (double)good / (double)overview->tried : 1;
}

static size_t models_whose_breaker_is(const struct overview_endpoint *endpoint, const char *name, uint64_t now)
{
    size_t count = 0;
    for (size_t i = 0; i < endpoint->model_count; i++)
        count += strcmp(words_breaker_name(&endpoint->models[i].breaker, now), name) == 0;
    return count;
}

struct words_text overview_breaker(const struct overview_endpoint *endpoint, uint64_t now)
{
    static const struct {
        const char *name, *shown;
    } worst_first[] = {{"forced_open", "held"}, {"open", "open"}, {"half_open", "half_open"}};
    const char *own = words_breaker_name(&endpoint->own.breaker, now);
    struct words_text out = {.name = own};
    size_t count = 0;
    snprintf(out.text, sizeof(out.text), "%s", own);
    if (strcmp(own, "closed") != 0)
        return out;
    for (size_t i = 0; count == 0 && i < sizeof(worst_first) / sizeof(*worst_first); i++) {
        count = models_whose_breaker_is(endpoint, worst_first[i].name, now);
        if (count > 0)
            snprintf(out.text, sizeof(out.text), "%zu model%s %s", count, count == 1 ? "" : "s", worst_first[i].shown);
    }
    return out;
}

struct words_text overview_verdict(const struct overview *overview)
{
    struct words_text out = {.name = NULL};
    if (overview->serving)
        snprintf(out.text, sizeof(out.text), "serving: %zu of %zu endpoints can be tried", overview->usable,
                 overview->count);
    else if (overview->workers == 0)
        snprintf(out.text, sizeof(out.text), "NOT SERVING: %s; %zu of %zu endpoints could be tried",
                 overview->master ? "no workers" : "gatewayd is not running", overview->usable, overview->count);
    else
        snprintf(out.text, sizeof(out.text), "NOT SERVING: none of %zu endpoints can be tried now", overview->count);
    return out;
}

double overview_first_ms(const struct overview_endpoint *endpoint, uint32_t share)
{
    return endpoint->first.count > 0 ? (double)gws_latency_quantile(&endpoint->first, share) / 1000 : -1;
}

uint64_t overview_since(uint64_t then, uint64_t now)
{
    return now > then ? now - then : 0;
}
