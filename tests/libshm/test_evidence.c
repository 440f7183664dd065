/* The last failure of a domain: whole or not there, whoever writes and whoever dies over it. */

#include "libshm/evidence.h"

#include "libshm/layout.h"
#include "tests/libshm/fixture.h"

static void note(struct gws_region *region, uint32_t row, uint8_t outcome, const char *text, uint64_t now)
{
    gws_evidence_note(region, row, outcome, 503, text, strlen(text), now);
}

static void test_the_last_one(void **state)
{
    struct fixture f;
    struct gws_region worker;
    struct gws_evidence seen;

    (void)state;
    fixture_open(&f);
    worker = fixture_worker(&f);
    assert_false(gws_evidence_read(&f.region, 5, &seen));
    note(&f.region, 5, 3, "overloaded", 100);
    gws_evidence_note(&worker, 5, 4, 0, NULL, 0, 200);
    assert_true(gws_evidence_read(&f.region, 5, &seen));
    assert_int_equal(seen.at, 200);
    assert_int_equal(seen.slot, worker.slot);
    assert_int_equal(seen.pid, getpid());
    assert_int_equal(seen.status, 0);
    assert_memory_equal(seen.outcomes, ((uint8_t[]){4, 3, 0, 0, 0, 0, 0, 0}), 8);
    assert_string_equal(seen.text, "");
    note(&worker, 5, 5, "it fell over", 300);
    assert_true(gws_evidence_read(&f.region, 5, &seen));
    assert_int_equal(seen.status, 503);
    assert_memory_equal(seen.outcomes, ((uint8_t[]){5, 4, 3, 0, 0, 0, 0, 0}), 8);
    assert_string_equal(seen.text, "it fell over");
    assert_false(gws_evidence_read(&f.region, 4, &seen));
    gws_region_close(&worker);
    fixture_close(&f);
}

static void test_bounds(void **state)
{
    struct fixture f;
    struct gws_region looker;
    struct gws_evidence seen;
    char text[200];

    (void)state;
    fixture_open(&f);
    looker = fixture_view(&f, GWS_CHANGE);
    note(&looker, 0, 1, "without a slot", 1);
    note(&f.region, 12, 1, "no row", 1);
    note(&f.region, 0, 0, "no outcome", 1);
    assert_false(gws_evidence_read(&f.region, 0, &seen));
    assert_false(gws_evidence_read(&f.region, 12, &seen));
    memset(text, 'x', sizeof(text));
    for (uint8_t i = 1; i <= 9; i++)
        gws_evidence_note(&f.region, 0, i, 599, text, sizeof(text), i);
    assert_true(gws_evidence_read(&looker, 0, &seen));
    assert_int_equal(strlen(seen.text), GWS_EVIDENCE_TEXT);
    assert_memory_equal(seen.outcomes, ((uint8_t[]){9, 8, 7, 6, 5, 4, 3, 2}), 8);
    gws_region_close(&looker);
    fixture_close(&f);
}

/* The claim as it stands while slot `slot` writes: its count is odd. */
static void hold(struct gws_region *region, uint32_t row, int slot)
{
    struct gws_slot_info info;

    gws_slot_read(region, slot, &info);
    atomic_store(&region->evidence[row].claim, (uint64_t)(slot + 1) << 55 | (uint64_t)info.generation << 25 | 7);
}

static void test_one_gives_way(void **state)
{
    struct fixture f;
    struct gws_region worker;
    struct gws_evidence seen;

    (void)state;
    fixture_open(&f);
    worker = fixture_worker(&f);
    note(&f.region, 0, 1, "before", 1);
    hold(&f.region, 0, worker.slot);
    note(&f.region, 0, 2, "meanwhile", 2);
    assert_false(gws_evidence_read(&f.region, 0, &seen)); /* being written */
    assert_int_equal(atomic_load(&f.region.evidence[0].at), 1);
    gws_region_close(&worker);
    fixture_close(&f);
}

