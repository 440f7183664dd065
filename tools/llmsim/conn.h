#ifndef LLMSIM_CONN_H
#define LLMSIM_CONN_H

/*
 * A client's connection: bytes in, bytes out, one request after the other. What a request gets is decided in serve.c,
 * which is called with each head and each whole body, adds the answer to `out` and says conn_end() when all of it is
 * there. A connection that is closed within a call stays readable until that call returns to the loop.
 */

#include <ev.h>

#include "gatewayd/http.h"
#include "tools/llmsim/sim.h"

enum conn_phase { CONN_HEAD, CONN_BODY, CONN_ANSWER, CONN_LINGER, CONN_DEAD };
enum exchange_play { PLAY_NOTHING, PLAY_WHOLE, PLAY_DRIP, PLAY_STREAM };

/* One request and how far its answer is. */
struct exchange {
    enum api api;
    enum exchange_play play; /* what a tick goes on with */
    bool in_flight;
    bool wrong_method;
    bool post;
    bool chunked;            /* the answer's body */
    bool stream;
    bool quiet;              /* /sim?log=0 */
    int minor;
    uint64_t n;
    int64_t from_us;         /* when its head was read */
    int status;              /* 0: none was sent */
    char id[64];             /* its x-request-id, cut to fit */
    char fault[160];         /* for the record: as it was written, "limit", or empty */
    const struct fault_kind *kind; /* the fault it has, or NULL */
    enum fault_effect effect;
    unsigned token;          /* where a stream's fault strikes */
    bool struck;
    int64_t duration_ms;
    const char *end;         /* how it will have ended once it is sent; NULL: complete */
    bool opened;
    unsigned sent;           /* tokens */
    int64_t first_ms;        /* when the first token was sent */
    double interval_ms;      /* between tokens */
    size_t slice;            /* of a dripping body */
    struct answer answer;
};

struct conn {
    struct sim *sim;
    struct conn *next, **link; /* in sim->conns */
    struct ev_io reading, writing;
    struct ev_timer timer;
    int fd;
    uint64_t number;
    enum conn_phase phase;
    bool control;     /* came over the control listener */
    bool to_sim;      /* its first request was to /sim, so it is no client */
    bool close;       /* after this answer */
    bool ended;       /* all of the answer is in `out` */
    uint64_t served;  /* requests answered here so far */
    struct buf in, out, held;
    size_t seen;
    bool body_chunked;
    uint64_t body_left; /* of a body that is not chunked */
    size_t body_len;
    struct http_chunked chunks;
    struct exchange x;
};

void conn_accept(struct sim *sim, int fd, bool tcp, bool control); /* owns fd */
void conn_wake(struct conn *c, int64_t ms);       /* serve_tick() then */
void conn_end(struct conn *c);                    /* nothing more comes after what is in `out` */
void conn_close(struct conn *c, const char *end); /* at once; `end` is how its request ended, if there is one */
void conn_reset(struct conn *c, const char *end); /* the same, so that the client gets a reset */
void conn_reset_all(struct sim *sim, const struct conn *but); /* every client's */
void conn_fini_all(struct sim *sim); /* every connection, at the end of the process */

#endif
