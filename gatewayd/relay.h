#ifndef GATEWAYD_RELAY_H
#define GATEWAYD_RELAY_H

/*
 * The way of an answer from an upstream to a client. Until it is committed nothing has been promised: the answer is
 * held, and may still be thrown away for a better one. From the commit on bytes go through as they came; of a stream
 * only whole events, so that one can be added or left out at any moment.
 */

#include "gatewayd/sock.h"
#include "gatewayd/sse.h"
#include "gatewayd/upstream.h"

enum { RELAY_WHOLE_MAX = 1024 * 1024, RELAY_ERROR_MAX = 64 * 1024, RELAY_UNREAD_MAX = 4 * 1024 * 1024 };

enum relay_mode {
    RELAY_NONE,
    RELAY_EVENTS, /* a stream of events */
    RELAY_WHOLE,  /* held until it is whole, so that it can be judged; becomes RELAY_FLOW when too large for that */
    RELAY_FLOW,   /* passed on as it comes */
    RELAY_ERROR   /* an upstream's error: kept for judging, up to a bound */
};

struct relay {
    struct sock *client;
    enum relay_mode mode;
    bool committed;
    bool chunked;  /* towards the client */
    bool finished; /* a finish reason has passed */
    bool terminal; /* the end of the answer was announced */
    bool failed;   /* the stream carried an error; nothing after it was passed on */
    bool pausable; /* the upstream can be slowed; else a reader that falls too far behind is given up */
    bool slow;     /* it was */
    bool content;  /* something of the answer has passed or is held */
    uint64_t bytes; /* of the answer's body, passed to the client */
    uint64_t events;
    uint64_t dropped; /* events that were no JSON, and were left out */
    struct str closing; /* the event that ends a whole stream of this API, supplied when the upstream forgets it */
    struct buf held;    /* what waits for the commit: whole events, or the body */
    struct buf torn;    /* an event that has not all arrived */
    size_t scanned;
    /* Makes the answer's head; called at the commit. `length` is the body's, or SIZE_MAX. 0 or -errno. */
    int (*make_head)(struct relay *self, struct buf *head, size_t length);
    void (*committing)(struct relay *self); /* the first content has come and goes out next */
    struct buf head;
};

void relay_fini(struct relay *relay);
/* Start over for another try. */
void relay_reset(struct relay *relay);
/* Choose by the response's head. */
void relay_begin(struct relay *relay, const struct upstream_response *response);
enum upstream_flow relay_body(struct relay *relay, const char *bytes, size_t len);
/* The response is whole: commit what is held, if not yet done, and end the answer. 0 or -errno. */
int relay_finish(struct relay *relay);
/* Send one piece of our own, an error event, after the commit. */
int relay_add(struct relay *relay, struct str bytes);

#endif
