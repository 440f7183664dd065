/* What waiting would bring: the soonest moment, a place, or nothing; and whose places are waited for. */

#include "tests/gatewayd/choice.h"

#include "libshm/gate.h"
#include "libshm/waiter.h"

static const char text[] =
    "state: /tmp/x\n"
    "endpoints:\n"
    "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none, max_concurrent: 1}\n"
    "  - {name: b, url: \"http://127.0.0.1:2/v1\", key: none, limits: {rpm: 6, burst: 1}}\n"
    "  - {name: c, url: \"http://127.0.0.1:3/v1\", key: none, dialects: [anthropic]}\n"
    "models: {m: {endpoints: [a, b]}, all: {}}\n";

struct scene {
    struct rig rig;
    struct gws_region *region;
    const struct plan_model *m;
    const struct plan_candidate *a, *b;
    struct choice c;
    uint64_t now;
};

static void begin(struct scene *s)
{
    rig_open(&s->rig, text);
    s->region = s->rig.region;
    rig_pass_ms(&s->rig, 1000);
    s->m = rig_model(&s->rig, "m");
    s->a = rig_candidate(s->m, "a");
    s->b = rig_candidate(s->m, "b");
    choice_fresh(&s->c);
    s->now = gws_clock_ms(s->region);
}

static void end(struct scene *s)
{
    rig_close(&s->rig);
}

static void cool(struct scene *s, uint32_t row, int64_t ms)
{
    static const struct gws_cooldown_rules rules = {1000, 100000000};
    gws_cooldown_hit(s->region, row, &rules, gws_cooldown_gen(s->region, row), GWS_COOL_RATE, ms, s->now);
}

static void assert_outlook(struct scene *s, bool again, uint64_t at, bool place)
{
    struct pick_outlook outlook = pick_outlook(s->region, s->m, &s->c.state, again);
    assert_int_equal(outlook.at, at);
    assert_int_equal(outlook.place, place);
}

static void now_when_somebody_is_free(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_outlook(&s, false, 0, false);
    cool(&s, s.a->pair_row, 5000);
    assert_outlook(&s, false, 0, false);
    s.c.marks[1].tries = 1; /* b was asked: again is now, else there is only a to wait for */
    assert_outlook(&s, true, 0, false);
    assert_outlook(&s, false, s.now + 5000, false);
    end(&s);
}

static void the_soonest_of_several(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    cool(&s, s.a->pair_row, 5000);
    cool(&s, s.b->target->account->row, 4000);
    assert_outlook(&s, false, s.now + 4000, false);
    gws_breaker_force_open(s.region, s.a->target->row, s.now + 3000, s.now, CHOICE_BY);
    assert_outlook(&s, false, s.now + 4000, false); /* a cools for longer than that */
    s.c.marks[1].barred = true;
    assert_outlook(&s, true, s.now + 5000, false);
    end(&s);
}

/* What the request itself has to wait comes on top of what the shared words say, whichever is later. */
static void never_before_its_own_moment(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.c.marks[0] = (struct pick_mark){.tries = 1, .again_at = s.now + 7000};
    s.c.marks[1] = (struct pick_mark){.tries = 2, .again_at = s.now + 9000};
    assert_outlook(&s, true, s.now + 7000, false);
    assert_outlook(&s, false, UINT64_MAX, false);
    cool(&s, s.a->pair_row, 8000);
    assert_outlook(&s, true, s.now + 8000, false);
    s.c.marks[0].tries = 3; /* as often as it may be */
    assert_outlook(&s, true, s.now + 9000, false);
    rig_pass_ms(&s.rig, 9001);
    assert_outlook(&s, true, 0, false);
    s.c.state.per_endpoint = 2;
    assert_outlook(&s, true, UINT64_MAX, false);
    end(&s);
}

/* What an operator, or nobody, will change is not waited for. */
static void some_are_not_waited_for(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    choice_out(&s.rig, "a");
    gws_breaker_force_open(s.region, s.b->target->row, 0, s.now, CHOICE_BY);
    assert_outlook(&s, true, UINT64_MAX, false);
    gws_breaker_force_open(s.region, s.b->target->row, s.now + 60000, s.now, CHOICE_BY);
    assert_outlook(&s, true, s.now + 60000, false);
    s.c.state.pinned = 0;
    assert_outlook(&s, true, UINT64_MAX, false);
    end(&s);
}

static void a_place_may_come_free(void **state)
{
    struct scene s;
    struct ticket ticket = {0};
    struct refused refused;

    (void)state;
    begin(&s);
    s.c.state.pinned = 0;
    assert_int_equal(admit_take(s.region, s.a, 0, &ticket, &refused), 0);
    assert_outlook(&s, false, UINT64_MAX, true);
    s.c.state.pinned = -1;
    cool(&s, s.b->pair_row, 3000);
    assert_outlook(&s, false, s.now + 3000, true);
    s.c.marks[0] = (struct pick_mark){.tries = 1, .again_at = s.now + 2000};
    assert_outlook(&s, true, s.now + 2000, false); /* a place now would be of no use */
    cool(&s, s.a->pair_row, 6000);
    s.c.marks[0] = (struct pick_mark){0};
    assert_outlook(&s, true, s.now + 3000, false);
    admit_release(s.region, &ticket);
    end(&s);
}

/* A limit says when, for as many tokens as the request has. */
static void limits_say_when(void **state)
{
    struct scene s;
    struct ticket ticket = {0};
    struct refused refused;

    (void)state;
    begin(&s);
    s.c.state.pinned = 1;
    assert_int_equal(admit_take(s.region, s.b, 0, &ticket, &refused), 0);
    struct pick_outlook outlook = pick_outlook(s.region, s.m, &s.c.state, false);
    assert_in_range(outlook.at, s.now + 9000, s.now + 10501);
    assert_false(outlook.place);
    admit_release(s.region, &ticket);
    end(&s);
}

static bool awaits(const struct scene *s, const char *name)
{
    const struct plan_target *t = rig_candidate(rig_model(&s->rig, "all"), name)->target;
    return gws_waiter_is_set(s->region, t->endpoint, s->region->slot);
}

static void awaits_who_is_left(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.m = rig_model(&s.rig, "all");
    s.c.state.dialect = CONF_DIALECT_OPENAI;
    s.c.marks[1].tries = 2;
    pick_await(s.region, s.m, &s.c.state, true);
    assert_true(awaits(&s, "a") && awaits(&s, "b") && !awaits(&s, "c"));
    pick_await(s.region, s.m, &s.c.state, false);
    assert_false(awaits(&s, "a") || awaits(&s, "b") || awaits(&s, "c"));
    s.c.marks[1].tries = 3;
    s.c.marks[0].barred = true;
    s.c.state.dialect = 0;
    pick_await(s.region, s.m, &s.c.state, true);
    assert_true(!awaits(&s, "a") && !awaits(&s, "b") && awaits(&s, "c"));
    s.c.marks[2].barred = true; /* whatever became of it since, its bit is cleared */
    pick_await(s.region, s.m, &s.c.state, false);
    assert_false(awaits(&s, "c"));
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(now_when_somebody_is_free),
        cmocka_unit_test(the_soonest_of_several),
        cmocka_unit_test(never_before_its_own_moment),
        cmocka_unit_test(some_are_not_waited_for),
        cmocka_unit_test(a_place_may_come_free),
        cmocka_unit_test(limits_say_when),
        cmocka_unit_test(awaits_who_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
