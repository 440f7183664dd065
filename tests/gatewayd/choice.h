#ifndef TESTS_GATEWAYD_CHOICE_H
#define TESTS_GATEWAYD_CHOICE_H

/* One request's choice of an endpoint, for the tests of choosing: endpoints are told apart by the first letter of their
 * names. */

#include "tests/gatewayd/rig.h"

#include "gatewayd/pick.h"
#include "libshm/order.h"

enum { CHOICE_BY = 1000 /* the uid of an operator */ };

struct choice {
    struct pick_mark marks[8];
    struct pick_state state;
    struct ticket ticket;
    uint32_t index;
};

static inline void choice_fresh(struct choice *c)
{
    *c = (struct choice){.state = {.pinned = -1, .per_endpoint = 3}, .index = 77};
    c->state.marks = c->marks;
}

/* Take one and keep it; its letter, or '-' when nobody can. */
static inline char choice_take(struct gws_region *region, const struct plan_model *model, struct choice *c,
                               enum pick_who who)
{
    if (pick_take(region, model, &c->state, who, &c->ticket, &c->index) != 0)
        return '-';
    assert_ptr_equal(c->ticket.candidate, &model->candidates[c->index]);
    return model->candidates[c->index].target->conf->name[0];
}

/* Who is chosen by a request that knows nothing yet and is over at once. */
static inline char choice_of(struct gws_region *region, const struct plan_model *model)
{
    struct choice c;

    choice_fresh(&c);
    char who = choice_take(region, model, &c, PICK_UNTRIED);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(c.marks[i].tries, who != '-' && c.index == i);
    if (who == '-') {
        assert_null(c.ticket.candidate);
        assert_int_equal(c.index, 77);
    }
    admit_release(region, &c.ticket);
    return who;
}

/* How many of so many choices fall to the one with this letter. */
static inline unsigned choice_count(struct gws_region *region, const struct plan_model *model, char who, unsigned of)
{
    unsigned count = 0;

    for (unsigned i = 0; i < of; i++)
        count += choice_of(region, model) == who;
    return count;
}

static inline void choice_out(struct rig *rig, const char *name)
{
    for (uint32_t i = 0; i < rig->plan->target_count; i++)
        if (strcmp(rig->plan->targets[i].conf->name, name) == 0)
            gws_order_drain(rig->region, rig->plan->targets[i].row, 1, CHOICE_BY);
}

#endif
