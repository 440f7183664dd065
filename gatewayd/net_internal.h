#ifndef GATEWAYD_NET_INTERNAL_H
#define GATEWAYD_NET_INTERNAL_H

/* What the files of net share. */

#include <sys/socket.h>

#include "gatewayd/net.h"

/* Where a TCP socket listens, in words. */
void net_name(struct listener *l, const struct sockaddr *address, socklen_t len);

/* An address as it is configured, in words: how listeners of two configurations are compared. */
void net_wanted(const struct conf_listen *conf, char *out, size_t size);

#endif
