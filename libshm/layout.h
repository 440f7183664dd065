#ifndef LIBSHM_LAYOUT_H
#define LIBSHM_LAYOUT_H

/*
 * The bytes of the region, for libshm alone. Every struct that is mapped is made from a table of its fields, and the
 * same table makes the static asserts on their offsets and the text that is hashed into the header. A field that moves
 * therefore changes the hash by itself, and two programs that see the file differently refuse each other. What the
 * bits inside a word mean is not in the tables: whoever changes that raises GWS_ABI.
 *
 * Words that are read for every decision and seldom written share a cache line, so that a decision costs one miss;
 * words that many processes write all the time stand apart from them. Fields named `later_…` are room for what is
 * designed but not built; they are zero and nobody touches them.
 */

#include "libshm/region.h"

#define GWS_MAGIC UINT64_C(0x0a1a0d6d68737767) /* "gwshm\r\x1a\n" in memory order of a little-endian host */
#define GWS_ABI 1u

enum {
    GWS_LINE = 64,
    GWS_PAGE = 4096,
    GWS_GAUGES_PER_LINE = 8,
    GWS_STATS_PER_LINE = 8,
    GWS_COUNTS_PER_SLOT = 14,
    GWS_SERIES_PER_LINE = 8,
    GWS_TEXT_WORDS = 16,     /* a name of up to 127 bytes and its end, held in words */
    GWS_EVIDENCE_WORDS = 15, /* what an upstream said, cut */
    GWS_TALLY_ROWS = 8,      /* gauges of the gateway as a whole; see budget.h */
    GWS_HISTOGRAMS = 2,      /* first token and total; see latency.h */
    GWS_DISTRIBUTIONS = 2    /* of the gateway as a whole; see measure.h */
};

/* Tables: F(struct, type, name, offset) is one field, A(struct, type, name, count, offset) an array. */

#define GWS_HEADER(F, A, s)                                                                                            \
    F(s, uint64_t, magic, 0)                                                                                           \
    F(s, uint32_t, abi, 8)                                                                                             \
    F(s, uint32_t, header_bytes, 12)                                                                                   \
    F(s, uint64_t, layout, 16)                                                                                         \
    F(s, uint64_t, bytes, 24)                                                                                          \
    F(s, uint32_t, slots, 32)                                                                                          \
    F(s, uint32_t, guests, 36)                                                                                         \
    F(s, uint32_t, domains, 40)                                                                                        \
    F(s, uint32_t, endpoints, 44)                                                                                      \
    F(s, uint32_t, limits, 48)                                                                                         \
    F(s, uint32_t, events, 52)                                                                                         \
    F(s, uint32_t, quotas, 56)                                                                                         \
    F(s, uint32_t, models, 60)                                                                                         \
    A(s, uint32_t, later_dims, 8, 64)   /* cache segments and the like */                                              \
    A(s, gws_word, boot_id, 2, 96)      /* of the boot the clock base belongs to */                                    \
    F(s, gws_word, time_namespace, 112) /* inode of the time namespace, 0 where there are none */                      \
    F(s, gws_word, base_boot_ns, 120)   /* reading of the boot clock at the region's time 0; may wrap below zero */    \
    F(s, gws_word, base_real_ms, 128)   /* real time at the region's time 0, as believed when the base was set */      \
    A(s, uint64_t, pad_clock, 7, 136)                                                                                  \
    F(s, gws_word, claim, 192)                                                                                         \
    F(s, gws_word, generation, 200)                                                                                    \
    F(s, gws_word, slot_high, 208)  /* slots of the gateway's own at and above this were never used */                 \
    F(s, gws_word, guest_high, 216) /* so many of the guest slots were ever used, from the first on */                 \
    A(s, uint64_t, pad_owner, 4, 224)                                                                                  \
    F(s, gws_word, ready, 256)                                                                                         \
    A(s, uint64_t, later_header, 479, 264) /* for what the region as a whole has one of */

#define GWS_SLOT_ROW(F, A, s)                                                                                          \
    F(s, gws_word, life, 0) /* state 2 | generation 30 | pid 32 */                                                     \
    F(s, gws_word, role, 8)                                                                                            \
    F(s, gws_word, config, 16)                                                                                         \
    F(s, gws_word, started_ms, 24)                                                                                     \
    F(s, gws_word, ended_ms, 32)                                                                                       \
    F(s, gws_word, restarts, 40)                                                                                       \
    F(s, gws_word, event_head, 48) /* records ever written to the slot's ring */                                       \
    A(s, uint64_t, pad_life, 1, 56)                                                                                    \
    F(s, gws_word, connections, 64)                                                                                    \
    F(s, gws_word, accepted, 72)                                                                                       \
    F(s, gws_word, requests, 80)                                                                                       \
    A(s, uint64_t, pad_counters, 5, 88)                                                                                \
    A(s, gws_word, counts, 14, 128) /* of the gateway as a whole; see count.h */                                       \
    A(s, uint64_t, later_slot, 2, 240)

