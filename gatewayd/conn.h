#ifndef GATEWAYD_CONN_H
#define GATEWAYD_CONN_H

/*
 * Client connections: accept, read requests one after another, time out, close. An idle connection costs little: what a
 * request needs is taken from a pool at its first byte and given back at its end.
 */

#include "gatewayd/service.h"
#include "gatewayd/sock.h"

struct conn;
struct exchange;

struct conns {
    struct service *service;
    struct conn *open; /* all open connections */
    struct conn *dead; /* closed in this turn; freed before the loop sleeps */
    struct exchange *spare;
    uint32_t count;
    size_t buffered; /* bytes of request bodies held */
    struct sock_batch batch;
    bool stopping;   /* idle connections are closed at once, not only when their time is up */
    void (*emptied)(struct conns *self); /* the last connection has closed while draining */
};

void conns_init(struct conns *conns, struct service *service, void (*emptied)(struct conns *self));
/* Close everything, whatever it is doing. */
void conns_fini(struct conns *conns);

/* A descriptor fresh from accept(), nonblocking; it is owned from here on. */
void conns_accept(struct conns *conns, int fd);

/* Finish: requests in flight are answered, then their connections close; with `stopping`, idle ones close now. */
void conns_drain(struct conns *conns, bool stopping);

/* The time to finish is over: whoever waits for an answer is told that it will not come. */
void conns_stop(struct conns *conns);

/* Hand over what answers have gathered, and free what was closed; the process calls it before its loop sleeps. */
void conns_turn(struct conns *conns);

#endif
