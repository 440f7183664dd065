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

/* Fill `failure`; returns FAIL. */
enum step_result request_fail(struct request *r, int status, const char *type, const char *code, const char *message);
/* The same when it is our own fault. */
enum step_result request_fail_here(struct request *r);

/* What the gateway answers itself (request_own.c): NEXT when it is somebody else's to answer. */
enum step_result request_own(struct request *r);
enum step_result request_model_not_found(struct request *r, struct str name);

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
