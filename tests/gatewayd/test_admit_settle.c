/*
 * What a settlement does beyond breakers and cooldowns after failures: the bulkhead that finds its own size, the
 * success that announces the end of a quota, the third refusal in a row; who is woken when a place comes free; and what
 * is kept of it for whoever asks later.
 */

#include "tests/gatewayd/rig.h"

#include <poll.h>

#include "gatewayd/admit.h"
#include "gatewayd/wake.h"
#include "libshm/evidence.h"
#include "libshm/gate.h"
#include "libshm/series.h"

static const char text[] =
    "state: /tmp/x\n"
    "endpoints:\n"
    "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none, max_concurrent: 10, breaker: {failures: 200}}\n"
    "  - {name: stiff, url: \"http://127.0.0.1:2/v1\", key: none, max_concurrent: 10, adaptive: false}\n"
    "  - {name: slow, url: \"http://127.0.0.1:3/v1\", key: none, limits: {rpm: 1}}\n"
    "models: {m: {}}\n";

struct scene {
    struct rig rig;
    struct gws_region *region;
    const struct plan_candidate *a, *stiff, *slow;
};

static void begin(struct scene *s)
{
    rig_open(&s->rig, text);
    s->region = s->rig.region;
    s->a = rig_candidate(rig_model(&s->rig, "m"), "a");
    s->stiff = rig_candidate(rig_model(&s->rig, "m"), "stiff");
    s->slow = rig_candidate(rig_model(&s->rig, "m"), "slow");
}

static void end(struct scene *s)
{
    rig_close(&s->rig);
}

static void take(struct scene *s, const struct plan_candidate *c, struct ticket *ticket)
{
    struct refused refused;
    if (admit_take(s->region, c, 0, ticket, &refused) != 0)
        fail_msg("refused: %d", (int)refused.why);
}

/* One try that ends so. */
static void try(struct scene *s, const struct plan_candidate *c, enum outcome_class class, int64_t wait, int status)
{
    struct ticket ticket = {0};
    take(s, c, &ticket);
    admit_settle(s->region, &ticket, (struct verdict){class, wait, status}, false);
    admit_release(s->region, &ticket);
}

static uint32_t places(const struct scene *s, const struct plan_candidate *c)
{
    static const struct gws_adapt_rules rules = {.max = 10};
    return gws_adapt_limit(s->region, c->target->row, &rules);
}

static void shrinks_on_overload(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    for (int i = 0; i < 3; i++) {
        try(&s, s.a, CLASS_RATE, 0, 429);
        try(&s, s.a, CLASS_SERVER, GWS_NO_WAIT, 500);
        try(&s, s.a, CLASS_INVALID, GWS_NO_WAIT, 200);
        try(&s, s.a, CLASS_TRANSPORT, GWS_NO_WAIT, 0);
        rig_pass_ms(&s.rig, 2000);
    }
    assert_int_equal(places(&s, s.a), 10); /* none of these is a matter of concurrency */
    try(&s, s.a, CLASS_OVERLOAD, GWS_NO_WAIT, 529);
    assert_int_equal(places(&s, s.a), 7);
    try(&s, s.a, CLASS_SILENCE, GWS_NO_WAIT, 0);
    assert_int_equal(places(&s, s.a), 7); /* once a second */
    rig_pass_ms(&s.rig, 2000);
    try(&s, s.a, CLASS_SILENCE, GWS_NO_WAIT, 0);
    assert_int_equal(places(&s, s.a), 4);
    rig_pass_ms(&s.rig, 2000);
    try(&s, s.a, CLASS_OVERLOAD, GWS_NO_WAIT, 429); /* slow_down */
    assert_int_equal(places(&s, s.a), 3);
    try(&s, s.stiff, CLASS_OVERLOAD, GWS_NO_WAIT, 529);
    assert_int_equal(places(&s, s.stiff), 10);
    end(&s);
}

