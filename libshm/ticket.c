/*
 * Tickets. Relaxed, because a ticket orders nothing but the tickets themselves. The word has a cache line of its own:
 * every request of every worker adds to it, and the words beside it would be torn from cache to cache with it.
 */

#include "libshm/ticket.h"

#include "libshm/word.h"

uint64_t gws_ticket_next(struct gws_region *region, uint32_t row)
{
    struct gws_domain_row *domain = domain_at(region, row);

    return domain == NULL || !may_change(region) ? 0
                                                 : atomic_fetch_add_explicit(&domain->ticket, 1, memory_order_relaxed);
}

uint64_t gws_ticket_peek(const struct gws_region *region, uint32_t row)
{
    const struct gws_domain_row *domain = domain_at(region, row);
    return domain == NULL ? 0 : word_load_relaxed(&domain->ticket);
}
