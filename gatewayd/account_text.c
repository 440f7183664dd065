#include "gatewayd/account_text.h"

#include "gatewayd/reply.h"

/*
 * The order is that of the combined log that every web server writes: when, who, what was asked, what came of it. Then
 * words with their value, so that a line can be read without a manual and cut apart by a script.
 */

static int add_quoted(struct buf *line, const char *before, struct str value)
{
    if (value.len > ACCOUNT_TEXT_MAX)
        value.len = ACCOUNT_TEXT_MAX;
    int rc = buf_addf(line, "%s\"", before);
    if (rc == 0)
        rc = buf_add_json(line, value);
    return rc ? rc : buf_add_str(line, STR("\""));
}

static int add_known(struct buf *line, const char *before, struct str value)
{
    return value.at ? add_quoted(line, before, value) : 0;
}

/* "POST /v1/chat/completions", in one pair of quotes. */
static int add_request(struct buf *line, const struct account_record *r)
{
    struct str path = r->path;
    if (path.len > ACCOUNT_TEXT_MAX)
        path.len = ACCOUNT_TEXT_MAX;
    int rc = buf_add_str(line, STR(" \""));
    if (rc == 0)
        rc = buf_add_json(line, r->method.len > 32 ? (struct str){r->method.at, 32} : r->method);
    if (rc == 0)
        rc = buf_add_str(line, STR(" "));
    if (rc == 0)
        rc = buf_add_json(line, path);
    return rc ? rc : buf_add_str(line, STR("\""));
}

/* [eu-west rate 429, us-east ok 200] */
static int add_tries(struct buf *line, const struct account_record *r)
{
    int rc = buf_addf(line, " attempts=%u", r->attempts);
    for (unsigned i = 0; rc == 0 && i < r->attempts && i < ACCOUNT_TRIES; i++) {
        rc = buf_add_str(line, i ? STR(", ") : STR(" ["));
        if (rc == 0)
            rc = buf_add_json(line, str_of(r->tries[i].endpoint));
        if (rc == 0)
            rc = buf_addf(line, " %s %d", classify_name(r->tries[i].outcome), r->tries[i].status);
    }
    return rc || r->attempts == 0 ? rc : buf_add_str(line, STR("]"));
}

static int add_usage(struct buf *line, const struct usage *usage)
{
    if (!usage->known)
        return 0;
    return buf_addf(line, " tokens=%llu/%llu", (unsigned long long)usage->input, (unsigned long long)usage->output);
}

static int add_ms(struct buf *line, const char *before, uint64_t us)
{
    int rc = buf_addf(line, " %s=", before);
    return rc ? rc : reply_add_ms(line, us);
}

static int add_times(struct buf *line, const struct account_record *r)
{
    int rc = add_ms(line, "wait", r->wait_us);
    if (rc == 0)
        rc = add_ms(line, "upstream", r->upstream_us);
    if (rc == 0)
        rc = add_ms(line, "overhead", r->overhead_us);
    return rc ? rc : add_ms(line, "total", r->total_us);
}

int account_text(struct buf *line, const struct account_record *r, const char *when)
{
    int rc = buf_addf(line, "%s anonymous", when);
    if (rc == 0)
        rc = add_request(line, r);
    if (rc == 0)
        rc = buf_addf(line, " %d %llu", r->status, (unsigned long long)r->bytes);
    if (rc == 0)
        rc = add_known(line, " model=", r->model_asked);
    if (rc == 0)
        rc = add_known(line, " answered=", r->model_answered);
    if (rc == 0)
        rc = add_known(line, " endpoint=", str_of(r->endpoint));
    if (rc == 0)
        rc = add_tries(line, r);
    if (rc == 0)
        rc = add_usage(line, &r->usage);
    if (rc == 0)
        rc = add_times(line, r);
    if (rc == 0)
        rc = add_quoted(line, " id=", r->id);
    if (rc == 0)
        rc = add_known(line, " trace=", r->traceparent);
    if (rc == 0)
        rc = add_quoted(line, " end=", str_of(r->end));
    return rc ? rc : buf_add_str(line, STR("\n"));
}
