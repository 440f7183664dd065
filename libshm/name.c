/*
 * Names. An identity is a 128-bit hash over its parts, each with its length before it, so no two lists of parts run
 * together. The master alone writes here. A row is published by its state word, last, and taken back by it, first;
 * readers copy between two looks at that word. A row that changes its meaning has every word cleared before, with the
 * generations going on, so a result that is still under way for the old meaning finds another generation.
 */

#include "libshm/name.h"

#include <errno.h>
#include <string.h>

#include "libshm/breaker.h"
#include "libshm/clock.h"
#include "libshm/cooldown.h"
#include "libshm/order.h"
#include "libshm/slot.h"
#include "libshm/word.h"

enum { KIND_BITS = 8, KIND_MASK = 0xff, READ_TRIES = 4 };

typedef unsigned __int128 ident;

static ident hash_bytes(ident hash, const void *bytes, size_t length)
{
    const ident prime = (ident)1 << 88 | 0x13b;
    const unsigned char *at = bytes;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * prime;
    return hash;
}

/* FNV-1a, 128 bits, over kind, name and key. */
static ident ident_of(enum gws_kind kind, const char *name, const void *key, size_t key_length)
{
    ident hash = (ident)UINT64_C(0x6c62272e07bb0142) << 64 | UINT64_C(0x62b821756295c58d);
    uint64_t head[3] = {(uint64_t)kind, strlen(name), key_length};

    hash = hash_bytes(hash, head, sizeof(head));
    hash = hash_bytes(hash, name, strlen(name));
    return hash_bytes(hash, key, key_length);
}

static enum gws_kind kind_of(uint64_t state)
{
    uint64_t kind = state & KIND_MASK;
    return kind <= GWS_KIND_LIMIT ? (enum gws_kind)kind : GWS_KIND_NONE;
}

static ident row_ident(const struct gws_name_row *row)
{
    return (ident)word_load_relaxed(&row->ident[0]) << 64 | word_load_relaxed(&row->ident[1]);
}

static void text_store(gws_word words[GWS_TEXT_WORDS], const char *text)
{
    char bytes[GWS_TEXT_WORDS * sizeof(uint64_t)] = {0};
    uint64_t value;

    memcpy(bytes, text, strnlen(text, GWS_NAME_MAX));
    for (size_t i = 0; i < GWS_TEXT_WORDS; i++) {
        memcpy(&value, bytes + i * sizeof(value), sizeof(value));
        word_store_relaxed(&words[i], value);
    }
}

static void text_load(const gws_word words[GWS_TEXT_WORDS], char text[GWS_NAME_MAX + 1])
{
    for (size_t i = 0; i < GWS_TEXT_WORDS; i++) {
        uint64_t value = word_load_relaxed(&words[i]);
        memcpy(text + i * sizeof(value), &value, sizeof(value));
    }
    text[GWS_NAME_MAX] = '\0';
}

/* The rows a kind lives in: domains first in the table, then limiters. */
struct range {
    struct gws_name_row *rows;
    uint32_t count;
};

static struct range range_of(const struct gws_region *region, enum gws_kind kind)
{
    struct range range = {region->names, region->dims.domains};

    if (kind == GWS_KIND_LIMIT)
        range = (struct range){region->names + region->dims.domains, region->dims.limits};
    return range;
}

static int find(struct range range, enum gws_kind kind, ident id)
{
    for (uint32_t i = 0; i < range.count; i++)
        if (kind_of(word_load(&range.rows[i].state)) == kind && row_ident(&range.rows[i]) == id)
            return (int)i;
    return -ENOENT;
}

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
        enum gws_kind kind = kind_of(word_load(&range.rows[i].state));
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
            used = kind_of(word_load(&region->names[i].state)) == GWS_KIND_ENDPOINT &&
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
}

static void clear_endpoint(struct gws_region *region, uint32_t endpoint)
{
    for (uint32_t slot = 0; slot < region->dims.slots; slot++) {
        gws_word *line = stats_of(region, slot, endpoint);
        for (int i = 0; i < GWS_STATS_PER_LINE; i++)
            word_store_relaxed(&line[i], 0);
        atomic_store_explicit(&gauges_of(region, endpoint)[slot], 0, memory_order_seq_cst);
    }
}

static void clear_limit(struct gws_region *region, uint32_t row)
{
    word_store_relaxed(&region->limits[row].tat, 0);
    word_store_relaxed(&region->limits[row].interval, 0);
    word_store_relaxed(&region->limits[row].burst, 0);
}

/* What is to stand in a row. */
struct entry {
    enum gws_kind kind;
    ident id;
    const char *name;
    const char *model;
    uint32_t parent;
    uint32_t endpoint;
    uint32_t max_concurrent;
    uint64_t config;
};

/* A row that is found keeps its state; only what the configuration says of it is brought up to date. */
static void refresh(struct gws_name_row *row, const struct entry *entry)
{
    uint64_t config = word_load_relaxed(&row->config);

    if (entry->kind != GWS_KIND_ENDPOINT) /* an endpoint's is its account, told separately */
        word_store_relaxed(&row->parent, entry->parent);
    word_store_relaxed(&row->max_concurrent, entry->max_concurrent);
    word_store_relaxed(&row->config, entry->config > config ? entry->config : config);
}

