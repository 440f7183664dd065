#ifndef GATEWAYD_STEWARD_H
#define GATEWAYD_STEWARD_H

/* The steward: what is done once for all workers, in a process of its own so that it cannot slow a request. It
 * probes the endpoints whose configuration asks for it, and serves the admin listeners. */

#include "gatewayd/net.h"
#include "gatewayd/process.h"

/* The child's whole life; returns its exit status. */
int steward_main(struct process *process, const struct listeners *admin);

#endif
