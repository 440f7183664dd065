#ifndef GATEWAYD_SOCK_H
#define GATEWAYD_SOCK_H

/*
 * The output side of a client's socket. What is sent within one turn of the loop is gathered and handed to the kernel
 * in one call before the loop sleeps; what the kernel does not take waits. The owner is told when everything has gone,
 * so that whoever produces the bytes can be slowed and resumed.
 */

#include <sys/uio.h>

#include "gatewayd/buf.h"
#include "gatewayd/event.h"

enum { SOCK_HIGH_WATER = 64 * 1024 };

struct sock;

/* The sockets of a process that have something to hand over at the end of the turn. Zeroed to start. */
struct sock_batch {
    struct sock *first;
};

struct sock {
    int fd;
    struct event_io io;
    struct buf out;
    uint64_t sent; /* bytes the kernel took */
    bool failed;   /* the peer is gone; everything further is dropped */
    bool blocked;  /* the kernel's buffer is full: waiting for it to drain */
    bool awaited;  /* the owner wants to hear of `drained` even when nothing had to wait */
    struct sock_batch *batch; /* NULL: everything is sent at once */
    struct sock *next, **place; /* in the batch */
    void (*drained)(struct sock *self); /* everything has gone after some had to wait, or the peer has left */
};

/* Send or queue `count` pieces. 0, or -errno when the peer is gone or memory is out (`failed` is then set). */
int sock_send(struct sock *sock, const struct iovec *pieces, int count);
static inline size_t sock_pending(const struct sock *sock) { return buf_len(&sock->out); }
/* More is queued than a slow reader should be allowed. */
static inline bool sock_full(const struct sock *sock) { return buf_len(&sock->out) >= SOCK_HIGH_WATER; }
/* Push what waits, as far as it goes. Calls `drained` when that was all. */
void sock_flush(struct sock *sock);
/* The end of the turn: push what every socket of the batch has gathered. */
void sock_batch_flush(struct sock_batch *batch);
/* Watch for reading as asked, and for writing exactly while the kernel's buffer is full. */
void sock_watch(struct sock *sock, bool reading);
/* Before it is closed: stop watching, leave the batch, release the buffer. */
void sock_fini(struct sock *sock);

#endif