static void publish(struct gws_name_row *row, const struct entry *entry)
{
    uint64_t times = (word_load_relaxed(&row->state) >> KIND_BITS) + 1;

    word_store_relaxed(&row->ident[0], (uint64_t)(entry->id >> 64));
    word_store_relaxed(&row->ident[1], (uint64_t)entry->id);
    word_store_relaxed(&row->config, entry->config);
    word_store_relaxed(&row->parent, entry->parent);
    word_store_relaxed(&row->endpoint, entry->endpoint);
    word_store_relaxed(&row->max_concurrent, entry->max_concurrent);
    text_store(row->name, entry->name);
    text_store(row->model, entry->model);
    atomic_store_explicit(&row->state, times << KIND_BITS | (uint64_t)entry->kind, memory_order_release);
}

static void withdraw(struct gws_name_row *row)
{
    uint64_t times = (word_load_relaxed(&row->state) >> KIND_BITS) + 1;

    atomic_store_explicit(&row->state, times << KIND_BITS | GWS_KIND_NONE, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

/*
 * Find the row or make one. When the endpoint numbers are spent, a retired endpoint must give way, row and number
 * together. A master that dies in here leaves a row without a name, whose words are cleared again by the next taker.
 */
static int find_or_make(struct gws_region *region, struct entry *entry)
{
    struct range range = range_of(region, entry->kind);
    enum gws_kind only = GWS_KIND_NONE;
    int number = -ENOSPC;
    int row = find(range, entry->kind, entry->id);

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
    withdraw(&range.rows[row]);
    if (entry->kind == GWS_KIND_LIMIT) {
        clear_limit(region, (uint32_t)row);
    } else if (word_load_relaxed(&range.rows[row].state) >> KIND_BITS > 1) {
        clear_domain(region, (uint32_t)row); /* one that was never used is clean, and its cleaning no event */
    }
    if (entry->kind == GWS_KIND_ENDPOINT) {
        number = free_endpoint(region);
        if (number < 0)
            return number;
        entry->endpoint = (uint32_t)number;
        clear_endpoint(region, entry->endpoint);
    }
    publish(&range.rows[row], entry);
    return row;
}

static int check(const struct gws_region *region, const char *name)
{
    if (!may_change(region))
        return -EPERM;
    return strlen(name) > GWS_NAME_MAX ? -ENAMETOOLONG : 0;
}

int gws_name_endpoint(struct gws_region *region, const char *name, const char *url, uint32_t limit, uint64_t config)
{
    struct entry entry = {
        .kind = GWS_KIND_ENDPOINT,
        .id = ident_of(GWS_KIND_ENDPOINT, name, url, strlen(url)),
        .name = name,
        .model = "",
        .parent = GWS_NO_DOMAIN,
        .max_concurrent = limit,
        .config = config,
    };
    int result = check(region, name);
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
    int result = check(region, model);
    ident id;

    if (result != 0)
        return result;
    if (!gws_name_domain_read(region, endpoint_row, &parent) || parent.kind != GWS_KIND_ENDPOINT)
        return -EINVAL;
    /* An endpoint is used for at least as long as its pairs. */
    if (parent.config < config)
        word_store_relaxed(&region->names[endpoint_row].config, config);
    id = row_ident(&region->names[endpoint_row]);
    entry.id = ident_of(GWS_KIND_PAIR, model, &id, sizeof(id));
    return find_or_make(region, &entry);
}

int gws_name_account(struct gws_region *region, const char *name, uint64_t config)
{
    struct entry entry = {
        .kind = GWS_KIND_ACCOUNT,
        .id = ident_of(GWS_KIND_ACCOUNT, name, "", 0),
        .name = name,
        .model = "",
        .parent = GWS_NO_DOMAIN,
        .endpoint = GWS_NO_DOMAIN,
        .config = config,
    };
    int result = check(region, name);
    return result != 0 ? result : find_or_make(region, &entry);
}

int gws_name_limit(struct gws_region *region, const char *name, uint64_t config)
{
    struct entry entry = {
        .kind = GWS_KIND_LIMIT,
        .id = ident_of(GWS_KIND_LIMIT, name, "", 0),
        .name = name,
        .model = "",
        .parent = GWS_NO_DOMAIN,
        .endpoint = GWS_NO_DOMAIN,
        .config = config,
    };
    int result = check(region, name);
    return result != 0 ? result : find_or_make(region, &entry);
}

static bool read_row(const struct gws_name_row *row, struct gws_name_info *info)
{
    for (int i = 0; i < READ_TRIES; i++) {
        uint64_t state = word_load(&row->state);

        memset(info, 0, sizeof(*info));
        info->kind = kind_of(state);
        if (info->kind == GWS_KIND_NONE)
            return false;
        text_load(row->name, info->name);
        text_load(row->model, info->model);
        info->parent = (uint32_t)word_load_relaxed(&row->parent);
        info->endpoint = (uint32_t)word_load_relaxed(&row->endpoint);
        info->max_concurrent = (uint32_t)word_load_relaxed(&row->max_concurrent);
        info->config = word_load_relaxed(&row->config);
        atomic_thread_fence(memory_order_acquire);
        if (word_load_relaxed(&row->state) == state)
            return true;
    }
    return false;
}

bool gws_name_domain_read(const struct gws_region *region, uint32_t row, struct gws_name_info *info)
{
    return row < region->dims.domains && read_row(&region->names[row], info);
}

bool gws_name_limit_read(const struct gws_region *region, uint32_t row, struct gws_name_info *info)
{
    return row < region->dims.limits && read_row(&region->names[region->dims.domains + row], info);
}

bool gws_name_current(const struct gws_region *region, const struct gws_name_info *info)
{
    return info->config >= gws_region_generation(region);
}
