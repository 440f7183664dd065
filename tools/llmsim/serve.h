#ifndef LLMSIM_SERVE_H
#define LLMSIM_SERVE_H

/* What a request gets. Called by conn.c, in this order for each request; serve_tick() as often as conn_wake() asked. */

#include "tools/llmsim/conn.h"

void serve_head(struct conn *c, const struct http_request *r, struct str raw); /* may close the connection */
void serve_request(struct conn *c, struct str body);                           /* the body is whole */
void serve_bad(struct conn *c, int status, const char *why);                   /* it cannot be read any further */
void serve_tick(struct conn *c);
void serve_over(struct conn *c, const char *end); /* the request of this connection, if any, is no longer in flight */

#endif
