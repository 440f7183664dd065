/*
 * The rings are read whole: they are a few hundred records a slot, and picking from them would only save time that
 * nobody waits for. An event names a row; the row's name is looked up when it is shown, and stays right because a
 * row is never given to another name while a configuration that used it lives.
 */

#include "gatewayd/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "libshm/slot.h"
#include "gatewayd/show.h"
#include "gatewayd/times.h"

static const char *kind_name(enum gws_event_code code)
{
    static const char *const names[] = {
        [GWS_EVENT_NONE] = "none",
        [GWS_EVENT_BREAKER] = "breaker",
        [GWS_EVENT_COOLDOWN] = "cooldown",
        [GWS_EVENT_ORDER] = "order",
        [GWS_EVENT_LIMIT_RESET] = "limit_reset",
        [GWS_EVENT_MASTER_START] = "master_start",
        [GWS_EVENT_MASTER_STOP] = "master_stop",
        [GWS_EVENT_RELOAD] = "reload",
        [GWS_EVENT_RELOAD_FAILED] = "reload_failed",
        [GWS_EVENT_WORKER_START] = "worker_start",
        [GWS_EVENT_WORKER_STOP] = "worker_stop",
        [GWS_EVENT_WORKER_DEATH] = "worker_death",
        [GWS_EVENT_ADOPTED] = "adopted",
        [GWS_EVENT_QUOTA_RESET] = "quota_reset",
        [GWS_EVENT_UPGRADE_BEGUN] = "upgrade_begun",
        [GWS_EVENT_UPGRADE] = "upgrade",
        [GWS_EVENT_UPGRADE_FAILED] = "upgrade_failed",
        [GWS_EVENT_UPGRADE_REFUSED] = "upgrade_refused",
    };
    bool known = (size_t)code < sizeof(names) / sizeof(names[0]) && names[code];
    return known ? names[code] : "unknown";
}

static struct words_text numbered(const char *what, uint64_t number)
{
    struct words_text out = {.name = NULL};
    snprintf(out.text, sizeof(out.text), "%s %" PRIu64, what, number);
    return out;
}

static struct words_text how_it_died(uint64_t status)
{
    if (status == UINT64_MAX)
        return (struct words_text){.text = "found dead"};
    int code = (int)(uint32_t)status;
    if (WIFSIGNALED(code))
        return numbered("killed by signal", (uint64_t)WTERMSIG(code));
    return numbered("exit status", WIFEXITED(code) ? (uint64_t)WEXITSTATUS(code) : status);
}

static void describe_change(const struct gws_event *event, struct history_entry *entry)
{
    switch (event->code) {
    case GWS_EVENT_BREAKER:
        entry->from = words_breaker(event->old, event->time);
        entry->to = words_breaker(event->new, event->time);
        break;
    case GWS_EVENT_COOLDOWN:
        entry->from = words_cooldown(event->old, event->time);
        entry->to = words_cooldown(event->new, event->time);
        break;
    case GWS_EVENT_ORDER:
        entry->from = words_order(event->old);
        entry->to = words_order(event->new);
        break;
    case GWS_EVENT_MASTER_START:
    case GWS_EVENT_ADOPTED:
    case GWS_EVENT_RELOAD:
        entry->to = numbered("generation", event->new);
        break;
    case GWS_EVENT_QUOTA_RESET:
        entry->from = numbered("spent", event->old);
        break;
    case GWS_EVENT_UPGRADE:
        entry->to = numbered("generation", event->new);
        break;
    case GWS_EVENT_UPGRADE_BEGUN:
    case GWS_EVENT_WORKER_START:
        entry->to = numbered("pid", event->new);
        break;
    case GWS_EVENT_WORKER_STOP:
        entry->from = numbered("pid", event->old);
        break;
    case GWS_EVENT_WORKER_DEATH:
        entry->from = numbered("pid", event->old);
        entry->to = how_it_died(event->new);
        break;
    default:
        break;
    }
}

static struct words_text author(const struct gws_region *region, const struct gws_event *event)
{
    if (event->who == GWS_BY_ADMIN)
        return (struct words_text){.text = "admin"};
    if (event->who != GWS_BY_GATEWAY)
        return numbered("uid", event->who);
    struct gws_slot_info info = {0};
    gws_slot_read(region, (int)event->slot, &info);
    if (info.role == GWS_ROLE_WORKER)
        return numbered("worker", event->slot);
    return (struct words_text){.text = "gateway"};
}

struct history_view history_view(const struct gws_region *region)
{
    return (struct history_view){region, gws_region_real_base(region)};
}

/* The row is of the table that the event is about. */
static bool read_name(const struct gws_region *region, const struct gws_event *event, struct gws_name_info *name)
{
    if (event->domain == GWS_NO_DOMAIN)
        return false;
    switch (event->code) {
    case GWS_EVENT_LIMIT_RESET:
        return gws_name_limit_read(region, event->domain, name);
    case GWS_EVENT_QUOTA_RESET:
        return gws_name_quota_read(region, event->domain, name);
    default:
        return gws_name_domain_read(region, event->domain, name);
    }
}

