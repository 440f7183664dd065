/* The stepping: ptrace, copies of the region, and which of them are judged. */

#include "tests/proof/steps.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

#include "libshm/adapt.h"
#include "libshm/breaker.h"
#include "libshm/budget.h"
#include "libshm/cooldown.h"
#include "libshm/gate.h"
#include "libshm/layout.h"
#include "libshm/limit.h"
#include "libshm/name.h"
#include "libshm/quota.h"

enum { COPIES_MAX = 4096, STEPS_MAX = 2000000, REAL_KILL_EVERY = 61, MEETINGS = 40 };

const struct gws_breaker_rules scene_breaker = {.failures = 3, .half_open = 2, .successes = 2, .open_ms = 1000,
                                                .max_open_ms = 8000, .stable_ms = 50000, .lease_ms = 500,
                                                .window_ms = 60000, .rate = 5000, .min_requests = 4};
const struct gws_cooldown_rules scene_cooldown = {.default_ms = 2000, .max_ms = 60000};
const struct gws_adapt_rules scene_adapt = {.max = 20};
const struct gws_quota_rules scene_quota = {.limit = SCENE_DAY};
const struct gws_budget_rules scene_budget = {.min = SCENE_RETRIES};

struct gws_limit_rules scene_limit(void)
{
    return gws_limit_rules(SCENE_BURST, 1000000000, 0);
}

void scene_open(struct scene *s)
{
    const struct gws_dims dims = {.slots = 6, .guests = 1, .domains = 3, .endpoints = 1, .limits = 2, .events = 16,
                                  .quotas = 1, .models = 1};

    memset(s, 0, sizeof(*s));
    fixture_create(&s->f, &dims);
    fixture_enter(&s->f, &s->f.region, GWS_ROLE_MASTER, 1);
    s->other = fixture_worker(&s->f);
    assert_int_equal(gws_name_endpoint(&s->f.region, "us-east", "https://a", 20, 1), 0);
    assert_int_equal(gws_name_limit(&s->f.region, "rpm", 1), 0);
    assert_int_equal(gws_name_quota(&s->f.region, "usd", 1), 0);
    s->over = mmap(NULL, 2 * sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(s->over != MAP_FAILED);
    s->fresh = malloc(s->f.region.size);
    assert_non_null(s->fresh);
    memcpy(s->fresh, s->f.region.base, s->f.region.size);
}

void scene_close(struct scene *s)
{
    munmap((void *)(uintptr_t)s->over, 2 * sizeof(int));
    free(s->fresh);
    gws_region_close(&s->other);
    fixture_close(&s->f);
}

int scene_setup(void **state)
{
    static struct scene scene;

    scene_open(&scene);
    *state = &scene;
    return 0;
}

int scene_teardown(void **state)
{
    struct scene *s = *state;

    print_message("%llu instructions, %llu legacies judged, %llu meetings\n", (unsigned long long)s->steps,
                  (unsigned long long)s->deaths, (unsigned long long)s->meetings);
    scene_close(s);
    return 0;
}

static unsigned char *copy_of(const struct scene *s)
{
    unsigned char *copy = malloc(s->f.region.size);

    assert_non_null(copy);
    memcpy(copy, s->f.region.base, s->f.region.size);
    return copy;
}

static void put_back(struct scene *s, const unsigned char *copy)
{
    memcpy(s->f.region.base, copy, s->f.region.size);
}

/* The process that will die, stopped right before the operation. */
static pid_t begin(struct scene *s, const struct op *op)
{
    int status;
    pid_t pid;

    put_back(s, s->fresh);
    s->over[0] = s->over[1] = 0;
    s->permit = (struct gws_permit){.gen = 0};
    if (op->prepare != NULL)
        op->prepare(s);
    assert_int_equal(gws_slot_reserve(&s->f.region, GWS_ROLE_WORKER, 1, 0), SCENE_SLOT);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct gws_region *r = &s->f.region;
        fixture_die_with_parent();
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        if (!op->outside && gws_slot_enter(r, SCENE_SLOT, s->f.path) != 0)
            _exit(9);
        if (op->mine != NULL)
            op->mine(s, r);
        raise(SIGSTOP);
        op->run(s, r);
        *s->over = 1;
        raise(SIGSTOP);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP)
        fail_msg("%s, state %d: the process did not come so far", op->name, s->state);
    return pid;
}

/* One instruction; false when the operation is over. */
static bool step(struct scene *s, pid_t pid)
{
    int status;

    s->steps++;
    assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSTOPPED(status));
    return WSTOPSIG(status) == SIGTRAP && *s->over == 0;
}

static void finish(pid_t pid)
{
    int status;

    assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    fixture_wait(pid);
}

/* Everybody but the master and the other worker is dead. */
static void reap(struct scene *s)
{
    for (int slot = SCENE_SLOT; slot < 6; slot++)
        gws_slot_reap(&s->f.region, slot, true, SCENE_NOW);
}

