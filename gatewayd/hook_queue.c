/*
 * A queue for each hook, so that one that is down costs the others nothing. It holds records, not documents: words are
 * found when they are needed, and a queue that is full of what nobody will read costs no more than an empty one.
 */

#include "gatewayd/hook_queue.h"

#include "gatewayd/conf.h"
#include "libshm/breaker.h"
#include "libshm/cooldown.h"

/* Whether the breaker keeps requests away. Half open is still that: it lets single ones through to find out. */
static bool is_shut(const struct gws_breaker_view *view)
{
    return view->mode == GWS_OPEN || view->mode == GWS_HALF || (view->mode == GWS_FORCED && view->forced_open);
}

static unsigned breaker_news(const struct gws_event *event)
{
    struct gws_breaker_view from = gws_breaker_view(event->old), to = gws_breaker_view(event->new);
    bool was_forced = from.mode == GWS_FORCED && from.forced_open;
    bool is_forced = to.mode == GWS_FORCED && to.forced_open;
    if (is_shut(&to))
        return !is_shut(&from) || (is_forced && !was_forced) ? CONF_NOTIFY_OPEN : 0;
    return is_shut(&from) ? CONF_NOTIFY_CLOSE : 0;
}

/* The word keeps its reason when its time is over, and loses its streak only by a success or an operator. */
static unsigned cooldown_news(const struct gws_event *event)
{
    struct gws_cooldown_view from = gws_cooldown_view(event->old), to = gws_cooldown_view(event->new);
    bool was = from.streak > 0 && gws_cooldown_exhausted(&from);
    return to.until > event->time && gws_cooldown_exhausted(&to) && !was ? CONF_NOTIFY_EXHAUSTED : 0;
}

unsigned hook_news(const struct gws_event *event)
{
    if (event->code == GWS_EVENT_BREAKER)
        return breaker_news(event);
    return event->code == GWS_EVENT_COOLDOWN ? cooldown_news(event) : 0;
}

const char *hook_news_name(unsigned news)
{
    switch (news) {
    case CONF_NOTIFY_OPEN:
        return "open";
    case CONF_NOTIFY_CLOSE:
        return "close";
    case CONF_NOTIFY_EXHAUSTED:
        return "exhausted";
    default:
        return "budget";
    }
}

void hook_queue_put(struct hook_queue *queue, const struct gws_event *event)
{
    if (queue->count == HOOK_QUEUE_MAX) {
        queue->first = (queue->first + 1) % HOOK_QUEUE_MAX;
        queue->count--;
        queue->dropped++;
    }
    queue->events[(queue->first + queue->count++) % HOOK_QUEUE_MAX] = *event;
}

bool hook_queue_take(struct hook_queue *queue, struct gws_event *event)
{
    if (queue->count == 0)
        return false;
    *event = queue->events[queue->first];
    queue->first = (queue->first + 1) % HOOK_QUEUE_MAX;
    queue->count--;
    return true;
}

uint32_t hook_pause_ms(unsigned failures, uint32_t rnd)
{
    unsigned doublings = failures > 0 ? failures - 1 : 0;
    uint32_t pause = doublings < 16 ? (uint32_t)HOOK_PAUSE_MS << doublings : HOOK_PAUSE_MAX_MS;
    if (pause > HOOK_PAUSE_MAX_MS)
        pause = HOOK_PAUSE_MAX_MS;
    return pause - rnd % (pause / 4 + 1);
}

enum hook_verdict hook_verdict(int status)
{
    if (status >= 200 && status <= 299)
        return HOOK_DELIVERED;
    bool later = status == 408 || status == 425 || status == 429 || status == 421;
    return status >= 300 && status <= 499 && !later ? HOOK_REFUSED : HOOK_AGAIN;
}
