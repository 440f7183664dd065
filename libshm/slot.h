#ifndef LIBSHM_SLOT_H
#define LIBSHM_SLOT_H

/*
 * Slots: one per process that writes to the region. What a process holds (in-flight counts) stands in cells of its
 * slot, so that its death is repaired by zeroing them.
 *
 * FREE -> STARTING -> LIVE -> DYING -> FREE, every step but LIVE taken by the master. Only waitpid(), or a lock the
 * kernel released, says that a process is dead: a stopped process is alive. Every process holds an OFD write lock on
 * its slot's byte, taken on its own open of the file, which the kernel drops at death. The master has a slot like
 * everyone: it reserves one and enters it itself.
 */

#include "libshm/region.h"

enum gws_slot_state { GWS_SLOT_FREE, GWS_SLOT_STARTING, GWS_SLOT_LIVE, GWS_SLOT_DYING };

enum gws_role { GWS_ROLE_NONE, GWS_ROLE_MASTER, GWS_ROLE_WORKER, GWS_ROLE_STEWARD, GWS_ROLE_GUEST };

struct gws_slot_info {
    enum gws_slot_state state;
    enum gws_role role;
    int32_t pid;
    uint32_t generation;  /* of the slot: how often it was taken */
    uint64_t config;      /* configuration generation of the process */
    uint64_t started_ms;  /* region clock */
    uint64_t in_flight;   /* sum of its bulkhead cells */
    uint64_t connections; /* open client connections */
    uint64_t accepted;    /* monotone, of the slot: */
    uint64_t requests;
    uint64_t restarts; /* processes that died in this slot without being asked to end */
};

/* Master: take a free slot for a process about to be forked. Returns its index, or -EAGAIN when none is free. */
int gws_slot_reserve(struct gws_region *region, enum gws_role role, uint64_t config, uint64_t now);

/*
 * Child: make the reserved slot this process's own (takes the lock, goes LIVE). 0, -errno, or 1 when it was reaped
 * meanwhile: the master that forked us is gone, and so should we be. Opens `path` anew, because a lock on the inherited
 * descriptor would be the master's; region->fd is replaced by it. -ESTALE when the path leads to another file by now,
 * -EAGAIN when somebody else holds the slot's lock. To be called by the process that reserved, or by its child, before
 * anything is counted or recorded: until then a child's `region->slot` is its master's.
 */
int gws_slot_enter(struct gws_region *region, int slot, const char *path);

/* Master, after waitpid() or when the lock is free: zero the cells, free the slot. `died`: count as a restart. Records
 * no event: the caller knows the wait status. */
void gws_slot_reap(struct gws_region *region, int slot, bool died, uint64_t now);

/*
 * The same where two masters live, as during an upgrade: only if the slot is still that of process `pid`, or of a child
 * of the caller's that never entered it. What another master has reaped already, and may have given away, is let alone.
 */
void gws_slot_reap_of(struct gws_region *region, int slot, int32_t pid, bool died, uint64_t now);

/* Whether some process holds the slot's lock; the caller holds that of its own. */
bool gws_slot_locked(const struct gws_region *region, int slot);

/*
 * Master: reap every slot that is not free and whose lock nobody holds, except the caller's own and those reserved for
 * children of its own that have not entered yet. Records a death for each. Returns how many slots of other processes
 * are still alive.
 */
int gws_slot_reap_dead(struct gws_region *region, uint64_t now);

/* A tool takes any free guest slot for as long as it writes; reaps guests that died. 0, -EAGAIN or -errno. */
int gws_slot_guest(struct gws_region *region, const char *path, uint64_t now);

/* Give the caller's own slot back (guests and the master at its end). */
void gws_slot_leave(struct gws_region *region);

/* Slots at and above this index have never been used. The guests' are the last ones; sums skip the gap before them. */
uint32_t gws_slot_high(const struct gws_region *region);

void gws_slot_read(const struct gws_region *region, int slot, struct gws_slot_info *info);

/* Counters and gauges of the caller's own slot. */
void gws_slot_count_accepted(struct gws_region *region);
void gws_slot_count_request(struct gws_region *region);
void gws_slot_set_connections(struct gws_region *region, uint64_t connections);

/* The oldest configuration generation that a slot in use runs; UINT64_MAX when there is none. The master's own slot
 * does not count: it outlives configurations. A guest counts as running the one in force when it came. */
uint64_t gws_slot_oldest_config(const struct gws_region *region);

#endif
