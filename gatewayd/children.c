#include "gatewayd/children.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatewayd/log.h"
#include "gatewayd/steward.h"
#include "gatewayd/wake.h"
#include "gatewayd/worker.h"
#include "libshm/clock.h"
#include "libshm/event.h"

/*
 * A child that dies is replaced at once, unless it died soon after its start: then the pause doubles, so that a worker
 * that cannot run does not turn the machine's time into forks. Its slot is freed here, after waitpid() and never
 * before.
 */

enum { YOUNG_MS = 1000, FIRST_PAUSE_MS = 100, LONGEST_PAUSE_MS = 10000 };

static const char *role_name(enum gws_role role)
{
    return role == GWS_ROLE_STEWARD ? "steward" : "worker";
}

static int add(struct children *children, struct generation *generation, enum gws_role role, unsigned index)
{
    if (children->count == children->size) {
        size_t size = children->size ? children->size * 2 : 16;
        struct child *larger = realloc(children->list, size * sizeof *larger);
        if (!larger)
            return -ENOMEM;
        children->list = larger;
        children->size = size;
    }
    children->list[children->count++] =
        (struct child){.role = role, .index = index, .slot = -1, .generation = generation};
    return 0;
}

int children_add(struct children *children, struct generation *generation)
{
    for (unsigned i = 0; i < generation->conf->workers; i++) {
        int rc = add(children, generation, GWS_ROLE_WORKER, i);
        if (rc != 0)
            return rc;
    }
    return add(children, generation, GWS_ROLE_STEWARD, 0);
}

/* In the child: what was the master's is let go, above all its locks, which live as long as any copy is open. */
static _Noreturn void be(const struct child *child, const struct children *all, const struct nursery *nursery)
{
    static struct process process;
    /* A socket that one generation has given up stays open, and takes in clients, as long as anybody has a copy. */
    bool worker = child->role == GWS_ROLE_WORKER;
    const struct sockets *sockets = &child->generation->sockets;
    const struct listeners *own = worker ? &sockets->clients : &sockets->admin;
    for (size_t i = 0; i < all->count; i++)
        net_forget_all(&all->list[i].generation->sockets, own);
    if (nursery->given)
        net_forget_all(nursery->given, own);
    close(nursery->alive_pipe[1]);
    close(nursery->lock_fd);
    if (nursery->talk_fd >= 0)
        close(nursery->talk_fd);
    process.region = *nursery->region;
    process.region.slot = -1;
    process.state = nursery->state;
    process.entrance = nursery->entrance;
    process.plan = child->generation->plan;
    process.user = nursery->user;
    process.slot = child->slot;
    process.master_pipe = nursery->alive_pipe[0];
    process.claim = nursery->claim;
    process.found_claim = nursery->found_claim;
    if (worker)
        snprintf(process.who, sizeof process.who, "worker %u", child->index);
    else
        snprintf(process.who, sizeof process.who, "steward");
    log_setup((enum log_level)nursery->log_level, nursery->json_log, process.who);
    secret_forked();
    int rc = worker ? worker_main(&process, own) : steward_main(&process, own);
    gws_region_close(&process.region);
    log_close();
    _exit(rc);
}

static void postpone(struct child *child, uint64_t now_ms)
{
    uint64_t pause = (uint64_t)FIRST_PAUSE_MS << (child->failures < 8 ? child->failures : 8);
    child->failures++;
    child->start_at = now_ms + (pause < LONGEST_PAUSE_MS ? pause : LONGEST_PAUSE_MS);
}

static void start(struct child *child, const struct children *all, const struct nursery *nursery, uint64_t now_ms)
{
    uint64_t region_now = gws_clock_ms(nursery->region);
    child->slot = gws_slot_reserve(nursery->region, child->role, child->generation->number, region_now);
    if (child->slot < 0) {
        log_error("no free slot in the region for another %s; waiting for draining workers to end",
                  role_name(child->role));
        postpone(child, now_ms);
        return;
    }
    pid_t pid = fork();
    if (pid == 0)
        be(child, all, nursery);
    if (pid < 0) {
        log_error("cannot fork a %s: %s", role_name(child->role), strerror(errno));
        gws_slot_reap(nursery->region, child->slot, false, region_now);
        postpone(child, now_ms);
        return;
    }
    child->pid = pid;
    child->started = now_ms;
    gws_event_record(nursery->region, GWS_EVENT_WORKER_START, GWS_NO_DOMAIN, (uint64_t)child->slot, (uint64_t)pid,
                     GWS_BY_GATEWAY, region_now);
}

