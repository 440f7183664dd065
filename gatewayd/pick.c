#include "gatewayd/pick_internal.h"

#include "libshm/clock.h"
#include "libshm/ticket.h"

/*
 * A tier with one member needs no ticket, nor does a request that is pinned to one. Otherwise one is drawn from the
 * tier's shared counter. By weight it names the place in the schedule, and when the candidate there cannot serve, the
 * next ticket the next place: so the share of one that is out falls to the others by their weights, and not to whoever
 * stands behind it. Where load or latency decides, it settles what these leave open.
 *
 * Who is degraded or recovering is passed over at first like one that is out, and asked when all others of its tier
 * have refused; who is in its maintenance hours, when all tiers have.
 *
 * A preview is the same search, in which everybody refuses and is noted, and the turns are looked at and not drawn.
 */

struct search {
    struct gws_region *region;
    const struct plan_model *model;
    struct pick_state *state;
    enum pick_who who;
    bool maintained; /* now it is the turn of those in their maintenance hours */
    bool passed;     /* some of them were passed over */
    uint64_t now;    /* region ms; 0 until somebody needs it */
    uint64_t real_ms;
    struct ticket *ticket;
    uint32_t *index;
    struct pick_place *places; /* of a preview, else NULL */
    uint32_t previewed;
};

static uint64_t now_of(struct search *s)
{
    if (s->now == 0)
        s->now = gws_clock_ms(s->region);
    return s->now;
}

static bool is_maintained(struct search *s, const struct plan_target *t)
{
    if (t->maintenance_count == 0)
        return false;
    if (s->real_ms == 0)
        s->real_ms = gws_clock_real_ms();
    return plan_maintained(t, s->real_ms);
}

static uint64_t draw(struct search *s, const struct plan_tier *tier)
{
    if (!s->places)
        return gws_ticket_next(s->region, tier->ticket_row);
    return gws_ticket_peek(s->region, tier->ticket_row) + s->places[tier->first].drawn++;
}

static enum pick_standing standing_of(struct search *s, uint32_t index, uint64_t turn)
{
    enum pick_standing standing = pick_standing(s->region, &s->model->candidates[index], turn, &s->now);
    if (s->places)
        s->places[index].standing = standing;
    return standing;
}

/* Whether the candidate is to be asked in this round, if its turn comes. */
static bool is_meant(struct search *s, uint32_t index)
{
    const struct pick_mark *mark = &s->state->marks[index];
    if (!pick_eligible(s->model, s->state, index) || mark->barred)
        return false;
    if (s->who == PICK_UNTRIED && mark->tries > 0)
        return false;
    if (s->who == PICK_AGAIN &&
        (mark->tries == 0 || mark->tries >= s->state->per_endpoint || mark->again_at > now_of(s)))
        return false;
    bool maintained = is_maintained(s, s->model->candidates[index].target);
    s->passed |= maintained;
    if (s->places)
        s->places[index].maintained = maintained;
    return maintained == s->maintained;
}

static int ask(struct search *s, uint32_t index)
{
    struct refused refused;
    if (s->places) {
        s->places[index].order = ++s->previewed;
        return 1;
    }
    if (admit_take(s->region, &s->model->candidates[index], s->state->tokens, s->ticket, &refused) != 0)
        return 1;
    s->state->marks[index].tries++;
    *s->index = index;
    return 0;
}

/* Nobody to choose among, or only one who may be chosen. */
static int take_plainly(struct search *s, const struct plan_tier *tier)
{
    for (uint32_t i = tier->first; i < tier->first + tier->count; i++)
        if (is_meant(s, i) && ask(s, i) == 0)
            return 0;
    return 1;
}

/* What became of each candidate of a tier so far: PASSED and its standing, of those that are to be asked later. */
enum { UNSEEN, ASKED, PASSED };

/*
 * Those that were passed over, in an order that belongs to the request's first turn. By the schedule from anywhere in
 * it they come first as often as their weights say. No tickets are drawn for it: the turns of those that are well must
 * not move on faster for it.
 */
static int take_passed(struct search *s, const struct plan_tier *tier, uint8_t *fate, uint64_t turn)
{
    uint64_t begin = pick_hash(turn) % tier->schedule_len;
    for (uint8_t standing = PICK_WELL + 1; standing < PICK_STANDINGS; standing++)
        for (uint32_t i = 0; i < tier->schedule_len + tier->count; i++) {
            uint32_t at = i < tier->schedule_len ? tier->schedule[(begin + i) % tier->schedule_len]
                                                 : i - tier->schedule_len;
            if (fate[at] != PASSED + standing)
                continue;
            fate[at] = ASKED;
            if (ask(s, tier->first + at) == 0)
                return 0;
        }
    return 1;
}

/* The candidate's turn has come. 0: taken. */
static int meet(struct search *s, const struct plan_tier *tier, uint32_t at, uint64_t turn, uint8_t *fate)
{
    uint32_t index = tier->first + at;
    fate[at] = ASKED;
    if (!is_meant(s, index))
        return 1;
    enum pick_standing standing = standing_of(s, index, turn);
    if (standing == PICK_WELL)
        return ask(s, index);
    fate[at] = (uint8_t)(PASSED + standing);
    return 1;
}

