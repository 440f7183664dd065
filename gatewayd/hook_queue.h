#ifndef GATEWAYD_HOOK_QUEUE_H
#define GATEWAYD_HOOK_QUEUE_H

/*
 * What hooks decide by, without a clock or a socket: which event is news to whom, what waits to be told, and when to
 * try again.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libshm/event.h"

/*
 * What an event is news of: CONF_NOTIFY_OPEN, CONF_NOTIFY_CLOSE or CONF_NOTIFY_EXHAUSTED, or 0.
 *
 * A breaker is news when it shuts and when it closes; trials that fail in between are not, or a dead endpoint would
 * ring every few seconds. A domain is news when it becomes exhausted, once, until a success or an operator ends that.
 */
unsigned hook_news(const struct gws_event *event);

/* "open", "close", "exhausted" or "budget". */
const char *hook_news_name(unsigned news);

enum { HOOK_QUEUE_MAX = 256, HOOK_PAUSE_MS = 1000, HOOK_PAUSE_MAX_MS = 300000 };

/* Events that wait for one hook, oldest first. A zeroed one is empty. */
struct hook_queue {
    struct gws_event events[HOOK_QUEUE_MAX];
    uint32_t first;
    uint32_t count;
    uint64_t dropped; /* that were never told, and nobody has been told so */
};

/* When there is no room the oldest goes. */
void hook_queue_put(struct hook_queue *queue, const struct gws_event *event);
/* The oldest, taken out; false when there is none. */
bool hook_queue_take(struct hook_queue *queue, struct gws_event *event);

/* How long to wait after so many failures in a row (at least one): a second, doubling, up to five minutes; at most a
 * quarter less, so that gateways that failed together do not come back together. */
uint32_t hook_pause_ms(unsigned failures, uint32_t rnd);

/* What an answer means. Of a refusal that would only be repeated, the event is given up. */
enum hook_verdict { HOOK_DELIVERED, HOOK_AGAIN, HOOK_REFUSED };
enum hook_verdict hook_verdict(int status);

#endif
