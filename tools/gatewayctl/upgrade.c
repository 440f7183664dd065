/*
 * upgrade: a signal to the master, which starts the program that stands where it was started from, and then how it
 * went. The answer stands in the event log of the region that was open before: the new master writes it, or, when that
 * one has made a region of another layout, the old one before it retires.
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/times.h"
#include "libshm/event.h"
#include "tools/gatewayctl/command.h"
#include "tools/gatewayctl/out.h"
#include "tools/gatewayctl/process.h"
#include "tools/gatewayctl/region.h"

enum { UPGRADE_MS = 60 * 1000, GONE_MS = 5 * 1000, BATCH = 1024 };

enum outcome { WAITING, UPGRADED, FAILED, REFUSED, ENDED, TOO_LATE };

struct wait {
    const struct gws_region *region;
    struct gws_event_cursor cursor;
    const char *path;
    int32_t pid;     /* the master that was asked */
    int32_t heir;    /* the one it started */
    uint64_t gone;   /* when the asked one was first seen to be gone, and the one it started to hold the lock */
    bool begun;      /* from here on a refusal is meant for somebody else who asked */
    uint64_t version;
    uint64_t generation;
};

static enum outcome hear(struct wait *wait, const struct gws_event *event)
{
    switch (event->code) {
    case GWS_EVENT_UPGRADE_BEGUN:
        wait->begun = true;
        wait->heir = (int32_t)event->new;
        return WAITING;
    case GWS_EVENT_UPGRADE_REFUSED:
        return wait->begun ? WAITING : REFUSED;
    case GWS_EVENT_UPGRADE_FAILED:
        return wait->begun ? FAILED : WAITING;
    case GWS_EVENT_UPGRADE:
        wait->version = event->old;
        wait->generation = event->new;
        return wait->begun ? UPGRADED : WAITING;
    default:
        return WAITING;
    }
}

static enum outcome look(struct wait *wait)
{
    enum outcome outcome = WAITING;
    struct gws_event *batch = show_must(calloc(BATCH, sizeof(*batch)));
    size_t count = gws_event_collect(wait->region, &wait->cursor, batch, BATCH);
    for (size_t i = 0; i < count && outcome == WAITING; i++)
        outcome = hear(wait, &batch[i]);
    free(batch);
    return outcome;
}

/* The asked master died in the middle. For a while the one that it started may still say how it went on. */
static bool ended(struct wait *wait, int32_t holder)
{
    if (holder >= 0 && holder != wait->pid && holder != wait->heir)
        return true;
    if (kill(wait->pid, 0) == 0 || errno != ESRCH)
        return false;
    if (wait->gone == 0)
        wait->gone = process_now_ms();
    return process_now_ms() - wait->gone >= GONE_MS;
}

static enum outcome wait_for_it(struct wait *wait, uint64_t timeout_ms)
{
    uint64_t deadline = process_now_ms() + timeout_ms;
    for (;;) {
        /* Whether it lives is asked before the last look: what it said and then ended is heard. */
        int32_t holder = gws_lock_holder(wait->path);
        enum outcome outcome = look(wait);
        if (outcome != WAITING)
            return outcome;
        if (ended(wait, holder))
            return ENDED;
        if (process_now_ms() >= deadline)
            return TOO_LATE;
        process_rest();
    }
}

static int done(const struct ctl *ctl, const struct wait *wait)
{
    char version[32];
    snprintf(version, sizeof(version), "%u.%u.%u", (unsigned)(wait->version >> 32 & 0xffff),
             (unsigned)(wait->version >> 16 & 0xffff), (unsigned)(wait->version & 0xffff));
    if (ctl->json)
        out_json(json_pack("{s:b, s:i, s:s, s:I, s:[]}", "upgraded", 1, "pid", (int)wait->heir, "version", version,
                           "generation", (json_int_t)wait->generation, "problems"));
    else
        printf("upgraded: gatewayd %s, pid %" PRId32 ", generation %" PRIu64 "\n", version, wait->heir,
               wait->generation);
    return CTL_DONE;
}

static int not_done(const struct ctl *ctl, const struct wait *wait, const char *what)
{
    json_t *lines = process_report(wait->path);
    int32_t holder = gws_lock_holder(wait->path);
    if (!ctl->json)
        process_print_report(lines);
    if (holder == wait->pid)
        out_say("%s; gatewayd (pid %" PRId32 ") serves on as before", what, wait->pid);
    else
        out_say("%s; see the log of gatewayd, and start it again", what);
    if (ctl->json)
        out_json(json_pack("{s:b, s:i, s:O}", "upgraded", 0, "pid", (int)holder, "problems", lines));
    json_decref(lines);
    return CTL_NO;
}

static int report(const struct ctl *ctl, enum outcome outcome, const struct wait *wait, uint64_t timeout_ms)
{
    char line[160];
    switch (outcome) {
    case UPGRADED:
        return done(ctl, wait);
    case REFUSED:
        return not_done(ctl, wait, "the upgrade was refused");
    case FAILED:
        return not_done(ctl, wait, "the upgrade failed");
    case ENDED:
        snprintf(line, sizeof(line), "gatewayd (pid %" PRId32 ") ended while it was to upgrade; see its log, and "
                 "gatewayctl status", wait->pid);
        return process_unheard(ctl, "upgraded", line);
    default:
        snprintf(line, sizeof(line), "gatewayd has not said within %s whether it upgraded; see its log, or gatewayctl "
                 "events", times_span(timeout_ms).text);
        return process_unheard(ctl, "upgraded", line);
    }
}

int command_upgrade(const struct ctl *ctl, int argc, char **argv)
{
    static struct wait wait;
    uint64_t timeout_ms = UPGRADE_MS;
    char path[REGION_PATH_SIZE];
    struct gws_region region;
    if (process_words(argc, argv, &timeout_ms) != 0)
        return CTL_USAGE;
    int status = region_path(ctl, path);
    if (status == 0)
        status = region_master(path, &wait.pid);
    if (status == 0)
        status = region_open(path, GWS_LOOK, &region);
    if (status != 0)
        return status;

    /* Where the log stands before the signal: only what comes after it is an answer to it. */
    wait.region = &region;
    wait.path = path;
    gws_event_collect(&region, &wait.cursor, NULL, 0);
    status = process_signal(wait.pid, SIGUSR2);
    if (status == 0)
        status = report(ctl, wait_for_it(&wait, timeout_ms), &wait, timeout_ms);
    region_leave(&region);
    return status;
}
