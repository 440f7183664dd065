#ifndef GATEWAYD_ANSWER_H
#define GATEWAYD_ANSWER_H

/* Whether a success holds an answer: a pure function of what was asked for and what came. */

#include "gatewayd/str.h"

/*
 * True when the body of a 2xx to an unstreamed request is no answer: an error in its place, not the shape that the API
 * of that path promises, or an answer without a word although nothing cut it short. Paths whose answers are not known
 * to be JSON are taken at their word.
 *
 * With `min_chars` an answer in chat, completions, messages or responses is also missing when the text of all its
 * choices together has fewer characters, unless it calls tools, refuses, or was cut short. 0: any word will do.
 */
bool answer_missing(struct str path, struct str body, uint32_t min_chars);

#endif
