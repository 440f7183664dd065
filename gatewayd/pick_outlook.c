#include "gatewayd/pick_internal.h"

#include "libshm/clock.h"
#include "libshm/waiter.h"

/* What could be, for a request that has to decide whether to wait: nothing here takes anything. */

bool pick_any(const struct plan_model *model, const struct pick_state *state)
{
    for (uint32_t i = 0; i < model->candidate_count; i++)
        if (pick_eligible(model, state, i))
            return true;
    return false;
}

/* Whether the candidate may be asked by this request, now or later; `again`: once more, if it was. */
static bool is_left(const struct plan_model *model, const struct pick_state *state, uint32_t index, bool again)
{
    const struct pick_mark *mark = &state->marks[index];
    return pick_eligible(model, state, index) && !mark->barred &&
           (mark->tries == 0 || (again && mark->tries < state->per_endpoint));
}

bool pick_possible(struct gws_region *region, const struct plan_model *model, const struct pick_state *state)
{
    struct refused refused;
    for (uint32_t i = 0; i < model->candidate_count; i++)
        if (is_left(model, state, i, false) && !admit_peek(region, &model->candidates[i], state->tokens, &refused))
            return true;
    return false;
}

/* Who lacks time and a place is waited for by time: when that has come, the place is asked for. */
static void look_at(struct pick_outlook *outlook, const struct refused *refused, uint64_t again_at, uint64_t now)
{
    uint64_t at = refused->until > again_at ? refused->until : again_at;
    if (refused->why == REFUSAL_FULL && again_at <= now) {
        outlook->place = true;
        return;
    }
    if (at <= now)
        at = 0;
    if (at < outlook->at)
        outlook->at = at;
}

struct pick_outlook pick_outlook(struct gws_region *region, const struct plan_model *model,
                                 const struct pick_state *state, bool again)
{
    struct pick_outlook outlook = {.at = UINT64_MAX};
    for (uint32_t i = 0; i < model->candidate_count; i++) {
        struct refused refused;
        if (!is_left(model, state, i, again))
            continue;
        admit_peek(region, &model->candidates[i], state->tokens, &refused);
        look_at(&outlook, &refused, state->marks[i].tries ? state->marks[i].again_at : 0, gws_clock_ms(region));
    }
    return outlook;
}

/* Cleared at every candidate: which of them could still be tried may have changed since the bits were set. */
void pick_await(struct gws_region *region, const struct plan_model *model, const struct pick_state *state, bool on)
{
    for (uint32_t i = 0; i < model->candidate_count; i++) {
        if (!on)
            gws_waiter_clear(region, model->candidates[i].target->endpoint);
        else if (is_left(model, state, i, true))
            gws_waiter_set(region, model->candidates[i].target->endpoint);
    }
}
