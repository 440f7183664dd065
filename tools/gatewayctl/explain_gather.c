/*
 * The way of a request over its models, foreseen: who would be asked in which order is the choosing's preview, what
 * each answers is admission's, and how long is waited where the course's. Only what the story of a request does with
 * these answers is told again here, in fate_of() and follow().
 */

#include "tools/gatewayctl/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatewayd/course.h"
#include "gatewayd/show.h"
#include "libshm/clock.h"

static int by_order(const void *left, const void *right)
{
    const struct explain_candidate *a = left, *b = right;
    uint32_t x = a->place.order ? a->place.order : UINT32_MAX, y = b->place.order ? b->place.order : UINT32_MAX;
    if (x != y)
        return x < y ? -1 : 1;
    return a->candidate < b->candidate ? -1 : a->candidate > b->candidate;
}

static void gather_candidates(const struct explain *e, struct explain_model *m)
{
    uint32_t count = m->model->candidate_count;
    struct pick_place *places = show_must(calloc(count + 1u, sizeof(*places)));
    m->candidates = show_must(calloc(count + 1u, sizeof(*m->candidates)));
    pick_preview(e->region, m->model, m->pick, places);
    for (uint32_t i = 0; i < count; i++) {
        struct explain_candidate *c = &m->candidates[i];
        *c = (struct explain_candidate){.candidate = &m->model->candidates[i], .place = places[i]};
        explain_refusals(e, m, c);
    }
    free(places);
    qsort(m->candidates, count, sizeof(*m->candidates), by_order);
    for (uint32_t i = 0; !m->chosen && i < count; i++)
        if (m->candidates[i].answer == EXPLAIN_BEHIND) {
            m->candidates[i].answer = EXPLAIN_NOW;
            m->chosen = &m->candidates[i];
        }
    for (uint32_t i = 0; i < count; i++)
        explain_standing(e, m, &m->candidates[i]);
}

/* Who may be asked first, of those that are waited for. */
static void find_soonest(const struct explain *e, struct explain_model *m, uint64_t at)
{
    m->soonest_ms = at == UINT64_MAX ? UINT64_MAX : at > e->now ? at - e->now : 0;
    for (uint32_t i = 0; at != UINT64_MAX && i < m->model->candidate_count; i++) {
        const struct explain_candidate *c = &m->candidates[i];
        if (c->answer == EXPLAIN_NO && c->until_ms > 0 && (!m->soonest || c->until_ms < m->soonest->until_ms))
            m->soonest = c;
    }
}

static enum explain_fate fate_of(const struct explain_model *m)
{
    /* What is cut to fit is asked for all the same. */
    bool cut = !m->fallback && m->model->conf && m->model->conf->overflow == CONF_OVERFLOW_TRUNCATE;
    if ((!m->fits && !cut) || !pick_any(m->model, m->pick))
        return EXPLAIN_SKIPPED;
    if (m->chosen)
        return EXPLAIN_GOES;
    bool in_time = m->soonest_ms != UINT64_MAX && m->soonest_ms <= m->patience_ms;
    return m->patience_ms > 0 && (in_time || m->place) ? EXPLAIN_WAITS : EXPLAIN_PASSES;
}

static const struct explain_model *model_of(const struct explain *e, const struct course *course,
                                            const struct stage *stage)
{
    return stage ? &e->models[stage - course->stages] : NULL;
}

static void gather_model(struct explain *e, struct course *course, struct stage *stage)
{
    struct explain_model *m = &e->models[stage - course->stages];
    course->now = stage;
    *m = (struct explain_model){
        .model = stage->model,
        .pick = &stage->pick,
        .fallback = stage != course->stages,
        .prompt = stage->prompt,
        .fits = course_fits(stage),
        .patience_ms = course_patience(course),
    };
    struct pick_outlook outlook = pick_outlook(e->region, m->model, m->pick, true);
    m->place = outlook.place;
    gather_candidates(e, m);
    find_soonest(e, m, outlook.at);
    m->fate = fate_of(m);
    /* What is too long for the first model may go on to a larger one alone, if it is meant to. */
    if (m->fits)
        m->next = model_of(e, course, course_next(course, false));
    else if (!m->fallback && m->model->conf->overflow == CONF_OVERFLOW_FALLBACK)
        m->next = model_of(e, course, course_next(course, true));
}

