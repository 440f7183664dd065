/*
 * The ring of recent requests. Its rows have a fixed size and lie in one block: ten megabytes that are only touched as
 * requests come, against a thousand little allocations and their bookkeeping. Credentials are printed by their first
 * eight characters: enough to tell which key was used, too little to use it.
 */

#include "tools/llmsim/journal.h"

#include <stdlib.h>

#include "gatewayd/http.h"
#include "tools/llmsim/sim.h"

enum { CREDENTIAL_SHOWN = 8 };

struct journal_entry *journal_find(struct journal *j, uint64_t n)
{
    struct journal_entry *e = j->ring && n ? &j->ring[n % JOURNAL_SIZE] : NULL;

    return e && e->n == n ? e : NULL;
}

void journal_begin(struct journal *j, uint64_t n, int64_t time_ms, uint64_t connection, struct str head)
{
    if (j->off)
        return;
    if (!j->ring) {
        j->ring = calloc(JOURNAL_SIZE, sizeof(*j->ring));
        sim_must(j->ring ? 0 : -1);
    }
    struct journal_entry *e = &j->ring[n % JOURNAL_SIZE];
    e->n = n;
    e->time_ms = time_ms;
    e->connection = connection;
    e->status = 0;
    e->stream = false;
    e->end = NULL;
    e->fault[0] = e->model[0] = '\0';
    e->body_len = 0;
    e->head_len = head.len < JOURNAL_HEAD_MAX ? head.len : 0;
    memcpy(e->head, head.at, e->head_len);
}

void journal_body(struct journal_entry *e, struct str body)
{
    e->body_len = body.len < JOURNAL_BODY_MAX ? body.len : JOURNAL_BODY_MAX;
    memcpy(e->body, body.at, e->body_len);
}

void journal_text(char *out, size_t size, struct str text)
{
    size_t len = text.len < size ? text.len : size - 1;

    if (len > 0)
        memcpy(out, text.at, len);
    out[len] = '\0';
}

void journal_forget(struct journal *j)
{
    free(j->ring);
    j->ring = NULL;
}

/* A credential by its scheme, if it has one, and its beginning. */
static struct str shown(struct str name, struct str value)
{
    bool secret = str_eq_nocase(name, STR("authorization")) || str_eq_nocase(name, STR("x-api-key")) ||
                  str_eq_nocase(name, STR("api-key"));
    const char *blank = memchr(value.at, ' ', value.len);
    size_t scheme = blank ? (size_t)(blank - value.at) + 1 : 0;

    if (secret && value.len > scheme + CREDENTIAL_SHOWN)
        value.len = scheme + CREDENTIAL_SHOWN;
    return value;
}

static void print_headers(const struct http_request *r, struct buf *out)
{
    for (unsigned i = 0; i < r->header_count; i++) {
        sim_must(buf_add_str(out, i ? STR(",\"") : STR("\"")));
        size_t at = buf_len(out);
        sim_must(buf_add_json(out, r->headers[i].name));
        for (char *c = buf_at(out) + at; c < out->data + out->end; c++)
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
        sim_must(buf_add_str(out, STR("\":\"")));
        sim_must(buf_add_json(out, shown(r->headers[i].name, r->headers[i].value)));
        sim_must(buf_add_str(out, STR("\"")));
    }
}

static void print_entry(const struct journal_entry *e, struct buf *out)
{
    static struct http_request r;
    const char *why;

    if (http_request_parse(e->head, e->head_len, 0, &r, &why) <= 0)
        r = (struct http_request){.path = STR("")};
    struct str authorization = http_header_find(r.headers, r.header_count, STR("authorization"));
    sim_must(buf_addf(out, "{\"n\":%llu,\"time_ms\":%lld,\"method\":\"%.*s\",\"path\":\"", (unsigned long long)e->n,
                      (long long)e->time_ms, (int)r.method.len, r.method.len ? r.method.at : ""));
    sim_must(buf_add_json(out, r.path));
    sim_must(buf_add_str(out, STR("\",\"model\":\"")));
    sim_must(buf_add_json(out, str_of(e->model)));
    sim_must(buf_addf(out, "\",\"stream\":%s,\"status\":%d,\"end\":", e->stream ? "true" : "false", e->status));
    sim_must(e->end ? buf_addf(out, "\"%s\",\"fault\":", e->end) : buf_addf(out, "null,\"fault\":"));
    sim_must(e->fault[0] ? buf_addf(out, "\"%s\"", e->fault) : buf_addf(out, "null"));
    sim_must(buf_addf(out, ",\"connection\":%llu,\"authorization\":\"", (unsigned long long)e->connection));
    if (authorization.at)
        sim_must(buf_add_json(out, shown(STR("authorization"), authorization)));
    sim_must(buf_add_str(out, STR("\",\"headers\":{")));
    print_headers(&r, out);
    sim_must(buf_add_str(out, STR("},\"body\":\"")));
    sim_must(buf_add_json(out, (struct str){e->body, e->body_len}));
    sim_must(buf_add_str(out, STR("\"}")));
}

void journal_print(const struct journal *j, uint64_t last_n, struct buf *out)
{
    uint64_t n = last_n > JOURNAL_SIZE ? last_n - JOURNAL_SIZE : 0;
    bool first = true;

    sim_must(buf_add_str(out, STR("[")));
    while (j->ring && n++ < last_n) {
        if (j->ring[n % JOURNAL_SIZE].n != n)
            continue;
        if (!first)
            sim_must(buf_add_str(out, STR(",")));
        first = false;
        print_entry(&j->ring[n % JOURNAL_SIZE], out);
    }
    sim_must(buf_add_str(out, STR("]")));
}
