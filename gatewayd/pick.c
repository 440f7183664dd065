#include "gatewayd/pick.h"

#include "libshm/ticket.h"

/*
 * A tier with one member needs no ticket. In a larger one the ticket picks the start and the schedule is walked from
 * there, so that the share of a candidate that cannot serve falls to its neighbours in the schedule, not to one of them.
 */

static bool allowed(const struct pick_state *state, uint32_t index)
{
    return state->tries[index] == 0 && (state->pinned < 0 || (uint32_t)state->pinned == index);
}

static int take_from(struct gws_region *region, const struct plan_model *model, const struct plan_tier *tier,
                     struct pick_state *state, struct ticket *ticket, uint32_t *index)
{
    struct refused refused;
    uint8_t asked[PLAN_CANDIDATES_MAX];
    memset(asked, 0, tier->count);
    uint64_t start = tier->count > 1 ? gws_ticket_next(region, tier->ticket_row) : 0;
    for (uint32_t i = 0; i < tier->schedule_len + tier->count; i++) {
        /* After the schedule everyone once: a long one was cut short and may not name the lightest. */
        uint32_t at = i < tier->schedule_len ? tier->schedule[(start + i) % tier->schedule_len] : i - tier->schedule_len;
        if (asked[at]++ || !allowed(state, tier->first + at))
            continue;
        if (admit_take(region, &model->candidates[tier->first + at], ticket, &refused) == 0) {
            *index = tier->first + at;
            return 0;
        }
    }
    return 1;
}

int pick_take(struct gws_region *region, const struct plan_model *model, struct pick_state *state,
              struct ticket *ticket, uint32_t *index)
{
    for (uint32_t i = 0; i < model->tier_count; i++)
        if (take_from(region, model, &model->tiers[i], state, ticket, index) == 0)
            return 0;
    return 1;
}

bool pick_possible(struct gws_region *region, const struct plan_model *model, const struct pick_state *state)
{
    struct refused refused;
    for (uint32_t i = 0; i < model->candidate_count; i++)
        if (allowed(state, i) && !admit_peek(region, &model->candidates[i], &refused))
            return true;
    return false;
}
