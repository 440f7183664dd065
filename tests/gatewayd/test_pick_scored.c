/* Choosing by load and by latency: who is asked first, who next, and that equals take turns. */

#include "tests/gatewayd/choice.h"

#include "gatewayd/pick_internal.h"
#include "libshm/gate.h"
#include "libshm/latency.h"

static const char text[] =
    "state: /tmp/x\n"
    "endpoints:\n"
    "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none, weight: 2}\n"
    "  - {name: b, url: \"http://127.0.0.1:2/v1\", key: none}\n"
    "  - {name: c, url: \"http://127.0.0.1:3/v1\", key: none}\n"
    "  - {name: second, url: \"http://127.0.0.1:4/v1\", key: none, priority: 2}\n"
    "models:\n"
    "  busy: {strategy: least_busy}\n"
    "  quick: {strategy: latency}\n"
    "  pair: {strategy: latency, endpoints: [b, c]}\n";

/* So many requests stand on the endpoint. */
static void load(struct rig *rig, const struct plan_model *m, const char *name, int count)
{
    const struct plan_target *t = rig_candidate(m, name)->target;
    while (gws_gate_sum(rig->region, t->endpoint) > (uint64_t)count)
        gws_gate_give(rig->region, t->endpoint);
    while (gws_gate_sum(rig->region, t->endpoint) < (uint64_t)count)
        assert_int_equal(gws_gate_take(rig->region, t->endpoint, 1000), GWS_GATE_TAKEN);
}

static void expect(struct rig *rig, const struct plan_model *m, const char *name, uint64_t us)
{
    uint64_t now = gws_clock_ms(rig->region);
    gws_latency_feed(rig->region, rig_candidate(m, name)->pair_row, us, PLAN_LATENCY_DECAY_MS, now);
}

/* The order in which one request that fails everywhere asks. */
static void assert_order(struct rig *rig, const struct plan_model *m, const char *order)
{
    struct choice c;
    char got[16] = {0};

    choice_fresh(&c);
    for (size_t i = 0; i < strlen(order); i++) {
        got[i] = choice_take(rig->region, m, &c, PICK_UNTRIED);
        admit_release(rig->region, &c.ticket);
    }
    assert_string_equal(got, order);
}

static void least_busy_first(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *m = rig_model(&rig, "busy");
    load(&rig, m, "a", 5), load(&rig, m, "b", 2), load(&rig, m, "c", 4);
    for (int i = 0; i < 5; i++)
        assert_order(&rig, m, "bacs-"); /* 2, 2.5, 4: by what there is for each unit of weight */
    load(&rig, m, "b", 3);
    for (int i = 0; i < 5; i++)
        assert_order(&rig, m, "abcs-");
    choice_out(&rig, "a");
    assert_order(&rig, m, "bcs-");
    rig_close(&rig);
}

/* Equally busy ones take turns, over all processes and whoever else is busier. */
static void equally_busy_take_turns(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *m = rig_model(&rig, "busy");
    struct gws_region x = fixture_worker(&rig.f);
    unsigned counts[3] = {0};
    for (int i = 0; i < 300; i++)
        counts[choice_of(i % 2 ? &x : rig.region, m) - 'a']++;
    for (int i = 0; i < 3; i++)
        assert_int_equal(counts[i], 100);
    load(&rig, m, "a", 9);
    assert_int_equal(choice_count(rig.region, m, 'b', 100), 50);
    assert_int_equal(choice_count(rig.region, m, 'c', 100), 50);
    gws_region_close(&x);
    rig_close(&rig);
}

