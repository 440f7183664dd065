#ifndef GATEWAYD_ADMIN_PAGE_H
#define GATEWAYD_ADMIN_PAGE_H

/* The dashboard's files, made into data by the build (embed.py). They hold nothing secret. */

#include "gatewayd/str.h"

struct admin_page {
    const char *path; /* "/" is dashboard.html */
    const char *type;
    struct str text;
};

extern const struct admin_page admin_pages[];
extern const size_t admin_page_count;

#endif
