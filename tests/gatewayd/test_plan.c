/*
 * The plan: schedules that are smooth and exact, tiers by priority, a model's own timeouts, rows that are found again
 * by the next plan, limits of endpoints and accounts, maintenance hours, keys that cannot be read, a region that is too
 * small.
 */

#include "tests/gatewayd/rig.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void schedules(void **state)
{
    static const struct {
        uint32_t count, weights[4];
        const char *order;
    } cases[] = {
        {1, {7}, "0"},
        {2, {1, 1}, "01"},
        {2, {5, 5}, "01"},
        {2, {3, 1}, "0010"},
        {2, {6, 2}, "0010"},
        {2, {1, 3}, "1011"},
        {2, {2, 1}, "010"},
        {3, {1, 1, 1}, "012"},
        {3, {5, 1, 1}, "0010200"},
        {3, {1, 0, 1}, "02"},
        {4, {4, 3, 2, 1}, "0120130210"},
    };
    uint16_t out[64];
    char text[65];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t n = plan_schedule(cases[i].weights, cases[i].count, out, 64);
        for (uint32_t k = 0; k < n; k++)
            text[k] = (char)('0' + out[k]);
        text[n] = '\0';
        assert_string_equal(text, cases[i].order);
    }
    assert_int_equal(plan_schedule(cases[0].weights, 0, out, 64), 0);
    assert_int_equal(plan_schedule((const uint32_t[]){0, 0}, 2, out, 64), 0);
}

/* Whatever the weights: everyone gets exactly its share of a round, and is never far from it on the way. */
static void schedules_are_exact_and_smooth(void **state)
{
    enum { MOST = 8 };
    uint16_t out[PLAN_SCHEDULE_MAX];
    uint64_t random = 88172645463325252;

    (void)state;
    for (int round = 0; round < 500; round++) {
        uint32_t weights[MOST], had[MOST] = {0}, count, total = 0;
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        count = 2 + (uint32_t)(random % (MOST - 1));
        for (uint32_t i = 0; i < count; i++)
            total += weights[i] = 1 + (uint32_t)(random >> (8 * i)) % 50;
        uint32_t n = plan_schedule(weights, count, out, PLAN_SCHEDULE_MAX);
        assert_true(n > 0 && total % n == 0);
        for (uint32_t k = 0; k < n; k++) {
            assert_true(out[k] < count);
            had[out[k]]++;
            for (uint32_t i = 0; i < count; i++) {
                double due = (double)weights[i] * (k + 1) / total;
                assert_true(had[i] < due + 2 && had[i] > due - 2);
            }
        }
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal((uint64_t)had[i] * total, (uint64_t)weights[i] * n);
    }
}

static void schedules_within_their_bounds(void **state)
{
    static uint32_t weights[PLAN_CANDIDATES_MAX + 1];
    static uint16_t out[PLAN_SCHEDULE_MAX + 1];
    uint32_t light = 0;

    (void)state;
    out[PLAN_SCHEDULE_MAX] = 4711;
    for (size_t i = 0; i < COUNT(weights); i++)
        weights[i] = 10000 - (uint32_t)i;
    assert_int_equal(plan_schedule(weights, PLAN_CANDIDATES_MAX, out, PLAN_SCHEDULE_MAX), PLAN_SCHEDULE_MAX);
    assert_int_equal(plan_schedule(weights, PLAN_CANDIDATES_MAX + 1, out, PLAN_SCHEDULE_MAX), 0);
    assert_int_equal(out[PLAN_SCHEDULE_MAX], 4711);
    assert_int_equal(plan_schedule((const uint32_t[]){UINT32_MAX, UINT32_MAX - 1}, 2, out, 10), 10);
    assert_int_equal(plan_schedule((const uint32_t[]){4095, 1}, 2, out, PLAN_SCHEDULE_MAX), 4096);
    for (size_t i = 0; i < 4096; i++)
        light += out[i];
    assert_int_equal(light, 1);
}

