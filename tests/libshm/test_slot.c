/* Slots: who takes them, who gives them back, and what becomes of them when somebody dies in between. */

#include "libshm/slot.h"

#include <errno.h>
#include <fcntl.h>

#include "libshm/clock.h"
#include "libshm/gate.h"
#include "libshm/layout.h"
#include "libshm/lock.h"
#include "tests/libshm/fixture.h"

static struct gws_slot_info info_of(struct gws_region *region, int slot)
{
    struct gws_slot_info info;

    gws_slot_read(region, slot, &info);
    return info;
}

/* Says hello on the pipe and waits to be killed, or for the other end to close. */
static int serve(struct fixture *f, void *arg)
{
    int *pipes = arg;
    char byte;

    gws_slot_count_request(&f->region);
    gws_slot_set_connections(&f->region, 7);
    if (gws_gate_take(&f->region, 0, 100) != GWS_GATE_TAKEN || write(pipes[1], "x", 1) != 1)
        return 1;
    close(pipes[1]);
    return read(pipes[2], &byte, 1) == 0 ? 0 : 2;
}

static void hello(const int *pipes)
{
    char byte;
    assert_int_equal(read(pipes[0], &byte, 1), 1);
}

static void open_pipes(int pipes[4])
{
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(pipe(pipes + 2), 0);
}

static void close_pipes(int pipes[4])
{
    for (int i = 0; i < 4; i++)
        close(pipes[i]);
}

static void test_life(void **state)
{
    struct fixture f;
    int pipes[4];
    int slot;
    pid_t pid;

    (void)state;
    fixture_open(&f);
    open_pipes(pipes);
    assert_int_equal(f.region.slot, 0);
    assert_int_equal(info_of(&f.region, 0).role, GWS_ROLE_MASTER);
    slot = gws_slot_reserve(&f.region, GWS_ROLE_STEWARD, 3, 500);
    assert_int_equal(slot, 1);
    assert_int_equal(info_of(&f.region, slot).state, GWS_SLOT_STARTING);
    assert_int_equal(info_of(&f.region, slot).started_ms, 500);
    gws_slot_reap(&f.region, slot, false, 600);
    assert_int_equal(info_of(&f.region, slot).state, GWS_SLOT_FREE);

    pid = fixture_fork(&f, &slot, serve, pipes);
    assert_int_equal(slot, 1);
    hello(pipes);
    assert_int_equal(info_of(&f.region, slot).state, GWS_SLOT_LIVE);
    assert_int_equal(info_of(&f.region, slot).pid, pid);
    assert_int_equal(info_of(&f.region, slot).generation, 2);
    assert_int_equal(info_of(&f.region, slot).requests, 1);
    assert_int_equal(info_of(&f.region, slot).connections, 7);
    assert_int_equal(info_of(&f.region, slot).in_flight, 1);
    assert_true(gws_slot_locked(&f.region, slot));
    assert_int_equal(gws_slot_high(&f.region), 2);

    kill(pid, SIGKILL);
    fixture_wait(pid);
    assert_false(gws_slot_locked(&f.region, slot));
    gws_slot_reap(&f.region, slot, true, 700);
    assert_int_equal(info_of(&f.region, slot).state, GWS_SLOT_FREE);
    assert_int_equal(info_of(&f.region, slot).pid, 0);
    assert_int_equal(info_of(&f.region, slot).in_flight, 0);
    assert_int_equal(info_of(&f.region, slot).connections, 0);
    assert_int_equal(info_of(&f.region, slot).requests, 1); /* the next process goes on counting */
    assert_int_equal(info_of(&f.region, slot).restarts, 1);
    close_pipes(pipes);
    fixture_close(&f);
}

static void test_all_taken(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    for (int i = 1; i < 13; i++)
        assert_int_equal(gws_slot_reserve(&f.region, GWS_ROLE_WORKER, 1, 0), i);
    assert_int_equal(gws_slot_reserve(&f.region, GWS_ROLE_WORKER, 1, 0), -EAGAIN); /* guests' slots are not ours */
    gws_slot_reap(&f.region, 5, false, 0);
    assert_int_equal(gws_slot_reserve(&f.region, GWS_ROLE_WORKER, 1, 0), 5);
    fixture_close(&f);
}

