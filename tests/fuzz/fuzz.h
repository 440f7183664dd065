#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

/*
 * What a harness and a driver owe each other. libFuzzer is one driver; driver.c is the other, for compilers without
 * it: it starts from the harness's seeds, whole good inputs, and breaks them in a few places, often by a word of the
 * grammar.
 */

#include <stddef.h>
#include <stdint.h>

/* Try one input. Returns 0; aborts when a promise is broken. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_word {
    const char *text;
    size_t len;
};
extern const struct fuzz_word fuzz_seeds[], fuzz_words[];
extern const size_t fuzz_seed_count, fuzz_word_count;

#define WORD(literal) {(literal), sizeof(literal) - 1}

#endif
