#ifndef GATEWAYD_TOKENS_H
#define GATEWAYD_TOKENS_H

/* How many tokens a request is likely to need: a pure function of its body, by the rule of thumb of
 * libshm/estimate.h. */

#include "gatewayd/json.h"

struct tokens {
    uint64_t prompt; /* by the rule of thumb, before anything learned about the model is applied */
    uint64_t answer; /* max_completion_tokens, max_output_tokens or max_tokens, times n; 0 when the body names none */
};

/*
 * `body` is a JSON object; anything else is counted as text from its first byte to its last.
 *
 * Text is what stands, unescaped, in `messages`, `system`, `prompt`, `input`, `instructions` and `suffix`: all that is
 * said, called and answered, but not roles, ids, signatures and the like. Definitions (`tools`, `functions`,
 * `response_format`) and the arguments of calls that are objects count as they stand, with their braces. Every message
 * costs four more. Each token of a prompt given as numbers is one. Images, audio and files in it (data: URLs, links,
 * ids, base64) are not text and count TOKENS_MEDIA each instead of by their bytes.
 */
void tokens_estimate(struct str body, struct tokens *tokens);

enum { TOKENS_MEDIA = 1000 };

/* What a prompt is made of, so that a part of it can be added and taken away before it is summed up. */
struct tokens_weight {
    struct json_extent text;
    uint64_t messages;
    uint64_t flat; /* tokens of what is no text */
};

/* Set `weight` to what counts of `body`. False when that is all of it, because it is no JSON object whose members are
 * there once. */
bool tokens_weigh(struct str body, struct tokens_weight *weight);
/* Add what one element of `messages` counts for. */
void tokens_weigh_message(struct json_value message, struct tokens_weight *weight);
/* Whether a text within a message counts as one; else it is an image or the like. */
bool tokens_is_text(struct json_value text);
uint64_t tokens_sum(const struct tokens_weight *weight);

#endif
