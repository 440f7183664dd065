#ifndef LIBSHM_LOCK_H
#define LIBSHM_LOCK_H

/*
 * One-byte write locks on an open file. Held by the open file description, not by the process: whoever opens the file
 * anew is another holder, whoever inherits or duplicates the descriptor is the same one, and the kernel drops the lock
 * when the last copy is closed. That is how the living are told from the dead.
 *
 * Where there are no such locks the classic ones are used. Those belong to the process and are dropped when it closes
 * any descriptor of the file, so a program may then have the region open only once.
 */

#include <stdint.h>

/* 0 when taken, 1 when another holds it, or -errno. */
int gws_lock_try(int fd, uint64_t offset);

/* Harmless when it is not held. */
void gws_lock_drop(int fd, uint64_t offset);

/* 1 when another holds it, 0 when nobody else does, or -errno. Takes nothing; a read-only descriptor will do. */
int gws_lock_test(int fd, uint64_t offset);

#endif
