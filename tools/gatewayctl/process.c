/*
 * reload and stop: a signal to the master, and then how it went, read from where the master leaves it: the event log,
 * the report beside the region, the lock it holds for as long as it lives.
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libshm/clock.h"
#include "libshm/event.h"
#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/command.h"
#include "tools/gatewayctl/out.h"
#include "tools/gatewayctl/process.h"
#include "tools/gatewayctl/region.h"
#include "gatewayd/times.h"

enum { RELOAD_MS = 30 * 1000, STOP_MS = 60 * 1000, BATCH = 1024, REPORT_LINES_MAX = 1000 };

/* What the wait for a reload ended with. */
enum outcome { WAITING, RELOADED, REFUSED, ENDED, TOO_LATE };

uint64_t process_now_ms(void)
{
    return gws_clock_boot_ns() / 1000000;
}

void process_rest(void)
{
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    nanosleep(&pause, NULL);
}

int process_signal(int32_t pid, int number)
{
    if (kill(pid, number) == 0)
        return 0;
    if (errno == EPERM) {
        out_say("not permitted to signal gatewayd (pid %" PRId32 "); run as root or as the user it runs as", pid);
        return CTL_NO_REGION;
    }
    out_say("gatewayd (pid %" PRId32 ") cannot be signalled: %s; see gatewayctl status", pid, strerror(errno));
    return CTL_NO;
}

int process_words(int argc, char **argv, uint64_t *timeout_ms)
{
    const char *text = NULL;
    const struct args_option options[] = {{"--timeout", NULL, NULL, &text}};
    if (args_take(&argc, argv, options, 1, argv[0]) != 0 || args_operands(argc, argv, 0, 0) != 0)
        return CTL_USAGE;
    return text ? args_duration(argv[0], "--timeout", text, timeout_ms) : 0;
}

static enum outcome look(const struct gws_region *region, struct gws_event_cursor *cursor, uint64_t *generation)
{
    enum outcome outcome = WAITING;
    struct gws_event *batch = show_must(calloc(BATCH, sizeof(*batch)));
    size_t count = gws_event_collect(region, cursor, batch, BATCH);
    for (size_t i = 0; i < count; i++) {
        if (batch[i].code == GWS_EVENT_RELOAD) {
            *generation = batch[i].new;
            outcome = RELOADED;
        } else if (batch[i].code == GWS_EVENT_RELOAD_FAILED) {
            outcome = REFUSED;
        }
    }
    free(batch);
    return outcome;
}

static enum outcome wait_for_reload(const struct gws_region *region, struct gws_event_cursor *cursor, const char *path,
                                    int32_t pid, uint64_t timeout_ms, uint64_t *generation)
{
    uint64_t deadline = process_now_ms() + timeout_ms;
    for (;;) {
        /* Whether it lives is asked before the last look: what it said and then ended is heard. */
        int32_t holder = gws_lock_holder(path);
        enum outcome outcome = look(region, cursor, generation);
        if (outcome != WAITING)
            return outcome;
        if (holder >= 0 && holder != pid)
            return ENDED;
        if (process_now_ms() >= deadline)
            return TOO_LATE;
        process_rest();
    }
}

json_t *process_report(const char *path)
{
    char name[REGION_PATH_SIZE + 8];
    char line[2048];
    json_t *lines = show_must(json_array());
    snprintf(name, sizeof(name), "%s.report", path);
    FILE *file = fopen(name, "re");
    while (file && json_array_size(lines) < REPORT_LINES_MAX && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        show_clean(line);
        json_array_append_new(lines, show_must(json_string(line)));
    }
    if (file)
        fclose(file);
    return lines;
}

void process_print_report(const json_t *lines)
{
    for (size_t i = 0; i < json_array_size(lines); i++)
        fprintf(stderr, "%s\n", json_string_value(json_array_get(lines, i)));
}

int process_unheard(const struct ctl *ctl, const char *asked, const char *line)
{
    out_say("%s", line);
    if (ctl->json)
        out_json(json_pack("{s:n, s:[s]}", asked, "problems", line));
    return CTL_NO;
}