/* Two masters, as during an upgrade: each buries its own dead, and what the other has given away stays whole. */
static void test_two_masters(void **state)
{
    struct fixture f;
    struct gws_region other;
    int pipes[4];
    int slot;
    pid_t pid;

    (void)state;
    fixture_open(&f);
    open_pipes(pipes);
    other = fixture_view(&f, GWS_CHANGE);
    fixture_enter(&f, &other, GWS_ROLE_MASTER, 1);
    pid = fixture_fork(&f, &slot, serve, pipes);
    hello(pipes);
    kill(pid, SIGKILL);
    fixture_wait(pid);
    gws_slot_reap_of(&other, slot, pid + 1, true, 0);
    assert_int_equal(info_of(&f.region, slot).state, GWS_SLOT_LIVE); /* not of that process */
    gws_slot_reap_of(&other, slot, pid, true, 0);
    assert_int_equal(info_of(&f.region, slot).state, GWS_SLOT_FREE);
    assert_int_equal(info_of(&f.region, slot).restarts, 1);

    fixture_enter(&f, &other, GWS_ROLE_WORKER, 1); /* the slot, given away */
    assert_int_equal(other.slot, slot);
    gws_slot_reap_of(&f.region, slot, pid, true, 0);
    assert_int_equal(info_of(&f.region, slot).state, GWS_SLOT_LIVE);
    gws_slot_reap_of(&f.region, slot, (int32_t)getpid(), true, 0); /* its lock is held: whoever it is, it lives */
    assert_int_equal(info_of(&f.region, slot).state, GWS_SLOT_LIVE);
    gws_slot_leave(&other);
    close_pipes(pipes);
    gws_region_close(&other);
    fixture_close(&f);
}

/* One master describes a slot only while no other can take it. */
static void test_reserving_what_another_looks_at(void **state)
{
    struct fixture f;
    struct gws_region other;

    (void)state;
    fixture_open(&f);
    other = fixture_view(&f, GWS_CHANGE);
    assert_int_equal(gws_lock_try(other.fd, (uint64_t)((unsigned char *)&f.region.slots[1] - f.region.base)), 0);
    assert_int_equal(gws_slot_reserve(&f.region, GWS_ROLE_WORKER, 1, 0), 2);
    gws_region_close(&other);
    assert_int_equal(gws_slot_reserve(&f.region, GWS_ROLE_WORKER, 1, 0), 1);
    fixture_close(&f);
}

static void test_entering_a_slot_that_was_reaped(void **state)
{
    struct fixture f;
    struct gws_region child;
    int slot;

    (void)state;
    fixture_open(&f);
    child = fixture_view(&f, GWS_CHANGE);
    slot = gws_slot_reserve(&f.region, GWS_ROLE_WORKER, 1, 0);
    gws_slot_reap(&f.region, slot, false, 0);
    assert_int_equal(gws_slot_enter(&child, slot, f.path), 1);
    assert_int_equal(child.slot, -1);
    assert_false(gws_slot_locked(&f.region, slot));
    assert_int_equal(gws_slot_enter(&child, 99, f.path), -EINVAL);
    assert_int_equal(gws_slot_enter(&child, -1, f.path), -EINVAL);
    gws_region_close(&child);
    fixture_close(&f);
}

/* A master reserves, forks a child, and dies before the child enters; its successor reaps and gives the slot on. */
static void test_master_dies_before_the_child_enters(void **state)
{
    struct fixture f;
    int to_child[2];
    int from_child[2];
    char byte = 'x';
    pid_t master;

    (void)state;
    fixture_open(&f);
    assert_int_equal(pipe(to_child), 0);
    assert_int_equal(pipe(from_child), 0);
    master = fork();
    assert_true(master >= 0);
    if (master == 0) {
        struct gws_region own = fixture_view(&f, GWS_CHANGE);
        int slot = gws_slot_reserve(&own, GWS_ROLE_WORKER, 1, 0);
        if (fork() == 0) {
            char entered;
            close(to_child[1]);
            if (read(to_child[0], &byte, 1) != 1)
                _exit(1);
            entered = (char)('a' + gws_slot_enter(&own, slot, f.path));
            _exit(write(from_child[1], &entered, 1) == 1 ? 0 : 1);
        }
        _exit(slot);
    }
    assert_int_equal(WEXITSTATUS(fixture_wait(master)), 1);
    assert_int_equal(info_of(&f.region, 1).state, GWS_SLOT_STARTING);
    assert_int_equal(gws_slot_reap_dead(&f.region, 0), 0);
    assert_int_equal(info_of(&f.region, 1).state, GWS_SLOT_FREE);
    assert_int_equal(gws_slot_reserve(&f.region, GWS_ROLE_WORKER, 1, 0), 1);
    assert_int_equal(write(to_child[1], &byte, 1), 1);
    assert_int_equal(read(from_child[0], &byte, 1), 1);
    assert_int_equal(byte, 'b'); /* 1: it was reaped */
    assert_int_equal(info_of(&f.region, 1).state, GWS_SLOT_STARTING);
    assert_int_equal(info_of(&f.region, 1).pid, getpid());
    for (int i = 0; i < 2; i++) {
        close(to_child[i]);
        close(from_child[i]);
    }
    fixture_close(&f);
}

