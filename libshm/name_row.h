#ifndef LIBSHM_NAME_ROW_H
#define LIBSHM_NAME_ROW_H

/*
 * One row of the name table, for libshm alone: its identity, its publication and how it is read while its meaning may
 * change. Which row stands for what is decided in name.c.
 */

#include "libshm/name.h"
#include "libshm/word.h"

typedef unsigned __int128 ident;

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

/* The rows a kind lives in: domains first in the table, then limiters, quotas and models. */
struct range {
    struct gws_name_row *rows;
    uint32_t count;
};

struct range name_range(const struct gws_region *region, enum gws_kind kind);

ident name_ident(enum gws_kind kind, const char *name, const void *key, size_t key_length);
ident name_row_ident(const struct gws_name_row *row);
enum gws_kind name_row_kind(const struct gws_name_row *row);

/* A row is published by its state word, last, and taken back by it, first; readers copy between two looks at it. */
void name_row_publish(struct gws_name_row *row, const struct entry *entry);
void name_row_withdraw(struct gws_name_row *row);

/* Of a row that was withdrawn just now: whether it had ever been anything. */
bool name_row_used(const struct gws_name_row *row);

bool name_row_read(const struct gws_name_row *row, struct gws_name_info *info);

/* The row of that kind and identity, or -ENOENT. */
int name_row_find(struct range range, enum gws_kind kind, ident id);

#endif
