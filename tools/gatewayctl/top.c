/*
 * top: the region on a full screen, read again every second. It asks no daemon, so it goes on when that has ended, and
 * goes over to the file that a new one puts in its place. The region is open to look; for a change it is opened once
 * more, for as long as that takes, as the other commands do.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libshm/clock.h"
#include "gatewayd/change.h"
#include "gatewayd/names.h"
#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/command.h"
#include "tools/gatewayctl/out.h"
#include "tools/gatewayctl/region.h"
#include "tools/gatewayctl/terminal.h"
#include "tools/gatewayctl/top_draw.h"
#include "tools/gatewayctl/top_model.h"
#include "tools/gatewayctl/top_view.h"

enum { INTERVAL_DEFAULT_MS = 1000, INTERVAL_LEAST_MS = 100, INTERVAL_MOST_MS = 3600 * 1000 };

struct top {
    const char *path;
    struct gws_region region;
    struct top_model model;
    struct top_view view;
    struct screen screen;
    sigset_t awake; /* the signal mask while it waits: at no other time is it interrupted */
    uint64_t next;  /* when the region is read again */
};

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static void watch_signals(struct top *top)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    const struct sigaction action = {.sa_handler = interrupt};
    sigset_t held;
    sigemptyset(&held);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        sigaddset(&held, numbers[i]);
        sigaction(numbers[i], &action, NULL);
    }
    sigprocmask(SIG_BLOCK, &held, &top->awake);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigdelset(&top->awake, numbers[i]);
}

/* A clock that goes on when the region is another one. */
static uint64_t clock_ms(void)
{
    return gws_clock_boot_ns() / 1000000;
}

static void look(struct top *top)
{
    struct gws_region next;
    struct top_reading reading;
    if (region_follow(top->path, &top->region, &next)) {
        gws_region_close(&top->region);
        top->region = next;
        top_model_afresh(&top->model);
    }
    top->view.note = access(top->path, F_OK) == 0 ? NULL : "THE REGION'S FILE IS GONE; this is what it said";
    top_reading_take(&reading, &top->region, top->path, gws_clock_ms(&top->region));
    top_model_feed(&top->model, &reading, clock_ms());
}

/* What came of a change in one line: the first domain that is different now, and how many more. */
static void report(struct top *top, const struct change_done *done, size_t changed)
{
    char others[48] = "";
    if (changed > 1)
        snprintf(others, sizeof(others), " (and %zu more)", changed - 1);
    if (changed == 0)
        top_view_say(&top->view, false, clock_ms(), "%s: it was so before", top->view.order.name);
    else
        top_view_say(&top->view, false, clock_ms(), "%s%s: %s -> %s%s",
                     done->name->info.kind == GWS_KIND_ACCOUNT ? "account " : "", done->name->label, done->from.text,
                     done->to.text, others);
}

/* Whether the change is one of this row: of the name's domains, and of the account that was named with it. */
static bool is_meant(const struct top_order *order, const struct names_row *row)
{
    bool whole = order->kind == CHANGE_DRAIN || order->kind == CHANGE_ENABLE;
    if (row->info.kind == GWS_KIND_ACCOUNT)
        return order->kind == CHANGE_COOLDOWN_CLEAR &&
               (strcmp(row->label, order->account) == 0 || strcmp(row->label, order->name) == 0);
    if (strcmp(row->label, order->name) == 0)
        return true;
    return !whole && row->info.kind == GWS_KIND_PAIR && strcmp(row->info.name, order->name) == 0;
}

static void change_all(struct top *top, struct gws_region *region)
{
    const struct change change = {.kind = top->view.order.kind, .who = getuid()};
    struct change_done done, first = {.name = NULL};
    size_t meant = 0, changed = 0;
    struct names names;
    names_load(&names, region);
    for (size_t i = 0; i < names.count; i++) {
        if (!is_meant(&top->view.order, &names.rows[i]))
            continue;
        meant++;
        bool tells = change_one(region, &names.rows[i], &change, gws_clock_ms(region), &done);
        if (tells && strcmp(done.from.text, done.to.text) != 0 && changed++ == 0)
            first = done;
    }
    if (meant > 0)
        report(top, &first, changed);
    else
        top_view_say(&top->view, true, clock_ms(), "there is no %s any more", top->view.order.name);
    names_fini(&names);
}

