/*
 * Admission: what a try takes and gives back, and which words of the region each outcome touches: those of its own
 * endpoint, pair and account, as far as they are concerned, and no other.
 */

#include "tests/gatewayd/rig.h"

#include "gatewayd/admit.h"
#include "libshm/gate.h"
#include "libshm/order.h"
#include "libshm/stat.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum { BY = 1000 /* the uid of an operator */, RPM = 6 };

static const char text[] =
    "state: /tmp/x\n"
    "endpoints:\n"
    "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none, account: both, max_concurrent: 2, limits: {rpm: 6},\n"
    "     breaker: {failures: 3, successes: 1, half_open: 1, open: 1s, max_open: 10s},\n"
    "     cooldown: {default: 2s, max: 1m}, quota: {default: 15m, max: 6h}}\n"
    "  - {name: b, url: \"http://127.0.0.1:2/v1\", key: none, account: both}\n"
    "models: {m: {}, other: {}}\n";

struct admission {
    struct rig rig;
    struct gws_region *region;
    const struct plan_candidate *c;
    const struct plan_target *t;
};

static void begin(struct admission *a)
{
    rig_open(&a->rig, text);
    a->region = a->rig.region;
    a->c = rig_candidate(rig_model(&a->rig, "m"), "a");
    a->t = a->c->target;
}

static void end(struct admission *a)
{
    rig_close(&a->rig);
}

/* All that admission may change. */
struct words {
    uint64_t breaker[256], cooldown[256], order[256], tat[64], in_flight[64], stats[64][GWS_STATS];
};

static struct words *read_words(const struct admission *a)
{
    struct words *w = calloc(1, sizeof *w);
    struct gws_limit_rules rules;

    assert_non_null(w);
    assert_true(a->region->dims.domains <= 256 && a->region->dims.limits <= 64 && a->region->dims.endpoints <= 64);
    for (uint32_t i = 0; i < a->region->dims.domains; i++) {
        w->breaker[i] = gws_breaker_word(a->region, i);
        w->cooldown[i] = gws_cooldown_word(a->region, i);
        w->order[i] = gws_order_drained(a->region, i);
    }
    for (uint32_t i = 0; i < a->region->dims.limits; i++)
        if (gws_limit_read(a->region, i, &rules, &w->tat[i]) && w->tat[i] <= 16 * gws_clock_ns(a->region))
            w->tat[i] = 0; /* nothing owed, whenever that began */
    for (uint32_t i = 0; i < a->region->dims.endpoints; i++) {
        w->in_flight[i] = gws_gate_sum(a->region, i);
        gws_stat_read(a->region, i, w->stats[i]);
    }
    return w;
}

static void cool(struct admission *a, uint32_t row, enum gws_cooldown_reason reason, int64_t wait, uint64_t now)
{
    static const struct gws_cooldown_rules rules = {1000, 1000000};

    gws_cooldown_hit(a->region, row, &rules, gws_cooldown_gen(a->region, row), reason, wait, now);
}

static struct gws_breaker_view breaker(const struct admission *a, uint32_t row)
{
    return gws_breaker_view(gws_breaker_word(a->region, row));
}

static struct gws_cooldown_view cooldown(const struct admission *a, uint32_t row)
{
    return gws_cooldown_view(gws_cooldown_word(a->region, row));
}

static void take(struct admission *a, struct ticket *ticket)
{
    struct refused refused;

    if (admit_take(a->region, a->c, 0, ticket, &refused) != 0)
        fail_msg("refused: %d", (int)refused.why);
}

/* Refused, by a look and by a take alike; and then nothing is held and nothing has changed. */
static struct refused assert_refused(struct admission *a, enum refusal why)
{
    struct words *before = read_words(a), *after;
    struct ticket ticket = {0};
    struct refused peeked, refused;

    assert_true(admit_peek(a->region, a->c, 0, &peeked));
    assert_int_equal(admit_take(a->region, a->c, 0, &ticket, &refused), 1);
    assert_int_equal(peeked.why, why);
    assert_int_equal(refused.why, why);
    assert_int_equal(peeked.cooling, refused.cooling);
    assert_null(ticket.candidate);
    after = read_words(a);
    assert_memory_equal(before, after, sizeof *before);
    admit_release(a->region, &ticket);
    free(before);
    free(after);
    return refused;
}

