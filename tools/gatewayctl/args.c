/*
 * Two words are special: "-" alone is an operand (stdin), and after "--" everything is one. Messages come from here, so
 * that every command words the same mistake alike.
 */

#include "tools/gatewayctl/args.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gatewayd/str.h"
#include "gatewayd/times.h"
#include "tools/gatewayctl/command.h"
#include "tools/gatewayctl/out.h"

/* Whether `word` is this option; *inlined is the value that came in the same word, or NULL. */
static bool matches(const struct args_option *option, const char *word, const char **inlined)
{
    size_t length = strlen(option->name);
    *inlined = NULL;
    if (strcmp(word, option->name) == 0 || (option->letter && strcmp(word, option->letter) == 0))
        return true;
    if (strncmp(word, option->name, length) == 0 && word[length] == '=') {
        *inlined = word + length + 1;
        return true;
    }
    if (option->letter && option->value && strncmp(word, option->letter, 2) == 0) {
        *inlined = word + 2;
        return true;
    }
    return false;
}

/* Store one option; returns how many words it used, or -1 having said why not. */
static int store(const struct args_option *option, const char *inlined, const char *next, const char *command)
{
    if (option->flag) {
        if (inlined) {
            out_usage(command, "%s takes no value", option->name);
            return -1;
        }
        *option->flag = true;
        return 1;
    }
    const char *value = inlined ? inlined : next;
    if (!value || value[0] == '\0') {
        out_usage(command, "%s needs a value", option->name);
        return -1;
    }
    *option->value = value;
    return inlined ? 1 : 2;
}

int args_take(int *argc, char **argv, const struct args_option *options, size_t count, const char *command)
{
    int kept = 1;
    int at = 1;
    while (at < *argc) {
        char *word = argv[at];
        if (strcmp(word, "--") == 0) {
            at += command ? 1 : 0;
            break;
        }
        size_t i = count;
        const char *inlined = NULL;
        /* A lone "-" is an operand: stdin. */
        if (word[0] == '-' && word[1] != '\0')
            for (i = 0; i < count && !matches(&options[i], word, &inlined); i++)
                ;
        if (i < count) {
            int used = store(&options[i], inlined, at + 1 < *argc ? argv[at + 1] : NULL, command);
            if (used < 0)
                return CTL_USAGE;
            at += used;
        } else if (command && word[0] == '-' && word[1] != '\0') {
            return out_usage(command, "there is no option %s", word);
        } else {
            argv[kept++] = argv[at++];
        }
    }
    while (at < *argc)
        argv[kept++] = argv[at++];
    argv[kept] = NULL;
    *argc = kept;
    return 0;
}

int args_operands(int argc, char **argv, int least, int most)
{
    if (argc - 1 < least)
        return out_usage(argv[0], "something is missing");
    if (argc - 1 > most)
        return out_usage(argv[0], "\"%s\" is one word too many", argv[1 + most]);
    return 0;
}

int args_duration(const char *command, const char *option, const char *text, uint64_t *ms)
{
    if (times_parse(str_of(text), ms))
        return 0;
    return out_usage(command, "%s takes a time from 1ms to 365d, like 250ms, 5s, 10m or 2h, not \"%s\"", option, text);
}

int args_number(const char *command, const char *option, const char *text, uint64_t least, uint64_t most,
                uint64_t *number)
{
    uint64_t value;
    if (!str_to_u64(str_of(text), &value) || value < least || value > most)
        return out_usage(command, "%s takes a number from %" PRIu64 " to %" PRIu64 ", not \"%s\"", option, least, most,
                         text);
    *number = value;
    return 0;
}
