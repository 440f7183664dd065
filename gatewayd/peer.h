#ifndef GATEWAYD_PEER_H
#define GATEWAYD_PEER_H

/* Who is at the other end of a Unix socket, as the kernel knows it. */

#include <stdbool.h>
#include <stdint.h>

/* The uid that connected; false when the kernel does not say. */
bool peer_uid(int fd, uint32_t *uid);

#endif
