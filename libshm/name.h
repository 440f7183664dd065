#ifndef LIBSHM_NAME_H
#define LIBSHM_NAME_H

/*
 * Names: from the identity of a failure domain or limiter to its row, and back. A row keeps its meaning for as long as
 * any process of a configuration that used it lives, so state survives a reload and a restart: the same name and url is
 * the same endpoint. Rows are handed out by the master alone; everyone else only reads. A row's identity is published
 * last, so a reader sees a whole name or none.
 */

#include "libshm/region.h"

enum gws_kind {
    GWS_KIND_NONE,
    GWS_KIND_ENDPOINT, /* name + url */
    GWS_KIND_PAIR,     /* (endpoint, model); model "*" is every model the configuration does not name */
    GWS_KIND_ACCOUNT,  /* endpoints that share a quota */
    GWS_KIND_LIMIT,    /* a row of the limiter table */
    GWS_KIND_QUOTA,    /* a row of the quota table: a count or an amount a day */
    GWS_KIND_MODEL     /* a row of the model table: what is learned of a model's tokens */
};

enum { GWS_NAME_MAX = 127 };

struct gws_name_info {
    enum gws_kind kind;
    char name[GWS_NAME_MAX + 1];  /* endpoint, account or limiter; of a pair: its endpoint's */
    char model[GWS_NAME_MAX + 1]; /* of a pair, else empty */
    uint32_t parent;              /* of a pair: its endpoint's domain row; of an endpoint: its account's */
    uint32_t endpoint;            /* of an endpoint: its row in the bulkhead and counter tables; else UINT32_MAX */
    uint32_t max_concurrent;     /* of an endpoint: its max_concurrent, shown by tools */
    uint64_t config;              /* the last configuration generation that names it */
};

/*
 * Master: find or make the domain row for an identity, marked as used by configuration `config`. `key` is what else
 * belongs to the identity (the url of an endpoint; empty otherwise). Returns the row, or -ENOSPC when the table is full
 * of rows that a live configuration uses; -ENAMETOOLONG, -EINVAL (no such endpoint). In a region opened to look nothing
 * is made or marked: -ENOENT when there is no such row.
 *
 * A row that is found keeps all its state. A free row is used before a retired one is taken over, and of those the one
 * out of use the longest; it is only taken over when its configuration is older than every live one, than the one in
 * force and than `config`, and then every word of it starts afresh. A new configuration is therefore best named before
 * gws_region_generation_next() makes it the one in force: rows that it is about to find again are safe until then.
 */
int gws_name_endpoint(struct gws_region *region, const char *name, const char *url, uint32_t limit, uint64_t config);
int gws_name_pair(struct gws_region *region, uint32_t endpoint_row, const char *model, uint64_t config);
int gws_name_account(struct gws_region *region, const char *name, uint64_t config);

/* Master: say which account an endpoint belongs to, so that tools can tell why it rests. 0, or -EINVAL. */
int gws_name_set_account(struct gws_region *region, uint32_t endpoint_row, uint32_t account_row);

/* Master: the same for the limiter table ("endpoint/us-east/rpm", "ip/…" and the like). */
int gws_name_limit(struct gws_region *region, const char *name, uint64_t config);

/* Master: the same for the quota table ("client/trading/usd", "endpoint/us-east/rpd") and the model table. */
int gws_name_quota(struct gws_region *region, const char *name, uint64_t config);
int gws_name_model(struct gws_region *region, const char *name, uint64_t config);

/* Read one domain row's or limiter row's name. False when the row is not in use. */
bool gws_name_domain_read(const struct gws_region *region, uint32_t row, struct gws_name_info *info);
bool gws_name_limit_read(const struct gws_region *region, uint32_t row, struct gws_name_info *info);
bool gws_name_quota_read(const struct gws_region *region, uint32_t row, struct gws_name_info *info);
bool gws_name_model_read(const struct gws_region *region, uint32_t row, struct gws_name_info *info);

/* Whether the row belongs to the configuration in force (or to the last one, with the daemon stopped), or to one that
 * is being prepared. */
bool gws_name_current(const struct gws_region *region, const struct gws_name_info *info);

#endif
