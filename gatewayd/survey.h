#ifndef GATEWAYD_SURVEY_H
#define GATEWAYD_SURVEY_H

/* Why nobody can serve a request, endpoint by endpoint, and when somebody could: made once, when it has failed. */

#include "gatewayd/pick.h"

struct survey {
    unsigned tried;   /* candidates asked by this request */
    unsigned limited; /* cooling after a 429, or over their own limit */
    unsigned full;
    unsigned open;    /* breakers */
    unsigned other;   /* drained, or a refused credential */
    int64_t soonest_ms; /* until somebody may be asked again; -1: nobody knows */
    bool limit_is_soonest;
};

/* `last`: what each tried candidate's latest try ended in, by index. Appends a JSON object of endpoint states to
 * `json`. */
int survey_make(struct gws_region *region, const struct plan_model *model, const struct pick_state *state,
                const struct verdict *last, struct survey *survey, struct buf *json);

#endif
