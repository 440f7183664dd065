#ifndef LIBSHM_RESTORE_H
#define LIBSHM_RESTORE_H

/* Words put back by an import, by the modules that know their bits; for libshm alone. Each is a change of the word like
 * any other, with an event. False when the parts make no word. */

#include "libshm/region.h"

struct breaker_parts;

/* The generation goes on from the row's own; `parts->gen` is not looked at. */
bool breaker_restore(struct gws_region *region, uint32_t row, const struct breaker_parts *parts, uint64_t now);

/* Only if it lengthens what is in force. */
bool cooldown_restore(struct gws_region *region, uint32_t row, uint64_t reason, uint64_t streak, uint64_t until,
                      uint64_t now);

#endif
