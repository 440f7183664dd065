#ifndef GATEWAYD_SSE_H
#define GATEWAYD_SSE_H

/*
 * Server-sent events, looked at as they pass: where each event ends, and what it means for the request. Pure functions
 * of their input; the bytes themselves are relayed by others, untouched.
 */

#include "gatewayd/str.h"

enum { SSE_EVENT_MAX = 4 * 1024 * 1024 };

enum sse_kind {
    SSE_COMMENT,  /* nothing but comments or blank fields: keeps a connection alive, says nothing */
    SSE_PREAMBLE, /* data, but nothing of the answer yet: a role, a ping, an id */
    SSE_CONTENT,  /* a part of the answer */
    SSE_FINISH,   /* carries a finish reason: the answer is whole */
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

/* The data of an event: its only data line, which is what every provider sends, or its first. Empty when there is
 * none. */
struct str sse_data(struct str event);
/* Its event name; empty when there is none. */
struct str sse_name(struct str event);

/* What an event means, looked at with care: for the events before anything is promised to the client. */
enum sse_kind sse_judge(struct str event);
/* The same once the answer is on its way, at the price of a few memory searches: never SSE_PREAMBLE. */
enum sse_kind sse_glance(struct str event);

#endif
