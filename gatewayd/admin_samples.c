/*
 * Columns instead of one object a sample: an hour of twenty endpoints is a hundred kilobytes this way, and what draws
 * a line wants a column anyway. An endpoint that has been gone for the whole hour is forgotten.
 */

#include "gatewayd/admin_samples.h"

#include <errno.h>
#include <stdlib.h>

#include "gatewayd/show.h"

static size_t slot_now(const struct admin_samples *samples)
{
    return (samples->taken - 1) % ADMIN_SAMPLES;
}

static const struct admin_point no_point = {-1, -1, -1, -1, -1};

void admin_samples_begin(struct admin_samples *samples, uint64_t real_ms)
{
    samples->taken++;
    samples->times[slot_now(samples)] = real_ms;
    for (size_t i = 0; i < samples->count; i++)
        samples->list[i]->seen = false;
}

static struct admin_series *find(struct admin_samples *samples, const char *name)
{
    for (size_t i = 0; i < samples->count; i++)
        if (strcmp(samples->list[i]->name, name) == 0)
            return samples->list[i];
    if (samples->count == ADMIN_SAMPLED_MAX)
        return NULL;
    struct admin_series *series = show_must(calloc(1, sizeof *series));
    samples->list = show_must(realloc(samples->list, (samples->count + 1) * sizeof *samples->list));
    samples->list[samples->count++] = series;
    strncpy(series->name, name, sizeof series->name - 1);
    for (size_t i = 0; i < ADMIN_SAMPLES; i++)
        series->points[i] = no_point;
    return series;
}

static float ms_of(const struct gws_latency_counts *counts, uint32_t share)
{
    return counts->count > 0 ? (float)gws_latency_quantile(counts, share) / 1000 : -1;
}

/* What happened between two readings that lie so long apart; nothing is known when the clock was set back meanwhile. */
static struct admin_point difference(const struct admin_reading *now, const struct admin_reading *before, int64_t ms)
{
    struct admin_point point = no_point;
    struct gws_latency_counts first = now->first;
    if (ms <= 0 || now->tried < before->tried || now->errors < before->errors)
        return point;
    uint64_t tried = now->tried - before->tried, errors = now->errors - before->errors;
    gws_latency_since(&first, &before->first);
    point.rps = (float)tried * 1000 / (float)ms;
    if (tried > 0)
        point.error_rate = (float)errors / (float)tried;
    point.p50 = ms_of(&first, OVERVIEW_MEDIAN);
    point.p99 = ms_of(&first, OVERVIEW_SLOWEST);
    return point;
}

void admin_samples_add(struct admin_samples *samples, const char *name, const struct admin_reading *reading)
{
    struct admin_series *series = find(samples, name);
    if (!series)
        return;
    size_t at = slot_now(samples), before = (at + ADMIN_SAMPLES - 1) % ADMIN_SAMPLES;
    struct admin_point *point = &series->points[at];
    *point = no_point;
    if (series->known)
        *point = difference(reading, &series->last, (int64_t)(samples->times[at] - samples->times[before]));
    point->state = (int8_t)reading->state;
    series->last = *reading;
    series->known = series->seen = true;
    series->absent = 0;
}

void admin_samples_end(struct admin_samples *samples)
{
    for (size_t i = samples->count; i-- > 0;) {
        struct admin_series *series = samples->list[i];
        if (series->seen)
            continue;
        series->points[slot_now(samples)] = no_point;
        series->known = false;
        if (++series->absent < ADMIN_SAMPLES)
            continue;
        free(series);
        memmove(&samples->list[i], &samples->list[i + 1], (samples->count - i - 1) * sizeof *samples->list);
        samples->count--;
    }
}

