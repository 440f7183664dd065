/*
 * limits: every limiter and daily quota of the region, with what is used of it, what is left and when that comes back;
 * and reset. A limiter has refilled by then; the next unit of one that is spent comes sooner, and is shown beside it.
 * Numbers are those that the master wrote down with the limits, since the region is all that is asked.
 */

#include "libshm/limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gatewayd/str.h"
#include "gatewayd/times.h"
#include "libshm/clock.h"
#include "libshm/name.h"
#include "libshm/quota.h"
#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/command.h"
#include "tools/gatewayctl/out.h"
#include "tools/gatewayctl/region.h"

enum { PER_NS = 16, NS_PER_MS = 1000000, MICRO = 1000000 };
static const uint64_t minute_ns = UINT64_C(60) * 1000000000;

struct limit {
    uint32_t row;
    bool daily;
    bool money; /* micro-dollars */
    char name[GWS_NAME_MAX + 1];
    uint64_t most; /* at once, or a day; 0: only counted */
    uint64_t used;
    uint64_t rate;      /* refilled a minute; of a daily one 0 */
    uint64_t next_ms;   /* until there is one more */
    uint64_t resets_ms; /* until nothing is used */
};

struct limits {
    struct limit *list;
    size_t count;
};

static uint64_t up(uint64_t number, uint64_t by)
{
    return number / by + (number % by > 0);
}

static void read_limiter(const struct gws_region *region, struct limit *limit)
{
    struct gws_limit_rules rules = {0};
    uint64_t word = 0, now_ns = gws_clock_ns(region), next_ns = 0;
    gws_limit_read(region, limit->row, &rules, &word);
    if (rules.interval == 0)
        return;
    uint64_t debt = word > now_ns * PER_NS ? word - now_ns * PER_NS : 0;
    limit->most = rules.burst / rules.interval;
    limit->used = up(debt, rules.interval);
    limit->rate = (minute_ns * PER_NS + rules.interval / 2) / rules.interval;
    limit->resets_ms = up(debt, (uint64_t)PER_NS * NS_PER_MS);
    if (gws_limit_peek(region, limit->row, &rules, 1, now_ns, &next_ns) != GWS_LIMIT_TAKEN)
        limit->next_ms = up(next_ns, NS_PER_MS);
}

/* What was spent on a day that is over is not spent of this one, though nobody has begun it yet. */
static void read_quota(const struct gws_region *region, struct limit *limit)
{
    struct gws_quota_info info = {0};
    uint64_t real_ms = gws_clock_real_ms();
    gws_quota_read(region, limit->row, &info);
    bool over = gws_quota_day(&info.rules, real_ms) > info.day;
    size_t length = strlen(limit->name);
    limit->money = length > 4 && strcmp(limit->name + length - 4, "/usd") == 0;
    limit->most = info.rules.limit;
    limit->used = info.reserved + (over ? 0 : info.committed);
    limit->resets_ms = gws_quota_left_of_day(&info.rules, real_ms);
    if (limit->most > 0 && limit->used >= limit->most)
        limit->next_ms = limit->resets_ms;
}

static void add(struct limits *limits, const struct gws_region *region, uint32_t row, bool daily,
                const struct gws_name_info *info)
{
    if (!gws_name_current(region, info))
        return;
    struct limit *limit = &limits->list[limits->count++];
    *limit = (struct limit){.row = row, .daily = daily};
    snprintf(limit->name, sizeof(limit->name), "%s", info->name);
    show_clean(limit->name);
    if (daily)
        read_quota(region, limit);
    else
        read_limiter(region, limit);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct limit *)left)->name, ((const struct limit *)right)->name);
}