static void admits_no_more_than_that(void **state)
{
    struct scene s;
    struct ticket tickets[7], more = {0};
    struct refused peeked, refused;

    (void)state;
    begin(&s);
    memset(tickets, 0, sizeof tickets);
    try(&s, s.a, CLASS_OVERLOAD, GWS_NO_WAIT, 503);
    for (int i = 0; i < 7; i++)
        take(&s, s.a, &tickets[i]);
    assert_true(admit_peek(s.region, s.a, 0, &peeked));
    assert_int_equal(admit_take(s.region, s.a, 0, &more, &refused), 1);
    assert_int_equal(peeked.why, REFUSAL_FULL);
    assert_int_equal(refused.why, REFUSAL_FULL);
    assert_int_equal(refused.until, 0);

    /* A success while it is in use makes it larger, step by step, up to what is configured. */
    for (int i = 0; i < 7; i++)
        admit_settle(s.region, &tickets[i], (struct verdict){CLASS_OK, GWS_NO_WAIT, 200}, false);
    assert_in_range(places(&s, s.a), 7, 8); /* a seventh each time, of which the last bit is rounded away */
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 7; i++)
            admit_release(s.region, &tickets[i]);
        for (int i = 0; i < 7; i++)
            take(&s, s.a, &tickets[i]);
        admit_settle(s.region, &tickets[0], (struct verdict){CLASS_OK, GWS_NO_WAIT, 200}, false);
    }
    assert_int_equal(places(&s, s.a), 10);
    for (int i = 0; i < 7; i++)
        admit_release(s.region, &tickets[i]);
    end(&s);
}

