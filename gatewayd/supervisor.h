#ifndef GATEWAYD_SUPERVISOR_H
#define GATEWAYD_SUPERVISOR_H

/*
 * What the service manager is told, in the protocol of sd_notify(3): a datagram of NAME=value lines to the socket that
 * $NOTIFY_SOCKET names. Without that variable every function here does nothing. One socket a process, used by the
 * master alone.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Read $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID; they stay in the environment for a program run later. */
void supervisor_setup(void);
void supervisor_teardown(void);

/* Everything serves; `status` is one line for people. Also the end of what supervisor_reloading() began. */
void supervisor_ready(const char *status);
void supervisor_reloading(void);
void supervisor_stopping(void);
/* Another process is the service's main one from now on. */
void supervisor_main_pid(pid_t pid);

/* Called at every turn of the loop: says that it turns when half of the watchdog's time is over. Returns the ms until
 * it has to be called again, or -1 when nobody watches. */
int64_t supervisor_alive(uint64_t now_ms);

#endif
