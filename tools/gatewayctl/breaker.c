/*
 * breaker list, show, reset, open, close, auto. An action is applied to every domain NAME means, each by the operation
 * of the region that bumps the word's generation: what is in flight can not undo it. The uid recorded is the real one,
 * the person's, also when the tool runs with more rights.
 */

#include "libshm/breaker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libshm/clock.h"
#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/breaker_evidence.h"
#include "tools/gatewayctl/command.h"
#include "gatewayd/change.h"
#include "gatewayd/history.h"
#include "gatewayd/names.h"
#include "tools/gatewayctl/out.h"
#include "tools/gatewayctl/region.h"
#include "gatewayd/overview.h"
#include "gatewayd/times.h"

/* How many of a domain's last events `show` prints. */
enum { SHOW_EVENTS = 10 };

/* One call of the tool: what is done to which names. */
struct job {
    const struct ctl *ctl;
    struct gws_region *region;
    struct names names;
    struct history_view view;
    struct history_trips trips;
    uint64_t now;
    uint64_t hold_ms; /* of `open`; 0: for ever */
};

/* A domain's breaker as list and show print it. */
struct evidence {
    struct gws_breaker_view view;
    struct state_view state;
    const char *name;
    uint32_t failures;
    uint64_t until_ms;
    uint64_t since_ms; /* closed for so long; 0 when it is not closed */
    struct gws_window_totals window; /* of the last minute */
    struct gws_window_totals tripped_on; /* that opened it; a total of 0: it is not open by its window */
};

static struct evidence gather(struct job *job, const struct names_row *row)
{
    struct state_domain domain = overview_domain(job->region, &job->trips, row);
    struct evidence evidence = {.view = domain.breaker, .name = words_breaker_name(&domain.breaker, job->now)};
    domain.cooldown = (struct gws_cooldown_view){0};
    evidence.state = state_of_domain(&domain, job->now);
    evidence.failures = domain.breaker.mode == GWS_OPEN ? domain.tripped_by : domain.breaker.failures;
    evidence.until_ms = evidence.state.until_ms;
    if (domain.breaker.mode == GWS_CLOSED && job->now > domain.breaker.t)
        evidence.since_ms = job->now - domain.breaker.t;
    evidence.window = gws_window_read(job->region, row->row, job->now);
    evidence.tripped_on = domain.tripped_on;
    return evidence;
}

static json_t *window_json(const struct gws_window_totals *window)
{
    return show_must(json_pack("{s:I, s:I, s:I, s:I}", "tries", (json_int_t)window->total, "failed",
                              (json_int_t)window->failed, "slow", (json_int_t)window->slow, "span_ms",
                              (json_int_t)window->span_ms));
}

static json_t *evidence_json(const struct names_row *row, const struct evidence *evidence)
{
    json_t *model = row->info.kind == GWS_KIND_PAIR ? json_string(row->info.model) : json_null();
    const struct gws_breaker_view *view = &evidence->view;
    json_t *tripped_on = evidence->tripped_on.total > 0 ? window_json(&evidence->tripped_on) : json_null();
    return show_must(json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I}, s:o, s:o}",
                              "name", row->label, "endpoint", row->info.name, "model", model, "breaker", evidence->name,
                              "reason", evidence->state.reason, "trip", words_trip_name(view->reason), "until_ms",
                              (json_int_t)evidence->until_ms, "closed_ms", (json_int_t)evidence->since_ms, "failures",
                              (json_int_t)evidence->failures, "level", (json_int_t)view->level, "generation",
                              (json_int_t)view->gen, "trials", "out", (json_int_t)view->outstanding, "succeeded",
                              (json_int_t)view->successes, "window", window_json(&evidence->window), "tripped_on",
                              tripped_on));
}

static enum out_color color_of(const struct evidence *evidence)
{
    if (evidence->state.kind == STATE_HEALTHY)
        return OUT_GREEN;
    return evidence->state.kind >= STATE_OPEN ? OUT_RED : OUT_YELLOW;
}

