#ifndef GATEWAYD_EVENT_H
#define GATEWAYD_EVENT_H

/*
 * The event loop of a process: descriptors, timers, signals, and the clock everyone else is handed. A thin face on
 * libev, so that nothing above knows which library turns the loop. Watchers are embedded in their owner's object and
 * must be stopped before it goes; stopping twice, or a zeroed one, is harmless.
 */

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct event_loop {
    struct ev_loop *ev;
    ev_prepare prepare;
    ev_check check;
    uint64_t now_ms; /* read once a turn */
    void (*before_sleep)(void *owner); /* called once per turn */
    void *owner;
};

enum { EVENT_READ = 1, EVENT_WRITE = 2 };

struct event_io {
    ev_io io;
    struct event_loop *loop;
    void (*ready)(struct event_io *self, int what);
};

struct event_timer {
    ev_timer timer;
    struct event_loop *loop;
    uint64_t at; /* when it is to fire, in event_now_ms(); 0: not wanted */
    void (*fired)(struct event_timer *self);
};

struct event_signal {
    ev_signal signal;
    struct event_loop *loop;
    void (*caught)(struct event_signal *self);
};

int event_loop_init(struct event_loop *loop);
void event_loop_fini(struct event_loop *loop);
/* Turn until event_loop_stop(). */
void event_loop_run(struct event_loop *loop);
void event_loop_stop(struct event_loop *loop);
void event_loop_before_sleep(struct event_loop *loop, void (*hook)(void *owner), void *owner);

/* A clock that never steps; only differences mean anything. Milliseconds are those of the turn's beginning. */
static inline uint64_t event_now_ms(const struct event_loop *loop) { return loop->now_ms; }
uint64_t event_clock_us(void);

/* Watch for `what`, a set of EVENT_READ and EVENT_WRITE; 0 stops. Asking for what is watched already costs nothing. */
void event_io_init(struct event_io *io, struct event_loop *loop, int fd,
                   void (*ready)(struct event_io *self, int what));
void event_io_watch(struct event_io *io, int what);
static inline int event_io_watched(const struct event_io *io)
{
    return ev_is_active(&io->io) ? (io->io.events & (EVENT_READ | EVENT_WRITE)) : 0;
}

/*
 * A timer that is cheap to move: pushing it later only notes the new time (the wake-up that comes too early goes to
 * sleep again), so a deadline that moves with every byte costs nothing.
 */
void event_timer_init(struct event_timer *timer, struct event_loop *loop, void (*fired)(struct event_timer *self));
void event_timer_at(struct event_timer *timer, uint64_t at_ms);
void event_timer_off(struct event_timer *timer);   /* not wanted for now; may still be armed inside */
void event_timer_stop(struct event_timer *timer);  /* before its owner goes */

void event_signal_start(struct event_signal *signal, struct event_loop *loop, int signum,
                        void (*caught)(struct event_signal *self));

#endif
