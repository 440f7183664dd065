/*
 * A kill at every instruction of what is held and handed out: places, budgets, quotas, rate limits, waiter bits, slots,
 * names, records.
 */

#include "libshm/budget.h"
#include "libshm/evidence.h"
#include "libshm/gate.h"
#include "libshm/limit.h"
#include "libshm/name.h"
#include "libshm/quota.h"
#include "libshm/waiter.h"
#include "tests/proof/steps.h"

#define DAY UINT64_C(86400000)
#define TODAY (20000 * DAY)
#define NOW_NS ((uint64_t)SCENE_NOW * 1000000)

/* States: how many places the other worker holds; from 3 on the process itself holds one. */
static void prepare_places(struct scene *s)
{
    for (int i = 0; i < s->state % 3; i++) {
        assert_int_equal(gws_gate_take(&s->other, 0, SCENE_PLACES), GWS_GATE_TAKEN);
        assert_int_equal(gws_budget_take(&s->other, GWS_TALLY_RETRIES, &scene_budget), GWS_BUDGET_TAKEN);
    }
}

static void hold_place(struct scene *s, struct gws_region *r)
{
    if (s->state < 3)
        return;
    (void)gws_gate_take(r, 0, SCENE_PLACES);
    (void)gws_budget_take(r, GWS_TALLY_RETRIES, &scene_budget);
    gws_tally_enter(r, GWS_TALLY_REQUESTS);
}

static void run_take(struct scene *s, struct gws_region *r)
{
    int result = gws_gate_take(r, 0, SCENE_PLACES);
    if (r == &s->f.region)
        s->over[1] = result;
}

static void run_give(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_gate_give(r, 0);
}

static void run_budget(struct scene *s, struct gws_region *r)
{
    (void)s;
    (void)gws_budget_take(r, GWS_TALLY_RETRIES, &scene_budget);
}

static void run_tallies(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_tally_enter(r, GWS_TALLY_REQUESTS);
    gws_tally_leave(r, GWS_TALLY_RETRIES);
    gws_tally_leave(r, GWS_TALLY_REQUESTS);
}

static void test_places(void **state)
{
    static const struct op ops[] = {
        {"take", prepare_places, hold_place, run_take, run_take, 6, false, false},
        {"give", prepare_places, hold_place, run_give, run_take, 6, false, false},
        {"budget take", prepare_places, hold_place, run_budget, run_budget, 6, false, false},
        {"tallies", prepare_places, hold_place, run_tallies, run_budget, 6, false, false},
    };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        scene_prove(*state, &ops[i]);
    /* One that lost the race for the last place has to say that it was in the way of others for a moment. */
    assert_true(((struct scene *)*state)->stepped > 0);
}

/* States: nothing; the other has reserved six; it has spent six; all is spent; it was spent yesterday; a correction. */
static void prepare_quota(struct scene *s)
{
    struct gws_region *r = &s->other;
    uint64_t when = s->state == 4 ? TODAY - 1 : TODAY;

    if (s->state == 0)
        return;
    if (s->state == 5) {
        gws_quota_restore(&s->f.region, 0, 20000, 3);
        return;
    }
    assert_int_equal(gws_quota_reserve(r, 0, &scene_quota, 6, when), GWS_QUOTA_RESERVED);
    if (s->state >= 2)
        gws_quota_settle(r, 0, &scene_quota, 6, s->state == 3 ? SCENE_DAY : 6, when);
}

static void hold_quota(struct scene *s, struct gws_region *r)
{
    (void)gws_quota_reserve(r, 0, &scene_quota, 3, s->state == 4 ? TODAY - 1 : TODAY);
}

static void run_reserve(struct scene *s, struct gws_region *r)
{
    (void)s;
    (void)gws_quota_reserve(r, 0, &scene_quota, 4, TODAY);
}

static void run_settle(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_quota_settle(r, 0, &scene_quota, 3, 2, TODAY);
}

static void run_settle_more(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_quota_settle(r, 0, &scene_quota, 3, 5, TODAY);
}

static void run_restore(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_quota_restore(r, 0, 20000, 8);
}

static void run_quota_reset(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_quota_reset(r, 0, SCENE_NOW, 7);
}

/* A clock that is a little behind asks while the new day is spent already. */
static void run_reserve_late(struct scene *s, struct gws_region *r)
{
    (void)s;
    (void)gws_quota_reserve(r, 0, &scene_quota, 4, TODAY - 1);
}

static void run_spend_the_day(struct scene *s, struct gws_region *r)
{
    (void)s;
    if (gws_quota_reserve(r, 0, &scene_quota, SCENE_DAY, TODAY) == GWS_QUOTA_RESERVED)
        gws_quota_settle(r, 0, &scene_quota, SCENE_DAY, SCENE_DAY, TODAY);
}

