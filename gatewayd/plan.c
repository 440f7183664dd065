#include "gatewayd/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "gatewayd/log.h"
#include "gatewayd/plan_internal.h"
#include "libshm/clock.h"
#include "libshm/name.h"

/*
 * Everything that can be decided before the first request is decided here, once per configuration, so that choosing an
 * endpoint is a walk over arrays and shared words. Rows come from the region by identity: an endpoint whose name and
 * url are unchanged finds its breaker, cooldown and counters again.
 */

enum { STABLE_FACTOR = 10, LEASE_SLACK_MS = 1000, MS_PER_MINUTE = 60000, MINUTES_PER_DAY = 1440 };

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

uint32_t plan_schedule(const uint32_t *weights, uint32_t count, uint16_t *out, uint32_t max)
{
    uint32_t divisor = 0;
    uint64_t total = 0;
    int64_t credit[PLAN_CANDIDATES_MAX] = {0};
    if (count == 0 || count > PLAN_CANDIDATES_MAX)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        divisor = gcd(divisor, weights[i]);
    if (divisor == 0)
        divisor = 1;
    for (uint32_t i = 0; i < count; i++)
        total += weights[i] / divisor;
    uint32_t length = total < max ? (uint32_t)total : max;
    for (uint32_t step = 0; step < length; step++) {
        uint32_t best = 0;
        for (uint32_t i = 0; i < count; i++) {
            credit[i] += weights[i] / divisor;
            if (credit[i] > credit[best])
                best = i;
        }
        credit[best] -= (int64_t)total;
        out[step] = (uint16_t)best;
    }
    return length;
}

static uint32_t pick_ms(uint32_t override, uint32_t standard)
{
    return override ? override : standard;
}

static struct conf_timeouts merge_timeouts(const struct conf_timeouts *model, const struct conf_timeouts *endpoint)
{
    if (!model)
        return *endpoint;
    return (struct conf_timeouts){
        .connect = pick_ms(model->connect, endpoint->connect),
        .first_token = pick_ms(model->first_token, endpoint->first_token),
        .response = pick_ms(model->response, endpoint->response),
        .idle = pick_ms(model->idle, endpoint->idle),
        .total = pick_ms(model->total, endpoint->total),
    };
}

/* A trial decides at its first valid event, so its lease is the longest that this may take. */
static struct gws_breaker_rules breaker_rules(const struct conf_breaker *b, const struct conf_timeouts *t)
{
    uint32_t decides = t->response > t->first_token ? t->response : t->first_token;
    return (struct gws_breaker_rules){
        .failures = b->failures,
        .half_open = b->half_open,
        .successes = b->successes,
        .open_ms = b->open,
        .max_open_ms = b->max_open,
        .stable_ms = b->max_open * STABLE_FACTOR,
        .lease_ms = t->connect + decides + LEASE_SLACK_MS,
        .window_ms = b->window,
        .rate = b->rate,
        .min_requests = b->min_requests,
    };
}

void plan_no_room(struct conf_problems *problems, const char *what, const char *name)
{
    conf_problem_add(problems, 0, 0,
                     "the shared region has no room for %s '%s': it was made for a smaller configuration. Stop "
                     "gatewayd and remove the state file to make a larger one", what, name);
}

bool plan_has_row(const struct plan *plan, int found, uint32_t *row)
{
    *row = found >= 0 ? (uint32_t)found : PLAN_NO_ROW;
    return found >= 0 || (plan->looks && found == -ENOENT);
}

static int bind_account(struct plan *plan, struct plan_account *a, const struct conf_account *conf,
                        struct gws_region *region, struct conf_problems *problems)
{
    if (!plan_has_row(plan, gws_name_account(region, conf->name, plan->generation), &a->row)) {
        plan_no_room(problems, "account", conf->name);
        return 1;
    }
    return plan_limits_bind(&a->limits, &conf->limits, "account", conf->name, plan, region, problems);
}

