/*
 * Runs a harness without libFuzzer: over the files named as arguments, to look at one input again, or over inputs made
 * from a fixed random seed, so that every build everywhere tries the same ones. Usage: fuzz_NAME [-runs=N] [FILE...]
 *
 * The first byte of an input is for the harness: it says, for example, into what pieces the rest is cut.
 */

#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 4096, RUNS = 200000 };

static uint64_t state = UINT64_C(0x853c49e6748fea9b);

/* splitmix64: short, and good enough to choose words. */
static uint64_t next(void)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t below(size_t bound)
{
    return (size_t)(next() % bound);
}

struct input {
    size_t len;
    uint8_t data[INPUT_MAX];
};

/* Replace `drop` bytes at `at` with `len` others. */
static void splice(struct input *in, size_t at, size_t drop, const void *bytes, size_t len)
{
    if (in->len - drop + len > INPUT_MAX)
        return;
    memmove(in->data + at + len, in->data + at + drop, in->len - at - drop);
    memcpy(in->data + at, bytes, len);
    in->len = in->len - drop + len;
}

static void damage(struct input *in)
{
    const struct fuzz_word *word = &fuzz_words[below(fuzz_word_count)];
    const struct fuzz_word *seed = &fuzz_seeds[below(fuzz_seed_count)];
    size_t at = below(in->len + 1), len = below(in->len - at + 1), from = below(seed->len);
    static uint8_t part[INPUT_MAX];

    switch (below(7)) {
    case 0: /* a byte */
        if (at < in->len)
            in->data[at] = (uint8_t)next();
        break;
    case 1: /* a word more */
    case 2:
        splice(in, at, 0, word->text, word->len);
        break;
    case 3: /* a word in place of something */
        splice(in, at, len < 8 ? len : below(8), word->text, word->len);
        break;
    case 4: /* something less */
        splice(in, at, len < 16 ? len : below(16), "", 0);
        break;
    case 5: /* something twice */
        memcpy(part, in->data + at, len);
        splice(in, below(in->len + 1), 0, part, len);
        break;
    default: /* the end of another */
        splice(in, at, in->len - at, seed->text + from, seed->len - from);
        break;
    }
}

static void make(struct input *in)
{
    const struct fuzz_word *seed = &fuzz_seeds[below(fuzz_seed_count)];

    memcpy(in->data, seed->text, seed->len);
    in->len = seed->len;
    in->data[0] = (uint8_t)next();
    for (size_t n = below(6); n > 0; n--)
        damage(in);
}

/* Each input is alone in memory of its own size, so that the sanitizer sees a byte too many being read. */
static void try_one(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    if (copy == NULL)
        abort();
    memcpy(copy, data, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static int try_file(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        perror(path);
        return 1;
    }
    try_one(data, fread(data, 1, sizeof(data), file));
    fclose(file);
    return 0;
}

int main(int argc, char **argv)
{
    static struct input in;
    unsigned long runs = RUNS;
    int files = 0, bad = 0;

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-runs=", 6) == 0) {
            runs = strtoul(argv[i] + 6, NULL, 10);
        } else {
            bad |= try_file(argv[i]);
            files++;
        }
    }
    for (unsigned long i = 0; files == 0 && i < runs; i++) {
        make(&in);
        try_one(in.data, in.len);
    }
    return bad;
}