static const char rich[] =
    "state: /tmp/x\n"
    "endpoints:\n"
    "  - {name: late, url: \"http://127.0.0.1:1/v1\", key: none, priority: 9}\n"
    "  - {name: a, url: \"http://127.0.0.1:2/v1\", key: none, weight: 3, account: both, max_concurrent: 7,\n"
    "     limits: {rpm: 60}, timeouts: {connect: 1s, first_token: 2s, response: 30s},\n"
    "     breaker: {failures: 4, successes: 2, half_open: 1, open: 100ms, max_open: 2s},\n"
    "     cooldown: {default: 3s, max: 1m}, quota: {default: 20m, max: 1h}}\n"
    "  - {name: b, url: \"http://127.0.0.1:3/v1\", key: none, weight: 1, account: both,\n"
    "     limits: {rpm: 100, burst: 5}}\n"
    "models:\n"
    "  all: {}\n"
    "  some: {endpoints: [{name: b, as: upstream-b}, a], strategy: round_robin, timeouts: {first_token: 60s}}\n";

static void binds_endpoints(void **state)
{
    struct rig rig;
    struct gws_name_info info;

    (void)state;
    rig_open(&rig, rich);
    assert_int_equal(rig.plan->target_count, 3);
    const struct plan_target *late = &rig.plan->targets[0], *a = &rig.plan->targets[1], *b = &rig.plan->targets[2];
    assert_string_equal(a->conf->name, "a");
    assert_int_equal(a->index, 1);
    assert_null(a->key);
    assert_true(gws_name_domain_read(rig.region, a->row, &info));
    assert_int_equal(info.kind, GWS_KIND_ENDPOINT);
    assert_string_equal(info.name, "a");
    assert_int_equal(info.endpoint, a->endpoint);
    assert_int_equal(info.max_concurrent, 7);
    assert_int_equal(info.config, rig.plan->generation);
    assert_int_equal(a->account->row, b->account->row);
    assert_int_not_equal(a->account->row, late->account->row);
    assert_true(gws_name_domain_read(rig.region, a->account->row, &info));
    assert_string_equal(info.name, "both");
    assert_int_not_equal(a->endpoint, b->endpoint);

    assert_int_equal(a->breaker.failures, 4);
    assert_int_equal(a->breaker.half_open, 1);
    assert_int_equal(a->breaker.successes, 2);
    assert_int_equal(a->breaker.open_ms, 100);
    assert_int_equal(a->breaker.max_open_ms, 2000);
    assert_true(a->breaker.stable_ms >= a->breaker.max_open_ms);
    assert_true(a->breaker.lease_ms >= 1000 + 30000); /* what a try may take until it decides */
    assert_int_equal(a->cooldown.default_ms, 3000);
    assert_int_equal(a->cooldown.max_ms, 60000);
    assert_int_equal(a->quota.default_ms, 20 * 60000);
    assert_int_equal(a->quota.max_ms, 3600000);
    rig_close(&rig);
}

/* N a minute, with a burst of N or as given; written down for the tools. */
static void binds_limits(void **state)
{
    struct rig rig;
    struct gws_limit_rules published;
    struct gws_name_info info;
    uint64_t word;

    (void)state;
    rig_open(&rig, rich);
    const struct plan_target *late = &rig.plan->targets[0], *a = &rig.plan->targets[1], *b = &rig.plan->targets[2];
    assert_int_equal(late->limits.rpm_row, PLAN_NO_ROW);
    assert_int_equal(a->limits.rpm.interval, UINT64_C(16000000000));
    assert_int_equal(a->limits.rpm.burst, 60 * a->limits.rpm.interval);
    assert_int_equal(b->limits.rpm.interval, UINT64_C(9600000000));
    assert_int_equal(b->limits.rpm.burst, 5 * b->limits.rpm.interval);
    assert_int_not_equal(a->limits.rpm_row, b->limits.rpm_row);
    assert_true(gws_name_limit_read(rig.region, a->limits.rpm_row, &info));
    assert_string_equal(info.name, "endpoint/a/rpm");
    assert_true(gws_limit_read(rig.region, b->limits.rpm_row, &published, &word));
    assert_int_equal(published.interval, b->limits.rpm.interval);
    assert_int_equal(published.burst, b->limits.rpm.burst);
    rig_close(&rig);
}

static void assert_limit(struct gws_region *region, uint32_t row, const struct gws_limit_rules *rules, const char *name)
{
    struct gws_limit_rules published;
    struct gws_name_info info;
    uint64_t word;

    assert_true(gws_name_limit_read(region, row, &info));
    assert_string_equal(info.name, name);
    assert_true(gws_limit_read(region, row, &published, &word));
    assert_int_equal(published.interval, rules->interval);
    assert_int_equal(published.burst, rules->burst);
}

