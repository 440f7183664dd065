/*
 * Who goes behind its peers and when: the degraded, those that recover, those in their maintenance hours; and that
 * nobody does for a failure now and then.
 */

#include "tests/gatewayd/choice.h"

#include "gatewayd/pick_internal.h"
#include "libshm/gate.h"

static const char text[] =
    "state: /tmp/x\n"
    "endpoints:\n"
    "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none, weight: 3, slow_start: 20s,\n"
    "     breaker: {open: 1s, max_open: 1s, half_open: 1, successes: 1}}\n"
    "  - {name: b, url: \"http://127.0.0.1:2/v1\", key: none,\n"
    "     breaker: {open: 1s, max_open: 1s, half_open: 1, successes: 1}}\n"
    "  - {name: second, url: \"http://127.0.0.1:3/v1\", key: none, priority: 2}\n"
    "models:\n"
    "  m: {}\n"
    "  busy: {strategy: least_busy}\n"
    "  quick: {strategy: latency}\n"
    "  alone: {endpoints: [a, second]}\n";

static void try(struct rig *rig, const struct plan_candidate *c, enum outcome_class class, int times)
{
    for (int i = 0; i < times; i++) {
        struct ticket ticket = {0};
        struct refused refused;
        assert_int_equal(admit_take(rig->region, c, 0, &ticket, &refused), 0);
        admit_settle(rig->region, &ticket, (struct verdict){class, GWS_NO_WAIT, 0}, false);
        admit_release(rig->region, &ticket);
    }
}

static void hashes_and_shares(void **state)
{
    static const struct {
        uint64_t since;
        unsigned percent;
    } cases[] = {{0, 5}, {500, 5}, {1000, 5}, {2000, 10}, {5000, 25}, {10000, 50}, {19000, 95}, {20000, 100}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned count = 0;
        for (uint64_t turn = 0; turn < 100000; turn++) {
            count += pick_share(turn, cases[i].since, 20000);
            if (turn % 100 == 0) /* whoever has a turn keeps it when the share grows */
                assert_true(!pick_share(turn, cases[i].since, 20000) || pick_share(turn, cases[i].since + 100, 20000));
        }
        assert_in_range(count, cases[i].percent * 1000 - 500, cases[i].percent * 1000 + 500);
    }
    assert_true(pick_share(7, 0, 1) && pick_share(8, 0, 1)); /* a millisecond is over at once */
    assert_int_not_equal(pick_hash(0), 0);
    assert_int_not_equal(pick_hash(1) - pick_hash(0), pick_hash(2) - pick_hash(1));
}

/* Two failures in a row put it behind its peer, one does not; after a while it is asked again by itself. */
static void degraded_go_behind_their_peers(void **state)
{
    static const char *const models[] = {"m", "busy", "quick"};

    (void)state;
    for (int endpoint = 0; endpoint < 2; endpoint++) { /* its own breaker, or that of the pair */
        for (size_t i = 0; i < 3; i++) {
            enum outcome_class class = endpoint ? CLASS_TRANSPORT : CLASS_SERVER;
            struct rig rig;

            rig_open(&rig, text);
            rig_pass_ms(&rig, 1000);
            const struct plan_model *m = rig_model(&rig, models[i]);
            const struct plan_candidate *a = rig_candidate(m, "a");
            try(&rig, a, class, 1);
            assert_true(choice_count(rig.region, m, 'a', 40) >= 10);
            try(&rig, a, class, 1);
            assert_int_equal(choice_count(rig.region, m, 'b', 40), 40);
            rig_pass_ms(&rig, 12000);
            assert_true(choice_count(rig.region, m, 'a', 40) >= 10);
            try(&rig, a, class, 1);
            assert_int_equal(choice_count(rig.region, m, 'b', 40), 40);
            try(&rig, a, CLASS_OK, 1);
            assert_true(choice_count(rig.region, m, 'a', 40) >= 10);
            rig_close(&rig);
        }
    }
}

