#ifndef GATEWAYD_TRUNCATE_H
#define GATEWAYD_TRUNCATE_H

/*
 * Making a chat request fit a model's context, where the configuration asks for it: the oldest messages that are not
 * the system's (or the developer's) are left out first, then the longest text that is left is cut, its end replaced by
 * "... [truncated]", and the next longest if that was not enough. Everything else of the body stays byte for byte as it
 * came.
 */

#include "gatewayd/buf.h"

enum truncate_result {
    TRUNCATE_DONE = 0,
    TRUNCATE_CANNOT = 1 /* no list of messages, or it cannot be made to fit; `out` is as it was */
};

/* How many texts are cut at most. */
enum { TRUNCATE_CUTS = 8 };

/*
 * Append a body whose estimate (tokens_estimate(), prompt only) is at most `most` to `out`, and set `*count` to the
 * number of messages left out or cut. System messages always stay, and so does the last of the others, at least in
 * part: of a text that is cut its first character is left. The answer to a tool call goes together with the call it
 * answers, and where messages were left out, an answer of the assistant does not come first unless nothing else would
 * do. -ENOMEM otherwise.
 */
int truncate_messages(struct str body, uint64_t most, struct buf *out, unsigned *count);

#endif
