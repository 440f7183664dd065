#ifndef GATEWAYD_WORKER_H
#define GATEWAYD_WORKER_H

/* A worker: accepts clients, serves their requests, drains, exits clean. */

#include "gatewayd/net.h"
#include "gatewayd/process.h"

/* The child's whole life; returns its exit status. `process` holds what the master prepared. */
int worker_main(struct process *process, const struct listeners *listeners);

#endif
