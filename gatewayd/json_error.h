#ifndef GATEWAYD_JSON_ERROR_H
#define GATEWAYD_JSON_ERROR_H

/*
 * The error an upstream's body or stream event holds, in whichever place and shape its provider puts it. Views into the
 * body; texts stay escaped.
 */

#include "gatewayd/json.h"

struct json_error {
    bool marked; /* the body says that it is an error; without it, it merely has a message or a code */
    struct json_value code, type, status, message, details, metadata, retry_after; /* JSON_NONE: not there */
};

/* False, and all members JSON_NONE, when the body holds none. */
bool json_error_find(struct str body, struct json_error *out);

/* Google's google.rpc.RetryInfo.retryDelay; JSON_NONE without one. */
struct json_value json_error_retry_delay(const struct json_error *error);

/* Whether a violated quota of Google's google.rpc.QuotaFailure has `part` in its id ("PerDay"). */
bool json_error_violates(const struct json_error *error, struct str part);

/* What follows the first occurrence of `words` (any case, not empty) in `text`; .at NULL when there is none. */
struct str json_error_after(struct str text, struct str words);

#endif
