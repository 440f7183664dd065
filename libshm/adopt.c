/*
 * The header's mutable words: who owns the region, which configuration is in force, and on which boot's clock it
 * counts. A region that outlived a boot (a state on a disk, a container with a new time namespace) keeps its names,
 * counters, days and events, but a deadline of the old boot means nothing on the new one's clock, so all are dropped.
 */

#include "libshm/region.h"

#include <string.h>

#include "libshm/boot.h"
#include "libshm/breaker.h"
#include "libshm/clock.h"
#include "libshm/cooldown.h"
#include "libshm/evidence.h"
#include "libshm/slot.h"
#include "libshm/stat.h"
#include "libshm/window.h"
#include "libshm/word.h"

/* A breaker's word counts 36 bits of milliseconds; a clock that is half way there starts over when it can. */
#define CLOCK_FULL_MS (UINT64_C(1) << 35)

static bool other_boot(const struct gws_header *h, const struct gws_boot *boot)
{
    if (boot->id[0] == 0 && boot->id[1] == 0) /* the system does not say: a clock that ran backwards tells */
        return gws_clock_boot_ns() - word_load_relaxed(&h->base_boot_ns) >= UINT64_MAX / 2;
    return word_load_relaxed(&h->boot_id[0]) != boot->id[0] || word_load_relaxed(&h->boot_id[1]) != boot->id[1] ||
           word_load_relaxed(&h->time_namespace) != boot->time_namespace;
}

static bool anyone_alive(const struct gws_region *region)
{
    for (int slot = 0; (uint32_t)slot < region->dims.slots; slot++)
        if (slot != region->slot && gws_slot_locked(region, slot))
            return true;
    return false;
}

/* Times of old events and counters would lie in the future of a clock that starts at zero. */
static void forget_times(struct gws_region *region)
{
    for (uint32_t slot = 0; slot < region->dims.slots; slot++) {
        word_store_relaxed(&region->slots[slot].event_head, 0);
        for (uint32_t endpoint = 0; endpoint < region->dims.endpoints; endpoint++)
            word_store_relaxed(&stats_of(region, slot, endpoint)[GWS_STAT_LAST_OK], 0);
    }
    for (uint32_t row = 0; row < region->dims.domains; row++) {
        gws_evidence_clear(region, row);
        word_store_relaxed(&region->domains[row].answered, 0);
    }
    memset((void *)region->events, 0,
           (size_t)region->dims.slots * region->dims.events * sizeof(struct gws_event_row));
}

/* The new boot's clock goes on where the old one's would be by now, as far as real time can be believed. */
static void set_base(struct gws_region *region)
{
    struct gws_header *h = region->header;
    uint64_t real = gws_clock_real_ms();
    uint64_t since = word_load_relaxed(&h->base_real_ms);
    uint64_t elapsed = real >= since ? real - since : UINT64_MAX;

    if (elapsed >= CLOCK_FULL_MS) {
        forget_times(region);
        word_store_relaxed(&h->base_real_ms, real);
        elapsed = 0;
    }
    word_store_relaxed(&h->base_boot_ns, gws_clock_boot_ns() - elapsed * 1000000);
}

static void drop_deadlines(struct gws_region *region, uint64_t now)
{
    for (uint32_t row = 0; row < region->dims.domains; row++) {
        struct gws_breaker_view breaker = gws_breaker_view(gws_breaker_word(region, row));
        /* An operator's order without an end is no deadline. */
        bool standing = breaker.mode == GWS_FORCED && breaker.t == 0;
        if (!standing && gws_breaker_word(region, row) != 0)
            gws_breaker_reset(region, row, now, GWS_BY_GATEWAY);
        if (gws_cooldown_word(region, row) != 0)
            gws_cooldown_clear(region, row, now, GWS_BY_GATEWAY);
        word_store_relaxed(&region->domains[row].latency, 0);
        word_store_relaxed(&region->domains[row].adapt, 0);
        gws_window_clear(region, row);
    }
    for (uint32_t row = 0; row < region->dims.limits; row++)
        word_store_relaxed(&region->limits[row].tat, 0);
}

/* The boot's identity is stored last: a master that dies before leaves the whole to its successor. */
int gws_region_adopt(struct gws_region *region)
{
    struct gws_header *h = region->header;
    struct gws_boot boot;
    bool fresh;

    if (!may_change(region))
        return 0;
    gws_boot_read(&boot);
    fresh = other_boot(h, &boot);
    if (!fresh && (gws_clock_ms(region) < CLOCK_FULL_MS || anyone_alive(region)))
        return 0;
    set_base(region);
    drop_deadlines(region, gws_clock_ms(region));
    word_store_relaxed(&h->time_namespace, boot.time_namespace);
    word_store_relaxed(&h->boot_id[0], boot.id[0]);
    atomic_store_explicit(&h->boot_id[1], boot.id[1], memory_order_release);
    return 1;
}

/* A count of claims above the pid: of two masters with the same pid one has claimed before the other was born. */
uint64_t gws_region_claim_next(const struct gws_region *region, int32_t pid)
{
    return ((gws_region_claimed(region) >> 32) + 1) << 32 | (uint32_t)pid;
}

void gws_region_claim(struct gws_region *region, uint64_t claim)
{
    if (may_change(region))
        atomic_store_explicit(&region->header->claim, claim, memory_order_release);
}

uint64_t gws_region_claimed(const struct gws_region *region)
{
    return word_load(&region->header->claim);
}

uint64_t gws_region_generation(const struct gws_region *region)
{
    return word_load(&region->header->generation);
}

uint64_t gws_region_generation_next(struct gws_region *region)
{
    if (!may_change(region))
        return gws_region_generation(region);
    return atomic_fetch_add_explicit(&region->header->generation, 1, memory_order_acq_rel) + 1;
}

/*
 * As it was believed when the base was set, so that a moment is written the same by everyone who writes it; unless the
 * real clock has been corrected by more than a second since then.
 */
uint64_t gws_region_real_base(const struct gws_region *region)
{
    uint64_t believed = word_load_relaxed(&region->header->base_real_ms);
    uint64_t now = gws_clock_real_ms() - gws_clock_ms(region);
    uint64_t apart = now > believed ? now - believed : believed - now;

    return apart > 1000 ? now : believed;
}
