#ifndef GATEWAYD_ADMIN_GUARD_H
#define GATEWAYD_ADMIN_GUARD_H

/*
 * Who may ask the admin server. Pure: a request and the rules of the listener it came in by go in, a verdict comes out.
 *
 * Over TCP everything but the page itself needs the token in an Authorization header. No other site's page can send
 * that header: it would have to ask first, and is never allowed to. A Unix socket needs no token, because its file says
 * who may open it; but somebody may have forwarded it to a port that his browser reaches, so there the name in Host
 * must be one that no stranger's DNS can point here: an address, localhost, or the machine's own name. The same goes
 * for open metrics. With the right token the name does not matter: a page that came from elsewhere does not have it.
 * A request whose Origin is not the very host it was sent to is refused everywhere.
 */

#include "gatewayd/http.h"

struct admin_rules {
    bool needs_token;           /* it came over TCP */
    bool open_metrics;
    const unsigned char *token; /* hash; NULL: there is none */
    struct str hostname;        /* the machine's own; may be empty */
};

enum admin_need {
    ADMIN_NEED_NOTHING, /* the page: it holds no data */
    ADMIN_NEED_METRICS,
    ADMIN_NEED_TOKEN
};

enum admin_verdict {
    ADMIN_ADMITTED,
    ADMIN_NO_TOKEN,
    ADMIN_WRONG_TOKEN,
    ADMIN_FOREIGN_HOST,
    ADMIN_FOREIGN_ORIGIN
};

enum admin_verdict admin_guard(const struct http_request *request, const struct admin_rules *rules,
                               enum admin_need need);

/* Whether nobody but this machine's owner can have a name point here; no Host at all is as good. */
bool admin_guard_host(struct str host, struct str hostname);

#endif
