#ifndef GATEWAYD_REQUEST_STEPS_H
#define GATEWAYD_REQUEST_STEPS_H

/* What the files of a request's story share; for request*.c alone. */

#include "gatewayd/request.h"

enum step_result {
    NEXT,  /* on to the next step */
    WAIT,  /* something will call back */
    AGAIN, /* another candidate */
    FAIL,  /* `failure` says what to tell the client */
    DONE   /* answered */
};

/* The steps that a callback goes on with; their places in the table of request.c. */
enum { STEP_PICK = 4, STEP_SEND = 5, STEP_JUDGE = 6 };
void request_go_on(struct request *r, unsigned step);
/* End it by the result of its last step: FAIL or DONE. */
void request_finish(struct request *r, enum step_result result);

/* Fill `failure`; returns FAIL. */
enum step_result request_fail(struct request *r, int status, const char *type, const char *code, const char *message);
/* The same when it is our own fault. */
enum step_result request_fail_here(struct request *r);

/* The connection ends here, and the client can tell that the answer is not whole; returns DONE. */
enum step_result request_cut_off(struct request *r, const char *message);

/* What the gateway answers itself (request_own.c): NEXT when it is somebody else's to answer. */
enum step_result request_own(struct request *r);
enum step_result request_model_not_found(struct request *r, struct str name);

/* An endpoint for the next try, or a wait for one (request_choose.c). */
enum step_result request_pick(struct request *r);
/* Not parked any more. Safe when it is not. */
void request_unpark(struct request *r);
/* Called by the park. */
void request_look(struct parked *parked);
/* One candidate, with everything it takes, for the try `t`. */
enum request_taken { TAKEN, NOBODY, SPENT };
enum request_taken request_take(struct request *r, struct request_try *t, enum pick_who who);
/* A place among the retries, replays and hedges of the whole gateway; given back when the try is closed. */
bool request_take_retry(struct request *r);

/* The tries (request_try.c): once for each request; what is sent; a second one beside the first. */
void request_tries_init(struct request *r);
enum step_result request_send(struct request *r);
void request_hedge(struct request *r);
/* The other try, when both run. */
struct request_try *request_other_try(struct request *r, const struct request_try *t);
/* Its line in the log. */
void request_note_try(struct request_try *t, struct verdict verdict);
/* It failed: keep what is left of it, and close it. */
void request_note_failure(struct request *r, struct request_try *t);
/* Safe when it is not open. */
void request_close_try(struct request *r, struct request_try *t);

/* Between the comments that keep the connection of a client alive while others are asked for the rest of its answer. */
enum { COMMENT_MS = 2000 };
/* Its timer (request_time.c): set to the soonest moment it waits for; what happens then. */
void request_arm(struct request *r);
void request_on_time(struct event_timer *timer);

/* Nobody can take the request: fill `failure` with why, and when somebody could (request_say.c). */
enum step_result request_say_exhausted(struct request *r);
/* Keep what a failed try left in words, for that. */
void request_keep_words(struct request *r, const struct attempt *a);
/* Send `failure` instead of an answer. */
void request_say_failure(struct request *r);
/* The answer's head, for the relay, made when it is promised. 0 or -ENOMEM. */
int request_say_head(struct request *r, struct buf *out, size_t length);
/* One event that tells a stream's reader that it is not whole, and why. */
void request_say_cut(struct request *r, const char *message);

#endif
