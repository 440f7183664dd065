/*
 * Choosing: exactly by weight over all processes together, and over those that are left when one is out; lowest
 * priority first; never one that was tried, or only those, when their time has come; a pinned one or none; nobody who
 * does not understand.
 */

#include "tests/gatewayd/choice.h"

#include "libshm/gate.h"
#include "libshm/ticket.h"

static const char text[] =
    "state: /tmp/x\n"
    "endpoints:\n"
    "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none, weight: 3, max_concurrent: 1}\n"
    "  - {name: b, url: \"http://127.0.0.1:2/v1\", key: none, weight: 1}\n"
    "  - {name: c, url: \"http://127.0.0.1:3/v1\", key: none, weight: 2}\n"
    "  - {name: second, url: \"http://127.0.0.1:4/v1\", key: none, priority: 2}\n"
    "  - {name: third, url: \"http://127.0.0.1:5/v1\", key: none, priority: 3}\n"
    "models:\n"
    "  two: {endpoints: [a, b]}\n"
    "  three: {endpoints: [a, b, c]}\n"
    "  even: {endpoints: [a, b, c], strategy: round_robin}\n"
    "  tiers: {endpoints: [third, second, a, b]}\n"
    "  one: {endpoints: [a]}\n";

/* Of every `round` choices in turn, by two processes in any order, each has its exact share. */
static void assert_shares(struct rig *rig, const char *model, size_t round, const char *shares)
{
    struct gws_region x = fixture_worker(&rig->f), y = fixture_worker(&rig->f);
    const struct plan_model *m = rig_model(rig, model);
    uint32_t random = 2463534242;

    for (int n = 0; n < 50; n++) {
        char got[32] = {0}, wanted[32];
        snprintf(wanted, sizeof wanted, "%s", shares);
        for (size_t i = 0; i < round; i++) {
            random ^= random << 13, random ^= random >> 17, random ^= random << 5;
            char who = choice_of(random & 1 ? &x : &y, m);
            char *place = strchr(wanted, who);
            got[i] = who;
            if (!place)
                fail_msg("%s instead of %s in round %d", got, shares, n);
            *place = '.';
        }
    }
    gws_slot_reap(rig->region, x.slot, false, 1);
    gws_slot_reap(rig->region, y.slot, false, 1);
    gws_region_close(&x);
    gws_region_close(&y);
}

static void follows_weights(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, text);
    assert_shares(&rig, "two", 4, "aaab");
    assert_shares(&rig, "three", 6, "aaabcc");
    assert_shares(&rig, "even", 3, "abc");
    assert_shares(&rig, "one", 3, "aaa");
    rig_close(&rig);
}

/* The share of one that is out is divided by the weights of the others. */
static void divides_the_share_of_one_that_is_out(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, text);
    choice_out(&rig, "a");
    assert_shares(&rig, "two", 3, "bbb");
    assert_shares(&rig, "three", 3, "bcc");
    assert_shares(&rig, "even", 2, "bc");
    choice_out(&rig, "c");
    assert_shares(&rig, "three", 3, "bbb");
    choice_out(&rig, "b");
    assert_int_equal(choice_of(rig.region, rig_model(&rig, "three")), '-');
    assert_int_equal(choice_of(rig.region, rig_model(&rig, "one")), '-');
    rig_close(&rig);
}

static void keeps_to_priorities(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *m = rig_model(&rig, "tiers");
    assert_shares(&rig, "tiers", 4, "aaab");
    choice_out(&rig, "a");
    assert_shares(&rig, "tiers", 2, "bb");
    choice_out(&rig, "b");
    assert_int_equal(choice_of(rig.region, m), 's');
    choice_out(&rig, "second");
    assert_int_equal(choice_of(rig.region, m), 't');
    choice_out(&rig, "third");
    assert_int_equal(choice_of(rig.region, m), '-');
    rig_close(&rig);
}

