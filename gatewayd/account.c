#include "gatewayd/account.h"

#include <stdio.h>
#include <sys/time.h>
#include <time.h>

#include "gatewayd/account_text.h"
#include "gatewayd/log.h"
#include "gatewayd/reply.h"
#include "libshm/count.h"
#include "libshm/measure.h"

/* The line is composed in a buffer that stays with the process, so that logging a request allocates nothing. */

static int add_text(struct buf *line, const char *name, struct str value)
{
    if (value.len > ACCOUNT_TEXT_MAX)
        value.len = ACCOUNT_TEXT_MAX;
    int rc = buf_addf(line, ",\"%s\":", name);
    if (rc == 0 && !value.at)
        return buf_add_str(line, STR("null"));
    if (rc == 0)
        rc = buf_add_str(line, STR("\""));
    if (rc == 0)
        rc = buf_add_json(line, value);
    return rc ? rc : buf_add_str(line, STR("\""));
}

/* "2026-01-31T12:00:00.123Z" */
static void put_time(char out[40])
{
    struct timeval now;
    struct tm tm;
    gettimeofday(&now, NULL);
    gmtime_r(&now.tv_sec, &tm);
    size_t len = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, 8, ".%03dZ", (int)(now.tv_usec / 1000));
}

static int add_tries(struct buf *line, const struct account_record *r)
{
    int rc = buf_add_str(line, STR(",\"attempts\":["));
    for (unsigned i = 0; rc == 0 && i < r->attempts && i < ACCOUNT_TRIES; i++) {
        rc = buf_addf(line, "%s{\"endpoint\":\"", i ? "," : "");
        if (rc == 0)
            rc = buf_add_json(line, str_of(r->tries[i].endpoint));
        if (rc == 0)
            rc = buf_addf(line, "\",\"outcome\":\"%s\",\"status\":%d}", classify_name(r->tries[i].outcome),
                          r->tries[i].status);
    }
    return rc ? rc : buf_add_str(line, STR("]"));
}

static int add_usage(struct buf *line, const struct usage *usage)
{
    if (!usage->known)
        return buf_add_str(line, STR(",\"tokens\":null"));
    return buf_addf(line, ",\"tokens\":{\"input\":%llu,\"cached\":%llu,\"output\":%llu}",
                    (unsigned long long)usage->input, (unsigned long long)usage->cached,
                    (unsigned long long)usage->output);
}

static int add_ms(struct buf *line, const char *name, uint64_t us)
{
    int rc = buf_addf(line, ",\"%s\":", name);
    return rc ? rc : reply_add_ms(line, us);
}

static int add_object(struct buf *out, const struct account_record *r, const char *when)
{
    int rc = buf_addf(out, "{\"time\":\"%s\"", when);
    if (rc == 0)
        rc = add_text(out, "id", r->id);
    if (rc == 0)
        rc = add_text(out, "traceparent", r->traceparent);
    if (rc == 0)
        rc = add_text(out, "client", STR("anonymous"));
    if (rc == 0)
        rc = add_text(out, "method", r->method);
    if (rc == 0)
        rc = add_text(out, "path", r->path);
    if (rc == 0)
        rc = add_text(out, "model_asked", r->model_asked);
    if (rc == 0)
        rc = add_text(out, "model_answered", r->model_answered);
    if (rc == 0)
        rc = add_text(out, "endpoint", str_of(r->endpoint));
    if (rc == 0)
        rc = add_tries(out, r);
    if (rc == 0)
        rc = buf_addf(out, ",\"status\":%d,\"bytes\":%llu,\"events\":%llu,\"cache\":\"off\"", r->status,
                      (unsigned long long)r->bytes, (unsigned long long)r->events);
    if (rc == 0)
        rc = add_usage(out, &r->usage);
    if (rc == 0)
        rc = add_ms(out, "wait_ms", r->wait_us);
    if (rc == 0)
        rc = add_ms(out, "upstream_ms", r->upstream_us);
    if (rc == 0)
        rc = add_ms(out, "overhead_ms", r->overhead_us);
    if (rc == 0)
        rc = add_ms(out, "total_ms", r->total_us);
    if (rc == 0)
        rc = add_text(out, "end", str_of(r->end));
    return rc ? rc : buf_add_str(out, STR("}\n"));
}

void account_log(const struct account_record *r)
{
    static struct buf line;
    char when[40];
    if (!log_access_enabled())
        return;
    buf_clear(&line);
    put_time(when);
    int rc = log_is_json() ? add_object(&line, r, when) : account_text(&line, r, when);
    if (rc == 0)
        log_access_write(buf_str(&line));
}

/* Whoever went away or did not read got no answer, whatever its head said; and half of one is a failure of ours. */
static enum gws_count answer_kind(int status, const char *end)
{
    static const enum gws_count kinds[] = {GWS_COUNT_ANSWERED_2XX, GWS_COUNT_ANSWERED_3XX, GWS_COUNT_ANSWERED_4XX,
                                           GWS_COUNT_ANSWERED_5XX};
    if (status < 200 || strncmp(end, "client ", 7) == 0)
        return GWS_COUNT_ABORTED;
    if (status >= 500 || strcmp(end, "cut") == 0)
        return GWS_COUNT_ANSWERED_5XX;
    return kinds[status / 100 - 2];
}

void account_answer(struct gws_region *region, int status, const char *end)
{
    gws_count(region, answer_kind(status, end), 1);
}

void account_effort(struct gws_region *region, unsigned attempts, uint64_t overhead_us)
{
    gws_measure_count(region, GWS_MEASURE_ATTEMPTS, (uint64_t)attempts * 1000);
    gws_measure_count(region, GWS_MEASURE_OVERHEAD, overhead_us);
}