/* A success that says nothing remains until then. */
static void rests_when_nothing_remains(void **state)
{
    static const struct {
        int64_t wait;
        uint64_t cools;
    } cases[] = {{1, 1}, {5000, 5000}, {60000, 60000}, {61000, 60000}, {3600000, 60000}, {0, 0}, {GWS_NO_WAIT, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene s;
        struct refused refused;

        begin(&s);
        uint64_t before = gws_clock_ms(s.region);
        try(&s, s.a, CLASS_OK, cases[i].wait, 200);
        struct gws_cooldown_view view = gws_cooldown_view(gws_cooldown_word(s.region, s.a->pair_row));
        assert_int_equal(view.streak, 0);
        assert_int_equal(view.reason, cases[i].cools ? GWS_COOL_DEPLETED : GWS_COOL_NONE);
        if (cases[i].cools)
            assert_in_range(view.until, before + cases[i].cools, gws_clock_ms(s.region) + cases[i].cools);
        if (cases[i].cools >= 5000) {
            assert_true(admit_peek(s.region, s.a, 0, &refused));
            assert_int_equal(refused.cooling, GWS_COOL_DEPLETED);
            assert_false(refused.exhausted);
        }
        end(&s);
    }
}

static void third_refusal_in_a_row_exhausts(void **state)
{
    struct scene s;
    struct refused refused;

    (void)state;
    begin(&s);
    for (int i = 1; i <= 3; i++) {
        try(&s, s.a, CLASS_RATE, 30000, 429);
        assert_true(admit_peek(s.region, s.a, 0, &refused));
        assert_int_equal(refused.why, REFUSAL_COOLING);
        assert_int_equal(refused.exhausted, i == 3);
        rig_pass_ms(&s.rig, 31000);
    }
    try(&s, s.a, CLASS_OK, GWS_NO_WAIT, 200);
    try(&s, s.a, CLASS_RATE, 30000, 429);
    assert_true(admit_peek(s.region, s.a, 0, &refused));
    assert_false(refused.exhausted);
    end(&s);
}

static bool is_woken(const struct gws_region *worker)
{
    struct pollfd readable = {wake_descriptor(worker->slot), POLLIN, 0};
    bool woken = poll(&readable, 1, 0) == 1;
    wake_drain(worker->slot);
    return woken;
}

static void wakes_who_waits_for_a_place(void **state)
{
    struct scene s;
    struct ticket ticket = {0};

    (void)state;
    begin(&s);
    assert_int_equal(wake_setup(s.region->dims.slots), 0);
    struct gws_region x = fixture_worker(&s.rig.f), y = fixture_worker(&s.rig.f);
    take(&s, s.a, &ticket);
    gws_waiter_set(&x, s.a->target->endpoint);
    gws_waiter_set(&y, s.stiff->target->endpoint);
    admit_settle(s.region, &ticket, (struct verdict){CLASS_OK, GWS_NO_WAIT, 200}, false);
    assert_false(is_woken(&x)); /* its place is still taken */
    admit_release(s.region, &ticket);
    assert_true(is_woken(&x));
    assert_false(is_woken(&y));
    assert_false(gws_waiter_is_set(s.region, s.a->target->endpoint, x.slot));
    assert_true(gws_waiter_is_set(s.region, s.stiff->target->endpoint, y.slot));
    admit_release(s.region, &ticket);
    assert_false(is_woken(&x));
    gws_region_close(&x);
    gws_region_close(&y);
    wake_teardown();
    end(&s);
}

/* Or two who wait for something else would wake each other for ever. */
static void a_refused_take_wakes_nobody(void **state)
{
    struct scene s;
    struct ticket ticket = {0};
    struct refused refused;

    (void)state;
    begin(&s);
    assert_int_equal(wake_setup(s.region->dims.slots), 0);
    struct gws_region x = fixture_worker(&s.rig.f);
    try(&s, s.slow, CLASS_OK, GWS_NO_WAIT, 200);
    gws_waiter_set(&x, s.slow->target->endpoint);
    gws_waiter_set(s.region, s.slow->target->endpoint);
    assert_int_equal(admit_take(&x, s.slow, 0, &ticket, &refused), 1);
    assert_int_equal(refused.why, REFUSAL_LIMITED);
    assert_int_equal(admit_take(s.region, s.slow, 0, &ticket, &refused), 1);
    gws_breaker_force_open(s.region, s.slow->target->row, 0, gws_clock_ms(s.region), 0);
    assert_int_equal(admit_take(&x, s.slow, 0, &ticket, &refused), 1);
    assert_false(is_woken(&x) || is_woken(s.region));
    assert_true(gws_waiter_is_set(s.region, s.slow->target->endpoint, x.slot));
    gws_region_close(&x);
    wake_teardown();
    end(&s);
}

static void counts_each_ending(void **state)
{
    static const struct {
        enum outcome_class class;
        int status;
        enum gws_ending ending;
    } endings[] = {
        {CLASS_OK, 200, GWS_ENDING_OK},           {CLASS_CLIENT, 400, GWS_ENDING_REFUSED},
        {CLASS_CONTEXT, 400, GWS_ENDING_REFUSED}, {CLASS_AUTH, 401, GWS_ENDING_LIMITED},
        {CLASS_QUOTA, 429, GWS_ENDING_LIMITED},   {CLASS_QUOTA_HERE, 429, GWS_ENDING_LIMITED},
        {CLASS_RATE, 429, GWS_ENDING_LIMITED},    {CLASS_OVERLOAD, 429, GWS_ENDING_LIMITED},
        {CLASS_OVERLOAD, 529, GWS_ENDING_SERVER}, {CLASS_SERVER, 500, GWS_ENDING_SERVER},
        {CLASS_INVALID, 200, GWS_ENDING_INVALID}, {CLASS_SILENCE, 0, GWS_ENDING_SILENT},
        {CLASS_TRANSPORT, 0, GWS_ENDING_LOST},    {CLASS_CUT, 200, GWS_ENDING_LOST},
        {CLASS_STALE, 0, GWS_ENDING_LOST},        {CLASS_LOCAL, 0, GWS_ENDING_LEFT},
        {CLASS_ABORT, 0, GWS_ENDING_LEFT},
    };
    struct scene s;

    (void)state;
    begin(&s);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        struct ticket ticket = {.candidate = s.stiff};
        uint64_t before[GWS_ENDINGS], after[GWS_ENDINGS];
        gws_series_read(s.region, s.stiff->pair_row, before);
        admit_settle(s.region, &ticket, (struct verdict){endings[i].class, GWS_NO_WAIT, endings[i].status}, false);
        admit_settle(s.region, &ticket, (struct verdict){CLASS_OK, GWS_NO_WAIT, 200}, false); /* settled already */
        gws_series_read(s.region, s.stiff->pair_row, after);
        for (int e = 0; e < GWS_ENDINGS; e++)
            assert_int_equal(after[e] - before[e], e == (int)endings[i].ending);
    }
    end(&s);
}

