#ifndef GATEWAYCTL_EXPLAIN_H
#define GATEWAYCTL_EXPLAIN_H

/*
 * What would become of a request: gathered once, by the rules of the gateway itself, from a region that is only looked
 * at; then shown. What the files of explain share with each other and with nobody else.
 */

#include "gatewayd/pick.h"
#include "gatewayd/survey.h"

struct history_trips;

enum { EXPLAIN_REASONS = 10, EXPLAIN_WHY_SIZE = 512 };

struct explain_asked {
    const char *model;
    const char *endpoint; /* pinned to it, or NULL */
    bool anthropic;
    uint64_t tokens;
};

/* One reason, as a word for programs and as people read it. */
struct explain_reason {
    const char *code;
    char text[256];
    uint64_t until_ms; /* from now; 0: nobody knows, or it needs somebody to act */
};

enum explain_answer { EXPLAIN_NOW, EXPLAIN_BEHIND, EXPLAIN_NO };

struct explain_candidate {
    const struct plan_candidate *candidate;
    struct pick_place place;
    enum explain_answer answer;
    uint64_t until_ms; /* of a NO: from now; 0: nobody knows */
    struct explain_reason reasons[EXPLAIN_REASONS];
    unsigned count;
};

/* What becomes of the request at one model. */
enum explain_fate {
    EXPLAIN_GOES,   /* somebody takes it */
    EXPLAIN_WAITS,  /* it is parked until somebody may be asked, or has a place */
    EXPLAIN_PASSES, /* on to the next model, or nowhere */
    EXPLAIN_SKIPPED /* too long for the model, or nobody speaks its dialect */
};

struct explain_model {
    const struct plan_model *model;
    struct pick_state *pick;
    bool fallback;
    uint64_t prompt;                        /* tokens */
    bool fits;                              /* its context has room for them */
    struct explain_candidate *candidates;   /* in the order in which they are asked; those never asked last */
    const struct explain_candidate *chosen; /* NULL: nobody takes it now */
    enum explain_fate fate;
    const struct explain_model *next; /* the model after it, or NULL */
    uint64_t patience_ms;             /* how long it would wait here */
    bool place;                       /* somebody lacks nothing but a place */
    uint64_t soonest_ms;              /* until somebody may be asked; UINT64_MAX: nobody knows */
    const struct explain_candidate *soonest; /* who that is, or NULL */
};

struct explain {
    struct gws_region *region;
    const struct plan *plan;
    struct arena arena;
    struct str asked, resolved;
    uint64_t now;
    struct history_trips *trips;
    struct explain_model *models; /* as asked, then its fallbacks */
    unsigned count;
    const struct explain_model *ends; /* where the request ends up, or NULL: it fails at once */
    struct survey_error error;        /* then */
};

/* `region` and `plan` are set. 0; 1 with a sentence in `why`: there is no such model or endpoint. */
int explain_gather(struct explain *explain, const struct explain_asked *asked, char *why, size_t size);
void explain_fini(struct explain *explain);

/* Why a candidate refuses: sets its answer, until_ms and reasons; one that does not refuse is BEHIND. */
void explain_refusals(const struct explain *explain, const struct explain_model *model,
                      struct explain_candidate *candidate);
/* And when it is known who takes it: why one that does not refuse is the one, or is not. */
void explain_standing(const struct explain *explain, const struct explain_model *model,
                      struct explain_candidate *candidate);

void explain_text(const struct explain *explain);
void explain_json(const struct explain *explain);

#endif