static int list(struct job *job)
{
    if (job->ctl->json) {
        json_t *breakers = show_must(json_array());
        for (size_t i = 0; i < job->names.count; i++) {
            struct evidence evidence = gather(job, &job->names.rows[i]);
            json_array_append_new(breakers, evidence_json(&job->names.rows[i], &evidence));
        }
        out_json(json_pack("{s:o}", "breakers", breakers));
        return CTL_DONE;
    }
    static const char *const heads[] = {"NAME", "BREAKER", "WHY", "LEVEL", "CLOSED FOR"};
    struct out_table table;
    out_table_init(&table, heads, 5, 0x8);
    for (size_t i = 0; i < job->names.count; i++) {
        struct evidence evidence = gather(job, &job->names.rows[i]);
        bool closed = evidence.view.mode == GWS_CLOSED;
        out_cell(&table, OUT_PLAIN, "%s", job->names.rows[i].label);
        out_cell(&table, color_of(&evidence), "%s", evidence.name);
        out_cell(&table, OUT_PLAIN, "%s", evidence.state.reason[0] ? evidence.state.reason : "-");
        out_cell(&table, OUT_PLAIN, "%u", evidence.view.level);
        out_cell(&table, OUT_PLAIN, "%s", closed ? times_span(evidence.since_ms).text : "-");
    }
    out_table_print(&table);
    out_table_fini(&table);
    return CTL_DONE;
}

static bool is_of_breaker(const struct gws_event *event, const void *row)
{
    return event->code == GWS_EVENT_BREAKER && event->domain == *(const uint32_t *)row;
}

static json_t *show_json(struct job *job, const struct names_row *row, const struct gws_event *events,
                         size_t count)
{
    struct evidence evidence = gather(job, row);
    json_t *json = evidence_json(row, &evidence);
    json_t *list_of = show_must(json_array());
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list_of, history_json(&job->view, &events[i]));
    json_object_set_new(json, "events", list_of);
    json_object_set_new(json, "evidence", breaker_evidence_json(&job->view, row->row, job->now));
    return json;
}

static void show_text(struct job *job, const struct names_row *row, const struct gws_event *events, size_t count)
{
    struct evidence evidence = gather(job, row);
    const struct gws_breaker_view *view = &evidence.view;
    uint64_t base = job->view.real_base;
    printf("%s\n  breaker     %s\n", row->label, evidence.name);
    if (evidence.state.reason[0])
        printf("  why         %s\n", evidence.state.reason);
    if (evidence.until_ms > 0)
        printf("  until       %s (in %s)\n", times_iso(base + view->t).text, times_span(evidence.until_ms).text);
    if (view->mode == GWS_CLOSED)
        printf("  since       %s (%s)\n", times_iso(base + view->t).text, times_ago(evidence.since_ms).text);
    printf("  failures    %" PRIu32 " in a row\n", evidence.failures);
    printf("  window      %" PRIu32 " tries in the last minute, %" PRIu32 " failed, %" PRIu32 " slow\n",
           evidence.window.total, evidence.window.failed, evidence.window.slow);
    printf("  level       %u (each level doubles the open time)\n", view->level);
    if (view->mode == GWS_HALF)
        printf("  trials      %u out, %u succeeded\n", view->outstanding, view->successes);
    printf("  generation  %u\n", view->gen);
    breaker_evidence_print(&job->view, row->row, job->now);
    if (count == 0)
        puts("  no events of this breaker are left in the log");
    else
        history_print_head();
    for (size_t i = 0; i < count; i++)
        history_print(&job->view, &events[i]);
}

static int show(struct job *job)
{
    json_t *breakers = show_must(json_array());
    for (size_t i = 0; i < job->names.count; i++) {
        const struct names_row *row = &job->names.rows[i];
        size_t count;
        struct gws_event *events = history_read(job->region, NULL, SHOW_EVENTS, is_of_breaker, &row->row, &count);
        if (job->ctl->json)
            json_array_append_new(breakers, show_json(job, row, events, count));
        else
            show_text(job, row, events, count);
        free(events);
    }
    if (job->ctl->json)
        out_json(json_pack("{s:o}", "breakers", breakers));
    else
        json_decref(breakers);
    return CTL_DONE;
}