static void takes_and_gives_back(void **state)
{
    struct admission a;
    struct ticket ticket = {0};
    struct refused refused;
    uint64_t stats[GWS_STATS];

    (void)state;
    begin(&a);
    struct words *before = read_words(&a);
    assert_false(admit_peek(a.region, a.c, 0, &refused));
    assert_int_equal(refused.why, REFUSAL_NONE);
    struct words *after = read_words(&a);
    assert_memory_equal(before, after, sizeof *before); /* a look takes nothing */
    free(after);

    take(&a, &ticket);
    assert_ptr_equal(ticket.candidate, a.c);
    after = read_words(&a);
    assert_memory_equal(before->breaker, after->breaker, sizeof before->breaker);
    assert_memory_equal(before->cooldown, after->cooldown, sizeof before->cooldown);
    assert_int_equal(after->in_flight[a.t->endpoint], 1);
    assert_true(after->tat[a.t->limits.rpm_row] > before->tat[a.t->limits.rpm_row]);
    assert_int_equal(after->stats[a.t->endpoint][GWS_STAT_TRIES], 1);
    after->in_flight[a.t->endpoint] = before->in_flight[a.t->endpoint];
    after->tat[a.t->limits.rpm_row] = before->tat[a.t->limits.rpm_row];
    after->stats[a.t->endpoint][GWS_STAT_TRIES] = 0;
    assert_memory_equal(before, after, sizeof *before);
    free(after);

    admit_release(a.region, &ticket);
    assert_int_equal(gws_gate_sum(a.region, a.t->endpoint), 0);
    assert_null(ticket.candidate);
    gws_stat_read(a.region, a.t->endpoint, stats);
    assert_int_equal(stats[GWS_STAT_ABORTED], 1); /* nobody said how it went */

    struct words *released = read_words(&a);
    admit_release(a.region, &ticket);
    admit_settle(a.region, &ticket, (struct verdict){CLASS_SERVER, GWS_NO_WAIT, 500}, false);
    after = read_words(&a);
    assert_memory_equal(released, after, sizeof *after);
    free(before);
    free(released);
    free(after);
    end(&a);
}

/* A ticket that was released twice must not give back what another one holds. */
static void releases_once(void **state)
{
    struct admission a;
    struct ticket one = {0}, two = {0}, copy;

    (void)state;
    begin(&a);
    take(&a, &one);
    take(&a, &two);
    admit_settle(a.region, &one, (struct verdict){CLASS_OK, GWS_NO_WAIT, 200}, false);
    admit_release(a.region, &one);
    admit_release(a.region, &one);
    copy = one;
    admit_release(a.region, &copy);
    assert_int_equal(gws_gate_sum(a.region, a.t->endpoint), 1);
    admit_release(a.region, &two);
    assert_int_equal(gws_gate_sum(a.region, a.t->endpoint), 0);
    end(&a);
}

static void refuses_drained(void **state)
{
    struct admission a;

    (void)state;
    begin(&a);
    gws_order_drain(a.region, a.t->row, 1, BY);
    assert_true(assert_refused(&a, REFUSAL_DRAINED).until == UINT64_MAX);
    gws_order_enable(a.region, a.t->row, 2, BY);
    struct refused refused;
    assert_false(admit_peek(a.region, a.c, 0, &refused));
    end(&a);
}

