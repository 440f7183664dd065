/*
 * Limits of endpoints and of accounts: taken together or not at all, in requests of the day, tokens and requests of the
 * minute; what was charged is settled with what the try cost; how long a refusal lasts.
 */

#include "tests/gatewayd/rig.h"

#include "gatewayd/admit_internal.h"
#include "libshm/gate.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Slow limits: what flows back while a test runs is a token or two. */
static const char text[] =
    "state: /tmp/x\n"
    "endpoints:\n"
    "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none, account: x, limits: {rpm: 6, tpm: 60, rpd: 40}}\n"
    "  - {name: b, url: \"http://127.0.0.1:2/v1\", key: none, account: x}\n"
    "  - {name: free, url: \"http://127.0.0.1:3/v1\", key: none}\n"
    "accounts: {x: {limits: {rpm: 10, tpm: 90, rpd: 70}}}\n"
    "models: {m: {}}\n";

enum { LIMITS = 6, DAY_MS = 86400000 };

struct scene {
    struct rig rig;
    struct gws_region *region;
    const struct plan_candidate *a, *b, *free;
    const struct plan_limits *own, *account;
};

static void begin(struct scene *s)
{
    rig_open(&s->rig, text);
    s->region = s->rig.region;
    s->a = rig_candidate(rig_model(&s->rig, "m"), "a");
    s->b = rig_candidate(rig_model(&s->rig, "m"), "b");
    s->free = rig_candidate(rig_model(&s->rig, "m"), "free");
    s->own = &s->a->target->limits;
    s->account = &s->a->target->account->limits;
}

static void end(struct scene *s)
{
    rig_close(&s->rig);
}

/* How many units the limiter would still let through. */
static uint64_t left_of(const struct scene *s, uint32_t row, const struct gws_limit_rules *rules)
{
    uint64_t units = 0, retry;
    while (gws_limit_peek(s->region, row, rules, units + 1, gws_clock_ns(s->region), &retry) == GWS_LIMIT_TAKEN &&
           units * rules->interval < rules->burst)
        units++;
    return units;
}

static uint64_t committed(const struct scene *s, uint32_t row)
{
    struct gws_quota_info info;
    assert_true(gws_quota_read(s->region, row, &info));
    assert_int_equal(info.reserved, 0); /* nothing is held between two calls */
    return info.committed;
}

/* What is left of each: day, tokens, requests, of the endpoint and of its account. */
static void assert_left(const struct scene *s, const uint64_t left[LIMITS])
{
    const uint64_t is[LIMITS] = {
        40 - committed(s, s->own->rpd_row),
        70 - committed(s, s->account->rpd_row),
        left_of(s, s->own->tpm_row, &s->own->tpm),
        left_of(s, s->account->tpm_row, &s->account->tpm),
        left_of(s, s->own->rpm_row, &s->own->rpm),
        left_of(s, s->account->rpm_row, &s->account->rpm),
    };
    for (int i = 0; i < LIMITS; i++)
        if (is[i] < left[i] || is[i] > left[i] + (i < 2 ? 0 : 2))
            fail_msg("limit %d: %d left instead of %d", i, (int)is[i], (int)left[i]);
}

/* How often one limit has turned somebody away. */
static uint64_t refusals(const struct scene *s, int limit)
{
    const struct plan_limits *l = limit % 2 ? s->account : s->own;
    return limit < 2 ? gws_quota_refusals(s->region, l->rpd_row)
                     : gws_limit_refusals(s->region, limit < 4 ? l->tpm_row : l->rpm_row);
}

/* Spend all of one limit, as others would. */
static void spend(struct scene *s, int limit)
{
    const struct plan_limits *l = limit % 2 ? s->account : s->own;
    uint64_t ns = gws_clock_ns(s->region), real = gws_clock_real_ms(), retry;
    if (limit < 2)
        gws_quota_settle(s->region, l->rpd_row, &l->rpd, 0, l->rpd.limit, real);
    else if (limit < 4)
        gws_limit_take(s->region, l->tpm_row, &l->tpm, limit % 2 ? 90 : 60, ns, &retry);
    else
        gws_limit_take(s->region, l->rpm_row, &l->rpm, limit % 2 ? 10 : 6, ns, &retry);
}

