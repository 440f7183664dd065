#ifndef LIBSHM_ESTIMATE_H
#define LIBSHM_ESTIMATE_H

/*
 * How many tokens a request will be charged for, before anybody counted them. A rule of thumb over its bytes, times
 * what was learned for the model: one word for each, [samples 16 | actual/estimate in 1/65536 48], fed from the
 * `usage` of answers by all processes.
 */

#include "libshm/region.h"

enum { GWS_ESTIMATE_ONE = 65536 };

/* The rule of thumb: a quarter of the bytes, a third where more than a fifth of them is no ASCII, and four a message.
 * */
uint64_t gws_estimate_thumb(uint64_t bytes, uint64_t not_ascii, uint64_t messages);

/* Pure: the word after an answer said `actual` where the rule of thumb had said `thumb`. The rule counts like seven
 * answers, and none counts as more than four times off, so that one that lies or leaves something out moves little. */
uint64_t gws_estimate_step(uint64_t old, uint64_t thumb, uint64_t actual);

/* `row` is of the model table; one out of range has learned nothing. */
uint64_t gws_estimate_tokens(const struct gws_region *region, uint32_t row, uint64_t thumb);
void gws_estimate_learn(struct gws_region *region, uint32_t row, uint64_t thumb, uint64_t actual);

/* The ratio in 1/65536 and of how many samples (no more than 65535 are counted). */
uint64_t gws_estimate_ratio(const struct gws_region *region, uint32_t row, uint32_t *samples);

#endif
