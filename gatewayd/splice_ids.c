/*
 * A call is found by its place, not by its id: there are upstreams that make up another id for every event of one call,
 * and others that give every call of an answer the same index.
 */

#include "gatewayd/splice_ids.h"

#include <errno.h>

void splice_ids_fini(struct splice_ids *ids)
{
    if (ids == NULL)
        return;
    buf_fini(&ids->text);
    buf_fini(&ids->calls);
    *ids = (struct splice_ids){.sequence = 0};
}

void splice_ids_clear(struct splice_ids *ids)
{
    buf_clear(&ids->text);
    buf_clear(&ids->calls);
    memset(ids->firsts, 0, sizeof ids->firsts);
    ids->sequence = 0;
}

void splice_ids_rewind(struct splice_ids *ids)
{
    buf_clear(&ids->calls);
}

bool splice_ids_is_blank(struct str literal)
{
    return literal.len == 0 || str_eq(literal, STR("\"\"")) || str_eq(literal, STR("null")) ||
           str_eq(literal, STR("0"));
}

static struct str text_at(const struct splice_ids *ids, struct splice_span span)
{
    return span.len > 0 ? (struct str){ids->text.data + span.from, span.len} : (struct str){"", 0};
}

static int keep(struct splice_ids *ids, struct str text, struct splice_span *span)
{
    uint32_t from = (uint32_t)buf_len(&ids->text);
    int r = buf_add_str(&ids->text, text);

    if (r == 0)
        *span = (struct splice_span){from, (uint32_t)text.len};
    return r;
}

int splice_ids_learn(struct splice_ids *ids, enum splice_first which, struct str literal)
{
    if (ids->firsts[which].len > 0 || splice_ids_is_blank(literal))
        return 0;
    return keep(ids, literal, &ids->firsts[which]);
}

struct str splice_ids_first(const struct splice_ids *ids, enum splice_first which)
{
    return text_at(ids, ids->firsts[which]);
}

/* A line feed parts the two: no literal holds one. */
int splice_ids_give(struct splice_ids *ids, struct str id, struct str call_id, struct splice_span *given)
{
    struct splice_span one, line, other;
    int r = keep(ids, id, &one);

    if (r == 0)
        r = keep(ids, STR("\n"), &line);
    if (r == 0)
        r = keep(ids, call_id, &other);
    if (r == 0)
        *given = (struct splice_span){one.from, one.len + 1 + other.len};
    return r;
}

static struct splice_call *find(const struct splice_ids *ids, uint64_t choice, uint64_t index)
{
    struct splice_call *calls = (struct splice_call *)(void *)ids->calls.data;

    for (size_t i = buf_len(&ids->calls) / sizeof *calls; i > 0; i--)
        if (calls[i - 1].choice == choice && calls[i - 1].index == index)
            return &calls[i - 1];
    return NULL;
}

int splice_ids_begin(struct splice_ids *ids, uint64_t choice, uint64_t index, struct str label, struct str theirs,
                     struct splice_span given)
{
    struct splice_call call = {.choice = choice, .index = index, .given = given};
    int r = keep(ids, label, &call.label);

    if (r == 0)
        r = keep(ids, theirs, &call.theirs);
    if (r == 0 && buf_len(&ids->calls) >= SPLICE_CALLS_MAX * sizeof call)
        return 1;
    return r == 0 ? buf_add(&ids->calls, &call, sizeof call) : r;
}

bool splice_ids_repeats(const struct splice_ids *ids, uint64_t choice, uint64_t index, struct str label,
                        struct str theirs)
{
    const struct splice_call *call = find(ids, choice, index);

    return call != NULL && str_eq(text_at(ids, call->label), label) &&
           (splice_ids_is_blank(theirs) || str_eq(text_at(ids, call->theirs), theirs));
}

struct str splice_ids_of(const struct splice_ids *ids, uint64_t choice, uint64_t index, bool call_id)
{
    const struct splice_call *call = find(ids, choice, index);
    struct str given = call != NULL ? text_at(ids, call->given) : (struct str){"", 0};
    const char *line = given.len > 0 ? memchr(given.at, '\n', given.len) : NULL;

    if (line == NULL)
        return (struct str){"", 0};
    if (!call_id)
        return (struct str){given.at, (size_t)(line - given.at)};
    return (struct str){line + 1, (size_t)(given.at + given.len - line - 1)};
}
