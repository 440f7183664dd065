#ifndef GATEWAYCTL_REGION_H
#define GATEWAYCTL_REGION_H

/*
 * Finding and opening the region: read-only to look, read-write (with a guest slot, so that the change stands in the
 * event log) only to change.
 */

#include "gatewayd/names.h"
#include "libshm/region.h"
#include "tools/gatewayctl/command.h"

enum { REGION_PATH_SIZE = 4096 };

/* --state, $GATEWAYD_STATE, the configuration's `state`, the default. 0 or an exit status, having said why. */
int region_path(const struct ctl *ctl, char path[REGION_PATH_SIZE]);

/* Open the region there. 0, or CTL_NO_REGION having said why. */
int region_open(const char *path, enum gws_access access, struct gws_region *region);

/* The same without a word, for those who ask again and again. */
int region_open_quietly(const char *path, enum gws_access access, struct gws_region *region, struct gws_fault *fault);

/* Open the region there and take a guest slot when it is to be changed. 0, or CTL_NO_REGION with the reason in the
 * fault. Closed with region_leave(). */
int region_enter_at(const char *path, enum gws_access access, struct gws_region *region, struct gws_fault *fault);

/* Whether another file than `region` stands at the path by now, as a daemon may put there; opened to look as `next`. */
bool region_follow(const char *path, const struct gws_region *region, struct gws_region *next);

/* Find it first, and say what is wrong. */
int region_enter(const struct ctl *ctl, enum gws_access access, struct gws_region *region);
void region_leave(struct gws_region *region);

/* names_select() that says on stderr what it did not find: 0 or CTL_NO_NAME. */
int region_select(struct names *names, const char *name, unsigned kinds);

/* The pid of the master that owns the region there. 0; CTL_NO when none runs or CTL_NO_REGION when that can not be
 * seen, having said so. */
int region_master(const char *path, int32_t *pid);

#endif