/* The endpoint, this model on it, or its account: the longest counts and says why. */
static void refuses_cooling(void **state)
{
    struct admission a;

    (void)state;
    begin(&a);
    uint64_t now = gws_clock_ms(a.region);
    cool(&a, a.t->row, GWS_COOL_OPERATOR, 50000, now);
    struct refused r = assert_refused(&a, REFUSAL_COOLING);
    assert_int_equal(r.until, now + 50000);
    assert_int_equal(r.cooling, GWS_COOL_OPERATOR);
    cool(&a, a.c->pair_row, GWS_COOL_RATE, 60000, now);
    r = assert_refused(&a, REFUSAL_COOLING);
    assert_int_equal(r.until, now + 60000);
    assert_int_equal(r.cooling, GWS_COOL_RATE);
    cool(&a, a.t->account->row, GWS_COOL_QUOTA, 70000, now);
    r = assert_refused(&a, REFUSAL_COOLING);
    assert_int_equal(r.until, now + 70000);
    assert_int_equal(r.cooling, GWS_COOL_QUOTA);

    /* The account stands for every endpoint that uses it; the pair for nobody else. */
    const struct plan_candidate *b = rig_candidate(rig_model(&a.rig, "m"), "b");
    const struct plan_candidate *other = rig_candidate(rig_model(&a.rig, "other"), "a");
    assert_true(admit_peek(a.region, b, 0, &r) && admit_peek(a.region, other, 0, &r));
    gws_cooldown_clear(a.region, a.t->account->row, now, BY);
    assert_false(admit_peek(a.region, b, 0, &r));
    assert_true(admit_peek(a.region, other, 0, &r));
    gws_cooldown_clear(a.region, a.t->row, now, BY);
    assert_false(admit_peek(a.region, other, 0, &r));
    rig_pass_ms(&a.rig, 60000);
    assert_false(admit_peek(a.region, a.c, 0, &r));
    end(&a);
}

static void refuses_open(void **state)
{
    struct admission a;
    struct refused r;

    (void)state;
    begin(&a);
    uint64_t now = gws_clock_ms(a.region);
    gws_breaker_force_open(a.region, a.t->row, now + 40000, now, BY);
    assert_int_equal(assert_refused(&a, REFUSAL_OPEN).until, now + 40000);
    gws_breaker_auto(a.region, a.t->row, now, BY);
    gws_breaker_force_open(a.region, a.c->pair_row, 0, now, BY);
    assert_true(assert_refused(&a, REFUSAL_OPEN).until == UINT64_MAX);
    /* With both it is the later of the two that counts. */
    gws_breaker_force_open(a.region, a.c->pair_row, now + 50000, now, BY);
    gws_breaker_force_open(a.region, a.t->row, now + 30000, now, BY);
    assert_true(admit_peek(a.region, a.c, 0, &r));
    assert_int_equal(r.until, now + 50000);
    end(&a);
}

/* Nothing that is taken before the refusal stays taken, and no trial is spent on a request that does not go out. */
static void refuses_full(void **state)
{
    struct admission a;
    struct ticket one = {0}, two = {0};

    (void)state;
    begin(&a);
    take(&a, &one);
    take(&a, &two);
    for (int i = 0; i < 3; i++)
        gws_breaker_probe_failed(a.region, a.t->row, &a.t->breaker, gws_clock_ms(a.region), 0);
    assert_int_equal(breaker(&a, a.t->row).mode, GWS_OPEN);
    rig_pass_ms(&a.rig, 2000); /* a trial would be due */
    assert_int_equal(assert_refused(&a, REFUSAL_FULL).until, 0);
    assert_int_equal(breaker(&a, a.t->row).mode, GWS_OPEN);
    admit_release(a.region, &one);
    admit_release(a.region, &two);
    end(&a);
}

static void refuses_limited(void **state)
{
    struct admission a;
    struct ticket ticket = {0};
    uint64_t stats[GWS_STATS];

    (void)state;
    begin(&a);
    for (int i = 0; i < RPM; i++) {
        take(&a, &ticket);
        admit_release(a.region, &ticket);
    }
    for (int i = 0; i < 3; i++)
        gws_breaker_probe_failed(a.region, a.c->pair_row, &a.c->breaker, gws_clock_ms(a.region), 0);
    rig_pass_ms(&a.rig, 2000);
    uint64_t before = gws_clock_ms(a.region);
    struct refused r = assert_refused(&a, REFUSAL_LIMITED);
    assert_true(r.until > before && r.until <= before + 10000); /* six a minute, less what has passed */
    assert_int_equal(breaker(&a, a.c->pair_row).mode, GWS_OPEN);
    assert_int_equal(gws_gate_sum(a.region, a.t->endpoint), 0);
    rig_pass_ms(&a.rig, r.until - gws_clock_ms(a.region)); /* the moment it named is no lie */
    take(&a, &ticket);
    assert_true(ticket.pair.trial);
    admit_release(a.region, &ticket);
    gws_stat_read(a.region, a.t->endpoint, stats);
    assert_int_equal(stats[GWS_STAT_TRIES], RPM + 1);
    end(&a);
}

