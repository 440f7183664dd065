#ifndef TESTS_GATEWAYD_RIG_H
#define TESTS_GATEWAYD_RIG_H

/*
 * A configuration bound to a region of its own, as the master would do it, and views of that region, each with a slot,
 * that stand for workers. The region's clock runs, so a test of a deadline states a range, or moves the clock.
 */

#include "tests/libshm/fixture.h"

#include "gatewayd/plan.h"
#include "libshm/clock.h"
#include "libshm/layout.h"
#include "libshm/name.h"

struct rig {
    struct fixture f;
    struct gws_region *region;
    struct conf *conf;
    struct plan *plan;
};

static inline struct conf *rig_conf(const char *text)
{
    struct conf_problems problems = {0};
    struct conf *conf = NULL;

    if (conf_parse("test", str_of(text), &conf, &problems) != 0)
        fail_msg("%u:%u: %s", problems.list[0].line, problems.list[0].column, problems.list[0].message);
    conf_problems_fini(&problems);
    return conf;
}

static inline struct plan *rig_plan(struct gws_region *region, const struct conf *conf, uint64_t generation)
{
    struct conf_problems problems = {0};
    struct plan *plan = NULL;

    if (plan_new(&plan, conf, region, generation, &problems) != 0)
        fail_msg("%s", problems.count ? problems.list[0].message : "no plan");
    conf_problems_fini(&problems);
    return plan;
}

static inline void rig_open(struct rig *rig, const char *text)
{
    assert_int_equal(secret_setup(), 0);
    rig->conf = rig_conf(text);
    struct gws_dims dims = plan_dims(rig->conf);
    fixture_create(&rig->f, &dims);
    fixture_enter(&rig->f, &rig->f.region, GWS_ROLE_MASTER, 1);
    rig->region = &rig->f.region;
    rig->plan = rig_plan(rig->region, rig->conf, gws_region_generation_next(rig->region));
}

static inline void rig_close(struct rig *rig)
{
    plan_free(rig->plan);
    conf_free(rig->conf);
    fixture_close(&rig->f);
}

/* Let so much time pass on the region's clock: its beginning moves into the past. */
static inline void rig_pass_ms(struct rig *rig, uint64_t ms)
{
    rig->region->header->base_boot_ns -= ms * 1000000;
}

static inline const struct plan_model *rig_model(const struct rig *rig, const char *name)
{
    for (uint32_t i = 0; i < rig->plan->model_count; i++)
        if (str_eq(rig->plan->models[i].name, str_of(name)))
            return &rig->plan->models[i];
    fail_msg("no model %s", name);
    return NULL;
}

static inline const struct plan_candidate *rig_candidate(const struct plan_model *model, const char *endpoint)
{
    for (uint32_t i = 0; i < model->candidate_count; i++)
        if (strcmp(model->candidates[i].target->conf->name, endpoint) == 0)
            return &model->candidates[i];
    fail_msg("no candidate %s", endpoint);
    return NULL;
}

#endif
