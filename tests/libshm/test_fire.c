/*
 * Under fire: processes use a breaker, a bulkhead and a limiter as fast as they can while one after the other is shot
 * and the operator resets. Afterwards nothing is left of the dead: no place taken, no trial that blocks the next, and a
 * history of the breaker in which each kill tore at most one record out.
 */

#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "libshm/breaker.h"
#include "libshm/clock.h"
#include "libshm/gate.h"
#include "libshm/limit.h"
#include "libshm/stat.h"
#include "tests/libshm/fixture.h"

enum { WORKERS = 4, KILLS = 30, PLACES = 2, EVENTS_MAX = 2000000, SHOT_EVERY_MS = 40, LIMIT_RATE = 2000, BURST = 50 };

static const struct gws_breaker_rules rules = {
    .failures = 3, .half_open = 2, .successes = 2, .open_ms = 1, .max_open_ms = 2, .stable_ms = 50, .lease_ms = 4};

/* Kept beside the region by means of the test's own, to compare with. */
struct truth {
    _Atomic uint32_t inside; /* a bit for each worker that holds a place: one word, so a count of it is of one moment */
    _Atomic uint32_t crowded;
    _Atomic uint64_t admitted;
};

struct soldier {
    struct truth *truth;
    uint32_t bit;
    pid_t parent;
};

static bool take_place(struct gws_region *region, struct soldier *me)
{
    uint32_t others;

    if (gws_gate_take(region, 0, PLACES) != GWS_GATE_TAKEN)
        return false;
    others = atomic_fetch_or(&me->truth->inside, me->bit);
    if (__builtin_popcount(others | me->bit) > PLACES)
        atomic_fetch_add(&me->truth->crowded, 1);
    return true;
}

static void give_place(struct gws_region *region, struct soldier *me)
{
    atomic_fetch_and(&me->truth->inside, ~me->bit);
    gws_gate_give(region, 0);
}

static int hammer(struct fixture *f, void *arg)
{
    static const enum gws_outcome outcomes[] = {GWS_OK, GWS_OK, GWS_FAILED, GWS_FAILED, GWS_FAILED, GWS_THROTTLED,
                                                GWS_NEUTRAL, GWS_OK};
    const struct timespec breath = {.tv_nsec = 20000};
    struct gws_limit_rules limit = gws_limit_rules(LIMIT_RATE, 1000000000, BURST);
    struct gws_region *region = &f->region;
    struct soldier *me = arg;
    uint32_t random = (uint32_t)getpid() * 2654435761u | 1;

    while (getppid() == me->parent) {
        struct gws_permit permit;
        uint64_t wait;
        bool inside;

        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        inside = take_place(region, me);
        gws_stat_count(region, 0, GWS_STAT_TRIES);
        if (gws_limit_take(region, 0, &limit, 1, gws_clock_ns(region), &wait) == GWS_LIMIT_TAKEN)
            atomic_fetch_add(&me->truth->admitted, 1);
        if (gws_breaker_permit(region, 0, &rules, gws_clock_ms(region), &permit, &wait) == GWS_GO && random % 32 != 0)
            gws_breaker_report(region, 0, &rules, permit, outcomes[random >> 8 & 7], gws_clock_ms(region), 0, random);
        if (random % 64 == 0)
            nanosleep(&breath, NULL);
        if (inside)
            give_place(region, me);
    }
    return 0;
}

/* The log as it grows. A reader that keeps up misses nothing: every ring's numbers follow each other. */
struct log {
    struct gws_event_cursor cursor;
    uint64_t last[GWS_SLOTS_MAX];
    struct gws_event *events;
    size_t count;
};

static void follow(struct gws_region *region, struct log *log)
{
    size_t got = gws_event_collect(region, &log->cursor, log->events + log->count, EVENTS_MAX - log->count);

    for (size_t i = log->count; i < log->count + got; i++) {
        uint64_t *last = &log->last[log->events[i].slot];
        /* Sorted by time, and the clock does not go back within one process, so numbers ascend. */
        *last = log->events[i].seq > *last ? log->events[i].seq : *last;
    }
    log->count += got;
    assert_true(log->count < EVENTS_MAX);
}

