/*
 * A domain has a breaker and a cooldown, and the heavier of the two states is its own. What the endpoint is as a whole
 * then follows from its models: one in trouble makes it degraded, all of them make it what they are, because a request
 * cannot tell the difference.
 */

#include "gatewayd/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gatewayd/times.h"

const char *state_name(enum state_kind kind)
{
    static const char *const names[] = {"healthy",   "degraded", "cooling",     "exhausted",
                                        "half_open", "open",     "forced_open", "drained"};
    return names[kind];
}

bool state_usable(enum state_kind kind)
{
    return kind == STATE_HEALTHY || kind == STATE_DEGRADED || kind == STATE_HALF_OPEN;
}

static uint64_t left(uint64_t deadline, uint64_t now)
{
    return deadline > now ? deadline - now : 0;
}

static void explain_trip(const struct state_domain *domain, char *out, size_t size)
{
    const struct gws_window_totals *window = &domain->tripped_on;
    switch (domain->breaker.reason) {
    case GWS_TRIP_FAILURES:
        if (domain->tripped_by > 0)
            snprintf(out, size, ", %" PRIu32 " failures in a row", domain->tripped_by);
        else
            snprintf(out, size, ", failures in a row");
        break;
    case GWS_TRIP_RATE:
        if (window->total > 0)
            snprintf(out, size, ", %" PRIu32 " of %" PRIu32 " failed in the minute before", window->failed,
                     window->total);
        else
            snprintf(out, size, ", too many failures in its window");
        break;
    case GWS_TRIP_SLOW:
        if (window->total > 0)
            snprintf(out, size, ", %" PRIu32 " of %" PRIu32 " too slow in the minute before", window->slow,
                     window->total);
        else
            snprintf(out, size, ", too many slow answers in its window");
        break;
    case GWS_TRIP_TRIAL:
        snprintf(out, size, ", a trial request failed");
        break;
    case GWS_TRIP_OPERATOR:
        snprintf(out, size, ", by the operator");
        break;
    default:
        out[0] = '\0';
        break;
    }
}

/* What the breaker alone makes of it. A hold whose time is over counts as closed: the next request closes it. */
static struct state_view of_breaker(const struct state_domain *domain, uint64_t now)
{
    const struct gws_breaker_view *breaker = &domain->breaker;
    struct state_view view = {.kind = STATE_HEALTHY};
    char trip[64];

    switch (breaker->mode) {
    case GWS_CLOSED:
        if (breaker->failures > 0) {
            view.kind = STATE_DEGRADED;
            snprintf(view.reason, sizeof(view.reason), "%u failure%s in a row", breaker->failures,
                     breaker->failures == 1 ? "" : "s");
        }
        break;
    case GWS_OPEN:
        view.kind = STATE_OPEN;
        view.until_ms = left(breaker->t, now);
        explain_trip(domain, trip, sizeof(trip));
        if (view.until_ms > 0)
            snprintf(view.reason, sizeof(view.reason), "open %s%s", times_span(view.until_ms).text, trip);
        else
            snprintf(view.reason, sizeof(view.reason), "open, the next request is a trial%s", trip);
        break;
    case GWS_HALF:
        view.kind = STATE_HALF_OPEN;
        if (now >= breaker->t)
            snprintf(view.reason, sizeof(view.reason), "half open, a trial was lost, the next request is another");
        else
            snprintf(view.reason, sizeof(view.reason), "half open, %u trial%s out, %u succeeded", breaker->outstanding,
                     breaker->outstanding == 1 ? "" : "s", breaker->successes);
        break;
    case GWS_FORCED:
        if (!breaker->forced_open || (breaker->t != 0 && now >= breaker->t))
            break;
        view.kind = STATE_FORCED_OPEN;
        view.until_ms = left(breaker->t, now);
        if (view.until_ms > 0)
            snprintf(view.reason, sizeof(view.reason), "held open %s by the operator", times_span(view.until_ms).text);
        else
            snprintf(view.reason, sizeof(view.reason), "held open by the operator");
        break;
    }
    return view;
}

static const char *explain_wait(enum gws_cooldown_reason reason)
{
    switch (reason) {
    case GWS_COOL_RATE:
        return "rate limited";
    case GWS_COOL_QUOTA:
        return "quota spent";
    case GWS_COOL_AUTH:
        return "credential refused";
    case GWS_COOL_OVERLOAD:
        return "overloaded";
    case GWS_COOL_DEPLETED:
        return "nothing left until the reset";
    case GWS_COOL_OPERATOR:
        return "by the operator";
    default:
        return "asked to wait";
    }
}

