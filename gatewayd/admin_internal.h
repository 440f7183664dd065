#ifndef GATEWAYD_ADMIN_INTERNAL_H
#define GATEWAYD_ADMIN_INTERNAL_H

/* What the parts of the admin server know of each other. */

#include "gatewayd/admin.h"
#include "gatewayd/admin_answer.h"
#include "gatewayd/sock.h"

enum {
    ADMIN_CONNS_MAX = 256,  /* one more, and one that nobody has to answer makes room */
    ADMIN_STREAMS_MAX = 32,
    ADMIN_HEAD_MAX = 16 * 1024,
    ADMIN_BODY_MAX = 4 * 1024, /* read and not looked at */
    ADMIN_HEAD_MS = 5000,
    ADMIN_IDLE_MS = 30000,
    ADMIN_LINGER_MS = 1000,
    ADMIN_LINGER_BYTES = 64 * 1024,
    ADMIN_WRONG_MS = 250,   /* what a wrong token costs who guesses */
    ADMIN_WRONG_MAX = 3,    /* and how many a connection may guess */
    ADMIN_STREAM_MS = 1000,
    ADMIN_DRAIN_MS = 1000
};

enum admin_state {
    ADMIN_READING,   /* a request, or idle before one */
    ADMIN_HELD,      /* the answer to a wrong token waits for its time */
    ADMIN_SENDING,   /* an answer is on its way; nothing is read meanwhile */
    ADMIN_STREAMING,
    ADMIN_ENDING,    /* the last answer is on its way */
    ADMIN_LINGERING, /* ended on our side; read on, so that the client can read why */
    ADMIN_CLOSED
};

struct admin_conn {
    struct sock sock;
    struct admin *admin;
    struct admin_conn *next, *prev; /* the one that last asked something comes first */
    enum admin_state state;
    bool is_unix;
    bool served;  /* it has asked before */
    bool trusted; /* its last request was for what not everybody gets, and was let in */
    uint32_t who;
    struct buf in;
    size_t seen; /* bytes of the head already looked at */
    struct event_timer timer;
    uint64_t sent_seen; /* when its time was last up */
    size_t discarded;
    unsigned wrong;  /* tokens */
    struct buf held; /* the answer to a wrong one */
};

struct admin_door {
    struct event_io io;
    struct admin *admin;
    const struct listener *listener;
};

struct admin {
    struct process *process;
    struct admin_door *doors;
    size_t door_count;
    struct event_timer reopen_doors;
    struct admin_conn *first, *last;
    struct admin_conn *dead; /* closed, and freed at the end of the turn */
    unsigned count;
    unsigned streams;
    struct event_timer tick;   /* of the streams */
    struct event_timer sample;
    struct admin_samples samples;
    struct event_timer drain_limit;
    void (*emptied)(void); /* when draining */
    char hostname[256];
};

static inline uint64_t admin_now(const struct admin *admin)
{
    return event_now_ms(&admin->process->loop);
}

static inline struct admin_facts admin_facts(struct admin *admin, uint32_t who)
{
    return (struct admin_facts){&admin->process->region, admin->process->state, &admin->samples, who};
}

/* Connections. */
void admin_conn_open(struct admin *admin, int fd, bool is_unix);
/* At once. */
void admin_conn_close(struct admin_conn *c);
/* Once everything has been sent. */
void admin_conn_finish(struct admin_conn *c);
void admin_conn_send(struct admin_conn *c, struct buf *bytes);
void admin_conn_front(struct admin_conn *c);
void admin_conn_deadline(struct admin_conn *c, uint64_t after_ms);

/* Streams: the head has been sent, and the first event is wanted. */
void admin_stream_begin(struct admin_conn *c);
void admin_stream_tick(struct event_timer *timer);

#endif
