/*
 * The check of the tables: names, and the words of domains, limits, quotas and models, and the evidence.
 */

#include "libshm/check_rows.h"

#include <inttypes.h>

#include "libshm/breaker_word.h"
#include "libshm/cooldown.h"
#include "libshm/name_row.h"
#include "libshm/window.h"

/* No rule of ours waits longer; a deadline beyond it was not made by one. Real days may be a little ahead. */
#define YEAR_MS UINT64_C(31622400000)

void check_zero(struct check *c, const char *section, const void *at, size_t bytes)
{
    const unsigned char *byte = at;

    for (size_t i = 0; i < bytes; i++)
        if (byte[i] != 0) {
            check_fault(c, section, &byte[i], 1, "a byte that is not used is not zero");
            return;
        }
}

static uint64_t after(const struct check *c, uint64_t moment)
{
    return moment > c->now ? moment - c->now : 0;
}

static void check_breaker(struct check *c, uint32_t row)
{
    const gws_word *word = &c->region->domains[row].breaker;
    struct breaker_parts p = breaker_parts(word_load(word));

    if (p.mode == GWS_OPEN && (p.aux == GWS_TRIP_NONE || p.aux > GWS_TRIP_SLOW))
        check_fault(c, "domains", word, 8, "row %" PRIu32 ": open for no known reason (%" PRIu32 ")", row, p.aux);
    if (p.mode == GWS_FORCED && p.aux > 1)
        check_fault(c, "domains", word, 8, "row %" PRIu32 ": forced neither open nor closed", row);
    if ((p.mode == GWS_OPEN || p.mode == GWS_HALF) && after(c, p.t) > YEAR_MS)
        check_fault(c, "domains", word, 8, "row %" PRIu32 ": its deadline is %" PRIu64 " ms ahead", row,
                    after(c, p.t));
    if (p.mode == GWS_CLOSED && after(c, p.t) > YEAR_MS)
        check_fault(c, "domains", word, 8, "row %" PRIu32 ": closed since a time to come", row);
}

static void check_window(struct check *c, uint32_t row)
{
    for (uint32_t i = 0; i < GWS_WINDOW_BUCKETS; i++) {
        const gws_word *word = &c->region->domains[row].window[i];
        uint64_t value = word_load(word);
        uint64_t total = value & 0xffff;

        if ((value >> 16 & 0xffff) + (value >> 32 & 0xffff) > total)
            check_fault(c, "domains", word, 8, "row %" PRIu32 ": more failed and slow than there were", row);
    }
}

static void check_domain(struct check *c, uint32_t row)
{
    const struct gws_domain_row *domain = &c->region->domains[row];
    struct gws_cooldown_view cool = gws_cooldown_view(word_load(&domain->cooldown));

    check_breaker(c, row);
    check_window(c, row);
    if (cool.reason > GWS_COOL_OPERATOR)
        check_fault(c, "domains", &domain->cooldown, 8, "row %" PRIu32 ": cooling for no known reason (%u)", row,
                    (unsigned)cool.reason);
    if (after(c, cool.until) > YEAR_MS)
        check_fault(c, "domains", &domain->cooldown, 8, "row %" PRIu32 ": cooling for %" PRIu64 " ms", row,
                    after(c, cool.until));
    if ((word_load(&domain->order) >> 62 & 1) != 0)
        check_fault(c, "domains", &domain->order, 8, "row %" PRIu32 ": an order that nobody can give", row);
    if (word_load(&domain->adapt) != 0 && word_load(&domain->adapt) >> 36 == 0)
        check_fault(c, "domains", &domain->adapt, 8, "row %" PRIu32 ": an adaptive limit of nothing", row);
    if (after(c, word_load(&domain->answered)) > YEAR_MS)
        check_fault(c, "domains", &domain->answered, 8, "row %" PRIu32 ": it answered at a time to come", row);
    check_zero(c, "domains", domain->later_decision, sizeof(domain->later_decision));
    check_zero(c, "domains", domain->pad_ticket, sizeof(domain->pad_ticket));
    check_zero(c, "domains", domain->pad_answer, sizeof(domain->pad_answer));
}

/* One that is held is left alone: it may be being written, or its writer died, and neither is a fault. */
static void check_evidence(struct check *c, uint32_t row)
{
    const struct gws_evidence_row *record = &c->region->evidence[row];
    uint64_t claim = word_load(&record->claim);

    if (claim >> 55 > c->region->dims.slots)
        check_fault(c, "evidence", record, 8, "row %" PRIu32 ": claimed by slot %" PRIu64 ", which there is not", row,
                    (claim >> 55) - 1);
    else if (claim != 0 && (claim & 1) == 0 && (word_load(&record->outcomes) & 0xff) == 0 &&
             word_load(&record->claim) == claim)
        check_fault(c, "evidence", record, 8, "row %" PRIu32 ": a failure without an outcome", row);
    if (after(c, word_load(&record->at)) > YEAR_MS)
        check_fault(c, "evidence", &record->at, 8, "row %" PRIu32 ": a failure at a time to come", row);
    check_zero(c, "evidence", record->pad_evidence, sizeof(record->pad_evidence));
}

