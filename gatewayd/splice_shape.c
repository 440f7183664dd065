/* Comparing with the shape of the last event, hole by hole. Control characters end a hole, so it never holds a line. */

#include "gatewayd/splice_shape.h"

void splice_shape_forget(struct splice_shape *shape)
{
    buf_clear(&shape->bytes);
    shape->hole_count = 0;
}

void splice_shape_begin(struct splice_shape *shape, struct str event, size_t track)
{
    splice_shape_forget(shape);
    shape->track = track;
    if (event.len > SPLICE_SHAPE_MAX || buf_add_str(&shape->bytes, event) < 0)
        splice_shape_forget(shape);
}

void splice_shape_hole(struct splice_shape *shape, enum splice_hole_kind kind, size_t from, size_t len)
{
    struct splice_hole hole = {kind, (uint32_t)from, (uint32_t)len};
    unsigned i = shape->hole_count;

    if (buf_len(&shape->bytes) == 0)
        return;
    if (i == SPLICE_HOLES_MAX) {
        splice_shape_forget(shape);
        return;
    }
    for (; i > 0 && shape->holes[i - 1].from > hole.from; i--)
        shape->holes[i] = shape->holes[i - 1];
    shape->holes[i] = hole;
    shape->hole_count++;
}

/* Past the inside of a string at `p`, or NULL. */
static const char *pass_string(const char *p, const char *end, bool escapes)
{
    for (; p < end && (unsigned char)*p >= 0x20; p++) {
        if (*p == '"')
            return p;
        if (*p == '\\' && (!escapes || ++p == end))
            return NULL;
    }
    return NULL;
}

static const char *pass_number(const char *p, const char *end, uint64_t *number)
{
    const char *start = p;

    while (p < end && *p >= '0' && *p <= '9')
        p++;
    if ((p - start > 1 && *start == '0') || !str_to_u64((struct str){start, (size_t)(p - start)}, number))
        return NULL;
    return p;
}

bool splice_shape_fits(const struct splice_shape *shape, struct str event, struct str *text, uint64_t *number)
{
    const char *p = event.at, *end = event.at + event.len, *known = shape->bytes.data;
    size_t done = 0, size = buf_len(&shape->bytes);

    if (size == 0)
        return false;
    for (unsigned i = 0; i < shape->hole_count; i++) {
        const struct splice_hole *hole = &shape->holes[i];
        size_t len = hole->from - done;
        if ((size_t)(end - p) < len || memcmp(p, known + done, len) != 0)
            return false;
        p += len;
        const char *start = p;
        p = hole->kind == SPLICE_HOLE_NUMBER ? pass_number(p, end, number)
                                             : pass_string(p, end, hole->kind == SPLICE_HOLE_TEXT);
        if (p == NULL)
            return false;
        if (hole->kind == SPLICE_HOLE_TEXT)
            *text = (struct str){start, (size_t)(p - start)};
        done = hole->from + hole->len;
    }
    return (size_t)(end - p) == size - done && memcmp(p, known + done, size - done) == 0;
}
