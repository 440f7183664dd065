#ifndef GATEWAYD_WAKE_H
#define GATEWAYD_WAKE_H

/*
 * Waking another process of the gateway: one descriptor for each slot of the region, made by the master before it
 * forks, so that whoever gives a place back can wake those who wait for it (libshm/waiter.h). An eventfd where there
 * are eventfds, a pipe elsewhere. One table a process, inherited by its children.
 */

#include "libshm/waiter.h"

/* Master, once: a descriptor for each of `slots` slots. 0 or -errno. */
int wake_setup(uint32_t slots);
void wake_teardown(void);

/*
 * For a new master that shares the region with the one before it: whoever waits has a descriptor already, and must be
 * woken by the new ones too. wake_ends() lists the two ends of each slot (one and the same descriptor twice, of an
 * eventfd) and returns how many descriptors that is; wake_adopt() makes a table of such a list. 0 or -errno.
 */
uint32_t wake_ends(int *out, uint32_t max);
int wake_adopt(const int *ends, uint32_t length);

/* What the process of a slot watches for reading; -1 when there is none. */
int wake_descriptor(int slot);
/* Take back the wake-ups that have come. */
void wake_drain(int slot);

/* Wake the processes of these slots. Never blocks; without wake_setup() it does nothing. */
void wake_slots(const struct gws_slots *slots);

#endif