int64_t children_tend(struct children *children, const struct nursery *nursery, uint64_t now_ms)
{
    int64_t next = -1;
    for (size_t i = 0; i < children->count; i++) {
        struct child *child = &children->list[i];
        if (child->pid == 0 && !child->retiring && child->start_at <= now_ms)
            start(child, children, nursery, now_ms);
        if (child->pid == 0 && !child->retiring) {
            int64_t left = child->start_at > now_ms ? (int64_t)(child->start_at - now_ms) : 0;
            next = next < 0 || left < next ? left : next;
        }
    }
    return next;
}

static void drop(struct children *children, size_t index)
{
    children->list[index] = children->list[--children->count];
}

/* What the dead held is free, and whom it was about to wake nobody knows. */
static void wake_everyone(const struct gws_region *region)
{
    struct gws_slots slots = {0};
    gws_waiter_everyone(region, &slots);
    wake_slots(&slots);
}

static void bury(struct children *children, size_t index, int status, const struct nursery *nursery, uint64_t now_ms,
                 bool stopping)
{
    struct child *child = &children->list[index];
    uint64_t region_now = gws_clock_ms(nursery->region);
    bool ordered = child->retiring || stopping;
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    gws_slot_reap_of(nursery->region, child->slot, (int32_t)child->pid, !ordered, region_now);
    wake_everyone(nursery->region);
    gws_event_record(nursery->region, ordered && clean ? GWS_EVENT_WORKER_STOP : GWS_EVENT_WORKER_DEATH, GWS_NO_DOMAIN,
                     (uint64_t)child->pid, (uint64_t)(uint32_t)status, GWS_BY_GATEWAY, region_now);
    if (WIFSIGNALED(status))
        log_warn("%s %u (pid %d) was killed by signal %d", role_name(child->role), child->index, (int)child->pid,
                 WTERMSIG(status));
    else if (!ordered || !clean)
        log_warn("%s %u (pid %d) ended with status %d", role_name(child->role), child->index, (int)child->pid,
                 WEXITSTATUS(status));
    child->pid = 0;
    child->slot = -1;
    if (ordered) {
        drop(children, index);
        return;
    }
    if (now_ms - child->started >= YOUNG_MS) {
        child->failures = 0;
        child->start_at = now_ms;
    } else {
        postpone(child, now_ms);
    }
}

void children_reap(struct children *children, const struct nursery *nursery, uint64_t now_ms, bool stopping)
{
    for (size_t i = children->count; i-- > 0;) {
        int status;
        if (children->list[i].pid != 0 && waitpid(children->list[i].pid, &status, WNOHANG) == children->list[i].pid)
            bury(children, i, status, nursery, now_ms, stopping);
    }
}

void children_retire(struct children *children, const struct generation *except, int signum)
{
    for (size_t i = children->count; i-- > 0;) {
        struct child *child = &children->list[i];
        if (except && child->generation == except)
            continue;
        child->retiring = true;
        if (child->pid != 0)
            kill(child->pid, signum);
        else
            drop(children, i);
    }
}

void children_signal(const struct children *children, enum gws_role role, int signum)
{
    for (size_t i = 0; i < children->count; i++)
        if (children->list[i].pid != 0 && children->list[i].role == role)
            kill(children->list[i].pid, signum);
}

bool children_live(const struct children *children, const struct generation *generation,
                   const struct gws_region *region)
{
    for (size_t i = 0; i < children->count; i++) {
        const struct child *child = &children->list[i];
        struct gws_slot_info info;
        if (child->generation != generation)
            continue;
        if (child->pid == 0)
            return false;
        gws_slot_read(region, child->slot, &info);
        if (info.state != GWS_SLOT_LIVE)
            return false;
    }
    return true;
}

size_t children_alive(const struct children *children)
{
    size_t alive = 0;
    for (size_t i = 0; i < children->count; i++)
        alive += children->list[i].pid != 0;
    return alive;
}

bool children_use(const struct children *children, const struct generation *generation)
{
    for (size_t i = 0; i < children->count; i++)
        if (children->list[i].generation == generation)
            return true;
    return false;
}

bool children_hold(const struct children *children, int slot)
{
    for (size_t i = 0; i < children->count; i++)
        if (children->list[i].slot == slot)
            return true;
    return false;
}

void children_fini(struct children *children)
{
    free(children->list);
    *children = (struct children){0};
}