static void load(struct limits *limits, const struct gws_region *region)
{
    struct gws_name_info info;
    *limits = (struct limits){show_must(calloc(region->dims.limits + region->dims.quotas + 1u, sizeof(struct limit))),
                              0};
    for (uint32_t row = 0; row < region->dims.limits; row++)
        if (gws_name_limit_read(region, row, &info))
            add(limits, region, row, false, &info);
    for (uint32_t row = 0; row < region->dims.quotas; row++)
        if (gws_name_quota_read(region, row, &info))
            add(limits, region, row, true, &info);
    qsort(limits->list, limits->count, sizeof(*limits->list), by_name);
}

static uint64_t left_of(const struct limit *limit)
{
    return limit->most > limit->used ? limit->most - limit->used : 0;
}

/* "requests", "tokens" or "usd": what the end of the name says. */
static const char *unit_of(const struct limit *limit)
{
    const char *last = strrchr(limit->name, '/');
    if (limit->money)
        return "usd";
    return last && strncmp(last, "/tp", 3) == 0 ? "tokens" : "requests";
}

static json_t *number(const struct limit *limit, uint64_t value)
{
    return limit->money ? json_real((double)value / MICRO) : json_integer((json_int_t)value);
}

static json_t *list_json(const struct limits *limits)
{
    json_t *list = show_must(json_array());
    for (size_t i = 0; i < limits->count; i++) {
        const struct limit *at = &limits->list[i];
        bool bounded = at->most > 0;
        json_array_append_new(
            list, show_must(json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I}", "name", at->name, "period",
                                      at->daily ? "day" : "minute", "unit", unit_of(at), "limit",
                                      bounded ? number(at, at->most) : json_null(), "used", number(at, at->used),
                                      "left", bounded ? number(at, left_of(at)) : json_null(), "per_minute",
                                      at->daily ? json_null() : json_integer((json_int_t)at->rate), "next_ms",
                                      (json_int_t)at->next_ms, "resets_ms", (json_int_t)at->resets_ms)));
    }
    return list;
}

static void cell(struct out_table *table, enum out_color color, const struct limit *limit, uint64_t value)
{
    if (limit->money)
        out_cell(table, color, "$%.2f", (double)value / MICRO);
    else
        out_cell(table, color, "%" PRIu64, value);
}

static void list_text(const struct limits *limits)
{
    static const char *const heads[] = {"NAME", "UNIT", "PER", "LIMIT", "USED", "LEFT", "NEXT IN", "RESETS IN"};
    struct out_table table;
    out_table_init(&table, heads, 8, 0xf8);
    for (size_t i = 0; i < limits->count; i++) {
        const struct limit *at = &limits->list[i];
        bool spent = at->most > 0 && left_of(at) == 0;
        out_cell(&table, OUT_PLAIN, "%s", at->name);
        out_cell(&table, OUT_PLAIN, "%s", unit_of(at));
        out_cell(&table, OUT_PLAIN, "%s", at->daily ? "day" : "minute");
        if (at->most > 0)
            cell(&table, OUT_PLAIN, at, at->most);
        else
            out_cell(&table, OUT_DIM, "none");
        cell(&table, OUT_PLAIN, at, at->used);
        if (at->most > 0)
            cell(&table, spent ? OUT_RED : OUT_GREEN, at, left_of(at));
        else
            out_cell(&table, OUT_DIM, "-");
        out_cell(&table, OUT_PLAIN, "%s", at->next_ms > 0 ? times_span(at->next_ms).text : "now");
        out_cell(&table, OUT_PLAIN, "%s", at->resets_ms > 0 ? times_span(at->resets_ms).text : "-");
    }
    if (limits->count > 0)
        out_table_print(&table);
    else
        puts("no limits are configured");
    out_table_fini(&table);
}

/* A limit's own name, or what it is of: "us-east" and "endpoint/us-east" mean "endpoint/us-east/rpm" and its kin. */
static bool is_meant(const struct limit *limit, const char *name)
{
    if (!name || strcmp(limit->name, name) == 0)
        return true;
    const char *first = strchr(limit->name, '/'), *last = strrchr(limit->name, '/');
    size_t length = strlen(name);
    if (!first || first == last)
        return false;
    return ((size_t)(last - limit->name) == length && strncmp(limit->name, name, length) == 0) ||
           ((size_t)(last - first - 1) == length && strncmp(first + 1, name, length) == 0);
}

