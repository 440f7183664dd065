/*
 * The fire at full length: eight processes do all that a request does on two endpoints, one pair, one account and their
 * limits, as fast as they can. A killer shoots one every 10 to 200 ms, others are stopped for longer than any lease and
 * go on, and an operator, himself shot now and then, resets and forces and clears in a loop. While it lasts no limit is
 * exceeded, nobody stopped is taken for dead and no trial outlives its lease; when all are dead nothing is held, the
 * check is silent, every breaker closes again, and the history of every word is unbroken but for at most one record a
 * kill. storm [SECONDS]
 */

#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "libshm/adapt.h"
#include "libshm/breaker.h"
#include "libshm/budget.h"
#include "libshm/check.h"
#include "libshm/clock.h"
#include "libshm/cooldown.h"
#include "libshm/estimate.h"
#include "libshm/gate.h"
#include "libshm/latency.h"
#include "libshm/layout.h"
#include "libshm/limit.h"
#include "libshm/name.h"
#include "libshm/order.h"
#include "libshm/quota.h"
#include "libshm/stat.h"
#include "libshm/waiter.h"
#include "tests/libshm/fixture.h"

enum {
    WORKERS = 8,
    ENDPOINTS = 2,
    ROWS = 4, /* us-east, us-west, (us-east, gpt), an account */
    PLACES = 3,
    RATE = 2000,
    BURST = 50,
    DAY_LIMIT = 100000,
    LEASE_MS = 4,
    ASKED_WITHIN_MS = 2000, /* even on a machine that is busy with other things somebody asks every breaker */
    STOPPED_MAX = 2,
    BATCH_MAX = 200000,
    ENDS_MAX = 1 << 16
};

#define TODAY (UINT64_C(20000) * 86400000)

static const struct gws_breaker_rules rules = {.failures = 3, .half_open = 2, .successes = 2, .open_ms = 1,
                                               .max_open_ms = 2, .stable_ms = 50, .lease_ms = LEASE_MS,
                                               .window_ms = 6000, .rate = 9000, .min_requests = 10};
static const struct gws_cooldown_rules cooldown = {.default_ms = 1, .max_ms = 5};
static const struct gws_adapt_rules adapt = {.max = 20};
static const struct gws_quota_rules day = {.limit = DAY_LIMIT};
static const struct gws_budget_rules budget = {.share = 2000, .min = 1};

static uint64_t seconds = 3;

/* Kept beside the region by means of the test's own, to compare with. A process that is killed between the region's
 * word and ours has done more than is written here, never less. */
struct truth {
    _Atomic uint32_t inside[ENDPOINTS]; /* a bit for each worker with a place: one word, so a count is of one moment */
    _Atomic uint32_t crowded;
    _Atomic uint64_t admitted;
    _Atomic uint64_t spent;
    _Atomic uint64_t rounds;
    _Atomic uint64_t orders;
};

struct soldier {
    struct truth *truth;
    uint32_t bit;
    pid_t parent;
    pid_t pid;
    int slot;
    uint64_t stopped_until; /* 0: it runs */
};

static uint32_t next(uint32_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return *random;
}

static void look_for_waiters(struct gws_region *r, uint32_t endpoint)
{
    struct gws_slots slots = {{0}};
    (void)gws_waiter_collect(r, endpoint, &slots);
}

static bool take_place(struct gws_region *r, const struct soldier *me, uint32_t endpoint)
{
    uint32_t others;
    int result = gws_gate_take(r, endpoint, PLACES);

    if (result == GWS_GATE_STEPPED)
        look_for_waiters(r, endpoint);
    if (result != GWS_GATE_TAKEN) {
        gws_waiter_set(r, endpoint);
        return false;
    }
    others = atomic_fetch_or(&me->truth->inside[endpoint], me->bit);
    if (__builtin_popcount(others | me->bit) > PLACES)
        atomic_fetch_add(&me->truth->crowded, 1);
    return true;
}

