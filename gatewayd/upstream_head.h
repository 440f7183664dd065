#ifndef GATEWAYD_UPSTREAM_HEAD_H
#define GATEWAYD_UPSTREAM_HEAD_H

/*
 * The head of an upstream's response as pure functions: whether it can be believed, and views of its lines. Seen by
 * upstream.c alone.
 */

#include "gatewayd/upstream.h"

/* The status of a response's first line, without its end; 0 when it is none. `two`: it may be HTTP/2. */
int upstream_head_status(struct str line, bool two);

/*
 * Read the header lines, '\n' after each, of a response whose status stands in `out` already. NULL, or in a few words
 * why it must not be believed; then `out` means nothing. Lines that are malformed by themselves are left out.
 */
const char *upstream_head_read(struct str lines, struct upstream_response *out);

/* Whether a status says all there is to know for the gateway, however its body ends. */
bool upstream_head_suffices(int status);

#endif