static int unknown(const struct limits *limits, const char *name)
{
    const char *near = NULL;
    unsigned best = 2 + (unsigned)(strlen(name) / 6);
    for (size_t i = 0; i < limits->count; i++) {
        const char *whole = limits->list[i].name, *first = strchr(whole, '/'), *last = strrchr(whole, '/');
        struct str owner = first && last > first ? (struct str){first + 1, (size_t)(last - first - 1)} : str_of(whole);
        unsigned distance = str_distance(str_of(name), str_of(whole)), other = str_distance(str_of(name), owner);
        distance = other < distance ? other : distance;
        if (distance <= best) {
            best = distance;
            near = whole;
        }
    }
    if (near)
        out_say("there is no limit %s; did you mean %s?", name, near);
    else if (limits->count > 0)
        out_say("there is no limit %s; see gatewayctl limits", name);
    else
        out_say("there is no limit %s: no limits are configured", name);
    return CTL_NO_NAME;
}

static void reset_one(struct gws_region *region, const struct limit *limit)
{
    if (limit->daily)
        gws_quota_reset(region, limit->row, gws_clock_ms(region), getuid());
    else
        gws_limit_reset(region, limit->row, gws_clock_ns(region), getuid());
}

static int reset(const struct ctl *ctl, struct gws_region *region, const struct limits *limits, const char *name)
{
    json_t *changed = show_must(json_array());
    for (size_t i = 0; i < limits->count; i++) {
        struct limit was = limits->list[i], is = was;
        if (!is_meant(&was, name))
            continue;
        reset_one(region, &was);
        if (was.daily)
            read_quota(region, &is);
        else
            is.used = 0;
        json_array_append_new(changed, show_must(json_pack("{s:s, s:o, s:o}", "name", was.name, "from",
                                                          number(&was, was.used), "to", number(&is, is.used))));
        if (!ctl->json && was.money)
            printf("%s: $%.2f used -> $%.2f\n", was.name, (double)was.used / MICRO, (double)is.used / MICRO);
        else if (!ctl->json)
            printf("%s: %" PRIu64 " used -> %" PRIu64 "\n", was.name, was.used, is.used);
    }
    bool none = json_array_size(changed) == 0;
    if (none && name)
        unknown(limits, name);
    else if (ctl->json)
        out_json(json_pack("{s:O}", "changed", changed));
    else if (none)
        puts("no limits are configured");
    json_decref(changed);
    return none && name ? CTL_NO_NAME : CTL_DONE;
}

int command_limits(const struct ctl *ctl, int argc, char **argv)
{
    bool all = false;
    const struct args_option options[] = {{"--all", NULL, &all, NULL}};
    if (args_take(&argc, argv, options, 1, argv[0]) != 0)
        return CTL_USAGE;
    bool resets = argc > 1 && strcmp(argv[1], "reset") == 0;
    if (argc > 1 && !resets)
        return out_usage(argv[0], "limits cannot %s", argv[1]);
    if (!resets && all)
        return out_usage(argv[0], "--all goes with reset");
    if (resets && !all && argc < 3)
        return out_usage(argv[0], "which one? NAME or --all is missing");
    if (args_operands(argc, argv, 0, resets && !all ? 2 : 1) != 0)
        return CTL_USAGE;

    struct gws_region region;
    struct limits limits;
    int status = region_enter(ctl, resets ? GWS_CHANGE : GWS_LOOK, &region);
    if (status != 0)
        return status;
    load(&limits, &region);
    if (resets)
        status = reset(ctl, &region, &limits, all ? NULL : argv[2]);
    else if (ctl->json)
        out_json(json_pack("{s:o}", "limits", list_json(&limits)));
    else
        list_text(&limits);
    free(limits.list);
    region_leave(&region);
    return status;
}