static void assert_daily(struct gws_region *region, uint32_t row, uint64_t limit, const char *name)
{
    struct gws_name_info info;
    struct gws_quota_info quota;

    assert_true(gws_name_quota_read(region, row, &info));
    assert_string_equal(info.name, name);
    assert_true(gws_quota_read(region, row, &quota));
    assert_int_equal(quota.rules.limit, limit);
    assert_int_equal(quota.rules.zone_minutes, 0);
}

/* Requests and tokens a minute, requests a day, of an endpoint and of all endpoints of an account together. */
static void binds_every_limit(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, "state: /tmp/x\n"
                   "endpoints:\n"
                   "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none, account: x,\n"
                   "     limits: {rpm: 60, burst: 3, tpm: 6000, rpd: 11}}\n"
                   "  - {name: b, url: \"http://127.0.0.1:2/v1\", key: none, account: x}\n"
                   "  - {name: c, url: \"http://127.0.0.1:3/v1\", key: none, limits: {tpm: 600, burst: 100}}\n"
                   "  - {name: free, url: \"http://127.0.0.1:4/v1\", key: none}\n"
                   "accounts: {x: {limits: {rpm: 120, tpm: 12000, rpd: 22}}}\n");
    const struct plan_target *t = rig.plan->targets;
    const struct plan_limits *a = &t[0].limits, *b = &t[1].limits, *c = &t[2].limits, *x = &t[0].account->limits;
    assert_ptr_equal(t[0].account, t[1].account);
    assert_limit(rig.region, a->rpm_row, &a->rpm, "endpoint/a/rpm");
    assert_limit(rig.region, a->tpm_row, &a->tpm, "endpoint/a/tpm");
    assert_daily(rig.region, a->rpd_row, 11, "endpoint/a/rpd");
    assert_limit(rig.region, x->rpm_row, &x->rpm, "account/x/rpm");
    assert_limit(rig.region, x->tpm_row, &x->tpm, "account/x/tpm");
    assert_daily(rig.region, x->rpd_row, 22, "account/x/rpd");
    assert_int_equal(a->rpm.burst, 3 * a->rpm.interval);
    assert_int_equal(a->tpm.interval, UINT64_C(160000000)); /* a hundred a second, in sixteenths of a nanosecond */
    assert_int_equal(a->tpm.burst, 6000 * a->tpm.interval);
    assert_int_equal(c->tpm.burst, 100 * c->tpm.interval);
    assert_int_equal(x->rpm.burst, 120 * x->rpm.interval);
    assert_true(b->rpm_row == PLAN_NO_ROW && b->tpm_row == PLAN_NO_ROW && b->rpd_row == PLAN_NO_ROW);
    assert_true(t[0].limited && t[1].limited && t[2].limited && !t[3].limited);
    rig_close(&rig);
}

static void binds_what_bears_on_choosing(void **state)
{
    struct rig rig;
    struct gws_name_info info;

    (void)state;
    rig_open(&rig, "state: /tmp/x\n"
                   "endpoints:\n"
                   "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none, max_concurrent: 7, slow_start: 30s,\n"
                   "     dialects: [anthropic, openai]}\n"
                   "  - {name: b, url: \"http://127.0.0.1:2/v1\", key: none, adaptive: false}\n"
                   "models: {m: {}, n: {}}\n");
    const struct plan_target *a = &rig.plan->targets[0], *b = &rig.plan->targets[1];
    assert_int_equal(a->adaptive.max, 7);
    assert_int_equal(b->adaptive.max, 0);
    assert_int_equal(a->slow_start_ms, 30000);
    assert_int_equal(b->slow_start_ms, 0);
    assert_int_equal(a->dialects, CONF_DIALECT_OPENAI | CONF_DIALECT_ANTHROPIC);
    assert_int_equal(b->dialects, CONF_DIALECT_OPENAI);
    assert_true(gws_name_model_read(rig.region, rig_model(&rig, "n")->estimate_row, &info));
    assert_string_equal(info.name, "n");
    assert_true(gws_name_model_read(rig.region, rig.plan->pool->estimate_row, &info));
    assert_string_equal(info.name, "*");
    assert_int_not_equal(rig_model(&rig, "m")->estimate_row, rig_model(&rig, "n")->estimate_row);
    rig_close(&rig);
}

