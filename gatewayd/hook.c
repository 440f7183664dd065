#include "gatewayd/hook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gatewayd/history.h"
#include "gatewayd/hook_queue.h"
#include "gatewayd/log.h"
#include "gatewayd/secret.h"
#include "gatewayd/show.h"
#include "gatewayd/upstream.h"
#include "libshm/slot.h"

/*
 * Hooks speak through an upstream of their own: a plan that holds nothing but them gives them its TLS, its strictness
 * and its refusal to follow anybody elsewhere, and none of the endpoints' connections. The rings are looked at four
 * times a second; nobody who is told by a hook notices the difference to at once.
 *
 * The path of a hook's URL is often its credential. It is kept out of the log, which names the host.
 */

enum { LOOK_MS = 250, ANSWER_MS = 5000, ANSWER_MAX = 16384, SEEN_MAX = 1024 };

struct hook {
    struct hooks *all;
    const struct conf_notify *conf;
    struct plan_target target;
    struct conf_endpoint endpoint;
    struct hook_queue queue;
    struct event_timer next;  /* to send, or to send again */
    struct event_timer limit; /* for an answer */
    struct transfer *transfer;
    char *document; /* being told; NULL: none */
    char *line;     /* its X-Gateway-Event */
    uint64_t told_dropped; /* what the document says of the queue's */
    unsigned failures;     /* in a row */
    int status;            /* of the answer; 0: none yet */
    size_t heard;          /* bytes of its body */
};

struct hooks {
    struct process *process;
    struct plan plan;
    struct upstream *upstream;
    struct hook *list;
    size_t count;
    uint64_t since; /* region time from which on events are ours */
    struct gws_event_cursor cursor;
    struct event_timer look;
    struct event_timer late;
    void (*empty)(void); /* the process is ending */
    bool over;           /* and has been told that nothing is left */
    char host[256];
};

static uint64_t now_ms(const struct hooks *all)
{
    return event_now_ms(&all->process->loop);
}

/* "https://hooks.example": as much of the URL as is nobody's secret. */
static int shown_length(const struct hook *hook)
{
    const char *host = strstr(hook->conf->url, "://");
    return (int)(host ? 3 + (size_t)(host - hook->conf->url) + strcspn(host + 3, "/") : 0);
}

/* Documents. */

static int compose(struct hook *hook, const struct gws_event *event)
{
    struct history_view view = history_view(&hook->all->process->region);
    struct history_entry entry;
    const char *news = hook_news_name(hook_news(event));
    char id[80];
    history_describe(&view, event, &entry);
    /* The same however often it is sent: a receiver that answered too late gets it twice, and can tell. */
    snprintf(id, sizeof id, "%llu-%u-%llu", (unsigned long long)entry.real_ms, event->slot,
             (unsigned long long)event->seq);
    json_t *json = history_json(&view, event);
    json_object_del(json, "kind");
    hook->told_dropped = hook->queue.dropped;
    int rc = json_object_set_new(json, "event", json_string(news)) ||
             json_object_set_new(json, "id", json_string(id)) ||
             json_object_set_new(json, "host", json_string(hook->all->host)) ||
             json_object_set_new(json, "dropped", json_integer((json_int_t)hook->told_dropped));
    hook->document = rc == 0 ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!hook->document || asprintf(&hook->line, "X-Gateway-Event: %s", news) < 0) {
        free(hook->document);
        hook->document = hook->line = NULL;
        return -ENOMEM;
    }
    return 0;
}

static void forget_document(struct hook *hook)
{
    free(hook->document);
    free(hook->line);
    hook->document = hook->line = NULL;
}

static size_t waiting(const struct hook *hook)
{
    return hook->queue.count + (hook->document != NULL);
}

/* Once: whoever is told may end the process, and what it closes then must not tell it again. */
static void say_empty(struct hooks *all)
{
    if (all->empty && !all->over) {
        all->over = true;
        all->empty();
    }
}

static void finish_if_empty(struct hooks *all)
{
    for (size_t i = 0; i < all->count; i++)
        if (waiting(&all->list[i]) > 0)
            return;
    say_empty(all);
}

/* Sending. */

static void delivered(struct hook *hook)
{
    if (hook->failures > 0)
        log_info("hook %.*s: answers again; %llu events were dropped meanwhile", shown_length(hook), hook->conf->url,
                 (unsigned long long)hook->queue.dropped);
    hook->failures = 0;
    hook->queue.dropped -= hook->told_dropped;
    forget_document(hook);
}

