#ifndef LIBSHM_REGION_H
#define LIBSHM_REGION_H

/*
 * The region: one file, mapped by every process of a gateway, that holds what they decide together.
 *
 * It is made whole under a temporary name and renamed into place, so whoever opens it sees all of it or nothing. Its
 * size never changes. Nothing in it is a pointer or a lock; a process may die between any two instructions and leaves
 * either the state before or the state after. What a file claims about itself is checked before it is believed, so a
 * truncated, foreign or scribbled file is refused in one line and never a crash.
 *
 * Life: the master takes the lock file beside the region (gws_lock_take), then opens the region, creating it when there
 * is none. Workers inherit the mapping and call gws_slot_enter(). Tools open it to look (GWS_LOOK) or to change
 * (GWS_CHANGE); a tool that changes takes a guest slot first.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef _Atomic uint64_t gws_word;

struct gws_header;
struct gws_slot_row;
struct gws_domain_row;
struct gws_name_row;
struct gws_limit_row;
struct gws_event_row;
struct gws_waiter_row;
struct gws_quota_row;
struct gws_quota_cell;
struct gws_model_row;
struct gws_histogram;
struct gws_evidence_row;

/* How many of everything a region holds; fixed when it is made. */
struct gws_dims {
    uint32_t slots;     /* worker, steward and master slots, then guests; at most GWS_SLOTS_MAX */
    uint32_t guests;    /* the last so many of the slots belong to tools and attached programs */
    uint32_t domains;   /* failure domains: endpoints, (endpoint, model) pairs, accounts */
    uint32_t endpoints; /* rows that also have a bulkhead and counters per slot */
    uint32_t limits;    /* rate limiters */
    uint32_t events;    /* records in each slot's event ring; a power of two */
    uint32_t quotas;    /* daily and money quotas; 0: as many as limits */
    uint32_t models;    /* models whose tokens are estimated; 0: a quarter of domains */
};

enum { GWS_SLOTS_MAX = 256 };

/* One line of text saying what is wrong and what to do about it. Filled whenever an open or a create fails. */
struct gws_fault {
    char text[512];
};

enum gws_access { GWS_LOOK, GWS_CHANGE };

/* A process's view of a region. The pointers are into the mapping; `slot` is the caller's own slot, or -1. */
struct gws_region {
    unsigned char *base;
    size_t size;
    int fd; /* for locks and for fstat, -1 when closed; replaced when the caller enters a slot */
    int slot;
    enum gws_access access;
    struct gws_dims dims;
    struct gws_header *header;
    struct gws_slot_row *slots;
    gws_word *stats; /* counters per (slot, endpoint): see stat.h */
    struct gws_domain_row *domains;
    struct gws_name_row *names;
    gws_word *gauges; /* bulkhead cells: [endpoint][slot] */
    struct gws_limit_row *limits;
    struct gws_event_row *events; /* rings: [slot][record] */
    gws_word *tallies;            /* cells of the gateway as a whole: [tally][slot] */
    struct gws_waiter_row *waiters;
    struct gws_quota_row *quotas;
    struct gws_quota_cell *cells; /* [quota][slot] */
    struct gws_model_row *models;
    struct gws_histogram *histograms; /* [slot][endpoint][2] */
    gws_word *series;                 /* counters per (slot, domain): see series.h */
    struct gws_evidence_row *evidence; /* [domain] */
    struct gws_histogram *measures;    /* [slot][distribution] */
};

/* Documented positive outcomes of opening a region; negative is -errno. */
enum gws_open_result {
    GWS_OPEN_DONE = 0,
    GWS_OPEN_NONE = 1,    /* there is no such file */
    GWS_OPEN_FOREIGN = 2, /* not a region, or one of another layout, size or owner: the fault says which */
    GWS_OPEN_UNREADY = 3  /* its maker died before it was ready; it may be replaced */
};

/*
 * Open an existing region. Checks type, owner (root, the caller or `owner_uid`), links, size before and after the
 * mapping, magic, version, layout hash, dims and readiness. Writes `*region` only on success.
 */
int gws_region_open(struct gws_region *region, const char *path, enum gws_access access, uint32_t owner_uid,
                    struct gws_fault *fault);

/* Whose the file is to be: the workers' user, the operators' group, and the mode (0660 or narrower). */
struct gws_owner {
    uint32_t uid;
    uint32_t gid;
    uint32_t mode;
};

/*
 * Create a region at `path`, replacing whatever is there by an atomic rename. The caller holds the lock file.
 * All pages are allocated before the first is touched: a full file system is -ENOSPC here, never a SIGBUS later.
 */
int gws_region_create(struct gws_region *region, const char *path, const struct gws_dims *dims,
                      const struct gws_owner *owner, struct gws_fault *fault);

/*
 * Called by a new master on a region it opened, after it has entered its slot (so that what is dropped is recorded)
 * and before anyone else decides by the clock: another boot since the last one drops every deadline (breakers and
 * cooldowns start afresh, limiters are empty; what the operator forced without an end stays), the same boot keeps all.
 * So does a clock half way to the end of its 2.17 years, when nobody else is alive. Returns 1 when it was so, else 0.
 */
int gws_region_adopt(struct gws_region *region);

/* Unmaps and closes. Accepts a zeroed or closed region. A slot that was not left counts as that of a dead process. */
void gws_region_close(struct gws_region *region);

/* The size in bytes of a region of these dims, as gws_region_create() would make it; 0 when they are out of range. */
size_t gws_region_size(const struct gws_dims *dims);

/*
 * The claim word: the master that owns the region. A worker whose master died goes on serving until it sees this
 * change, and then drains. What a master would claim is known before it does, for the workers that it starts first, and
 * is no other master's: workers of one that never claimed must not take the next one's claim for their own.
 */
uint64_t gws_region_claim_next(const struct gws_region *region, int32_t pid); /* what that master is to claim */
void gws_region_claim(struct gws_region *region, uint64_t claim); /* only by the holder of the lock file */
uint64_t gws_region_claimed(const struct gws_region *region);

/* The generation of the configuration in force; each reload takes the next one. */
uint64_t gws_region_generation(const struct gws_region *region);
uint64_t gws_region_generation_next(struct gws_region *region);

/* Real time (ms since the epoch) of the region's time 0: add it to what gws_clock_ms() returns. Worked out from the
 * clocks as they are now, so a real clock that was corrected meanwhile corrects the past with it. */
uint64_t gws_region_real_base(const struct gws_region *region);

/*
 * The lock file beside the region ("PATH.lock", mode 0640; the caller may give it to the operators' group). Held by the
 * master for as long as it lives; the kernel drops it at death. Returns the descriptor to keep, -errno, or -EBUSY with
 * the holder's pid in the fault's text.
 *
 * The lock belongs to the open file and lives for as long as any process has it open: a child closes the descriptor
 * right after the fork, or the lock of a dead master stays held by its workers and no successor can start.
 */
int gws_lock_take(const char *region_path, struct gws_fault *fault);

/* Write another pid into the lock file, by the descriptor that gws_lock_take() gave: that of a new master which has
 * inherited it. 0 or -errno. */
int gws_lock_sign(int fd, int32_t pid);

/* The pid of the master holding the lock, 0 when none does, or -1 when it is held by one who has not said its pid yet.
 * Asking disturbs nothing. 0 also when the lock file may not be read. */
int32_t gws_lock_holder(const char *region_path);

#endif