static bool maintained(const struct plan_target *t, unsigned hour, unsigned minute, unsigned ms)
{
    const uint64_t days = UINT64_C(20000) * 86400000;
    return plan_maintained(t, days + (hour * 60 + minute) * UINT64_C(60000) + ms);
}

/* From the first minute to before the last, on every day, and around midnight. */
static void knows_maintenance_hours(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, "state: /tmp/x\n"
                   "endpoints:\n"
                   "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none,\n"
                   "     maintenance: [\"02:00-04:30 UTC\", \"23:00-01:15 UTC\", \"22:00-22:01 UTC\"]}\n"
                   "  - {name: b, url: \"http://127.0.0.1:2/v1\", key: none, maintenance: [\"12:00-24:00 UTC\"]}\n"
                   "  - {name: c, url: \"http://127.0.0.1:3/v1\", key: none}\n");
    const struct plan_target *a = &rig.plan->targets[0], *b = &rig.plan->targets[1], *c = &rig.plan->targets[2];
    assert_false(maintained(a, 1, 59, 59999));
    assert_true(maintained(a, 2, 0, 0));
    assert_true(maintained(a, 4, 29, 59999));
    assert_false(maintained(a, 4, 30, 0));
    assert_false(maintained(a, 22, 59, 59999));
    assert_true(maintained(a, 23, 0, 0));
    assert_true(maintained(a, 23, 59, 59999));
    assert_true(maintained(a, 0, 0, 0));
    assert_true(maintained(a, 1, 14, 59999));
    assert_false(maintained(a, 1, 15, 0));
    assert_true(maintained(a, 22, 0, 30000) && !maintained(a, 22, 1, 0));
    assert_true(maintained(b, 12, 0, 0) && maintained(b, 23, 59, 59999));
    assert_false(maintained(b, 11, 59, 59999) || maintained(b, 0, 0, 0));
    assert_false(maintained(c, 12, 0, 0));
    rig_close(&rig);
}

static void lays_out_tiers(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, rich);
    assert_int_equal(rig.plan->model_count, 2);
    const struct plan_model *all = rig_model(&rig, "all"), *some = rig_model(&rig, "some"), *pool = rig.plan->pool;
    assert_ptr_equal(pool, &rig.plan->models[2]);
    assert_true(str_eq(pool->name, STR("*")));
    assert_null(pool->conf);
    for (int i = 0; i < 2; i++) { /* everyone, by priority and not by place */
        const struct plan_model *m = i ? pool : all;
        assert_int_equal(m->candidate_count, 3);
        assert_string_equal(m->candidates[0].target->conf->name, "a");
        assert_string_equal(m->candidates[1].target->conf->name, "b");
        assert_string_equal(m->candidates[2].target->conf->name, "late");
        assert_int_equal(m->tier_count, 2);
        assert_int_equal(m->tiers[0].first, 0);
        assert_int_equal(m->tiers[0].count, 2);
        assert_int_equal(m->tiers[0].schedule_len, 4);
        assert_memory_equal(m->tiers[0].schedule, ((const uint16_t[]){0, 0, 1, 0}), 4 * sizeof(uint16_t));
        assert_int_equal(m->tiers[1].first, 2);
        assert_int_equal(m->tiers[1].count, 1);
        assert_int_equal(m->tiers[1].schedule_len, 1);
        assert_null(m->candidates[0].as.at);
    }
    assert_int_equal(some->candidate_count, 2);
    assert_int_equal(some->tier_count, 1);
    assert_int_equal(some->tiers[0].schedule_len, 2); /* round robin: whatever the weights */
    assert_true(str_eq(rig_candidate(some, "b")->as, STR("upstream-b")));
    assert_null(rig_candidate(some, "a")->as.at);

    /* A ticket of each tier of each model, and a breaker of each pair: no two share a row. */
    uint32_t rows[16];
    size_t count = 0;
    for (uint32_t i = 0; i < 3; i++) {
        rows[count++] = rig.plan->targets[i].row;
        for (uint32_t c = 0; c < rig.plan->models[i].candidate_count; c++)
            rows[count++] = rig.plan->models[i].candidates[c].pair_row;
    }
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(rows[i], rows[k]);
    assert_int_not_equal(all->tiers[0].ticket_row, pool->tiers[0].ticket_row);
    assert_int_not_equal(all->tiers[0].ticket_row, all->tiers[1].ticket_row);
    rig_close(&rig);
}

