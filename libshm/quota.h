#ifndef LIBSHM_QUOTA_H
#define LIBSHM_QUOTA_H

/*
 * A quota by the calendar day: requests, tokens or micro-dollars, strict over all workers. Each slot has two cells:
 * what it has reserved, and what it has committed today. The sum over the slots is the truth, so a dead worker's
 * reservations are gone when its slot is reaped, and what it spent is not.
 *
 * A try reserves what it may cost before it is sent and settles what it did cost afterwards. In between it is counted
 * once, for a moment twice, and never not at all. What is reserved has no day: it will be charged to the day on which
 * it is settled, and is counted against that. The day only rolls forward; a real clock that is set back changes
 * nothing.
 */

#include "libshm/region.h"

struct gws_quota_rules {
    uint64_t limit;       /* a day; 0: none, everything is only counted */
    int32_t zone_minutes; /* the zone whose midnight counts, in minutes east of UTC */
};

struct gws_quota_info {
    uint32_t day;       /* days since 1970 in the zone */
    uint64_t committed; /* on that day */
    uint64_t reserved;
    struct gws_quota_rules rules; /* as last published */
};

/* Amounts beyond this are refused, or counted as this much: 281 million dollars. */
#define GWS_QUOTA_MAX ((UINT64_C(1) << 48) - 1)

/* The day of a moment, and how long until the next one, in ms. */
uint32_t gws_quota_day(const struct gws_quota_rules *rules, uint64_t real_ms);
uint64_t gws_quota_left_of_day(const struct gws_quota_rules *rules, uint64_t real_ms);

/* Without a slot, or for a row out of range, a reserve is SPENT and the others do nothing. `real_ms` is real time, ms
 * since the epoch. Two that race for the last of it may both be refused; those that ask again then get it. */
enum gws_quota_result { GWS_QUOTA_RESERVED = 0, GWS_QUOTA_SPENT = 1 };

int gws_quota_reserve(struct gws_region *region, uint32_t row, const struct gws_quota_rules *rules, uint64_t amount,
                      uint64_t real_ms);

/* The try is over: `reserved` is given back and `spent` charged, which may be more or less, or nothing. */
void gws_quota_settle(struct gws_region *region, uint32_t row, const struct gws_quota_rules *rules, uint64_t reserved,
                      uint64_t spent, uint64_t real_ms);

/* Would gws_quota_reserve() succeed? Changes nothing. */
int gws_quota_peek(const struct gws_region *region, uint32_t row, const struct gws_quota_rules *rules, uint64_t amount,
                   uint64_t real_ms);

/* What was committed on `day` is at least `amount`: what the ledger or an export knows, after a restart. May be
 * repeated; an earlier day than the one counted says nothing. */
void gws_quota_restore(struct gws_region *region, uint32_t row, uint32_t day, uint64_t amount);

/* Somebody was refused by it, and how often that was: as those of limit.h. */
void gws_quota_count_refusal(struct gws_region *region, uint32_t row);
uint64_t gws_quota_refusals(const struct gws_region *region, uint32_t row);

/* The operator: nothing was spent today. Reservations stay. */
void gws_quota_reset(struct gws_region *region, uint32_t row, uint64_t now, uint32_t who);

/* Master: write down the rules in force, for tools. */
void gws_quota_publish(struct gws_region *region, uint32_t row, const struct gws_quota_rules *rules);

/* The state as of the day last counted on. False when the row is out of range. */
bool gws_quota_read(const struct gws_region *region, uint32_t row, struct gws_quota_info *info);

#endif
