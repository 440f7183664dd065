#ifndef GATEWAYD_BUF_H
#define GATEWAYD_BUF_H

/*
 * A growable byte buffer and a bump arena. Both are owned by one object and released with it. Growing may fail only
 * when memory does: the functions then return -ENOMEM and leave the buffer as it was.
 */

#include <stdarg.h>

#include "gatewayd/str.h"

struct buf {
    char *data;
    size_t start; /* first byte not yet consumed */
    size_t end;   /* one past the last byte */
    size_t size;
};

void buf_fini(struct buf *b);
static inline size_t buf_len(const struct buf *b) { return b->end - b->start; }
static inline char *buf_at(struct buf *b) { return b->data + b->start; }
static inline struct str buf_str(const struct buf *b) { return (struct str){b->data + b->start, b->end - b->start}; }

/* Make room for `more` bytes after the end (moves what is left to the front first). 0 or -ENOMEM. */
int buf_room(struct buf *b, size_t more);
int buf_add(struct buf *b, const void *bytes, size_t len);
int buf_add_str(struct buf *b, struct str s);
int buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vaddf(struct buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* Append `s` as the inside of a JSON string: quotes, backslashes, control characters and invalid UTF-8 escaped. */
int buf_add_json(struct buf *b, struct str s);

/* Drop `len` bytes from the front; an emptied buffer starts at its beginning again. */
void buf_consume(struct buf *b, size_t len);
void buf_clear(struct buf *b);
/* Give memory beyond `keep` bytes back when the buffer is empty. */
void buf_shrink(struct buf *b, size_t keep);

/* Memory that is released all at once. The first block stays for the next use after arena_reset(). */
struct arena_block;
struct arena {
    struct arena_block *first;
    struct arena_block *last;
};

void *arena_alloc(struct arena *a, size_t size); /* 16-byte aligned, zeroed; NULL when memory is out */
struct str arena_copy(struct arena *a, struct str s); /* NUL-terminated copy; .at NULL when memory is out */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_reset(struct arena *a);
void arena_fini(struct arena *a);

#endif
