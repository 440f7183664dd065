#ifndef TESTS_PROOF_STEPS_H
#define TESTS_PROOF_STEPS_H

/*
 * A kill at every instruction. A process does one operation on a prepared region and is stepped through it, one
 * instruction at a time. What a SIGKILL leaves behind is the bytes of the region and a lock that is free, so after each
 * step the bytes are kept, where they changed, and every one of them is then taken as the legacy of a dead process: its
 * slot is reaped, the invariants are checked, another slot does the operation again, and everything must still work.
 * (Now and then the process is really killed, to see that the bytes are the same.)
 *
 * In the second mode another process does a conflicting operation, whole, between two instructions; then the first
 * goes on to its end. The words of the region must then be those of one order of the two or of the other. That takes
 * a process for every instruction. Of an operation with one start state every instruction is tried; of the others
 * forty, evenly spread, or every one with PROOF_ALL in the environment.
 */

#include "libshm/breaker.h"
#include "tests/libshm/fixture.h"

enum {
    SCENE_NOW = 100000000,   /* ms on the region's clock: the time of every operation */
    SCENE_PLACES = 2,        /* of the bulkhead */
    SCENE_DAY = 10,          /* units of the quota */
    SCENE_BURST = 4,         /* units of the limiter */
    SCENE_RETRIES = 2,       /* budget */
    SCENE_SLOT = 2           /* of the process that dies; 0 is the master, 1 another worker */
};

extern const struct gws_breaker_rules scene_breaker;
extern const struct gws_cooldown_rules scene_cooldown;
extern const struct gws_adapt_rules scene_adapt;
extern const struct gws_quota_rules scene_quota;
extern const struct gws_budget_rules scene_budget;
struct gws_limit_rules scene_limit(void);

struct scene {
    struct fixture f; /* the master's view */
    struct gws_region other;
    unsigned char *fresh; /* the region as it was made */
    volatile int *over;   /* the process says here that the operation is over, and in the next one what it returned */
    int state;            /* which start state of the operation is prepared */
    struct gws_permit permit; /* with which reports are made: given out before anything happens */
    uint64_t deaths;      /* legacies judged */
    uint64_t steps;
    uint64_t meetings; /* instructions at which another operation came in between */
    uint64_t stepped;  /* takes that stepped back and said so */
};

/* One operation and the state it begins in. */
struct op {
    const char *name;
    void (*prepare)(struct scene *s);                     /* by the master and the other worker */
    void (*mine)(struct scene *s, struct gws_region *r);  /* by the process itself, before it is stepped */
    void (*run)(struct scene *s, struct gws_region *r);   /* what is stepped through; then done again by another */
    void (*meet)(struct scene *s, struct gws_region *r);  /* what another does meanwhile; NULL: nothing */
    int states;                                           /* how many start states `prepare` knows; 0 is 1 */
    bool outside;                                         /* the process has no slot yet: it is about to take one */
    bool once;                                            /* not to be done again by another */
};

void scene_open(struct scene *s);
void scene_close(struct scene *s);

/* For cmocka: a scene for each test, and what was done in it. */
int scene_setup(void **state);
int scene_teardown(void **state);

/* Prove one operation from all its start states. Fails the test with the operation, the state and the step. */
void scene_prove(struct scene *s, const struct op *op);

/* judge.c: checks a region in which only the master and the other worker live. `start` and `end` are the bytes before
 * the operation and after it. */
void scene_judge(struct scene *s, const unsigned char *start, const unsigned char *end, const char *what);

/* While all live: no limit is exceeded. */
void scene_strict(struct scene *s, const char *what);

/*
 * Whether the words that all share are the same in two copies of the region. A try is counted in the window before its
 * result goes to the breaker's word, so a change of generation between the two leaves a sample of the old one in the
 * window; sums pass over it, and so do we where two operations met.
 */
bool scene_same_words(const struct scene *s, const unsigned char *a, const unsigned char *b, bool with_windows);

#endif