/* Behind its peers, but before the next tier; and when all are, the shares are about what they were. */
static void degraded_go_before_the_next_tier(void **state)
{
    struct rig rig;
    struct choice c;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *m = rig_model(&rig, "m");
    try(&rig, rig_candidate(m, "a"), CLASS_SERVER, 2);
    choice_fresh(&c);
    assert_int_equal(choice_take(rig.region, m, &c, PICK_UNTRIED), 'b');
    admit_release(rig.region, &c.ticket);
    assert_int_equal(choice_take(rig.region, m, &c, PICK_UNTRIED), 'a');
    admit_release(rig.region, &c.ticket);
    assert_int_equal(choice_take(rig.region, m, &c, PICK_UNTRIED), 's');
    admit_release(rig.region, &c.ticket);
    try(&rig, rig_candidate(m, "b"), CLASS_SERVER, 2);
    assert_in_range(choice_count(rig.region, m, 'a', 1000), 680, 820);
    choice_out(&rig, "a");
    assert_int_equal(choice_count(rig.region, m, 'b', 10), 10);
    rig_close(&rig);
}

/* One in twenty fails, two in a row now and then: the shares stay what the weights say. */
static void random_failures_change_no_shares(void **state)
{
    struct rig rig;
    uint32_t random = 2463534242;
    unsigned of_a = 0;

    (void)state;
    rig_open(&rig, text);
    rig_pass_ms(&rig, 1000);
    const struct plan_model *m = rig_model(&rig, "m");
    try(&rig, rig_candidate(m, "a"), CLASS_OK, 60);
    for (int i = 0; i < 4000; i++) {
        struct choice c;
        choice_fresh(&c);
        assert_int_not_equal(choice_take(rig.region, m, &c, PICK_UNTRIED), '-');
        random ^= random << 13, random ^= random >> 17, random ^= random << 5;
        bool bad = c.index == 0 && random % 20 == 0;
        of_a += c.index == 0;
        admit_settle(rig.region, &c.ticket, (struct verdict){bad ? CLASS_SERVER : CLASS_OK, GWS_NO_WAIT, 0}, false);
        admit_release(rig.region, &c.ticket);
        rig_pass_ms(&rig, 20);
    }
    assert_int_equal(of_a, 3000);
    rig_close(&rig);
}

/* Open its breaker, let the trial come, close it. */
static void recover(struct rig *rig, const struct plan_candidate *c, enum outcome_class class)
{
    try(rig, c, class, 5);
    rig_pass_ms(rig, 1300);
    try(rig, c, CLASS_OK, 1);
}

/* From the moment its breaker closes its share grows; a twentieth at least, so that it is seen to be well. */
static void recovering_grow_into_their_share(void **state)
{
    static const struct {
        uint64_t after;
        unsigned least, most; /* of a thousand, of which 750 would be its due */
    } cases[] = {{0, 25, 80}, {5000, 180, 350}, {5000, 370, 650}, {9000, 680, 750}, {2000, 750, 750}};

    (void)state;
    for (int endpoint = 0; endpoint < 2; endpoint++) {
        struct rig rig;

        rig_open(&rig, text);
        const struct plan_model *m = rig_model(&rig, "m");
        const struct plan_candidate *a = rig_candidate(m, "a"), *b = rig_candidate(m, "b");
        recover(&rig, a, endpoint ? CLASS_TRANSPORT : CLASS_SERVER);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            rig_pass_ms(&rig, cases[i].after);
            assert_in_range(choice_count(rig.region, m, 'a', 1000), cases[i].least, cases[i].most);
        }
        recover(&rig, b, CLASS_SERVER); /* who has no slow start has its share at once */
        assert_int_equal(choice_count(rig.region, m, 'b', 1000), 250);
        rig_close(&rig);
    }
}

