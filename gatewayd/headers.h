#ifndef GATEWAYD_HEADERS_H
#define GATEWAYD_HEADERS_H

/* Which header lines pass through the gateway, and which end at it. */

#include "gatewayd/buf.h"
#include "gatewayd/conf.h"
#include "gatewayd/http.h"

/*
 * The client's lines that go upstream, as NUL-terminated "Name: value" pointing into the request's own head (which is
 * written to: a NUL after each value). `ours`: the endpoint's own headers, which the client's give way to.
 * `passthrough`: the client's credential is the endpoint's. Returns the count.
 */
unsigned headers_up(const struct http_request *head, const struct conf_pair *ours, size_t our_count, bool passthrough,
                    char **lines, unsigned max);

/* Append the upstream's lines that go to the client, each with its CRLF. 0 or -ENOMEM. */
int headers_down(const struct http_header *headers, unsigned count, struct buf *out);

#endif
