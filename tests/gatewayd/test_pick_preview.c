/* The order in which endpoints would be asked is the order in which they are. */

#include "tests/gatewayd/choice.h"

#define ENDPOINT(name, more) "  - {name: " name ", url: 'http://" name "/v1', key: none" more "}\n"

static const char three[] =
    "endpoints:\n" ENDPOINT("a", ", weight: 3") ENDPOINT("b", ", weight: 2") ENDPOINT("c", "")
    ENDPOINT("late", ", priority: 2") ENDPOINT("night", ", maintenance: ['00:00-24:00 UTC']")
    ENDPOINT("other", ", dialects: [anthropic]")
    "models:\n  by_weight: {}\n  by_turn: {strategy: round_robin}\n  by_time: {strategy: latency}\n"
    "  by_load: {strategy: least_busy}\n";

static void preview(struct rig *rig, const struct plan_model *model, struct pick_place *places)
{
    struct choice c;

    choice_fresh(&c);
    c.state.dialect = CONF_DIALECT_OPENAI;
    pick_preview(rig->region, model, &c.state, places);
    assert_null(c.ticket.candidate);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(c.marks[i].tries, 0);
}

/* The letter of who is asked so manieth; '-' when nobody is. */
static char at(const struct plan_model *model, const struct pick_place *places, uint32_t order)
{
    for (uint32_t i = 0; i < model->candidate_count; i++)
        if (places[i].order == order)
            return model->candidates[i].target->conf->name[0];
    return '-';
}

static char take(struct rig *rig, const struct plan_model *model)
{
    struct choice c;

    choice_fresh(&c);
    c.state.dialect = CONF_DIALECT_OPENAI;
    char who = choice_take(rig->region, model, &c, PICK_UNTRIED);
    admit_release(rig->region, &c.ticket);
    return who;
}

static void drain(struct rig *rig, const struct plan_model *model, char who, bool on)
{
    for (uint32_t i = 0; i < model->candidate_count; i++) {
        const struct plan_target *t = model->candidates[i].target;
        if (t->conf->name[0] == who && on)
            gws_order_drain(rig->region, t->row, 1, CHOICE_BY);
        if (t->conf->name[0] == who && !on)
            gws_order_enable(rig->region, t->row, 1, CHOICE_BY);
    }
}

/* By every strategy, turn after turn: the first of a preview is taken; with it out of the way, the second. */
static void test_preview_tells_who_is_taken(void **state)
{
    static const char *const models[] = {"by_weight", "by_turn", "by_time", "by_load"};
    struct rig rig;

    (void)state;
    rig_open(&rig, three);
    for (unsigned m = 0; m < 4; m++) {
        const struct plan_model *model = rig_model(&rig, models[m]);
        for (unsigned turn = 0; turn < 24; turn++) {
            struct pick_place places[8];
            preview(&rig, model, places);
            assert_int_equal(at(model, places, 4), 'l');
            assert_int_equal(at(model, places, 5), 'n');
            assert_int_equal(at(model, places, 6), '-');
            uint32_t out = turn % 4;
            for (uint32_t order = 1; order <= out; order++)
                drain(&rig, model, at(model, places, order), true);
            assert_int_equal(take(&rig, model), at(model, places, out + 1));
            for (uint32_t order = 1; order <= out; order++)
                drain(&rig, model, at(model, places, order), false);
        }
    }
    rig_close(&rig);
}

static void fail_twice(struct rig *rig, const struct plan_candidate *c)
{
    uint64_t now = gws_clock_ms(rig->region);
    for (unsigned i = 0; i < 2; i++) {
        struct gws_permit permit;
        uint64_t retry_at;
        assert_int_equal(gws_breaker_permit(rig->region, c->pair_row, &c->breaker, now, &permit, &retry_at), GWS_GO);
        gws_breaker_report(rig->region, c->pair_row, &c->breaker, permit, GWS_FAILED, now, 0, 0);
    }
}

static void test_preview_tells_how_they_stand(void **state)
{
    static const char *const models[] = {"by_weight", "by_time"};
    struct rig rig;

    (void)state;
    rig_open(&rig, three);
    for (unsigned m = 0; m < 2; m++) {
        const struct plan_model *model = rig_model(&rig, models[m]);
        struct pick_place places[8];
        fail_twice(&rig, rig_candidate(model, "a"));
        preview(&rig, model, places);
        for (uint32_t i = 0; i < model->candidate_count; i++) {
            char who = model->candidates[i].target->conf->name[0];
            assert_int_equal(places[i].standing, who == 'a' ? PICK_DEGRADED : PICK_WELL);
            assert_int_equal(places[i].maintained, who == 'n');
        }
        assert_int_equal(at(model, places, 3), 'a');
    }
    rig_close(&rig);
}

/* Nobody who only looks can draw a turn, and it is the same one every time. */
static void test_preview_of_a_region_opened_to_look(void **state)
{
    struct rig rig;
    struct plan *plan = NULL;
    struct conf_problems problems = {0};
    struct choice c;

    (void)state;
    rig_open(&rig, three);
    struct gws_region look = fixture_view(&rig.f, GWS_LOOK);
    assert_int_equal(plan_look(&plan, rig.conf, &look, &problems), 0);
    for (unsigned turn = 0; turn < 12; turn++) {
        struct pick_place mine[8], theirs[8];
        choice_fresh(&c);
        c.state.dialect = CONF_DIALECT_OPENAI;
        preview(&rig, rig_model(&rig, "by_weight"), theirs);
        for (unsigned again = 0; again < 2; again++) {
            pick_preview(&look, &plan->models[0], &c.state, mine);
            assert_memory_equal(mine, theirs, 6 * sizeof mine[0]);
        }
        take(&rig, rig_model(&rig, "by_weight"));
    }
    plan_free(plan);
    gws_region_close(&look);
    rig_close(&rig);
}

static void test_preview_of_a_pinned_request(void **state)
{
    struct rig rig;
    struct choice c;
    struct pick_place places[8];

    (void)state;
    rig_open(&rig, three);
    const struct plan_model *model = rig_model(&rig, "by_weight");
    choice_fresh(&c);
    c.state.pinned = 2;
    pick_preview(rig.region, model, &c.state, places);
    for (uint32_t i = 0; i < model->candidate_count; i++)
        assert_int_equal(places[i].order, i == 2);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_preview_tells_who_is_taken),
        cmocka_unit_test(test_preview_tells_how_they_stand),
        cmocka_unit_test(test_preview_of_a_region_opened_to_look),
        cmocka_unit_test(test_preview_of_a_pinned_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
