/*
 * The texts are built from the names of the states, so that a log line reads like a status line, and are kept short;
 * the sentences of `status` are made in state.c.
 */

#include "gatewayd/words.h"

#include <inttypes.h>
#include <stdio.h>

#include "gatewayd/state.h"
#include "gatewayd/times.h"

static bool hold_is_over(const struct gws_breaker_view *view, uint64_t now)
{
    return view->t != 0 && now >= view->t;
}

const char *words_breaker_name(const struct gws_breaker_view *view, uint64_t now)
{
    switch (view->mode) {
    case GWS_OPEN:
        return "open";
    case GWS_HALF:
        return "half_open";
    case GWS_FORCED:
        /* The next request finds the hold over and closes it; until then the word still says it. */
        return hold_is_over(view, now) ? "closed" : view->forced_open ? "forced_open" : "forced_closed";
    default:
        return "closed";
    }
}

const char *words_trip_name(enum gws_trip trip)
{
    static const char *const names[] = {"", "failures", "rate", "trial", "operator", "slow"};
    return trip <= GWS_TRIP_SLOW ? names[trip] : "";
}

const char *words_cooldown_name(enum gws_cooldown_reason reason)
{
    static const char *const names[] = {"", "rate", "quota", "auth", "overload", "depleted", "operator"};
    return reason <= GWS_COOL_OPERATOR ? names[reason] : "";
}

struct words_text words_breaker(uint64_t word, uint64_t now)
{
    struct gws_breaker_view view = gws_breaker_view(word);
    const char *name = words_breaker_name(&view, now);
    struct words_text out = {.name = name};
    bool ahead = view.t > now && (view.mode == GWS_OPEN || view.mode == GWS_FORCED);
    /* Failures in a row stand in the word before, and a trial was one of a half open breaker; a window is not told. */
    bool rated = view.mode == GWS_OPEN && (view.reason == GWS_TRIP_RATE || view.reason == GWS_TRIP_SLOW);
    const char *trip = rated ? words_trip_name(view.reason) : "";
    if (view.mode == GWS_CLOSED && view.failures > 0)
        snprintf(out.text, sizeof(out.text), "%s (%u failure%s)", name, view.failures, view.failures == 1 ? "" : "s");
    else if (view.mode == GWS_HALF)
        snprintf(out.text, sizeof(out.text), "%s (%u out, %u succeeded)", name, view.outstanding, view.successes);
    else if (ahead)
        snprintf(out.text, sizeof(out.text), "%s %s%s%s%s", name, times_span(view.t - now).text, rated ? " (" : "",
                 trip, rated ? ")" : "");
    else
        snprintf(out.text, sizeof(out.text), "%s", name);
    return out;
}

struct words_text words_cooldown(uint64_t word, uint64_t now)
{
    struct state_domain domain = {.cooldown = gws_cooldown_view(word)};
    struct state_view state = state_of_domain(&domain, now);
    struct words_text out = {.name = "not_cooling"};
    if (state.kind == STATE_HEALTHY) {
        snprintf(out.text, sizeof(out.text), "not cooling");
    } else {
        out.name = state_name(state.kind);
        snprintf(out.text, sizeof(out.text), "%s %s (%s)", out.name, times_span(state.until_ms).text,
                 words_cooldown_name(domain.cooldown.reason));
    }
    return out;
}

/* The order's highest bit is "drained"; the rest only makes every change a different word. */
struct words_text words_order(uint64_t word)
{
    struct words_text out = {.name = word >> 63 ? "drained" : "enabled"};
    snprintf(out.text, sizeof(out.text), "%s", out.name);
    return out;
}