static void refused(struct hook *hook)
{
    log_warn("hook %.*s: refuses an event with status %d, which is given up: check `notify` and what receives it",
             shown_length(hook), hook->conf->url, hook->status);
    hook->queue.dropped++;
    forget_document(hook);
}

static void failed(struct hook *hook, const char *why)
{
    char status[32];
    snprintf(status, sizeof status, "status %d", hook->status);
    if (hook->failures++ == 0)
        log_warn("hook %.*s: %s; trying again until it answers", shown_length(hook), hook->conf->url,
                 why ? why : status);
}

/* A failure is followed by a pause, anything else by the next document. */
static void ended(struct hook *hook, enum hook_verdict verdict, const char *why)
{
    hook->transfer = NULL;
    event_timer_off(&hook->limit);
    if (verdict == HOOK_DELIVERED)
        delivered(hook);
    else if (verdict == HOOK_REFUSED)
        refused(hook);
    else
        failed(hook, why);
    uint32_t pause = verdict == HOOK_AGAIN ? hook_pause_ms(hook->failures, secret_random32()) : 0;
    if (waiting(hook) > 0)
        event_timer_at(&hook->next, now_ms(hook->all) + pause);
    finish_if_empty(hook->all);
}

static enum upstream_flow on_head(void *owner, const struct upstream_response *response)
{
    struct hook *hook = owner;
    hook->status = response->status;
    return UPSTREAM_TAKEN;
}

/* What it says is of no interest; a long answer is not read to its end. */
static enum upstream_flow on_body(void *owner, const char *bytes, size_t len)
{
    struct hook *hook = owner;
    (void)bytes;
    hook->heard += len;
    return hook->heard > ANSWER_MAX ? UPSTREAM_ABORT : UPSTREAM_TAKEN;
}

/* An answer's head says all there is to say, however its body ends. */
static void judge(struct hook *hook, const char *why)
{
    bool answered = hook->status != 0;
    ended(hook, answered ? hook_verdict(hook->status) : HOOK_AGAIN, answered ? NULL : why);
}

static void on_done(void *owner, enum upstream_end end, const char *why)
{
    (void)end;
    judge(owner, why);
}

static void too_late(struct event_timer *timer)
{
    struct hook *hook = (struct hook *)(void *)((char *)timer - offsetof(struct hook, limit));
    upstream_cancel(hook->transfer);
    judge(hook, "no answer within 5s");
}

static int post(struct hook *hook)
{
    static const struct upstream_events events = {on_head, on_body, on_done};
    char type[] = "Content-Type: application/json", agent[] = "User-Agent: gatewayd/" GATEWAYD_VERSION;
    char *lines[] = {type, agent, hook->line};
    struct upstream_request request = {
        .target = &hook->target,
        .events = &events,
        .owner = hook,
        .method = STR("POST"),
        .path = STR(""),
        .header_lines = lines, /* copied by the call, unlike what they are about */
        .header_count = sizeof lines / sizeof *lines,
        .body = str_of(hook->document),
        .fresh = true, /* events are rare: a kept connection would mostly be a dead one */
        .connect_ms = ANSWER_MS,
    };
    hook->status = 0;
    hook->heard = 0;
    return upstream_start(hook->all->upstream, &request, &hook->transfer);
}

static void send_next(struct event_timer *timer)
{
    struct hook *hook = (struct hook *)(void *)((char *)timer - offsetof(struct hook, next));
    struct gws_event event;
    if (hook->transfer)
        return;
    if (!hook->document && (!hook_queue_take(&hook->queue, &event) || compose(hook, &event) != 0))
        return;
    if (post(hook) == 0)
        event_timer_at(&hook->limit, now_ms(hook->all) + ANSWER_MS);
    else
        ended(hook, HOOK_AGAIN, "out of memory");
}

/* Listening. */

/* When the steward of a newer configuration began, whose events are those from then on. */
static uint64_t successor_since(const struct hooks *all)
{
    const struct gws_region *region = &all->process->region;
    uint64_t soonest = UINT64_MAX;
    for (uint32_t i = 0; i < gws_slot_high(region); i++) {
        struct gws_slot_info info;
        gws_slot_read(region, (int)i, &info);
        if (info.state == GWS_SLOT_LIVE && info.role == GWS_ROLE_STEWARD &&
            info.config > all->process->plan->generation && info.started_ms < soonest)
            soonest = info.started_ms;
    }
    return soonest;
}