/* The error of a request that nobody takes, as its client would be told. */
static struct survey_error error_of(const struct explain *e, const struct course *course)
{
    struct survey survey;
    struct buf json = {0};
    if (!e->models[0].fits)
        return (struct survey_error){400, "invalid_request_error", "context_length_exceeded",
                                     "The request is longer than the context of every model that could serve it"};
    if (e->models[0].fate == EXPLAIN_SKIPPED && !e->models[0].next)
        return (struct survey_error){400, "invalid_request_error", "bad_request",
                                     "No endpoint of this model understands the dialect"};
    int rc = survey_begin(&survey, &json);
    for (unsigned i = 0; rc == 0 && i < e->count; i++)
        if (e->models[i].fate != EXPLAIN_SKIPPED)
            rc = survey_add(&survey, &json, e->region, e->models[i].model, e->models[i].pick, course->stages[i].last,
                            i > 0);
    if (rc != 0)
        show_must(NULL);
    buf_fini(&json);
    return survey_error(&survey, false);
}

static void follow(struct explain *e, const struct course *course)
{
    const struct explain_model *m = &e->models[0];
    while (m && m->fate != EXPLAIN_GOES && m->fate != EXPLAIN_WAITS)
        m = m->next;
    e->ends = m;
    if (!m)
        e->error = error_of(e, course);
}

/* Pin the request as X-Gateway-Endpoint would; such a one has no other model. */
static int pin(const struct explain *e, struct course *course, const char *name, char *why, size_t size)
{
    const struct plan_model *model = course->now->model;
    struct str near = {0};
    unsigned best = 4;
    for (uint32_t i = 0; i < model->candidate_count; i++)
        if (strcmp(model->candidates[i].target->conf->name, name) == 0)
            course->now->pick.pinned = (int)i;
    course->count = 1;
    if (course->now->pick.pinned >= 0)
        return 0;
    for (uint32_t i = 0; i < e->plan->target_count; i++) {
        struct str other = str_of(e->plan->targets[i].conf->name);
        unsigned distance = str_distance(str_of(name), other);
        if (distance < best) {
            best = distance;
            near = other;
        }
    }
    if (near.len > 0 && best == 0)
        snprintf(why, size, "%s does not serve %.*s; ask without --endpoint who does", name, (int)model->name.len,
                 model->name.at);
    else if (near.len > 0)
        snprintf(why, size, "there is no endpoint %s; did you mean %.*s?", name, (int)near.len, near.at);
    else
        snprintf(why, size, "there is no endpoint %s in %s", name, e->plan->conf->file);
    return 1;
}

static void set_tokens(struct course *course, uint64_t tokens)
{
    bool counted = false;
    for (unsigned i = 0; i < course->count; i++)
        counted = counted || course->stages[i].model->counts_tokens;
    for (unsigned i = 0; counted && i < course->count; i++) {
        course->stages[i].prompt = tokens;
        course->stages[i].pick.tokens = tokens;
    }
}

static int find_model(const struct explain *e, struct route *route, char *why, size_t size)
{
    route->model = route_model(e->plan, route->asked, &route->resolved);
    if (route->model)
        return 0;
    struct str near = route_nearest(e->plan, route->asked);
    if (near.len > 0)
        snprintf(why, size, "there is no model %s; did you mean %.*s?", route->asked.at, (int)near.len, near.at);
    else
        snprintf(why, size, "there is no model %s in %s", route->asked.at, e->plan->conf->file);
    return 1;
}

int explain_gather(struct explain *e, const struct explain_asked *asked, char *why, size_t size)
{
    struct route route = {.kind = ROUTE_MODEL, .asked = str_of(asked->model), .anthropic = asked->anthropic};
    struct course course;
    if (find_model(e, &route, why, size) != 0)
        return 1;
    if (course_make(&course, e->plan, &route, true, &e->arena) != 0)
        show_must(NULL);
    if (asked->endpoint && pin(e, &course, asked->endpoint, why, size) != 0)
        return 1;
    set_tokens(&course, asked->tokens);
    e->asked = route.asked;
    e->resolved = route.resolved;
    e->now = gws_clock_ms(e->region);
    e->count = course.count;
    e->models = show_must(calloc(e->count, sizeof(*e->models)));
    for (unsigned i = 0; i < e->count; i++)
        gather_model(e, &course, &course.stages[i]);
    follow(e, &course);
    return 0;
}

void explain_fini(struct explain *e)
{
    for (unsigned i = 0; e->models && i < e->count; i++)
        free(e->models[i].candidates);
    free(e->models);
    arena_fini(&e->arena);
    *e = (struct explain){0};
}