static void give_place(struct gws_region *r, const struct soldier *me, uint32_t endpoint)
{
    atomic_fetch_and(&me->truth->inside[endpoint], ~me->bit);
    gws_gate_give(r, endpoint);
    look_for_waiters(r, endpoint);
}

/* Ask a breaker, and say how it went, but for one time in 32: a trial that never reports is replaced. */
static void decide(struct gws_region *r, uint32_t row, uint32_t random)
{
    static const enum gws_outcome outcomes[] = {GWS_OK, GWS_OK, GWS_FAILED, GWS_FAILED, GWS_FAILED, GWS_THROTTLED,
                                                GWS_NEUTRAL, GWS_SLOW};
    uint16_t gen = gws_cooldown_gen(r, row);
    uint64_t now = gws_clock_ms(r);
    struct gws_permit permit;
    uint64_t wait;

    if (gws_breaker_permit(r, row, &rules, now, &permit, &wait) == GWS_GO && random % 32 != 0)
        gws_breaker_report(r, row, &rules, permit, outcomes[random >> 8 & 7], gws_clock_ms(r), 0, random);
    if (random % 16 == 0)
        gws_cooldown_hit(r, row, &cooldown, gen, GWS_COOL_RATE, GWS_NO_WAIT, now);
    else
        gws_cooldown_success(r, row, gen, now);
    gws_latency_feed(r, row, random >> 20, 100, now);
    if (random % 64 == 0)
        gws_adapt_overload(r, row, &adapt, now);
    gws_adapt_success(r, row, &adapt, PLACES);
}

/* All that a request takes, in the order of taking, and back. */
static void one_round(struct gws_region *r, const struct soldier *me, uint32_t random)
{
    const struct timespec breath = {.tv_nsec = 20000};
    struct gws_limit_rules limit = gws_limit_rules(RATE, 1000000000, BURST);
    struct gws_limit_charge charge;
    uint32_t endpoint = random >> 4 & 1;
    uint32_t cost = random >> 12 & 3;
    uint64_t wait;
    bool retry;
    bool money[2];
    bool place;

    gws_tally_enter(r, GWS_TALLY_REQUESTS);
    retry = gws_budget_take(r, GWS_TALLY_RETRIES, &budget) == GWS_BUDGET_TAKEN;
    place = take_place(r, me, endpoint);
    for (uint32_t i = 0; i < 2; i++)
        money[i] = gws_quota_reserve(r, i, &day, 3, TODAY) == GWS_QUOTA_RESERVED;
    if (gws_limit_take(r, 0, &limit, 1, gws_clock_ns(r), &wait) == GWS_LIMIT_TAKEN)
        atomic_fetch_add(&me->truth->admitted, 1);
    if (gws_limit_charge(r, 1, &limit, 3, gws_clock_ns(r), &charge, &wait) == GWS_LIMIT_TAKEN)
        gws_limit_settle(r, 1, &limit, charge, cost, gws_clock_ns(r));
    gws_stat_count(r, endpoint, GWS_STAT_TRIES);
    for (uint32_t row = 0; row < ROWS; row++)
        decide(r, row, random ^ row << 8);
    if (random % 16 == 1)
        nanosleep(&breath, NULL);
    gws_latency_count(r, endpoint, GWS_LATENCY_TOTAL, random >> 16);
    gws_estimate_learn(r, 0, 100, random >> 24);
    for (uint32_t i = 0; i < 2; i++) {
        if (!money[i])
            continue;
        gws_quota_settle(r, i, &day, 3, cost, TODAY);
        if (i == 0)
            atomic_fetch_add(&me->truth->spent, cost);
    }
    if (place)
        give_place(r, me, endpoint);
    else
        gws_waiter_clear(r, endpoint);
    if (retry)
        gws_tally_leave(r, GWS_TALLY_RETRIES);
    gws_tally_leave(r, GWS_TALLY_REQUESTS);
    atomic_fetch_add_explicit(&me->truth->rounds, 1, memory_order_relaxed);
}