void history_describe(const struct history_view *view, const struct gws_event *event, struct history_entry *entry)
{
    *entry = (struct history_entry){.kind = kind_name(event->code)};
    const struct gws_region *region = view->region;
    entry->real_ms = view->real_base + event->time;
    entry->by = author(region, event);
    if (!read_name(region, event, &entry->name))
        entry->name = (struct gws_name_info){0};
    show_clean(entry->name.name);
    show_clean(entry->name.model);
    describe_change(event, entry);
}

struct words_text history_change(const struct history_entry *entry)
{
    struct words_text out = {.text = "-"};
    bool both = entry->from.text[0] && entry->to.text[0];
    if (entry->from.text[0] || entry->to.text[0])
        snprintf(out.text, sizeof(out.text), "%.58s%s%.58s", entry->from.text, both ? " -> " : "", entry->to.text);
    return out;
}

struct history_label history_label(const struct history_entry *entry)
{
    struct history_label out = {.text = "-"};
    if (entry->name.kind != GWS_KIND_NONE)
        snprintf(out.text, sizeof(out.text), "%s%s%s%s", entry->name.kind == GWS_KIND_ACCOUNT ? "account " : "",
                 entry->name.name, entry->name.model[0] ? "/" : "", entry->name.model);
    return out;
}

static json_t *text_or_null(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

static json_t *side_json(const struct words_text *side)
{
    return text_or_null(side->name ? side->name : side->text);
}

json_t *history_json(const struct history_view *view, const struct gws_event *event)
{
    struct history_entry entry;
    history_describe(view, event, &entry);
    bool endpoint = entry.name.kind == GWS_KIND_ENDPOINT || entry.name.kind == GWS_KIND_PAIR;
    json_t *json = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:s}", "time", times_iso(entry.real_ms).text, "kind",
                             entry.kind, "endpoint", text_or_null(endpoint ? entry.name.name : ""), "model",
                             text_or_null(entry.name.model), "from", side_json(&entry.from), "to",
                             side_json(&entry.to), "by", entry.by.text, "detail", history_change(&entry).text);
    if (entry.name.kind == GWS_KIND_ACCOUNT)
        json_object_set_new(show_must(json), "account", json_string(entry.name.name));
    if (entry.name.kind == GWS_KIND_LIMIT)
        json_object_set_new(show_must(json), "limit", json_string(entry.name.name));
    if (entry.name.kind == GWS_KIND_QUOTA)
        json_object_set_new(show_must(json), "quota", json_string(entry.name.name));
    return show_must(json);
}

/* The change stands last: it is the one column whose width nobody can foresee. */
static const char line_format[] = "%-24s  %-15s  %-28s  %-9s  %s\n";

void history_print_head(void)
{
    printf(line_format, "TIME", "KIND", "NAME", "BY", "CHANGE");
}

void history_print(const struct history_view *view, const struct gws_event *event)
{
    struct history_entry entry;
    history_describe(view, event, &entry);
    printf(line_format, times_iso(entry.real_ms).text, entry.kind, history_label(&entry).text, entry.by.text,
           history_change(&entry).text);
}

static bool is_idle(const struct gws_event *event, uint64_t word)
{
    if (event->code == GWS_EVENT_BREAKER) {
        struct gws_breaker_view view = gws_breaker_view(word);
        return view.mode == GWS_CLOSED && view.failures == 0 && view.level == 0;
    }
    struct gws_cooldown_view view = gws_cooldown_view(word);
    return view.until <= event->time && view.streak == 0;
}

static bool is_visible(const struct gws_event *event)
{
    bool word = event->code == GWS_EVENT_BREAKER || event->code == GWS_EVENT_COOLDOWN;
    return !word || event->who != GWS_BY_GATEWAY || !is_idle(event, event->old) || !is_idle(event, event->new);
}

struct gws_event *history_read(const struct gws_region *region, struct gws_event_cursor *cursor, size_t max,
                               bool (*wanted)(const struct gws_event *event, const void *context), const void *context,
                               size_t *count)
{
    struct gws_event_cursor *start = show_must(calloc(1, sizeof(*start)));
    /* Choosing comes after collecting, so there is room for all; pages that are not filled cost nothing. */
    size_t room = (size_t)region->dims.slots * region->dims.events;
    struct gws_event *events = show_must(calloc(room + 1, sizeof(*events)));
    size_t found = gws_event_collect(region, cursor ? cursor : start, events, room);
    size_t kept = 0;
    for (size_t i = 0; i < found; i++)
        if (is_visible(&events[i]) && (!wanted || wanted(&events[i], context)))
            events[kept++] = events[i];
    size_t from = kept > max ? kept - max : 0;
    memmove(events, events + from, (kept - from) * sizeof(*events));
    *count = kept - from;
    free(start);
    return events;
}
