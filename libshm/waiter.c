/*
 * Waiter bits. They stand with the endpoint and not with the slot, so that giving a place back, which every request
 * does, looks at one cache line that is nearly always zero. Everything is sequentially consistent: the argument in
 * waiter.h is of two processes that each write one word and read the other's.
 */

#include "libshm/waiter.h"

#include "libshm/slot.h"
#include "libshm/word.h"

enum { BITS = 64, WORDS = GWS_SLOTS_MAX / BITS };

_Static_assert(sizeof(((struct gws_waiter_row *)0)->slots) / sizeof(gws_word) == (size_t)WORDS, "a bit for every slot");

static gws_word *own_word(const struct gws_region *region, uint32_t endpoint)
{
    struct gws_waiter_row *row = waiter_at(region, endpoint);

    if (row == NULL || slot_at(region, region->slot) == NULL || !may_change(region))
        return NULL;
    return &row->slots[region->slot / BITS];
}

static uint64_t bit_of(int slot)
{
    return UINT64_C(1) << (unsigned)slot % BITS;
}

void gws_waiter_set(struct gws_region *region, uint32_t endpoint)
{
    gws_word *word = own_word(region, endpoint);

    if (word != NULL)
        atomic_fetch_or_explicit(word, bit_of(region->slot), memory_order_seq_cst);
}

void gws_waiter_clear(struct gws_region *region, uint32_t endpoint)
{
    gws_word *word = own_word(region, endpoint);

    if (word != NULL && (word_load_relaxed(word) & bit_of(region->slot)) != 0)
        atomic_fetch_and_explicit(word, ~bit_of(region->slot), memory_order_seq_cst);
}

bool gws_waiter_collect(struct gws_region *region, uint32_t endpoint, struct gws_slots *slots)
{
    struct gws_waiter_row *row = waiter_at(region, endpoint);
    uint64_t found = 0;

    if (row == NULL || !may_change(region))
        return false;
    for (int i = 0; i < WORDS && (uint32_t)(i * BITS) < region->dims.slots; i++) {
        uint64_t bits;
        if (atomic_load_explicit(&row->slots[i], memory_order_seq_cst) == 0)
            continue;
        bits = atomic_exchange_explicit(&row->slots[i], 0, memory_order_seq_cst);
        slots->bits[i] |= bits;
        found |= bits;
    }
    return found != 0;
}

void gws_waiter_everyone(const struct gws_region *region, struct gws_slots *slots)
{
    for (int slot = 0; (uint32_t)slot < region->dims.slots; slot++) {
        enum gws_slot_state state = (enum gws_slot_state)(word_load(&region->slots[slot].life) >> 62);
        if (slot != region->slot && state == GWS_SLOT_LIVE)
            slots->bits[slot / BITS] |= bit_of(slot);
    }
}

bool gws_waiter_is_set(const struct gws_region *region, uint32_t endpoint, int slot)
{
    const struct gws_waiter_row *row = waiter_at(region, endpoint);
    return row != NULL && slot_at(region, slot) != NULL &&
           (word_load_relaxed(&row->slots[slot / BITS]) & bit_of(slot)) != 0;
}

int gws_slots_next(const struct gws_slots *slots, int slot)
{
    for (int next = slot + 1; next >= 0 && next < GWS_SLOTS_MAX; next++)
        if ((slots->bits[next / BITS] & bit_of(next)) != 0)
            return next;
    return -1;
}
