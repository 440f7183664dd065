#ifndef GATEWAYD_REPLY_H
#define GATEWAYD_REPLY_H

/* Heads and errors for the client: text into a buffer, nothing else. */

#include "gatewayd/buf.h"

struct reply_error {
    int status;
    const char *type;
    const char *code;
    const char *message;
    struct str request_id;
    int64_t retry_after_ms; /* negative: none */
    struct str endpoints;   /* a JSON object, or empty */
    bool anthropic;         /* in the shape of /v1/messages */
};

#define REPLY_NO_BODY (SIZE_MAX - 1) /* a status that has none, and no length either */

/* Status line, Date, and X-Request-Id when there is one. */
int reply_begin(struct buf *out, int status, struct str request_id);
/* "Name: N.NNN" of milliseconds, from microseconds, for Server-Timing. */
int reply_add_ms(struct buf *out, uint64_t us);
/* Content-Length (or chunked when SIZE_MAX), Connection where needed, and the empty line. */
int reply_end_head(struct buf *out, size_t length, bool keep_alive, int minor);

/* The body of an error, in the client's dialect. */
int reply_error_body(struct buf *out, const struct reply_error *error);
/* A whole error answer; `extra` is more header lines, each with its CRLF, or empty. */
int reply_error_whole(struct buf *out, const struct reply_error *error, struct str extra, bool keep_alive, int minor,
                      bool head_only);
/* A whole answer of ours with a JSON or text body. */
int reply_whole(struct buf *out, int status, const char *content_type, struct str body, struct str request_id,
                bool keep_alive, int minor, bool head_only);
/* The error as one event of a stream. */
int reply_error_event(struct buf *out, const struct reply_error *error);

#endif