/* The legacies: each different state of the bytes, and the steps at which it stood. */
struct legacies {
    unsigned char *copies[COPIES_MAX];
    uint64_t since[COPIES_MAX];
    int count;
    uint64_t steps;
};

static void keep(struct scene *s, struct legacies *l)
{
    if (l->count != 0 && memcmp(l->copies[l->count - 1], s->f.region.base, s->f.region.size) == 0)
        return;
    assert_true(l->count < COPIES_MAX);
    l->copies[l->count] = copy_of(s);
    l->since[l->count++] = l->steps;
}

static void collect(struct scene *s, const struct op *op, struct legacies *l)
{
    pid_t pid = begin(s, op);

    keep(s, l);
    while (step(s, pid)) {
        l->steps++;
        keep(s, l);
        assert_true(l->steps < STEPS_MAX);
    }
    end(pid);
}

/* Kill for good after so many steps: the bytes must be those that stood there the first time, but for the pids. */
static void really_kill(struct scene *s, const struct op *op, const struct legacies *l, uint64_t steps)
{
    pid_t pid = begin(s, op);
    int at = l->count - 1;

    /* A few steps less where the kernel's clock is read, which takes as long as it takes. */
    for (uint64_t i = 0; i < steps && step(s, pid); i++)
        ;
    end(pid);
    while (l->since[at] > steps)
        at--;
    if (*s->over == 0 && !scene_same_words(s, l->copies[at], s->f.region.base, true))
        fail_msg("%s, state %d: killed after %llu steps it left other bytes", op->name, s->state,
                 (unsigned long long)steps);
}

static void judge_legacy(struct scene *s, const struct op *op, const struct legacies *l, int i, bool met)
{
    char what[160];

    snprintf(what, sizeof(what), "%s, state %d, killed after %llu of %llu steps%s", op->name, s->state,
             (unsigned long long)l->since[i], (unsigned long long)l->steps, met ? ", then another came" : "");
    put_back(s, l->copies[i]);
    if (met)
        op->meet(s, &s->other);
    s->deaths++;
    reap(s);
    scene_judge(s, l->copies[0], met ? NULL : l->copies[l->count - 1], what);
    put_back(s, l->copies[i]);
    reap(s);
    if (!op->once) {
        snprintf(what, sizeof(what), "%s, state %d, done again after a kill at %llu", op->name, s->state,
                 (unsigned long long)l->since[i]);
        op->run(s, &s->other);
        scene_judge(s, NULL, NULL, what);
    }
}

/* The two orders of an operation and the one that comes in between, each done whole. */
static void orders(struct scene *s, const struct op *op, unsigned char *copies[2])
{
    for (int i = 0; i < 2; i++) {
        pid_t pid = begin(s, op);
        if (i == 1)
            op->meet(s, &s->other);
        finish(pid);
        if (i == 0)
            op->meet(s, &s->other);
        copies[i] = copy_of(s);
        end(pid);
    }
}

static void meet(struct scene *s, const struct op *op, uint64_t steps)
{
    bool every = getenv("PROOF_ALL") != NULL || op->states == 1;
    uint64_t stride = every ? 1 : steps / MEETINGS + 1;
    unsigned char *copies[2];
    char what[160];

    orders(s, op, copies);
    for (uint64_t at = 1; at <= steps; at += stride) {
        pid_t pid = begin(s, op);
        snprintf(what, sizeof(what), "%s, state %d, another came after %llu of %llu steps", op->name, s->state,
                 (unsigned long long)at, (unsigned long long)steps);
        for (uint64_t i = 0; i < at && step(s, pid); i++)
            ;
        op->meet(s, &s->other);
        finish(pid);
        s->meetings++;
        s->stepped += s->over[1] == GWS_GATE_STEPPED;
        scene_strict(s, what);
        if (!scene_same_words(s, copies[0], s->f.region.base, false) &&
            !scene_same_words(s, copies[1], s->f.region.base, false))
            fail_msg("%s: the words are of neither order", what);
        end(pid);
        reap(s);
        scene_judge(s, NULL, NULL, what);
    }
    free(copies[0]);
    free(copies[1]);
}

void scene_prove(struct scene *s, const struct op *op)
{
    for (s->state = 0; s->state < (op->states != 0 ? op->states : 1); s->state++) {
        struct legacies *l = calloc(1, sizeof(*l));

        assert_non_null(l);
        collect(s, op, l);
        for (uint64_t steps = 7; steps < l->steps && steps < 3 * REAL_KILL_EVERY; steps += REAL_KILL_EVERY)
            really_kill(s, op, l, steps);
        for (int i = 0; i < l->count; i++) {
            judge_legacy(s, op, l, i, false);
            if (op->meet != NULL)
                judge_legacy(s, op, l, i, true);
        }
        if (op->meet != NULL)
            meet(s, op, l->steps);
        for (int i = 0; i < l->count; i++)
            free(l->copies[i]);
        free(l);
    }
}