void admin_samples_take(struct admin_samples *samples, const struct overview *overview, uint64_t real_ms)
{
    admin_samples_begin(samples, real_ms);
    for (size_t i = 0; i < overview->count; i++) {
        const struct overview_endpoint *endpoint = &overview->endpoints[i];
        struct admin_reading reading = {endpoint->tried, endpoint->errors, endpoint->state.kind, endpoint->first};
        admin_samples_add(samples, endpoint->name->info.name, &reading);
    }
    admin_samples_end(samples);
}

enum column { RPS, ERROR_RATE, P50, P99, STATE };

static int add_value(struct buf *out, const struct admin_point *point, enum column column)
{
    const float values[] = {[RPS] = point->rps, [ERROR_RATE] = point->error_rate, [P50] = point->p50,
                            [P99] = point->p99};
    if (column == STATE && point->state >= 0)
        return buf_addf(out, "\"%s\"", state_name((enum state_kind)point->state));
    if (column == STATE || values[column] < 0)
        return buf_add_str(out, STR("null"));
    return buf_addf(out, "%.4g", (double)values[column]);
}

static size_t oldest(const struct admin_samples *samples)
{
    return samples->taken > ADMIN_SAMPLES ? samples->taken - ADMIN_SAMPLES : 0;
}

/* The first that is to be told. */
static size_t first_since(const struct admin_samples *samples, uint64_t since_ms)
{
    size_t first = oldest(samples), n = samples->taken;
    if (n == 0 || samples->times[slot_now(samples)] < since_ms)
        return first;
    while (n > first && samples->times[(n - 1) % ADMIN_SAMPLES] > since_ms)
        n--;
    return n;
}

static int add_column(struct buf *out, const struct admin_samples *samples, const struct admin_series *series,
                      size_t first, const char *lead, enum column column)
{
    int rc = buf_add_str(out, str_of(lead));
    for (size_t n = first; rc == 0 && n < samples->taken; n++) {
        rc = n > first ? buf_add_str(out, STR(",")) : 0;
        if (rc == 0)
            rc = add_value(out, &series->points[n % ADMIN_SAMPLES], column);
    }
    return rc;
}

static int add_series(struct buf *out, const struct admin_samples *samples, const struct admin_series *series,
                      size_t first)
{
    static const char *const leads[] = {[RPS] = "\",\"rps\":[", [ERROR_RATE] = "],\"error_rate\":[",
                                        [P50] = "],\"first_token_ms\":{\"p50\":[", [P99] = "],\"p99\":[",
                                        [STATE] = "]},\"state\":["};
    int rc = buf_add_str(out, STR("{\"name\":\""));
    if (rc == 0)
        rc = buf_add_json(out, str_of(series->name));
    for (enum column column = RPS; rc == 0 && column <= STATE; column++)
        rc = add_column(out, samples, series, first, leads[column], column);
    return rc ? rc : buf_add_str(out, STR("]}"));
}

int admin_samples_json(const struct admin_samples *samples, uint64_t since_ms, struct buf *out)
{
    size_t first = first_since(samples, since_ms);
    int rc = buf_addf(out, "{\"interval_ms\":%d,\"times\":[", ADMIN_SAMPLE_MS);
    for (size_t n = first; rc == 0 && n < samples->taken; n++)
        rc = buf_addf(out, "%s%llu", n > first ? "," : "",
                      (unsigned long long)samples->times[n % ADMIN_SAMPLES]);
    if (rc == 0)
        rc = buf_add_str(out, STR("],\"endpoints\":["));
    for (size_t i = 0; rc == 0 && i < samples->count; i++) {
        rc = i > 0 ? buf_add_str(out, STR(",")) : 0;
        if (rc == 0)
            rc = add_series(out, samples, samples->list[i], first);
    }
    return rc ? rc : buf_add_str(out, STR("]}\n"));
}

void admin_samples_fini(struct admin_samples *samples)
{
    for (size_t i = 0; i < samples->count; i++)
        free(samples->list[i]);
    free(samples->list);
    *samples = (struct admin_samples){0};
}
