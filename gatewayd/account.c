#include "gatewayd/account.h"

#include <sys/time.h>
#include <time.h>

#include "gatewayd/log.h"
#include "gatewayd/reply.h"

/* The line is composed in a buffer that stays with the process, so that logging a request allocates nothing. */

/* Whoever asks for a model with a name of a megabyte must not get out of the log by it. */
enum { TEXT_MAX = 1024 };

static int add_text(struct buf *line, const char *name, struct str value)
{
    if (value.len > TEXT_MAX)
        value.len = TEXT_MAX;
    int rc = buf_addf(line, ",\"%s\":", name);
    if (rc == 0 && !value.at)
        return buf_add_str(line, STR("null"));
    if (rc == 0)
        rc = buf_add_str(line, STR("\""));
    if (rc == 0)
        rc = buf_add_json(line, value);
    return rc ? rc : buf_add_str(line, STR("\""));
}

static int add_time(struct buf *line)
{
    struct timeval now;
    struct tm tm;
    gettimeofday(&now, NULL);
    gmtime_r(&now.tv_sec, &tm);
    char text[32];
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    return buf_addf(line, "{\"time\":\"%.*s.%03dZ\"", (int)len, text, (int)(now.tv_usec / 1000));
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

void account_log(const struct account_record *r)
{
    static struct buf line;
    if (!log_access_enabled())
        return;
    buf_clear(&line);
    int rc = add_time(&line);
    if (rc == 0)
        rc = add_text(&line, "id", r->id);
    if (rc == 0)
        rc = add_text(&line, "client", STR("anonymous"));
    if (rc == 0)
        rc = add_text(&line, "method", r->method);
    if (rc == 0)
        rc = add_text(&line, "path", r->path);
    if (rc == 0)
        rc = add_text(&line, "model_asked", r->model_asked);
    if (rc == 0)
        rc = add_text(&line, "model_answered", r->model_answered);
    if (rc == 0)
        rc = add_text(&line, "endpoint", str_of(r->endpoint));
    if (rc == 0)
        rc = add_tries(&line, r);
    if (rc == 0)
        rc = buf_addf(&line, ",\"status\":%d,\"bytes\":%llu,\"events\":%llu,\"cache\":\"off\"", r->status,
                      (unsigned long long)r->bytes, (unsigned long long)r->events);
    if (rc == 0)
        rc = add_usage(&line, &r->usage);
    if (rc == 0)
        rc = add_ms(&line, "wait_ms", r->wait_us);
    if (rc == 0)
        rc = add_ms(&line, "upstream_ms", r->upstream_us);
    if (rc == 0)
        rc = add_ms(&line, "overhead_ms", r->overhead_us);
    if (rc == 0)
        rc = add_ms(&line, "total_ms", r->total_us);
    if (rc == 0)
        rc = add_text(&line, "end", str_of(r->end));
    if (rc == 0)
        rc = buf_add_str(&line, STR("}\n"));
    if (rc == 0)
        log_access_write(buf_str(&line));
}
