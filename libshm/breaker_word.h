#ifndef LIBSHM_BREAKER_WORD_H
#define LIBSHM_BREAKER_WORD_H

/*
 * The breaker's word taken apart and put together, for the steps, the operations and whatever moves a word to another
 * region.
 */

#include "libshm/breaker.h"

enum {
    GEN_MASK = 0x3fff,
    AUX_MAX = 255
};

#define T_MAX ((UINT64_C(1) << 36) - 1)

/* The word taken apart. */
struct breaker_parts {
    uint32_t mode;
    uint32_t gen;
    uint32_t level;
    uint32_t aux;
    uint64_t t;
};

static inline struct breaker_parts breaker_parts(uint64_t word)
{
    struct breaker_parts p = {
        .mode = (uint32_t)(word >> 62),
        .gen = (uint32_t)(word >> 48) & GEN_MASK,
        .level = (uint32_t)(word >> 44) & 0xf,
        .aux = (uint32_t)(word >> 36) & 0xff,
        .t = word & T_MAX,
    };
    return p;
}

/* Time that does not fit stays at the end of the scale, where `now >= t` is soon true: late is never wedged. */
static inline uint64_t breaker_join(uint32_t mode, uint32_t gen, uint32_t level, uint32_t aux, uint64_t t)
{
    return (uint64_t)mode << 62 | (uint64_t)(gen & GEN_MASK) << 48 | (uint64_t)(level & 0xf) << 44 |
           (uint64_t)(aux & 0xff) << 36 | (t < T_MAX ? t : T_MAX);
}

#endif
