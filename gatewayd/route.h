#ifndef GATEWAYD_ROUTE_H
#define GATEWAYD_ROUTE_H

/* From a request's path and body to who may answer it: pure lookups in the plan. */

#include "gatewayd/http.h"
#include "gatewayd/json.h"
#include "gatewayd/plan.h"

enum route_kind {
    ROUTE_MODEL,     /* relayed, by the model its body names */
    ROUTE_POOL,      /* relayed to any endpoint */
    ROUTE_ONCE,      /* relayed to the first available endpoint, never repeated once sent */
    ROUTE_MODELS,    /* GET /v1/models */
    ROUTE_MODEL_ONE, /* GET /v1/models/{id} */
    ROUTE_HEALTH,
    ROUTE_READY,
    ROUTE_UNKNOWN,
    ROUTE_BAD_METHOD,
    ROUTE_BAD_BODY
};

struct route {
    enum route_kind kind;
    const struct plan_model *model; /* ROUTE_MODEL: NULL when nobody knows it */
    struct str asked;               /* the model's name as asked, unescaped */
    /* its name behind aliases; what is sent upstream unless a candidate says otherwise */
    struct str resolved;
    struct json_value model_value;  /* where it stands in the body; type JSON_NONE when it does not */
    bool stream;                    /* the body asks for a stream */
    unsigned choices;               /* and for so many answers */
    bool anthropic;                 /* the path is Anthropic's */
    struct str upstream_path;       /* below an endpoint's base, with the query */
    const char *why;                /* ROUTE_BAD_BODY */
};

/* Fills `route`; `arena` holds what must be unescaped. 0 or -ENOMEM. */
int route_find(struct route *route, const struct plan *plan, const struct http_request *head, struct str body,
               struct arena *arena);

/* The model of that name or alias, and its name behind aliases; NULL when there is none. */
const struct plan_model *route_model(const struct plan *plan, struct str name, struct str *resolved);

/* The nearest known name, for a hint; .at NULL when nothing is near. */
struct str route_nearest(const struct plan *plan, struct str name);

/* The document of GET /v1/models, or of one model. */
int route_models_json(const struct plan *plan, struct buf *out);
int route_model_json(struct str name, struct buf *out);

#endif
