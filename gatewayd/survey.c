#include "gatewayd/survey.h"

#include "libshm/clock.h"

/*
 * Made from the shared words as they are now, not from what the request met on its way: between its tries and its end
 * an endpoint may have come back, and the wait that is told to the client is the one that counts.
 */

static int add_wait(struct buf *json, const char *what, uint64_t until, uint64_t now)
{
    uint64_t left = until > now ? until - now : 0;
    return buf_addf(json, "%s %llu.%llus", what, (unsigned long long)(left / 1000),
                    (unsigned long long)(left % 1000 / 100));
}

/* What the two breakers of a candidate that refuse it are to be called. */
static int add_breakers(struct buf *json, const struct gws_region *region, const struct plan_candidate *c,
                        const struct refused *refused, uint64_t now)
{
    const uint32_t rows[] = {c->target->row, c->pair_row};
    const char *name = "half_open";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gws_breaker_view view = gws_breaker_view(gws_breaker_word(region, rows[i]));
        if (view.mode == GWS_OPEN && view.t > now && name[0] == 'h')
            name = "open";
        if (view.mode == GWS_FORCED && view.forced_open)
            name = "forced_open";
    }
    if (name[0] == 'h' || refused->until == UINT64_MAX)
        return buf_add_str(json, str_of(name));
    return add_wait(json, name, refused->until, now);
}

static int add_state(struct buf *json, const struct gws_region *region, const struct plan_candidate *c,
                     const struct refused *refused, uint64_t now)
{
    switch (refused->why) {
    case REFUSAL_DRAINED:
        return buf_add_str(json, STR("drained"));
    case REFUSAL_COOLING:
        return add_wait(json, refused->exhausted ? "exhausted" : "cooling", refused->until, now);
    case REFUSAL_OPEN:
        return add_breakers(json, region, c, refused, now);
    case REFUSAL_FULL:
        return buf_add_str(json, STR("full"));
    case REFUSAL_LIMITED:
        return add_wait(json, refused->exhausted ? "exhausted" : "limited", refused->until, now);
    case REFUSAL_NONE:
        break;
    }
    return buf_add_str(json, STR("available"));
}

static int add_tried(struct buf *json, struct verdict verdict)
{
    return verdict.status ? buf_addf(json, "failed: %s (%d)", classify_name(verdict.class), verdict.status)
                          : buf_addf(json, "failed: %s", classify_name(verdict.class));
}

static void count(struct survey *survey, const struct refused *refused)
{
    bool credential = refused->cooling == GWS_COOL_AUTH;
    survey->limited += (refused->why == REFUSAL_COOLING && !credential) || refused->why == REFUSAL_LIMITED;
    survey->spent += refused->why == REFUSAL_LIMITED && refused->exhausted;
    survey->full += refused->why == REFUSAL_FULL;
    survey->open += refused->why == REFUSAL_OPEN;
    survey->other += refused->why == REFUSAL_DRAINED || (refused->why == REFUSAL_COOLING && credential);
}

static void note_soonest(struct survey *survey, const struct refused *refused, uint64_t now)
{
    if (refused->until == 0 || refused->until == UINT64_MAX)
        return;
    int64_t left = refused->until > now ? (int64_t)(refused->until - now) : 0;
    if (survey->soonest_ms >= 0 && left >= survey->soonest_ms)
        return;
    survey->soonest_ms = left;
    survey->limit_is_soonest = refused->why == REFUSAL_COOLING || refused->why == REFUSAL_LIMITED;
}

static int add_name(struct buf *json, const struct plan_model *model, const struct plan_candidate *c, bool fallback)
{
    int rc = buf_add_str(json, STR("\""));
    if (rc == 0)
        rc = buf_add_json(json, str_of(c->target->conf->name));
    if (rc == 0 && fallback)
        rc = buf_add_str(json, STR("/"));
    if (rc == 0 && fallback)
        rc = buf_add_json(json, model->name);
    return rc ? rc : buf_add_str(json, STR("\":\""));
}

int survey_begin(struct survey *survey, struct buf *json)
{
    *survey = (struct survey){.soonest_ms = -1};
    return buf_add_str(json, STR("{"));
}

int survey_add(struct survey *survey, struct buf *json, struct gws_region *region, const struct plan_model *model,
               const struct pick_state *state, const struct verdict *last, bool fallback)
{
    uint64_t now = gws_clock_ms(region);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < model->candidate_count; i++) {
        const struct plan_candidate *c = &model->candidates[i];
        bool tried = state->marks[i].tries > 0;
        struct refused refused;
        if (state->dialect != 0 && (c->target->dialects & state->dialect) == 0)
            continue;
        bool out = admit_peek(region, c, state->tokens, &refused);
        survey->tried += tried;
        if (out) {
            count(survey, &refused);
            note_soonest(survey, &refused, now);
        }
        rc = buf_add_str(json, survey->listed++ > 0 ? STR(",") : STR(""));
        if (rc == 0)
            rc = add_name(json, model, c, fallback);
        if (rc == 0)
            rc = !out && tried ? add_tried(json, last[i]) : add_state(json, region, c, &refused, now);
        if (rc == 0)
            rc = buf_add_str(json, STR("\""));
    }
    return rc;
}

int survey_end(struct buf *json)
{
    return buf_add_str(json, STR("}"));
}

/* Of all of them, so it names every reason that some of them have. */
static const char *why_nobody(const struct survey *s)
{
    if (s->open == 0 && s->other == 0)
        return "Every endpoint is rate limited";
    if (s->limited == 0 && s->other == 0)
        return "Every endpoint's circuit breaker is open";
    if (s->limited == 0 && s->open == 0)
        return "Every endpoint is out of service";
    return "Every endpoint is rate limited, out of service, or behind an open circuit breaker";
}

struct survey_error survey_error(const struct survey *s, bool rate)
{
    static const char rate_type[] = "rate_limit_error", server_type[] = "server_error";
    if (s->limited > 0 && s->spent == s->limited && s->full == 0 && s->open == 0)
        return (struct survey_error){429, rate_type, "quota_exceeded", "The requests of the day are spent"};
    if (s->limited > 0 && s->full == 0 && (s->open == 0 || s->limit_is_soonest))
        return (struct survey_error){429, rate_type, "rate_limit_exceeded", why_nobody(s)};
    if (s->full > 0)
        return (struct survey_error){503, server_type, "at_capacity",
                                     "Every endpoint that could serve this is at its limit of requests"};
    if (s->open > 0)
        return (struct survey_error){503, server_type, "circuit_open", why_nobody(s)};
    if (rate)
        return (struct survey_error){429, rate_type, "rate_limit_exceeded", "Every endpoint is rate limited"};
    if (s->other > 0)
        return (struct survey_error){503, server_type, "circuit_open", why_nobody(s)};
    return (struct survey_error){503, server_type, "at_capacity", "No endpoint could be taken just now"};
}
