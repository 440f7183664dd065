/*
 * Daily quotas. Reserving adds to the own cell and then sums all, sequentially consistent, so of several that were let
 * through the last one saw all the others. A settlement commits first and releases second, and a sum reads what a slot
 * has reserved before what it has committed: an amount on its way from one to the other is then seen once or twice, and
 * never not at all. Which day it is stands in one word that only grows; every cell says of which day its amount is, so
 * a day begins without anybody clearing anything.
 */

#include "libshm/quota.h"

#include "libshm/cells.h"

enum { DAY_SHIFT = 48, DAY_MASK = 0xffff, TRIES = 4, MS_PER_MINUTE = 60000, MS_PER_DAY = 86400000 };

/* Half of all that fits, so that the sign of a correction has room. */
#define AMOUNT_MASK GWS_QUOTA_MAX
#define SIGN_BIT (UINT64_C(1) << 47)

static uint64_t zone_ms(const struct gws_quota_rules *rules, uint64_t real_ms)
{
    int64_t shift = (int64_t)rules->zone_minutes * MS_PER_MINUTE;
    return shift < 0 && real_ms < (uint64_t)-shift ? 0 : real_ms + (uint64_t)shift;
}

uint32_t gws_quota_day(const struct gws_quota_rules *rules, uint64_t real_ms)
{
    uint64_t day = zone_ms(rules, real_ms) / MS_PER_DAY;
    return day < DAY_MASK ? (uint32_t)day : DAY_MASK;
}

uint64_t gws_quota_left_of_day(const struct gws_quota_rules *rules, uint64_t real_ms)
{
    return MS_PER_DAY - zone_ms(rules, real_ms) % MS_PER_DAY;
}

static uint32_t day_of(uint64_t word)
{
    return (uint32_t)(word >> DAY_SHIFT);
}

/* The day to count on: the caller's, or a later one that somebody has begun. */
static uint32_t roll(struct gws_quota_row *quota, uint32_t day)
{
    uint64_t old = atomic_load_explicit(&quota->day, memory_order_seq_cst);

    while (old < day)
        if (atomic_compare_exchange_strong_explicit(&quota->day, &old, day, memory_order_seq_cst, memory_order_seq_cst))
            return day;
    return old < DAY_MASK ? (uint32_t)old : DAY_MASK;
}

/* An amount of a later day than ours is counted too: we are about to learn of it. */
static uint64_t amount_on(uint64_t word, uint32_t day)
{
    return day_of(word) >= day ? word & AMOUNT_MASK : 0;
}

static int64_t correction_on(uint64_t word, uint32_t day)
{
    uint64_t amount = amount_on(word, day);
    return (amount & SIGN_BIT) != 0 ? (int64_t)amount - (int64_t)(SIGN_BIT << 1) : (int64_t)amount;
}

struct sums {
    uint64_t reserved;
    uint64_t committed;
};

static void add_cell(const struct gws_quota_cell *cell, uint32_t day, struct sums *sums)
{
    sums->reserved += atomic_load_explicit(&cell->reserved, memory_order_seq_cst);
    sums->committed += amount_on(atomic_load_explicit(&cell->committed, memory_order_seq_cst), day);
}

/* What the slots have committed, without the correction. */
static struct sums sum_cells(const struct gws_region *region, uint32_t row, uint32_t day)
{
    const struct gws_quota_cell *cells = quota_cells_of(region, row);
    struct slot_runs runs = slot_runs(region);
    struct sums sums = {0, 0};

    for (uint32_t i = 0; i < runs.own_end; i++)
        add_cell(&cells[i], day, &sums);
    for (uint32_t i = runs.guest_begin; i < runs.guest_end; i++)
        add_cell(&cells[i], day, &sums);
    return sums;
}

static struct sums sum(const struct gws_region *region, uint32_t row, uint32_t day)
{
    struct sums sums = sum_cells(region, row, day);
    int64_t more = correction_on(atomic_load_explicit(&region->quotas[row].correction, memory_order_seq_cst), day);

    /* Forgiven can not be more than was committed, but for a moment in which the two are read apart. */
    if (more < 0 && sums.committed < (uint64_t)-more)
        sums.committed = 0;
    else
        sums.committed += (uint64_t)more;
    return sums;
}

static bool fits(struct sums sums, const struct gws_quota_rules *rules)
{
    return rules->limit == 0 || sums.reserved + sums.committed <= rules->limit;
}

int gws_quota_reserve(struct gws_region *region, uint32_t row, const struct gws_quota_rules *rules, uint64_t amount,
                      uint64_t real_ms)
{
    struct gws_quota_row *quota = quota_at(region, row);
    gws_word *own;
    uint32_t day;

    if (quota == NULL || !cells_owned(region) || amount > GWS_QUOTA_MAX)
        return GWS_QUOTA_SPENT;
    day = roll(quota, gws_quota_day(rules, real_ms));
    own = &quota_cells_of(region, row)[region->slot].reserved;
    for (int i = 0; i < TRIES; i++) {
        struct sums before = sum(region, row, day);
        before.reserved += amount;
        if (!fits(before, rules))
            return GWS_QUOTA_SPENT;
        atomic_fetch_add_explicit(own, amount, memory_order_seq_cst);
        if (fits(sum(region, row, day), rules))
            return GWS_QUOTA_RESERVED;
        atomic_fetch_sub_explicit(own, amount, memory_order_seq_cst);
    }
    return GWS_QUOTA_SPENT;
}