/* An endpoint whose trial is out: the next request is refused, gives back its rate and place, and waits a little. */
static void refuses_a_second_trial(void **state)
{
    struct admission a;
    struct ticket trial = {0};
    struct refused r;

    (void)state;
    begin(&a);
    for (int i = 0; i < 3; i++)
        gws_breaker_probe_failed(a.region, a.t->row, &a.t->breaker, gws_clock_ms(a.region), 0);
    rig_pass_ms(&a.rig, 2000);
    take(&a, &trial);
    assert_true(trial.endpoint.trial && !trial.pair.trial);
    assert_int_equal(breaker(&a, a.t->row).mode, GWS_HALF);
    uint64_t now = gws_clock_ms(a.region);
    r = assert_refused(&a, REFUSAL_OPEN);
    assert_true(r.until > now && r.until <= gws_clock_ms(a.region) + 250);

    /* The pair's breaker refuses after the endpoint's gave a trial: the trial is there for somebody else. */
    admit_release(a.region, &trial);
    assert_int_equal(breaker(&a, a.t->row).outstanding, 0);
    gws_breaker_force_open(a.region, a.c->pair_row, 0, now, BY);
    assert_true(assert_refused(&a, REFUSAL_OPEN).until == UINT64_MAX);
    assert_int_equal(breaker(&a, a.t->row).outstanding, 0);
    const struct plan_candidate *other = rig_candidate(rig_model(&a.rig, "other"), "a");
    assert_int_equal(admit_take(a.region, other, 0, &trial, &r), 0);
    admit_settle(a.region, &trial, (struct verdict){CLASS_OK, GWS_NO_WAIT, 200}, false);
    assert_int_equal(breaker(&a, a.t->row).mode, GWS_CLOSED);
    admit_release(a.region, &trial);
    end(&a);
}

/* What becomes of a word. */
enum { SAME, CLEARED, RAISED };

static const struct {
    enum outcome_class class;
    int64_t wait;
    bool loss_known;
    int endpoint, pair;       /* breakers, with one failure in a row before */
    int cool_pair, cool_account; /* cooldowns, over, with one hit in a row before */
    enum gws_stat stat;
} effects[] = {
    {CLASS_OK, GWS_NO_WAIT, false, CLEARED, CLEARED, CLEARED, CLEARED, GWS_STAT_OK},
    {CLASS_CLIENT, GWS_NO_WAIT, false, CLEARED, SAME, SAME, SAME, GWS_STAT_REFUSED},
    {CLASS_CONTEXT, GWS_NO_WAIT, false, CLEARED, SAME, SAME, SAME, GWS_STAT_REFUSED},
    {CLASS_QUOTA, GWS_NO_WAIT, false, CLEARED, SAME, SAME, RAISED, GWS_STAT_THROTTLED},
    {CLASS_RATE, GWS_NO_WAIT, false, CLEARED, SAME, RAISED, SAME, GWS_STAT_THROTTLED},
    {CLASS_RATE, 5000, false, CLEARED, SAME, RAISED, SAME, GWS_STAT_THROTTLED},
    {CLASS_OVERLOAD, GWS_NO_WAIT, false, CLEARED, RAISED, SAME, SAME, GWS_STAT_FAILED},
    {CLASS_OVERLOAD, 5000, false, CLEARED, RAISED, RAISED, SAME, GWS_STAT_FAILED},
    {CLASS_SERVER, GWS_NO_WAIT, false, CLEARED, RAISED, SAME, SAME, GWS_STAT_FAILED},
    {CLASS_INVALID, GWS_NO_WAIT, false, CLEARED, RAISED, SAME, SAME, GWS_STAT_FAILED},
    {CLASS_SILENCE, GWS_NO_WAIT, false, SAME, RAISED, SAME, SAME, GWS_STAT_FAILED},
    {CLASS_TRANSPORT, GWS_NO_WAIT, false, RAISED, SAME, SAME, SAME, GWS_STAT_FAILED},
    {CLASS_TRANSPORT, GWS_NO_WAIT, true, SAME, SAME, SAME, SAME, GWS_STAT_FAILED},
    {CLASS_CUT, GWS_NO_WAIT, false, SAME, RAISED, SAME, SAME, GWS_STAT_FAILED},
    {CLASS_CUT, GWS_NO_WAIT, true, SAME, SAME, SAME, SAME, GWS_STAT_FAILED},
    {CLASS_STALE, GWS_NO_WAIT, false, SAME, SAME, SAME, SAME, GWS_STAT_RESENT},
    {CLASS_ABORT, GWS_NO_WAIT, false, SAME, SAME, SAME, SAME, GWS_STAT_ABORTED},
};

