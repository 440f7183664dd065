#ifndef LLMSIM_SPEC_H
#define LLMSIM_SPEC_H

/* The small notations of the command line, of fault specifications and of the control document. Pure functions: true
 * and `*out` written when all of the text is one value, else false and nothing written. */

#include "gatewayd/str.h"

bool spec_decimal(struct str s, double *out);     /* 12, 12.5: digits and at most one point, nothing else */
bool spec_duration(struct str s, int64_t *ms);    /* 250ms, 1.5s, 10m, 2h; a bare 0 */
bool spec_rate(struct str s, double *per_second); /* 50/s, 3000/m, a bare 50 (a second); 0 is "no pace" */
bool spec_percent(struct str s, double *chance);  /* 12.3% as 0.123 */
bool spec_count(struct str s, uint64_t max, uint64_t *out);

#endif
