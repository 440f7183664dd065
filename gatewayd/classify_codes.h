#ifndef GATEWAYD_CLASSIFY_CODES_H
#define GATEWAYD_CLASSIFY_CODES_H

/* What providers call their errors. Seen by classify.c alone. */

#include "gatewayd/classify.h"
#include "gatewayd/json_error.h"

/* What the error's names and words make of the class that its status suggests. */
enum outcome_class classify_codes(const struct json_error *error, enum outcome_class by_status);

/* Whether it is Anthropic's limit of the month's spending, which is lifted on the first of the next. */
bool classify_codes_monthly(const struct json_error *error);

#endif
