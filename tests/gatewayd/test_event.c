/*
 * The loop: what is watched is told and nothing else, timers fire once and never early however often they are moved,
 * signals arrive, and objects that are zeroed or stopped already may be stopped.
 */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gatewayd/event.h"

#define OWNER(pointer, member) ((struct scene *)(void *)((char *)(pointer) - offsetof(struct scene, member)))

struct scene {
    struct event_loop loop;
    struct event_io io;
    struct event_timer timer, other, last;
    struct event_signal signal;
    int peer;
    int told;  /* what the descriptor was ready for, last */
    int tells; /* how often */
    uint64_t fired_at, other_at;
    int fired, caught, turns;
};

static void ready(struct event_io *io, int what)
{
    struct scene *s = OWNER(io, io);

    s->told = what;
    s->tells++;
    event_loop_stop(&s->loop);
}

static void fired(struct event_timer *timer)
{
    struct scene *s = OWNER(timer, timer);

    s->fired++;
    s->fired_at = event_now_ms(&s->loop);
}

static void other_fired(struct event_timer *timer)
{
    struct scene *s = OWNER(timer, other);

    s->other_at = event_now_ms(&s->loop);
}

static void last_fired(struct event_timer *timer)
{
    event_loop_stop(timer->loop);
}

static void caught(struct event_signal *signal)
{
    struct scene *s = OWNER(signal, signal);

    s->caught++;
    event_loop_stop(&s->loop);
}

static void turn(void *owner)
{
    ((struct scene *)owner)->turns++;
}

