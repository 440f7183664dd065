#ifndef GATEWAYD_REQUEST_SAY_H
#define GATEWAYD_REQUEST_SAY_H

/* The gateway's own words to a client, for request.c alone. */

#include "gatewayd/request.h"

/* Nobody untried can take the request: fill `failure` with why, and when somebody could. False when memory is out. */
bool request_say_exhausted(struct request *r);

/* Send `failure` instead of an answer. */
void request_say_failure(struct request *r);

/* The answer's head, for the relay, made when it is committed. 0 or -ENOMEM. */
int request_say_head(struct relay *relay, struct buf *out, size_t length);

#endif