static void check_breaker(const struct admission *a, struct words *before, uint32_t row, int effect)
{
    static const uint8_t failures[] = {[SAME] = 1, [CLEARED] = 0, [RAISED] = 2};

    assert_int_equal(breaker(a, row).mode, GWS_CLOSED);
    assert_int_equal(breaker(a, row).failures, failures[effect]);
    before->breaker[row] = gws_breaker_word(a->region, row);
}

static void check_cooldown(const struct admission *a, struct words *before, uint32_t row, int effect)
{
    static const uint8_t streak[] = {[SAME] = 1, [CLEARED] = 0, [RAISED] = 2};

    assert_int_equal(cooldown(a, row).streak, streak[effect]);
    assert_int_equal(cooldown(a, row).until > gws_cooldown_view(before->cooldown[row]).until, effect == RAISED);
    before->cooldown[row] = gws_cooldown_word(a->region, row);
}

static void settles_each_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(effects); i++) {
        struct admission a;
        struct ticket ticket = {0};

        begin(&a);
        rig_pass_ms(&a.rig, 1000);
        uint64_t now = gws_clock_ms(a.region);
        for (uint32_t row = 0; row < a.region->dims.domains; row++) {
            gws_breaker_probe_failed(a.region, row, &a.t->breaker, now, 0);
            cool(&a, row, GWS_COOL_RATE, 0, now);
        }
        take(&a, &ticket);
        struct words *before = read_words(&a);
        admit_settle(a.region, &ticket, (struct verdict){effects[i].class, effects[i].wait, 0}, effects[i].loss_known);
        struct words *after = read_words(&a);
        check_breaker(&a, before, a.t->row, effects[i].endpoint);
        check_breaker(&a, before, a.c->pair_row, effects[i].pair);
        check_cooldown(&a, before, a.c->pair_row, effects[i].cool_pair);
        check_cooldown(&a, before, a.t->account->row, effects[i].cool_account);
        check_cooldown(&a, before, a.t->row, effects[i].class == CLASS_OK ? CLEARED : SAME);
        assert_int_equal(after->stats[a.t->endpoint][effects[i].stat], 1);
        before->stats[a.t->endpoint][effects[i].stat] = 1;
        assert_int_equal(after->stats[a.t->endpoint][GWS_STAT_LAST_OK] != 0, effects[i].class == CLASS_OK);
        before->stats[a.t->endpoint][GWS_STAT_LAST_OK] = after->stats[a.t->endpoint][GWS_STAT_LAST_OK];
        assert_memory_equal(before, after, sizeof *after); /* and nothing else */

        /* The second word on it is not heard, and the release gives back the place and no more. */
        admit_settle(a.region, &ticket, (struct verdict){CLASS_SERVER, GWS_NO_WAIT, 500}, false);
        admit_settle(a.region, &ticket, (struct verdict){CLASS_RATE, 9000, 429}, false);
        admit_release(a.region, &ticket);
        free(after);
        after = read_words(&a);
        before->in_flight[a.t->endpoint] = 0;
        assert_memory_equal(before, after, sizeof *after);
        free(before);
        free(after);
        end(&a);
    }
}

