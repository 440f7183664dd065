#ifndef GATEWAYD_STATEDIR_H
#define GATEWAYD_STATEDIR_H

/* The directory of the region: made when it is missing, and refused when somebody else could change what is in it. */

#include "gatewayd/process.h"

/*
 * Make the missing directories of `state`, the last of them owned by the workers' user. *gid becomes the operators'
 * group when one is configured. Warns when the file system writes back to a disk. 0, or 1 with the reason in `why`.
 */
int statedir_make(const struct conf *conf, const struct process_user *user, uint32_t *gid, char *why, size_t size);

#endif