static void begin(struct scene *s)
{
    int pair[2];

    memset(s, 0, sizeof *s);
    assert_int_equal(event_loop_init(&s->loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    event_io_init(&s->io, &s->loop, pair[0], ready);
    event_timer_init(&s->timer, &s->loop, fired);
    event_timer_init(&s->other, &s->loop, other_fired);
    event_timer_init(&s->last, &s->loop, last_fired);
    s->peer = pair[1];
}

static void end(struct scene *s)
{
    int fd = s->io.io.fd;

    event_io_watch(&s->io, 0);
    event_timer_stop(&s->timer);
    event_timer_stop(&s->other);
    event_timer_stop(&s->last);
    event_loop_fini(&s->loop);
    event_loop_fini(&s->loop);
    close(fd);
    close(s->peer);
}

/* Turn for so long. */
static void run_for(struct scene *s, uint64_t ms)
{
    event_timer_at(&s->last, event_now_ms(&s->loop) + ms);
    event_loop_run(&s->loop);
}

static void tells_of_descriptors(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_int_equal(event_io_watched(&s.io), 0);
    event_io_watch(&s.io, EVENT_READ);
    assert_int_equal(event_io_watched(&s.io), EVENT_READ);
    run_for(&s, 2);
    assert_int_equal(s.tells, 0);
    assert_int_equal(write(s.peer, "x", 1), 1);
    event_loop_run(&s.loop);
    assert_int_equal(s.told, EVENT_READ);

    event_io_watch(&s.io, EVENT_READ | EVENT_WRITE);
    event_loop_run(&s.loop);
    assert_int_equal(s.told, EVENT_READ | EVENT_WRITE);
    event_io_watch(&s.io, EVENT_WRITE);
    event_io_watch(&s.io, EVENT_WRITE);
    event_loop_run(&s.loop);
    assert_int_equal(s.told, EVENT_WRITE);

    event_io_watch(&s.io, 0);
    event_io_watch(&s.io, 0);
    int before = s.tells;
    run_for(&s, 2);
    assert_int_equal(s.tells, before);
    event_io_watch(&s.io, EVENT_READ); /* it is still unread */
    event_loop_run(&s.loop);
    assert_int_equal(s.tells, before + 1);
    end(&s);
}

static void fires_once_and_never_early(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    for (uint64_t ms = 0; ms < 8; ms++) {
        uint64_t at = event_now_ms(&s.loop) + ms;
        s.fired = 0;
        event_timer_at(&s.timer, at);
        run_for(&s, ms + 5);
        assert_int_equal(s.fired, 1);
        assert_true(s.fired_at >= at);
        assert_int_equal(s.timer.at, 0);
    }
    s.fired = 0;
    event_timer_at(&s.timer, 0); /* long ago is now, not never */
    run_for(&s, 2);
    assert_int_equal(s.fired, 1);
    run_for(&s, 2);
    assert_int_equal(s.fired, 1);
    end(&s);
}

static void moves(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    uint64_t now = event_now_ms(&s.loop), at = now + 12;
    for (uint64_t later = now + 1; later <= at; later++)
        event_timer_at(&s.timer, later);
    run_for(&s, 20);
    assert_int_equal(s.fired, 1);
    assert_true(s.fired_at >= at);

    /* And nearer: by the loop's own clock long before the first time. */
    s.fired = 0;
    now = event_now_ms(&s.loop);
    event_timer_at(&s.timer, now + 600000);
    event_timer_at(&s.timer, now + 4);
    run_for(&s, 10);
    assert_int_equal(s.fired, 1);
    run_for(&s, 2);
    assert_int_equal(s.fired, 1);
    end(&s);
}

static void switches_off(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    event_timer_at(&s.timer, event_now_ms(&s.loop) + 2);
    event_timer_off(&s.timer);
    run_for(&s, 6);
    assert_int_equal(s.fired, 0);
    event_timer_at(&s.timer, event_now_ms(&s.loop) + 2);
    run_for(&s, 6);
    assert_int_equal(s.fired, 1);

    event_timer_at(&s.timer, event_now_ms(&s.loop) + 20);
    event_timer_off(&s.timer);
    event_timer_at(&s.timer, event_now_ms(&s.loop) + 3); /* armed for later inside */
    run_for(&s, 8);
    assert_int_equal(s.fired, 2);
    event_timer_at(&s.timer, event_now_ms(&s.loop) + 2);
    event_timer_stop(&s.timer);
    event_timer_stop(&s.timer);
    run_for(&s, 6);
    assert_int_equal(s.fired, 2);
    end(&s);
}

static void fires_in_order(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    uint64_t now = event_now_ms(&s.loop);
    event_timer_at(&s.timer, now + 9);
    event_timer_at(&s.other, now + 3);
    run_for(&s, 15);
    assert_true(s.other_at >= now + 3 && s.fired_at >= now + 9 && s.other_at <= s.fired_at);
    end(&s);
}

/* The hook runs before each sleep, and does not keep the loop alive by itself; nor does a signal. */
static void calls_before_it_sleeps(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    event_loop_before_sleep(&s.loop, turn, &s);
    event_signal_start(&s.signal, &s.loop, SIGUSR2, caught);
    event_loop_run(&s.loop);
    assert_int_equal(s.turns, 1);
    s.turns = 0;
    run_for(&s, 1);
    assert_true(s.turns >= 1);
    end(&s);
}

static void catches_signals(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    event_signal_start(&s.signal, &s.loop, SIGUSR1, caught);
    event_timer_at(&s.timer, event_now_ms(&s.loop) + 60000);
    raise(SIGUSR1);
    event_loop_run(&s.loop);
    assert_int_equal(s.caught, 1);
    raise(SIGUSR1);
    event_loop_run(&s.loop);
    assert_int_equal(s.caught, 2);
    end(&s);
}

/* One clock in two units: the milliseconds stand still within a turn, and are those of the turn. */
static void clocks_go_forward(void **state)
{
    struct scene s;
    uint64_t before = event_clock_us();

    (void)state;
    begin(&s);
    uint64_t began = event_now_ms(&s.loop);
    assert_true(began >= before / 1000 && began <= event_clock_us() / 1000);
    run_for(&s, 3);
    assert_true(event_now_ms(&s.loop) >= began + 3 && event_now_ms(&s.loop) <= event_clock_us() / 1000);
    end(&s);
}

static void forgives_zeroed_objects(void **state)
{
    struct event_io io = {0};
    struct event_timer timer = {0};
    struct event_loop loop = {0};

    (void)state;
    event_io_watch(&io, 0);
    event_timer_stop(&timer);
    event_timer_off(&timer);
    event_loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_of_descriptors),
        cmocka_unit_test(fires_once_and_never_early),
        cmocka_unit_test(moves),
        cmocka_unit_test(switches_off),
        cmocka_unit_test(fires_in_order),
        cmocka_unit_test(calls_before_it_sleeps),
        cmocka_unit_test(catches_signals),
        cmocka_unit_test(clocks_go_forward),
        cmocka_unit_test(forgives_zeroed_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
