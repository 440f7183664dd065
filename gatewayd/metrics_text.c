/*
 * The text format of Prometheus, version 0.0.4. Sums of times are written from whole microseconds, digit by digit:
 * through a double they would stop growing evenly once they are large.
 */

#include "gatewayd/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>

enum { US_PER_S = 1000000, US_PER_MS = 1000, UNITS_PER_S = 16000 };

static void put(struct metrics_page *page, struct str text)
{
    if (page->rc == 0)
        page->rc = buf_add_str(page->out, text);
}

static void __attribute__((format(printf, 2, 3))) putf(struct metrics_page *page, const char *format, ...)
{
    va_list args;
    if (page->rc != 0)
        return;
    va_start(args, format);
    page->rc = buf_vaddf(page->out, format, args);
    va_end(args);
}

void metrics_family(struct metrics_page *page, const char *name, const char *type, const char *help)
{
    putf(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_value(struct metrics_page *page, const char *value)
{
    for (const char *at = value; *at; at++) {
        size_t plain = strcspn(at, "\\\"\n");
        put(page, (struct str){at, plain});
        at += plain;
        if (!*at)
            return;
        put(page, *at == '\n' ? STR("\\n") : *at == '"' ? STR("\\\"") : STR("\\\\"));
    }
}

/* The name and the labels, up to the blank before the value. */
static void begin(struct metrics_page *page, const char *name, const char *suffix, const struct metrics_label *labels)
{
    putf(page, "%s%s", name, suffix);
    for (size_t i = 0; labels[i].name; i++) {
        putf(page, "%s%s=\"", i ? "," : "{", labels[i].name);
        put_value(page, labels[i].value);
        put(page, STR("\""));
    }
    put(page, labels[0].name ? STR("} ") : STR(" "));
}

static void put_count(struct metrics_page *page, uint64_t value)
{
    putf(page, "%" PRIu64 "\n", value);
}

static void put_seconds(struct metrics_page *page, uint64_t us)
{
    putf(page, "%" PRIu64 ".%06" PRIu64 "\n", us / US_PER_S, us % US_PER_S);
}

void metrics_count(struct metrics_page *page, const char *name, const struct metrics_label *labels, uint64_t value)
{
    begin(page, name, "", labels);
    put_count(page, value);
}

void metrics_seconds(struct metrics_page *page, const char *name, const struct metrics_label *labels, uint64_t us)
{
    begin(page, name, "", labels);
    put_seconds(page, us);
}

/* The first bucket that is not below this end. Numbers of things are inside their bucket, times begin one. */
static uint32_t bucket_after(const struct metrics_scale *scale, uint32_t end)
{
    if (scale->things)
        return gws_latency_bucket((uint64_t)end * US_PER_MS) + 1;
    return gws_latency_bucket(((uint64_t)end * US_PER_S + UNITS_PER_S - 1) / UNITS_PER_S);
}

void metrics_histogram(struct metrics_page *page, const char *name, struct metrics_label label,
                       const struct metrics_scale *scale, const struct gws_latency_counts *counts)
{
    uint64_t below = 0;
    uint32_t bucket = 0;
    char le[32];
    struct metrics_label labels[METRICS_LABELS + 1] = {label};
    struct metrics_label *last = &labels[label.name != NULL];
    *last = (struct metrics_label){"le", le};
    for (size_t i = 0; i < scale->count; i++) {
        for (uint32_t after = bucket_after(scale, scale->ends[i]); bucket < after; bucket++)
            below += counts->buckets[bucket];
        snprintf(le, sizeof le, "%.10g", scale->things ? scale->ends[i] : scale->ends[i] / (double)UNITS_PER_S);
        begin(page, name, "_bucket", labels);
        put_count(page, below);
    }
    last->value = "+Inf";
    begin(page, name, "_bucket", labels);
    put_count(page, counts->count);
    *last = (struct metrics_label){NULL, NULL};
    begin(page, name, "_sum", labels);
    if (scale->things)
        put_count(page, counts->sum_us / US_PER_MS);
    else
        put_seconds(page, counts->sum_us);
    begin(page, name, "_count", labels);
    put_count(page, counts->count);
}
