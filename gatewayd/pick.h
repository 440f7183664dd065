#ifndef GATEWAYD_PICK_H
#define GATEWAYD_PICK_H

/*
 * Choosing one endpoint of a model: lowest priority first, within it by the model's strategy; one that is degraded goes
 * behind its healthy peers, one in its maintenance hours behind everyone. Whoever refuses is passed over and the next
 * is asked.
 */

#include "gatewayd/admit.h"

/* What one request already did with a candidate of its model. */
struct pick_mark {
    uint8_t tries;
    bool barred;       /* not to be asked again by this request: it was silent, or refused it for good */
    uint64_t again_at; /* when it may be tried again, region ms; what the shared words say comes on top */
};

struct pick_state {
    struct pick_mark *marks; /* one per candidate, zeroed to start */
    int pinned;              /* index of the only candidate allowed, or -1 */
    unsigned dialect;        /* CONF_DIALECT_…: who does not understand it is no candidate; 0: anyone */
    uint32_t per_endpoint;   /* tries of one candidate, at most */
    uint64_t tokens;         /* what limits by tokens are charged for a try */
};

enum pick_who {
    PICK_UNTRIED, /* the first try of a candidate */
    PICK_AGAIN    /* another try of one whose time has come */
};

/* 0 with the ticket taken, `*index` set and the try marked, or 1 when none of them can take the request now. */
int pick_take(struct gws_region *region, const struct plan_model *model, struct pick_state *state, enum pick_who who,
              struct ticket *ticket, uint32_t *index);

/* How a candidate stands among the others of its tier: those of a later standing are asked after those of an
 * earlier. */
enum pick_standing { PICK_WELL, PICK_DEGRADED, PICK_RECOVERING, PICK_STANDINGS };

struct pick_place {
    uint32_t order;              /* 1: asked first; 0: not asked at all */
    enum pick_standing standing; /* WELL also where it does not matter */
    bool maintained;             /* in its maintenance hours */
    uint32_t drawn;              /* of the first of a tier: turns that were looked at */
};

/*
 * In which order pick_take() would ask the untried, if whoever is asked refuses; so the first of them that admit_peek()
 * does not refuse is the one it takes, if nobody is quicker to draw the next turn. Takes and draws nothing. There is a
 * place for every candidate.
 */
void pick_preview(struct gws_region *region, const struct plan_model *model, struct pick_state *state,
                  struct pick_place *places);

/* Whether somebody untried could take it now; takes nothing. */
bool pick_possible(struct gws_region *region, const struct plan_model *model, const struct pick_state *state);

/* Whether the model has any candidate for this request at all, whatever state it is in. */
bool pick_any(const struct plan_model *model, const struct pick_state *state);

/* What waiting would bring. */
struct pick_outlook {
    uint64_t at; /* the soonest moment at which somebody may be asked, region ms; 0: now; UINT64_MAX: none is known */
    bool place;  /* somebody lacks nothing but a place in a bulkhead, which may come free at any moment */
};

/* `again`: those tried before count too (from their again_at on, up to per_endpoint tries); else the untried only. Who
 * is drained, held open or barred is not waited for. */
struct pick_outlook pick_outlook(struct gws_region *region, const struct plan_model *model,
                                 const struct pick_state *state, bool again);

/* Set (or clear) this process's waiter bit at every candidate that could still be tried: whoever gives a place back
 * there wakes it. To be set before pick_take() is asked a last time; see libshm/waiter.h. */
void pick_await(struct gws_region *region, const struct plan_model *model, const struct pick_state *state, bool on);

#endif
