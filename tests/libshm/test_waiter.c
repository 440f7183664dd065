/* Waiter bits: who is to be woken, once each; and that nobody sleeps beside a free place. */

#include "libshm/waiter.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "libshm/gate.h"
#include "tests/libshm/fixture.h"

static void test_set_collect_clear(void **state)
{
    struct fixture f;
    struct gws_region other;
    struct gws_slots slots = {{0}};

    (void)state;
    fixture_open(&f);
    other = fixture_worker(&f);
    assert_false(gws_waiter_collect(&f.region, 1, &slots));
    gws_waiter_set(&f.region, 1);
    gws_waiter_set(&other, 1);
    gws_waiter_set(&other, 2);
    assert_true(gws_waiter_is_set(&f.region, 1, other.slot));
    assert_true(gws_waiter_collect(&f.region, 1, &slots));
    assert_int_equal(gws_slots_next(&slots, -1), f.region.slot);
    assert_int_equal(gws_slots_next(&slots, f.region.slot), other.slot);
    assert_int_equal(gws_slots_next(&slots, other.slot), -1);
    assert_false(gws_waiter_collect(&f.region, 1, &slots)); /* once each */
    gws_waiter_clear(&other, 2);
    assert_false(gws_waiter_collect(&f.region, 2, &slots));
    gws_waiter_set(&other, 3);
    gws_slot_leave(&other);
    assert_false(gws_waiter_collect(&f.region, 3, &slots)); /* who leaves waits no more */
    gws_region_close(&other);
    fixture_close(&f);
}

static void test_high_slots(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct gws_slots slots = {{0}};
    struct fixture f;
    struct gws_region guest;

    (void)state;
    dims.slots = GWS_SLOTS_MAX;
    fixture_create(&f, &dims);
    fixture_enter(&f, &f.region, GWS_ROLE_MASTER, 1);
    guest = fixture_view(&f, GWS_CHANGE);
    assert_int_equal(gws_slot_guest(&guest, f.path, 0), 0);
    assert_int_equal(guest.slot, GWS_SLOTS_MAX - 3);
    gws_waiter_set(&guest, 0);
    assert_true(gws_waiter_collect(&f.region, 0, &slots));
    assert_int_equal(gws_slots_next(&slots, -1), GWS_SLOTS_MAX - 3);
    assert_int_equal(gws_slots_next(&slots, GWS_SLOTS_MAX - 3), -1);
    memset(&slots, 0, sizeof(slots));
    gws_waiter_everyone(&f.region, &slots);
    assert_int_equal(gws_slots_next(&slots, -1), GWS_SLOTS_MAX - 3); /* all the living, but ourselves */
    assert_int_equal(gws_slots_next(&slots, GWS_SLOTS_MAX - 1), -1);
    gws_region_close(&guest);
    fixture_close(&f);
}

static void test_without_a_slot(void **state)
{
    struct fixture f;
    struct gws_slots slots = {{0}};
    struct gws_region outsider;

    (void)state;
    fixture_open(&f);
    outsider = fixture_view(&f, GWS_LOOK);
    gws_waiter_set(&outsider, 0);
    gws_waiter_clear(&outsider, 0);
    assert_false(gws_waiter_collect(&outsider, 0, &slots));
    gws_waiter_set(&f.region, 4);
    assert_false(gws_waiter_collect(&f.region, 4, &slots));
    assert_false(gws_waiter_is_set(&f.region, 4, 0));
    assert_false(gws_waiter_is_set(&f.region, 0, 99));
    gws_region_close(&outsider);
    fixture_close(&f);
}

/* Workers share one place and sleep, without a deadline, whenever they find it taken. If ever one sleeps beside the
 * free place nobody wakes it, and the poll below runs out. */
enum { WORKERS = 3, ROUNDS = 20000, TOO_LONG_MS = 20000 };

struct bells {
    int fds[GWS_SLOTS_MAX];
};

static void wake(struct gws_region *region, const struct bells *bells)
{
    const uint64_t one = 1;
    struct gws_slots slots = {{0}};

    if (!gws_waiter_collect(region, 0, &slots))
        return;
    for (int slot = gws_slots_next(&slots, -1); slot >= 0; slot = gws_slots_next(&slots, slot))
        if (write(bells->fds[slot], &one, sizeof(one)) != sizeof(one))
            _exit(3);
}

static bool take(struct gws_region *region, const struct bells *bells)
{
    int result = gws_gate_take(region, 0, 1);

    if (result == GWS_GATE_STEPPED)
        wake(region, bells);
    return result == GWS_GATE_TAKEN;
}

static int sleep_and_take(struct fixture *f, void *arg)
{
    const struct bells *bells = arg;
    struct gws_region *region = &f->region;

    for (int i = 0; i < ROUNDS; i++) {
        while (!take(region, bells)) {
            struct pollfd bell = {.fd = bells->fds[region->slot], .events = POLLIN};
            uint64_t rings;

            gws_waiter_set(region, 0);
            if (take(region, bells))
                break;
            if (poll(&bell, 1, TOO_LONG_MS) != 1)
                return 1;
            if (read(bell.fd, &rings, sizeof(rings)) != sizeof(rings))
                return 2;
        }
        gws_gate_give(region, 0);
        wake(region, bells);
    }
    return 0;
}

static void test_nobody_sleeps_beside_a_free_place(void **state)
{
    struct fixture f;
    struct bells bells;
    pid_t pids[WORKERS];
    int slots[WORKERS];

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 16; i++) {
        bells.fds[i] = eventfd(0, EFD_CLOEXEC);
        assert_true(bells.fds[i] >= 0);
    }
    for (int i = 0; i < WORKERS; i++)
        pids[i] = fixture_fork(&f, &slots[i], sleep_and_take, &bells);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(fixture_wait(pids[i]), 0);
    assert_int_equal(gws_gate_sum(&f.region, 0), 0);
    for (int i = 0; i < 16; i++)
        close(bells.fds[i]);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_collect_clear),
        cmocka_unit_test(test_high_slots),
        cmocka_unit_test(test_without_a_slot),
        cmocka_unit_test(test_nobody_sleeps_beside_a_free_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
