/*
 * Names: which row stands for what. The master alone hands rows out. A row that changes its meaning has every word
 * cleared before, with the generations going on, so a result that is still under way for the old meaning finds another
 * generation.
 */

#include "libshm/name.h"

#include <errno.h>
#include <string.h>

#include "libshm/breaker.h"
#include "libshm/clock.h"
#include "libshm/cooldown.h"
#include "libshm/evidence.h"
#include "libshm/name_row.h"
#include "libshm/order.h"
#include "libshm/series.h"
#include "libshm/slot.h"
#include "libshm/window.h"
#include "libshm/word.h"

/* Rows older than this are nobody's: not of a live process, not of the configuration in force, not of the new one. */
static uint64_t oldest_needed(const struct gws_region *region, uint64_t config)
{
    uint64_t oldest = gws_slot_oldest_config(region);
    uint64_t current = gws_region_generation(region);

    if (current < oldest)
        oldest = current;
    return config < oldest ? config : oldest;
}

/* A free row, else the one out of use the longest; `only` narrows the second choice to rows of one kind. */
static int choose(const struct gws_region *region, struct range range, uint64_t config, enum gws_kind only)
{
    uint64_t oldest = oldest_needed(region, config);
    int chosen = -ENOSPC;

    for (uint32_t i = 0; i < range.count; i++) {
        enum gws_kind kind = name_row_kind(&range.rows[i]);
        uint64_t used = word_load_relaxed(&range.rows[i].config);

        if (kind == GWS_KIND_NONE && only == GWS_KIND_NONE)
            return (int)i;
        if (kind == GWS_KIND_NONE || (only != GWS_KIND_NONE && kind != only) || used >= oldest)
            continue;
        oldest = used;
        chosen = (int)i;
    }
    return chosen;
}

/* An endpoint number that no endpoint's row has, retired ones included: those may yet come back. */
static int free_endpoint(const struct gws_region *region)
{
    for (uint32_t endpoint = 0; endpoint < region->dims.endpoints; endpoint++) {
        bool used = false;
        for (uint32_t i = 0; i < region->dims.domains && !used; i++)
            used = name_row_kind(&region->names[i]) == GWS_KIND_ENDPOINT &&
                   word_load_relaxed(&region->names[i].endpoint) == endpoint;
        if (!used)
            return (int)endpoint;
    }
    return -ENOSPC;
}

static void clear_domain(struct gws_region *region, uint32_t row)
{
    uint64_t now = gws_clock_ms(region);

    gws_breaker_reset(region, row, now, GWS_BY_GATEWAY);
    gws_cooldown_clear(region, row, now, GWS_BY_GATEWAY);
    gws_order_enable(region, row, now, GWS_BY_GATEWAY);
    word_store_relaxed(&region->domains[row].ticket, 0);
    word_store_relaxed(&region->domains[row].latency, 0);
    word_store_relaxed(&region->domains[row].adapt, 0);
    gws_window_clear(region, row);
    gws_evidence_clear(region, row);
    gws_series_clear(region, row);
}

static void clear_endpoint(struct gws_region *region, uint32_t endpoint)
{
    for (uint32_t slot = 0; slot < region->dims.slots; slot++) {
        gws_word *line = stats_of(region, slot, endpoint);
        for (int i = 0; i < GWS_STATS_PER_LINE; i++)
            word_store_relaxed(&line[i], 0);
        atomic_store_explicit(&gauges_of(region, endpoint)[slot], 0, memory_order_seq_cst);
        memset((void *)histograms_of(region, slot, endpoint), 0, GWS_HISTOGRAMS * sizeof(struct gws_histogram));
    }
    memset((void *)&region->waiters[endpoint], 0, sizeof(struct gws_waiter_row));
}

static void clear_limit(struct gws_region *region, uint32_t row)
{
    word_store_relaxed(&region->limits[row].tat, 0);
    word_store_relaxed(&region->limits[row].interval, 0);
    word_store_relaxed(&region->limits[row].burst, 0);
    word_store_relaxed(&region->limits[row].refusals, 0);
}

static void clear_quota(struct gws_region *region, uint32_t row)
{
    memset((void *)quota_cells_of(region, row), 0, region->dims.slots * sizeof(struct gws_quota_cell));
    memset((void *)&region->quotas[row], 0, sizeof(struct gws_quota_row));
}

static void clear_row(struct gws_region *region, enum gws_kind kind, uint32_t row)
{
    switch (kind) {
    case GWS_KIND_LIMIT:
        clear_limit(region, row);
        break;
    case GWS_KIND_QUOTA:
        clear_quota(region, row);
        break;
    case GWS_KIND_MODEL:
        word_store_relaxed(&region->models[row].ratio, 0);
        break;
    default:
        clear_domain(region, row);
    }
}

/* A row that is found keeps its state; only what the configuration says of it is brought up to date. */
static void refresh(struct gws_name_row *row, const struct entry *entry)
{
    uint64_t config = word_load_relaxed(&row->config);

    if (entry->kind != GWS_KIND_ENDPOINT) /* an endpoint's is its account, told separately */
        word_store_relaxed(&row->parent, entry->parent);
    word_store_relaxed(&row->max_concurrent, entry->max_concurrent);
    word_store_relaxed(&row->config, entry->config > config ? entry->config : config);
}

/*
 * Find the row or make one. When the endpoint numbers are spent, a retired endpoint must give way, row and number
 * together. A master that dies in here leaves a row without a name, whose words are cleared again by the next taker.
 * Who only looks is told what there is.
 */
