#ifndef GATEWAYD_HEAP_H
#define GATEWAYD_HEAP_H

/*
 * Memory for a library that allocates and frees the same few sizes for every request: what the loop's thread gives back
 * is kept by size and handed out again. Other threads (a resolver's) may use it too and get ordinary memory. The four
 * functions behave as their namesakes in the C library.
 */

#include <stddef.h>

void *heap_malloc(size_t size);
void *heap_calloc(size_t count, size_t size);
void *heap_realloc(void *at, size_t size);
void heap_free(void *at);
char *heap_strdup(const char *text);

/* The calling thread is the loop's from now on; after a fork, say so again. */
void heap_own(void);
/* Give back to the system what is kept. */
void heap_trim(void);

#endif
