/*
 * Two units at most: nobody acts on the seconds of a two-hour wait. Moments are in UTC, so that they can be laid beside
 * the logs of other hosts.
 */

#include "gatewayd/times.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

struct times_text times_span(uint64_t ms)
{
    struct times_text out;
    /* Upwards: a wait that is not over is never "0.0s". */
    uint64_t tenths = ms / 100 + (ms % 100 > 0);
    uint64_t s = ms / 1000 + (ms % 1000 > 0);
    if (tenths < 600)
        snprintf(out.text, sizeof(out.text), "%" PRIu64 ".%" PRIu64 "s", tenths / 10, tenths % 10);
    else if (s < 3600)
        snprintf(out.text, sizeof(out.text), "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out.text, sizeof(out.text), "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(out.text, sizeof(out.text), "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
    return out;
}

/* Three figures are more than a histogram knows. */
struct times_text times_brief(double ms)
{
    struct times_text out;
    if (ms < 10)
        snprintf(out.text, sizeof(out.text), "%.1fms", ms);
    else if (ms < 1000)
        snprintf(out.text, sizeof(out.text), "%.0fms", ms);
    else
        snprintf(out.text, sizeof(out.text), "%.*fs", ms < 99950 ? 1 : 0, ms / 1000);
    return out;
}

struct times_text times_ago(uint64_t ms)
{
    struct times_text out, span = times_span(ms);
    if (ms < 60000)
        snprintf(span.text, sizeof(span.text), "%" PRIu64 "s", ms / 1000);
    snprintf(out.text, sizeof(out.text), "%.50s ago", span.text);
    return out;
}

bool times_parse(struct str text, uint64_t *ms)
{
    static const struct {
        struct str unit;
        uint64_t ms;
    } units[] = {{{"ms", 2}, 1}, {{"s", 1}, 1000}, {{"m", 1}, 60000}, {{"h", 1}, 3600000}, {{"d", 1}, 86400000}};
    const uint64_t longest = UINT64_C(365) * 86400000;
    size_t digits = 0;
    uint64_t number;
    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    if (!str_to_u64((struct str){text.at, digits}, &number))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!str_eq((struct str){text.at + digits, text.len - digits}, units[i].unit))
            continue;
        if (number < 1 || number > longest / units[i].ms)
            return false;
        *ms = number * units[i].ms;
        return true;
    }
    return false;
}

struct times_text times_iso(uint64_t real_ms)
{
    struct times_text out;
    time_t seconds = (time_t)(real_ms / 1000);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm)) {
        snprintf(out.text, sizeof(out.text), "?");
        return out;
    }
    size_t length = strftime(out.text, sizeof(out.text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out.text + length, sizeof(out.text) - length, ".%03uZ", (unsigned)(real_ms % 1000));
    return out;
}
