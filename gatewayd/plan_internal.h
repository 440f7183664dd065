#ifndef GATEWAYD_PLAN_INTERNAL_H
#define GATEWAYD_PLAN_INTERNAL_H

/* What the files of the plan share with each other and with nobody else. */

#include "gatewayd/plan.h"

/* Bind what an endpoint or an account (`kind`) is limited to. 0, or 1 with a problem. */
int plan_limits_bind(struct plan_limits *limits, const struct conf_limits *conf, const char *kind, const char *name,
                     uint64_t generation, struct gws_region *region, struct conf_problems *problems);
bool plan_limits_any(const struct plan_limits *limits);

/* Write the rules in force down, for tools. */
void plan_limits_publish(const struct plan_limits *limits, struct gws_region *region, uint64_t now_ns);

void plan_no_room(struct conf_problems *problems, const char *what, const char *name);

#endif
