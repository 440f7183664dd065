#include "gatewayd/request_steps.h"

#include "libshm/budget.h"
#include "libshm/clock.h"
#include "libshm/count.h"

/*
 * The story's step of choosing: an endpoint, with everything that a try takes, or a wait until there may be one, or
 * another model's turn. Whoever waits is parked: its own timer ends that at the moment it waits for, and a look when
 * something may have changed before.
 */

/* A place among the retries, replays and hedges of the whole gateway. */
bool request_take_retry(struct request *r)
{
    const struct conf_retry *retry = &r->service->plan->conf->retry;
    struct gws_budget_rules rules = {retry->budget, retry->budget_min};
    return gws_budget_take(r->service->region, GWS_TALLY_RETRIES, &rules) == GWS_BUDGET_TAKEN;
}

static struct request_try *free_try(struct request *r)
{
    return r->tries[0].attempt.active ? &r->tries[1] : &r->tries[0];
}

/* One candidate, with everything it takes, for the try `t`. */
enum request_taken request_take(struct request *r, struct request_try *t, enum pick_who who)
{
    struct stage *stage = r->course.now;
    struct attempt *a = &t->attempt;
    bool retry = r->rescuing || who == PICK_AGAIN;
    if (retry && !request_take_retry(r))
        return SPENT;
    if (pick_take(r->service->region, stage->model, &stage->pick, who, &a->ticket, &a->index) != 0) {
        if (retry)
            gws_tally_leave(r->service->region, GWS_TALLY_RETRIES);
        return NOBODY;
    }
    t->retry = retry;
    t->hedge = false;
    return TAKEN;
}

/* Another model's turn; or there is nobody left. */
static enum step_result give_way(struct request *r)
{
    if (r->rescuing) {
        gws_count(r->service->region, GWS_COUNT_RESCUE_FAILED, 1);
        return request_cut_off(r, "The upstream's answer was cut off, and nobody could go on with it");
    }
    struct stage *next = course_next(&r->course, false);
    if (!next)
        return request_say_exhausted(r);
    r->course.now = next;
    return AGAIN;
}

/* The bits are the process's: they stay for whoever else waits here. */
static void await_no_more(struct request *r)
{
    const struct stage *stage = r->course.now;
    if (r->service->park->count == 0)
        pick_await(r->service->region, stage->model, &stage->pick, false);
}

/* How long to stay parked, at most `patience`; 0 when that would bring nothing. */
static uint64_t wait_for(const struct request *r, struct pick_outlook outlook, uint64_t patience)
{
    uint64_t now = gws_clock_ms(r->service->region);
    if (patience == 0)
        return 0;
    if (outlook.at == UINT64_MAX || outlook.at > now + patience)
        return outlook.place ? patience : 0;
    uint64_t wait = outlook.at > now ? outlook.at - now : 0;
    uint64_t spread = course_spread(&r->course, wait, secret_random32());
    wait = spread < patience ? spread : wait; /* to come at the last moment is to come too late */
    return wait > 0 ? wait : 1;
}

static enum step_result park(struct request *r, struct pick_outlook outlook)
{
    struct stage *stage = r->course.now;
    uint64_t now = event_now_ms(r->service->loop), left = r->deadline > now ? r->deadline - now : 0;
    uint64_t patience = course_patience(&r->course);
    uint64_t wait = wait_for(r, outlook, patience < left ? patience : left);
    if (wait == 0)
        return give_way(r);
    if (outlook.place) { /* first the bit, then the last look: see libshm/waiter.h */
        pick_await(r->service->region, stage->model, &stage->pick, true);
        if (request_take(r, r->current, PICK_UNTRIED) == TAKEN) {
            await_no_more(r);
            return NEXT;
        }
    }
    if (park_enter(r->service->park, &r->parked, r->service->plan->conf->wait.queue) != 0) {
        r->queue_full = true;
        gws_count(r->service->region, GWS_COUNT_QUEUE_FULL, 1);
        await_no_more(r);
        return give_way(r);
    }
    r->outlook = outlook;
    r->parks = true;
    r->parked_us = event_clock_us();
    r->parked.wake_at = now + wait;
    return WAIT;
}

void request_unpark(struct request *r)
{
    if (!r->parks)
        return;
    uint64_t us = event_clock_us() - r->parked_us;
    r->parks = false;
    r->waited_us += us;
    r->course.now->waited_ms += (us + 999) / 1000;
    park_leave(r->service->park, &r->parked);
    if (r->outlook.place)
        await_no_more(r);
}

enum step_result request_pick(struct request *r)
{
    struct gws_region *region = r->service->region;
    struct stage *stage = r->course.now;
    r->current = free_try(r);
    request_unpark(r);
    if (stage->tries >= r->service->plan->conf->retry.attempts)
        return give_way(r);
    enum request_taken taken = request_take(r, r->current, PICK_UNTRIED);
    if (taken == TAKEN)
        return NEXT;
    if (taken == SPENT)
        return give_way(r);
    struct pick_outlook outlook = pick_outlook(region, stage->model, &stage->pick, true);
    if (outlook.at <= gws_clock_ms(region)) {
        taken = request_take(r, r->current, PICK_AGAIN);
        if (taken == TAKEN)
            return NEXT;
        if (taken == SPENT) /* only a first try is worth waiting for */
            outlook = pick_outlook(region, stage->model, &stage->pick, false);
    }
    return park(r, outlook);
}

/* Something may have changed before its time: look whether it did. */
void request_look(struct parked *parked)
{
    struct request *r = (struct request *)(void *)((char *)parked - offsetof(struct request, parked));
    struct stage *stage = r->course.now;
    if (r->outlook.place) /* whoever woke us took the bit; and again it comes before the look */
        pick_await(r->service->region, stage->model, &stage->pick, true);
    struct pick_outlook now = pick_outlook(r->service->region, stage->model, &stage->pick, true);
    if (now.at >= r->outlook.at)
        return;
    request_go_on(r, STEP_PICK);
}
