#ifndef GATEWAYD_PLAN_INTERNAL_H
#define GATEWAYD_PLAN_INTERNAL_H

/* What the files of the plan share with each other and with nobody else. */

#include "gatewayd/plan.h"

/* Bind what an endpoint or an account (`kind`) is limited to. 0, or 1 with a problem. */
int plan_limits_bind(struct plan_limits *limits, const struct conf_limits *conf, const char *kind, const char *name,
                     const struct plan *plan, struct gws_region *region, struct conf_problems *problems);
bool plan_limits_any(const struct plan_limits *limits);

/* Write the rules in force down, for tools. */
void plan_limits_publish(const struct plan_limits *limits, struct gws_region *region, uint64_t now_ns);

/* What a name function returned, as a row. False when there is none, and the plan cannot be without. */
bool plan_has_row(const struct plan *plan, int found, uint32_t *row);

void plan_no_room(struct conf_problems *problems, const char *what, const char *name);

#endif