static int act(struct job *job, enum change_kind kind)
{
    struct change change = {.kind = kind, .hold_ms = job->hold_ms, .who = getuid()};
    struct change_done done;
    json_t *changed = show_must(json_array());
    for (size_t i = 0; i < job->names.count; i++) {
        change_one(job->region, &job->names.rows[i], &change, job->now, &done);
        if (job->ctl->json)
            json_array_append_new(changed, change_json(kind, &done));
        else
            printf("%s: %s -> %s\n", done.name->label, done.from.text, done.to.text);
    }
    if (job->ctl->json)
        out_json(json_pack("{s:O}", "changed", changed));
    json_decref(changed);
    return CTL_DONE;
}

/* The subcommands: what they want on the command line and what they do. */
static const struct verb {
    const char *name;
    bool wants_name;
    bool takes_all;
    bool takes_for;
    int (*run)(struct job *job); /* NULL: it changes something */
    enum change_kind change;
} verbs[] = {
    {"list", false, false, false, list, 0},
    {"show", true, false, false, show, 0},
    {"reset", true, true, false, NULL, CHANGE_BREAKER_RESET},
    {"open", true, false, true, NULL, CHANGE_BREAKER_OPEN},
    {"close", true, false, false, NULL, CHANGE_BREAKER_CLOSE},
    {"auto", true, false, false, NULL, CHANGE_BREAKER_AUTO},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* Check the words of the command line against the verb; *name is NULL for all. */
static int read_words(int argc, char **argv, const struct verb *verb, bool all, const char *hold, const char **name,
                      uint64_t *hold_ms)
{
    if (all && !verb->takes_all)
        return out_usage(argv[0], "%s does not take --all", verb->name);
    if (hold && !verb->takes_for)
        return out_usage(argv[0], "%s does not take --for", verb->name);
    if (hold && args_duration(argv[0], "--for", hold, hold_ms) != 0)
        return CTL_USAGE;
    if (verb->wants_name && !all && argc < 3)
        return out_usage(argv[0], "which one? NAME%s is missing", verb->takes_all ? " or --all" : "");
    if (args_operands(argc, argv, 1, verb->wants_name && !all ? 2 : 1) != 0)
        return CTL_USAGE;
    *name = argc > 2 ? argv[2] : NULL;
    return 0;
}

int command_breaker(const struct ctl *ctl, int argc, char **argv)
{
    bool all = false;
    const char *hold = NULL, *name = NULL;
    const struct args_option options[] = {{"--all", NULL, &all, NULL}, {"--for", NULL, NULL, &hold}};
    if (args_take(&argc, argv, options, 2, argv[0]) != 0)
        return CTL_USAGE;
    const struct verb *verb = argc > 1 ? find_verb(argv[1]) : NULL;
    if (!verb)
        return argc > 1 ? out_usage(argv[0], "breaker cannot %s", argv[1]) : out_usage(argv[0], "what shall be done?");
    struct job job = {.ctl = ctl};
    if (read_words(argc, argv, verb, all, hold, &name, &job.hold_ms) != 0)
        return CTL_USAGE;

    struct gws_region region;
    int status = region_enter(ctl, verb->run ? GWS_LOOK : GWS_CHANGE, &region);
    if (status != 0)
        return status;
    job.region = &region;
    job.view = history_view(&region);
    job.now = gws_clock_ms(&region);
    names_load(&job.names, &region);
    status = region_select(&job.names, name, NAMES_ENDPOINTS | NAMES_MODELS);
    if (status == 0)
        status = verb->run ? verb->run(&job) : act(&job, verb->change);
    names_fini(&job.names);
    history_trips_fini(&job.trips);
    region_leave(&region);
    return status;
}
