#ifndef LIBSHM_TICKET_H
#define LIBSHM_TICKET_H

/* Tickets: a counter per row that every process draws from, so that a schedule indexed by it is followed exactly in
 * turn, whoever asks. A process that dies with a ticket has skipped one turn, no more. */

#include "libshm/region.h"

/* The next ticket of a domain row; 0 for a row out of range. */
uint64_t gws_ticket_next(struct gws_region *region, uint32_t row);

/* The ticket that the next call would draw; changes nothing. */
uint64_t gws_ticket_peek(const struct gws_region *region, uint32_t row);

#endif
