#ifndef GATEWAYD_SOCK_H
#define GATEWAYD_SOCK_H

/*
 * The output side of a client's socket: bytes go straight to the kernel while it takes them, and wait in a buffer when it
 * does not. The owner is told when the buffer has emptied, so that whoever produces the bytes can be slowed and resumed.
 */

#include <sys/uio.h>

#include "gatewayd/buf.h"
#include "gatewayd/event.h"

enum { SOCK_HIGH_WATER = 64 * 1024 };

struct sock {
    int fd;
    struct event_io io;
    struct buf out;
    uint64_t sent; /* bytes the kernel took */
    bool failed;   /* the peer is gone; everything further is dropped */
    void (*drained)(struct sock *self); /* the buffer has emptied after it had not been */
};

/* Send or queue `count` pieces. 0, or -errno when the peer is gone or memory is out (`failed` is then set). */
int sock_send(struct sock *sock, const struct iovec *pieces, int count);
static inline size_t sock_pending(const struct sock *sock) { return buf_len(&sock->out); }
/* More is queued than a slow reader should be allowed. */
static inline bool sock_full(const struct sock *sock) { return buf_len(&sock->out) >= SOCK_HIGH_WATER; }
/* The descriptor is writable: push what waits. Calls `drained` when that was all. */
void sock_flush(struct sock *sock);
/* Watch for reading as asked, and for writing exactly while something waits. */
void sock_watch(struct sock *sock, bool reading);

#endif
