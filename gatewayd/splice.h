#ifndef GATEWAYD_SPLICE_H
#define GATEWAYD_SPLICE_H

/*
 * Rescue by replay, the pure part: what a client has been given of a streamed answer, and how another stream of the
 * same answer goes on from there. The answer is kept as a sequence of runs for each choice: text (content, reasoning, a
 * refusal, the arguments of a tool call), unescaped, and marks (a tool call or a block begins or ends). Another stream
 * agrees as long as the sequence it makes begins with that one. Ids and the like stay those of the first stream.
 */

#include "gatewayd/splice_ids.h"
#include "gatewayd/splice_kept.h"
#include "gatewayd/splice_shape.h"

enum { SPLICE_TEXT_MAX = 1024 * 1024 }; /* longer answers are not kept, and cannot be rescued */

enum splice_api {
    SPLICE_NONE,      /* nothing known about its streams: never kept */
    SPLICE_CHAT,      /* /chat/completions */
    SPLICE_TEXT,      /* /completions */
    SPLICE_RESPONSES, /* /responses */
    SPLICE_MESSAGES   /* /messages, Anthropic's */
};

/* An event taken apart; see splice_take.h. */
struct splice_taken {
    struct buf parts;
    struct buf labels;
    bool numbered; /* it has a number among its stream's events */
    bool failed;   /* memory ran out */
};

struct splice {
    enum splice_api api;
    bool lost; /* too long, out of memory or not understood: nobody can go on from here */
    /* What follows is private. */
    bool beyond; /* lost when a replay had caught up: it may still go on, but nobody after it */
    struct splice_kept kept;
    struct splice_ids ids;
    struct splice_shape shape;
    struct splice_taken taken;
    struct buf edits;
};

/* By the path below an endpoint's base, its query aside. */
enum splice_api splice_api_of(struct str path);

/* A zeroed splice is SPLICE_NONE. Begin keeping another answer; memory of an earlier one is used again. */
void splice_begin(struct splice *splice, enum splice_api api);
void splice_fini(struct splice *splice);

/* The client has been given this event (whole, with its blank line), as it came. Called for every event of every
 * stream, so the common one costs little; allocates nothing but room for more text. */
void splice_note(struct splice *splice, struct str event);

/* Whether anything was kept that a replay could be compared with. */
bool splice_possible(const struct splice *splice);

/* Another stream of the answer begins (a second or a tenth): its events follow through splice_event(). */
void splice_replay(struct splice *splice);

enum splice_result {
    SPLICE_HAD,    /* the client has all of it already: leave it out */
    SPLICE_PASS,   /* give `out` to the client: the event, without what it has, under the first stream's ids */
    SPLICE_DIFFERS /* the two answers part here */
};

/* One event of the replay; a comment or what is no JSON at all is HAD. `out` is appended to for SPLICE_PASS alone; what
 * was passed is noted. 0…2 as above, or -ENOMEM: then, as after SPLICE_DIFFERS, this replay is over. */
int splice_event(struct splice *splice, struct str event, struct buf *out);

/* The replay has reached the end of what the client has: from here on it brings something new. */
bool splice_caught_up(const struct splice *splice);

#endif