static void check_limit(struct check *c, uint32_t row)
{
    const struct gws_limit_row *limit = &c->region->limits[row];
    uint64_t ahead = after(c, word_load(&limit->tat) / UINT64_C(16000000));

    if (ahead > YEAR_MS)
        check_fault(c, "limits", limit, 8, "row %" PRIu32 ": its debt takes %" PRIu64 " ms to decay", row, ahead);
    check_zero(c, "limits", limit->later_limit, sizeof(limit->later_limit));
}

static void check_quota(struct check *c, uint32_t row)
{
    const struct gws_quota_row *quota = &c->region->quotas[row];
    const struct gws_quota_cell *cells = quota_cells_of(c->region, row);

    if (word_load(&quota->day) > UINT16_MAX)
        check_fault(c, "quotas", quota, 8, "row %" PRIu32 ": day %" PRIu64, row, word_load(&quota->day));
    for (uint32_t slot = 0; slot < c->region->dims.slots; slot++) {
        /* The cell first: its owner moves the day on before it writes it. */
        uint64_t day = word_load(&cells[slot].committed) >> 48;
        if (day > word_load(&quota->day))
            check_fault(c, "cells", &cells[slot].committed, 8, "row %" PRIu32 ": slot %" PRIu32 " is ahead of the day",
                        row, slot);
    }
    if (word_load(&quota->correction) >> 48 > word_load(&quota->day))
        check_fault(c, "quotas", &quota->correction, 8, "row %" PRIu32 ": corrected ahead of its day", row);
    check_zero(c, "quotas", quota->later_quota, sizeof(quota->later_quota));
}

void check_rows(struct check *c)
{
    const struct gws_region *region = c->region;

    for (uint32_t row = 0; row < region->dims.domains; row++) {
        check_domain(c, row);
        check_evidence(c, row);
    }
    for (uint32_t row = 0; row < region->dims.limits; row++)
        check_limit(c, row);
    for (uint32_t row = 0; row < region->dims.quotas; row++)
        check_quota(c, row);
    for (uint32_t row = 0; row < region->dims.models; row++)
        check_zero(c, "models", region->models[row].later_model, sizeof(region->models[row].later_model));
    for (uint32_t endpoint = 0; endpoint < region->dims.endpoints; endpoint++)
        check_zero(c, "waiters", region->waiters[endpoint].pad_waiter, sizeof(region->waiters[endpoint].pad_waiter));
}

/* Rows that must not say the same: an identity, or the number of an endpoint, belongs to one. */
static void check_twins(struct check *c, struct range range, uint32_t row, const struct gws_name_info *info)
{
    for (uint32_t other = 0; other < row; other++) {
        enum gws_kind kind = name_row_kind(&range.rows[other]);
        if (kind == info->kind && name_row_ident(&range.rows[other]) == name_row_ident(&range.rows[row]))
            check_fault(c, "names", &range.rows[row], 8, "'%s' stands in rows %" PRIu32 " and %" PRIu32, info->name,
                        other, row);
        if (kind == GWS_KIND_ENDPOINT && info->kind == GWS_KIND_ENDPOINT &&
            word_load_relaxed(&range.rows[other].endpoint) == info->endpoint)
            check_fault(c, "names", &range.rows[row].endpoint, 8, "'%s' has the endpoint number of row %" PRIu32,
                        info->name, other);
    }
}

static void check_name(struct check *c, struct range range, enum gws_kind table, uint32_t row)
{
    struct gws_name_info parent;
    struct gws_name_info info;
    bool domain = table == GWS_KIND_ENDPOINT;

    if ((word_load(&range.rows[row].state) & 0xff) > GWS_KIND_MODEL)
        check_fault(c, "names", &range.rows[row], 8, "row %" PRIu32 ": no known kind", row);
    if (!name_row_read(&range.rows[row], &info))
        return;
    if (domain ? info.kind > GWS_KIND_ACCOUNT : info.kind != table)
        check_fault(c, "names", &range.rows[row], 8, "'%s' is of another table", info.name);
    if (info.kind == GWS_KIND_ENDPOINT && info.endpoint >= c->region->dims.endpoints)
        check_fault(c, "names", &range.rows[row].endpoint, 8, "'%s' has endpoint number %" PRIu32, info.name,
                    info.endpoint);
    if (info.kind == GWS_KIND_PAIR && gws_name_domain_read(c->region, info.parent, &parent) &&
        parent.kind != GWS_KIND_ENDPOINT && info.config >= gws_region_generation(c->region))
        check_fault(c, "names", &range.rows[row].parent, 8, "'%s' belongs to no endpoint", info.model);
    check_twins(c, range, row, &info);
    check_zero(c, "names", range.rows[row].later_name, sizeof(range.rows[row].later_name));
}

void check_names(struct check *c)
{
    static const enum gws_kind tables[] = {GWS_KIND_ENDPOINT, GWS_KIND_LIMIT, GWS_KIND_QUOTA, GWS_KIND_MODEL};

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        struct range range = name_range(c->region, tables[i]);
        for (uint32_t row = 0; row < range.count; row++)
            check_name(c, range, tables[i], row);
    }
}
