#ifndef GATEWAYD_ADMIT_H
#define GATEWAYD_ADMIT_H

/*
 * Admission to one candidate: everything a try needs from the shared region is taken together or not at all, and
 * carried in a ticket that is settled and released exactly once. A ticket is a value; dying with one leaves only what
 * heals by itself (a lease, a rate) or is erased with the process's slot (the bulkhead).
 */

#include "gatewayd/classify.h"
#include "gatewayd/plan.h"

enum refusal {
    REFUSAL_NONE,
    REFUSAL_DRAINED,
    REFUSAL_COOLING, /* a cooldown of the endpoint, the pair or the account */
    REFUSAL_OPEN,    /* a breaker */
    REFUSAL_FULL,    /* the bulkhead */
    REFUSAL_LIMITED  /* a limit of the endpoint's or its account's own: requests or tokens a minute, requests a day */
};

struct refused {
    enum refusal why;
    uint64_t until; /* region ms when it may change; 0: nobody knows; UINT64_MAX: when an operator acts */
    enum gws_cooldown_reason cooling;
    uint32_t limit_row; /* of LIMITED: its limiter, or when `by_quota` its quota */
    bool by_quota;
    bool exhausted; /* waiting does not help soon: see cooldown.h, or LIMITED: the requests of the day are spent */
};

struct ticket {
    const struct plan_candidate *candidate; /* NULL: holds nothing */
    struct gws_permit endpoint;
    struct gws_permit pair;
    uint16_t cool_endpoint;
    uint16_t cool_pair;
    uint16_t cool_account;
    uint64_t taken_ms;
    struct gws_limit_charge tpm, account_tpm; /* of the limits by tokens */
    uint64_t tokens; /* what the try did cost, when told by admit_cost() */
    bool cost_known;
    bool cost_nothing; /* it failed before there was anything to pay for */
    bool answering; /* a stream's first content has come */
    bool settled;
};

/*
 * 0 with the ticket; 1 refused, with nothing taken. `tokens`: what limits by tokens are charged until the cost is
 * known. A request counts for the day from here on, whatever becomes of it. FULL is said of who lacks nothing but a
 * place.
 */
int admit_take(struct gws_region *region, const struct plan_candidate *candidate, uint64_t tokens,
               struct ticket *ticket, struct refused *refused);

/* Whether and why admit_take() would refuse now; takes nothing. Of several limits that refuse, the latest counts. */
bool admit_peek(struct gws_region *region, const struct plan_candidate *candidate, uint64_t tokens,
                struct refused *refused);

/* How many requests at a time the target may have now: as configured, or what overload has left of that. */
uint32_t admit_places(const struct gws_region *region, const struct plan_target *target);

/* A limit of the gateway's own that refuses. */
struct admit_limit {
    const char *name; /* "rpd", "tpm" or "rpm" */
    bool account;     /* its account's, not the endpoint's */
    uint64_t until;   /* region ms */
};
enum { ADMIT_LIMITS = 6 };

/* Those that refuse the candidate now, for whoever explains it. Returns how many. */
unsigned admit_limits_now(struct gws_region *region, const struct plan_candidate *candidate, uint64_t tokens,
                          struct admit_limit out[ADMIT_LIMITS]);

/*
 * The try cost so many tokens, as far as anybody knows; what was charged for it is settled with that when the ticket is
 * released. The last call counts; without one a try that failed before an answer cost nothing, and any other what was
 * charged.
 */
void admit_cost(struct ticket *ticket, uint64_t tokens);

/*
 * A stream's first content has come: a trial decides here, and everyone hears that the endpoint is alive. Whether the
 * try was a good one is only known at its end. A success with a wait announces that nothing remains, and cools the pair
 * for at most a minute.
 */
void admit_answering(struct gws_region *region, struct ticket *ticket, struct verdict verdict);

/*
 * Tell the shared words how the try went; only the first call counts. `loss_known`: the lost connection was already
 * reported by another stream it carried. What is a sign of overload makes an adaptive bulkhead smaller, a success
 * larger again.
 */
void admit_settle(struct gws_region *region, struct ticket *ticket, struct verdict verdict, bool loss_known);

/*
 * Keep of a failed try what it looked like, as evidence beside the breaker or cooldown that will hear of it; to be said
 * before admit_settle(), and no evidence of what is nobody's fault or was reported already. `words`: what the upstream
 * said, or what became of the connection; printable. The outcome is the class's number and 1.
 */
void admit_witness(struct gws_region *region, const struct ticket *ticket, struct verdict verdict, bool loss_known,
                   struct str words);

/* Give back what is held, and wake who waits for the place. A ticket that was never settled counts as neutral. Safe on
 * an empty one. */
void admit_release(struct gws_region *region, struct ticket *ticket);

#endif
