#ifndef GATEWAYD_INTAKE_H
#define GATEWAYD_INTAKE_H

/*
 * The upstream's side of an answer: taken in as it arrives, a stream event by event. What has come is held, and may
 * still be thrown away for a better answer, until the owner releases it to a relay; from then on it goes through as it
 * comes. Of a stream only whole events pass, so that one can be added or left out at any moment.
 */

#include "gatewayd/relay.h"
#include "gatewayd/sse.h"
#include "gatewayd/upstream.h"
#include "gatewayd/usage.h"

enum {
    INTAKE_WHOLE_MAX = 1024 * 1024, /* of an unstreamed answer that is judged as a whole */
    INTAKE_HOLD_MAX = 1024 * 1024,  /* of a stream that is held although its content has come */
    INTAKE_ERROR_MAX = 64 * 1024,
    INTAKE_UNREAD_MAX = 4 * 1024 * 1024
};

enum intake_mode {
    INTAKE_NONE,
    INTAKE_EVENTS, /* a stream of events */
    INTAKE_WHOLE,  /* held until it is whole, so that it can be judged; becomes INTAKE_FLOW when too large for that */
    INTAKE_FLOW,   /* passed on as it comes */
    INTAKE_ERROR   /* an upstream's error: kept for judging, up to a bound */
};

struct intake {
    enum intake_mode mode;
    struct relay *relay; /* NULL: nothing is promised */
    bool replays;        /* another stream of an answer that the client has a part of: compared with that part */
    bool content;        /* something of the answer has come */
    bool finished;       /* every choice has its finish reason */
    bool terminal;       /* the end of the answer was announced */
    bool failed;         /* the stream carried an error; it is held, nothing after it was taken in */
    bool differs;        /* the replay is another answer than the client has a part of */
    bool pausable;       /* the upstream can be slowed; else a reader that falls too far behind is given up */
    bool slow;           /* it was */
    unsigned choices;    /* asked for */
    unsigned unfinished; /* of them, whose finish reason has not come */
    uint64_t events;
    uint64_t dropped; /* events that were no JSON, and were left out */
    struct usage usage;
    struct str closing; /* the event that ends a whole stream of this API, supplied when the upstream forgets it */
    struct buf held;    /* what waits for the release: whole events, or the body; also an error within a stream */
    struct buf torn;    /* an event that has not all arrived */
    struct buf spliced; /* what a replay brings that is new */
    size_t scanned;
    /* The first content has come, or more of it than can be held: the owner may release it now, within this call, or
     * later; but must when `held` is beyond INTAKE_HOLD_MAX or the mode is INTAKE_FLOW. */
    void (*answering)(struct intake *self);
};

void intake_fini(struct intake *intake);
/* Start over for another answer, of a request for so many choices. */
void intake_reset(struct intake *intake, unsigned choices);
/* Choose by the response's head. */
void intake_begin(struct intake *intake, const struct upstream_response *response);
enum upstream_flow intake_body(struct intake *intake, const char *bytes, size_t len);

/* The upstream has nothing more: what is left of a stream without its blank line is taken as an event, if it is one. 0
 * or -errno. */
int intake_end(struct intake *intake);

/* Give what is held to the relay, which promises it if it has not yet, and let the rest follow. An answer whose body
 * has ended (`whole`) is sent with its length. 0 or -errno. */
int intake_release(struct intake *intake, struct relay *relay, bool whole);

/* After a whole stream: supply the event that should have ended it. 0 or -errno. */
int intake_close(struct intake *intake);

#endif
