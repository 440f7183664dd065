#ifndef GATEWAYD_ADMIN_H
#define GATEWAYD_ADMIN_H

/*
 * The admin server: what gatewayctl shows and does, over HTTP, and the dashboard. It lives in the steward, where a
 * flood of connections costs no request anything, and is bounded so that it costs the steward little.
 */

#include "gatewayd/net.h"
#include "gatewayd/process.h"

struct admin;

/* Serve these listeners in the process's loop. 0 or -ENOMEM. */
int admin_new(struct admin **admin, struct process *process, const struct listeners *listeners);

/* Take no more connections, send what is under way, and call `emptied`, within a second. */
void admin_drain(struct admin *admin, void (*emptied)(void));

/* The end of the loop's turn. All of these accept NULL. */
void admin_turn(struct admin *admin);
void admin_free(struct admin *admin);

#endif
