#ifndef GATEWAYD_STATE_H
#define GATEWAYD_STATE_H

/*
 * The state of an endpoint in one word, as it is shown everywhere: derived from the shared words of the endpoint and of
 * its models, never stored. Pure: the words and `now` come in, the state goes out, so every case can be tested to the
 * millisecond.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libshm/breaker.h"
#include "libshm/cooldown.h"

/* In rising order of weight: of two states that hold at once the later one is shown. */
enum state_kind {
    STATE_HEALTHY,
    STATE_DEGRADED,  /* failures in a row, below the threshold; or only some of its models in trouble */
    STATE_COOLING,   /* a wait an upstream asked for */
    STATE_EXHAUSTED, /* a wait that comes again, or that time will not cure soon */
    STATE_HALF_OPEN,
    STATE_OPEN,
    STATE_FORCED_OPEN,
    STATE_DRAINED
};

/* One failure domain: an endpoint, a model on it, or an account. */
struct state_domain {
    const char *name; /* of a model or account, to name it in a reason; NULL for the endpoint itself */
    struct gws_breaker_view breaker;
    struct gws_cooldown_view cooldown;
    uint32_t tripped_by; /* failures in a row that opened the breaker; 0: not known */
    struct gws_window_totals tripped_on; /* the window that opened it; a total of 0: not known */
};

struct state_view {
    enum state_kind kind;
    uint64_t until_ms; /* from now; 0: no moment is known, or it has come */
    char reason[256];  /* empty when healthy */
};

/* "healthy", "half_open" and so on. */
const char *state_name(enum state_kind kind);

/* Whether a request can be tried in this state, on at least one model. */
bool state_usable(enum state_kind kind);

struct state_view state_of_domain(const struct state_domain *domain, uint64_t now);

/*
 * The state of an endpoint: its own, unless only its models are in trouble. When all of them are, the endpoint is in
 * the state of the one that is back first; when some are, it is degraded. `*` (the models nobody named) holds nothing
 * up when there are named ones. `account` may be NULL when it is not known.
 */
struct state_view state_of_endpoint(bool drained, const struct state_domain *own, const struct state_domain *account,
                                    const struct state_domain *models, size_t count, uint64_t now);

#endif
