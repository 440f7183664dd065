#ifndef LLMSIM_REPLY_H
#define LLMSIM_REPLY_H

/* Answers as HTTP: heads, errors, and how the good ones are played over time. Below serve.c, which decides, and above
 * conn.c's buffers, into which all of this is written. */

#include "tools/llmsim/conn.h"

enum { REPLY_CHUNKED = -1 };

/* A response head; `length` of the body or REPLY_CHUNKED. `headers` are complete lines. Counts the status. */
void reply_head(struct conn *c, int status, const char *type, int64_t length, struct str headers);
void reply_json(struct conn *c, int status, struct str body, struct str headers); /* head, body, end */
void reply_limits(struct conn *c, struct buf *headers); /* the limiter's, as this API has them */
void reply_error(struct conn *c, int status, const struct answer_error *e, struct str headers);

/* Begin the answer described in c->x, and go on with it. */
void reply_begin(struct conn *c);
void reply_tick(struct conn *c);

#endif