static void test_the_path_leads_elsewhere(void **state)
{
    struct fixture f;
    struct fixture other;
    struct gws_dims dims = fixture_dims();
    struct gws_owner owner = fixture_owner();
    int slot;

    (void)state;
    fixture_open(&f);
    other = f;
    slot = gws_slot_reserve(&f.region, GWS_ROLE_WORKER, 1, 0);
    assert_int_equal(gws_region_create(&other.region, f.path, &dims, &owner, &f.fault), 0);
    {
        struct gws_region child = f.region;
        child.fd = dup(f.region.fd);
        child.slot = -1;
        assert_int_equal(gws_slot_enter(&child, slot, f.path), -ESTALE);
        /* A file that was removed is still there for those who have it mapped. */
        assert_int_equal(gws_slot_enter(&child, slot, "/nonexistent/state"), 0);
        assert_int_not_equal(child.fd, f.region.fd);
        close(child.fd);
    }
    gws_region_close(&other.region);
    fixture_close(&f);
}

/* A stopped process is alive; only its death frees the slot. */
static void test_reap_dead(void **state)
{
    struct fixture f;
    struct gws_event_cursor cursor = {{0}};
    struct gws_event event;
    int pipes[4];
    int slots[2];
    pid_t pids[2];

    (void)state;
    fixture_open(&f);
    open_pipes(pipes);
    for (int i = 0; i < 2; i++) {
        pids[i] = fixture_fork(&f, &slots[i], serve, pipes);
        hello(pipes);
    }
    kill(pids[0], SIGSTOP);
    assert_int_equal(gws_slot_reap_dead(&f.region, 10), 2);
    kill(pids[1], SIGKILL);
    fixture_wait(pids[1]);
    assert_int_equal(gws_slot_reap_dead(&f.region, 20), 1);
    assert_int_equal(info_of(&f.region, slots[0]).state, GWS_SLOT_LIVE);
    assert_int_equal(info_of(&f.region, slots[1]).state, GWS_SLOT_FREE);
    assert_int_equal(gws_gate_sum(&f.region, 0), 1);
    assert_int_equal(gws_event_collect(&f.region, &cursor, &event, 1), 1);
    assert_int_equal(event.code, GWS_EVENT_WORKER_DEATH);
    assert_int_equal(event.old, pids[1]);
    kill(pids[0], SIGKILL);
    fixture_wait(pids[0]);
    assert_int_equal(gws_slot_reap_dead(&f.region, 30), 0);
    assert_int_equal(gws_gate_sum(&f.region, 0), 0);
    assert_int_equal(gws_slot_reserve(&f.region, GWS_ROLE_WORKER, 1, 0), slots[0]);
    assert_int_equal(gws_slot_reap_dead(&f.region, 40), 1); /* our own child, not yet entered, is not dead */
    close_pipes(pipes);
    fixture_close(&f);
}

/* The lock of the master's own slot is on a description its children inherit; entering theirs lets go of it. */
static void test_children_do_not_hold_the_masters_slot(void **state)
{
    struct fixture f;
    struct gws_region look;
    int pipes[4];
    int slot;
    pid_t pid;
    int master_slot;

    (void)state;
    fixture_open(&f);
    open_pipes(pipes);
    pid = fixture_fork(&f, &slot, serve, pipes);
    hello(pipes);
    look = fixture_view(&f, GWS_LOOK);
    assert_true(gws_slot_locked(&look, 0));
    assert_true(gws_slot_locked(&f.region, f.region.slot));
    assert_true(gws_slot_locked(&look, slot));
    master_slot = f.region.slot;
    gws_region_close(&f.region); /* the master dies, as far as its locks are concerned */
    assert_false(gws_slot_locked(&look, master_slot));
    assert_true(gws_slot_locked(&look, slot));
    f.region = fixture_view(&f, GWS_CHANGE);
    assert_int_equal(gws_slot_reap_dead(&f.region, 0), 1);
    assert_int_equal(info_of(&f.region, master_slot).state, GWS_SLOT_FREE);
    kill(pid, SIGKILL);
    fixture_wait(pid);
    gws_region_close(&look);
    close_pipes(pipes);
    fixture_close(&f);
}