static void recovering_are_asked_when_nobody_else_is_left(void **state)
{
    struct rig rig;
    struct choice c;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *m = rig_model(&rig, "m"), *alone = rig_model(&rig, "alone");
    recover(&rig, rig_candidate(m, "a"), CLASS_SERVER);
    recover(&rig, rig_candidate(alone, "a"), CLASS_SERVER);
    assert_int_equal(choice_count(rig.region, alone, 'a', 100), 100); /* nobody in its tier to stand in */
    for (int i = 0; i < 20; i++) {
        choice_fresh(&c);
        c.marks[1].tries = 1;
        assert_int_equal(choice_take(rig.region, m, &c, PICK_UNTRIED), 'a');
        admit_release(rig.region, &c.ticket);
    }
    choice_out(&rig, "b");
    assert_int_equal(choice_count(rig.region, m, 'a', 100), 100);
    rig_close(&rig);
}

static void no_slow_start_without_a_recovery(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *m = rig_model(&rig, "m");
    const struct plan_candidate *a = rig_candidate(m, "a");
    assert_int_equal(choice_count(rig.region, m, 'a', 400), 300); /* just begun */
    recover(&rig, a, CLASS_SERVER);
    assert_true(choice_count(rig.region, m, 'a', 400) < 60);
    gws_breaker_reset(rig.region, a->pair_row, gws_clock_ms(rig.region), CHOICE_BY); /* "it is well" */
    assert_int_equal(choice_count(rig.region, m, 'a', 400), 300);
    rig_close(&rig);
}

static struct rig *open_maintained(struct rig *rig, const char *which, int64_t from, int64_t to)
{
    static char conf[600];
    int64_t minute = (int64_t)(gws_clock_real_ms() / 60000);
    unsigned a = (unsigned)((minute + from) % 1440), b = (unsigned)((minute + to) % 1440);
    char hours[2][64] = {"", ""};

    for (int i = 0; i < 2; i++)
        if (strchr(which, 'a' + i))
            snprintf(hours[i], sizeof hours[i], ", maintenance: [\"%02u:%02u-%02u:%02u UTC\"]", a / 60, a % 60, b / 60,
                     b % 60);
    snprintf(conf, sizeof conf,
             "state: /tmp/x\nendpoints:\n"
             "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none%s}\n"
             "  - {name: b, url: \"http://127.0.0.1:2/v1\", key: none%s}\n"
             "  - {name: second, url: \"http://127.0.0.1:3/v1\", key: none, priority: 2}\n"
             "models: {m: {}}\n", hours[0], hours[1]);
    rig_open(rig, conf);
    return rig;
}

/* In its hours it goes behind everyone, the later tiers too; in them alone. */
static void maintained_go_last_of_all(void **state)
{
    struct rig rig;
    struct choice c;

    (void)state;
    const struct plan_model *m = rig_model(open_maintained(&rig, "a", -30, 30), "m");
    for (int i = 0; i < 3; i++) {
        choice_fresh(&c);
        for (const char *wanted = "bsa-"; *wanted; wanted++) {
            assert_int_equal(choice_take(rig.region, m, &c, PICK_UNTRIED), *wanted);
            admit_release(rig.region, &c.ticket);
        }
    }
    choice_out(&rig, "b");
    assert_int_equal(choice_of(rig.region, m), 's');
    choice_out(&rig, "second");
    assert_int_equal(choice_of(rig.region, m), 'a');
    rig_close(&rig);

    m = rig_model(open_maintained(&rig, "ab", -30, 30), "m");
    assert_int_equal(choice_of(rig.region, m), 's');
    choice_out(&rig, "second");
    assert_int_equal(choice_count(rig.region, m, 'a', 10), 5); /* in turn, as always */
    rig_close(&rig);

    m = rig_model(open_maintained(&rig, "a", 30, 60), "m");
    assert_int_equal(choice_count(rig.region, m, 'a', 10), 5);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_and_shares),
        cmocka_unit_test(degraded_go_behind_their_peers),
        cmocka_unit_test(degraded_go_before_the_next_tier),
        cmocka_unit_test(random_failures_change_no_shares),
        cmocka_unit_test(recovering_grow_into_their_share),
        cmocka_unit_test(recovering_are_asked_when_nobody_else_is_left),
        cmocka_unit_test(no_slow_start_without_a_recovery),
        cmocka_unit_test(maintained_go_last_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