/* What another has reserved becomes what it has committed while we add up: it must not be missed on its way. */
static void prepare_moving(struct scene *s)
{
    assert_int_equal(gws_quota_reserve(&s->other, 0, &scene_quota, 6, TODAY), GWS_QUOTA_RESERVED);
}

static void run_reserve_five(struct scene *s, struct gws_region *r)
{
    (void)s;
    (void)gws_quota_reserve(r, 0, &scene_quota, 5, TODAY);
}

static void run_settle_six(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_quota_settle(r, 0, &scene_quota, 6, 6, TODAY);
}

static void test_quota(void **state)
{
    static const struct op ops[] = {
        {"reserve while another settles", prepare_moving, NULL, run_reserve_five, run_settle_six, 1, false, false},
        {"reserve at midnight", NULL, NULL, run_reserve_late, run_spend_the_day, 1, false, false},
        {"reserve", prepare_quota, NULL, run_reserve, run_reserve, 6, false, false},
        {"reserve holding some", prepare_quota, hold_quota, run_reserve, NULL, 6, false, false},
        {"settle", prepare_quota, hold_quota, run_settle, run_reserve, 6, false, false},
        {"settle for more", prepare_quota, hold_quota, run_settle_more, NULL, 6, false, false},
        {"restore", prepare_quota, NULL, run_restore, NULL, 6, false, false},
        {"reset", prepare_quota, hold_quota, run_quota_reset, NULL, 6, false, false},
    };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        scene_prove(*state, &ops[i]);
}

/* States: empty, half full, full, in debt. */
static void prepare_limit(struct scene *s)
{
    struct gws_limit_rules rules = scene_limit();
    uint64_t units[] = {0, 2, SCENE_BURST, 3 * SCENE_BURST};
    uint64_t wait;

    gws_limit_publish(&s->f.region, 0, &rules, NOW_NS);
    assert_int_equal(gws_limit_take(&s->other, 0, &rules, units[s->state], NOW_NS, &wait), GWS_LIMIT_TAKEN);
}

static void run_limit(struct scene *s, struct gws_region *r)
{
    struct gws_limit_rules rules = scene_limit();
    uint64_t wait;
    (void)s;
    (void)gws_limit_take(r, 0, &rules, 2, NOW_NS, &wait);
}

static void settle_limit(struct gws_region *r, uint64_t actual)
{
    struct gws_limit_rules rules = scene_limit();
    struct gws_limit_charge charge = {.units = 2, .until = NOW_NS * 16 + 2 * rules.interval};
    gws_limit_settle(r, 0, &rules, charge, actual, NOW_NS);
}

static void run_limit_less(struct scene *s, struct gws_region *r)
{
    (void)s;
    settle_limit(r, 1);
}

static void run_limit_more(struct scene *s, struct gws_region *r)
{
    (void)s;
    settle_limit(r, 4);
}

static void run_limit_undo(struct scene *s, struct gws_region *r)
{
    struct gws_limit_rules rules = scene_limit();
    (void)s;
    gws_limit_undo(r, 0, &rules, 1);
}

static void run_limit_reset(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_limit_reset(r, 0, NOW_NS, 7);
}

static void run_publish(struct scene *s, struct gws_region *r)
{
    struct gws_limit_rules rules = gws_limit_rules(2 * SCENE_BURST, 1000000000, 0);
    (void)s;
    gws_limit_publish(r, 0, &rules, NOW_NS);
}

static void test_limit(void **state)
{
    static const struct op ops[] = {
        {"limit take", prepare_limit, NULL, run_limit, run_limit, 4, false, false},
        {"limit take against a settlement", prepare_limit, NULL, run_limit, run_limit_less, 4, false, false},
        {"limit settle for less", prepare_limit, NULL, run_limit_less, run_limit, 4, false, false},
        {"limit settle for more", prepare_limit, NULL, run_limit_more, run_limit, 4, false, false},
        {"limit undo", prepare_limit, NULL, run_limit_undo, run_limit, 4, false, false},
        {"limit reset", prepare_limit, NULL, run_limit_reset, run_limit, 4, false, false},
        {"limit publish", prepare_limit, NULL, run_publish, NULL, 4, false, false},
    };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        scene_prove(*state, &ops[i]);
}

static void prepare_waiters(struct scene *s)
{
    if (s->state >= 1)
        gws_waiter_set(&s->other, 0);
}

static void hold_waiter(struct scene *s, struct gws_region *r)
{
    if (s->state == 2)
        gws_waiter_set(r, 0);
}

static void run_set(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_waiter_set(r, 0);
}