/* How long: what the upstream named, up to the most that is obeyed, or the rules' own wait. */
static void settles_waits(void **state)
{
    static const struct {
        enum outcome_class class;
        int64_t wait;
        bool account;
        enum gws_cooldown_reason reason;
        uint64_t cools;
    } cases[] = {
        {CLASS_RATE, 1200, false, GWS_COOL_RATE, 1200},
        {CLASS_RATE, GWS_NO_WAIT, false, GWS_COOL_RATE, 2000},
        {CLASS_RATE, WAIT_TWICE, false, GWS_COOL_RATE, 4000},
        {CLASS_RATE, 3600000, false, GWS_COOL_RATE, 60000},
        {CLASS_RATE, 9999999999000, false, GWS_COOL_RATE, 60000},
        {CLASS_OVERLOAD, 1200, false, GWS_COOL_OVERLOAD, 1200},
        {CLASS_QUOTA, GWS_NO_WAIT, true, GWS_COOL_QUOTA, 15 * 60000},
        {CLASS_QUOTA, 86400000, true, GWS_COOL_QUOTA, 6 * 3600000},
        {CLASS_QUOTA_HERE, GWS_NO_WAIT, false, GWS_COOL_QUOTA, 15 * 60000},
        {CLASS_QUOTA, 3600000, true, GWS_COOL_QUOTA, 3600000},
        {CLASS_AUTH, GWS_NO_WAIT, false, GWS_COOL_AUTH, 60000},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct admission a;
        struct ticket ticket = {0};

        begin(&a);
        take(&a, &ticket);
        uint64_t before = gws_clock_ms(a.region);
        admit_settle(a.region, &ticket, (struct verdict){cases[i].class, cases[i].wait, 0}, false);
        uint64_t after = gws_clock_ms(a.region);
        struct gws_cooldown_view view = cooldown(
            &a, cases[i].account ? a.t->account->row : cases[i].class == CLASS_AUTH ? a.t->row : a.c->pair_row);
        assert_int_equal(view.reason, cases[i].reason);
        assert_true(view.until >= before + cases[i].cools && view.until <= after + cases[i].cools);
        admit_release(a.region, &ticket);
        end(&a);
    }
}

/* A limit with a wait is obeyed and no more: an endpoint used to its limit is well. One without is also counted. */
static void counts_limits_without_a_wait(void **state)
{
    struct admission a;

    (void)state;
    begin(&a);
    for (unsigned i = 0; i < 4; i++) {
        struct ticket ticket = {0};
        take(&a, &ticket);
        admit_settle(a.region, &ticket, (struct verdict){CLASS_RATE, i < 2 ? 1 : GWS_NO_WAIT, 429}, false);
        admit_release(a.region, &ticket);
        assert_int_equal(gws_window_read(a.region, a.c->pair_row, gws_clock_ms(a.region)).failed, i < 2 ? 0 : i - 1);
        gws_cooldown_clear(a.region, a.c->pair_row, gws_clock_ms(a.region), 0);
    }
    assert_int_equal(breaker(&a, a.c->pair_row).failures, 0);
    end(&a);
}

/* Whoever uses the credential that was refused, and nobody else of the account. */
static void cools_a_refused_credential(void **state)
{
    static const char config[] = "endpoints:\n"
                                 "  - {name: a, url: 'http://127.0.0.1:1/v1', key: env:RIG_KEY_ONE, account: x}\n"
                                 "  - {name: b, url: 'http://127.0.0.1:2/v1', key: env:RIG_KEY_TWO, account: x}\n"
                                 "  - {name: c, url: 'http://127.0.0.1:3/v1', key: env:RIG_KEY_ONE}\n"
                                 "  - {name: d, url: 'http://127.0.0.1:4/v1', key: env:RIG_KEY_ONE}\n"
                                 "  - {name: e, url: 'http://127.0.0.1:5/v1'}\n"
                                 "  - {name: f, url: 'http://127.0.0.1:6/v1'}\n";
    struct rig rig;
    struct ticket ticket = {0};
    struct refused refused;

    (void)state;
    setenv("RIG_KEY_ONE", "sk-one-0001", 1);
    setenv("RIG_KEY_TWO", "sk-two-0002", 1);
    rig_open(&rig, config);
    const struct plan_candidate *c = rig.plan->pool->candidates;
    assert_int_equal(admit_take(rig.region, &c[2], 0, &ticket, &refused), 0);
    admit_settle(rig.region, &ticket, (struct verdict){CLASS_AUTH, GWS_NO_WAIT, 401}, false);
    admit_release(rig.region, &ticket);
    for (int i = 0; i < 6; i++) {
        bool concerned = i == 0 || i == 2 || i == 3;
        assert_int_equal(admit_peek(rig.region, &c[i], 0, &refused), concerned);
        assert_true(!concerned || refused.cooling == GWS_COOL_AUTH);
    }
    assert_int_equal(admit_take(rig.region, &c[4], 0, &ticket, &refused), 0);
    admit_settle(rig.region, &ticket, (struct verdict){CLASS_AUTH, GWS_NO_WAIT, 401}, false);
    admit_release(rig.region, &ticket);
    assert_true(admit_peek(rig.region, &c[4], 0, &refused));
    assert_false(admit_peek(rig.region, &c[5], 0, &refused)); /* to have none is not to have the same */
    rig_close(&rig);
}