/* What a model says of its timeouts goes before what its endpoints say; a trial's lease follows it. */
static void overrides_timeouts(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, rich);
    const struct plan_candidate *plain = rig_candidate(rig_model(&rig, "all"), "a");
    const struct plan_candidate *slow = rig_candidate(rig_model(&rig, "some"), "a");
    assert_int_equal(plain->timeouts.first_token, 2000);
    assert_int_equal(slow->timeouts.first_token, 60000);
    assert_int_equal(slow->timeouts.connect, 1000);
    assert_int_equal(slow->timeouts.response, 30000);
    assert_int_equal(slow->timeouts.idle, 30000);
    assert_int_equal(slow->timeouts.total, 600000);
    assert_true(plain->breaker.lease_ms >= 31000 && plain->breaker.lease_ms < 61000);
    assert_true(slow->breaker.lease_ms >= 61000);
    assert_int_equal(slow->target->breaker.lease_ms, plain->breaker.lease_ms);
    rig_close(&rig);
}

/* The next configuration finds what keeps its identity: name and url of an endpoint, the model's name of a pair. */
static void finds_rows_again(void **state)
{
    static const char next_text[] =
        "state: /tmp/x\n"
        "endpoints:\n"
        "  - {name: b, url: \"http://127.0.0.1:3/v1\", key: none, account: both, limits: {rpm: 50}}\n"
        "  - {name: new, url: \"http://127.0.0.1:9/v1\", key: none}\n"
        "  - {name: a, url: \"http://127.0.0.1:77/v1\", key: none, account: both}\n"
        "models: {some: {endpoints: [a, b]}}\n";
    struct rig rig;

    (void)state;
    rig_open(&rig, rich);
    const struct plan_target *a = &rig.plan->targets[1], *b = &rig.plan->targets[2];
    struct conf *conf = rig_conf(next_text);
    struct plan *next = rig_plan(rig.region, conf, 2);
    const struct plan_target *b2 = &next->targets[0], *a2 = &next->targets[2];
    assert_int_equal(b2->row, b->row);
    assert_int_equal(b2->endpoint, b->endpoint);
    assert_int_equal(b2->limits.rpm_row, b->limits.rpm_row);
    assert_int_equal(b2->account->row, b->account->row);
    assert_int_not_equal(a2->row, a->row); /* another url is another endpoint */
    assert_int_not_equal(a2->endpoint, a->endpoint);
    assert_int_equal(rig_candidate(&next->models[0], "b")->pair_row,
                     rig_candidate(rig_model(&rig, "some"), "b")->pair_row);
    assert_int_equal(rig_candidate(next->pool, "b")->pair_row, rig_candidate(rig.plan->pool, "b")->pair_row);
    assert_int_not_equal(rig_candidate(&next->models[0], "a")->pair_row,
                         rig_candidate(rig_model(&rig, "some"), "a")->pair_row);
    plan_free(next);
    conf_free(conf);

    /* The same file once more: every row as before. */
    next = rig_plan(rig.region, rig.conf, 3);
    for (uint32_t m = 0; m <= next->model_count; m++)
        for (uint32_t i = 0; i < next->models[m].candidate_count; i++)
            assert_int_equal(next->models[m].candidates[i].pair_row, rig.plan->models[m].candidates[i].pair_row);
    plan_free(next);
    rig_close(&rig);
}

/* A debt keeps its number of requests when a reload changes the rate. */
static void rescales_debts(void **state)
{
    struct rig rig;
    struct gws_limit_rules rules;
    uint64_t before, after, retry;

    (void)state;
    rig_open(&rig, "state: /tmp/x\n"
                   "endpoints: [{name: a, url: \"http://127.0.0.1:1/v1\", key: none, limits: {rpm: 60}}]\n");
    const struct plan_target *a = &rig.plan->targets[0];
    uint64_t now = gws_clock_ns(rig.region);
    assert_int_equal(gws_limit_take(rig.region, a->limits.rpm_row, &a->limits.rpm, 30, now, &retry), GWS_LIMIT_TAKEN);
    assert_true(gws_limit_read(rig.region, a->limits.rpm_row, &rules, &before));
    struct conf *conf = rig_conf("state: /tmp/x\n"
                                 "endpoints: [{name: a, url: \"http://127.0.0.1:1/v1\", key: none, "
                                 "limits: {rpm: 6}}]\n");
    struct plan *next = rig_plan(rig.region, conf, 2);
    assert_true(gws_limit_read(rig.region, next->targets[0].limits.rpm_row, &rules, &after));
    assert_int_equal(rules.interval, UINT64_C(160000000000));
    /* Thirty at one a second became thirty at one in ten, but for what has decayed meanwhile. */
    assert_true(after > now * 16 + 29 * rules.interval && after <= now * 16 + 30 * rules.interval);
    plan_free(next);
    conf_free(conf);
    rig_close(&rig);
}