static struct state_view of_cooldown(const struct gws_cooldown_view *cooldown, uint64_t now)
{
    struct state_view view = {.kind = STATE_HEALTHY};
    if (now >= cooldown->until)
        return view;
    view.kind = gws_cooldown_exhausted(cooldown) ? STATE_EXHAUSTED : STATE_COOLING;
    view.until_ms = left(cooldown->until, now);
    int length = snprintf(view.reason, sizeof(view.reason), "%s %s, %s", state_name(view.kind),
                          times_span(view.until_ms).text, explain_wait(cooldown->reason));
    if (cooldown->streak > 1)
        snprintf(view.reason + length, sizeof(view.reason) - (size_t)length, " %u times in a row", cooldown->streak);
    return view;
}

struct state_view state_of_domain(const struct state_domain *domain, uint64_t now)
{
    struct state_view breaker = of_breaker(domain, now);
    struct state_view cooldown = of_cooldown(&domain->cooldown, now);
    return cooldown.kind > breaker.kind ? cooldown : breaker;
}

/* How long nothing can be tried; a breaker held open without an end comes last. */
static uint64_t back_in(const struct state_view *view)
{
    if (view->kind == STATE_HALF_OPEN)
        return 0;
    return view->kind == STATE_FORCED_OPEN && view->until_ms == 0 ? UINT64_MAX : view->until_ms;
}

/* What the models say together: who is worst, who is back first, and how many there are of which kind. */
struct census {
    struct state_view worst, first;
    const char *worst_name, *first_name;
    size_t counted; /* that could hold the endpoint up */
    size_t trouble; /* that can not be tried freely */
    size_t not_well;
};

static struct census count_models(const struct state_domain *models, size_t count, uint64_t now)
{
    struct census census = {0};
    for (size_t i = 0; i < count; i++) {
        struct state_view view = state_of_domain(&models[i], now);
        bool trouble = view.kind >= STATE_COOLING;
        if (!trouble && count > 1 && strcmp(models[i].name, "*") == 0) {
            census.not_well += view.kind != STATE_HEALTHY;
        } else {
            census.counted++;
            census.trouble += trouble;
            census.not_well += view.kind != STATE_HEALTHY;
        }
        if (view.kind > census.worst.kind) {
            census.worst = view;
            census.worst_name = models[i].name;
        }
        if (trouble && (!census.first_name || back_in(&view) < back_in(&census.first))) {
            census.first = view;
            census.first_name = models[i].name;
        }
    }
    return census;
}

/* Put the name of the model or account before its reason, and behind it how many more there are. */
static struct state_view name_it(enum state_kind kind, const char *name, const struct state_view *of, size_t more)
{
    struct state_view view = {.kind = kind, .until_ms = of->until_ms};
    char tail[48] = "";
    if (more > 0)
        snprintf(tail, sizeof(tail), "; %zu more model%s", more, more == 1 ? "" : "s");
    snprintf(view.reason, sizeof(view.reason), "%.127s%s%.79s%s", name, name[0] ? " " : "", of->reason, tail);
    return view;
}

struct state_view state_of_endpoint(bool drained, const struct state_domain *own, const struct state_domain *account,
                                    const struct state_domain *models, size_t count, uint64_t now)
{
    if (drained)
        return (struct state_view){.kind = STATE_DRAINED, .reason = "drained by the operator"};

    struct state_view view = state_of_domain(own, now);
    if (account) {
        struct state_view owed = of_cooldown(&account->cooldown, now);
        if (owed.kind > view.kind)
            view = name_it(owed.kind, account->name, &owed, 0);
    }
    if (view.kind >= STATE_COOLING)
        return view;

    struct census census = count_models(models, count, now);
    if (count == 1 && strcmp(models[0].name, "*") == 0)
        census.worst_name = census.first_name = ""; /* all its models: nothing to tell apart */
    if (census.trouble > 0 && census.trouble == census.counted)
        return name_it(census.first.kind, census.first_name, &census.first, census.not_well - 1);
    if (census.trouble > 0 || (view.kind == STATE_HEALTHY && census.not_well > 0))
        return name_it(STATE_DEGRADED, census.worst_name, &census.worst, census.not_well - 1);
    return view;
}
