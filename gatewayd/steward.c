#include "gatewayd/steward.h"

#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/admin.h"
#include "gatewayd/hook.h"
#include "gatewayd/log.h"
#include "gatewayd/upstream.h"
#include "libshm/breaker.h"
#include "libshm/clock.h"

/*
 * A passing probe never closes a breaker: it only brings the next trial request forward, because what matters is
 * whether real requests succeed. A failing one counts as a failure. 401 and 404 pass: the endpoint is there and
 * answers.
 */

/* How long undelivered hooks may hold up an end that somebody waits for, and one that nobody does. */
enum { STOP_MS = 2000, RETIRE_MS = 30000 };

enum { ANSWER_MAX = 16384 /* of the body of an answer to a probe */ };

struct probe {
    const struct plan_target *target;
    struct transfer *transfer;
    struct event_timer next;
    struct event_timer limit;
    int status;   /* of the answer; 0: none yet */
    size_t heard; /* bytes of its body */
};

static struct steward {
    struct process *process;
    struct upstream *upstream;
    struct hooks *hooks;
    struct probe *probes;
    uint32_t count;
    struct admin *admin; /* NULL: nobody is to be served */
    bool hooks_over;     /* when ending */
    bool admin_over;
} self;

static uint64_t now_ms(void)
{
    return event_now_ms(&self.process->loop);
}

static void conclude(struct probe *probe, bool passed)
{
    struct gws_region *region = &self.process->region;
    const struct plan_target *t = probe->target;
    uint64_t now = gws_clock_ms(region);
    probe->transfer = NULL;
    event_timer_off(&probe->limit);
    if (passed)
        gws_breaker_advance(region, t->row, now);
    else
        gws_breaker_probe_failed(region, t->row, &t->breaker, now, secret_random32());
    event_timer_at(&probe->next, now_ms() + t->conf->health.interval);
}

static enum upstream_flow on_head(void *owner, const struct upstream_response *response)
{
    struct probe *probe = owner;
    probe->status = response->status;
    return UPSTREAM_TAKEN;
}

/* Only the status is of interest; a long body is not read to its end. */
static enum upstream_flow on_body(void *owner, const char *bytes, size_t len)
{
    struct probe *probe = owner;
    (void)bytes;
    probe->heard += len;
    return probe->heard > ANSWER_MAX ? UPSTREAM_ABORT : UPSTREAM_TAKEN;
}

static void on_done(void *owner, enum upstream_end end, const char *why)
{
    struct probe *probe = owner;
    bool answered = probe->status != 0 && (end == UPSTREAM_COMPLETE || end == UPSTREAM_ABORTED);
    bool passed = answered && probe->status < 500;
    if (!passed)
        log_warn("probe of %s failed: %s", probe->target->conf->name, answered ? "a status of 500 or above" : why);
    conclude(probe, passed);
}

static const struct upstream_events probe_events = {on_head, on_body, on_done};

static void begin(struct event_timer *timer)
{
    struct probe *probe = (struct probe *)(void *)((char *)timer - offsetof(struct probe, next));
    const struct conf_endpoint *conf = probe->target->conf;
    struct upstream_request request = {
        .target = probe->target,
        .events = &probe_events,
        .owner = probe,
        .method = STR("GET"),
        .path = str_of(conf->health.path),
        .fresh = true, /* a kept connection would only show that it was kept */
        .connect_ms = conf->health.timeout,
    };
    probe->status = 0;
    probe->heard = 0;
    if (upstream_start(self.upstream, &request, &probe->transfer) != 0) {
        event_timer_at(&probe->next, now_ms() + conf->health.interval);
        return;
    }
    event_timer_at(&probe->limit, now_ms() + conf->health.timeout);
}

static void too_late(struct event_timer *timer)
{
    struct probe *probe = (struct probe *)(void *)((char *)timer - offsetof(struct probe, limit));
    upstream_cancel(probe->transfer);
    log_warn("probe of %s failed: no answer in time", probe->target->conf->name);
    conclude(probe, false);
}

static void stop_probes(void)
{
    for (uint32_t i = 0; i < self.count; i++) {
        upstream_cancel(self.probes[i].transfer);
        self.probes[i].transfer = NULL;
        event_timer_stop(&self.probes[i].next);
        event_timer_stop(&self.probes[i].limit);
    }
}

/* What is left to do ends side by side, and whoever is last ends the process. */
static void leave(void)
{
    if (self.hooks_over && self.admin_over)
        process_exit(self.process);
}

static void hooks_over(void)
{
    self.hooks_over = true;
    leave();
}

static void admin_over(void)
{
    self.admin_over = true;
    leave();
}

static void ending(struct process *process, enum process_end how)
{
    stop_probes();
    if (how == PROCESS_QUIT) {
        process_exit(process);
        return;
    }
    admin_drain(self.admin, admin_over);
    hook_finish(self.hooks, how == PROCESS_DRAIN_STOP ? STOP_MS : RETIRE_MS, hooks_over);
}

static void before_sleep(void *owner)
{
    (void)owner;
    upstream_turn(self.upstream);
    hook_turn(self.hooks);
    admin_turn(self.admin);
    log_access_flush(); /* of the lines that were held back */
}

static int start(const struct listeners *admin)
{
    struct process *p = self.process;
    self.upstream = upstream_new(&p->loop, p->plan);
    self.probes = calloc(p->plan->target_count, sizeof *self.probes);
    if (!self.upstream || !self.probes || hook_open(&self.hooks, p) != 0)
        return -1;
    p->ending = ending;
    if (admin->count > 0 && admin_new(&self.admin, p, admin) != 0)
        return -1;
    event_loop_before_sleep(&p->loop, before_sleep, &self);
    for (uint32_t i = 0; i < p->plan->target_count; i++) {
        const struct plan_target *t = &p->plan->targets[i];
        if (!t->conf->health.on)
            continue;
        struct probe *probe = &self.probes[self.count++];
        probe->target = t;
        event_timer_init(&probe->next, &p->loop, begin);
        event_timer_init(&probe->limit, &p->loop, too_late);
        event_timer_at(&probe->next, now_ms() + secret_random_below(t->conf->health.interval + 1));
    }
    return 0;
}

int steward_main(struct process *process, const struct listeners *admin)
{
    self.process = process;
    int rc = process_enter(process);
    if (rc != 0)
        return rc;
    /* It logs no requests: the file that is open for that would be kept from being freed after a rotation. */
    log_access_open("off");
    rc = start(admin);
    if (rc == 0)
        process_run(process);
    else
        log_error("cannot start: out of memory");
    stop_probes();
    hook_close(self.hooks);
    admin_free(self.admin);
    upstream_free(self.upstream);
    free(self.probes);
    process_fini(process);
    return rc == 0 ? 0 : 1;
}
