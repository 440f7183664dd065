#ifndef GATEWAYD_ATTEMPT_H
#define GATEWAYD_ATTEMPT_H

/*
 * One try at one endpoint: sends the request, watches the time, takes the answer in and says what came of it. It tells
 * the shared words about it and gives back what it holds; whether somebody else is tried, and what the client gets, is
 * its owner's business.
 */

#include "gatewayd/admit.h"
#include "gatewayd/intake.h"
#include "gatewayd/route.h"
#include "gatewayd/service.h"

/* What is asked: the same for every attempt of a request. */
struct attempt_task {
    const struct http_request *head;
    const struct route *route;
    struct str id;
    struct str body;
    uint32_t min_chars;            /* what an answer must hold to be one */
    uint64_t thumb;                /* tokens of its prompt by the rule of thumb; 0 when nobody needs to know */
    uint32_t estimate_row;         /* where it is learned what they really are */
    bool replays;                  /* the client has a part of the answer already */
};

struct attempt {
    /* Given once. */
    struct service *service;
    void *owner;
    /* The answer's first content has come; see intake.h. Must not start or end attempts. */
    void (*answering)(struct attempt *self);
    /* It is over, and `verdict` says how; what it holds stays until attempt_close(). */
    void (*ended)(struct attempt *self);
    /* Whether somebody else could be tried now. */
    bool (*elsewhere)(struct attempt *self);

    bool active; /* between attempt_start() and attempt_close() */
    bool over;
    bool fresh;  /* repeats itself, because its kept connection had died */
    struct ticket ticket; /* all that is held in the region; taken by the owner before the start */
    uint32_t index;       /* the candidate's, among those of its model */
    struct attempt_task task;
    struct str model;     /* its name upstream */
    struct transfer *transfer;
    struct event_timer timer;
    uint64_t soft_at, response_at, idle_at; /* on the loop's clock */
    bool paused;                            /* the client is slower than the upstream */
    uint64_t sent_when_paused;

    const struct upstream_response *response; /* NULL until its head has come */
    struct intake intake;
    enum upstream_end end;
    bool silent;         /* given up for want of any sign */
    bool client_stalled; /* given up because the client does not read */
    char why[128];
    struct verdict verdict;
    uint64_t sent_us, first_us, done_us; /* the head's moment, 0 while there is none; the end's */

    struct buf body; /* with another model's name */
    char *lines[UPSTREAM_LINES_MAX];
    unsigned line_count;
};

/* Once; `service`, `owner` and the three calls are set before. */
void attempt_init(struct attempt *a);
void attempt_fini(struct attempt *a);

/* Send, with the ticket that was taken into it; `arena` is the request's. 0, or -ENOMEM (nothing was sent, and it is to
 * be closed). */
int attempt_start(struct attempt *a, const struct attempt_task *task, struct str model, struct arena *arena);

/* Promise and pass on what has come so far. 0 or -errno. */
int attempt_release(struct attempt *a, struct relay *relay);

/* What the upstream said of its failure, for whoever asks: into `out`, cut to `size` bytes. The length; 0 when it said
 * nothing that may be shown, as of a credential that was refused. */
size_t attempt_quote(const struct attempt *a, char *out, size_t size);

/* The client reads again. */
void attempt_drained(struct attempt *a);

/* Give it up, if it is not over, and give back what it holds. Safe when it is not active. */
void attempt_close(struct attempt *a);

#endif
