/*
 * The name table's rows. An identity is a 128-bit hash over its parts, each with its length before it, so no two
 * lists of parts run together. Text stands in words, because a reader may be looking while the row changes hands.
 */

#include "libshm/name_row.h"

#include <errno.h>
#include <string.h>

enum { KIND_BITS = 8, KIND_MASK = 0xff, READ_TRIES = 4 };

static ident hash_bytes(ident hash, const void *bytes, size_t length)
{
    const ident prime = (ident)1 << 88 | 0x13b;
    const unsigned char *at = bytes;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * prime;
    return hash;
}

/* FNV-1a, 128 bits, over kind, name and key. */
ident name_ident(enum gws_kind kind, const char *name, const void *key, size_t key_length)
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
    return kind <= GWS_KIND_MODEL ? (enum gws_kind)kind : GWS_KIND_NONE;
}

ident name_row_ident(const struct gws_name_row *row)
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

struct range name_range(const struct gws_region *region, enum gws_kind kind)
{
    const struct gws_dims *d = &region->dims;
    struct gws_name_row *limits = region->names + d->domains;
    struct gws_name_row *quotas = limits + d->limits;

    switch (kind) {
    case GWS_KIND_LIMIT:
        return (struct range){limits, d->limits};
    case GWS_KIND_QUOTA:
        return (struct range){quotas, d->quotas};
    case GWS_KIND_MODEL:
        return (struct range){quotas + d->quotas, d->models};
    default:
        return (struct range){region->names, d->domains};
    }
}

enum gws_kind name_row_kind(const struct gws_name_row *row)
{
    return kind_of(word_load(&row->state));
}

int name_row_find(struct range range, enum gws_kind kind, ident id)
{
    for (uint32_t i = 0; i < range.count; i++)
        if (name_row_kind(&range.rows[i]) == kind && name_row_ident(&range.rows[i]) == id)
            return (int)i;
    return -ENOENT;
}

void name_row_publish(struct gws_name_row *row, const struct entry *entry)
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

void name_row_withdraw(struct gws_name_row *row)
{
    uint64_t times = (word_load_relaxed(&row->state) >> KIND_BITS) + 1;

    atomic_store_explicit(&row->state, times << KIND_BITS | GWS_KIND_NONE, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

bool name_row_read(const struct gws_name_row *row, struct gws_name_info *info)
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

bool name_row_used(const struct gws_name_row *row)
{
    return word_load_relaxed(&row->state) >> KIND_BITS > 1;
}
