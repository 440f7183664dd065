/*
 * events: the last N, and with --follow whatever comes. Following polls the rings, which costs nothing anyone would
 * notice and needs no daemon; and it looks at the path as well, because a daemon may put a new file in its place, and
 * the log of the old one would be silent for ever.
 */

#include "libshm/event.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/command.h"
#include "gatewayd/history.h"
#include "tools/gatewayctl/out.h"
#include "tools/gatewayctl/region.h"

enum { LAST_DEFAULT = 100, LAST_MAX = 1000000, POLL_MS = 200 };

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

struct tail {
    const struct ctl *ctl;
    const char *path;
    struct gws_region region;
    struct history_view view; /* as long as the region stays */
    struct gws_event_cursor cursor;
};

static void print(const struct tail *tail, const struct gws_event *event)
{
    if (tail->ctl->json)
        out_json_line(history_json(&tail->view, event));
    else
        history_print(&tail->view, event);
}

static void print_new(struct tail *tail)
{
    size_t count;
    struct gws_event *events = history_read(&tail->region, &tail->cursor, SIZE_MAX, NULL, NULL, &count);
    for (size_t i = 0; i < count; i++)
        print(tail, &events[i]);
    free(events);
}

/* Go over to the file that now stands at the path, once it can be opened. */
static void follow_path(struct tail *tail)
{
    struct gws_region next;
    if (!region_follow(tail->path, &tail->region, &next))
        return;
    print_new(tail);
    gws_region_close(&tail->region);
    tail->region = next;
    tail->view = history_view(&tail->region);
    tail->cursor = (struct gws_event_cursor){0};
}

/* Sleep until the next look; false when whoever reads our output has gone. */
static bool rest(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    return poll(&out, 1, POLL_MS) <= 0;
}

static void follow(struct tail *tail)
{
    struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    while (!interrupted && out_flush() && rest()) {
        print_new(tail);
        follow_path(tail);
    }
}

static void print_last(struct tail *tail, size_t last, bool alone)
{
    size_t count;
    struct gws_event *events = history_read(&tail->region, &tail->cursor, last, NULL, NULL, &count);
    json_t *list = show_must(json_array());
    if (!tail->ctl->json && (count > 0 || !alone))
        history_print_head();
    for (size_t i = 0; i < count; i++) {
        if (tail->ctl->json && alone)
            json_array_append_new(list, history_json(&tail->view, &events[i]));
        else
            print(tail, &events[i]);
    }
    if (tail->ctl->json && alone)
        out_json(json_pack("{s:O}", "events", list));
    else if (alone && count == 0)
        puts("no events");
    json_decref(list);
    free(events);
}

int command_events(const struct ctl *ctl, int argc, char **argv)
{
    const char *number = NULL;
    bool following = false;
    uint64_t last = LAST_DEFAULT;
    const struct args_option options[] = {{"--number", "-n", NULL, &number}, {"--follow", "-f", &following, NULL}};
    if (args_take(&argc, argv, options, 2, argv[0]) != 0 || args_operands(argc, argv, 0, 0) != 0)
        return CTL_USAGE;
    if (number && args_number(argv[0], "-n", number, 0, LAST_MAX, &last) != 0)
        return CTL_USAGE;

    char path[REGION_PATH_SIZE];
    struct tail *tail = show_must(calloc(1, sizeof(*tail)));
    tail->ctl = ctl;
    tail->path = path;
    int status = region_path(ctl, path);
    if (status == 0)
        status = region_open(path, GWS_LOOK, &tail->region);
    if (status == 0) {
        tail->view = history_view(&tail->region);
        print_last(tail, last, !following);
        if (following)
            follow(tail);
        region_leave(&tail->region);
    }
    free(tail);
    return status;
}