static void set_rules(struct plan_target *t, const struct conf_endpoint *e)
{
    t->conf = e;
    t->breaker = breaker_rules(&e->breaker, &e->timeouts);
    t->cooldown = (struct gws_cooldown_rules){e->cooldown.standard, e->cooldown.max};
    t->quota = (struct gws_cooldown_rules){e->quota.standard, e->quota.max};
    t->slow_start_ms = e->slow_start;
    t->dialects = e->dialects;
    t->maintenance = e->maintenance;
    t->maintenance_count = e->maintenance_count;
    if (e->adaptive)
        t->adaptive.max = e->max_concurrent;
}

static int bind_target(struct plan *plan, struct plan_target *t, const struct conf_endpoint *e,
                       struct gws_region *region, struct conf_problems *problems)
{
    set_rules(t, e);
    t->account = &plan->accounts[e->account];
    int row = gws_name_endpoint(region, e->name, e->url, e->max_concurrent, plan->generation);
    struct gws_name_info info = {.endpoint = PLAN_NO_ROW};
    if (!plan_has_row(plan, row, &t->row) || (row >= 0 && !gws_name_domain_read(region, t->row, &info))) {
        plan_no_room(problems, "endpoint", e->name);
        return 1;
    }
    if (!plan->looks)
        gws_name_set_account(region, t->row, t->account->row);
    t->endpoint = info.endpoint;
    int rc = plan_limits_bind(&t->limits, &e->limits, "endpoint", e->name, plan, region, problems);
    if (rc != 0)
        return rc;
    t->limited = plan_limits_any(&t->limits) || plan_limits_any(&t->account->limits);
    if (plan->looks)
        return 0;
    return secret_load(&e->key, e->key_prefixes, e->key_prefix_count, e->name, &t->key, problems);
}

static int compare_candidates(const void *a, const void *b)
{
    const struct plan_candidate *x = a, *y = b;
    uint32_t px = x->target->conf->priority, py = y->target->conf->priority;
    if (px != py)
        return px < py ? -1 : 1;
    return x->target->index < y->target->index ? -1 : x->target->index > y->target->index;
}

static int make_tiers(struct plan *plan, struct plan_model *m)
{
    m->tiers = arena_alloc(&plan->arena, m->candidate_count * sizeof *m->tiers);
    uint32_t *weights = arena_alloc(&plan->arena, m->candidate_count * sizeof *weights);
    uint16_t *schedule = arena_alloc(&plan->arena, PLAN_SCHEDULE_MAX * sizeof *schedule);
    if (!m->tiers || !weights || !schedule)
        return -ENOMEM;
    for (uint32_t i = 0; i < m->candidate_count;) {
        struct plan_tier *tier = &m->tiers[m->tier_count++];
        uint32_t priority = m->candidates[i].target->conf->priority;
        tier->first = i;
        for (; i < m->candidate_count && m->candidates[i].target->conf->priority == priority; i++) {
            bool even = m->conf && m->conf->strategy == CONF_ROUND_ROBIN;
            weights[tier->count++] = even ? 1 : m->candidates[i].target->conf->weight;
        }
        tier->ticket_row = m->candidates[tier->first].pair_row;
        tier->schedule_len = plan_schedule(weights, tier->count, schedule, PLAN_SCHEDULE_MAX);
        struct str order = {(char *)schedule, tier->schedule_len * sizeof *schedule};
        struct str kept = arena_copy(&plan->arena, order);
        if (!kept.at)
            return -ENOMEM;
        tier->schedule = (const uint16_t *)(const void *)kept.at;
    }
    return 0;
}

/* Whether somebody needs an estimate of what a request will cost. */
static bool counts_tokens(const struct plan_model *m)
{
    bool counts = m->conf && m->conf->context > 0;
    for (uint32_t i = 0; i < m->candidate_count; i++) {
        const struct plan_target *t = m->candidates[i].target;
        counts = counts || t->limits.tpm_row != PLAN_NO_ROW || t->account->limits.tpm_row != PLAN_NO_ROW;
    }
    return counts;
}

