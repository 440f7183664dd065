#ifndef GATEWAYD_UPSTREAM_INTERNAL_H
#define GATEWAYD_UPSTREAM_INTERNAL_H

/* What the files of upstream share; for upstream*.c alone. */

#include <curl/curl.h>

#include "gatewayd/upstream.h"

enum { PATHS_KEPT = 8, LOSSES_KEPT = 8 };

struct kept_path {
    char *path;
    size_t len;
    CURLU *url;
};

/* What is the same for every request to one endpoint. */
struct target {
    const struct plan_target *plan;
    char *fixed; /* lines of every request, CRLF between them: the credential and the configured headers */
    size_t fixed_len;
    struct kept_path paths[PATHS_KEPT];
    unsigned next_path;
    bool two;              /* may speak HTTP/2 */
    struct transfer *idle; /* with their handles, options set */
};

struct watch {
    struct event_io io;
    struct upstream *up;
    int wanted;       /* what libcurl asked for; the watcher itself may outlast it */
    unsigned streams; /* transfers under way that this connection has carried bytes of */
    bool plain;       /* HTTP/1: between two answers nothing may come */
    bool held;        /* the transfer on it is paused: it is quiet, and not idle */
    bool resting;     /* read lately; read again when the pause is over */
    struct watch *next_resting;
};

struct upstream {
    struct event_loop *loop;
    CURLM *multi;
    CURLSH *share;
    struct event_timer timer;
    bool kick; /* something waits to be begun */
    struct watch **watches; /* by descriptor */
    struct watch *acting;   /* whose bytes are being read */
    struct watch *resting;
    struct event_timer rest_over;
    size_t watch_count;
    struct target *targets;
    uint32_t target_count;
    struct transfer *aborted; /* ended by their owner from within a callback of libcurl's */
    struct {
        long port;
        uint64_t at;
    } losses[LOSSES_KEPT]; /* connections reported lost lately, by their local port */
    unsigned next_loss;
    unsigned adrift; /* paused transfers that were never waited for: any quiet connection may be theirs */
};

struct transfer {
    struct upstream *up;
    struct target *target;
    struct transfer *next;
    CURL *easy;
    const struct upstream_events *events;
    void *owner;
    bool active, paused, stale, in_head, head_done, malformed, owner_aborted, local, posting, custom;
    bool watched; /* its connection is known to upstream_loop.c */
    bool enough;  /* the rest of what it says does not matter */
    unsigned sends;
    unsigned interims;
    size_t refusal_bytes;
    struct event_timer refused;
    long local_port;
    struct watch *carrier; /* the connection's */
    CURLU *url_set;   /* what the handle was given last */
    CURLU *url_owned; /* made for this request alone */
    size_t head_bytes;
    struct buf lines;
    struct upstream_response response;
    struct buf block; /* the request's header lines, as one text */
    struct curl_slist nodes[3];
    const char *malformed_why;
    char why[CURL_ERROR_SIZE];
};

/* The loop (upstream_loop.c): libcurl's descriptors and its clock. */
void upstream_loop_init(struct upstream *up);
void upstream_loop_fini(struct upstream *up);
/* How libcurl opens and closes the sockets of a transfer. */
curl_socket_t upstream_loop_open(void *transfer, curlsocktype purpose, struct curl_sockaddr *address);
int upstream_loop_close(void *upstream, curl_socket_t fd);

/* What is the same for all requests to an endpoint (upstream_target.c). 0 or -ENOMEM. */
int upstream_target_init(struct target *target, const struct plan_target *plan);
/* Its transfers are not under way. */
void upstream_target_fini(struct target *target);
/* The parsed URL of a path there, kept or made for this transfer; NULL when memory is out. */
CURLU *upstream_target_url(struct transfer *t, struct str path);

/* Report what has ended (upstream.c). */
void upstream_finish_done(struct upstream *up);

#endif