static void takes_of_each(void **state)
{
    struct scene s;
    struct ticket one = {0}, two = {0};
    struct refused refused;

    (void)state;
    begin(&s);
    assert_left(&s, (uint64_t[]){40, 70, 60, 90, 6, 10});
    assert_false(admit_peek(s.region, s.a, 20, &refused));
    assert_left(&s, (uint64_t[]){40, 70, 60, 90, 6, 10});
    assert_int_equal(admit_take(s.region, s.a, 20, &one, &refused), 0);
    assert_left(&s, (uint64_t[]){39, 69, 40, 70, 5, 9});
    assert_int_equal(admit_take(s.region, s.b, 20, &two, &refused), 0); /* only its account has limits */
    assert_left(&s, (uint64_t[]){39, 68, 40, 50, 5, 8});
    admit_release(s.region, &one);
    admit_release(s.region, &two);
    assert_int_equal(admit_take(s.region, s.free, 2000, &one, &refused), 0);
    admit_release(s.region, &one);
    assert_left(&s, (uint64_t[]){39, 68, 40, 50, 5, 8});
    end(&s);
}

/* Whichever of them refuses: nothing of the others is taken, and it is said when it may change. */
static void takes_all_or_none(void **state)
{
    static const struct {
        uint64_t soonest, latest; /* ms from now */
        bool exhausted;
    } waits[LIMITS] = {
        {0, DAY_MS, true}, {0, DAY_MS, true}, {18000, 20001, false}, {11333, 13335, false}, {8000, 10001, false},
        {4000, 6001, false},
    };

    (void)state;
    for (int limit = 0; limit < LIMITS; limit++) {
        struct scene s;
        struct ticket ticket = {0};
        struct refused peeked, refused, own = {0};
        uint64_t left[LIMITS] = {40, 70, 60, 90, 6, 10};

        begin(&s);
        spend(&s, limit);
        left[limit] = 0;
        uint64_t now = gws_clock_ms(s.region);
        assert_true(admit_peek(s.region, s.a, 20, &peeked));
        assert_int_equal(admit_take(s.region, s.a, 20, &ticket, &refused), 1);
        assert_false(admit_limits_take(s.region, s.a, 20, now, &ticket, &own)); /* as if asked when it was free */
        for (int i = 0; i < 3; i++) {
            const struct refused *r = i == 0 ? &peeked : i == 1 ? &refused : &own;
            assert_int_equal(r->why, REFUSAL_LIMITED);
            assert_int_equal(r->exhausted, waits[limit].exhausted);
            assert_in_range(r->until, now + waits[limit].soonest, now + waits[limit].latest);
        }
        for (int i = 0; i < LIMITS; i++) /* a look is none */
            assert_int_equal(refusals(&s, i), i == limit);
        assert_left(&s, left);
        assert_null(ticket.candidate);
        assert_int_equal(gws_gate_sum(s.region, s.a->target->endpoint), 0);
        end(&s);
    }
}

static void undoes_what_it_took(void **state)
{
    struct scene s;
    struct ticket ticket = {0};
    struct refused refused;

    (void)state;
    begin(&s);
    assert_true(admit_limits_take(s.region, s.a, 20, gws_clock_ms(s.region), &ticket, &refused));
    admit_limits_undo(s.region, s.a, &ticket);
    assert_left(&s, (uint64_t[]){40, 70, 60, 90, 6, 10});
    end(&s);
}

