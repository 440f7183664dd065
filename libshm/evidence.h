#ifndef LIBSHM_EVIDENCE_H
#define LIBSHM_EVIDENCE_H

/*
 * What the last failure of a domain was: when, seen by whom, the outcomes before it, and what the upstream said. For
 * whoever asks why a breaker opened. One record for each domain row, written by every process that sees a failure.
 */

#include "libshm/region.h"

enum { GWS_EVIDENCE_TEXT = 120, GWS_EVIDENCE_OUTCOMES = 8 };

struct gws_evidence {
    uint64_t at;     /* region ms */
    int32_t slot;    /* of the process that saw it */
    int32_t pid;
    uint16_t status; /* the upstream's; 0: it sent none */
    uint8_t outcomes[GWS_EVIDENCE_OUTCOMES]; /* of the last failures, newest first; the caller's numbers, 0: none */
    char text[GWS_EVIDENCE_TEXT + 1];        /* what it said, cut */
};

/* Never waits: when two failures meet one of them is not recorded. A writer that died half way is passed over once its
 * slot is free or another's. `outcome` is not 0. Without a slot it does nothing. */
void gws_evidence_note(struct gws_region *region, uint32_t row, uint8_t outcome, uint16_t status, const char *text,
                       size_t length, uint64_t now);

/* False when nothing was recorded, or it is being written just now, or its writer died half way. */
bool gws_evidence_read(const struct gws_region *region, uint32_t row, struct gws_evidence *out);

/* Master: the row begins afresh. */
void gws_evidence_clear(struct gws_region *region, uint32_t row);

#endif
