#ifndef GATEWAYD_COURSE_H
#define GATEWAYD_COURSE_H

/*
 * Who may answer a request: the model that was asked for, then its fallbacks, each with what was done with its
 * candidates; and what may still be done: how long to wait for one model, when a candidate may be tried again, which
 * model is next.
 */

#include "gatewayd/pick.h"
#include "gatewayd/route.h"

struct stage {
    const struct plan_model *model;
    struct str name; /* the model's upstream, unless a candidate says otherwise */
    struct pick_state pick;
    struct verdict *last; /* by candidate */
    unsigned tries;
    uint64_t waited_ms;
    uint64_t prompt; /* tokens, estimated; 0 when nobody needs to know */
};

struct course {
    const struct conf *conf;
    struct stage *stages;
    unsigned count;
    struct stage *now;
    bool fixed;     /* an answer has begun: no other model may go on with it */
    uint64_t thumb; /* prompt tokens by the rule of thumb; 0 when nobody needs to know */
};

/* Memory is the arena's. `fallbacks`: whether other models may answer. 0 or -ENOMEM. */
int course_make(struct course *course, const struct plan *plan, const struct route *route, bool fallbacks,
                struct arena *arena);

/* Take note of what the request needs, by estimate. */
void course_estimate(struct course *course, struct gws_region *region, struct str body);
/* Whether the estimate leaves room in the model's context; one that is not known has room. */
bool course_fits(const struct stage *stage);
/* The most a prompt may have for that, by the rule of thumb. */
uint64_t course_room(const struct course *course, const struct stage *stage);

/* The next model whose context the request fits, and larger than this one's if that is asked for; NULL when there is
 * none. */
struct stage *course_next(const struct course *course, bool larger);

/* How much longer to wait for the present model, in ms. */
uint64_t course_patience(const struct course *course);

/* A try of the present model ended in a failure: when that candidate may be tried again, if ever. `silent`: it let the
 * time run out. `now`: region ms. */
void course_failed(struct course *course, uint32_t index, struct verdict verdict, bool silent, uint64_t now);

/* How long to wait for something that is `wait` ms away: never less, and not all at the same moment. */
uint64_t course_spread(const struct course *course, uint64_t wait, uint32_t random);

#endif
