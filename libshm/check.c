/*
 * The check. Words that stand alone are held against what their module could have written; words of a slot against its
 * life; rows of names against each other. A time is not wrong for lying in the past, only for lying further ahead than
 * any rule could have put it.
 */

#include "libshm/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "libshm/check_rows.h"
#include "libshm/slot.h"

static void tell(const struct check *c, enum gws_check_kind kind, const char *section, uint64_t offset, uint64_t bytes,
                 const char *text)
{
    struct gws_check_note note = {kind, section, offset, bytes, text};
    c->note(c->context, &note);
}

void check_fault(struct check *c, const char *section, const void *at, size_t bytes, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    c->faults++;
    tell(c, GWS_CHECK_FAULT, section, (uint64_t)((const unsigned char *)at - c->region->base), bytes, text);
}

static void map_section(const struct check *c, const char *name, uint64_t offset, uint64_t each, uint64_t count)
{
    char text[80];

    snprintf(text, sizeof(text), "%" PRIu64 " of %" PRIu64 " bytes", count, each);
    tell(c, GWS_CHECK_SECTION, name, offset, each * count, text);
}

static void map_sections(const struct check *c)
{
    const struct gws_dims *d = &c->region->dims;
    struct gws_sections at;

    if (!gws_layout_sections(d, &at))
        return;
    map_section(c, "header", 0, sizeof(struct gws_header), 1);
#define MAP_SECTION(name, each, count) map_section(c, #name, at.name, (each), (count));
    GWS_SECTIONS(MAP_SECTION)
#undef MAP_SECTION
}

static void check_header(struct check *c)
{
    const struct gws_header *h = c->region->header;
    const struct gws_dims *d = &c->region->dims;

    if (h->magic != GWS_MAGIC || h->abi != GWS_ABI || h->layout != gws_layout_hash() || h->bytes != c->region->size)
        check_fault(c, "header", h, 32, "it is not the header that was opened");
    if (h->slots != d->slots || h->guests != d->guests || h->domains != d->domains || h->endpoints != d->endpoints ||
        h->limits != d->limits || h->events != d->events || h->quotas != d->quotas || h->models != d->models)
        check_fault(c, "header", &h->slots, 32, "the dims have changed since it was opened");
    if (word_load(&h->slot_high) > d->slots - d->guests)
        check_fault(c, "header", &h->slot_high, 8, "slot_high is %" PRIu64 " of %u", word_load(&h->slot_high),
                    d->slots - d->guests);
    if (word_load(&h->guest_high) > d->guests)
        check_fault(c, "header", &h->guest_high, 8, "guest_high is %" PRIu64 " of %u", word_load(&h->guest_high),
                    d->guests);
    if (word_load(&h->ready) != 1)
        check_fault(c, "header", &h->ready, 8, "ready is %" PRIu64, word_load(&h->ready));
    check_zero(c, "header", h->later_dims, sizeof(h->later_dims));
    check_zero(c, "header", h->later_header, sizeof(h->later_header));
}

/* Sums look at the slots below the marks only, so nobody may be above them. */
static bool in_runs(const struct gws_region *region, uint32_t slot)
{
    struct slot_runs runs = slot_runs(region);
    return slot < runs.own_end || (slot >= runs.guest_begin && slot < runs.guest_end);
}

/* A free slot holds nothing. Read its life before and after: it may be taken while we look. */
static void check_cell(struct check *c, const char *section, uint32_t slot, const gws_word *cell, const char *what)
{
    const gws_word *life = &c->region->slots[slot].life;
    uint64_t before = word_load(life);
    uint64_t held = word_load(cell);

    if (held == 0)
        return;
    if (before >> 62 == GWS_SLOT_FREE && word_load(cell) == held && word_load(life) == before)
        check_fault(c, section, cell, 8, "slot %" PRIu32 " is free and holds %" PRIu64 " %s", slot, held, what);
    else if (held > CHECK_HELD_MAX)
        check_fault(c, section, cell, 8, "slot %" PRIu32 " holds %" PRIu64 " %s", slot, held, what);
}

