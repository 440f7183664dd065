#ifndef GATEWAYD_SURVEY_H
#define GATEWAYD_SURVEY_H

/* Why nobody can serve a request, endpoint by endpoint, and when somebody could: made once, when it has failed, of the
 * model that was asked for and of those that could have answered in its place. */

#include "gatewayd/pick.h"

struct survey {
    unsigned listed;  /* candidates looked at */
    unsigned tried;   /* of them asked by this request */
    unsigned limited; /* cooling after a 429, or over a limit of their own */
    unsigned spent;   /* of the limited: whose requests of the day are spent */
    unsigned full;
    unsigned open;    /* breakers */
    unsigned other;   /* drained, or a refused credential */
    int64_t soonest_ms; /* until somebody may be asked again; -1: nobody knows */
    bool limit_is_soonest;
};

/*
 * One JSON object of endpoint states, over a chain of models: begin, add each model once, end. An endpoint is called by
 * its name, and as a `fallback` by "endpoint/model". `last`: what each tried candidate's latest try ended in, by index;
 * it and the marks of `state` may be those of a model that was never tried. Candidates that do not understand the
 * request's dialect are left out. 0 or -ENOMEM.
 */
int survey_begin(struct survey *survey, struct buf *json);
int survey_add(struct survey *survey, struct buf *json, struct gws_region *region, const struct plan_model *model,
               const struct pick_state *state, const struct verdict *last, bool fallback);
int survey_end(struct buf *json);

/* What the client is told when nobody could be asked: what stands in the way of everyone. */
struct survey_error {
    int status;
    const char *type, *code, *message;
};
/* `rate`: the last that was asked spoke of a rate or a quota. */
struct survey_error survey_error(const struct survey *survey, bool rate);

#endif
