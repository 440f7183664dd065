/* Bulkheads: exact alone, strict in a crowd, and nothing left behind by the dead. */

#include "libshm/gate.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "tests/libshm/fixture.h"

enum { WORKERS = 4, ROUNDS = 40000 };

static void test_alone(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_gate_take(&f.region, 0, 0), GWS_GATE_FULL);
    assert_int_equal(gws_gate_take(&f.region, 0, 2), GWS_GATE_TAKEN);
    assert_int_equal(gws_gate_take(&f.region, 0, 2), GWS_GATE_TAKEN);
    assert_int_equal(gws_gate_take(&f.region, 0, 2), GWS_GATE_FULL);
    assert_int_equal(gws_gate_take(&f.region, 1, 2), GWS_GATE_TAKEN); /* another endpoint */
    assert_int_equal(gws_gate_sum(&f.region, 0), 2);
    gws_gate_give(&f.region, 0);
    assert_int_equal(gws_gate_take(&f.region, 0, 2), GWS_GATE_TAKEN);
    gws_gate_give(&f.region, 0);
    gws_gate_give(&f.region, 0);
    gws_gate_give(&f.region, 0); /* one too many does not go below zero */
    assert_int_equal(gws_gate_sum(&f.region, 0), 0);
    fixture_close(&f);
}

static void test_guests_count_too(void **state)
{
    struct fixture f;
    struct gws_region guest;

    (void)state;
    fixture_open(&f);
    guest = fixture_view(&f, GWS_CHANGE);
    assert_int_equal(gws_gate_take(&guest, 0, 1), GWS_GATE_FULL); /* no slot, no place to count */
    assert_int_equal(gws_slot_guest(&guest, f.path, 0), 0);
    assert_int_equal(gws_gate_take(&guest, 0, 1), GWS_GATE_TAKEN);
    assert_int_equal(gws_gate_take(&f.region, 0, 1), GWS_GATE_FULL);
    gws_slot_leave(&guest);
    assert_int_equal(gws_gate_sum(&f.region, 0), 0);
    gws_region_close(&guest);
    fixture_close(&f);
}

/* Counts how many are inside by means of its own, in memory that all share. */
struct crowd {
    _Atomic int inside;
    _Atomic int most;
    _Atomic int taken;
    uint32_t limit;
};

static int push(struct fixture *f, void *arg)
{
    struct crowd *crowd = arg;

    for (int i = 0; i < ROUNDS; i++) {
        int inside;
        int most;

        if (gws_gate_take(&f->region, 2, crowd->limit) != GWS_GATE_TAKEN)
            continue;
        inside = atomic_fetch_add(&crowd->inside, 1) + 1;
        most = atomic_load(&crowd->most);
        while (inside > most && !atomic_compare_exchange_weak(&crowd->most, &most, inside))
            ;
        atomic_fetch_add(&crowd->taken, 1);
        if (i % 256 == 0)
            usleep(20); /* be inside while another process runs */
        atomic_fetch_sub(&crowd->inside, 1);
        gws_gate_give(&f->region, 2);
    }
    return 0;
}

static void crowd_of(uint32_t limit)
{
    struct fixture f;
    pid_t pids[WORKERS];
    int slots[WORKERS];
    struct crowd *crowd =
        mmap(NULL, sizeof(*crowd), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(crowd != MAP_FAILED);
    crowd->limit = limit;
    fixture_open(&f);
    for (int i = 0; i < WORKERS; i++)
        pids[i] = fixture_fork(&f, &slots[i], push, crowd);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(fixture_wait(pids[i]), 0);
    assert_in_range(atomic_load(&crowd->most), 1, limit);
    assert_true(atomic_load(&crowd->taken) > 0);
    assert_int_equal(gws_gate_sum(&f.region, 2), 0);
    munmap(crowd, sizeof(*crowd));
    fixture_close(&f);
}

static void test_crowd(void **state)
{
    (void)state;
    for (uint32_t limit = 1; limit <= 3; limit++)
        crowd_of(limit);
}

static int take_and_hang(struct fixture *f, void *arg)
{
    int *pipes = arg;

    for (int i = 0; i < 5; i++)
        if (gws_gate_take(&f->region, (uint32_t)i % 2, 10) != GWS_GATE_TAKEN)
            return 1;
    if (write(pipes[1], "x", 1) != 1)
        return 2;
    for (;;)
        pause();
}

static void test_the_dead_hold_nothing(void **state)
{
    struct fixture f;
    struct gws_slot_info info;
    int pipes[2];
    char byte;
    int slot;
    pid_t pid;

    (void)state;
    fixture_open(&f);
    assert_int_equal(pipe(pipes), 0);
    pid = fixture_fork(&f, &slot, take_and_hang, pipes);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(gws_gate_sum(&f.region, 0), 3);
    assert_int_equal(gws_gate_sum(&f.region, 1), 2);
    gws_slot_read(&f.region, slot, &info);
    assert_int_equal(info.in_flight, 5);
    kill(pid, SIGKILL);
    assert_true(WIFSIGNALED(fixture_wait(pid)));
    assert_int_equal(gws_gate_sum(&f.region, 0), 3); /* dead, but nobody has said so yet */
    gws_slot_reap(&f.region, slot, true, 0);
    assert_int_equal(gws_gate_sum(&f.region, 0), 0);
    assert_int_equal(gws_gate_sum(&f.region, 1), 0);
    gws_slot_read(&f.region, slot, &info);
    assert_int_equal(info.state, GWS_SLOT_FREE);
    assert_int_equal(info.restarts, 1);
    close(pipes[0]);
    close(pipes[1]);
    fixture_close(&f);
}

static void test_rows_out_of_range(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_gate_take(&f.region, 4, 10), GWS_GATE_FULL);
    gws_gate_give(&f.region, UINT32_MAX);
    assert_int_equal(gws_gate_sum(&f.region, 4), 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_guests_count_too),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_the_dead_hold_nothing),
        cmocka_unit_test(test_rows_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
