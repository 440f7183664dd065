#include "gatewayd/event.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

/*
 * libev was chosen for being small, embeddable and exact about descriptors. Its epoll back end batches changes until
 * the next turn, so a watcher that is stopped and started again within a turn costs no system call.
 */

#define OWNER(type, member, pointer) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

_Static_assert((int)EVENT_READ == (int)EV_READ && (int)EVENT_WRITE == (int)EV_WRITE,
               "the sets are handed through unchanged");

static void turn(struct ev_loop *ev, ev_prepare *prepare, int revents)
{
    (void)ev;
    (void)revents;
    struct event_loop *loop = OWNER(struct event_loop, prepare, prepare);
    if (loop->before_sleep)
        loop->before_sleep(loop->owner);
}

/* ev_now() is wall-clock time and steps with it; deadlines need a clock that does not. */
static uint64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Called first after every sleep, before what has become ready. */
static void woken(struct ev_loop *ev, ev_check *check, int revents)
{
    (void)ev;
    (void)revents;
    OWNER(struct event_loop, check, check)->now_ms = clock_ms();
}

int event_loop_init(struct event_loop *loop)
{
    memset(loop, 0, sizeof *loop);
    loop->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (!loop->ev)
        loop->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    if (!loop->ev)
        return -ENOMEM;
    ev_prepare_init(&loop->prepare, turn);
    ev_prepare_start(loop->ev, &loop->prepare);
    ev_check_init(&loop->check, woken);
    ev_set_priority(&loop->check, EV_MAXPRI);
    ev_check_start(loop->ev, &loop->check);
    ev_unref(loop->ev);
    ev_unref(loop->ev);
    loop->now_ms = clock_ms();
    return 0;
}

void event_loop_fini(struct event_loop *loop)
{
    if (!loop->ev)
        return;
    ev_ref(loop->ev);
    ev_ref(loop->ev);
    ev_prepare_stop(loop->ev, &loop->prepare);
    ev_check_stop(loop->ev, &loop->check);
    ev_loop_destroy(loop->ev);
    loop->ev = NULL;
}

void event_loop_run(struct event_loop *loop)
{
    loop->now_ms = clock_ms();
    ev_run(loop->ev, 0);
}

void event_loop_stop(struct event_loop *loop)
{
    ev_break(loop->ev, EVBREAK_ALL);
}

void event_loop_before_sleep(struct event_loop *loop, void (*hook)(void *owner), void *owner)
{
    loop->before_sleep = hook;
    loop->owner = owner;
}

uint64_t event_clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void io_ready(struct ev_loop *ev, ev_io *io, int revents)
{
    (void)ev;
    struct event_io *self = OWNER(struct event_io, io, io);
    self->ready(self, revents & (EVENT_READ | EVENT_WRITE));
}

void event_io_init(struct event_io *io, struct event_loop *loop, int fd,
                   void (*ready)(struct event_io *self, int what))
{
    ev_io_init(&io->io, io_ready, fd, 0);
    io->loop = loop;
    io->ready = ready;
}

void event_io_watch(struct event_io *io, int what)
{
    if (!io->loop || event_io_watched(io) == what)
        return;
    if (ev_is_active(&io->io))
        ev_io_stop(io->loop->ev, &io->io);
    if (what) {
        ev_io_set(&io->io, io->io.fd, what);
        ev_io_start(io->loop->ev, &io->io);
    }
}

/* Arms the inner timer for `at`; ev_timer counts from the loop's own idea of now, which may lag: never fire early. */
static void timer_arm(struct event_timer *timer, uint64_t at)
{
    uint64_t now = event_now_ms(timer->loop);
    double after = at > now ? (double)(at - now) / 1000.0 : 0.0;
    ev_now_update(timer->loop->ev);
    ev_timer_stop(timer->loop->ev, &timer->timer);
    ev_timer_set(&timer->timer, after, 0.);
    ev_timer_start(timer->loop->ev, &timer->timer);
    timer->timer.data = (void *)(uintptr_t)at;
}

static void timer_fired(struct ev_loop *ev, ev_timer *inner, int revents)
{
    (void)ev;
    (void)revents;
    struct event_timer *self = OWNER(struct event_timer, timer, inner);
    if (self->at == 0)
        return;
    if (event_now_ms(self->loop) < self->at) {
        timer_arm(self, self->at);
        return;
    }
    self->at = 0;
    self->fired(self);
}

void event_timer_init(struct event_timer *timer, struct event_loop *loop, void (*fired)(struct event_timer *self))
{
    ev_timer_init(&timer->timer, timer_fired, 0., 0.);
    timer->loop = loop;
    timer->at = 0;
    timer->fired = fired;
}

void event_timer_at(struct event_timer *timer, uint64_t at_ms)
{
    timer->at = at_ms ? at_ms : 1;
    if (ev_is_active(&timer->timer) && (uintptr_t)timer->timer.data <= timer->at)
        return;
    timer_arm(timer, timer->at);
}

void event_timer_off(struct event_timer *timer)
{
    timer->at = 0;
}

void event_timer_stop(struct event_timer *timer)
{
    timer->at = 0;
    if (timer->loop)
        ev_timer_stop(timer->loop->ev, &timer->timer);
}

static void signal_caught(struct ev_loop *ev, ev_signal *signal, int revents)
{
    (void)ev;
    (void)revents;
    struct event_signal *self = OWNER(struct event_signal, signal, signal);
    self->caught(self);
}

void event_signal_start(struct event_signal *signal, struct event_loop *loop, int signum,
                        void (*caught)(struct event_signal *self))
{
    ev_signal_init(&signal->signal, signal_caught, signum);
    signal->loop = loop;
    signal->caught = caught;
    ev_signal_start(loop->ev, &signal->signal);
    ev_unref(loop->ev);
}
