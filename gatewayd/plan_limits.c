#include "gatewayd/plan_internal.h"

#include <errno.h>
#include <stdio.h>

#include "libshm/name.h"

/*
 * Limits of endpoints and of accounts are bound alike: a row for each that is configured, found again by its name, so
 * that a reload neither forgets what was used nor counts it twice.
 */

#define MINUTE_NS (UINT64_C(60) * 1000000000)

enum { ROW_NAME_SIZE = 256 };

struct binding {
    const char *kind;
    const char *name;
    const struct plan *plan;
    struct gws_region *region;
    struct conf_problems *problems;
};

typedef int row_maker(struct gws_region *region, const char *name, uint64_t config);

static int find_row(const struct binding *b, row_maker *make, const char *what, const char *said, uint32_t *row)
{
    char text[ROW_NAME_SIZE], whose[64];
    snprintf(text, sizeof text, "%s/%s/%s", b->kind, b->name, what);
    int found = make(b->region, text, b->plan->generation);
    if (plan_has_row(b->plan, found, row))
        return 0;
    snprintf(whose, sizeof whose, "the %s of %s", said, b->kind);
    if (found == -ENAMETOOLONG)
        conf_problem_add(b->problems, 0, 0, "%s '%s': with a name of that length it cannot have limits", b->kind,
                         b->name);
    else
        plan_no_room(b->problems, whose, b->name);
    return 1;
}

int plan_limits_bind(struct plan_limits *limits, const struct conf_limits *conf, const char *kind, const char *name,
                     const struct plan *plan, struct gws_region *region, struct conf_problems *problems)
{
    const struct binding b = {kind, name, plan, region, problems};
    *limits = (struct plan_limits){.rpm_row = PLAN_NO_ROW, .tpm_row = PLAN_NO_ROW, .rpd_row = PLAN_NO_ROW};
    limits->rpm = gws_limit_rules(conf->rpm, MINUTE_NS, conf->rpm_burst);
    limits->tpm = gws_limit_rules(conf->tpm, MINUTE_NS, conf->tpm_burst);
    limits->rpd = (struct gws_quota_rules){.limit = conf->rpd};
    if (conf->rpm && find_row(&b, gws_name_limit, "rpm", "rate limit", &limits->rpm_row) != 0)
        return 1;
    if (conf->tpm && find_row(&b, gws_name_limit, "tpm", "token limit", &limits->tpm_row) != 0)
        return 1;
    return conf->rpd ? find_row(&b, gws_name_quota, "rpd", "daily limit", &limits->rpd_row) : 0;
}

bool plan_limits_any(const struct plan_limits *limits)
{
    return limits->rpm_row != PLAN_NO_ROW || limits->tpm_row != PLAN_NO_ROW || limits->rpd_row != PLAN_NO_ROW;
}

void plan_limits_publish(const struct plan_limits *limits, struct gws_region *region, uint64_t now_ns)
{
    if (limits->rpm_row != PLAN_NO_ROW)
        gws_limit_publish(region, limits->rpm_row, &limits->rpm, now_ns);
    if (limits->tpm_row != PLAN_NO_ROW)
        gws_limit_publish(region, limits->tpm_row, &limits->tpm, now_ns);
    if (limits->rpd_row != PLAN_NO_ROW)
        gws_quota_publish(region, limits->rpd_row, &limits->rpd);
}