static int find_or_make(struct gws_region *region, struct entry *entry)
{
    struct range range = name_range(region, entry->kind);
    enum gws_kind only = GWS_KIND_NONE;
    int number = -ENOSPC;
    int row = name_row_find(range, entry->kind, entry->id);

    if (!may_change(region))
        return row;
    if (row >= 0) {
        refresh(&range.rows[row], entry);
        return row;
    }
    if (entry->kind == GWS_KIND_ENDPOINT) {
        number = free_endpoint(region);
        only = number < 0 ? GWS_KIND_ENDPOINT : GWS_KIND_NONE;
    }
    row = choose(region, range, entry->config, only);
    if (row < 0)
        return row;
    name_row_withdraw(&range.rows[row]);
    if (name_row_used(&range.rows[row])) /* one that was never used is clean, and its cleaning no event */
        clear_row(region, entry->kind, (uint32_t)row);
    if (entry->kind == GWS_KIND_ENDPOINT) {
        number = free_endpoint(region);
        if (number < 0)
            return number;
        entry->endpoint = (uint32_t)number;
        clear_endpoint(region, entry->endpoint);
    }
    name_row_publish(&range.rows[row], entry);
    return row;
}

static int check(const char *name)
{
    return strlen(name) > GWS_NAME_MAX ? -ENAMETOOLONG : 0;
}

int gws_name_endpoint(struct gws_region *region, const char *name, const char *url, uint32_t limit, uint64_t config)
{
    struct entry entry = {
        .kind = GWS_KIND_ENDPOINT,
        .id = name_ident(GWS_KIND_ENDPOINT, name, url, strlen(url)),
        .name = name,
        .model = "",
        .parent = GWS_NO_DOMAIN,
        .max_concurrent = limit,
        .config = config,
    };
    int result = check(name);
    return result != 0 ? result : find_or_make(region, &entry);
}

int gws_name_set_account(struct gws_region *region, uint32_t endpoint_row, uint32_t account_row)
{
    struct gws_name_info endpoint, account;

    if (!may_change(region))
        return -EPERM;
    if (!gws_name_domain_read(region, endpoint_row, &endpoint) || endpoint.kind != GWS_KIND_ENDPOINT ||
        !gws_name_domain_read(region, account_row, &account) || account.kind != GWS_KIND_ACCOUNT)
        return -EINVAL;
    word_store_relaxed(&region->names[endpoint_row].parent, account_row);
    return 0;
}

int gws_name_pair(struct gws_region *region, uint32_t endpoint_row, const char *model, uint64_t config)
{
    struct gws_name_info parent;
    struct entry entry = {
        .kind = GWS_KIND_PAIR,
        .name = parent.name,
        .model = model,
        .parent = endpoint_row,
        .endpoint = GWS_NO_DOMAIN,
        .config = config,
    };
    int result = check(model);
    ident id;

    if (result != 0)
        return result;
    if (!gws_name_domain_read(region, endpoint_row, &parent) || parent.kind != GWS_KIND_ENDPOINT)
        return -EINVAL;
    /* An endpoint is used for at least as long as its pairs. */
    if (parent.config < config && may_change(region))
        word_store_relaxed(&region->names[endpoint_row].config, config);
    id = name_row_ident(&region->names[endpoint_row]);
    entry.id = name_ident(GWS_KIND_PAIR, model, &id, sizeof(id));
    return find_or_make(region, &entry);
}

/* The kinds whose identity is their name alone. */
static int named(struct gws_region *region, enum gws_kind kind, const char *name, uint64_t config)
{
    struct entry entry = {
        .kind = kind,
        .id = name_ident(kind, name, "", 0),
        .name = name,
        .model = "",
        .parent = GWS_NO_DOMAIN,
        .endpoint = GWS_NO_DOMAIN,
        .config = config,
    };
    int result = check(name);
    return result != 0 ? result : find_or_make(region, &entry);
}

int gws_name_account(struct gws_region *region, const char *name, uint64_t config)
{
    return named(region, GWS_KIND_ACCOUNT, name, config);
}

int gws_name_limit(struct gws_region *region, const char *name, uint64_t config)
{
    return named(region, GWS_KIND_LIMIT, name, config);
}

int gws_name_quota(struct gws_region *region, const char *name, uint64_t config)
{
    return named(region, GWS_KIND_QUOTA, name, config);
}

int gws_name_model(struct gws_region *region, const char *name, uint64_t config)
{
    return named(region, GWS_KIND_MODEL, name, config);
}

static bool read_of_kind(const struct gws_region *region, enum gws_kind kind, uint32_t row, struct gws_name_info *info)
{
    struct range range = name_range(region, kind);
    return row < range.count && name_row_read(&range.rows[row], info);
}

bool gws_name_domain_read(const struct gws_region *region, uint32_t row, struct gws_name_info *info)
{
    return read_of_kind(region, GWS_KIND_ENDPOINT, row, info);
}

bool gws_name_limit_read(const struct gws_region *region, uint32_t row, struct gws_name_info *info)
{
    return read_of_kind(region, GWS_KIND_LIMIT, row, info);
}

bool gws_name_quota_read(const struct gws_region *region, uint32_t row, struct gws_name_info *info)
{
    return read_of_kind(region, GWS_KIND_QUOTA, row, info);
}

bool gws_name_model_read(const struct gws_region *region, uint32_t row, struct gws_name_info *info)
{
    return read_of_kind(region, GWS_KIND_MODEL, row, info);
}

bool gws_name_current(const struct gws_region *region, const struct gws_name_info *info)
{
    return info->config >= gws_region_generation(region);
}
