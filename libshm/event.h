#ifndef LIBSHM_EVENT_H
#define LIBSHM_EVENT_H

/*
 * The event log: one single-producer ring per slot, 64-byte records, sequence number stored last. Readers copy and then
 * check that the record was not overwritten meanwhile. A change of a shared word carries the word before and after it,
 * so the history of every word can be checked as an unbroken chain.
 */

#include "libshm/region.h"

enum gws_event_code {
    GWS_EVENT_NONE,
    GWS_EVENT_BREAKER,        /* old and new: the breaker's word */
    GWS_EVENT_COOLDOWN,       /* old and new: the cooldown's word */
    GWS_EVENT_ORDER,          /* old and new: the operator's word */
    GWS_EVENT_LIMIT_RESET,    /* domain is a limiter row */
    GWS_EVENT_MASTER_START,   /* new: generation */
    GWS_EVENT_MASTER_STOP,
    GWS_EVENT_RELOAD,         /* new: generation */
    GWS_EVENT_RELOAD_FAILED,
    GWS_EVENT_WORKER_START,   /* new: pid */
    GWS_EVENT_WORKER_STOP,    /* old: pid; an ordered end */
    GWS_EVENT_WORKER_DEATH,   /* old: pid; new: wait status, or UINT64_MAX when found dead by its lock */
    GWS_EVENT_ADOPTED,        /* a new master took over the region */
    GWS_EVENT_QUOTA_RESET,    /* domain is a quota row; old: what had been spent that day */
    GWS_EVENT_UPGRADE_BEGUN,  /* new: pid of the new master */
    GWS_EVENT_UPGRADE,        /* the new master serves; old: its version, 16 bits a part; new: its generation */
    GWS_EVENT_UPGRADE_FAILED, /* the master that was asked goes on */
    GWS_EVENT_UPGRADE_REFUSED /* nothing was begun */
};

/* Who did it, when it was no uid: the gateway itself, or somebody with the admin server's token. */
enum { GWS_NO_DOMAIN = UINT32_MAX, GWS_BY_GATEWAY = UINT32_MAX, GWS_BY_ADMIN = UINT32_MAX - 1 };

struct gws_event {
    uint64_t seq;  /* within the slot */
    uint64_t time; /* ms on the region's clock */
    uint32_t slot;
    enum gws_event_code code;
    uint32_t domain; /* domain row, or GWS_NO_DOMAIN */
    uint32_t who;    /* uid of the operator, or GWS_BY_… */
    uint64_t old;
    uint64_t new;
};

/* Append to the caller's own ring; without a slot of its own (a look-only process) this does nothing. A program that
 * changes words therefore takes a slot first, or their history has gaps. */
void gws_event_record(struct gws_region *region, enum gws_event_code code, uint32_t domain, uint64_t old, uint64_t new,
                      uint32_t who, uint64_t now);

/* Where a reader stands in every ring; start zeroed to read all that is still there. */
struct gws_event_cursor {
    uint64_t next[GWS_SLOTS_MAX];
};

/*
 * Collect up to `max` events after the cursor from all rings, oldest first by time (ties: slot, seq), keeping the
 * newest when there are more. Advances the cursor past everything seen. Returns the count.
 */
size_t gws_event_collect(const struct gws_region *region, struct gws_event_cursor *cursor, struct gws_event *out,
                         size_t max);

#endif
