#ifndef GATEWAYD_CHANGE_H
#define GATEWAYD_CHANGE_H

/*
 * What an operator changes in the region, the same from the command line and over the admin server: each by the
 * operation of the region that bumps the word's generation, so that nothing in flight can undo it, and each in the
 * event log with who did it.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "gatewayd/names.h"
#include "gatewayd/words.h"
#include "libshm/region.h"

enum change_kind {
    CHANGE_BREAKER_RESET,
    CHANGE_BREAKER_OPEN,
    CHANGE_BREAKER_CLOSE,
    CHANGE_BREAKER_AUTO,
    CHANGE_COOLDOWN_CLEAR,
    CHANGE_DRAIN,
    CHANGE_ENABLE
};

struct change {
    enum change_kind kind;
    uint64_t hold_ms; /* of CHANGE_BREAKER_OPEN; 0: for ever */
    uint32_t who;     /* a uid, or GWS_BY_ADMIN */
};

/* What it did to one row. */
struct change_done {
    const struct names_row *name;
    struct words_text from;
    struct words_text to;
};

/* The kinds of rows it works on, for names_select(). */
unsigned change_kinds(enum change_kind kind);

/* Do it to one row. False when there is nothing to tell: no cooldown was there to be cleared. */
bool change_one(struct gws_region *region, const struct names_row *name, const struct change *change, uint64_t now,
                struct change_done *done);

/* {"name","from","to"}; of a cooldown "kind" as well. */
json_t *change_json(enum change_kind kind, const struct change_done *done);

#endif
