#include "gatewayd/heap.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * The C library's own cache holds seven blocks of a size and none above a kilobyte; with hundreds of transfers at a
 * time the rest goes through its slow path, again for every request. Every block here is an ordinary one with a header
 * that says its size class, so a block may be freed by any thread: only the owner's go to the lists, which nobody else
 * touches.
 */

enum {
    CLASSES = 12,      /* 32 bytes, doubling, to 64 KiB */
    LEAST = 32,
    KEPT_MAX = 4096,   /* blocks of a class */
    KEPT_BYTES = 8 * 1024 * 1024,
    UNCLASSED = 255
};

struct block {
    union {
        uint32_t class;
        max_align_t align;
    };
    struct block *next; /* while it is kept; else the first bytes of the memory handed out */
};

enum { HEADER = offsetof(struct block, next) };

static struct {
    struct block *first;
    unsigned count;
} kept[CLASSES];

static size_t kept_bytes;
static _Thread_local bool owner;

void heap_own(void)
{
    owner = true;
}

static size_t class_bytes(unsigned class)
{
    return (size_t)LEAST << class;
}

static unsigned class_of(size_t size)
{
    unsigned class = 0;
    while (class < CLASSES && class_bytes(class) < size)
        class++;
    return class < CLASSES ? class : UNCLASSED;
}

void *heap_malloc(size_t size)
{
    unsigned class = class_of(size);
    struct block *block;
    if (owner && class != UNCLASSED && kept[class].first) {
        block = kept[class].first;
        kept[class].first = block->next;
        kept[class].count--;
        kept_bytes -= class_bytes(class);
        return &block->next;
    }
    size_t bytes = class != UNCLASSED ? class_bytes(class) : size;
    if (bytes > SIZE_MAX - HEADER)
        return NULL;
    block = malloc(HEADER + bytes);
    if (!block)
        return NULL;
    block->class = class;
    return &block->next;
}

static struct block *block_of(void *at)
{
    return (struct block *)(void *)((char *)at - HEADER);
}

void heap_free(void *at)
{
    if (!at)
        return;
    struct block *block = block_of(at);
    unsigned class = block->class;
    if (!owner || class == UNCLASSED || kept[class].count >= KEPT_MAX || kept_bytes >= KEPT_BYTES) {
        free(block);
        return;
    }
    block->next = kept[class].first;
    kept[class].first = block;
    kept[class].count++;
    kept_bytes += class_bytes(class);
}

void *heap_calloc(size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    void *at = heap_malloc(count * size);
    return at ? memset(at, 0, count * size) : NULL;
}

void *heap_realloc(void *at, size_t size)
{
    if (!at)
        return heap_malloc(size);
    struct block *block = block_of(at);
    if (block->class == UNCLASSED) {
        /* Stays unclassed, so that its size need not be known. */
        struct block *moved = size <= SIZE_MAX - HEADER ? realloc(block, HEADER + size) : NULL;
        return moved ? &moved->next : NULL;
    }
    if (size <= class_bytes(block->class))
        return at;
    void *larger = heap_malloc(size);
    if (!larger)
        return NULL;
    memcpy(larger, at, class_bytes(block->class));
    heap_free(at);
    return larger;
}

char *heap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = heap_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void heap_trim(void)
{
    for (unsigned class = 0; class < CLASSES; class++) {
        while (kept[class].first) {
            struct block *block = kept[class].first;
            kept[class].first = block->next;
            free(block);
        }
        kept[class].count = 0;
    }
    kept_bytes = 0;
}
