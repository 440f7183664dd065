#ifndef GATEWAYD_NAMES_H
#define GATEWAYD_NAMES_H

/*
 * The names in a region, read once and put in the order they are shown in: each endpoint with its models behind it,
 * then the accounts. A NAME on the command line is an endpoint, which also means all its models, or endpoint/model.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libshm/name.h"

struct names_row {
    uint32_t row; /* in the domain table */
    struct gws_name_info info;
    char label[2 * GWS_NAME_MAX + 2]; /* "us-east" or "us-east/gpt-4.1" */
};

struct names {
    struct names_row *rows;
    size_t count;
};

/* Read every name of the configuration in force. */
void names_load(struct names *names, const struct gws_region *region);
void names_fini(struct names *names);

/* What kinds of rows a command works on. */
enum { NAMES_ENDPOINTS = 1, NAMES_MODELS = 2, NAMES_ACCOUNTS = 4 };

/*
 * Keep only the rows of these kinds that `name` means; NULL means all. An account's own name selects it too. Returns 0,
 * or 1 when there is none, with a sentence in `why` that says which names are near.
 */
enum { NAMES_WHY_SIZE = 1024 };
int names_select(struct names *names, const char *name, unsigned kinds, char *why, size_t size);

/* "endpoint", "model" or "account". */
const char *names_kind(enum gws_kind kind);

#endif