static void scores_latency_by_load_and_weight(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *m = rig_model(&rig, "quick");
    const struct plan_candidate *a = rig_candidate(m, "a"), *b = rig_candidate(m, "b");
    uint64_t now = gws_clock_ms(rig.region);
    assert_int_equal(pick_score(rig.region, a, CONF_LATENCY, now), 0);
    gws_latency_feed(rig.region, a->pair_row, 1000, PLAN_LATENCY_DECAY_MS, now);
    gws_latency_feed(rig.region, b->pair_row, 1000, PLAN_LATENCY_DECAY_MS, now);
    uint64_t one = pick_score(rig.region, b, CONF_LATENCY, now);
    assert_true(one > 0);
    assert_int_equal(pick_score(rig.region, a, CONF_LATENCY, now), one / 2);
    load(&rig, m, "a", 3), load(&rig, m, "b", 2);
    assert_int_equal(pick_score(rig.region, a, CONF_LATENCY, now), 2 * one);
    assert_int_equal(pick_score(rig.region, b, CONF_LATENCY, now), 3 * one);
    assert_int_equal(pick_score(rig.region, b, CONF_LATENCY, now + 10000), 3 * one / 2); /* it fades */
    gws_latency_feed(rig.region, b->pair_row, UINT64_MAX, PLAN_LATENCY_DECAY_MS, now);
    load(&rig, m, "b", 1000);
    assert_true(pick_score(rig.region, b, CONF_LATENCY, now) > 1000 * one);
    load(&rig, m, "a", 0), load(&rig, m, "b", 0);
    rig_close(&rig);
}

/* Two are drawn and the quicker is asked: the slowest of three never first, the quickest in two draws of three. */
static void the_quicker_of_two_first(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *m = rig_model(&rig, "quick"), *pair = rig_model(&rig, "pair");
    expect(&rig, m, "a", 400000), expect(&rig, m, "b", 100000), expect(&rig, m, "c", 900000);
    assert_int_equal(choice_count(rig.region, m, 'c', 300), 0);
    unsigned quickest = choice_count(rig.region, m, 'b', 3000);
    assert_in_range(quickest, 1900, 2100);
    expect(&rig, pair, "b", 300000), expect(&rig, pair, "c", 200000);
    assert_int_equal(choice_count(rig.region, pair, 'c', 50), 50);
    load(&rig, m, "c", 1); /* 200 ms twice over, against 300 */
    assert_int_equal(choice_count(rig.region, pair, 'b', 50), 50);
    load(&rig, m, "c", 0);
    rig_close(&rig);
}

/* The others follow by what they score, whoever was drawn first. */
static void the_others_by_latency(void **state)
{
    struct rig rig;
    struct choice c;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *m = rig_model(&rig, "quick");
    expect(&rig, m, "a", 1000000), expect(&rig, m, "b", 100000), expect(&rig, m, "c", 900000);
    for (int i = 0; i < 30; i++) {
        choice_fresh(&c);
        c.marks[1].tries = 1;
        assert_int_equal(choice_take(rig.region, m, &c, PICK_UNTRIED), 'a'); /* a second, for twice the weight */
        admit_release(rig.region, &c.ticket);
    }
    choice_out(&rig, "a");
    choice_out(&rig, "b");
    assert_int_equal(choice_count(rig.region, m, 'c', 30), 30);
    assert_order(&rig, m, "cs-");
    rig_close(&rig);
}

/* Of whom nothing is known yet is asked before whoever it is drawn with. */
static void the_unknown_first(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *pair = rig_model(&rig, "pair"), *m = rig_model(&rig, "quick");
    expect(&rig, pair, "b", 1000); /* in memory for longer than this test lasts: it fades by the ms */
    assert_int_equal(choice_count(rig.region, pair, 'c', 50), 50);
    expect(&rig, pair, "c", 300000);
    assert_int_equal(choice_count(rig.region, pair, 'b', 50), 50);
    for (char who = 'a'; who <= 'c'; who++) /* of nobody anything: everyone gets some */
        assert_in_range(choice_count(rig.region, m, who, 900), 240, 360);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(least_busy_first),
        cmocka_unit_test(equally_busy_take_turns),
        cmocka_unit_test(scores_latency_by_load_and_weight),
        cmocka_unit_test(the_quicker_of_two_first),
        cmocka_unit_test(the_others_by_latency),
        cmocka_unit_test(the_unknown_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