static void carry_out(struct top *top)
{
    struct gws_region region;
    struct gws_fault fault;
    if (region_enter_at(top->path, GWS_CHANGE, &region, &fault) != 0) {
        top_view_say(&top->view, true, clock_ms(), "%s", fault.text);
        return;
    }
    change_all(top, &region);
    region_leave(&region);
    top->next = 0;
}

static void draw(struct top *top)
{
    int width, height;
    terminal_size(&width, &height);
    if (width != top->screen.width || height != top->screen.height) {
        screen_fini(&top->screen);
        screen_init(&top->screen, width, height, terminal_unicode());
    }
    top_draw(&top->screen, &top->model, &top->view);
    terminal_show(&top->screen);
}

/* Read all keys that are there; false when one of them ends it. */
static bool obey(struct top *top)
{
    int key;
    while ((key = terminal_key()) >= 0) {
        enum top_wish wish = top_view_key(&top->view, &top->model, key, clock_ms());
        if (wish == TOP_QUIT)
            return false;
        if (wish == TOP_CARRY_OUT)
            carry_out(top);
        draw(top); /* keys that come together see what the one before did, so that a paste asks like a hand */
    }
    return true;
}

static void run(struct top *top)
{
    while (!interrupted) {
        uint64_t now = clock_ms();
        if (now >= top->next) {
            look(top);
            top->next = now + top->view.interval_ms;
        }
        if (now >= top->view.message_until)
            top->view.message[0] = '\0';
        draw(top);
        now = clock_ms();
        int left = top->next > now ? (int)(top->next - now) : 0;
        if (terminal_wait(left, &top->awake) < 0 || !obey(top))
            break;
    }
}

static int show(const char *path, uint64_t interval_ms)
{
    struct top *top = show_must(calloc(1, sizeof(*top)));
    char why[256], last_words[REGION_PATH_SIZE + 64];
    top->path = path;
    top->view.interval_ms = interval_ms;
    int status = region_open(path, GWS_LOOK, &top->region);
    if (status == 0 && terminal_open(why, sizeof(why)) != 0) {
        out_say("%s", why);
        gws_region_close(&top->region);
        status = CTL_USAGE;
    }
    if (status == 0) {
        snprintf(last_words, sizeof(last_words), "%s was cut short while it was read; start gatewayd again", path);
        terminal_fear(last_words, CTL_NO_REGION);
        watch_signals(top);
        top_model_init(&top->model);
        run(top);
        terminal_close();
        terminal_fear(NULL, 0);
        sigprocmask(SIG_SETMASK, &top->awake, NULL);
        top_model_fini(&top->model);
        screen_fini(&top->screen);
        region_leave(&top->region);
    }
    free(top);
    return status;
}

int command_top(const struct ctl *ctl, int argc, char **argv)
{
    const char *interval = NULL;
    uint64_t interval_ms = INTERVAL_DEFAULT_MS;
    char path[REGION_PATH_SIZE];
    const struct args_option options[] = {{"--interval", "-i", NULL, &interval}};
    if (args_take(&argc, argv, options, 1, argv[0]) != 0 || args_operands(argc, argv, 0, 0) != 0)
        return CTL_USAGE;
    if (interval && args_duration(argv[0], "--interval", interval, &interval_ms) != 0)
        return CTL_USAGE;
    if (interval_ms < INTERVAL_LEAST_MS || interval_ms > INTERVAL_MOST_MS)
        return out_usage(argv[0], "--interval is from 100ms to 1h");
    if (ctl->json)
        return out_usage(argv[0], "top is for people; for programs there is gatewayctl --json status");
    int status = region_path(ctl, path);
    return status != 0 ? status : show(path, interval_ms);
}