static void check_slot(struct check *c, uint32_t slot)
{
    const struct gws_region *region = c->region;
    const struct gws_slot_row *row = &region->slots[slot];
    uint64_t life = word_load(&row->life);
    enum gws_slot_state state = (enum gws_slot_state)(life >> 62);

    if (state != GWS_SLOT_FREE && (uint32_t)life == 0)
        check_fault(c, "slots", row, 8, "slot %" PRIu32 " is taken by nobody (%016" PRIx64 ")", slot, life);
    if (state == GWS_SLOT_FREE && (uint32_t)life != 0)
        check_fault(c, "slots", row, 8, "slot %" PRIu32 " is free and has a pid (%016" PRIx64 ")", slot, life);
    if (state != GWS_SLOT_FREE && !in_runs(region, slot))
        check_fault(c, "slots", row, 8, "slot %" PRIu32 " is taken and above the mark: sums do not see it", slot);
    if (word_load_relaxed(&row->role) > GWS_ROLE_GUEST)
        check_fault(c, "slots", &row->role, 8, "slot %" PRIu32 " has role %" PRIu64, slot,
                    word_load_relaxed(&row->role));
    check_zero(c, "slots", row->pad_life, sizeof(row->pad_life));
    check_zero(c, "slots", row->pad_counters, sizeof(row->pad_counters));
    check_zero(c, "slots", row->later_slot, sizeof(row->later_slot));
    check_cell(c, "slots", slot, &row->connections, "connections");
    for (uint32_t endpoint = 0; endpoint < region->dims.endpoints; endpoint++) {
        const gws_word *waiting = &region->waiters[endpoint].slots[slot / 64];
        check_cell(c, "gauges", slot, &gauges_of(region, endpoint)[slot], "places");
        if ((word_load(waiting) >> slot % 64 & 1) != 0 && state == GWS_SLOT_FREE && word_load(&row->life) == life &&
            (word_load(waiting) >> slot % 64 & 1) != 0)
            check_fault(c, "waiters", waiting, 8, "slot %" PRIu32 " is free and waits for endpoint %" PRIu32, slot,
                        endpoint);
    }
    for (uint32_t tally = 0; tally < GWS_TALLY_ROWS; tally++)
        check_cell(c, "tallies", slot, &tallies_of(region, tally)[slot], "of a tally");
    for (uint32_t quota = 0; quota < region->dims.quotas; quota++)
        check_cell(c, "cells", slot, &quota_cells_of(region, quota)[slot].reserved, "of a quota");
}

/* The owner may be writing one record; all others are whole and stand where their number says. */
static void check_ring(struct check *c, uint32_t slot)
{
    const struct gws_region *region = c->region;
    uint64_t size = region->dims.events;
    const struct gws_event_row *ring = region->events + (size_t)slot * size;

    for (uint64_t i = 0; i < size; i++) {
        uint64_t seq = word_load(&ring[i].seq);
        uint64_t head = word_load(&region->slots[slot].event_head);
        uint64_t code = word_load_relaxed(&ring[i].what) >> 32;

        if (seq == 0)
            continue;
        if ((seq - 1) % size != i || seq > head + 1)
            check_fault(c, "rings", &ring[i], 64, "slot %" PRIu32 " has record %" PRIu64 " at place %" PRIu64
                        " and has written %" PRIu64, slot, seq, i, head);
        else if ((code == GWS_EVENT_NONE || code > GWS_EVENT_UPGRADE_REFUSED) && word_load(&ring[i].seq) == seq)
            check_fault(c, "rings", &ring[i], 64, "slot %" PRIu32 " has a record of code %" PRIu64, slot, code);
    }
}

size_t gws_region_check(const struct gws_region *region, uint64_t now,
                        void (*note)(void *context, const struct gws_check_note *note), void *context)
{
    struct check c = {.region = region, .now = now, .note = note, .context = context};

    map_sections(&c);
    check_header(&c);
    for (uint32_t slot = 0; slot < region->dims.slots; slot++) {
        check_slot(&c, slot);
        check_ring(&c, slot);
    }
    check_names(&c);
    check_rows(&c);
    return c.faults;
}
