#ifndef GATEWAYD_SSE_H
#define GATEWAYD_SSE_H

/*
 * Server-sent events, looked at as they pass: where each event ends, and what it means for the request. Pure functions
 * of their input; the bytes themselves are relayed by others, untouched.
 */

#include "gatewayd/str.h"

enum { SSE_EVENT_MAX = 4 * 1024 * 1024, SSE_SPREAD_MAX = 16 * 1024 };

enum sse_kind {
    SSE_COMMENT,  /* nothing but comments or blank fields: keeps a connection alive, says nothing */
    SSE_PREAMBLE, /* data, but nothing of the answer yet: a role, a ping, an id */
    SSE_CONTENT,  /* a part of the answer */
    SSE_FINISH,   /* carries a finish reason: the answer, or one of its choices, is whole */
    SSE_TERMINAL, /* [DONE], message_stop, response.completed and its kin */
    SSE_ERROR,    /* an error in place of an answer */
    SSE_BAD       /* no JSON: nothing a client could read */
};

/*
 * The length of the first whole event in `in`, through its blank line; 0 when there is none yet. `scanned` remembers
 * how far earlier calls looked, so that an event arriving byte by byte costs linear time; it is 0 again after a find.
 * Lines may end in LF, CRLF or CR.
 */
size_t sse_event_end(struct str in, size_t *scanned);

/*
 * The data of an event: its only data line, which is what every provider sends, or its first that holds anything. Of an
 * error that is no event but a bare JSON object, which is how some providers break off a stream, it is that object.
 * Empty when there is none.
 */
struct str sse_data(struct str event);
/* All of it: as above, and several data lines joined by line feeds in `room`; .at is NULL when that is too small. What
 * is looked into here fits into SSE_SPREAD_MAX. */
struct str sse_whole_data(struct str event, char *room, size_t size);
/* Its event name; empty when there is none. */
struct str sse_name(struct str event);

/* What an event means, looked at with care: for the events before anything is promised to the client. */
enum sse_kind sse_judge(struct str event);
/* The same once content has passed, so that to stop without a word is to finish; SSE_CONTENT for SSE_PREAMBLE. */
enum sse_kind sse_judge_on(struct str event);
/*
 * As sse_judge_on(), nearly always at the price of a few memory searches. The price is that an event that is no JSON
 * may be taken for content, and that the names of members are not recognized when they are written with escapes.
 */
enum sse_kind sse_glance(struct str event);

/*
 * How many choices of the event carry a finish reason, whether or not anything was said before: a stream of several
 * choices has finished when all have. An event that is SSE_CONTENT at a glance carries none; a SSE_PREAMBLE may.
 */
unsigned sse_finishes(struct str event);

/* The event that ends a whole stream of the API of that path, for upstreams that forget it; empty when none does. */
struct str sse_closing(struct str path);

#endif
