#ifndef GATEWAYD_WORDS_H
#define GATEWAYD_WORDS_H

/*
 * A word of the region in words, as it stood at a moment: for lists and for the event log, where every change carries
 * the word before and after it.
 */

#include <stdint.h>

#include "libshm/breaker.h"
#include "libshm/cooldown.h"

struct words_text {
    char text[128];
    const char *name; /* the bare state, for programs; NULL: the text itself */
};

/* "closed", "open", "half_open", "forced_open" or "forced_closed". */
const char *words_breaker_name(const struct gws_breaker_view *view, uint64_t now);

/* "failures", "rate", "trial", "operator", "slow" or "": why it is open. */
const char *words_trip_name(enum gws_trip trip);

/* "rate", "quota", "auth", "overload", "depleted", "operator" or "". */
const char *words_cooldown_name(enum gws_cooldown_reason reason);

struct words_text words_breaker(uint64_t word, uint64_t now);  /* "closed (3 failures)", "open 5.0s (rate)" */
struct words_text words_cooldown(uint64_t word, uint64_t now); /* "not cooling", "cooling 2.0s (rate)" */
struct words_text words_order(uint64_t word);                  /* "enabled", "drained" */

#endif