#define GWS_DOMAIN_ROW(F, A, s)                                                                                        \
    F(s, gws_word, breaker, 0)                                                                                         \
    F(s, gws_word, cooldown, 8)                                                                                        \
    F(s, gws_word, order, 16)                                                                                          \
    A(s, gws_word, transitions, 4, 24) /* of the breaker, to each mode; see series.h */                                \
    A(s, uint64_t, later_decision, 1, 56)                                                                              \
    F(s, gws_word, ticket, 64)                                                                                         \
    A(s, uint64_t, pad_ticket, 7, 72)                                                                                  \
    F(s, gws_word, latency, 128)   /* ewma_us 32 | stamp_ms 32 */                                                      \
    F(s, gws_word, adapt, 136)     /* limit in 1/4096 28 | last_cut_ms 36 */                                           \
    A(s, gws_word, window, 10, 144) /* epoch 16 | slow 16 | failed 16 | total 16, one per 6 s */                       \
    F(s, gws_word, answered, 224) /* when it last answered well, region ms; see series.h */                            \
    A(s, uint64_t, pad_answer, 3, 232)

#define GWS_LIMIT_ROW(F, A, s)                                                                                         \
    F(s, gws_word, tat, 0) /* theoretical arrival time, 1/16 ns */                                                     \
    F(s, gws_word, interval, 8)                                                                                        \
    F(s, gws_word, burst, 16)                                                                                          \
    F(s, gws_word, refusals, 24)                                                                                       \
    A(s, uint64_t, later_limit, 4, 32)

#define GWS_NAME_ROW(F, A, s)                                                                                          \
    F(s, gws_word, state, 0) /* times written << 8 | kind; stored last */                                              \
    A(s, gws_word, ident, 2, 8)                                                                                        \
    F(s, gws_word, config, 24)                                                                                         \
    F(s, gws_word, parent, 32)                                                                                         \
    F(s, gws_word, endpoint, 40)                                                                                       \
    F(s, gws_word, max_concurrent, 48)                                                                                 \
    A(s, uint64_t, later_name, 1, 56)                                                                                  \
    A(s, gws_word, name, GWS_TEXT_WORDS, 64)                                                                           \
    A(s, gws_word, model, GWS_TEXT_WORDS, 192)

#define GWS_EVENT_ROW(F, A, s)                                                                                         \
    F(s, gws_word, seq, 0) /* number of the record, counted from 1; 0 while it is being written */                     \
    F(s, gws_word, time, 8)                                                                                            \
    F(s, gws_word, what, 16) /* code 32 | domain 32 */                                                                 \
    F(s, gws_word, who, 24)                                                                                            \
    F(s, gws_word, old, 32)                                                                                            \
    F(s, gws_word, new, 40)                                                                                            \
    A(s, uint64_t, later_event, 2, 48)

#define GWS_WAITER_ROW(F, A, s)                                                                                        \
    A(s, gws_word, slots, 4, 0) /* a bit for each slot that waits for a place on the endpoint */                       \
    A(s, uint64_t, pad_waiter, 4, 32)

#define GWS_QUOTA_ROW(F, A, s)                                                                                         \
    F(s, gws_word, day, 0)        /* the latest day that anybody counted on; only grows */                             \
    F(s, gws_word, correction, 8) /* day 16 | signed amount 48: restored or forgiven */                                \
    F(s, gws_word, limit, 16)                                                                                          \
    F(s, gws_word, zone, 24) /* minutes east of UTC, signed */                                                         \
    F(s, gws_word, refusals, 32)                                                                                       \
    A(s, uint64_t, later_quota, 3, 40)

#define GWS_QUOTA_CELL(F, A, s)                                                                                        \
    F(s, gws_word, reserved, 0)                                                                                        \
    F(s, gws_word, committed, 8) /* day 16 | amount 48 */

#define GWS_MODEL_ROW(F, A, s)                                                                                         \
    F(s, gws_word, ratio, 0) /* samples 16 | actual/estimate in 1/65536 48 */                                          \
    A(s, uint64_t, later_model, 7, 8)

#define GWS_HISTOGRAM(F, A, s)                                                                                         \
    F(s, gws_word, sum_us, 0)                                                                                          \
    A(s, gws_word, pairs, 88, 8) /* two buckets of 32 bits each */                                                     \
    A(s, uint64_t, pad_histogram, 7, 712)

#define GWS_EVIDENCE_ROW(F, A, s)                                                                                      \
    F(s, gws_word, claim, 0) /* slot + 1 9 | generation of the slot 30 | times claimed and released 25 */              \
    F(s, gws_word, at, 8)                                                                                              \
    F(s, gws_word, who, 16) /* slot 32 | pid 32 */                                                                     \
    F(s, gws_word, outcomes, 24) /* one a byte, the last in the lowest */                                              \
    F(s, gws_word, status, 32)                                                                                         \
    A(s, gws_word, text, GWS_EVIDENCE_WORDS, 40)                                                                       \
    A(s, uint64_t, pad_evidence, 4, 160)

