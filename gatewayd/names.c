/*
 * Names are read from every row of the table rather than looked up: a tool has no configuration, and what the rows say
 * is what the workers go by. They are cleaned as they come in, because a file may hold anything and they end on a
 * terminal.
 */

#include "gatewayd/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatewayd/str.h"
#include "gatewayd/show.h"

static unsigned kind_bit(enum gws_kind kind)
{
    switch (kind) {
    case GWS_KIND_ENDPOINT:
        return NAMES_ENDPOINTS;
    case GWS_KIND_PAIR:
        return NAMES_MODELS;
    case GWS_KIND_ACCOUNT:
        return NAMES_ACCOUNTS;
    default:
        return 0;
    }
}

/* Endpoints in the order of the configuration that made them, each followed by its models; accounts last. */
static int in_order(const void *left, const void *right)
{
    const struct names_row *a = left;
    const struct names_row *b = right;
    bool a_account = a->info.kind == GWS_KIND_ACCOUNT;
    bool b_account = b->info.kind == GWS_KIND_ACCOUNT;
    if (a_account != b_account)
        return a_account ? 1 : -1;
    uint32_t a_group = a->info.kind == GWS_KIND_PAIR ? a->info.parent : a->row;
    uint32_t b_group = b->info.kind == GWS_KIND_PAIR ? b->info.parent : b->row;
    if (a_group != b_group)
        return a_group < b_group ? -1 : 1;
    if (a->info.kind != b->info.kind)
        return a->info.kind == GWS_KIND_ENDPOINT ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

const char *names_kind(enum gws_kind kind)
{
    return kind == GWS_KIND_PAIR ? "model" : kind == GWS_KIND_ACCOUNT ? "account" : "endpoint";
}

void names_load(struct names *names, const struct gws_region *region)
{
    *names = (struct names){show_must(calloc(region->dims.domains + 1u, sizeof(*names->rows))), 0};
    for (uint32_t row = 0; row < region->dims.domains; row++) {
        struct names_row *at = &names->rows[names->count];
        if (!gws_name_domain_read(region, row, &at->info) || !gws_name_current(region, &at->info) ||
            kind_bit(at->info.kind) == 0)
            continue;
        at->row = row;
        show_clean(at->info.name);
        show_clean(at->info.model);
        snprintf(at->label, sizeof(at->label), "%s%s%s", at->info.name, at->info.kind == GWS_KIND_PAIR ? "/" : "",
                 at->info.model);
        names->count++;
    }
    qsort(names->rows, names->count, sizeof(*names->rows), in_order);
}

void names_fini(struct names *names)
{
    free(names->rows);
    *names = (struct names){0};
}

/* Whether `name` means this row: its own name, or the name of the endpoint whose model it is. */
static bool meant(const struct names_row *row, const char *name)
{
    return !name || strcmp(row->label, name) == 0 || strcmp(row->info.name, name) == 0;
}

enum { NEAR_MAX = 3 };

/* The few names that are a slip of the fingers away from `name`, nearest first; returns how many. */
static size_t find_near(const struct names *names, const char *name, unsigned kinds, const char *near[NEAR_MAX + 1])
{
    unsigned distances[NEAR_MAX + 1];
    size_t found = 0;
    unsigned most = 2 + (unsigned)(strlen(name) / 6);
    for (size_t i = 0; i < names->count; i++) {
        const struct names_row *row = &names->rows[i];
        unsigned distance = str_distance(str_of(name), str_of(row->label));
        if (distance > most || !(kind_bit(row->info.kind) & kinds))
            continue;
        /* Insert into the sorted few; the one pushed into the spare place at the end is forgotten. */
        size_t at = found;
        for (; at > 0 && distances[at - 1] > distance; at--) {
            distances[at] = distances[at - 1];
            near[at] = near[at - 1];
        }
        distances[at] = distance;
        near[at] = row->label;
        found += found < NEAR_MAX;
    }
    return found;
}

static void tell_near(const struct names *names, const char *name, unsigned kinds, char *why, size_t size)
{
    const char *near[NEAR_MAX + 1];
    size_t found = find_near(names, name, kinds, near);
    const char *lead = "did you mean", *tail = "?";
    if (found == 0) {
        lead = "there is";
        tail = " (see gatewayctl status)";
        for (size_t i = 0; i < names->count && found < NEAR_MAX; i++)
            if (kind_bit(names->rows[i].info.kind) & kinds & (NAMES_ENDPOINTS | NAMES_ACCOUNTS))
                near[found++] = names->rows[i].label;
    }
    char list[NEAR_MAX * (2 * GWS_NAME_MAX + 8)] = "";
    size_t length = 0;
    for (size_t i = 0; i < found; i++)
        length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%s", i ? ", " : "", near[i]);
    if (found > 0)
        snprintf(why, size, "there is no %s; %s %s%s", name, lead, list, tail);
    else
        snprintf(why, size, "there is no %s: the region holds no names yet; start gatewayd", name);
}

int names_select(struct names *names, const char *name, unsigned kinds, char *why, size_t size)
{
    size_t kept = 0;
    for (size_t i = 0; i < names->count; i++)
        kept += (kind_bit(names->rows[i].info.kind) & kinds) && meant(&names->rows[i], name);
    if (kept == 0 && name) {
        tell_near(names, name, kinds, why, size);
        return 1;
    }
    kept = 0;
    for (size_t i = 0; i < names->count; i++)
        if ((kind_bit(names->rows[i].info.kind) & kinds) && meant(&names->rows[i], name))
            names->rows[kept++] = names->rows[i];
    names->count = kept;
    return 0;
}
