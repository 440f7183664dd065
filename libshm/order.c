/*
 * The operator's word: drained 1 | unused 1 | gen 18 | since_ms 44. It stands apart from the breaker and the cooldown,
 * so no automatic decision can take it back and a reset of those leaves it alone. The generation only makes every
 * change a different word, which keeps the event chain unambiguous.
 */

#include "libshm/order.h"

#include "libshm/word.h"

#define DRAINED (UINT64_C(1) << 63)
#define GEN_SHIFT 44
#define GEN_MASK UINT64_C(0x3ffff)
#define SINCE_MASK ((UINT64_C(1) << GEN_SHIFT) - 1)

static void set(struct gws_region *region, uint32_t row, bool drained, uint64_t now, uint32_t who)
{
    struct gws_domain_row *domain = domain_at(region, row);
    uint64_t since = now < SINCE_MASK ? now : SINCE_MASK;
    uint64_t old;
    uint64_t gen;

    if (domain == NULL || !may_change(region))
        return;
    old = word_load(&domain->order);
    do {
        if (((old & DRAINED) != 0) == drained)
            return;
        gen = ((old >> GEN_SHIFT) + 1) & GEN_MASK;
    } while (!word_change(region, &domain->order, &old, (drained ? DRAINED : 0) | gen << GEN_SHIFT | since,
                          GWS_EVENT_ORDER, row, who, now));
}

bool gws_order_drained(const struct gws_region *region, uint32_t row)
{
    const struct gws_domain_row *domain = domain_at(region, row);
    return domain != NULL && (word_load(&domain->order) & DRAINED) != 0;
}

void gws_order_drain(struct gws_region *region, uint32_t row, uint64_t now, uint32_t who)
{
    set(region, row, true, now, who);
}

void gws_order_enable(struct gws_region *region, uint32_t row, uint64_t now, uint32_t who)
{
    set(region, row, false, now, who);
}
