/* Tickets: each number once, whoever asks. */

#include "libshm/ticket.h"

#include <sys/mman.h>

#include "tests/libshm/fixture.h"

enum { WORKERS = 3, EACH = 20000 };

static int take_many(struct fixture *f, void *arg)
{
    unsigned char *seen = arg;

    for (int i = 0; i < EACH; i++)
        seen[gws_ticket_next(&f->region, 4)]++;
    return 0;
}

static void test_each_once(void **state)
{
    struct fixture f;
    pid_t pids[WORKERS];
    unsigned char *seen = mmap(NULL, WORKERS * EACH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int slot;

    (void)state;
    assert_true(seen != MAP_FAILED);
    fixture_open(&f);
    for (int i = 0; i < WORKERS; i++)
        pids[i] = fixture_fork(&f, &slot, take_many, seen);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(fixture_wait(pids[i]), 0);
    for (int i = 0; i < WORKERS * EACH; i++)
        assert_int_equal(seen[i], 1);
    assert_int_equal(gws_ticket_peek(&f.region, 4), WORKERS * EACH);
    assert_int_equal(gws_ticket_peek(&f.region, 5), 0);
    munmap(seen, WORKERS * EACH);
    fixture_close(&f);
}

static void test_out_of_range(void **state)
{
    struct fixture f;
    struct gws_region look;

    (void)state;
    fixture_open(&f);
    assert_int_equal(gws_ticket_next(&f.region, 12), 0);
    assert_int_equal(gws_ticket_peek(&f.region, UINT32_MAX), 0);
    look = fixture_view(&f, GWS_LOOK);
    assert_int_equal(gws_ticket_next(&look, 0), 0);
    assert_int_equal(gws_ticket_peek(&f.region, 0), 0);
    gws_region_close(&look);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once),
        cmocka_unit_test(test_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