static void run_clear_bit(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_waiter_clear(r, 0);
}

static void run_collect(struct scene *s, struct gws_region *r)
{
    struct gws_slots slots = {{0}};
    (void)s;
    (void)gws_waiter_collect(r, 0, &slots);
}

static void run_record(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_event_record(r, GWS_EVENT_RELOAD, GWS_NO_DOMAIN, 5, 6, 7, SCENE_NOW);
}

static void fill_ring(struct scene *s, struct gws_region *r)
{
    for (int i = 0; i < (s->state == 0 ? 0 : 14 + s->state); i++)
        gws_event_record(r, GWS_EVENT_RELOAD, GWS_NO_DOMAIN, 5, 6, 7, SCENE_NOW - 1);
}

/* A record of which every part is the same number, so that one that is put together from two can be told. */
static void number(struct gws_region *r, uint64_t n)
{
    gws_event_record(r, GWS_EVENT_RELOAD, GWS_NO_DOMAIN, n, n, (uint32_t)n, n);
}

static void prepare_records(struct scene *s)
{
    for (uint64_t n = 1; n <= 16; n++)
        number(&s->other, n);
}

/* The last two; a torn one ends the process, which nobody expects. */
static void run_read(struct scene *s, struct gws_region *r)
{
    struct gws_event_cursor cursor = {{0}};
    struct gws_event events[32];
    size_t count;

    (void)s;
    cursor.next[1] = 14;
    count = gws_event_collect(r, &cursor, events, 32);
    for (size_t i = 0; i < count; i++)
        if (events[i].slot == 1 && (events[i].new != events[i].old || events[i].new != events[i].time ||
                                    events[i].new != events[i].who))
            abort();
}

/* Rings that have not gone round yet: every record that a head counts can be read. */
static void run_follow(struct scene *s, struct gws_region *r)
{
    struct gws_event_cursor cursor = {{0}};
    struct gws_event events[96];
    uint64_t heads = 0;
    size_t count = gws_event_collect(r, &cursor, events, 96);

    (void)s;
    for (int i = 0; i < 6; i++)
        heads += cursor.next[i];
    assert_int_equal(count, heads);
}

static void run_overwrite(struct scene *s, struct gws_region *r)
{
    (void)s;
    for (uint64_t n = 101; n <= 120; n++)
        number(r, n);
}

/* Every part of a record is of the same number. */
static void evidence(struct gws_region *r, uint8_t n)
{
    char text[GWS_EVIDENCE_TEXT];

    memset(text, n, sizeof(text));
    gws_evidence_note(r, 0, n, n, text, sizeof(text), n);
}

static void prepare_evidence(struct scene *s)
{
    if (s->state == 1)
        evidence(&s->other, 1);
}

static void run_evidence(struct scene *s, struct gws_region *r)
{
    (void)s;
    evidence(r, 2);
}

static void run_evidence_other(struct scene *s, struct gws_region *r)
{
    (void)s;
    evidence(r, 3);
}

/* A mixed one ends the process, which nobody expects. */
static void run_evidence_read(struct scene *s, struct gws_region *r)
{
    struct gws_evidence seen;

    (void)s;
    if (!gws_evidence_read(r, 0, &seen))
        return;
    if (seen.at != seen.outcomes[0] || seen.at != seen.status || (uint64_t)seen.text[0] != seen.at ||
        (uint64_t)seen.text[GWS_EVIDENCE_TEXT - 1] != seen.at)
        abort();
}

static void test_waiters_and_records(void **state)
{
    static const struct op ops[] = {
        {"waiter set", prepare_waiters, hold_waiter, run_set, run_collect, 3, false, false},
        {"waiter clear", prepare_waiters, hold_waiter, run_clear_bit, run_collect, 3, false, false},
        {"waiter collect", prepare_waiters, hold_waiter, run_collect, run_set, 3, false, false},
        {"record", NULL, fill_ring, run_record, run_record, 4, false, false},
        {"record while another reads", NULL, NULL, run_record, run_follow, 1, false, false},
        {"evidence", prepare_evidence, NULL, run_evidence, run_evidence_other, 2, false, false},
        {"evidence while another reads", prepare_evidence, NULL, run_evidence, run_evidence_read, 2, false, false},
        {"read evidence while it is written", prepare_evidence, NULL, run_evidence_read, run_evidence_other, 2, false,
         true},
        {"read while the ring is overwritten", prepare_records, NULL, run_read, run_overwrite, 1, false, true},
    };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        scene_prove(*state, &ops[i]);
}

