/*
 * Exact over processes: 1, 2, 4 and 8 of them ask as fast as they can, and are given together what one would have been
 * given: to the unit for bulkhead and day, to one for the rates.
 */

#include <stdatomic.h>
#include <sys/mman.h>

#include "libshm/gate.h"
#include "libshm/limit.h"
#include "libshm/quota.h"
#include "tests/libshm/fixture.h"

enum { ADMITTED = 20000, TOKENS = 7, STUBBORN = 3000 };

#define SECOND UINT64_C(1000000000)

static bool take_request(struct gws_region *r)
{
    struct gws_limit_rules rpm = gws_limit_rules(ADMITTED, 60 * SECOND, 0);
    uint64_t wait;
    return gws_limit_take(r, 0, &rpm, 1, SECOND, &wait) == GWS_LIMIT_TAKEN;
}

static bool take_tokens(struct gws_region *r)
{
    struct gws_limit_rules tpm = gws_limit_rules(ADMITTED * TOKENS, 60 * SECOND, 0);
    struct gws_limit_charge charge;
    uint64_t wait;

    if (gws_limit_charge(r, 1, &tpm, TOKENS + 3, SECOND, &charge, &wait) != GWS_LIMIT_TAKEN)
        return gws_limit_take(r, 1, &tpm, TOKENS, SECOND, &wait) == GWS_LIMIT_TAKEN; /* the last ones fit exactly */
    gws_limit_settle(r, 1, &tpm, charge, TOKENS, SECOND);
    return true;
}

static bool take_of_day(struct gws_region *r)
{
    const struct gws_quota_rules rpd = {.limit = ADMITTED};

    if (gws_quota_reserve(r, 0, &rpd, 1, SECOND) != GWS_QUOTA_RESERVED)
        return false;
    gws_quota_settle(r, 0, &rpd, 1, 1, SECOND);
    return true;
}

static bool take_place(struct gws_region *r)
{
    return gws_gate_take(r, 0, ADMITTED) == GWS_GATE_TAKEN;
}

struct crowd {
    bool (*take)(struct gws_region *r);
    _Atomic int ready;
    _Atomic int start;
    _Atomic int taken;
};

/* Two that race for the last unit may both step back, so nobody gives up at the first refusal. */
static int ask(struct fixture *f, void *arg)
{
    struct crowd *crowd = arg;
    int refused = 0;

    atomic_fetch_add(&crowd->ready, 1);
    while (atomic_load(&crowd->start) == 0)
        usleep(50);
    while (refused < STUBBORN) {
        if (crowd->take(&f->region)) {
            atomic_fetch_add(&crowd->taken, 1);
            refused = 0;
        } else {
            refused++;
        }
    }
    /* Places are held until all have asked. */
    atomic_fetch_sub(&crowd->ready, 1);
    while (atomic_load(&crowd->ready) > 0)
        usleep(50);
    return 0;
}

static int together(bool (*take)(struct gws_region *), int processes)
{
    struct crowd *crowd = mmap(NULL, sizeof(*crowd), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct fixture f;
    pid_t pids[8];
    int slot;
    int taken;

    assert_true(crowd != MAP_FAILED);
    crowd->take = take;
    fixture_open(&f);
    for (int i = 0; i < processes; i++)
        pids[i] = fixture_fork(&f, &slot, ask, crowd);
    while (atomic_load(&crowd->ready) < processes)
        usleep(50);
    atomic_store(&crowd->start, 1);
    for (int i = 0; i < processes; i++)
        assert_int_equal(fixture_wait(pids[i]), 0);
    taken = atomic_load(&crowd->taken);
    munmap(crowd, sizeof(*crowd));
    fixture_close(&f);
    return taken;
}

static void test_exact(void **state)
{
    static const struct {
        const char *name;
        bool (*take)(struct gws_region *);
        int off;
    } kinds[] = {
        {"requests a minute", take_request, 1},
        {"tokens a minute", take_tokens, 1},
        {"a day", take_of_day, 0},
        {"bulkhead", take_place, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        int alone = together(kinds[i].take, 1);
        assert_in_range(alone, ADMITTED - kinds[i].off, ADMITTED);
        for (int processes = 2; processes <= 8; processes *= 2) {
            int taken = together(kinds[i].take, processes);
            print_message("%s: %d processes took %d, one %d\n", kinds[i].name, processes, taken, alone);
            assert_in_range(taken, alone - kinds[i].off, alone + kinds[i].off);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exact)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
