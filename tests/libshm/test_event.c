/* The event log: order, wrapping, records that are being written or were left half written. */

#include "libshm/event.h"

#include "libshm/layout.h"
#include "libshm/slot.h"
#include "tests/libshm/fixture.h"

enum { EVENTS = 1024 };

static void record(struct gws_region *region, uint64_t number, uint64_t now)
{
    gws_event_record(region, GWS_EVENT_RELOAD, GWS_NO_DOMAIN, number, number + 1, 1000, now);
}

static void test_fields(void **state)
{
    struct fixture f;
    struct gws_event_cursor cursor = {{0}};
    struct gws_event event;

    (void)state;
    fixture_open(&f);
    gws_event_record(&f.region, GWS_EVENT_COOLDOWN, 7, UINT64_MAX, 1, GWS_BY_GATEWAY, 123456789012);
    assert_int_equal(gws_event_collect(&f.region, &cursor, &event, 1), 1);
    assert_int_equal(event.seq, 1);
    assert_int_equal(event.time, 123456789012);
    assert_int_equal(event.slot, 0);
    assert_int_equal(event.code, GWS_EVENT_COOLDOWN);
    assert_int_equal(event.domain, 7);
    assert_int_equal(event.who, GWS_BY_GATEWAY);
    assert_int_equal(event.old, UINT64_MAX);
    assert_int_equal(event.new, 1);
    assert_int_equal(gws_event_collect(&f.region, &cursor, &event, 1), 0);
    fixture_close(&f);
}

static void test_without_a_slot(void **state)
{
    struct fixture f;
    struct gws_region view;
    struct gws_event_cursor cursor = {{0}};
    struct gws_event event;

    (void)state;
    fixture_open(&f);
    view = fixture_view(&f, GWS_CHANGE);
    record(&view, 1, 1);
    gws_region_close(&view);
    view = fixture_view(&f, GWS_LOOK);
    view.slot = 0;
    record(&view, 1, 1);
    assert_int_equal(gws_event_collect(&f.region, &cursor, &event, 1), 0);
    gws_region_close(&view);
    fixture_close(&f);
}

static void test_rings_are_merged_by_time(void **state)
{
    struct fixture f;
    struct gws_region workers[3];
    struct gws_event_cursor cursor = {{0}};
    struct gws_event events[64];

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 3; i++)
        workers[i] = fixture_worker(&f);
    for (uint64_t i = 0; i < 30; i++)
        record(&workers[(i * 7) % 3], i, 1000 + i / 2); /* two share a millisecond */
    assert_int_equal(gws_event_collect(&f.region, &cursor, events, 64), 30);
    for (size_t i = 1; i < 30; i++) {
        const struct gws_event *a = &events[i - 1];
        const struct gws_event *b = &events[i];
        assert_true(a->time < b->time || (a->time == b->time && (a->slot < b->slot ||
                                                                 (a->slot == b->slot && a->seq < b->seq))));
    }
    record(&workers[1], 99, 5);
    assert_int_equal(gws_event_collect(&f.region, &cursor, events, 64), 1);
    assert_int_equal(events[0].old, 99);
    for (int i = 0; i < 3; i++)
        gws_region_close(&workers[i]);
    fixture_close(&f);
}

static void test_the_newest_are_kept(void **state)
{
    struct fixture f;
    struct gws_region worker;
    struct gws_event_cursor cursor = {{0}};
    struct gws_event events[10];

    (void)state;
    fixture_open(&f);
    worker = fixture_worker(&f);
    for (uint64_t i = 0; i < 200; i++)
        record(i % 3 == 0 ? &worker : &f.region, i, i);
    assert_int_equal(gws_event_collect(&f.region, &cursor, events, 10), 10);
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(events[i].old, 190 + i);
    assert_int_equal(gws_event_collect(&f.region, &cursor, events, 10), 0); /* the older ones were seen and left */
    record(&worker, 500, 500);
    assert_int_equal(gws_event_collect(&f.region, &cursor, events, 0), 0);
    assert_int_equal(gws_event_collect(&f.region, &cursor, events, 10), 0);
    gws_region_close(&worker);
    fixture_close(&f);
}

static void test_wrap(void **state)
{
    struct fixture f;
    struct gws_event_cursor cursor = {{0}};
    static struct gws_event events[2 * EVENTS];
    size_t count;

    (void)state;
    fixture_open(&f);
    for (uint64_t i = 0; i < 3 * EVENTS + 17; i++)
        record(&f.region, i, i);
    count = gws_event_collect(&f.region, &cursor, events, 2 * EVENTS);
    assert_int_equal(count, EVENTS);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(events[i].old, 2 * EVENTS + 17 + i);
        assert_int_equal(events[i].seq, events[i].old + 1);
    }
    fixture_close(&f);
}

