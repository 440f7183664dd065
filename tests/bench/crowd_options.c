/* The command line of bench-crowd. It is written by other programs of this directory, so a mistake is just refused. */

#include "tests/bench/crowd_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void usage(void)
{
    fprintf(stderr, "usage: bench-crowd open|closed --unix PATH --out FILE [--id PREFIX] [--seed N] [--requests N]\n"
                    "    [--seconds S] [--rate PER-SECOND] [--connections N] [--streamed PERCENT] [--tokens N]\n"
                    "    [--timeout-low MS] [--timeout-high MS] [--patience MS] [--model NAME]...\n");
    exit(2);
}

static bool take_text(struct crowd_options *options, const char *name, const char *value)
{
    if (strcmp(name, "--unix") == 0)
        options->path = value;
    else if (strcmp(name, "--out") == 0)
        options->out = value;
    else if (strcmp(name, "--id") == 0)
        options->id = value;
    else if (strcmp(name, "--model") == 0 && options->model_count < CROWD_MODELS_MAX)
        options->models[options->model_count++] = value;
    else
        return false;
    return true;
}

static bool take_number(struct crowd_options *options, const char *name, double value)
{
    const struct {
        const char *name;
        unsigned *at;
    } numbers[] = {{"--connections", &options->conns},         {"--streamed", &options->streamed},
                   {"--tokens", &options->tokens},             {"--timeout-low", &options->timeout_low},
                   {"--timeout-high", &options->timeout_high}, {"--patience", &options->patience}};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            *numbers[i].at = (unsigned)value;
            return true;
        }
    }
    if (strcmp(name, "--seed") == 0)
        options->seed = (uint64_t)value;
    else if (strcmp(name, "--requests") == 0)
        options->requests = (uint64_t)value;
    else if (strcmp(name, "--seconds") == 0)
        options->seconds = value;
    else if (strcmp(name, "--rate") == 0)
        options->rate = value;
    else
        return false;
    return true;
}

void crowd_options_read(struct crowd_options *options, int argc, char **argv)
{
    *options = (struct crowd_options){.id = "r", .seed = 1, .requests = UINT64_MAX, .rate = 50, .seconds = 10,
                                      .conns = 64, .streamed = 50, .tokens = 8, .patience = 30000};
    options->closed = argc > 1 && strcmp(argv[1], "closed") == 0;
    if (argc < 2 || argc % 2 != 0 || (!options->closed && strcmp(argv[1], "open") != 0))
        usage();
    for (int i = 2; i < argc; i += 2)
        if (!take_text(options, argv[i], argv[i + 1]) &&
            !take_number(options, argv[i], strtod(argv[i + 1], NULL)))
            usage();
    if (!options->path || !options->out || options->tokens > CROWD_WORDS_MAX || options->rate <= 0 ||
        options->timeout_high < options->timeout_low)
        usage();
    if (options->model_count == 0)
        options->models[options->model_count++] = "rehearsal";
    for (unsigned i = 0; i < options->tokens; i++) {
        char word[20];
        snprintf(word, sizeof word, "word%02u ", i + 1);
        memcpy(options->text + (size_t)i * CROWD_WORD_LEN, word, CROWD_WORD_LEN);
    }
}
