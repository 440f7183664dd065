#ifndef BENCH_VERDICT_H
#define BENCH_VERDICT_H

/*
 * What a chat answer of llmsim is worth to a client that trusts nothing: its text is known to the byte, so an answer
 * is whole, or says that it is not, or lies. A pure function of the bytes that came.
 */

#include <stdbool.h>
#include <stddef.h>

enum verdict {
    VERDICT_WHOLE,     /* the exact text; a stream with its [DONE] as well */
    VERDICT_REFUSED,   /* no 2xx, and all of it */
    VERDICT_ANNOUNCED, /* part of the text, then an error event, and no [DONE] */
    VERDICT_BROKEN,    /* part of the text, then the connection ended, visibly */
    VERDICT_LOST,      /* the connection ended before any byte of an answer */
    VERDICT_HUNG,      /* given up after the deadline and the client's patience */
    VERDICT_SHORT,     /* a lie: it ends as a whole answer does and is not one */
    VERDICT_WRONG,     /* a lie: something else than the text, or bytes that are no answer */
    VERDICTS
};

extern const char *const verdict_names[VERDICTS];

struct verdict_input {
    int status;
    bool streamed; /* what was asked for */
    bool ended;    /* the answer's own end came; else the connection's */
    const char *body;
    size_t len;
    const char *text; /* what it should say */
    size_t text_len;
};

/* The first five or the two lies; hanging and getting lost is for whoever holds the clock and the socket. */
enum verdict verdict_of(const struct verdict_input *in);

#endif
