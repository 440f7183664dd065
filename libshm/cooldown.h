#ifndef LIBSHM_COOLDOWN_H
#define LIBSHM_COOLDOWN_H

/*
 * A cooldown: until when, and why, a failure domain must not be asked. One word,
 *
 *   63..58 reason | 57..54 streak | 53..44 gen | 43..0 until (ms since the region's base)
 *
 * whose deadline only grows, except by an operator's clear, which bumps the generation: what began before the clear can
 * not bring the cooldown back.
 */

#include "libshm/region.h"

enum gws_cooldown_reason {
    GWS_COOL_NONE,
    GWS_COOL_RATE,     /* 429 */
    GWS_COOL_QUOTA,    /* the account's quota is spent: waiting will not cure it soon */
    GWS_COOL_AUTH,     /* the credential was refused */
    GWS_COOL_OVERLOAD, /* the upstream named a wait with its 503 or 529 */
    GWS_COOL_DEPLETED, /* a success announced that nothing remains until the reset */
    GWS_COOL_OPERATOR
};

struct gws_cooldown_rules {
    uint32_t default_ms; /* when the answer names no wait; doubles with the streak */
    uint32_t max_ms;     /* longest obeyed */
};

struct gws_cooldown_view {
    enum gws_cooldown_reason reason;
    uint8_t streak; /* hits in a row without a success in between; saturates at 15 */
    uint16_t gen;
    uint64_t until;
};

struct gws_cooldown_view gws_cooldown_view(uint64_t word);

/* Whether waiting as told does not help: three refusals in a row, a spent quota, a refused credential. What cools
 * and is not exhausted merely waits. */
bool gws_cooldown_exhausted(const struct gws_cooldown_view *view);

enum { GWS_NO_WAIT = -1 };

/* Pure: the word after a hit at `now` by a request admitted under `gen`; `named_ms` is the upstream's wait or
 * GWS_NO_WAIT. A hit while the word already cools does not lengthen the streak: one burst is one hit. Nor does an
 * announcement (GWS_COOL_DEPLETED). The reason is always that of the deadline in force. */
uint64_t gws_cooldown_step_hit(uint64_t old, const struct gws_cooldown_rules *rules, uint16_t gen,
                               enum gws_cooldown_reason reason, int64_t named_ms, uint64_t now);

/* The generation to carry with a request, taken when it is sent. */
uint16_t gws_cooldown_gen(const struct gws_region *region, uint32_t row);

/* 0 when the domain may be asked at `now`; else 1 and until when not (for ever, when the row is out of range). */
int gws_cooldown_check(const struct gws_region *region, uint32_t row, uint64_t now, uint64_t *until);

/* Returns the deadline now in force. */
uint64_t gws_cooldown_hit(struct gws_region *region, uint32_t row, const struct gws_cooldown_rules *rules, uint16_t gen,
                          enum gws_cooldown_reason reason, int64_t named_ms, uint64_t now);

/* A success of a request admitted under `gen`: the streak is over. Never shortens a deadline; one that arrives before
 * the deadline was sent before the hit, and says nothing. */
void gws_cooldown_success(struct gws_region *region, uint32_t row, uint16_t gen, uint64_t now);

void gws_cooldown_clear(struct gws_region *region, uint32_t row, uint64_t now, uint32_t who);

uint64_t gws_cooldown_word(const struct gws_region *region, uint32_t row);

#endif