static int hammer(struct fixture *f, void *arg)
{
    struct soldier *me = arg;
    uint32_t random = (uint32_t)getpid() * 2654435761u | 1;

    while (getppid() == me->parent)
        one_round(&f->region, me, next(&random));
    return 0;
}

/* The account's breaker gets no orders, so that only the next one who asks can end what a dead trial left there. */
static void order(struct gws_region *r, uint32_t row, uint32_t what, uint64_t now)
{
    if (row == ROWS - 1 && (what < 3 || what > 7))
        return;
    switch (what) {
    case 0:
        gws_breaker_force_open(r, row, now + 2, now, 7);
        break;
    case 1:
        gws_breaker_force_closed(r, row, now, 7);
        break;
    case 2:
        gws_breaker_auto(r, row, now, 7);
        break;
    case 3:
        gws_cooldown_clear(r, row, now, 7);
        break;
    case 4:
        gws_order_drain(r, row, now, 7);
        break;
    case 5:
        gws_order_enable(r, row, now, 7);
        break;
    case 6:
        gws_quota_reset(r, 1, now, 7);
        break;
    case 7:
        gws_limit_reset(r, 1, gws_clock_ns(r), 7);
        break;
    default:
        gws_breaker_reset(r, row, now, 7);
    }
}

/* The operator: comes as a guest, gives an order, leaves, as gatewayctl does. */
static pid_t operate(struct fixture *f, struct soldier *operator)
{
    const struct timespec pause = {.tv_nsec = 300000};
    uint32_t random;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    fixture_die_with_parent();
    random = (uint32_t)getpid() * 2654435761u | 1;
    while (getppid() == operator->parent) {
        struct gws_region view = {.fd = -1, .slot = -1};
        struct gws_fault fault;
        if (gws_region_open(&view, f->path, GWS_CHANGE, geteuid(), &fault) != GWS_OPEN_DONE ||
            gws_slot_guest(&view, f->path, gws_clock_ms(&view)) != 0)
            _exit(9);
        for (int i = 0; i < 4; i++) {
            order(&view, next(&random) % ROWS, next(&random) % 16, gws_clock_ms(&view));
            atomic_fetch_add(&operator->truth->orders, 1);
            nanosleep(&pause, NULL);
        }
        gws_slot_leave(&view);
        gws_region_close(&view);
    }
    _exit(0);
}

/* One word's history: what its changes found and left behind, those that cancel out taken away as it grows. */
struct chain {
    enum gws_event_code code;
    uint32_t row;
    uint64_t first;
    struct fixture_end *ends;
    size_t used;
};

enum { CHAINS = 3 * ROWS };

struct log {
    struct gws_event_cursor cursor;
    uint64_t seen[GWS_SLOTS_MAX]; /* records of each ring */
    uint64_t last[GWS_SLOTS_MAX]; /* the highest number among them */
    struct gws_event *batch;
    struct chain chains[CHAINS];
    uint64_t count;
};

static uint64_t word_now(const struct gws_region *r, const struct chain *chain)
{
    if (chain->code == GWS_EVENT_ORDER)
        return atomic_load(&r->domains[chain->row].order);
    return chain->code == GWS_EVENT_BREAKER ? gws_breaker_word(r, chain->row) : gws_cooldown_word(r, chain->row);
}

static void cancel(struct chain *chain)
{
    size_t kept = 0;

    qsort(chain->ends, chain->used, sizeof(*chain->ends), fixture_compare_ends);
    for (size_t i = 0; i < chain->used;) {
        struct fixture_end end = {chain->ends[i].value, 0};
        for (; i < chain->used && chain->ends[i].value == end.value; i++)
            end.side += chain->ends[i].side;
        if (end.side != 0)
            chain->ends[kept++] = end;
    }
    chain->used = kept;
    if (kept > ENDS_MAX / 2)
        fail_msg("the history of row %u has %zu loose ends", chain->row, kept);
}