/* Three failures in a row open the word they belong to; a named wait holds it open for as long. */
static void trips(void **state)
{
    struct admission a;
    struct ticket ticket = {0};
    struct refused r;

    (void)state;
    begin(&a);
    for (int i = 0; i < 3; i++) {
        take(&a, &ticket);
        admit_settle(a.region, &ticket, (struct verdict){CLASS_SERVER, GWS_NO_WAIT, 500}, false);
        admit_release(a.region, &ticket);
    }
    assert_int_equal(breaker(&a, a.c->pair_row).mode, GWS_OPEN);
    assert_int_equal(breaker(&a, a.t->row).mode, GWS_CLOSED);
    r = assert_refused(&a, REFUSAL_OPEN);
    uint64_t now = gws_clock_ms(a.region);
    assert_true(r.until > now && r.until <= now + 1200);
    /* Another model on it is not concerned; a trial that fails with a wait keeps everyone away for the wait. */
    assert_false(admit_peek(a.region, rig_candidate(rig_model(&a.rig, "other"), "a"), 0, &r));
    rig_pass_ms(&a.rig, 1300);
    take(&a, &ticket);
    assert_true(ticket.pair.trial);
    now = gws_clock_ms(a.region);
    admit_settle(a.region, &ticket, (struct verdict){CLASS_OVERLOAD, 30000, 503}, false);
    admit_release(a.region, &ticket);
    assert_int_equal(breaker(&a, a.c->pair_row).mode, GWS_OPEN);
    assert_true(breaker(&a, a.c->pair_row).t >= now + 30000);
    end(&a);
}

/* A stream that had begun well counts once, when it ends: as a success, or cut as a failure. A trial decides when it
 * begins. */
static void settles_streams_at_their_end(void **state)
{
    const struct verdict ok = {CLASS_OK, GWS_NO_WAIT, 200}, cut = {CLASS_CUT, GWS_NO_WAIT, 0};
    const struct verdict left = {CLASS_ABORT, GWS_NO_WAIT, 0};
    struct admission a;
    struct ticket ticket = {0};
    uint64_t stats[GWS_STATS];

    (void)state;
    begin(&a);
    for (unsigned i = 1; i <= 2; i++) {
        take(&a, &ticket);
        admit_answering(a.region, &ticket, ok);
        admit_answering(a.region, &ticket, ok);
        assert_int_equal(breaker(&a, a.c->pair_row).failures, i - 1);
        admit_settle(a.region, &ticket, cut, false);
        admit_settle(a.region, &ticket, cut, false);
        admit_release(a.region, &ticket);
        assert_int_equal(breaker(&a, a.c->pair_row).failures, i);
        assert_int_equal(breaker(&a, a.t->row).failures, 0);
    }
    gws_stat_read(a.region, a.t->endpoint, stats);
    assert_int_equal(stats[GWS_STAT_OK], 0);
    assert_int_equal(stats[GWS_STAT_FAILED], 2);

    take(&a, &ticket); /* the connection was lost for all its streams, and that is told */
    admit_answering(a.region, &ticket, ok);
    admit_settle(a.region, &ticket, cut, true);
    admit_release(a.region, &ticket);
    assert_int_equal(breaker(&a, a.c->pair_row).failures, 2);
    take(&a, &ticket); /* its reader went away in the middle */
    admit_answering(a.region, &ticket, ok);
    admit_settle(a.region, &ticket, left, false);
    admit_release(a.region, &ticket);
    assert_int_equal(breaker(&a, a.c->pair_row).failures, 0);
    end(&a);

    begin(&a);
    for (int i = 0; i < 3; i++) {
        take(&a, &ticket);
        admit_settle(a.region, &ticket, cut, false);
        admit_release(a.region, &ticket);
    }
    assert_int_equal(breaker(&a, a.c->pair_row).mode, GWS_OPEN);
    rig_pass_ms(&a.rig, 2000);
    take(&a, &ticket);
    assert_true(ticket.pair.trial);
    admit_answering(a.region, &ticket, ok);
    assert_int_equal(breaker(&a, a.c->pair_row).mode, GWS_CLOSED);
    admit_settle(a.region, &ticket, cut, false);
    assert_int_equal(breaker(&a, a.c->pair_row).failures, 0);
    admit_release(a.region, &ticket);
    end(&a);
}

