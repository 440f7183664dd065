#ifndef GATEWAYD_ACCOUNT_TEXT_H
#define GATEWAYD_ACCOUNT_TEXT_H

/* The line of the access log as people read it (`log.format: text`). */

#include "gatewayd/account.h"

/* Append the line of a request that ended at `when`, with its newline. What clients, upstreams and the configuration
 * named is in quotes and escaped as in JSON, and cut when it is long. 0 or -ENOMEM. */
int account_text(struct buf *line, const struct account_record *record, const char *when);

#endif
