#include "gatewayd/request_steps.h"

#include "libshm/count.h"

/* What a request does when its time has come: one timer, set to the soonest of all that it waits for. */

void request_arm(struct request *r)
{
    uint64_t at = r->deadline;
    if (r->parks && r->parked.wake_at < at)
        at = r->parked.wake_at;
    at = r->hedge_at < at ? r->hedge_at : at;
    at = r->hold_at < at ? r->hold_at : at;
    at = r->rescuing && r->comment_at < at ? r->comment_at : at;
    at = r->loser ? 1 : at;
    if (at == UINT64_MAX)
        event_timer_off(&r->timer);
    else
        event_timer_at(&r->timer, at);
}

/* Nobody waits for anything any more; an answer that has begun ends here, and says why. */
static enum step_result end_early(struct request *r, const char *cut)
{
    request_unpark(r);
    if (r->rescuing)
        gws_count(r->service->region, GWS_COUNT_RESCUE_FAILED, 1);
    return r->relay.committed ? request_cut_off(r, cut) : FAIL;
}

static void out_of_time(struct request *r)
{
    enum step_result how = end_early(r, "The deadline passed before the answer was complete");
    if (how == FAIL)
        request_fail(r, 504, "server_error", "deadline_exceeded", "The deadline passed before an answer");
    request_finish(r, how);
}

void request_stop(struct request *r)
{
    if (!r->active)
        return;
    enum step_result how = end_early(r, "The gateway was stopped before the answer was complete");
    if (how == FAIL) {
        request_fail(r, 503, "server_error", "at_capacity", "The gateway is being stopped or replaced; ask again");
        r->failure.retry_after_ms = 1000;
    }
    request_finish(r, how);
}

/* While others are asked for the rest, the client's connection is kept from looking dead. */
static void comment(struct request *r, uint64_t now)
{
    bool waits = !r->current->attempt.active || !splice_caught_up(&r->relay.given);
    if (waits)
        relay_pass(&r->relay, STR(": the answer is being continued\n\n"));
    r->comment_at = waits ? now + COMMENT_MS : UINT64_MAX;
}

void request_on_time(struct event_timer *timer)
{
    struct request *r = (struct request *)(void *)((char *)timer - offsetof(struct request, timer));
    uint64_t now = event_now_ms(r->service->loop);
    if (!r->active)
        return;
    if (r->loser) {
        request_close_try(r, r->loser);
        r->loser = NULL;
    }
    if (now >= r->deadline) {
        out_of_time(r);
        return;
    }
    if (r->parks && now >= r->parked.wake_at) {
        request_go_on(r, STEP_PICK);
        return;
    }
    if (now >= r->hold_at) {
        r->hold_at = UINT64_MAX;
        attempt_release(&r->current->attempt, &r->relay);
    }
    if (now >= r->hedge_at)
        request_hedge(r);
    if (r->rescuing && now >= r->comment_at)
        comment(r, now);
    request_arm(r);
}
