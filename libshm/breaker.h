#ifndef LIBSHM_BREAKER_H
#define LIBSHM_BREAKER_H

/*
 * A circuit breaker in one 64-bit word, shared by all processes: every transition is one compare-and-swap, every
 * outcome carries the generation it was admitted under, and a trial request is a lease that expires in the same word.
 *
 *   63..62 mode | 61..48 gen | 47..44 level | 43..36 aux | 35..0 t (ms since the region's base)
 *
 * The step functions are pure: old word in, new word out. The gws_breaker_*() operations apply them to a domain's word
 * and record each change as an event. See libshm/README.md for the full table.
 */

#include "libshm/region.h"
#include "libshm/window.h"

enum gws_breaker_mode { GWS_CLOSED, GWS_OPEN, GWS_HALF, GWS_FORCED };

/* SLOW is a success that took too long: it counts as one everywhere but in the window. */
enum gws_outcome { GWS_OK, GWS_FAILED, GWS_THROTTLED, GWS_NEUTRAL, GWS_SLOW };

/* Why a breaker opened; kept in the word while it is open. */
enum gws_trip {
    GWS_TRIP_NONE,
    GWS_TRIP_FAILURES, /* so many in a row */
    GWS_TRIP_RATE,     /* too large a share of the window */
    GWS_TRIP_TRIAL,    /* a trial request failed */
    GWS_TRIP_OPERATOR,
    GWS_TRIP_SLOW /* too large a share of the window was slow */
};

struct gws_breaker_rules {
    uint32_t failures;   /* in a row, until it opens; at most 255, 0: never */
    uint32_t half_open;  /* trial requests at a time, over all processes */
    uint32_t successes;  /* trials that must succeed to close it; both from 1 to 15 */
    uint32_t open_ms;    /* first open time; doubles */
    uint32_t max_open_ms;
    uint32_t stable_ms;  /* closed for so long: the next trip starts at open_ms again */
    uint32_t lease_ms;   /* a trial that has not reported by then is lost */
    /* The window, counted over all processes; throttles count here and not in a row. All 0: no window. */
    uint32_t window_ms;    /* rounded up to six seconds, at most a minute; not shorter than a call may take */
    uint32_t rate;         /* failed and throttled, in hundredths of a percent, from which on it opens; 0: never */
    uint32_t slow_rate;    /* the same for slow ones */
    uint32_t min_requests; /* in the window, before either is looked at */
};

/* A permission to try; carried by the try and handed back with its outcome. */
struct gws_permit {
    uint16_t gen;
    bool trial;
};

/* What a word says, for tools and tests. */
struct gws_breaker_view {
    enum gws_breaker_mode mode;
    uint16_t gen;
    uint8_t level;
    uint8_t failures;    /* CLOSED: in a row */
    uint8_t outstanding; /* HALF: trials out */
    uint8_t successes;   /* HALF: trials that succeeded */
    enum gws_trip reason; /* OPEN */
    bool forced_open;    /* FORCED */
    uint64_t t;          /* CLOSED: since | OPEN: retry at | HALF: lease until | FORCED: until (0: for ever) */
};

struct gws_breaker_view gws_breaker_view(uint64_t word);

/* Pure steps; a word that comes out as it went in is not to be written. `rnd` is 32 random bits, used only by a
 * transition that draws a jitter. */
int gws_breaker_step_permit(uint64_t old, const struct gws_breaker_rules *rules, uint64_t now, uint64_t *word,
                            struct gws_permit *permit, uint64_t *retry_at);
uint64_t gws_breaker_step_report(uint64_t old, const struct gws_breaker_rules *rules, struct gws_permit permit,
                                 enum gws_outcome outcome, uint64_t now, uint64_t min_open_ms, uint32_t rnd);

/* What the window makes of a word, after its try was counted there. */
uint64_t gws_breaker_step_window(uint64_t old, const struct gws_breaker_rules *rules, struct gws_permit permit,
                                 const struct gws_window_totals *totals, uint64_t now, uint64_t min_open_ms,
                                 uint32_t rnd);

enum gws_permit_result { GWS_GO = 0, GWS_DENIED = 1 };

/* May a request be tried now? GWS_GO with the permit, or GWS_DENIED with the moment at which to ask again
 * (UINT64_MAX: not before an operator acts). While trials are out that moment is at most 250 ms away: they may end any
 * time. Re-reads the clock only through its caller. A row out of range is denied for ever; a report on one is nothing.
 * A region opened to look is denied what would have to be written. */
int gws_breaker_permit(struct gws_region *region, uint32_t row, const struct gws_breaker_rules *rules, uint64_t now,
                       struct gws_permit *permit, uint64_t *retry_at);

/* Would gws_breaker_permit() say GWS_GO? Changes nothing; for choosing among candidates and for tools. */
int gws_breaker_peek(const struct gws_region *region, uint32_t row, const struct gws_breaker_rules *rules,
                     uint64_t now, uint64_t *retry_at);

/* Whether there is nothing to be said of it: closed, no failures in a row, never open since it was made or reset. */
bool gws_breaker_calm(const struct gws_region *region, uint32_t row);

/*
 * Whether the domain should be asked after its healthy peers: its breaker is closed, but its last outcome was a
 * failure, one was counted in the last twelve seconds (or the last six, as the window's words happen to lie), and they
 * are more than chance. With `min_requests` in the window that is a share of half of `rate`: where a thousand are asked
 * a minute and one in twenty fails, two in a row come every few seconds and mean nothing. With fewer in the window it
 * is two in a row. Every such domain has failures in a row, which is what tools show as degraded; one failure alone is
 * shown and changes no order. Nobody needs to ask it for it to be well again: the failures grow old.
 */
bool gws_breaker_degraded(const struct gws_region *region, uint32_t row, const struct gws_breaker_rules *rules,
                          uint64_t now);

/* Report how a permitted try ended. `min_open_ms`: the wait the upstream named, or 0. */
void gws_breaker_report(struct gws_region *region, uint32_t row, const struct gws_breaker_rules *rules,
                        struct gws_permit permit, enum gws_outcome outcome, uint64_t now, uint64_t min_open_ms,
                        uint32_t rnd);

/* A passing probe: while OPEN, the next trial may start now. Never closes anything. The generation goes up with it. */
void gws_breaker_advance(struct gws_region *region, uint32_t row, uint64_t now);

/* A failing probe, without a permit: counts as one failure when CLOSED, otherwise changes nothing. */
void gws_breaker_probe_failed(struct gws_region *region, uint32_t row, const struct gws_breaker_rules *rules,
                              uint64_t now, uint32_t rnd);

/* The operator: each bumps the generation, so nothing in flight can undo it. `who` is the caller's uid. Forced open
 * until 0 (or UINT64_MAX) is for ever; after `until` the breaker is CLOSED, of another generation. */
void gws_breaker_reset(struct gws_region *region, uint32_t row, uint64_t now, uint32_t who);       /* CLOSED, afresh */
void gws_breaker_force_open(struct gws_region *region, uint32_t row, uint64_t until, uint64_t now, uint32_t who);
void gws_breaker_force_closed(struct gws_region *region, uint32_t row, uint64_t now, uint32_t who);
void gws_breaker_auto(struct gws_region *region, uint32_t row, uint64_t now, uint32_t who); /* FORCED -> CLOSED */

uint64_t gws_breaker_word(const struct gws_region *region, uint32_t row);

#endif
