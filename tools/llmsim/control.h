#ifndef LLMSIM_CONTROL_H
#define LLMSIM_CONTROL_H

/* GET and POST /sim: what the simulator saw, and changing how it behaves. */

#include "tools/llmsim/sim.h"

/* How it is set and what it saw, as one JSON object; the log of requests only when wanted. */
void control_print(struct sim *sim, bool log, struct buf *out);

/* Carry out a control document: all of it, or nothing when any part is wrong (false, with a message in `why`). */
bool control_change(struct sim *sim, struct str document, char *why, size_t why_size);

#endif
