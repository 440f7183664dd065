#include "gatewayd/pick.h"

#include "libshm/ticket.h"

/*
 * A tier with one member needs no ticket, nor does a request that is pinned to one. Otherwise a ticket names the place
 * in the schedule, and when the candidate there cannot serve, the next ticket the next place: so the share of one that
 * is out falls to the others by their weights, and not to whoever stands behind it.
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
    bool in_turn = tier->count > 1 && state->pinned < 0;
    uint32_t left = tier->count;
    for (uint32_t i = in_turn ? 0 : tier->schedule_len; left > 0 && i < tier->schedule_len + tier->count; i++) {
        /* After the schedule everyone once: other processes drew tickets between ours, and a long one was cut short. */
        uint32_t at = i < tier->schedule_len
                          ? tier->schedule[gws_ticket_next(region, tier->ticket_row) % tier->schedule_len]
                          : i - tier->schedule_len;
        if (asked[at])
            continue;
        asked[at] = 1;
        left--;
        if (!allowed(state, tier->first + at))
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
