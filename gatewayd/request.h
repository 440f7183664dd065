#ifndef GATEWAYD_REQUEST_H
#define GATEWAYD_REQUEST_H

/*
 * One request, from its parsed head to its answer. Lives inside its connection and is used again for the next one. It
 * writes its answer to the connection's socket and says, exactly once and in whatever way it went, that it has ended.
 */

#include "gatewayd/account.h"
#include "gatewayd/attempt.h"
#include "gatewayd/course.h"
#include "gatewayd/park.h"

enum { REQUEST_ID_MAX = 128, REQUEST_TRIES = 2 };

struct request_failure {
    int status;
    const char *type;
    const char *code;
    const char *message;
    int64_t retry_after_ms; /* negative: none */
};

/* A try under way; the second is a hedge beside the first. */
struct request_try {
    struct attempt attempt;
    bool retry; /* holds a place in the retry budget */
    bool hedge; /* and one in the hedges' */
    struct account_try *note; /* its line in the log; NULL beyond ACCOUNT_TRIES */
};

struct request {
    /* Given by the connection. */
    struct service *service;
    struct sock *client;
    void (*ended)(struct request *self, bool keep_alive);
    const struct http_request *head;
    struct str body;

    bool active;
    bool counted; /* among the requests in flight */
    bool events;  /* the answer is a stream */
    unsigned step;
    struct arena arena; /* everything that lives as long as the request */
    char id_text[REQUEST_ID_MAX];
    struct str id;
    struct route route;
    uint64_t deadline; /* the caller's, on the loop's clock; UINT64_MAX: none */
    bool keep_alive;
    struct event_timer timer;

    /* Who may answer. */
    struct course course;
    unsigned truncated; /* messages left out or cut, so that it fits */

    /* Tries. */
    struct request_try tries[REQUEST_TRIES];
    struct request_try *current; /* the one whose turn it is, or whose answer this is */
    unsigned attempts;
    struct parked parked;
    struct pick_outlook outlook; /* what it is parked for */
    uint64_t parked_us;          /* since when */
    bool parks;
    bool queue_full; /* there was no room to wait */
    bool rescuing; /* the client has a part of the answer; others are asked for the rest */
    struct request_try *loser; /* of two tries, the one whose answer is not wanted any more */
    uint64_t hedge_at, hold_at, comment_at; /* on the loop's clock; UINT64_MAX: not */

    /* The answer. */
    struct relay relay;
    const char *promised;   /* the endpoint whose head the client was given; NULL: none yet */
    struct verdict verdict; /* of the last try */
    char why[128];
    struct str quote;       /* what its upstream said */
    struct buf text;        /* scratch: an answer of our own */
    struct buf shorter;     /* the body, made to fit */
    struct request_failure failure;
    struct buf endpoints; /* of a failure: the state of each, as JSON */
    const char *outcome;  /* for the log: how the request ended */
    int status;
    uint64_t began_us;
    uint64_t failed_us; /* spent on tries that failed */
    uint64_t waited_us; /* parked */
    struct account_try notes[ACCOUNT_TRIES];
};

/* Once for each connection. */
void request_init(struct request *r, struct service *service, struct sock *client,
                  void (*ended)(struct request *self, bool keep_alive));
void request_fini(struct request *r);

/* Start. `head` and `body` stay where they are, and the head may be written to, until `ended`; which may be called from
 * within this call. */
void request_begin(struct request *r, const struct http_request *head, struct str body);

/* The client is gone: everything ends now, upstream too. Does not call `ended`. */
void request_client_left(struct request *r);

/* The process ends now: what was answered so far is all there will be, and the client is told. */
void request_stop(struct request *r);

/* What waited for the client has been sent. */
void request_client_drained(struct request *r);

#endif
