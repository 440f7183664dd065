#ifndef GATEWAYD_ADMIN_SAMPLES_H
#define GATEWAYD_ADMIN_SAMPLES_H

/*
 * The last hour of every endpoint, a sample every ten seconds: what its counters said since the sample before. Kept in
 * the memory of one process, in a bounded place; who wants to look back further has metrics.
 */

#include "gatewayd/buf.h"
#include "gatewayd/overview.h"

enum { ADMIN_SAMPLE_MS = 10000, ADMIN_SAMPLES = 360, ADMIN_SAMPLED_MAX = 1000 };

struct admin_point {
    float rps; /* all below 0 when not known */
    float error_rate;
    float p50, p99; /* time to the first token, ms */
    int8_t state;   /* enum state_kind; below 0: the endpoint was not there */
};

/* What an endpoint's counters stood at. */
struct admin_reading {
    uint64_t tried;
    uint64_t errors;
    enum state_kind state;
    struct gws_latency_counts first;
};

struct admin_series {
    char name[GWS_NAME_MAX + 1];
    bool known; /* `last` is of the sample before this one */
    bool seen;  /* in the sample being taken */
    unsigned absent; /* samples in a row */
    struct admin_reading last;
    struct admin_point points[ADMIN_SAMPLES];
};

/* Zeroed to start. */
struct admin_samples {
    struct admin_series **list;
    size_t count;
    size_t taken;                  /* ever */
    uint64_t times[ADMIN_SAMPLES]; /* real ms; where sample number n stands is n % ADMIN_SAMPLES */
};

/* One sample: admin_samples_begin(), then each endpoint, then admin_samples_end(). */
void admin_samples_begin(struct admin_samples *samples, uint64_t real_ms);
void admin_samples_add(struct admin_samples *samples, const char *name, const struct admin_reading *reading);
void admin_samples_end(struct admin_samples *samples);
void admin_samples_take(struct admin_samples *samples, const struct overview *overview, uint64_t real_ms);

/* {"interval_ms","times":[ms since 1970],"endpoints":[{"name","rps":[],"error_rate":[],"first_token_ms":{"p50":[],
 * "p99":[]},"state":[]}]}: columns, oldest first, null where nothing is known. Only the samples after `since_ms`, real
 * time; all of them when none is as late as that, for then the clock was set back. 0 or -ENOMEM. */
int admin_samples_json(const struct admin_samples *samples, uint64_t since_ms, struct buf *out);
void admin_samples_fini(struct admin_samples *samples);

#endif
