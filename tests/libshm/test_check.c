/* The check: silent on what processes leave, also under fire; and it sees each kind of damage. */

#include "libshm/check.h"

#include <time.h>

#include "libshm/breaker.h"
#include "libshm/budget.h"
#include "libshm/clock.h"
#include "libshm/cooldown.h"
#include "libshm/gate.h"
#include "libshm/layout.h"
#include "libshm/limit.h"
#include "libshm/name.h"
#include "libshm/quota.h"
#include "libshm/waiter.h"
#include "tests/libshm/fixture.h"

struct heard {
    size_t sections;
    uint64_t end;
    size_t faults;
    uint64_t offset; /* of the last fault */
    char text[256];
};

static void hear(void *context, const struct gws_check_note *note)
{
    struct heard *heard = context;

    if (note->kind == GWS_CHECK_SECTION) {
        assert_true(note->offset >= heard->end);
        heard->end = note->offset + note->bytes;
        heard->sections++;
        return;
    }
    heard->faults++;
    heard->offset = note->offset;
    snprintf(heard->text, sizeof(heard->text), "%s: %s", note->section, note->text);
}

static struct heard check(const struct gws_region *region)
{
    struct heard heard = {0};
    size_t faults = gws_region_check(region, gws_clock_ms(region), hear, &heard);

    assert_int_equal(faults, heard.faults);
    return heard;
}

static void name_some(struct gws_region *region)
{
    int east = gws_name_endpoint(region, "us-east", "https://a", 20, 1);

    assert_int_equal(gws_name_endpoint(region, "us-west", "https://b", 20, 1), 1);
    assert_int_equal(gws_name_pair(region, (uint32_t)east, "gpt", 1), 2);
    assert_int_equal(gws_name_account(region, "example", 1), 3);
    assert_int_equal(gws_name_limit(region, "rpm", 1), 0);
    assert_int_equal(gws_name_quota(region, "usd", 1), 0);
    assert_int_equal(gws_name_model(region, "gpt", 1), 0);
}

static void test_the_map(void **state)
{
    struct fixture f;
    struct heard heard;

    (void)state;
    fixture_open(&f);
    name_some(&f.region);
    heard = check(&f.region);
    assert_int_equal(heard.faults, 0);
    assert_int_equal(heard.sections, 17);
    assert_true(heard.end <= f.region.size && f.region.size - heard.end < 4096);
    fixture_close(&f);
}

static void test_damage(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    name_some(&f.region);
    const struct {
        void *at;
        uint64_t value;
        const char *says;
    } damages[] = {
        {&f.region.header->magic, 7, "header: it is not the header"},
        {&f.region.header->slot_high, 99, "header: slot_high is 99"},
        {&f.region.header->guest_high, 4, "header: guest_high is 4"},
        {&f.region.header->ready, 0, "header: ready is 0"},
        {&f.region.header->later_header[5], 1, "header: a byte"},
        {&f.region.slots[0].life, UINT64_C(2) << 62, "slots: slot 0 is taken by nobody"},
        {&f.region.slots[1].life, 77, "slots: slot 1 is free and has a pid"},
        {&f.region.slots[9].life, UINT64_C(2) << 62 | 1, "slots: slot 9 is taken and above"},
        {&f.region.slots[0].role, 9, "slots: slot 0 has role 9"},
        {&f.region.slots[3].connections, 1, "slots: slot 3 is free and holds 1 connections"},
        {&f.region.slots[3].later_slot[1], 1, "slots: a byte"},
        {&f.region.gauges[16 + 2], 5, "gauges: slot 2 is free and holds 5 places"},
        {&f.region.gauges[0], UINT64_MAX, "gauges: slot 0 holds 18446744073709551615 places"},
        {&f.region.tallies[16 + 2], 5, "tallies: slot 2 is free and holds 5"},
        {&f.region.cells[2].reserved, 5, "cells: slot 2 is free and holds 5"},
        {&f.region.cells[2].committed, UINT64_C(5) << 48, "cells: row 0: slot 2 is ahead"},
        {&f.region.quotas[1].correction, UINT64_C(5) << 48, "quotas: row 1: corrected ahead"},
        {&f.region.quotas[1].day, 65536, "quotas: row 1: day 65536"},
        {&f.region.waiters[1].slots[0], 4, "waiters: slot 2 is free and waits for endpoint 1"},
        {&f.region.domains[4].breaker, UINT64_C(1) << 62, "domains: row 4: open for no known reason (0)"},
        {&f.region.domains[4].breaker, UINT64_C(1) << 62 | UINT64_C(7) << 36, "domains: row 4: open for no known"},
        {&f.region.domains[4].breaker, UINT64_C(3) << 62 | UINT64_C(2) << 36, "domains: row 4: forced neither"},
        {&f.region.domains[4].breaker, UINT64_C(0x4000001fffffffff), "domains: row 4: its deadline"},
        {&f.region.domains[4].breaker, UINT64_C(0xfffffffff), "domains: row 4: closed since"},
        {&f.region.domains[4].cooldown, UINT64_C(7) << 58, "domains: row 4: cooling for no known"},
        {&f.region.domains[4].cooldown, UINT64_C(1) << 43, "domains: row 4: cooling for 8796"},
        {&f.region.domains[4].order, UINT64_C(1) << 62, "domains: row 4: an order"},
        {&f.region.domains[4].adapt, 5, "domains: row 4: an adaptive limit"},
        {&f.region.domains[4].window[9], UINT64_C(0x100020002), "domains: row 4: more failed"},
        {&f.region.domains[4].pad_answer[2], 1, "domains: a byte"},
        {&f.region.limits[2].tat, UINT64_C(1) << 63, "limits: row 2: its debt"},
        {&f.region.events[0].seq, 5, "rings: slot 0 has record 5 at place 0"},
        {&f.region.names[1].endpoint, 0, "names: 'us-west' has the endpoint number of row 0"},
        {&f.region.names[1].endpoint, 4, "names: 'us-west' has endpoint number 4"},
        {&f.region.names[3].state, 0x109, "names: row 3: no known kind"},
        {&f.region.names[3].state, 0x104, "names: 'example' is of another table"},
        {&f.region.names[2].parent, 3, "names: 'gpt' belongs to no endpoint"},
        {&f.region.domains[4].answered, UINT64_C(1) << 40, "domains: row 4: it answered at a time"},
        {&f.region.evidence[4].claim, UINT64_C(17) << 55, "evidence: row 4: claimed by slot 16"},
        {&f.region.evidence[4].claim, UINT64_C(1) << 55 | 2, "evidence: row 4: a failure without"},
        {&f.region.evidence[4].at, UINT64_C(1) << 40, "evidence: row 4: a failure at a time"},
        {&f.region.evidence[4].pad_evidence[0], 1, "evidence: a byte"},
        {&f.region.models[1].later_model[0], 1, "models: a byte"},
    };

    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct heard heard;
        uint64_t before;

        memcpy(&before, damages[i].at, 8);
        memcpy(damages[i].at, &damages[i].value, 8);
        heard = check(&f.region);
        memcpy(damages[i].at, &before, 8);
        if (heard.faults != 1 || strncmp(heard.text, damages[i].says, strlen(damages[i].says)) != 0)
            fail_msg("%zu faults, the last '%s', not '%s'", heard.faults, heard.text, damages[i].says);
        assert_in_range((unsigned char *)damages[i].at - f.region.base - (ptrdiff_t)heard.offset, 0, 7);
    }
    assert_int_equal(check(&f.region).faults, 0);
    fixture_close(&f);
}

