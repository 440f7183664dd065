#include "gatewayd/course.h"

#include <errno.h>

#include "gatewayd/tokens.h"
#include "libshm/estimate.h"

/*
 * Another candidate of the same model is asked at once, whoever it is; the same candidate only after a wait that grows;
 * another model only when the first one has been waited for, because an answer by another model is worse than one two
 * seconds later.
 */

enum { ANSWER_ROOM = 500, PIECE = 10000, WHOLE_FACTOR = 100, SPREAD_MAX_MS = 1000 };

static unsigned dialect_of(const struct route *route)
{
    if (route->kind != ROUTE_MODEL)
        return 0;
    return route->anthropic ? CONF_DIALECT_ANTHROPIC : CONF_DIALECT_OPENAI;
}

static int make_stage(struct stage *stage, const struct plan_model *model, const struct conf *conf,
                      const struct route *route, struct arena *arena)
{
    stage->model = model;
    stage->name = model->name;
    stage->pick.pinned = -1;
    stage->pick.dialect = dialect_of(route);
    stage->pick.per_endpoint = conf->retry.per_endpoint;
    stage->pick.marks = arena_alloc(arena, model->candidate_count * sizeof *stage->pick.marks);
    stage->last = arena_alloc(arena, model->candidate_count * sizeof *stage->last);
    return stage->pick.marks && stage->last ? 0 : -ENOMEM;
}

int course_make(struct course *course, const struct plan *plan, const struct route *route, bool fallbacks,
                struct arena *arena)
{
    const struct conf_model *conf = route->model->conf;
    size_t others = conf && fallbacks ? conf->fallback_count : 0;
    *course = (struct course){.conf = plan->conf, .count = (unsigned)others + 1};
    course->stages = arena_alloc(arena, course->count * sizeof *course->stages);
    if (!course->stages)
        return -ENOMEM;
    int rc = make_stage(&course->stages[0], route->model, plan->conf, route, arena);
    for (size_t i = 0; rc == 0 && i < others; i++)
        rc = make_stage(&course->stages[i + 1], &plan->models[conf->fallback[i]], plan->conf, route, arena);
    if (!conf)
        course->stages[0].name = route->resolved;
    course->now = course->stages;
    return rc;
}

void course_estimate(struct course *course, struct gws_region *region, struct str body)
{
    bool needed = false;
    for (unsigned i = 0; i < course->count; i++)
        needed = needed || course->stages[i].model->counts_tokens;
    if (!needed)
        return;
    struct tokens tokens;
    tokens_estimate(body, &tokens);
    course->thumb = tokens.prompt;
    for (unsigned i = 0; i < course->count; i++) {
        struct stage *stage = &course->stages[i];
        stage->prompt = gws_estimate_tokens(region, stage->model->estimate_row, tokens.prompt);
        stage->pick.tokens = stage->prompt + tokens.answer;
    }
}

static uint64_t context_of(const struct stage *stage)
{
    return stage->model->conf ? stage->model->conf->context : 0;
}

bool course_fits(const struct stage *stage)
{
    uint64_t context = context_of(stage);
    return context == 0 || stage->prompt + ANSWER_ROOM <= context;
}

uint64_t course_room(const struct course *course, const struct stage *stage)
{
    uint64_t context = context_of(stage), room = context > ANSWER_ROOM ? context - ANSWER_ROOM : 0;
    return stage->prompt > 0 ? (uint64_t)((double)room * (double)course->thumb / (double)stage->prompt) : room;
}

struct stage *course_next(const struct course *course, bool larger)
{
    uint64_t context = context_of(course->now);
    for (struct stage *s = course->now + 1; !course->fixed && s < course->stages + course->count; s++) {
        bool grows = context == 0 || context_of(s) == 0 || context_of(s) > context;
        if (course_fits(s) && (grows || !larger) && pick_any(s->model, &s->pick))
            return s;
    }
    return NULL;
}

uint64_t course_patience(const struct course *course)
{
    const struct stage *s = course->now;
    uint64_t most = course->conf->wait.max;
    if (s->model->conf && course_next(course, false) && s->model->conf->patience < most)
        most = s->model->conf->patience;
    return most > s->waited_ms ? most - s->waited_ms : 0;
}

/* Before the try after so many; without its spread. */
static uint64_t backoff(const struct conf_retry *retry, unsigned tries)
{
    uint64_t wait = retry->base;
    for (unsigned i = 1; i < tries && wait < retry->max; i++)
        wait = wait * retry->factor / WHOLE_FACTOR;
    return wait < retry->max ? wait : retry->max;
}

void course_failed(struct course *course, uint32_t index, struct verdict verdict, bool silent, uint64_t now)
{
    struct pick_mark *mark = &course->now->pick.marks[index];
    bool told = verdict.wait_ms > 0 && (verdict.class == CLASS_RATE || verdict.class == CLASS_OVERLOAD);
    course->now->last[index] = verdict;
    mark->barred = mark->barred || silent || verdict.class == CLASS_CLIENT || verdict.class == CLASS_CONTEXT;
    mark->again_at = now + (told ? 0 : backoff(&course->conf->retry, mark->tries));
}

uint64_t course_spread(const struct course *course, uint64_t wait, uint32_t random)
{
    uint64_t most = wait * course->conf->retry.jitter / PIECE;
    most = most < SPREAD_MAX_MS ? most : SPREAD_MAX_MS;
    return wait + random % (most + 1);
}