static int refused(const struct ctl *ctl, const char *path, const struct gws_region *region)
{
    json_t *lines = process_report(path);
    size_t count = json_array_size(lines);
    if (!ctl->json)
        process_print_report(lines);
    out_say("the new configuration was refused and nothing has changed; %s",
            count > 0 ? "correct what the lines say and reload again" : "see the log of gatewayd for the reason");
    if (ctl->json)
        out_json(json_pack("{s:b, s:I, s:O}", "reloaded", 0, "generation", (json_int_t)gws_region_generation(region),
                           "problems", lines));
    json_decref(lines);
    return CTL_NO;
}

static int report_reload(const struct ctl *ctl, enum outcome outcome, const char *path,
                         const struct gws_region *region, uint64_t generation, uint64_t timeout_ms)
{
    char line[160];
    switch (outcome) {
    case RELOADED:
        if (ctl->json)
            out_json(json_pack("{s:b, s:I, s:[]}", "reloaded", 1, "generation", (json_int_t)generation, "problems"));
        else
            printf("reloaded: generation %" PRIu64 "\n", generation);
        return CTL_DONE;
    case REFUSED:
        return refused(ctl, path, region);
    case ENDED:
        return process_unheard(ctl, "reloaded",
                               "gatewayd ended while it was to reload; see its log, and start it again");
    default:
        snprintf(line, sizeof(line), "gatewayd has not said within %s whether it reloaded; see its log, or gatewayctl "
                 "events", times_span(timeout_ms).text);
        return process_unheard(ctl, "reloaded", line);
    }
}

int command_reload(const struct ctl *ctl, int argc, char **argv)
{
    uint64_t timeout_ms = RELOAD_MS, generation = 0;
    char path[REGION_PATH_SIZE];
    struct gws_region region;
    int32_t pid = 0;
    if (process_words(argc, argv, &timeout_ms) != 0)
        return CTL_USAGE;
    int status = region_path(ctl, path);
    if (status == 0)
        status = region_master(path, &pid);
    if (status == 0)
        status = region_open(path, GWS_LOOK, &region);
    if (status != 0)
        return status;

    /* Where the log stands before the signal: only what comes after it is an answer to it. */
    struct gws_event_cursor cursor = {0};
    gws_event_collect(&region, &cursor, NULL, 0);
    status = process_signal(pid, SIGHUP);
    if (status == 0) {
        enum outcome outcome = wait_for_reload(&region, &cursor, path, pid, timeout_ms, &generation);
        status = report_reload(ctl, outcome, path, &region, generation, timeout_ms);
    }
    region_leave(&region);
    return status;
}

int command_stop(const struct ctl *ctl, int argc, char **argv)
{
    uint64_t timeout_ms = STOP_MS;
    char path[REGION_PATH_SIZE];
    int32_t pid = 0;
    if (process_words(argc, argv, &timeout_ms) != 0)
        return CTL_USAGE;
    int status = region_path(ctl, path);
    if (status == 0)
        status = region_master(path, &pid);
    if (status == 0)
        status = process_signal(pid, SIGTERM);
    if (status != 0)
        return status;

    uint64_t deadline = process_now_ms() + timeout_ms;
    int32_t holder;
    while ((holder = gws_lock_holder(path)) == pid || holder < 0) {
        if (process_now_ms() >= deadline) {
            out_say("gatewayd (pid %" PRId32 ") is still ending after %s; wait longer with --timeout, or see its log",
                    pid, times_span(timeout_ms).text);
            if (ctl->json)
                out_json(json_pack("{s:b, s:I}", "stopped", 0, "pid", (json_int_t)pid));
            return CTL_NO;
        }
        process_rest();
    }
    if (ctl->json)
        out_json(json_pack("{s:b, s:I}", "stopped", 1, "pid", (json_int_t)pid));
    else
        puts("stopped");
    return CTL_DONE;
}
