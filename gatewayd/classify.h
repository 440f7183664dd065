#ifndef GATEWAYD_CLASSIFY_H
#define GATEWAYD_CLASSIFY_H

/*
 * What the end of a try means: pure functions from what an upstream sent (or did not) to a class, which decides what is
 * told to the breakers and cooldowns and whether somebody else is asked.
 */

#include "gatewayd/http.h"
#include "gatewayd/upstream.h"

enum outcome_class {
    CLASS_OK,
    CLASS_CLIENT,    /* the request's own fault: straight back, as the upstream said it */
    CLASS_CONTEXT,   /* too long for this model, and perhaps not for another */
    CLASS_AUTH,      /* the gateway's credential was refused */
    CLASS_QUOTA,     /* the account has no money or quota left: waiting will not cure it soon */
    CLASS_QUOTA_HERE, /* the same, of this model alone */
    CLASS_RATE,      /* too many requests: wait */
    CLASS_OVERLOAD,  /* the upstream is overloaded */
    CLASS_SERVER,    /* it failed */
    CLASS_INVALID,   /* a success that holds no answer */
    CLASS_SILENCE,   /* nothing within the time allowed */
    CLASS_TRANSPORT, /* no connection, or lost before an answer */
    CLASS_CUT,       /* lost within an answer */
    CLASS_STALE,     /* a kept connection that was dead already: nobody's fault */
    CLASS_LOCAL,     /* nothing left here to try it with: nobody's fault but ours */
    CLASS_ABORT      /* the client left */
};

/* No wait was named, but that nothing remains: twice what is usual. */
enum { WAIT_TWICE = -2 };

struct verdict {
    enum outcome_class class;
    int64_t wait_ms; /* the wait the upstream named, or GWS_NO_WAIT, or of a rate limit WAIT_TWICE */
    int status;      /* the upstream's, 0 when it sent none */
};

/* Short lower-case names for logs and messages: "rate", "server" … */
const char *classify_name(enum outcome_class class);

/*
 * A whole response other than a success, by what its body calls the error before what its status does. `now_real_s`:
 * seconds since the epoch, for dates without a Date to compare to. A rate limit's wait may be implied by counters, an
 * overload's or a quota's must be asked for: those end with a window that has nothing to do with it.
 */
struct verdict classify_response(int status, const struct http_header *headers, unsigned count, struct str body,
                                 int64_t now_real_s);

/*
 * The error in the body of a success, or in the data of an event of its stream: never called OK when the body says that
 * it is an error, CLASS_INVALID when it does not say which. CLASS_OK when it holds none, which leaves open whether it
 * holds an answer. `status` and the headers are the response's.
 */
struct verdict classify_error_body(int status, const struct http_header *headers, unsigned count, struct str body,
                                   int64_t now_real_s);

/* An end that is not UPSTREAM_COMPLETE. */
struct verdict classify_end(enum upstream_end end);

/* Whether another endpoint should be asked after this. */
bool classify_fails_over(enum outcome_class class);

#endif