static int bind_model(struct plan *plan, struct plan_model *m, const struct conf_model *conf,
                      struct gws_region *region, struct conf_problems *problems)
{
    bool all = !conf || conf->candidate_count == 0;
    uint32_t count = all ? plan->target_count : (uint32_t)conf->candidate_count;
    const char *name = conf ? conf->name : "*";
    m->conf = conf;
    m->name = str_of(name);
    m->candidates = arena_alloc(&plan->arena, count * sizeof *m->candidates);
    if (!m->candidates)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        struct plan_candidate *c = &m->candidates[m->candidate_count++];
        c->target = &plan->targets[all ? i : conf->candidates[i].endpoint];
        c->as = all ? (struct str){0} : str_of(conf->candidates[i].as);
        c->timeouts = merge_timeouts(conf ? &conf->timeouts : NULL, &c->target->conf->timeouts);
        c->breaker = breaker_rules(&c->target->conf->breaker, &c->timeouts);
        bool known = c->target->row != PLAN_NO_ROW;
        int row = known ? gws_name_pair(region, c->target->row, name, plan->generation) : -ENOENT;
        if (!plan_has_row(plan, row, &c->pair_row)) {
            plan_no_room(problems, "model", name);
            return 1;
        }
    }
    if (!plan_has_row(plan, gws_name_model(region, name, plan->generation), &m->estimate_row)) {
        plan_no_room(problems, "what is learned of model", name);
        return 1;
    }
    m->counts_tokens = counts_tokens(m);
    qsort(m->candidates, m->candidate_count, sizeof *m->candidates, compare_candidates);
    return make_tiers(plan, m);
}

static bool is_same_key(const struct conf_key *a, const struct conf_key *b)
{
    bool own = a->source != CONF_KEY_NONE && a->source != CONF_KEY_PASSTHROUGH;
    return own && a->source == b->source && strcmp(a->text, b->text) == 0;
}

/* Who has the same credential stands in one ring. */
static void link_keys(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->target_count; i++) {
        struct plan_target *t = &plan->targets[i];
        t->same_key = t;
        for (uint32_t j = 0; j < i; j++)
            if (is_same_key(&t->conf->key, &plan->targets[j].conf->key)) {
                t->same_key = plan->targets[j].same_key;
                plan->targets[j].same_key = t;
                break;
            }
    }
}

static int bind_all(struct plan *plan, struct gws_region *region, struct conf_problems *problems)
{
    const struct conf *conf = plan->conf;
    plan->accounts = arena_alloc(&plan->arena, conf->account_count * sizeof *plan->accounts);
    plan->targets = arena_alloc(&plan->arena, conf->endpoint_count * sizeof *plan->targets);
    plan->models = arena_alloc(&plan->arena, (conf->model_count + 1) * sizeof *plan->models);
    if (!plan->accounts || !plan->targets || !plan->models)
        return -ENOMEM;
    for (size_t i = 0; i < conf->account_count; i++)
        if (bind_account(plan, &plan->accounts[i], &conf->accounts[i], region, problems) != 0)
            return 1;
    for (size_t i = 0; i < conf->endpoint_count; i++) {
        struct plan_target *t = &plan->targets[plan->target_count++];
        t->index = (uint32_t)i;
        int rc = bind_target(plan, t, &conf->endpoints[i], region, problems);
        if (rc < 0)
            return rc;
    }
    if (problems->count)
        return 1;
    link_keys(plan);
    for (size_t i = 0; i < conf->model_count; i++, plan->model_count++) {
        int rc = bind_model(plan, &plan->models[i], &conf->models[i], region, problems);
        if (rc != 0)
            return rc;
    }
    plan->pool = &plan->models[conf->model_count];
    return bind_model(plan, plan->pool, NULL, region, problems);
}

/* For tools, and so that a debt keeps its number of requests when the rate changes. */
static void publish_limits(const struct plan *plan, struct gws_region *region)
{
    uint64_t now_ns = gws_clock_ns(region);
    for (size_t i = 0; i < plan->conf->account_count; i++)
        plan_limits_publish(&plan->accounts[i].limits, region, now_ns);
    for (uint32_t i = 0; i < plan->target_count; i++)
        plan_limits_publish(&plan->targets[i].limits, region, now_ns);
}