/* Of several that refuse the latest counts: before that it cannot be taken. */
static void tells_the_latest(void **state)
{
    struct scene s;
    struct refused refused;

    (void)state;
    begin(&s);
    spend(&s, 3);
    spend(&s, 4);
    uint64_t now = gws_clock_ms(s.region);
    assert_true(admit_peek(s.region, s.a, 20, &refused));
    assert_in_range(refused.until, now + 11333, now + 13335);
    rig_pass_ms(&s.rig, refused.until - now);
    assert_false(admit_peek(s.region, s.a, 20, &refused));
    spend(&s, 4);
    spend(&s, 0);
    now = gws_clock_ms(s.region);
    uint64_t day = gws_quota_left_of_day(&s.own->rpd, gws_clock_real_ms());
    assert_true(admit_peek(s.region, s.a, 20, &refused));
    assert_true(refused.exhausted || day < 10001);
    assert_in_range(refused.until + 100, now + day, now + day + 10000);
    end(&s);
}

static void settles_what_it_cost(void **state)
{
    static const struct {
        enum outcome_class class;
        int64_t costs[2]; /* told one after the other; -1: nobody knows */
        uint64_t spent;
    } cases[] = {
        {CLASS_OK, {-1, -1}, 30},      {CLASS_OK, {12, -1}, 12},        {CLASS_OK, {25, 10}, 10},
        {CLASS_OK, {0, -1}, 0},        {CLASS_OK, {45, -1}, 45},        {CLASS_SERVER, {-1, -1}, 0},
        {CLASS_RATE, {-1, -1}, 0},     {CLASS_QUOTA, {-1, -1}, 0},      {CLASS_AUTH, {-1, -1}, 0},
        {CLASS_OVERLOAD, {-1, -1}, 0}, {CLASS_SILENCE, {-1, -1}, 0},    {CLASS_TRANSPORT, {-1, -1}, 0},
        {CLASS_CLIENT, {-1, -1}, 0},   {CLASS_CONTEXT, {-1, -1}, 0},    {CLASS_LOCAL, {-1, -1}, 0},
        {CLASS_STALE, {-1, -1}, 0},    {CLASS_CUT, {-1, -1}, 30},       {CLASS_CUT, {14, -1}, 14},
        {CLASS_ABORT, {-1, -1}, 30},   {CLASS_INVALID, {-1, -1}, 30},   {CLASS_SILENCE, {9, -1}, 9},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scene s;
        struct ticket ticket = {0};
        struct refused refused;

        begin(&s);
        assert_int_equal(admit_take(s.region, s.a, 30, &ticket, &refused), 0);
        admit_settle(s.region, &ticket, (struct verdict){cases[i].class, GWS_NO_WAIT, 0}, false);
        assert_left(&s, (uint64_t[]){39, 69, 30, 60, 5, 9}); /* until it is given back */
        for (int k = 0; k < 2; k++)
            if (cases[i].costs[k] >= 0)
                admit_cost(&ticket, (uint64_t)cases[i].costs[k]);
        admit_release(s.region, &ticket);
        assert_left(&s, (uint64_t[]){39, 69, 60 - cases[i].spent, 90 - cases[i].spent, 5, 9});
        admit_release(s.region, &ticket);
        assert_left(&s, (uint64_t[]){39, 69, 60 - cases[i].spent, 90 - cases[i].spent, 5, 9});
        end(&s);
    }
}

/* A stream that was cut after it had begun has cost something; a ticket that nobody spoke of too. */
static void keeps_the_charge_of_what_had_begun(void **state)
{
    struct scene s;
    struct ticket ticket = {0};
    struct refused refused;

    (void)state;
    begin(&s);
    assert_int_equal(admit_take(s.region, s.a, 30, &ticket, &refused), 0);
    admit_answering(s.region, &ticket, (struct verdict){CLASS_OK, GWS_NO_WAIT, 200});
    admit_settle(s.region, &ticket, (struct verdict){CLASS_CUT, GWS_NO_WAIT, 0}, false);
    admit_release(s.region, &ticket);
    assert_left(&s, (uint64_t[]){39, 69, 30, 60, 5, 9});
    assert_int_equal(admit_take(s.region, s.a, 10, &ticket, &refused), 0);
    admit_release(s.region, &ticket);
    assert_left(&s, (uint64_t[]){38, 68, 20, 50, 4, 8});
    end(&s);
}