static void link_event(struct log *log, const struct gws_event *event)
{
    for (size_t i = 0; i < CHAINS; i++) {
        struct chain *chain = &log->chains[i];
        if (chain->code != event->code || chain->row != event->domain)
            continue;
        chain->ends[chain->used++] = (struct fixture_end){event->old, -1};
        chain->ends[chain->used++] = (struct fixture_end){event->new, 1};
        if (chain->used + 2 > ENDS_MAX)
            cancel(chain);
    }
}

static void follow(struct gws_region *r, struct log *log)
{
    size_t got = gws_event_collect(r, &log->cursor, log->batch, BATCH_MAX);

    assert_true(got < BATCH_MAX);
    for (size_t i = 0; i < got; i++) {
        uint32_t slot = log->batch[i].slot;
        log->seen[slot]++;
        if (log->batch[i].seq > log->last[slot])
            log->last[slot] = log->batch[i].seq;
        link_event(log, &log->batch[i]);
    }
    log->count += got;
}

static struct log *begin_log(struct gws_region *r)
{
    static const enum gws_event_code codes[] = {GWS_EVENT_BREAKER, GWS_EVENT_COOLDOWN, GWS_EVENT_ORDER};
    struct log *log = calloc(1, sizeof(*log));

    assert_non_null(log);
    log->batch = malloc(BATCH_MAX * sizeof(*log->batch));
    assert_non_null(log->batch);
    follow(r, log);
    for (uint32_t i = 0; i < CHAINS; i++) {
        struct chain *chain = &log->chains[i];
        *chain = (struct chain){.code = codes[i / ROWS], .row = i % ROWS};
        chain->ends = malloc(ENDS_MAX * sizeof(*chain->ends));
        assert_non_null(chain->ends);
        chain->ends[chain->used++] = (struct fixture_end){word_now(r, chain), 1};
    }
    return log;
}

/* How many pieces of history are missing. A reader that keeps up misses nothing, so every ring is whole. */
static uint64_t end_log(struct gws_region *r, struct log *log)
{
    uint64_t breaks = 0;

    for (int i = 0; i < GWS_SLOTS_MAX; i++)
        assert_int_equal(log->seen[i], log->last[i]);
    for (size_t i = 0; i < CHAINS; i++) {
        struct chain *chain = &log->chains[i];
        chain->ends[chain->used++] = (struct fixture_end){word_now(r, chain), -1};
        cancel(chain);
        for (size_t k = 0; k < chain->used; k++)
            breaks += chain->ends[k].side > 0 ? (uint64_t)chain->ends[k].side : 0;
        free(chain->ends);
    }
    free(log->batch);
    free(log);
    return breaks;
}

struct field {
    struct fixture f;
    struct truth *truth;
    struct log *log;
    struct soldier soldiers[WORKERS];
    struct soldier operator;
    uint32_t random;
    uint64_t kills;
    uint64_t stops;
};