/* Of a stream what counts is its end; that it answered at all is known from its first content on. */
static void counts_streams_at_their_end(void **state)
{
    struct scene s;
    struct ticket ticket = {0};
    uint64_t out[GWS_ENDINGS];

    (void)state;
    begin(&s);
    take(&s, s.a, &ticket);
    assert_int_equal(gws_series_last_answer(s.region, s.a->pair_row), 0);
    rig_pass_ms(&s.rig, 1000);
    admit_answering(s.region, &ticket, (struct verdict){CLASS_OK, GWS_NO_WAIT, 200});
    assert_true(gws_series_last_answer(s.region, s.a->pair_row) >= 1000);
    gws_series_read(s.region, s.a->pair_row, out);
    assert_int_equal(out[GWS_ENDING_OK], 0);
    admit_settle(s.region, &ticket, (struct verdict){CLASS_CUT, GWS_NO_WAIT, 200}, false);
    admit_release(s.region, &ticket);
    gws_series_read(s.region, s.a->pair_row, out);
    assert_int_equal(out[GWS_ENDING_OK], 0);
    assert_int_equal(out[GWS_ENDING_LOST], 1);
    end(&s);
}

static bool witnessed(struct scene *s, uint32_t row, struct verdict verdict, bool loss_known)
{
    struct ticket ticket = {.candidate = s->a};
    struct gws_evidence seen;
    gws_evidence_clear(s->region, row);
    admit_witness(s->region, &ticket, verdict, loss_known, STR("it said so"));
    if (!gws_evidence_read(s->region, row, &seen))
        return false;
    assert_int_equal(seen.outcomes[0], verdict.class + 1);
    assert_int_equal(seen.status, verdict.status);
    assert_string_equal(seen.text, "it said so");
    return true;
}

static void keeps_evidence_of_failures(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    uint32_t pair = s.a->pair_row, endpoint = s.a->target->row;
    assert_true(witnessed(&s, pair, (struct verdict){CLASS_SERVER, GWS_NO_WAIT, 502}, false));
    assert_true(witnessed(&s, pair, (struct verdict){CLASS_RATE, 5000, 429}, false));
    assert_true(witnessed(&s, pair, (struct verdict){CLASS_AUTH, GWS_NO_WAIT, 401}, false));
    assert_true(witnessed(&s, pair, (struct verdict){CLASS_CUT, GWS_NO_WAIT, 200}, false));
    assert_false(witnessed(&s, pair, (struct verdict){CLASS_CUT, GWS_NO_WAIT, 200}, true));
    assert_true(witnessed(&s, endpoint, (struct verdict){CLASS_TRANSPORT, GWS_NO_WAIT, 0}, false));
    assert_false(witnessed(&s, endpoint, (struct verdict){CLASS_TRANSPORT, GWS_NO_WAIT, 0}, true));
    assert_false(witnessed(&s, pair, (struct verdict){CLASS_TRANSPORT, GWS_NO_WAIT, 0}, false));
    assert_false(witnessed(&s, endpoint, (struct verdict){CLASS_SERVER, GWS_NO_WAIT, 502}, false));
    const enum outcome_class nobodys[] = {CLASS_OK,    CLASS_CLIENT, CLASS_CONTEXT,
                                          CLASS_STALE, CLASS_LOCAL,  CLASS_ABORT};
    for (size_t i = 0; i < sizeof nobodys / sizeof *nobodys; i++)
        assert_false(witnessed(&s, pair, (struct verdict){nobodys[i], GWS_NO_WAIT, 0}, false));
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shrinks_on_overload),
        cmocka_unit_test(admits_no_more_than_that),
        cmocka_unit_test(rests_when_nothing_remains),
        cmocka_unit_test(third_refusal_in_a_row_exhausts),
        cmocka_unit_test(wakes_who_waits_for_a_place),
        cmocka_unit_test(a_refused_take_wakes_nobody),
        cmocka_unit_test(counts_each_ending),
        cmocka_unit_test(counts_streams_at_their_end),
        cmocka_unit_test(keeps_evidence_of_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
