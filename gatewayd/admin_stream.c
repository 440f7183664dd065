/*
 * GET /api/stream: the status once a second, made once for all who listen. Who has not taken the one before gets none
 * this time, so a slow reader falls behind by one event at most and what waits for him is never more than that one.
 */

#include "gatewayd/admin_internal.h"

#define ADMIN_OF(member, pointer) ((struct admin *)(void *)((char *)(pointer) - offsetof(struct admin, member)))

/* One event; 0 or -ENOMEM. */
static int make_event(struct admin *admin, struct buf *out)
{
    const struct admin_facts facts = admin_facts(admin, 0);
    int rc = buf_add_str(out, STR("event: status\ndata: "));
    if (rc == 0)
        rc = admin_answer_status(&facts, out);
    return rc ? rc : buf_add_str(out, STR("\n\n"));
}

static void send_all(struct admin *admin, const struct buf *event)
{
    struct admin_conn *next;
    for (struct admin_conn *c = admin->first; c; c = next) {
        next = c->next;
        struct iovec piece = {event->data + event->start, buf_len(event)};
        if (c->state != ADMIN_STREAMING || sock_pending(&c->sock) > 0)
            continue;
        if (sock_send(&c->sock, &piece, 1) != 0)
            admin_conn_close(c);
    }
}

void admin_stream_tick(struct event_timer *timer)
{
    struct admin *admin = ADMIN_OF(tick, timer);
    struct buf event = {0};
    if (admin->streams == 0)
        return;
    if (make_event(admin, &event) == 0)
        send_all(admin, &event);
    buf_fini(&event);
    event_timer_at(&admin->tick, admin_now(admin) + ADMIN_STREAM_MS);
}

void admin_stream_begin(struct admin_conn *c)
{
    struct admin *admin = c->admin;
    struct buf bytes = {0};
    c->state = ADMIN_STREAMING;
    admin->streams++;
    if (!admin->tick.at)
        event_timer_at(&admin->tick, admin_now(admin) + ADMIN_STREAM_MS);
    /* How long a browser waits before it comes again, as it will after every reload. */
    int rc = admin_answer_stream_head(&bytes);
    if (rc == 0)
        rc = buf_add_str(&bytes, STR("retry: 1000\n\n"));
    if (rc == 0)
        rc = make_event(admin, &bytes);
    struct iovec piece = {bytes.data, buf_len(&bytes)};
    if (rc != 0 || sock_send(&c->sock, &piece, 1) != 0) {
        admin_conn_close(c);
    } else {
        admin_conn_deadline(c, ADMIN_IDLE_MS);
        sock_watch(&c->sock, true);
    }
    buf_fini(&bytes);
}