static int die_writing(struct fixture *f, void *arg)
{
    (void)arg;
    hold(&f->region, 0, f->region.slot);
    atomic_store(&f->region.evidence[0].at, 777);
    kill(getpid(), SIGKILL);
    return 0;
}

static void test_the_dead_are_passed_over(void **state)
{
    struct fixture f;
    struct gws_evidence seen;
    int slot;
    int again;

    (void)state;
    fixture_open(&f);
    note(&f.region, 0, 1, "before", 1);
    for (int taken = 0; taken < 2; taken++) {
        assert_true(WIFSIGNALED(fixture_wait(fixture_fork(&f, &slot, die_writing, NULL))));
        note(&f.region, 0, 2, "not yet: its slot is not reaped", 2);
        assert_false(gws_evidence_read(&f.region, 0, &seen));
        gws_slot_reap(&f.region, slot, true, 0);
        assert_false(gws_evidence_read(&f.region, 0, &seen)); /* what it left is no record */
        if (taken) {
            again = gws_slot_reserve(&f.region, GWS_ROLE_WORKER, 1, 0);
            assert_int_equal(again, slot);
        }
        note(&f.region, 0, 3, "after", 3);
        assert_true(gws_evidence_read(&f.region, 0, &seen));
        assert_string_equal(seen.text, "after");
        assert_int_equal(seen.outcomes[0], 3);
        assert_int_equal(seen.at, 3);
    }
    fixture_close(&f);
}

static void test_begins_afresh(void **state)
{
    struct fixture f;
    struct gws_evidence seen;

    (void)state;
    fixture_open(&f);
    note(&f.region, 0, 1, "old", 1);
    gws_evidence_clear(&f.region, 0);
    assert_false(gws_evidence_read(&f.region, 0, &seen));
    note(&f.region, 0, 2, "new", 2);
    assert_true(gws_evidence_read(&f.region, 0, &seen));
    assert_memory_equal(seen.outcomes, ((uint8_t[]){2, 0, 0, 0, 0, 0, 0, 0}), 8);
    fixture_close(&f);
}

enum { WRITERS = 3, NOTES = 20000 };

/* Every word of a record says the same number, so that half of one shows. */
static int write_many(struct fixture *f, void *arg)
{
    char text[GWS_EVIDENCE_TEXT];

    (void)arg;
    for (uint64_t i = 0; i < NOTES; i++) {
        uint64_t n = i * WRITERS + (uint64_t)f->region.slot;
        for (size_t at = 0; at < sizeof(text); at += sizeof(n))
            memcpy(text + at, &n, sizeof(n));
        gws_evidence_note(&f->region, 0, (uint8_t)(n % 255 + 1), (uint16_t)(n & 0xffff), text, sizeof(text), n);
    }
    return 0;
}

static bool is_whole(const struct gws_evidence *seen)
{
    for (size_t at = 0; at < GWS_EVIDENCE_TEXT; at += sizeof(seen->at))
        if (memcmp(seen->text + at, &seen->at, sizeof(seen->at)) != 0)
            return false;
    return seen->outcomes[0] == seen->at % 255 + 1 && seen->status == (seen->at & 0xffff);
}

static void test_never_half_of_one(void **state)
{
    struct fixture f;
    pid_t pids[WRITERS];
    int slots[WRITERS];
    int left = WRITERS;

    (void)state;
    fixture_open(&f);
    for (int i = 0; i < WRITERS; i++)
        pids[i] = fixture_fork(&f, &slots[i], write_many, NULL);
    while (left > 0) {
        struct gws_evidence seen;
        for (int i = 0; i < 1000; i++)
            if (gws_evidence_read(&f.region, 0, &seen))
                assert_true(is_whole(&seen));
        for (int i = 0; i < WRITERS; i++)
            if (pids[i] > 0 && waitpid(pids[i], NULL, WNOHANG) == pids[i]) {
                pids[i] = 0;
                left--;
            }
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_one),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_one_gives_way),
        cmocka_unit_test(test_the_dead_are_passed_over),
        cmocka_unit_test(test_begins_afresh),
        cmocka_unit_test(test_never_half_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
