#ifndef LLMSIM_SHAPE_H
#define LLMSIM_SHAPE_H

/* The bodies in which providers say 429, where they differ from OpenAI's. */

#include "gatewayd/buf.h"

struct shape;

const struct shape *shape_find(struct str name); /* NULL when there is none of that name */

/* The body; `more` are further members, each with its leading comma. */
void shape_print(const struct shape *shape, struct str message, struct str more, struct buf *out);

#endif