/* Nobody ends but by our hand: one that fell over a damaged word would have ended otherwise. */
static void shoot(struct field *field, pid_t pid)
{
    int status;

    kill(pid, SIGKILL);
    status = fixture_wait(pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("a process ended by itself: %#x", (unsigned)status);
    field->kills++;
}

static void bury(struct field *field, struct soldier *soldier)
{
    shoot(field, soldier->pid);
    for (int i = 0; i < ENDPOINTS; i++)
        atomic_fetch_and(&field->truth->inside[i], ~soldier->bit);
    gws_slot_reap(&field->f.region, soldier->slot, true, gws_clock_ms(&field->f.region));
    soldier->stopped_until = 0;
}

/* Stopped is not dead: looking for the dead leaves it what it has. */
static void stop(struct field *field, struct soldier *soldier, uint64_t now)
{
    struct gws_slot_info before;
    struct gws_slot_info after;

    gws_slot_read(&field->f.region, soldier->slot, &before);
    if (before.state != GWS_SLOT_LIVE || soldier->stopped_until != 0)
        return;
    kill(soldier->pid, SIGSTOP);
    soldier->stopped_until = now + 5 + next(&field->random) % 150;
    field->stops++;
    (void)gws_slot_reap_dead(&field->f.region, now);
    gws_slot_read(&field->f.region, soldier->slot, &after);
    assert_int_equal(after.state, GWS_SLOT_LIVE);
    assert_int_equal(after.pid, soldier->pid);
}

static void wake(struct field *field, uint64_t now)
{
    int stopped = 0;

    for (int i = 0; i < WORKERS; i++) {
        struct soldier *soldier = &field->soldiers[i];
        if (soldier->stopped_until != 0 && now >= soldier->stopped_until) {
            kill(soldier->pid, SIGCONT);
            soldier->stopped_until = 0;
        }
        stopped += soldier->stopped_until != 0;
    }
    if (stopped < STOPPED_MAX && next(&field->random) % 16 == 0)
        stop(field, &field->soldiers[next(&field->random) % WORKERS], now);
}

/* Somebody asks all the time, so a trial that is lost is replaced soon after its lease. */
static void no_trial_for_ever(const struct gws_region *r, uint64_t now)
{
    for (uint32_t row = 0; row < ROWS; row++) {
        struct gws_breaker_view view = gws_breaker_view(gws_breaker_word(r, row));
        if (view.mode == GWS_HALF && view.t + ASKED_WITHIN_MS < now)
            fail_msg("row %u is half open %llu ms past its lease", row, (unsigned long long)(now - view.t));
    }
}

static void send_one(struct field *field, struct soldier *soldier)
{
    soldier->pid = fixture_fork(&field->f, &soldier->slot, hammer, soldier);
}

static void battle(struct field *field)
{
    const struct timespec tick = {.tv_nsec = 2000000};
    struct gws_region *r = &field->f.region;
    uint64_t shot_at = gws_clock_ms(r);
    uint64_t until = shot_at + seconds * 1000;
    uint64_t now;

    field->operator = (struct soldier){.truth = field->truth, .parent = getpid()};
    field->operator.pid = operate(&field->f, &field->operator);
    for (uint32_t i = 0; i < WORKERS; i++) {
        field->soldiers[i] = (struct soldier){.truth = field->truth, .bit = 1u << i, .parent = getpid()};
        send_one(field, &field->soldiers[i]);
    }
    while ((now = gws_clock_ms(r)) < until) {
        struct soldier *victim = &field->soldiers[next(&field->random) % WORKERS];

        nanosleep(&tick, NULL);
        follow(r, field->log);
        no_trial_for_ever(r, now);
        wake(field, now);
        if (now < shot_at)
            continue;
        shot_at = now + 10 + next(&field->random) % 191;
        bury(field, victim);
        send_one(field, victim);
        if (next(&field->random) % 8 == 0) {
            shoot(field, field->operator.pid);
            field->operator.pid = operate(&field->f, &field->operator);
        }
    }
    for (int i = 0; i < WORKERS; i++)
        bury(field, &field->soldiers[i]);
    shoot(field, field->operator.pid);
    (void)gws_slot_reap_dead(r, gws_clock_ms(r));
    follow(r, field->log);
}

static void hear(void *context, const struct gws_check_note *note)
{
    (void)context;
    if (note->kind == GWS_CHECK_FAULT)
        fail_msg("%s: %s", note->section, note->text);
}

static void nothing_is_held(const struct gws_region *r)
{
    struct gws_quota_info quota;
    struct gws_slot_info slot;

    for (uint32_t endpoint = 0; endpoint < ENDPOINTS; endpoint++) {
        assert_int_equal(gws_gate_sum(r, endpoint), 0);
        for (int i = 0; i < 16; i++)
            assert_false(gws_waiter_is_set(r, endpoint, i));
    }
    for (int tally = 0; tally < GWS_TALLIES; tally++)
        assert_int_equal(gws_tally_sum(r, (enum gws_tally)tally), 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(gws_quota_read(r, i, &quota));
        assert_int_equal(quota.reserved, 0);
    }
    for (int i = 1; i < 16; i++) {
        gws_slot_read(r, i, &slot);
        assert_int_equal(slot.state, GWS_SLOT_FREE);
    }
    assert_int_equal(gws_region_check(r, gws_clock_ms(r), hear, NULL), 0);
}

/* A trial that died with its process is replaced when its lease, no longer than it may be, is over; then it closes. */
static void it_closes_again(struct gws_region *r, uint32_t row)
{
    struct gws_breaker_view view;
    uint64_t now = gws_clock_ms(r);
    struct gws_permit permit;
    uint64_t wait;

    gws_breaker_auto(r, row, now, 7);
    view = gws_breaker_view(gws_breaker_word(r, row));
    if (view.mode == GWS_HALF)
        assert_in_range(view.t, 0, now + LEASE_MS);
    if (view.mode == GWS_CLOSED)
        return;
    now = view.t > now ? view.t : now;
    for (uint32_t i = 0; i < rules.successes; i++) {
        assert_int_equal(gws_breaker_permit(r, row, &rules, now, &permit, &wait), GWS_GO);
        assert_true(permit.trial);
        gws_breaker_report(r, row, &rules, permit, GWS_OK, now, 0, 0);
    }
    assert_int_equal(gws_breaker_view(gws_breaker_word(r, row)).mode, GWS_CLOSED);
}

static void test_storm(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct field field = {.random = 2463534242u};
    struct gws_region *r = &field.f.region;
    struct gws_quota_info quota;
    uint64_t stats[GWS_STATS];
    uint64_t tries = 0;
    uint64_t breaks;
    uint64_t events;

    (void)state;
    field.truth = mmap(NULL, sizeof(*field.truth), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(field.truth != MAP_FAILED);
    dims.events = 16384;
    fixture_create(&field.f, &dims);
    fixture_enter(&field.f, r, GWS_ROLE_MASTER, 1);
    assert_int_equal(gws_name_endpoint(r, "us-east", "https://a", 20, 1), 0);
    assert_int_equal(gws_name_endpoint(r, "us-west", "https://b", 20, 1), 1);
    assert_int_equal(gws_name_pair(r, 0, "gpt", 1), 2);
    assert_int_equal(gws_name_account(r, "example", 1), 3);
    assert_int_equal(gws_name_limit(r, "rpm", 1), 0);
    assert_int_equal(gws_name_limit(r, "tpm", 1), 1);
    assert_int_equal(gws_name_quota(r, "usd", 1), 0);
    assert_int_equal(gws_name_quota(r, "rpd", 1), 1);
    assert_int_equal(gws_name_model(r, "gpt", 1), 0);
    field.log = begin_log(r);
    battle(&field);

    assert_int_equal(atomic_load(&field.truth->crowded), 0);
    nothing_is_held(r);
    for (uint32_t endpoint = 0; endpoint < ENDPOINTS; endpoint++) {
        gws_stat_read(r, endpoint, stats);
        tries += stats[GWS_STAT_TRIES];
    }
    assert_true(tries >= atomic_load(&field.truth->rounds));
    assert_in_range(atomic_load(&field.truth->admitted), 1, BURST + 1 + (gws_clock_ms(r) + 1) * RATE / 1000);
    assert_true(gws_quota_read(r, 0, &quota));
    assert_in_range(quota.committed, atomic_load(&field.truth->spent), DAY_LIMIT);
    for (uint32_t row = 0; row < ROWS; row++)
        it_closes_again(r, row);
    follow(r, field.log);
    events = field.log->count;
    breaks = end_log(r, field.log);
    print_message("%llu s, %d processes: %llu rounds, %llu kills, %llu stops, %llu orders, %llu events, %llu breaks\n",
                  (unsigned long long)seconds, WORKERS, (unsigned long long)tries, (unsigned long long)field.kills,
                  (unsigned long long)field.stops, (unsigned long long)atomic_load(&field.truth->orders),
                  (unsigned long long)events, (unsigned long long)breaks);
    assert_true(tries > 1000);
    assert_in_range(breaks, 0, field.kills);
    munmap(field.truth, sizeof(*field.truth));
    fixture_close(&field.f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_storm)};

    if (argc > 1)
        seconds = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