static void assert_refused(struct gws_region *region, const char *text, const char *what)
{
    struct conf_problems problems = {0};
    struct plan *plan = NULL;
    struct conf *conf = rig_conf(text);

    assert_int_equal(plan_new(&plan, conf, region, 2, &problems), 1);
    assert_null(plan);
    assert_true(problems.count > 0);
    if (!strstr(problems.list[0].message, what))
        fail_msg("%s", problems.list[0].message);
    conf_problems_fini(&problems);
    conf_free(conf);
}

static void refuses_what_it_cannot_bind(void **state)
{
    struct fixture f;
    struct gws_dims dims = {.slots = 8, .guests = 1, .domains = 4, .endpoints = 2, .limits = 1, .events = 16,
                            .quotas = 1};

    (void)state;
    assert_int_equal(secret_setup(), 0);
    fixture_create(&f, &dims);
    fixture_enter(&f, &f.region, GWS_ROLE_MASTER, 1);
    assert_refused(&f.region,
                   "state: /tmp/x\n"
                   "endpoints: [{name: a, url: \"http://h/v1\", key: env:NOT_SET_ANYWHERE}]\n", "NOT_SET_ANYWHERE");
    assert_refused(&f.region,
                   "state: /tmp/x\n"
                   "endpoints: [{name: x1, url: \"http://h/1\", key: none},\n"
                   "            {name: x2, url: \"http://h/2\", key: none},\n"
                   "            {name: x3, url: \"http://h/3\", key: none}]\n", "no room");
    fixture_close(&f);

    fixture_create(&f, &dims);
    fixture_enter(&f, &f.region, GWS_ROLE_MASTER, 1);
    assert_refused(&f.region,
                   "state: /tmp/x\n"
                   "endpoints: [{name: x1, url: \"http://h/1\", key: none, limits: {rpm: 1}},\n"
                   "            {name: x2, url: \"http://h/2\", key: none, limits: {rpm: 1}, account: x1}]\n",
                   "rate limit of endpoint 'x2'");
    assert_refused(&f.region,
                   "state: /tmp/x\n"
                   "endpoints: [{name: x1, url: \"http://h/1\", key: none, limits: {rpm: 1}}]\n"
                   "accounts: {x1: {limits: {tpm: 1}}}\n", "token limit of account 'x1'");
    assert_refused(&f.region,
                   "state: /tmp/x\n"
                   "endpoints: [{name: x1, url: \"http://h/1\", key: none, limits: {rpd: 1}}]\n"
                   "accounts: {x1: {limits: {rpd: 1}}}\n", "daily limit of endpoint 'x1'");
    assert_refused(&f.region,
                   "state: /tmp/x\n"
                   "endpoints: [{name: x1, url: \"http://h/1\", key: none, account: an-account-whose-name-is-of-more-"
                   "characters-than-there-is-room-for-when-what-it-is-limited-to-stands-behind-it-as-well-as-bef}]\n"
                   "accounts: {an-account-whose-name-is-of-more-characters-than-there-is-room-for-when-what-it-is-"
                   "limited-to-stands-behind-it-as-well-as-bef: {limits: {rpm: 1}}}\n", "with a name of that length");
    assert_refused(&f.region,
                   "state: /tmp/x\nendpoints: [{name: x1, url: \"http://h/1\", key: none}]\n"
                   "models: {m1: {}, m2: {}, m3: {}}\n", "no room for model");
    fixture_close(&f);
}

static void checks_keys(void **state)
{
    struct conf_problems problems = {0};
    struct conf *conf = rig_conf("state: /tmp/x\n"
                                 "endpoints: [{name: a, url: \"http://h/1\", key: env:NOT_SET_ANYWHERE},\n"
                                 "            {name: b, url: \"http://h/2\", key: file:/nowhere/at/all}]\n");

    (void)state;
    assert_int_equal(secret_setup(), 0);
    assert_int_equal(plan_check_keys(conf, &problems), 1);
    assert_int_equal(problems.count, 2); /* both, in one go */
    conf_problems_fini(&problems);
    conf_free(conf);
    conf = rig_conf("state: /tmp/x\nendpoints: [{name: a, url: \"http://h/1\", key: passthrough}]\n");
    assert_int_equal(plan_check_keys(conf, &problems), 0);
    conf_problems_fini(&problems);
    conf_free(conf);
}

