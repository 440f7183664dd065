#ifndef LLMSIM_RECORD_H
#define LLMSIM_RECORD_H

/* Every request in a file, for those who have to count more than the ring holds: a line of JSON as it ends. */

#include <stdint.h>
#include <stdio.h>

#include "tools/llmsim/conn.h"

/* Append to `path` from now on. 0 or -errno. */
int record_open(struct sim *sim, const char *path);

/* The request of this connection is over, at `now_us`. Does nothing without a file. */
void record_request(struct conn *c, const char *end, int64_t now_us);

void record_flush(struct sim *sim);
void record_close(struct sim *sim); /* may be called twice */

#endif