/* The process acts as a master: slot 3 is somebody's who died holding something of everything. */
static void prepare_dead(struct scene *s)
{
    struct gws_region dead = s->f.region;

    assert_int_equal(gws_slot_reserve(&s->f.region, GWS_ROLE_WORKER, 1, 0), SCENE_SLOT);
    assert_int_equal(gws_slot_reserve(&s->f.region, GWS_ROLE_WORKER, 1, 0), SCENE_SLOT + 1);
    gws_slot_reap(&s->f.region, SCENE_SLOT, false, 0);
    dead.slot = SCENE_SLOT + 1;
    assert_int_equal(gws_gate_take(&dead, 0, SCENE_PLACES), GWS_GATE_TAKEN);
    assert_int_equal(gws_budget_take(&dead, GWS_TALLY_RETRIES, &scene_budget), GWS_BUDGET_TAKEN);
    assert_int_equal(gws_quota_reserve(&dead, 0, &scene_quota, 5, TODAY), GWS_QUOTA_RESERVED);
    gws_waiter_set(&dead, 0);
}

static void run_reap(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_slot_reap(r, SCENE_SLOT + 1, true, SCENE_NOW);
}

static void run_slot_reserve(struct scene *s, struct gws_region *r)
{
    (void)s;
    (void)gws_slot_reserve(r, GWS_ROLE_WORKER, 1, SCENE_NOW);
}

static void run_enter(struct scene *s, struct gws_region *r)
{
    if (gws_slot_enter(r, SCENE_SLOT, s->f.path) == 0)
        (void)gws_gate_take(r, 0, SCENE_PLACES);
}

static void run_guest(struct scene *s, struct gws_region *r)
{
    if (gws_slot_guest(r, s->f.path, SCENE_NOW) == 0)
        (void)gws_gate_take(r, 0, SCENE_PLACES);
}

static void run_leave(struct scene *s, struct gws_region *r)
{
    (void)s;
    gws_slot_leave(r);
}

static void test_slots(void **state)
{
    static const struct op ops[] = {
        {"reap", prepare_dead, NULL, run_reap, NULL, 1, false, false},
        {"slot reserve", NULL, NULL, run_slot_reserve, NULL, 1, false, true},
        {"slot enter", NULL, NULL, run_enter, run_take, 1, true, true},
        {"guest", NULL, NULL, run_guest, run_take, 1, true, true},
        {"leave", NULL, hold_place, run_leave, run_take, 6, false, true},
    };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        scene_prove(*state, &ops[i]);
}

static void run_name_account(struct scene *s, struct gws_region *r)
{
    (void)s;
    (void)gws_name_account(r, "example", 1);
}

static void run_name_pair(struct scene *s, struct gws_region *r)
{
    (void)s;
    (void)gws_name_pair(r, 0, "gpt", 1);
}

static void run_name_again(struct scene *s, struct gws_region *r)
{
    (void)s;
    (void)gws_name_endpoint(r, "us-east", "https://a", 33, 2);
}

static void run_name_limit(struct scene *s, struct gws_region *r)
{
    (void)s;
    (void)gws_name_limit(r, "new", 1);
}

static void run_name_model(struct scene *s, struct gws_region *r)
{
    (void)s;
    (void)gws_name_model(r, "new", 1);
}

#define RETIRED "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define FRESH "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* The table of limits is full, and one of them is of a configuration that nobody runs. */
static void prepare_retired(struct scene *s)
{
    gws_region_generation_next(&s->f.region);
    assert_int_equal(gws_name_limit(&s->f.region, RETIRED, 0), 1);
}

/* One name or the other; half of each ends the process, which nobody expects. */
static void run_name_read(struct scene *s, struct gws_region *r)
{
    struct gws_name_info info;

    (void)s;
    if (gws_name_limit_read(r, 1, &info) && strcmp(info.name, RETIRED) != 0 && strcmp(info.name, FRESH) != 0)
        abort();
}

static void run_hand_over(struct scene *s, struct gws_region *r)
{
    (void)s;
    (void)gws_name_limit(r, FRESH, 1);
}

static void test_names(void **state)
{
    static const struct op ops[] = {
        {"name an account", NULL, NULL, run_name_account, NULL, 1, false, false},
        {"name a pair", NULL, NULL, run_name_pair, NULL, 1, false, false},
        {"find an endpoint", NULL, NULL, run_name_again, NULL, 1, false, false},
        {"name a limit", NULL, NULL, run_name_limit, NULL, 1, false, false},
        {"name a model", NULL, NULL, run_name_model, NULL, 1, false, false},
        {"read while the row changes hands", prepare_retired, NULL, run_name_read, run_hand_over, 1, false, true},
    };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        scene_prove(*state, &ops[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_places, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_quota, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_limit, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_waiters_and_records, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_slots, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(test_names, scene_setup, scene_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
