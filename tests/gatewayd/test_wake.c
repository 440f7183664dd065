/*
 * Wake-ups: one for each slot that is named, kept until it is taken back, once however often it was given; and nothing
 * at all without a table.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>

#include "gatewayd/wake.h"

enum { SLOTS = 70 };

static struct gws_slots set_of(int a, int b)
{
    struct gws_slots slots = {{0}};
    slots.bits[a / 64] |= UINT64_C(1) << a % 64;
    slots.bits[b / 64] |= UINT64_C(1) << b % 64;
    return slots;
}

static bool is_woken(int slot)
{
    struct pollfd readable = {wake_descriptor(slot), POLLIN, 0};
    return poll(&readable, 1, 0) == 1;
}

static void wakes_who_is_named(void **state)
{
    (void)state;
    assert_int_equal(wake_setup(SLOTS), 0);
    const struct gws_slots slots = set_of(0, 69);
    wake_slots(&slots);
    for (int slot = 0; slot < SLOTS; slot++)
        assert_int_equal(is_woken(slot), slot == 0 || slot == 69);
    wake_drain(0);
    assert_false(is_woken(0));
    assert_true(is_woken(69));
    wake_slots(&slots);
    wake_slots(&slots);
    wake_drain(69);
    wake_drain(69);
    assert_true(is_woken(0));
    assert_false(is_woken(69));
    wake_teardown();
}

/* However often nobody looks: it never blocks, and is one wake-up. */
static void never_blocks(void **state)
{
    (void)state;
    assert_int_equal(wake_setup(2), 0);
    const struct gws_slots slots = set_of(1, 1);
    for (int i = 0; i < 100000; i++)
        wake_slots(&slots);
    assert_true(is_woken(1));
    assert_false(is_woken(0));
    for (int i = 0; i < 2000 && is_woken(1); i++) /* a pipe is emptied piece by piece */
        wake_drain(1);
    assert_false(is_woken(1));
    wake_drain(1);
    wake_teardown();
}

static void descriptors_are_private_and_nonblocking(void **state)
{
    (void)state;
    assert_int_equal(wake_setup(3), 0);
    for (int slot = 0; slot < 3; slot++) {
        int fd = wake_descriptor(slot);
        assert_true(fd >= 0);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    }
    assert_int_equal(wake_descriptor(3), -1);
    assert_int_equal(wake_descriptor(-1), -1);
    int first = wake_descriptor(0);
    wake_teardown();
    assert_int_equal(fcntl(first, F_GETFD), -1);
    wake_teardown();
}

static void does_nothing_without_a_table(void **state)
{
    const struct gws_slots slots = set_of(0, 255);

    (void)state;
    wake_slots(&slots);
    wake_drain(0);
    assert_int_equal(wake_descriptor(0), -1);
    assert_int_equal(wake_setup(1), 0);
    wake_slots(&slots); /* and nothing for a slot beyond it */
    assert_true(is_woken(0));
    wake_teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wakes_who_is_named),
        cmocka_unit_test(never_blocks),
        cmocka_unit_test(descriptors_are_private_and_nonblocking),
        cmocka_unit_test(does_nothing_without_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
