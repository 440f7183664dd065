#ifndef BENCH_CROWD_OPTIONS_H
#define BENCH_CROWD_OPTIONS_H

/* What bench-crowd was told to do. */

#include <stdbool.h>
#include <stdint.h>

enum { CROWD_MODELS_MAX = 8, CROWD_WORDS_MAX = 99, CROWD_WORD_LEN = 7 };

struct crowd_options {
    bool closed;
    const char *path, *out, *id;
    uint64_t seed, requests;
    double rate, seconds;
    unsigned conns, streamed, tokens;
    unsigned timeout_low, timeout_high; /* of X-Gateway-Timeout, in ms; 0: none */
    unsigned patience;                  /* after the deadline, in ms */
    const char *models[CROWD_MODELS_MAX];
    unsigned model_count;
    char text[CROWD_WORDS_MAX * CROWD_WORD_LEN + 1]; /* what every answer should say */
};

/* Ends the process with status 2 and the usage when it makes no sense. */
void crowd_options_read(struct crowd_options *options, int argc, char **argv);

#endif