/* Without admin listeners nobody asks for it, and nothing is wrong with one that is not there. */
static int load_admin_token(const struct conf *conf, struct plan *plan, struct conf_problems *problems)
{
    struct secret *token = NULL;
    if (conf->admin.listen_count == 0)
        return 0;
    int rc = secret_load(&conf->admin.token, NULL, 0, "the admin server", &token, problems);
    if (rc == 0 && token && plan) {
        secret_hash(secret_text(token), plan->admin_token);
        plan->has_admin_token = true;
    }
    secret_free(token);
    return rc;
}

static int make(struct plan **out, const struct plan *as, struct gws_region *region, struct conf_problems *problems)
{
    struct plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return -ENOMEM;
    *plan = *as;
    int rc = bind_all(plan, region, problems);
    if (rc == 0)
        *out = plan;
    else
        plan_free(plan);
    return rc;
}

int plan_new(struct plan **plan, const struct conf *conf, struct gws_region *region, uint64_t generation,
             struct conf_problems *problems)
{
    struct plan as = {.conf = conf, .generation = generation};
    int rc = load_admin_token(conf, &as, problems);
    if (rc == 0)
        rc = make(plan, &as, region, problems);
    if (rc == 0)
        publish_limits(*plan, region);
    return rc;
}

int plan_look(struct plan **plan, const struct conf *conf, struct gws_region *region, struct conf_problems *problems)
{
    uint64_t generation = gws_region_generation(region);
    return make(plan, &(struct plan){.conf = conf, .generation = generation, .looks = true}, region, problems);
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    for (uint32_t i = 0; i < plan->target_count; i++)
        secret_free(plan->targets[i].key);
    arena_fini(&plan->arena);
    free(plan);
}

bool plan_maintained(const struct plan_target *t, uint64_t real_ms)
{
    uint64_t minute = real_ms / MS_PER_MINUTE % MINUTES_PER_DAY;
    for (size_t i = 0; i < t->maintenance_count; i++) {
        const struct conf_hours *hours = &t->maintenance[i];
        bool after = minute >= hours->from, before = minute < hours->to;
        if (hours->from <= hours->to ? after && before : after || before)
            return true;
    }
    return false;
}

int plan_check_keys(const struct conf *conf, struct conf_problems *problems)
{
    for (size_t i = 0; i < conf->endpoint_count; i++) {
        const struct conf_endpoint *e = &conf->endpoints[i];
        struct secret *key = NULL;
        int rc = secret_load(&e->key, e->key_prefixes, e->key_prefix_count, e->name, &key, problems);
        secret_free(key);
        if (rc < 0)
            return rc;
        if (e->ca_file && access(e->ca_file, R_OK) != 0)
            conf_problem_add(problems, 0, 0, "endpoint %s: ca_file %s cannot be read: %s", e->name, e->ca_file,
                             strerror(errno));
    }
    int rc = load_admin_token(conf, NULL, problems);
    return rc < 0 ? rc : problems->count ? 1 : 0;
}

static uint32_t round_up(size_t need, uint32_t least)
{
    uint32_t n = least;
    while (n < need && n < (1U << 20))
        n *= 2;
    return n;
}

/* Twice what is needed now, so that a reload may bring new names while the old ones are still in use. */
struct gws_dims plan_dims(const struct conf *conf)
{
    size_t pairs = conf->endpoint_count;
    for (size_t i = 0; i < conf->model_count; i++)
        pairs += conf->models[i].candidate_count ? conf->models[i].candidate_count : conf->endpoint_count;
    size_t limited = conf->endpoint_count + conf->account_count;
    uint32_t slots = round_up((size_t)conf->workers * 4 + 24, 64);
    return (struct gws_dims){
        .slots = slots < GWS_SLOTS_MAX ? slots : GWS_SLOTS_MAX,
        .guests = 8,
        .domains = round_up(2 * (pairs + conf->endpoint_count + conf->account_count), 256),
        .endpoints = round_up(2 * conf->endpoint_count, 64),
        .limits = round_up(2 * 2 * limited, 64), /* requests and tokens */
        .events = 1024,
        .quotas = round_up(2 * limited, 64),
        .models = round_up(2 * (conf->model_count + 1), 64),
    };
}
