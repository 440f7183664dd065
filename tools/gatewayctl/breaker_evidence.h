#ifndef GATEWAYCTL_BREAKER_EVIDENCE_H
#define GATEWAYCTL_BREAKER_EVIDENCE_H

/* What the failures behind a breaker looked like, for `breaker show`. */

#include <jansson.h>
#include <stdint.h>

#include "gatewayd/history.h"

/* null when the region has none of this row. `now`: region ms. */
json_t *breaker_evidence_json(const struct history_view *view, uint32_t row, uint64_t now);
/* Lines like those of `breaker show`, or nothing. */
void breaker_evidence_print(const struct history_view *view, uint32_t row, uint64_t now);

#endif
