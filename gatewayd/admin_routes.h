#ifndef GATEWAYD_ADMIN_ROUTES_H
#define GATEWAYD_ADMIN_ROUTES_H

/* What the paths of the admin server mean. Pure. */

#include "gatewayd/admin_guard.h"
#include "gatewayd/admin_page.h"
#include "gatewayd/change.h"

enum admin_what {
    ADMIN_PAGE,
    ADMIN_METRICS,
    ADMIN_STATUS,
    ADMIN_EVENTS,
    ADMIN_WORKERS,
    ADMIN_HISTORY,
    ADMIN_STREAM,
    ADMIN_CHANGE,
    ADMIN_UNKNOWN,     /* no such path */
    ADMIN_NOT_ALLOWED, /* not with this method */
    ADMIN_BAD          /* a path or query that says nothing */
};

enum { ADMIN_EVENTS_DEFAULT = 100, ADMIN_EVENTS_MAX = 1000 };

struct admin_route {
    enum admin_what what;
    enum admin_need need;
    const struct admin_page *page;
    enum change_kind change;
    uint64_t hold_ms;                /* ?for= of a breaker's open; 0: for ever */
    uint64_t count;                  /* ?n= of the events */
    uint64_t since_ms;               /* ?since= of the history, since 1970; 0: all of it */
    char name[2 * GWS_NAME_MAX + 2]; /* endpoint, endpoint/model or account, decoded */
    const char *allow;               /* of ADMIN_NOT_ALLOWED: what the path takes */
    const char *why;                 /* of ADMIN_BAD */
};

void admin_route(const struct http_request *request, struct admin_route *route);

/* Decode %XX into `out`, with a NUL. False when it is malformed, holds a NUL, or does not fit. */
bool admin_decode(struct str text, char *out, size_t size);

#endif