/* What the operator did meanwhile stands: a result that began before it changes nothing. */
static void leaves_the_operators_word(void **state)
{
    struct admission a;
    struct ticket rate = {0}, server = {0};

    (void)state;
    begin(&a);
    take(&a, &rate);
    take(&a, &server);
    uint64_t now = gws_clock_ms(a.region);
    gws_cooldown_clear(a.region, a.c->pair_row, now, BY);
    gws_breaker_force_open(a.region, a.c->pair_row, 0, now, BY);
    gws_breaker_reset(a.region, a.t->row, now, BY);
    admit_settle(a.region, &rate, (struct verdict){CLASS_RATE, 5000, 429}, false);
    assert_int_equal(cooldown(&a, a.c->pair_row).until, 0);
    admit_settle(a.region, &server, (struct verdict){CLASS_OK, GWS_NO_WAIT, 200}, false);
    assert_int_equal(breaker(&a, a.c->pair_row).mode, GWS_FORCED);
    admit_release(a.region, &rate);
    admit_release(a.region, &server);
    end(&a);
}

/* The bulkhead is one for all processes, and a dead one's places come back with its slot. */
static void counts_over_processes(void **state)
{
    struct admission a;
    struct ticket one = {0}, two = {0}, three = {0};
    struct refused r;

    (void)state;
    begin(&a);
    struct gws_region x = fixture_worker(&a.rig.f), y = fixture_worker(&a.rig.f);
    assert_int_equal(admit_take(&x, a.c, 0, &one, &r), 0);
    assert_int_equal(admit_take(&y, a.c, 0, &two, &r), 0);
    assert_int_equal(admit_take(&x, a.c, 0, &three, &r), 1);
    assert_int_equal(r.why, REFUSAL_FULL);
    gws_slot_reap(a.region, y.slot, true, gws_clock_ms(a.region));
    assert_int_equal(gws_gate_sum(a.region, a.t->endpoint), 1);
    assert_int_equal(admit_take(&x, a.c, 0, &three, &r), 0);
    admit_release(&x, &one);
    admit_release(&x, &three);
    gws_region_close(&x);
    gws_region_close(&y);
    end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_and_gives_back),
        cmocka_unit_test(releases_once),
        cmocka_unit_test(refuses_drained),
        cmocka_unit_test(refuses_cooling),
        cmocka_unit_test(refuses_open),
        cmocka_unit_test(refuses_full),
        cmocka_unit_test(refuses_limited),
        cmocka_unit_test(refuses_a_second_trial),
        cmocka_unit_test(settles_each_class),
        cmocka_unit_test(settles_waits),
        cmocka_unit_test(trips),
        cmocka_unit_test(counts_limits_without_a_wait),
        cmocka_unit_test(cools_a_refused_credential),
        cmocka_unit_test(settles_streams_at_their_end),
        cmocka_unit_test(leaves_the_operators_word),
        cmocka_unit_test(counts_over_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
