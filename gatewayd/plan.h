#ifndef GATEWAYD_PLAN_H
#define GATEWAYD_PLAN_H

/*
 * The plan: one generation of the configuration bound to the rows of the shared region. The master makes it before it
 * forks, so every worker of a generation holds the same one; it never changes afterwards. What a request needs to
 * choose an endpoint is laid out here once: for every model its tiers of candidates, each with the rows and rules to
 * decide by.
 */

#include "gatewayd/conf.h"
#include "gatewayd/secret.h"
#include "libshm/adapt.h"
#include "libshm/breaker.h"
#include "libshm/cooldown.h"
#include "libshm/limit.h"
#include "libshm/quota.h"
#include "libshm/region.h"

enum { PLAN_NO_ROW = UINT32_MAX, PLAN_SCHEDULE_MAX = 4096 };
enum { PLAN_CANDIDATES_MAX = 1000 }; /* as many as a file may have endpoints */

/* How long a peak of a pair's latency takes to lose half of itself; whoever feeds or reads one uses this. */
enum { PLAN_LATENCY_DECAY_MS = 10000 };

/* What limits the requests of an endpoint, or of all endpoints of an account together. */
struct plan_limits {
    uint32_t rpm_row; /* limiter rows; PLAN_NO_ROW: no such limit */
    uint32_t tpm_row;
    uint32_t rpd_row; /* a quota row, or PLAN_NO_ROW */
    struct gws_limit_rules rpm;
    struct gws_limit_rules tpm;
    struct gws_quota_rules rpd; /* by the day of UTC */
};

/* What endpoints of one account have in common. */
struct plan_account {
    uint32_t row; /* domain row: the account's cooldown */
    struct plan_limits limits;
};

/* An endpoint and the shared words that guard it. */
struct plan_target {
    const struct conf_endpoint *conf;
    struct secret *key;    /* NULL: none, or the client's own */
    uint32_t index;        /* among the targets */
    uint32_t row;          /* domain row of the endpoint */
    uint32_t endpoint;     /* row of its bulkhead and counters */
    const struct plan_account *account;
    const struct plan_target *same_key; /* the next one with the same credential, in a ring; itself when it is alone */
    bool limited; /* it has limits, or its account has */
    struct plan_limits limits;
    struct gws_adapt_rules adaptive; /* of its bulkhead; a max of 0: it stays as configured */
    struct gws_breaker_rules breaker;
    struct gws_cooldown_rules cooldown;
    struct gws_cooldown_rules quota;
    uint32_t slow_start_ms; /* 0: its whole share at once */
    unsigned dialects;      /* CONF_DIALECT_… */
    const struct conf_hours *maintenance;
    size_t maintenance_count;
};

/* One way to serve a model: an endpoint, under the name the model has there. */
struct plan_candidate {
    const struct plan_target *target;
    uint32_t pair_row;
    struct str as; /* .at NULL: the name the client asked for */
    struct conf_timeouts timeouts;
    struct gws_breaker_rules breaker; /* of the pair: leases follow the model's timeouts */
};

/* Candidates of one priority, and the order in which tickets visit them. */
struct plan_tier {
    uint32_t first;
    uint32_t count;
    uint32_t ticket_row;
    uint32_t schedule_len;
    const uint16_t *schedule; /* indices of candidates */
};

struct plan_model {
    struct str name; /* of the pool of all endpoints: "*" */
    const struct conf_model *conf; /* NULL for the pool */
    uint32_t estimate_row;         /* what is learned of its tokens; see libshm/estimate.h */
    bool counts_tokens; /* somebody needs an estimate: its context is known, or there is a limit by tokens */
    struct plan_candidate *candidates; /* by priority */
    uint32_t candidate_count;
    struct plan_tier *tiers;
    uint32_t tier_count;
};

struct plan {
    struct arena arena;
    const struct conf *conf;
    uint64_t generation;
    bool looks; /* made by plan_look() */
    struct plan_account *accounts; /* as in conf */
    struct plan_target *targets;
    uint32_t target_count;
    struct plan_model *models; /* as in conf, then the pool */
    uint32_t model_count;      /* without the pool */
    bool has_admin_token;
    unsigned char admin_token[SECRET_HASH_SIZE]; /* its hash: no process needs the token itself */
    struct plan_model *pool;   /* every endpoint: requests without a model, and any model when none is configured */
};

/* The rows that a configuration needs, for sizing a new region. */
struct gws_dims plan_dims(const struct conf *conf);

/*
 * Fetch the keys and bind the configuration to the region, as generation `generation`. `old` is the plan in force, or
 * NULL. 0; 1 with problems (an unreadable key, no room in the region); -ENOMEM.
 */
int plan_new(struct plan **plan, const struct conf *conf, struct gws_region *region, uint64_t generation,
             struct conf_problems *problems);
void plan_free(struct plan *plan);

/*
 * The same for somebody who looks at a region and changes nothing: no keys are fetched, nothing is made or written
 * down. A row that is not there, because the gateway has not read this configuration yet, is PLAN_NO_ROW; whatever is
 * asked of it is refused for ever.
 */
int plan_look(struct plan **plan, const struct conf *conf, struct gws_region *region, struct conf_problems *problems);

/* Only fetch and check the keys, as `gatewayd -t` does. Returns 0, or 1 with problems. */
int plan_check_keys(const struct conf *conf, struct conf_problems *problems);

/* Whether the endpoint is in its maintenance hours at this moment of real time. */
bool plan_maintained(const struct plan_target *target, uint64_t real_ms);

/* Smooth weighted order (the spread nginx made familiar): fills `out` with total/gcd indices; returns the length. */
uint32_t plan_schedule(const uint32_t *weights, uint32_t count, uint16_t *out, uint32_t max);

#endif