#define GWS_STRUCTS(S)                                                                                                 \
    S(gws_header, GWS_HEADER, 4096)                                                                                    \
    S(gws_slot_row, GWS_SLOT_ROW, 256)                                                                                 \
    S(gws_domain_row, GWS_DOMAIN_ROW, 256)                                                                             \
    S(gws_limit_row, GWS_LIMIT_ROW, 64)                                                                                \
    S(gws_name_row, GWS_NAME_ROW, 320)                                                                                 \
    S(gws_event_row, GWS_EVENT_ROW, 64)                                                                                \
    S(gws_waiter_row, GWS_WAITER_ROW, 64)                                                                              \
    S(gws_quota_row, GWS_QUOTA_ROW, 64)                                                                                \
    S(gws_quota_cell, GWS_QUOTA_CELL, 16)                                                                              \
    S(gws_model_row, GWS_MODEL_ROW, 64)                                                                                \
    S(gws_histogram, GWS_HISTOGRAM, 768)                                                                               \
    S(gws_evidence_row, GWS_EVIDENCE_ROW, 192)

/*
 * The sections in file order, each beginning on a page: S(name, bytes of one, how many), `d` being the dims. Later ones
 * (the cache) are appended, with their numbers in later_dims.
 */
#define GWS_SECTIONS(S)                                                                                                \
    S(slots, sizeof(struct gws_slot_row), d->slots)                                                                    \
    S(domains, sizeof(struct gws_domain_row), d->domains)                                                              \
    S(gauges, GWS_LINE, (uint64_t)d->endpoints * gws_gauge_lines(d))                                                   \
    S(limits, sizeof(struct gws_limit_row), d->limits)                                                                 \
    S(stats, GWS_LINE, (uint64_t)d->slots * d->endpoints)                                                              \
    S(names, sizeof(struct gws_name_row), (uint64_t)d->domains + d->limits + d->quotas + d->models)                    \
    S(rings, sizeof(struct gws_event_row), (uint64_t)d->slots * d->events)                                             \
    S(tallies, GWS_LINE, (uint64_t)GWS_TALLY_ROWS * gws_gauge_lines(d))                                                \
    S(waiters, sizeof(struct gws_waiter_row), d->endpoints)                                                            \
    S(quotas, sizeof(struct gws_quota_row), d->quotas)                                                                 \
    S(cells, sizeof(struct gws_quota_cell), (uint64_t)d->quotas * d->slots)                                            \
    S(models, sizeof(struct gws_model_row), d->models)                                                                 \
    S(histograms, sizeof(struct gws_histogram), (uint64_t)d->slots * d->endpoints * GWS_HISTOGRAMS)                    \
    S(series, GWS_LINE, (uint64_t)d->slots * d->domains)                                                               \
    S(evidence, sizeof(struct gws_evidence_row), d->domains)                                                           \
    S(measures, sizeof(struct gws_histogram), (uint64_t)d->slots * GWS_DISTRIBUTIONS)

#define GWS_MEMBER(s, type, name, offset) type name;
#define GWS_MEMBERS(s, type, name, count, offset) type name[count];
#define GWS_PLACED(s, type, name, offset) _Static_assert(offsetof(struct s, name) == (offset), #s "." #name);
#define GWS_PLACEDS(s, type, name, count, offset) _Static_assert(offsetof(struct s, name) == (offset), #s "." #name);
#define GWS_DEFINE(s, TABLE, bytes)                                                                                    \
    struct s {                                                                                                         \
        TABLE(GWS_MEMBER, GWS_MEMBERS, s)                                                                              \
    };                                                                                                                 \
    TABLE(GWS_PLACED, GWS_PLACEDS, s)                                                                                  \
    _Static_assert(sizeof(struct s) == (bytes), #s);

GWS_STRUCTS(GWS_DEFINE)

_Static_assert(sizeof(gws_word) == 8 && _Alignof(gws_word) == 8, "a word is a plain 64-bit cell");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_LONG_LOCK_FREE == 2, "words must not hide a lock");

/* Where each section begins, and the size of the whole. */
struct gws_sections {
#define GWS_SECTION_OFFSET(name, each, count) uint64_t name;
    GWS_SECTIONS(GWS_SECTION_OFFSET)
#undef GWS_SECTION_OFFSET
    uint64_t end;
};

/* Cache lines that one endpoint's bulkhead cells take: eight slots a line. */
static inline uint32_t gws_gauge_lines(const struct gws_dims *d)
{
    return (d->slots + GWS_GAUGES_PER_LINE - 1) / GWS_GAUGES_PER_LINE;
}

/* False when the dims are out of range; nothing is computed from dims that did not pass here. */
bool gws_layout_sections(const struct gws_dims *dims, struct gws_sections *sections);

/* The same dims with those that were left at zero, and may be, at their defaults. */
struct gws_dims gws_dims_complete(const struct gws_dims *dims);

/* Hash of the tables above. */
uint64_t gws_layout_hash(void);

#endif
