#ifndef GATEWAYD_SPLICE_TEXT_H
#define GATEWAYD_SPLICE_TEXT_H

/*
 * The inside of a JSON string, read unit by unit, so that the same text is the same bytes however it was escaped and
 * wherever it was cut. A unit is one UTF-16 code unit, encoded like UTF-8: a character beyond the BMP is two, each of
 * three bytes, because a stream may cut it in the middle ("\ud83d" in one event, "\ude00" in the next). Bytes that
 * begin no such character stand for themselves, one at a time.
 */

#include "gatewayd/buf.h"

enum { SPLICE_UNIT_MAX = 3 };

struct splice_text {
    const char *at;
    const char *end;
    unsigned low; /* the second half of a character whose first was read, or 0 */
};

static inline struct splice_text splice_text_of(struct str inside)
{
    return (struct splice_text){inside.at, inside.at + inside.len, 0};
}

static inline bool splice_text_ends(const struct splice_text *text)
{
    return text->at == text->end && text->low == 0;
}

/* The next unit, 1…3 bytes; 0 at the end, and before what may not stand in a string. */
size_t splice_text_next(struct splice_text *text, char out[SPLICE_UNIT_MAX]);

/* Append all of it to `into`. 0; 1 when it may not stand in a string; -ENOMEM; `into` is as it was then. */
int splice_text_add(struct splice_text text, struct buf *into);

#endif