static void nothing_was_missed(const struct log *log)
{
    uint64_t seen[GWS_SLOTS_MAX] = {0};

    for (size_t i = 0; i < log->count; i++)
        seen[log->events[i].slot]++;
    for (int i = 0; i < GWS_SLOTS_MAX; i++)
        assert_int_equal(seen[i], log->last[i]);
}

static void bury(struct fixture *f, struct truth *truth, const struct soldier *soldier, pid_t pid, int slot)
{
    kill(pid, SIGKILL);
    fixture_wait(pid);
    atomic_fetch_and(&truth->inside, ~soldier->bit);
    gws_slot_reap(&f->region, slot, true, gws_clock_ms(&f->region));
}

static void battle(struct fixture *f, struct truth *truth, struct log *log)
{
    const struct timespec tick = {.tv_nsec = 2000000};
    struct soldier soldiers[WORKERS];
    pid_t pids[WORKERS];
    int slots[WORKERS];
    uint64_t shot_at = 0;

    for (int i = 0; i < WORKERS; i++) {
        soldiers[i] = (struct soldier){truth, 1u << i, getpid()};
        pids[i] = fixture_fork(f, &slots[i], hammer, &soldiers[i]);
    }
    for (int kills = 0; kills < KILLS;) {
        int i = kills % WORKERS;

        nanosleep(&tick, NULL);
        follow(&f->region, log);
        if (gws_clock_ms(&f->region) < shot_at + SHOT_EVERY_MS)
            continue;
        shot_at = gws_clock_ms(&f->region);
        bury(f, truth, &soldiers[i], pids[i], slots[i]);
        kills++;
        pids[i] = fixture_fork(f, &slots[i], hammer, &soldiers[i]);
        if (kills % 7 == 0)
            gws_breaker_reset(&f->region, 0, shot_at, 0);
    }
    for (int i = 0; i < WORKERS; i++)
        bury(f, truth, &soldiers[i], pids[i], slots[i]);
    follow(&f->region, log);
}

static void test_fire(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct fixture f;
    struct log *log = calloc(1, sizeof(*log));
    struct truth *truth = mmap(NULL, sizeof(*truth), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct gws_permit permit;
    uint64_t stats[GWS_STATS];
    uint64_t wait;
    size_t breaks;
    uint64_t now;

    (void)state;
    assert_non_null(log);
    assert_true(truth != MAP_FAILED);
    log->events = malloc(EVENTS_MAX * sizeof(*log->events));
    assert_non_null(log->events);
    dims.events = 16384;
    fixture_create(&f, &dims);
    fixture_enter(&f, &f.region, GWS_ROLE_MASTER, 1);
    battle(&f, truth, log);

    now = gws_clock_ms(&f.region);
    assert_int_equal(atomic_load(&truth->crowded), 0);
    assert_int_equal(gws_gate_sum(&f.region, 0), 0);
    assert_int_equal(gws_slot_reap_dead(&f.region, now), 0);
    for (int slot = 1; slot < 16; slot++) {
        struct gws_slot_info info;
        gws_slot_read(&f.region, slot, &info);
        assert_int_equal(info.state, GWS_SLOT_FREE);
    }
    gws_stat_read(&f.region, 0, stats);
    assert_true(stats[GWS_STAT_TRIES] >= atomic_load(&truth->admitted));
    assert_in_range(atomic_load(&truth->admitted), 1, BURST + 1 + (now + 1) * LIMIT_RATE / 1000);

    nothing_was_missed(log);
    breaks = fixture_chain_breaks(log->events, log->count, GWS_EVENT_BREAKER, 0, 0, gws_breaker_word(&f.region, 0));
    print_message("%zu events, %zu breaks in %d kills, %llu admitted\n", log->count, breaks, KILLS + WORKERS,
                  (unsigned long long)atomic_load(&truth->admitted));
    assert_true(log->count > 100);
    assert_in_range(breaks, 0, KILLS + WORKERS);
    /* Whatever was on trial when the last one fell: after its lease the next may try. */
    assert_int_equal(gws_breaker_permit(&f.region, 0, &rules, now + 4 + 2 + 1, &permit, &wait), GWS_GO);

    free(log->events);
    free(log);
    munmap(truth, sizeof(*truth));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fire)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
