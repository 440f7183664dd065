#ifndef GATEWAYD_SPLICE_SHAPE_H
#define GATEWAYD_SPLICE_SHAPE_H

/*
 * The common event differs from the one before it in its text alone, and perhaps in its number and in some noise. What
 * else it says is known without taking it apart when every byte around those is the same.
 */

#include "gatewayd/splice_text.h"

enum splice_hole_kind { SPLICE_HOLE_TEXT, SPLICE_HOLE_NUMBER, SPLICE_HOLE_NOISE };
enum { SPLICE_HOLES_MAX = 3, SPLICE_SHAPE_MAX = 4096 };

struct splice_hole {
    enum splice_hole_kind kind;
    uint32_t from;
    uint32_t len;
};

struct splice_shape {
    struct buf bytes; /* an event; empty: none is known */
    struct splice_hole holes[SPLICE_HOLES_MAX];
    unsigned hole_count;
    size_t track; /* for the owner: to which the text belongs */
};

/* Learn from an event: begin with it, then say where its holes are, in any order. Too large an event, a hole too many
 * or no memory: no shape is known. */
void splice_shape_begin(struct splice_shape *shape, struct str event, size_t track);
void splice_shape_hole(struct splice_shape *shape, enum splice_hole_kind kind, size_t from, size_t len);
void splice_shape_forget(struct splice_shape *shape);

/* Whether an event is of the shape that is known. `text` (not yet checked for bad escapes) is set then, and `number`
 * if there is one. */
bool splice_shape_fits(const struct splice_shape *shape, struct str event, struct str *text, uint64_t *number);

#endif
