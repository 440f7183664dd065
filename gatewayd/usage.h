#ifndef GATEWAYD_USAGE_H
#define GATEWAYD_USAGE_H

/* What an answer says it cost, in the words of every dialect: a pure function of its JSON. */

#include "gatewayd/str.h"

struct usage {
    bool known;      /* the upstream said so; else nothing below counts */
    uint64_t input;  /* tokens of the prompt, cached ones among them */
    uint64_t cached; /* of them, read from a cache; never more */
    uint64_t output; /* reasoning among them */
};

/*
 * Take over what `json`, a whole answer or the data of one event, says of the usage: `usage` in OpenAI's and in
 * Anthropic's words (there in message_start and message_delta, which complete each other), `response.usage`,
 * `usageMetadata`, `x_groq.usage`. What it does not mention stays; later numbers win. Null, negative and absurd ones
 * (above 10^9) are not mentioned.
 */
void usage_read(struct str json, struct usage *usage);

#endif
