#ifndef GATEWAYD_ACCOUNT_H
#define GATEWAYD_ACCOUNT_H

/* What is recorded of a finished request: one line of the access log, and counts for metrics. */

#include "gatewayd/buf.h"
#include "gatewayd/classify.h"
#include "gatewayd/usage.h"
#include "libshm/region.h"

/* Whoever asks for a model with a name of a megabyte must not get out of the log by it. */
enum { ACCOUNT_TRIES = 8, ACCOUNT_TEXT_MAX = 1024 };

struct account_try {
    const char *endpoint;
    enum outcome_class outcome;
    int status;
};

struct account_record {
    struct str id;
    struct str traceparent; /* as the client sent it; .at NULL: it did not */
    struct str method;
    struct str path;
    struct str model_asked;
    struct str model_answered;
    const char *endpoint; /* NULL: none answered */
    unsigned attempts;
    struct account_try tries[ACCOUNT_TRIES]; /* the first so many of them */
    int status;
    uint64_t bytes;
    uint64_t events;
    struct usage usage; /* as the upstream told it */
    uint64_t wait_us, upstream_us, overhead_us, total_us;
    const char *end; /* why it ended: "done", "client left", "cut", … */
};

/* In the format of the log: JSON, or text. */
void account_log(const struct account_record *record);

/* What the client got: an answer of that status (0: none), which ended so. */
void account_answer(struct gws_region *region, int status, const char *end);

/* What it took, of a request that was sent to an upstream at least once. */
void account_effort(struct gws_region *region, unsigned attempts, uint64_t overhead_us);

#endif
