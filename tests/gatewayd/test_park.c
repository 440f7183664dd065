/*
 * The park: who waits looks again when there may be something to be had, in the order in which they came; no more wait
 * than are allowed to, over all processes.
 */

#include <unistd.h>

#include "tests/libshm/fixture.h"

#include "gatewayd/park.h"
#include "gatewayd/wake.h"
#include "libshm/budget.h"

enum { WAITERS = 4 };

struct waiter {
    struct parked parked;
    int number;
};

static struct scene {
    struct fixture f;
    struct event_loop loop;
    struct park park;
    struct waiter waiters[WAITERS];
    char looks[64];
    int leaves; /* who leaves the park when it looks, or -1 */
    int comes_back;
    unsigned left; /* how many were parked after somebody left */
} scene;

static void look(struct parked *parked)
{
    struct waiter *w = (struct waiter *)(void *)parked;
    size_t len = strlen(scene.looks);

    scene.looks[len] = (char)('0' + w->number);
    if (len + 1 >= 6)
        event_loop_stop(&scene.loop);
    if (w->number != scene.leaves && w->number != scene.comes_back)
        return;
    park_leave(&scene.park, parked);
    scene.left = scene.park.count;
    if (w->number == scene.comes_back)
        assert_int_equal(park_enter(&scene.park, parked, WAITERS), 0);
}

static void stop(struct event_timer *timer)
{
    event_loop_stop(timer->loop);
}

/* Turn the loop until `ms` have passed, or six have looked. */
static void turn(unsigned ms)
{
    struct event_timer timer;

    event_timer_init(&timer, &scene.loop, stop);
    event_timer_at(&timer, event_now_ms(&scene.loop) + ms);
    event_loop_run(&scene.loop);
    event_timer_stop(&timer);
}

static void begin(void)
{
    memset(&scene, 0, sizeof scene);
    scene.leaves = scene.comes_back = -1;
    fixture_open(&scene.f);
    assert_int_equal(wake_setup(scene.f.region.dims.slots), 0);
    assert_int_equal(event_loop_init(&scene.loop), 0);
    park_init(&scene.park, &scene.loop, &scene.f.region, scene.f.region.slot);
    for (int i = 0; i < WAITERS; i++)
        scene.waiters[i] = (struct waiter){.parked = {.look = look}, .number = i};
}

static void end(void)
{
    for (int i = 0; i < WAITERS; i++)
        park_leave(&scene.park, &scene.waiters[i].parked);
    assert_int_equal(gws_tally_sum(&scene.f.region, GWS_TALLY_PARKED), 0);
    park_fini(&scene.park);
    event_loop_fini(&scene.loop);
    wake_teardown();
    fixture_close(&scene.f);
}

static void wake_me(void)
{
    struct gws_slots slots = {0};

    slots.bits[scene.f.region.slot / 64] |= UINT64_C(1) << (scene.f.region.slot % 64);
    wake_slots(&slots);
}

static void test_the_queue_is_bounded(void **state)
{
    (void)state;
    begin();
    assert_int_equal(park_enter(&scene.park, &scene.waiters[0].parked, 2), 0);
    assert_int_equal(park_enter(&scene.park, &scene.waiters[1].parked, 2), 0);
    assert_int_equal(park_enter(&scene.park, &scene.waiters[2].parked, 2), 1);
    park_leave(&scene.park, &scene.waiters[2].parked); /* it is not there */
    assert_int_equal(gws_tally_sum(&scene.f.region, GWS_TALLY_PARKED), 2);
    park_leave(&scene.park, &scene.waiters[0].parked);
    park_leave(&scene.park, &scene.waiters[0].parked);
    assert_int_equal(park_enter(&scene.park, &scene.waiters[2].parked, 2), 0);
    assert_int_equal(park_enter(&scene.park, &scene.waiters[3].parked, 0), 1);
    end();
}

/* One wake-up: each looks once, in the order in which they came; one leaves, and one leaves and comes back. */
static void test_all_look_when_woken(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < WAITERS; i++)
        assert_int_equal(park_enter(&scene.park, &scene.waiters[i].parked, WAITERS), 0);
    scene.leaves = 1;
    scene.comes_back = 2;
    wake_me();
    turn(20);
    scene.looks[4] = '\0'; /* a slow machine may have ticked already */
    assert_string_equal(scene.looks, "0123");
    assert_null(scene.waiters[1].parked.place);
    assert_non_null(scene.waiters[2].parked.place);
    end();
}

/* What comes without a wake-up is found as well. */
static void test_looks_now_and_then(void **state)
{
    (void)state;
    begin();
    assert_int_equal(park_enter(&scene.park, &scene.waiters[0].parked, WAITERS), 0);
    assert_int_equal(park_enter(&scene.park, &scene.waiters[1].parked, WAITERS), 0);
    turn(10000);
    assert_string_equal(scene.looks, "010101");
    end();
}

/* Who leaves from within its look knows whether anybody else is still there. */
static void test_the_last_one_knows_it(void **state)
{
    (void)state;
    begin();
    assert_int_equal(park_enter(&scene.park, &scene.waiters[0].parked, WAITERS), 0);
    assert_int_equal(park_enter(&scene.park, &scene.waiters[1].parked, WAITERS), 0);
    scene.leaves = 1;
    wake_me();
    turn(20);
    assert_int_equal(scene.left, 1);
    scene.leaves = 0;
    wake_me();
    turn(20);
    assert_int_equal(scene.left, 0);
    end();
}

static void test_an_empty_park_rests(void **state)
{
    (void)state;
    begin();
    assert_int_equal(park_enter(&scene.park, &scene.waiters[0].parked, WAITERS), 0);
    park_leave(&scene.park, &scene.waiters[0].parked);
    wake_me();
    turn(150);
    assert_string_equal(scene.looks, "");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_queue_is_bounded),
        cmocka_unit_test(test_all_look_when_woken),
        cmocka_unit_test(test_looks_now_and_then),
        cmocka_unit_test(test_the_last_one_knows_it),
        cmocka_unit_test(test_an_empty_park_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