/* A record that was overwritten, or is being, when the reader comes to it is left out; its neighbours are not. */
static void test_torn(void **state)
{
    struct fixture f;
    struct gws_event events[8];

    (void)state;
    fixture_open(&f);
    for (uint64_t i = 0; i < 4; i++)
        record(&f.region, i, i);
    for (int way = 0; way < 2; way++) {
        struct gws_event_cursor cursor = {{0}};
        atomic_store(&f.region.events[1].seq, way == 0 ? 0 : 2 + EVENTS);
        assert_int_equal(gws_event_collect(&f.region, &cursor, events, 8), 3);
        assert_int_equal(events[0].old, 0);
        assert_int_equal(events[1].old, 2);
    }
    fixture_close(&f);
}

/* Readers and a writer at full speed in one small ring: whatever is read is whole. */
static int write_fast(struct fixture *f, void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < 3000000; i++)
        gws_event_record(&f->region, GWS_EVENT_BREAKER, (uint32_t)i, i, i * 3, (uint32_t)i, i);
    return 0;
}

static void test_reading_while_writing(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct fixture f;
    struct gws_event_cursor cursor = {{0}};
    static struct gws_event events[64];
    uint64_t last = 0;
    size_t total = 0;
    int status;
    int slot;
    pid_t pid;

    (void)state;
    dims.events = 16;
    fixture_create(&f, &dims);
    pid = fixture_fork(&f, &slot, write_fast, NULL);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        size_t count = gws_event_collect(&f.region, &cursor, events, 64);
        for (size_t i = 0; i < count; i++) {
            uint64_t n = events[i].old;
            assert_int_equal(events[i].seq, n + 1);
            assert_int_equal(events[i].new, n * 3);
            assert_int_equal(events[i].time, n);
            assert_int_equal(events[i].domain, (uint32_t)n);
            assert_int_equal(events[i].who, (uint32_t)n);
            assert_true(events[i].seq > last);
            last = events[i].seq;
        }
        total += count;
    }
    assert_int_equal(status, 0);
    assert_true(total > 0 || gws_event_collect(&f.region, &cursor, events, 64) > 0);
    fixture_close(&f);
}

/* The two places a writer can die: before the number is stored, and before the head is. */
static void test_death_in_the_middle(void **state)
{
    struct fixture f;
    struct gws_region worker;
    struct gws_event_cursor cursor = {{0}};
    struct gws_event events[8];
    int slot;

    (void)state;
    fixture_open(&f);
    worker = fixture_worker(&f);
    slot = worker.slot;
    record(&worker, 10, 10);
    record(&worker, 11, 11);
    atomic_store(&f.region.slots[slot].event_head, 1); /* finished, head not moved */
    gws_region_close(&worker);
    gws_slot_reap(&f.region, slot, true, 0);
    worker = fixture_worker(&f);
    assert_int_equal(worker.slot, slot);
    record(&worker, 12, 12);
    atomic_store(&f.region.slots[slot].event_head, 2); /* as if cut off ... */
    atomic_store(&f.region.events[(size_t)slot * EVENTS + 2].seq, 0); /* ... before the number was stored */
    gws_region_close(&worker);
    gws_slot_reap(&f.region, slot, true, 0);
    worker = fixture_worker(&f);
    record(&worker, 13, 13);
    assert_int_equal(gws_event_collect(&f.region, &cursor, events, 8), 3);
    assert_int_equal(events[0].old, 10);
    assert_int_equal(events[1].old, 11);
    assert_int_equal(events[2].old, 13);
    assert_int_equal(events[2].seq, 3);
    gws_region_close(&worker);
    fixture_close(&f);
}

static void test_cursor_of_another_region(void **state)
{
    struct fixture f;
    struct gws_event_cursor cursor = {{1000}};
    struct gws_event event;

    (void)state;
    fixture_open(&f);
    record(&f.region, 1, 1);
    assert_int_equal(gws_event_collect(&f.region, &cursor, &event, 1), 1);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_without_a_slot),
        cmocka_unit_test(test_rings_are_merged_by_time),
        cmocka_unit_test(test_the_newest_are_kept),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_reading_while_writing),
        cmocka_unit_test(test_death_in_the_middle),
        cmocka_unit_test(test_cursor_of_another_region),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