/* What costs more than a minute's tokens passes when nothing is owed, and is paid off afterwards. */
static void lets_the_large_pass_once(void **state)
{
    struct scene s;
    struct ticket ticket = {0};
    struct refused refused;

    (void)state;
    begin(&s);
    assert_int_equal(admit_take(s.region, s.a, 85, &ticket, &refused), 0);
    admit_release(s.region, &ticket);
    uint64_t now = gws_clock_ms(s.region);
    assert_true(admit_peek(s.region, s.a, 1, &refused));
    assert_in_range(refused.until, now + 24000, now + 26001); /* 85 + 1 less the burst of 60, at one a second */
    end(&s);
}

/* The day's requests are one number for all workers, and a dead one's stay counted. */
static void counts_days_over_processes(void **state)
{
    struct scene s;
    struct ticket ticket = {0};
    struct refused refused;

    (void)state;
    begin(&s);
    struct gws_region x = fixture_worker(&s.rig.f), y = fixture_worker(&s.rig.f);
    for (int i = 0; i < 39; i++)
        gws_quota_settle(&x, s.own->rpd_row, &s.own->rpd, 0, 1, gws_clock_real_ms());
    assert_int_equal(admit_take(&y, s.a, 0, &ticket, &refused), 0);
    gws_slot_reap(s.region, y.slot, true, gws_clock_ms(s.region));
    assert_int_equal(committed(&s, s.own->rpd_row), 40);
    assert_int_equal(admit_take(&x, s.a, 0, &ticket, &refused), 1);
    assert_true(refused.exhausted);
    gws_region_close(&x);
    gws_region_close(&y);
    end(&s);
}

/* Each that refuses is named, in the order in which they are asked; whoever asks for less is told of fewer. */
static void names_what_refuses(void **state)
{
    struct scene s;
    struct admit_limit found[ADMIT_LIMITS];
    struct ticket ticket;
    struct refused refused;

    (void)state;
    begin(&s);
    assert_int_equal(admit_limits_now(s.region, s.a, 10, found), 0);
    assert_int_equal(admit_take(s.region, s.a, 60, &ticket, &refused), 0);
    assert_int_equal(admit_limits_now(s.region, s.a, 0, found), 0);
    assert_int_equal(admit_limits_now(s.region, s.a, 50, found), 2);
    assert_string_equal(found[0].name, "tpm");
    assert_false(found[0].account);
    assert_true(found[1].account);
    assert_true(admit_peek(s.region, s.a, 50, &refused));
    assert_true(found[0].until > gws_clock_ms(s.region) && found[0].until <= refused.until + 1);
    assert_int_equal(admit_limits_now(s.region, s.free, 1000, found), 0);
    admit_release(s.region, &ticket);
    for (int i = 0; i < 40; i++)
        gws_quota_settle(s.region, s.own->rpd_row, &s.own->rpd, 0, 1, gws_clock_real_ms());
    assert_int_equal(admit_limits_now(s.region, s.a, 0, found), 1);
    assert_string_equal(found[0].name, "rpd");
    assert_int_equal(admit_limits_now(s.region, s.b, 0, found), 0);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_what_refuses),
        cmocka_unit_test(takes_of_each),
        cmocka_unit_test(takes_all_or_none),
        cmocka_unit_test(undoes_what_it_took),
        cmocka_unit_test(tells_the_latest),
        cmocka_unit_test(settles_what_it_cost),
        cmocka_unit_test(keeps_the_charge_of_what_had_begun),
        cmocka_unit_test(lets_the_large_pass_once),
        cmocka_unit_test(counts_days_over_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