static void tell(struct hook *hook, const struct gws_event *event)
{
    hook_queue_put(&hook->queue, event);
    if (!hook->document && !hook->transfer)
        event_timer_at(&hook->next, now_ms(hook->all));
}

static void look(struct hooks *all)
{
    static struct gws_event seen[SEEN_MAX];
    uint64_t until = 0;
    size_t count = gws_event_collect(&all->process->region, &all->cursor, seen, SEEN_MAX);
    for (size_t i = 0; i < count; i++) {
        unsigned news = hook_news(&seen[i]);
        if (news == 0 || seen[i].time < all->since)
            continue;
        until = until > 0 ? until : successor_since(all);
        for (size_t k = 0; seen[i].time < until && k < all->count; k++)
            if (all->list[k].conf->on & news)
                tell(&all->list[k], &seen[i]);
    }
}

static void look_again(struct event_timer *timer)
{
    struct hooks *all = (struct hooks *)(void *)((char *)timer - offsetof(struct hooks, look));
    look(all);
    event_timer_at(&all->look, now_ms(all) + LOOK_MS);
}

/* Life. */

static void hook_begin(struct hooks *all, size_t index, const struct conf_notify *conf)
{
    struct hook *hook = &all->list[index];
    hook->all = all;
    hook->conf = conf;
    hook->endpoint = (struct conf_endpoint){.name = "hook", .url = conf->url, .base = conf->url};
    hook->target = (struct plan_target){.conf = &hook->endpoint, .index = (uint32_t)index};
    all->plan.targets[index] = hook->target;
    event_timer_init(&hook->next, &all->process->loop, send_next);
    event_timer_init(&hook->limit, &all->process->loop, too_late);
}

static void give_up(struct event_timer *timer)
{
    struct hooks *all = (struct hooks *)(void *)((char *)timer - offsetof(struct hooks, late));
    say_empty(all);
}

int hook_open(struct hooks **out, struct process *process)
{
    const struct conf *conf = process->plan->conf;
    struct gws_slot_info self;
    *out = NULL;
    if (conf->notify_count == 0)
        return 0;
    struct hooks *all = calloc(1, sizeof *all);
    if (!all)
        return -ENOMEM;
    all->process = process;
    event_timer_init(&all->look, &process->loop, look_again);
    event_timer_init(&all->late, &process->loop, give_up);
    all->list = calloc(conf->notify_count, sizeof *all->list);
    all->plan.targets = calloc(conf->notify_count, sizeof *all->plan.targets);
    for (; all->list && all->plan.targets && all->count < conf->notify_count; all->count++)
        hook_begin(all, all->count, &conf->notify[all->count]);
    all->plan.target_count = (uint32_t)all->count;
    all->upstream = all->count > 0 ? upstream_new(&process->loop, &all->plan) : NULL;
    if (!all->upstream) {
        hook_close(all);
        return -ENOMEM;
    }
    if (gethostname(all->host, sizeof all->host - 1) != 0)
        snprintf(all->host, sizeof all->host, "?");
    gws_slot_read(&process->region, process->slot, &self);
    all->since = self.started_ms;
    event_timer_at(&all->look, now_ms(all));
    *out = all;
    return 0;
}

void hook_turn(struct hooks *all)
{
    if (all)
        upstream_turn(all->upstream);
}

void hook_finish(struct hooks *all, uint32_t at_most_ms, void (*empty)(void))
{
    if (!all) {
        empty();
        return;
    }
    event_timer_stop(&all->look);
    look(all);
    all->empty = empty;
    event_timer_at(&all->late, now_ms(all) + at_most_ms);
    finish_if_empty(all);
}

void hook_close(struct hooks *all)
{
    if (!all)
        return;
    event_timer_stop(&all->look);
    event_timer_stop(&all->late);
    for (size_t i = 0; i < all->count; i++) {
        struct hook *hook = &all->list[i];
        if (waiting(hook) > 0)
            log_warn("hook %.*s: ends with %zu events that it was not told", shown_length(hook), hook->conf->url,
                     waiting(hook));
        upstream_cancel(hook->transfer);
        event_timer_stop(&hook->next);
        event_timer_stop(&hook->limit);
        forget_document(hook);
    }
    upstream_free(all->upstream);
    free(all->plan.targets);
    free(all->list);
    free(all);
}
