#ifndef LIBSHM_CHECK_ROWS_H
#define LIBSHM_CHECK_ROWS_H

/* The two halves of the check, and how they report. For libshm alone. */

#include "libshm/check.h"
#include "libshm/word.h"

enum { CHECK_HELD_MAX = 1 << 30 };

struct check {
    const struct gws_region *region;
    uint64_t now;
    void (*note)(void *context, const struct gws_check_note *note);
    void *context;
    size_t faults;
};

__attribute__((format(printf, 5, 6))) void check_fault(struct check *c, const char *section, const void *at,
                                                       size_t bytes, const char *format, ...);

/* Room for later, and padding. */
void check_zero(struct check *c, const char *section, const void *at, size_t bytes);

void check_names(struct check *c);

/* The words of all rows but the slots'. */
void check_rows(struct check *c);

#endif