/* A full bulkhead is passed over while it is full, and no longer. */
static void passes_over_the_full(void **state)
{
    struct rig rig;
    struct choice busy;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *m = rig_model(&rig, "two");
    do {
        choice_fresh(&busy);
        assert_int_equal(pick_take(rig.region, m, &busy.state, PICK_UNTRIED, &busy.ticket, &busy.index), 0);
        if (busy.index != 0)
            admit_release(rig.region, &busy.ticket);
    } while (busy.index != 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(choice_of(rig.region, m), 'b');
    admit_release(rig.region, &busy.ticket);
    assert_shares(&rig, "two", 4, "aaab");
    rig_close(&rig);
}

/* A request that goes on after a failure asks each one once, whatever the tickets say. */
static void asks_each_once(void **state)
{
    struct rig rig;
    struct choice c;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *m = rig_model(&rig, "tiers");
    for (int round = 0; round < 20; round++) {
        choice_fresh(&c);
        for (uint32_t n = 0; n < m->candidate_count; n++) {
            assert_true(pick_possible(rig.region, m, &c.state));
            assert_int_equal(pick_take(rig.region, m, &c.state, PICK_UNTRIED, &c.ticket, &c.index), 0);
            assert_int_equal(c.marks[c.index].tries, 1);
            if (n >= 2)
                assert_int_equal(c.index, n); /* the second tier, then the third */
            admit_release(rig.region, &c.ticket);
        }
        assert_false(pick_possible(rig.region, m, &c.state));
        assert_int_equal(pick_take(rig.region, m, &c.state, PICK_UNTRIED, &c.ticket, &c.index), 1);
    }
    rig_close(&rig);
}

/* Of very unequal ones the schedule is cut short and may not name the lightest; it is found all the same. */
static void finds_the_lightest(void **state)
{
    struct rig rig;
    struct choice c;

    (void)state;
    rig_open(&rig, "state: /tmp/x\n"
                   "endpoints:\n"
                   "  - {name: heavy, url: \"http://127.0.0.1:1/v1\", key: none, weight: 10000}\n"
                   "  - {name: light, url: \"http://127.0.0.1:2/v1\", key: none, weight: 1}\n"
                   "models: {m: {}}\n");
    const struct plan_model *m = rig_model(&rig, "m");
    choice_fresh(&c);
    c.marks[0].tries = 1;
    assert_int_equal(pick_take(rig.region, m, &c.state, PICK_UNTRIED, &c.ticket, &c.index), 0);
    assert_int_equal(c.index, 1);
    admit_release(rig.region, &c.ticket);
    rig_close(&rig);
}

static void keeps_to_a_pin(void **state)
{
    struct rig rig;
    struct choice c;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *m = rig_model(&rig, "tiers");
    uint64_t ticket = gws_ticket_peek(rig.region, m->tiers[0].ticket_row);
    for (int pin = 0; pin < 4; pin++) {
        for (int round = 0; round < 5; round++) {
            choice_fresh(&c);
            c.state.pinned = pin;
            assert_true(pick_possible(rig.region, m, &c.state));
            assert_int_equal(pick_take(rig.region, m, &c.state, PICK_UNTRIED, &c.ticket, &c.index), 0);
            assert_int_equal(c.index, pin);
            admit_release(rig.region, &c.ticket);
        }
        c.marks[pin].tries = 1;
        assert_false(pick_possible(rig.region, m, &c.state));
        assert_int_equal(pick_take(rig.region, m, &c.state, PICK_UNTRIED, &c.ticket, &c.index), 1);
    }
    assert_int_equal(gws_ticket_peek(rig.region, m->tiers[0].ticket_row), ticket); /* it took nobody's turn */
    choice_fresh(&c);
    c.state.pinned = 0;
    choice_out(&rig, "a");
    assert_false(pick_possible(rig.region, m, &c.state));
    assert_int_equal(pick_take(rig.region, m, &c.state, PICK_UNTRIED, &c.ticket, &c.index), 1);
    rig_close(&rig);
}

/* To ask whether somebody could is not to take: no place, no ticket, no trial. */
static void possible_takes_nothing(void **state)
{
    struct rig rig;
    struct choice c;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *m = rig_model(&rig, "two");
    const struct plan_target *a = m->candidates[0].target;
    choice_fresh(&c);
    uint64_t now = gws_clock_ms(rig.region);
    for (uint32_t i = 0; i < a->breaker.failures; i++)
        gws_breaker_probe_failed(rig.region, a->row, &a->breaker, now, 0);
    choice_out(&rig, "b");
    assert_false(pick_possible(rig.region, m, &c.state));
    rig_pass_ms(&rig, 60000);
    uint64_t word = gws_breaker_word(rig.region, a->row);
    uint64_t ticket = gws_ticket_peek(rig.region, m->tiers[0].ticket_row);
    assert_true(pick_possible(rig.region, m, &c.state));
    assert_int_equal(gws_breaker_word(rig.region, a->row), word);
    assert_int_equal(gws_ticket_peek(rig.region, m->tiers[0].ticket_row), ticket);
    assert_int_equal(gws_gate_sum(rig.region, a->endpoint), 0);
    rig_close(&rig);
}

/* Again: only who was tried, who may be tried more often, and whose moment has come; in the order of any choice. */
static void asks_again(void **state)
{
    struct rig rig;
    struct choice c;

    (void)state;
    rig_open(&rig, text);
    const struct plan_model *m = rig_model(&rig, "tiers"); /* a, b | second | third */
    choice_fresh(&c);
    rig_pass_ms(&rig, 1000);
    uint64_t now = gws_clock_ms(rig.region);
    assert_int_equal(choice_take(rig.region, m, &c, PICK_AGAIN), '-');
    c.marks[2] = (struct pick_mark){.tries = 1, .again_at = now - 1};
    assert_int_equal(choice_take(rig.region, m, &c, PICK_AGAIN), 's');
    assert_int_equal(c.marks[2].tries, 2);
    admit_release(rig.region, &c.ticket);
    c.marks[1] = (struct pick_mark){.tries = 2};
    assert_int_equal(choice_take(rig.region, m, &c, PICK_AGAIN), 'b');
    admit_release(rig.region, &c.ticket);
    assert_int_equal(choice_take(rig.region, m, &c, PICK_AGAIN), 's'); /* b was tried three times */
    admit_release(rig.region, &c.ticket);
    assert_int_equal(choice_take(rig.region, m, &c, PICK_AGAIN), '-');
    c.marks[2] = (struct pick_mark){.tries = 1, .again_at = now + 60000};
    assert_int_equal(choice_take(rig.region, m, &c, PICK_AGAIN), '-');
    rig_pass_ms(&rig, 60000);
    assert_int_equal(choice_take(rig.region, m, &c, PICK_AGAIN), 's');
    admit_release(rig.region, &c.ticket);
    c.marks[2].barred = true;
    assert_int_equal(choice_take(rig.region, m, &c, PICK_AGAIN), '-');
    assert_int_equal(choice_take(rig.region, m, &c, PICK_UNTRIED), 'a');
    admit_release(rig.region, &c.ticket);
    c.marks[3].barred = true;
    assert_int_equal(choice_take(rig.region, m, &c, PICK_UNTRIED), '-');
    rig_close(&rig);
}

static void keeps_to_those_who_understand(void **state)
{
    struct rig rig;
    struct choice c;

    (void)state;
    rig_open(&rig, "state: /tmp/x\n"
                   "endpoints:\n"
                   "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none}\n"
                   "  - {name: b, url: \"http://127.0.0.1:2/v1\", key: none, dialects: [anthropic]}\n"
                   "  - {name: c, url: \"http://127.0.0.1:3/v1\", key: none, dialects: [openai, anthropic], "
                   "priority: 2}\n"
                   "models: {m: {}, only: {endpoints: [a]}}\n");
    const struct plan_model *m = rig_model(&rig, "m"), *only = rig_model(&rig, "only");
    for (int i = 0; i < 4; i++) {
        choice_fresh(&c);
        c.state.dialect = CONF_DIALECT_ANTHROPIC;
        assert_true(pick_any(m, &c.state));
        assert_int_equal(choice_take(rig.region, m, &c, PICK_UNTRIED), 'b');
        admit_release(rig.region, &c.ticket);
        assert_int_equal(choice_take(rig.region, m, &c, PICK_UNTRIED), 'c');
        admit_release(rig.region, &c.ticket);
        assert_int_equal(choice_take(rig.region, m, &c, PICK_UNTRIED), '-');
        choice_fresh(&c);
        c.state.dialect = CONF_DIALECT_OPENAI;
        assert_int_equal(choice_take(rig.region, m, &c, PICK_UNTRIED), 'a');
        admit_release(rig.region, &c.ticket);
    }
    choice_fresh(&c);
    c.state.dialect = CONF_DIALECT_ANTHROPIC;
    assert_false(pick_any(only, &c.state));
    assert_false(pick_possible(rig.region, only, &c.state));
    c.state.dialect = 0;
    assert_true(pick_any(only, &c.state));
    rig_close(&rig);
}

/* What a try costs by estimate decides who can take it. */
static void charges_tokens(void **state)
{
    struct rig rig;
    struct choice c;

    (void)state;
    rig_open(&rig, "state: /tmp/x\n"
                   "endpoints:\n"
                   "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none, limits: {tpm: 100}}\n"
                   "  - {name: b, url: \"http://127.0.0.1:2/v1\", key: none, priority: 2}\n"
                   "models: {m: {}}\n");
    const struct plan_model *m = rig_model(&rig, "m");
    static const char wanted[] = "aabbab";
    static const uint64_t tokens[] = {30, 40, 40, 90, 29, 10};
    for (size_t i = 0; i < 6; i++) {
        choice_fresh(&c);
        c.state.tokens = tokens[i];
        assert_int_equal(choice_take(rig.region, m, &c, PICK_UNTRIED), wanted[i]);
        admit_release(rig.region, &c.ticket);
    }
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_weights),
        cmocka_unit_test(divides_the_share_of_one_that_is_out),
        cmocka_unit_test(keeps_to_priorities),
        cmocka_unit_test(passes_over_the_full),
        cmocka_unit_test(asks_each_once),
        cmocka_unit_test(finds_the_lightest),
        cmocka_unit_test(keeps_to_a_pin),
        cmocka_unit_test(possible_takes_nothing),
        cmocka_unit_test(asks_again),
        cmocka_unit_test(keeps_to_those_who_understand),
        cmocka_unit_test(charges_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
