#ifndef BENCH_ANSWER_H
#define BENCH_ANSWER_H

/*
 * Reads an HTTP/1.1 answer as it arrives, with a length or in chunks. A pure function of its input: it holds the head
 * and hands out the payload where it lies.
 */

#include <stddef.h>

enum { ANSWER_HEAD_MAX = 16 * 1024 };

enum answer_reading {
    ANSWER_NONE, /* nothing begun, or all of it has been read */
    ANSWER_HEAD,
    ANSWER_BODY,
    ANSWER_CHUNK_SIZE, /* these come round again for every chunk */
    ANSWER_CHUNK,
    ANSWER_CHUNK_END,
    ANSWER_TRAILER,
};

struct answer {
    enum answer_reading reading;
    int status;
    size_t left; /* of the body or the chunk */
    size_t line; /* bytes in the trailer's line so far */
    size_t head_len;
    char head[ANSWER_HEAD_MAX];
};

struct payload {
    const char *at;
    size_t len;
};

void answer_begin(struct answer *answer);

/*
 * Read some of `len` (at least 1) bytes: returns how many, with the payload among them, or -1 when this is no answer,
 * which bytes after its end are not either.
 */
ptrdiff_t answer_read(struct answer *answer, const char *data, size_t len, struct payload *payload);

#endif
