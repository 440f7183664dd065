/*
 * What the shared region costs: one line for each operation, in nanoseconds, alone and with another process that does
 * the same on the same words without pause, and how many times as long that takes. The second figure is of the worst
 * there is and not of any gateway, where processes mostly do other things. Usage: bench-shm [SECONDS]
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libshm/breaker.h"
#include "libshm/budget.h"
#include "libshm/clock.h"
#include "libshm/cooldown.h"
#include "libshm/gate.h"
#include "libshm/latency.h"
#include "libshm/limit.h"
#include "libshm/name.h"
#include "libshm/quota.h"
#include "libshm/slot.h"
#include "libshm/waiter.h"

static const struct gws_breaker_rules breaker = {.failures = 5, .half_open = 3, .successes = 3, .open_ms = 5000,
                                                 .max_open_ms = 30000, .stable_ms = 300000, .lease_ms = 5000};
static struct gws_breaker_rules window;
static struct gws_limit_rules rate;
static const struct gws_quota_rules day = {.limit = UINT64_C(1) << 40};
static const struct gws_budget_rules budget = {.share = 2000, .min = 3};
static const char path[] = "/dev/shm/gwshm-bench";

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void do_breaker(struct gws_region *r)
{
    struct gws_permit permit;
    uint64_t wait;
    if (gws_breaker_permit(r, 0, &breaker, 1000, &permit, &wait) == GWS_GO)
        gws_breaker_report(r, 0, &breaker, permit, GWS_OK, 1000, 0, 0);
}

static void do_window(struct gws_region *r)
{
    struct gws_permit permit;
    uint64_t wait;
    if (gws_breaker_permit(r, 0, &window, 1000, &permit, &wait) == GWS_GO)
        gws_breaker_report(r, 0, &window, permit, GWS_OK, 1000, 0, 0);
}

static void do_limit(struct gws_region *r)
{
    uint64_t wait;
    (void)gws_limit_take(r, 0, &rate, 1, 1000, &wait);
}

static void do_gate(struct gws_region *r)
{
    if (gws_gate_take(r, 0, 1000) == GWS_GATE_TAKEN)
        gws_gate_give(r, 0);
}

static void do_quota(struct gws_region *r)
{
    if (gws_quota_reserve(r, 0, &day, 1, 1000) == GWS_QUOTA_RESERVED)
        gws_quota_settle(r, 0, &day, 1, 0, 1000);
}

static void do_budget(struct gws_region *r)
{
    if (gws_budget_take(r, GWS_TALLY_RETRIES, &budget) == GWS_BUDGET_TAKEN)
        gws_tally_leave(r, GWS_TALLY_RETRIES);
}

static void do_latency(struct gws_region *r)
{
    gws_latency_feed(r, 0, 1000, 10000, 1000);
    gws_latency_count(r, 0, GWS_LATENCY_FIRST, 1000);
}

static void do_waiter(struct gws_region *r)
{
    struct gws_slots slots = {{0}};
    (void)gws_waiter_collect(r, 0, &slots);
}

/* All that a request does: cooldowns and breakers of endpoint and pair, bulkhead, day, tokens, requests; and back. */
static void do_admission(struct gws_region *r)
{
    uint64_t ms = gws_clock_ms(r);
    uint64_t ns = gws_clock_ns(r);
    struct gws_limit_charge charge;
    struct gws_permit permits[2];
    uint64_t wait;

    for (uint32_t row = 0; row < 3; row++)
        if (gws_cooldown_check(r, row, ms, &wait) != 0)
            return;
    if (gws_gate_take(r, 0, 1000) != GWS_GATE_TAKEN)
        return;
    (void)gws_quota_reserve(r, 0, &day, 1, 1000);
    (void)gws_limit_charge(r, 1, &rate, 500, ns, &charge, &wait);
    (void)gws_limit_take(r, 0, &rate, 1, ns, &wait);
    for (uint32_t row = 0; row < 2; row++)
        (void)gws_breaker_permit(r, row, &window, ms, &permits[row], &wait);
    for (uint32_t row = 0; row < 2; row++)
        gws_breaker_report(r, row, &window, permits[row], GWS_OK, ms, 0, 0);
    gws_limit_settle(r, 1, &rate, charge, 300, ns);
    gws_quota_settle(r, 0, &day, 1, 1, 1000);
    gws_gate_give(r, 0);
    do_waiter(r);
}

static double measure(struct gws_region *r, void (*work)(struct gws_region *), double seconds)
{
    uint64_t limit = (uint64_t)(seconds * 1e9);
    uint64_t start = now_ns();
    uint64_t done = 0;
    uint64_t spent;

    do {
        for (int i = 0; i < 1000; i++)
            work(r);
        done += 1000;
        spent = now_ns() - start;
    } while (spent < limit);
    return (double)spent / (double)done;
}

/* Another process on the same words, until it is shot. */
static pid_t opponent(struct gws_region *r, void (*work)(struct gws_region *), int *slot)
{
    pid_t pid;

    *slot = gws_slot_reserve(r, GWS_ROLE_WORKER, 1, 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (gws_slot_enter(r, *slot, path) != 0)
            _exit(1);
        for (;;)
            work(r);
    }
    return pid;
}

static void open_region(struct gws_region *r, uint32_t slots)
{
    const struct gws_dims dims = {.slots = slots + 2, .guests = 1, .domains = 8, .endpoints = 4, .limits = 4,
                                  .events = 64};
    const struct gws_owner owner = {geteuid(), getegid(), 0600};
    struct gws_fault fault;
    int slot = -1;

    if (gws_region_create(r, path, &dims, &owner, &fault) != 0) {
        fprintf(stderr, "%s\n", fault.text);
        exit(1);
    }
    /* All slots in use: sums look at every one of them. */
    for (uint32_t i = 0; i < slots; i++)
        slot = gws_slot_reserve(r, GWS_ROLE_WORKER, 1, 0);
    if (gws_slot_enter(r, slot, path) != 0 || gws_name_endpoint(r, "a", "b", 9, 1) < 0)
        exit(1);
}

static void one_line(const char *name, void (*work)(struct gws_region *), uint32_t slots, double seconds)
{
    struct gws_region r;
    double alone;
    double fought;
    int slot;
    pid_t pid;

    open_region(&r, slots);
    measure(&r, work, seconds / 4);
    alone = measure(&r, work, seconds);
    pid = opponent(&r, work, &slot);
    fought = measure(&r, work, seconds);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    printf("%-22s %3u slots %8.1f ns alone %8.1f ns against another %6.1f times\n", name, slots, alone, fought,
           fought / alone);
    fflush(stdout);
    gws_region_close(&r);
    unlink(path);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*work)(struct gws_region *);
        bool grows;
    } lines[] = {
        {"breaker permit, report", do_breaker, false},
        {"breaker with a window", do_window, false},
        {"limit take", do_limit, false},
        {"bulkhead take, give", do_gate, true},
        {"quota reserve, settle", do_quota, true},
        {"budget take, leave", do_budget, true},
        {"latency feed, count", do_latency, false},
        {"waiters, none there", do_waiter, false},
        {"a whole admission", do_admission, true},
    };
    double seconds = argc > 1 ? atof(argv[1]) : 0.2;

    window = breaker;
    window.window_ms = 60000;
    rate = gws_limit_rules(1000000000, 1000, UINT64_C(1) << 40);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        for (uint32_t slots = lines[i].grows ? 1 : 64; slots <= 64; slots *= 4)
            one_line(lines[i].name, lines[i].work, slots, seconds);
    return 0;
}
