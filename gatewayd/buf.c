/*
 * A growable byte buffer and a bump arena. The buffer doubles, and moves what is left to the front before it grows, so
 * that a connection which is read and consumed in turns settles at one size. The arena hands out zeroed memory from
 * blocks and releases it all at once; it keeps its first block, so that a connection's later requests allocate nothing.
 */

#include "gatewayd/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_SMALLEST = 256 };

void buf_fini(struct buf *b)
{
    if (b == NULL)
        return;
    free(b->data);
    *b = (struct buf){0};
}

int buf_room(struct buf *b, size_t more)
{
    size_t len = buf_len(b), size;
    char *data;

    if (more <= b->size - b->end)
        return 0;
    if (more > SIZE_MAX / 4 - len)
        return -ENOMEM;
    if (b->start > 0 && len + more <= b->size) {
        memmove(b->data, b->data + b->start, len);
        b->start = 0;
        b->end = len;
        return 0;
    }
    size = b->size > BUF_SMALLEST ? b->size : BUF_SMALLEST;
    while (size < len + more)
        size *= 2;
    /* Not realloc(): it would copy the consumed front as well. */
    data = malloc(size);
    if (data == NULL)
        return -ENOMEM;
    if (len > 0)
        memcpy(data, b->data + b->start, len);
    free(b->data);
    *b = (struct buf){.data = data, .start = 0, .end = len, .size = size};
    return 0;
}

int buf_add(struct buf *b, const void *bytes, size_t len)
{
    int r;

    if (len == 0)
        return 0;
    r = buf_room(b, len);
    if (r < 0)
        return r;
    memcpy(b->data + b->end, bytes, len);
    b->end += len;
    return 0;
}

int buf_add_str(struct buf *b, struct str s)
{
    return buf_add(b, s.at, s.len);
}

int buf_addf(struct buf *b, const char *format, ...)
{
    va_list args;
    int r;

    va_start(args, format);
    r = buf_vaddf(b, format, args);
    va_end(args);
    return r;
}

int buf_vaddf(struct buf *b, const char *format, va_list args)
{
    size_t room = b->size - b->end, need;
    va_list again;
    int n, r;

    /* Most texts fit into what is there; the others are formatted once to learn their length and once for good. */
    va_copy(again, args);
    n = vsnprintf(room > 0 ? b->data + b->end : NULL, room, format, again);
    va_end(again);
    if (n < 0)
        return -ENOMEM;
    need = (size_t)n;
    if (need >= room) {
        r = buf_room(b, need + 1);
        if (r < 0)
            return r;
        vsnprintf(b->data + b->end, need + 1, format, args);
    }
    b->end += need;
    return 0;
}

int buf_add_json(struct buf *b, struct str s)
{
    size_t before = buf_len(b);

    while (s.len > 0) {
        size_t more = s.len < SIZE_MAX / 8 ? s.len + STR_JSON_GROWTH : s.len;
        int r = buf_room(b, more);
        if (r < 0) {
            b->end = b->start + before;
            return r;
        }
        b->end += str_escape_json(&s, b->data + b->end, b->size - b->end);
    }
    return 0;
}

void buf_consume(struct buf *b, size_t len)
{
    assert(len <= buf_len(b));
    b->start += len;
    if (b->start == b->end)
        buf_clear(b);
}

void buf_clear(struct buf *b)
{
    b->start = b->end = 0;
}

void buf_shrink(struct buf *b, size_t keep)
{
    char *data;

    if (buf_len(b) > 0 || b->size <= keep)
        return;
    if (keep == 0) {
        buf_fini(b);
        return;
    }
    buf_clear(b);
    data = realloc(b->data, keep);
    if (data == NULL)
        return; /* too large is no error */
    b->data = data;
    b->size = keep;
}

enum { ARENA_BLOCK = 8192, ARENA_ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data */
    size_t used;
    _Alignas(ARENA_ALIGN) unsigned char data[];
};

static struct arena_block *block_new(size_t size)
{
    struct arena_block *block = malloc(sizeof(*block) + size);

    if (block == NULL)
        return NULL;
    block->next = NULL;
    block->size = size;
    block->used = 0;
    return block;
}

void *arena_alloc(struct arena *a, size_t size)
{
    struct arena_block *block = a->last;
    void *at;

    if (size > SIZE_MAX / 4)
        return NULL;
    size = size == 0 ? ARENA_ALIGN : (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (block == NULL || size > block->size - block->used) {
        block = block_new(size > ARENA_BLOCK ? size : ARENA_BLOCK);
        if (block == NULL)
            return NULL;
        if (a->last != NULL)
            a->last->next = block;
        else
            a->first = block;
        a->last = block;
    }
    at = block->data + block->used;
    block->used += size;
    return memset(at, 0, size);
}

struct str arena_copy(struct arena *a, struct str s)
{
    char *at = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : NULL;

    if (at == NULL)
        return (struct str){NULL, 0};
    if (s.len > 0)
        memcpy(at, s.at, s.len);
    return (struct str){at, s.len};
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    char *at;
    int n;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    at = n >= 0 ? arena_alloc(a, (size_t)n + 1) : NULL;
    if (at == NULL)
        return NULL;
    va_start(args, format);
    vsnprintf(at, (size_t)n + 1, format, args);
    va_end(args);
    return at;
}

static void blocks_free(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void arena_reset(struct arena *a)
{
    /* A first block made for one large thing would stay as long as its owner; only an ordinary one is worth keeping. */
    if (a->first == NULL || a->first->size > ARENA_BLOCK) {
        arena_fini(a);
        return;
    }
    blocks_free(a->first->next);
    a->first->next = NULL;
    a->first->used = 0;
    a->last = a->first;
}

void arena_fini(struct arena *a)
{
    if (a == NULL)
        return;
    blocks_free(a->first);
    *a = (struct arena){NULL, NULL};
}