/* A name twice is two faults in one: the identity, and the number. */
static void test_twins(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f);
    name_some(&f.region);
    memcpy((void *)&f.region.names[5], (void *)&f.region.names[3], sizeof(struct gws_name_row));
    assert_int_equal(check(&f.region).faults, 1);
    assert_string_equal(check(&f.region).text, "names: 'example' stands in rows 3 and 5");
    fixture_close(&f);
}

static int work(struct fixture *f, void *arg)
{
    const struct gws_breaker_rules rules = {.failures = 2, .half_open = 1, .successes = 1, .open_ms = 1,
                                            .max_open_ms = 2, .stable_ms = 5, .lease_ms = 2, .window_ms = 6000};
    const struct gws_quota_rules day = {.limit = 50};
    struct gws_region *region = &f->region;
    pid_t parent = *(pid_t *)arg;

    for (uint32_t i = 0; getppid() == parent; i++) {
        struct gws_slots slots = {{0}};
        struct gws_permit permit;
        uint64_t wait;
        bool place = gws_gate_take(region, 0, 2) == GWS_GATE_TAKEN;
        bool money = gws_quota_reserve(region, 0, &day, 5, i) == GWS_QUOTA_RESERVED;

        gws_waiter_set(region, 0);
        gws_tally_enter(region, GWS_TALLY_REQUESTS);
        if (gws_breaker_permit(region, 0, &rules, gws_clock_ms(region), &permit, &wait) == GWS_GO)
            gws_breaker_report(region, 0, &rules, permit, (enum gws_outcome)(i % 4), gws_clock_ms(region), 0, i);
        gws_tally_leave(region, GWS_TALLY_REQUESTS);
        if (money)
            gws_quota_settle(region, 0, &day, 5, i % 2, UINT64_C(86400000) * (i / 100));
        if (place)
            gws_gate_give(region, 0);
        gws_waiter_collect(region, 0, &slots);
        gws_waiter_clear(region, 0);
    }
    return 0;
}

static void test_silent_under_fire(void **state)
{
    const struct timespec tick = {.tv_nsec = 3000000};
    struct fixture f;
    pid_t parent = getpid();
    pid_t pids[3];
    int slots[3];

    (void)state;
    fixture_open(&f);
    name_some(&f.region);
    for (int i = 0; i < 3; i++)
        pids[i] = fixture_fork(&f, &slots[i], work, &parent);
    for (int round = 0; round < 60; round++) {
        struct heard heard = check(&f.region);
        if (heard.faults != 0)
            fail_msg("%s", heard.text);
        nanosleep(&tick, NULL);
        kill(pids[round % 3], SIGKILL);
        fixture_wait(pids[round % 3]);
        gws_slot_reap(&f.region, slots[round % 3], true, gws_clock_ms(&f.region));
        pids[round % 3] = fixture_fork(&f, &slots[round % 3], work, &parent);
    }
    for (int i = 0; i < 3; i++) {
        kill(pids[i], SIGKILL);
        fixture_wait(pids[i]);
        gws_slot_reap(&f.region, slots[i], true, gws_clock_ms(&f.region));
    }
    assert_int_equal(check(&f.region).faults, 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_map),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_silent_under_fire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
