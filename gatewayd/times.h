#ifndef GATEWAYD_TIMES_H
#define GATEWAYD_TIMES_H

/*
 * Times as people read them, each in a small buffer that is part of the value, so that several may stand in one
 * printf().
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatewayd/str.h"

struct times_text {
    char text[64];
};

struct times_text times_span(uint64_t ms);     /* "1.2s", "4m10s", "2h05m", "3d04h" */
struct times_text times_brief(double ms);      /* "0.4ms", "85ms", "1.2s", "120s": of latencies */
struct times_text times_ago(uint64_t ms);      /* "3s ago" */
struct times_text times_iso(uint64_t real_ms); /* "2025-11-03T09:12:45.678Z" */

/* A time as people write it, from 1ms to 365d: 250ms, 5s, 10m, 2h. False when it is anything else. */
bool times_parse(struct str text, uint64_t *ms);

#endif
