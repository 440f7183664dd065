#ifndef GATEWAYD_REQUEST_H
#define GATEWAYD_REQUEST_H

/*
 * One request, from its parsed head to its answer. Lives inside its connection and is used again for the next one. It
 * writes its answer to the connection's socket and says, exactly once and in whatever way it went, that it has ended.
 */

#include "gatewayd/account.h"
#include "gatewayd/pick.h"
#include "gatewayd/relay.h"
#include "gatewayd/route.h"
#include "gatewayd/service.h"

enum { REQUEST_ID_MAX = 128 };

struct request_failure {
    int status;
    const char *type;
    const char *code;
    const char *message;
    int64_t retry_after_ms; /* negative: none */
};

struct request {
    /* Given by the connection. */
    struct service *service;
    struct sock *client;
    void (*ended)(struct request *self, bool keep_alive);
    const struct http_request *head;
    struct str body;

    bool active;
    unsigned step;
    struct arena arena; /* everything that lives as long as the request */
    char id_text[REQUEST_ID_MAX];
    struct str id;
    struct route route;
    uint64_t deadline; /* the caller's, on the loop's clock; UINT64_MAX: none */
    bool keep_alive;

    /* Tries. */
    struct pick_state pick;
    struct verdict *last; /* by candidate */
    uint32_t index;       /* the candidate being tried */
    unsigned attempts;
    bool fresh;           /* this try repeats one whose kept connection had died */
    struct ticket ticket; /* all that is held in the region */
    struct transfer *transfer;
    struct event_timer timer;
    uint64_t soft_at, response_at, idle_at; /* of the running try; on the loop's clock */
    bool paused;                            /* the client is slower than the upstream */
    uint64_t sent_when_paused;

    /* How the try ended. */
    enum upstream_end end;
    bool silent;
    char why[128];
    struct verdict verdict;
    const struct upstream_response *response;

    /* The answer. */
    struct relay relay;
    struct buf text; /* scratch: an answer of our own, a body with another model's name */
    struct request_failure failure;
    struct buf endpoints; /* of a failure: the state of each, as JSON */
    const char *outcome;  /* for the log: how the request ended */
    int status;
    uint64_t began_us, sent_us, first_us, done_us;
    uint64_t failed_us; /* spent on tries that failed */
    struct account_try tries[ACCOUNT_TRIES];
    char *lines[UPSTREAM_LINES_MAX];
    unsigned line_count;
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

/* What waited for the client has been sent. */
void request_client_drained(struct request *r);

#endif
