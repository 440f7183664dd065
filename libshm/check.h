#ifndef LIBSHM_CHECK_H
#define LIBSHM_CHECK_H

/*
 * Looking a region over: the byte map, and everything in it that no process of ours would have left there. For tools
 * and tests; it changes nothing, and may run while others work. What is only true between two of their instructions
 * is not reported: a fault is looked at twice.
 */

#include "libshm/region.h"

enum gws_check_kind {
    GWS_CHECK_SECTION, /* where a section stands and how large it is, whether it is used or not */
    GWS_CHECK_FAULT    /* what is wrong, in one line */
};

struct gws_check_note {
    enum gws_check_kind kind;
    const char *section;
    uint64_t offset; /* in the file */
    uint64_t bytes;
    const char *text; /* valid during the call; of a section: how many entries of which size */
};

/* Returns the number of faults. `now` is on the region's clock, in ms. */
size_t gws_region_check(const struct gws_region *region, uint64_t now,
                        void (*note)(void *context, const struct gws_check_note *note), void *context);

#endif
