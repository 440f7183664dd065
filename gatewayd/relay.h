#ifndef GATEWAYD_RELAY_H
#define GATEWAYD_RELAY_H

/*
 * The client's side of an answer: its head, once it is promised, then its bytes in the frame that the client reads, and
 * what of a stream the client has been given, so that another upstream can go on from there.
 */

#include "gatewayd/sock.h"
#include "gatewayd/splice.h"

struct relay {
    struct sock *client;
    bool committed; /* the head has been made: an answer is promised */
    bool chunked;   /* towards the client */
    uint64_t bytes; /* of the answer's body, passed to the client */
    struct splice given;
    struct buf head; /* made, and not sent yet */
    /* Makes the answer's head. `length` is the body's, or SIZE_MAX. 0 or -errno. */
    int (*make_head)(struct relay *self, struct buf *head, size_t length);
};

void relay_fini(struct relay *relay);
/* Start over, for another request. */
void relay_reset(struct relay *relay);

/* Promise the answer: make its head, which goes out with the first bytes. `length` as above; a known one is not
 * chunked. 0 or -errno. */
int relay_commit(struct relay *relay, size_t length);
/* Body bytes to the client. 0 or -errno. */
int relay_pass(struct relay *relay, struct str bytes);
/* The answer is whole: end it. 0 or -errno. */
int relay_end(struct relay *relay);

#endif
