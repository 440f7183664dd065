#ifndef GATEWAYD_UPSTREAM_H
#define GATEWAYD_UPSTREAM_H

/*
 * Requests to upstream endpoints: connections kept and shared, TLS, HTTP/2, proxies, timeouts of connecting. One
 * instance a process, on the process's loop. The library that does it is seen in upstream.c alone.
 *
 * A transfer is one try. It reports to its owner: the response's head once, then body bytes as they arrive, then its
 * end, exactly once. It never repeats a request by itself: when a kept connection turns out dead before it was used,
 * the end is UPSTREAM_STALE and the owner decides.
 */

#include "gatewayd/event.h"
#include "gatewayd/http.h"
#include "gatewayd/plan.h"

struct upstream;
struct transfer;

enum upstream_end {
    UPSTREAM_COMPLETE,  /* the response is whole, or a refusal of which the rest does not matter */
    UPSTREAM_STALE,     /* a kept connection died, or a stream was refused, before the request was looked at */
    UPSTREAM_CONNECT,   /* no address, no route, refused, timed out connecting, proxy said no */
    UPSTREAM_TLS,       /* no handshake, or a certificate that does not verify */
    UPSTREAM_RESET,     /* connected, but the connection ended before a response's head */
    UPSTREAM_CUT,       /* ended within the body */
    UPSTREAM_LOCAL,     /* this process has no descriptors or ports left: no fault of theirs */
    UPSTREAM_MALFORMED, /* not HTTP, or beyond what we are willing to read */
    UPSTREAM_ABORTED    /* the owner said so */
};

enum upstream_flow { UPSTREAM_TAKEN, UPSTREAM_PAUSE, UPSTREAM_ABORT };

enum {
    UPSTREAM_HEAD_MAX = 64 * 1024,
    UPSTREAM_REFUSAL_MAX = 64 * 1024, /* read of the body of anything but a success; such a one may be longer */
    UPSTREAM_LINES_MAX = HTTP_HEADERS_MAX + 4
};

struct upstream_response {
    int status;
    unsigned header_count;
    struct http_header headers[HTTP_HEADERS_MAX]; /* well-formed lines only; views live as long as the transfer */
};

/* How the owner hears of it. Called from within the loop; `body` and `head` must not start or cancel transfers. */
struct upstream_events {
    enum upstream_flow (*head)(void *owner, const struct upstream_response *response);
    enum upstream_flow (*body)(void *owner, const char *bytes, size_t len);
    void (*done)(void *owner, enum upstream_end end, const char *why);
};

struct upstream_request {
    const struct plan_target *target;
    const struct upstream_events *events;
    void *owner;
    struct str method;
    struct str path;           /* below the endpoint's base: "/chat/completions", with its query */
    char *const *header_lines; /* "Name: value", NUL-terminated; valid until the transfer ends */
    unsigned header_count;     /* at most UPSTREAM_LINES_MAX */
    struct str body;           /* stays where it is until the transfer ends */
    bool fresh;                /* on a new connection */
    uint32_t connect_ms;
};

/* Once in the life of the program, before any fork. 0, or 1 when the library cannot be set up. */
int upstream_setup(void);

/* `plan` outlives the instance. NULL when memory is out. */
struct upstream *upstream_new(struct event_loop *loop, const struct plan *plan);
void upstream_free(struct upstream *up);

/* 0 with *out, or -ENOMEM. `done` is never called from within this call. */
int upstream_start(struct upstream *up, const struct upstream_request *request, struct transfer **out);

/* End a transfer now: nothing more is reported, an unfinished one's connection or stream is closed. NULL is
 * accepted. */
void upstream_cancel(struct transfer *transfer);

/* Begin what was started and report what has ended; the process calls it before its loop sleeps. */
void upstream_turn(struct upstream *up);

/* Continue after UPSTREAM_PAUSE. */
void upstream_resume(struct transfer *transfer);

/* Whether its connection carries other streams as well (HTTP/2). Such a transfer must not be paused: what the peer has
 * sent of it already would stand in the way of all the others. */
bool upstream_is_shared(const struct transfer *transfer);

/* Whether the connection that carried it is shared with other streams, and was already reported lost by one of them. */
bool upstream_loss_known(struct transfer *transfer);

#endif