/* Only the slot's owner writes its cells, so nobody changes them between the load and the store. */
static void commit(gws_word *own, uint32_t day, uint64_t spent)
{
    uint64_t old = atomic_load_explicit(own, memory_order_relaxed);
    uint64_t amount;

    if (day_of(old) > day)
        day = day_of(old);
    amount = amount_on(old, day);
    amount = spent > GWS_QUOTA_MAX - amount ? GWS_QUOTA_MAX : amount + spent;
    atomic_store_explicit(own, (uint64_t)day << DAY_SHIFT | amount, memory_order_seq_cst);
}

void gws_quota_settle(struct gws_region *region, uint32_t row, const struct gws_quota_rules *rules, uint64_t reserved,
                      uint64_t spent, uint64_t real_ms)
{
    struct gws_quota_row *quota = quota_at(region, row);
    struct gws_quota_cell *own;
    uint64_t held;

    if (quota == NULL || !cells_owned(region))
        return;
    own = &quota_cells_of(region, row)[region->slot];
    if (spent != 0)
        commit(&own->committed, roll(quota, gws_quota_day(rules, real_ms)), spent);
    held = atomic_load_explicit(&own->reserved, memory_order_relaxed);
    if (reserved != 0 && held != 0)
        atomic_fetch_sub_explicit(&own->reserved, reserved < held ? reserved : held, memory_order_seq_cst);
}

int gws_quota_peek(const struct gws_region *region, uint32_t row, const struct gws_quota_rules *rules, uint64_t amount,
                   uint64_t real_ms)
{
    const struct gws_quota_row *quota = quota_at(region, row);
    uint32_t day = gws_quota_day(rules, real_ms);
    struct sums sums;

    if (quota == NULL || amount > GWS_QUOTA_MAX)
        return GWS_QUOTA_SPENT;
    if (word_load(&quota->day) > day)
        day = (uint32_t)word_load(&quota->day);
    sums = sum(region, row, day);
    sums.reserved += amount;
    return fits(sums, rules) ? GWS_QUOTA_RESERVED : GWS_QUOTA_SPENT;
}

/* Put the correction so that the whole of the day is `amount`. What is committed meanwhile comes on top. */
static bool correct(struct gws_region *region, uint32_t row, uint32_t day, uint64_t amount, bool only_up)
{
    struct gws_quota_row *quota = &region->quotas[row];
    uint64_t old = atomic_load_explicit(&quota->correction, memory_order_seq_cst);
    uint64_t new;

    do {
        uint64_t cells = sum_cells(region, row, day).committed;
        if (only_up && (int64_t)cells + correction_on(old, day) >= (int64_t)amount)
            return false;
        new = (uint64_t)day << DAY_SHIFT | ((amount - cells) & AMOUNT_MASK);
    } while (!atomic_compare_exchange_strong_explicit(&quota->correction, &old, new, memory_order_seq_cst,
                                                      memory_order_seq_cst));
    return true;
}

void gws_quota_restore(struct gws_region *region, uint32_t row, uint32_t day, uint64_t amount)
{
    struct gws_quota_row *quota = quota_at(region, row);

    if (quota == NULL || !may_change(region) || day > DAY_MASK)
        return;
    if (roll(quota, day) == day)
        (void)correct(region, row, day, amount < SIGN_BIT ? amount : SIGN_BIT - 1, true);
}

void gws_quota_reset(struct gws_region *region, uint32_t row, uint64_t now, uint32_t who)
{
    struct gws_quota_row *quota = quota_at(region, row);
    uint64_t committed;

    if (quota == NULL || !may_change(region))
        return;
    committed = sum(region, row, roll(quota, 0)).committed;
    (void)correct(region, row, roll(quota, 0), 0, false);
    gws_event_record(region, GWS_EVENT_QUOTA_RESET, row, committed, 0, who, now);
}

void gws_quota_publish(struct gws_region *region, uint32_t row, const struct gws_quota_rules *rules)
{
    struct gws_quota_row *quota = quota_at(region, row);

    if (quota == NULL || !may_change(region))
        return;
    word_store_relaxed(&quota->limit, rules->limit);
    word_store_relaxed(&quota->zone, (uint64_t)(int64_t)rules->zone_minutes);
}

bool gws_quota_read(const struct gws_region *region, uint32_t row, struct gws_quota_info *info)
{
    struct gws_quota_row *quota = quota_at(region, row);
    struct sums sums;

    if (quota == NULL)
        return false;
    info->day = roll(quota, 0);
    sums = sum(region, row, info->day);
    info->committed = sums.committed;
    info->reserved = sums.reserved;
    info->rules.limit = word_load_relaxed(&quota->limit);
    info->rules.zone_minutes = (int32_t)(int64_t)word_load_relaxed(&quota->zone);
    return true;
}

/* Counted by all in one word: whoever is refused sends nothing, and has the time. */
void gws_quota_count_refusal(struct gws_region *region, uint32_t row)
{
    struct gws_quota_row *quota = quota_at(region, row);

    if (quota != NULL && may_change(region))
        word_add_shared(&quota->refusals, 1);
}

uint64_t gws_quota_refusals(const struct gws_region *region, uint32_t row)
{
    const struct gws_quota_row *quota = quota_at(region, row);
    return quota == NULL ? 0 : word_load_relaxed(&quota->refusals);
}