static void test_guests(void **state)
{
    struct fixture f;
    struct gws_region guests[4];

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 4; i++)
        guests[i] = fixture_view(&f, GWS_CHANGE);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(gws_slot_guest(&guests[i], f.path, 100), 0);
        assert_int_equal(guests[i].slot, 13 + i);
    }
    assert_int_equal(gws_slot_guest(&guests[3], f.path, 100), -EAGAIN);
    assert_int_equal(gws_slot_reap_dead(&f.region, 100), 3);
    assert_int_equal(gws_gate_take(&guests[1], 0, 5), GWS_GATE_TAKEN);
    gws_region_close(&guests[1]); /* without leaving: as if killed */
    assert_int_equal(gws_gate_sum(&f.region, 0), 1);
    assert_int_equal(gws_slot_guest(&guests[3], f.path, 200), 0);
    assert_int_equal(guests[3].slot, 14);
    assert_int_equal(gws_gate_sum(&f.region, 0), 0); /* what the dead one held is gone */
    assert_int_equal(info_of(&f.region, 14).generation, 2);
    assert_int_equal(info_of(&f.region, 14).role, GWS_ROLE_GUEST);
    gws_slot_leave(&guests[0]);
    gws_slot_leave(&guests[0]);
    assert_int_equal(guests[0].slot, -1);
    assert_int_equal(info_of(&f.region, 13).state, GWS_SLOT_FREE);
    assert_int_equal(gws_slot_guest(&guests[0], f.path, 300), 0);
    assert_int_equal(guests[0].slot, 13);
    for (int i = 0; i < 4; i++)
        gws_region_close(&guests[i]);
    fixture_close(&f);
}

static void test_oldest_config(void **state)
{
    struct fixture f;
    int slots[3];

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_slot_oldest_config(&f.region), UINT64_MAX); /* a master runs no configuration of its own */
    for (int i = 0; i < 3; i++)
        slots[i] = gws_slot_reserve(&f.region, GWS_ROLE_WORKER, (uint64_t)(7 + i), 0);
    assert_int_equal(gws_slot_oldest_config(&f.region), 7);
    gws_slot_reap(&f.region, slots[0], false, 0);
    assert_int_equal(gws_slot_oldest_config(&f.region), 8);
    fixture_close(&f);
}

static void test_counters_without_a_slot(void **state)
{
    struct fixture f;
    struct gws_region look;

    (void)state;
    fixture_open(&f);
    look = fixture_view(&f, GWS_LOOK);
    look.slot = 0; /* even so: it is read-only */
    gws_slot_count_accepted(&look);
    gws_slot_set_connections(&look, 3);
    gws_slot_leave(&look);
    assert_int_equal(gws_slot_reserve(&look, GWS_ROLE_WORKER, 1, 0), -EPERM);
    assert_int_equal(gws_slot_guest(&look, f.path, 0), -EPERM);
    assert_int_equal(info_of(&f.region, 0).accepted, 0);
    gws_slot_count_accepted(&f.region);
    assert_int_equal(info_of(&f.region, 0).accepted, 1);
    assert_int_equal(info_of(&f.region, 99).state, GWS_SLOT_FREE);
    gws_region_close(&look);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_all_taken),
        cmocka_unit_test(test_two_masters),
        cmocka_unit_test(test_reserving_what_another_looks_at),
        cmocka_unit_test(test_entering_a_slot_that_was_reaped),
        cmocka_unit_test(test_master_dies_before_the_child_enters),
        cmocka_unit_test(test_the_path_leads_elsewhere),
        cmocka_unit_test(test_reap_dead),
        cmocka_unit_test(test_children_do_not_hold_the_masters_slot),
        cmocka_unit_test(test_guests),
        cmocka_unit_test(test_oldest_config),
        cmocka_unit_test(test_counters_without_a_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