/* Room for what is configured, and for as much again beside it during a reload. */
static void sizes_regions(void **state)
{
    struct conf *conf = rig_conf(rich);
    struct gws_dims dims = plan_dims(conf);

    (void)state;
    assert_true(gws_region_size(&dims) > 0);
    assert_true(dims.domains >= 2 * (3 + 2 + 3 + 2 + 3)); /* endpoints, accounts, pairs of both models and the pool */
    assert_true(dims.endpoints >= 2 * 3);
    assert_true(dims.limits >= 2 * 2 * (3 + 2)); /* requests and tokens, of endpoints and accounts */
    assert_true(dims.quotas >= 2 * (3 + 2));
    assert_true(dims.models >= 2 * 3);
    assert_true(dims.slots >= 2 * conf->workers + dims.guests + 2);
    conf->workers = 100000;
    dims = plan_dims(conf);
    assert_true(dims.slots == GWS_SLOTS_MAX && gws_region_size(&dims) > 0);
    conf_free(conf);
    plan_free(NULL);
}

/* Who looks finds the rows there are, fetches no key, and is refused by those that are not there. */
static void looks(void **state)
{
    static const char before[] =
        "endpoints: [{name: a, url: 'http://a/v1', key: none, limits: {rpm: 5}}]\nmodels: {m: {}}\n";
    static const char after[] =
        "endpoints:\n  - {name: a, url: 'http://a/v1', key: 'file:/nonexistent', limits: {rpm: 5, tpm: 7}}\n"
        "  - {name: new, url: 'http://new/v1', key: none}\nmodels: {m: {}, n: {}}\n";
    struct rig rig;
    struct plan *plan = NULL;
    struct conf_problems problems = {0};

    (void)state;
    rig_open(&rig, before);
    struct gws_region region = fixture_view(&rig.f, GWS_LOOK);
    struct conf *conf = rig_conf(after);
    assert_int_equal(plan_look(&plan, conf, &region, &problems), 0);
    const struct plan_target *was = &rig.plan->targets[0], *a = &plan->targets[0], *fresh = &plan->targets[1];
    assert_int_equal(plan->generation, gws_region_generation(rig.region));
    assert_int_equal(a->row, was->row);
    assert_int_equal(a->endpoint, was->endpoint);
    assert_int_equal(a->account->row, was->account->row);
    assert_int_equal(a->limits.rpm_row, was->limits.rpm_row);
    assert_int_equal(a->limits.tpm_row, PLAN_NO_ROW);
    assert_null(a->key);
    assert_int_equal(fresh->row, PLAN_NO_ROW);
    assert_int_equal(fresh->endpoint, PLAN_NO_ROW);
    assert_int_equal(plan->models[0].candidates[0].pair_row, rig.plan->models[0].candidates[0].pair_row);
    assert_int_equal(plan->models[0].candidates[1].pair_row, PLAN_NO_ROW);
    assert_int_equal(plan->models[1].candidates[0].pair_row, PLAN_NO_ROW);
    assert_int_equal(plan->models[1].estimate_row, PLAN_NO_ROW);
    plan_free(plan);
    conf_free(conf);
    gws_region_close(&region);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks),
        cmocka_unit_test(schedules),
        cmocka_unit_test(schedules_are_exact_and_smooth),
        cmocka_unit_test(schedules_within_their_bounds),
        cmocka_unit_test(binds_endpoints),
        cmocka_unit_test(binds_limits),
        cmocka_unit_test(binds_every_limit),
        cmocka_unit_test(binds_what_bears_on_choosing),
        cmocka_unit_test(knows_maintenance_hours),
        cmocka_unit_test(lays_out_tiers),
        cmocka_unit_test(overrides_timeouts),
        cmocka_unit_test(finds_rows_again),
        cmocka_unit_test(rescales_debts),
        cmocka_unit_test(refuses_what_it_cannot_bind),
        cmocka_unit_test(checks_keys),
        cmocka_unit_test(sizes_regions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