static int take_in_turn(struct search *s, const struct plan_tier *tier)
{
    uint8_t fate[PLAN_CANDIDATES_MAX];
    uint64_t first = 0;
    bool passed = false;
    memset(fate, UNSEEN, tier->count);
    uint32_t left = tier->count;
    /* After the schedule everyone once: other processes drew tickets between ours, and a long one was cut short. */
    for (uint32_t i = 0; left > 0 && i < tier->schedule_len + tier->count; i++) {
        uint64_t turn = i < tier->schedule_len ? draw(s, tier) : first + i;
        uint32_t at = i < tier->schedule_len ? tier->schedule[turn % tier->schedule_len] : i - tier->schedule_len;
        first = i == 0 ? turn : first;
        if (fate[at] != UNSEEN)
            continue;
        left--;
        if (meet(s, tier, at, turn, fate) == 0)
            return 0;
        passed |= fate[at] >= PASSED;
    }
    return passed ? take_passed(s, tier, fate, first) : 1;
}

/* Those of a tier that are to be asked, and what they score. */
struct field {
    uint64_t turn;
    uint32_t count;
    uint16_t index[PLAN_CANDIDATES_MAX];
    uint8_t standing[PLAN_CANDIDATES_MAX]; /* PICK_STANDINGS: asked already */
    uint64_t score[PLAN_CANDIDATES_MAX];
};

static void gather(struct search *s, const struct plan_tier *tier, struct field *f)
{
    f->count = 0;
    f->turn = draw(s, tier);
    for (uint32_t i = tier->first; i < tier->first + tier->count; i++) {
        if (!is_meant(s, i))
            continue;
        f->index[f->count] = (uint16_t)i;
        f->standing[f->count++] = (uint8_t)standing_of(s, i, f->turn);
    }
}

static uint64_t score(struct search *s, const struct field *f, uint32_t place)
{
    return pick_score(s->region, &s->model->candidates[f->index[place]], s->model->conf->strategy, now_of(s));
}

/* Ask one of the field, once. */
static int ask_in(struct search *s, struct field *f, uint32_t place)
{
    f->standing[place] = PICK_STANDINGS;
    return ask(s, f->index[place]);
}

/* The best of a standing that was not asked yet; of equals the one whose turn it is. `count` when there is none. */
static uint32_t best(const struct field *f, uint8_t standing)
{
    uint64_t low = UINT64_MAX, equals = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->standing[i] != standing || f->score[i] > low)
            continue;
        equals = f->score[i] < low ? 1 : equals + 1;
        low = f->score[i];
    }
    uint64_t turn = equals ? f->turn % equals : 0;
    for (uint32_t i = 0; i < f->count; i++)
        if (f->standing[i] == standing && f->score[i] == low && turn-- == 0)
            return i;
    return f->count;
}

/* The place of the `number`th that is well. */
static uint32_t well_at(const struct field *f, uint64_t number)
{
    uint32_t i = 0;
    while (f->standing[i] != PICK_WELL || number-- > 0)
        i++;
    return i;
}

/*
 * Of all that are well two are drawn, and the better one asked. To ask the very best each time would send everybody to
 * whoever last looked good, all at once.
 */
static int take_of_two(struct search *s, struct field *f)
{
    uint64_t drawn = pick_hash(f->turn), well = 0;
    for (uint32_t i = 0; i < f->count; i++)
        well += f->standing[i] == PICK_WELL;
    if (well < 2)
        return 1;
    uint64_t first = (drawn & UINT32_MAX) % well;
    uint32_t a = well_at(f, first), b = well_at(f, (first + 1 + (drawn >> 32) % (well - 1)) % well);
    return ask_in(s, f, score(s, f, a) <= score(s, f, b) ? a : b);
}

static int take_by_score(struct search *s, const struct plan_tier *tier)
{
    struct field f;
    gather(s, tier, &f);
    if (s->model->conf->strategy == CONF_LATENCY && take_of_two(s, &f) == 0)
        return 0;
    for (uint32_t i = 0; i < f.count; i++)
        f.score[i] = score(s, &f, i);
    for (uint8_t standing = PICK_WELL; standing < PICK_STANDINGS; standing++)
        for (uint32_t place = best(&f, standing); place < f.count; place = best(&f, standing))
            if (ask_in(s, &f, place) == 0)
                return 0;
    return 1;
}

static int take_from(struct search *s, const struct plan_tier *tier)
{
    const struct conf_model *conf = s->model->conf;
    if (tier->count == 1 || s->state->pinned >= 0)
        return take_plainly(s, tier);
    bool scored = conf && (conf->strategy == CONF_LATENCY || conf->strategy == CONF_LEAST_BUSY);
    return scored ? take_by_score(s, tier) : take_in_turn(s, tier);
}

static int search(struct search *s)
{
    for (int round = 0; round < 2; round++) {
        s->maintained = round == 1;
        for (uint32_t i = 0; i < s->model->tier_count; i++)
            if (take_from(s, &s->model->tiers[i]) == 0)
                return 0;
        if (!s->passed)
            break;
    }
    return 1;
}

int pick_take(struct gws_region *region, const struct plan_model *model, struct pick_state *state, enum pick_who who,
              struct ticket *ticket, uint32_t *index)
{
    struct search s = {.region = region, .model = model, .state = state, .who = who, .ticket = ticket, .index = index};
    return search(&s);
}

void pick_preview(struct gws_region *region, const struct plan_model *model, struct pick_state *state,
                  struct pick_place *places)
{
    struct search s = {.region = region, .model = model, .state = state, .who = PICK_UNTRIED, .places = places};
    memset(places, 0, model->candidate_count * sizeof *places);
    (void)search(&s);
}
