#ifndef LIBSHM_BOOT_H
#define LIBSHM_BOOT_H

/* Which boot this is, and on whose clock: a reading of the boot clock means something only beside these. All zero where
 * the system does not say. */

#include <stdint.h>

struct gws_boot {
    uint64_t id[2];
    uint64_t time_namespace;
};

void gws_boot_read(struct gws_boot *boot);

#endif
