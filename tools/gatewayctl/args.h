#ifndef GATEWAYCTL_ARGS_H
#define GATEWAYCTL_ARGS_H

/*
 * Options anywhere among the words of a command line. getopt_long() is not used because global options may stand before
 * or after the command and each command has its own: two passes over the same words, the first leaving alone what it
 * does not know.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct args_option {
    const char *name;   /* "--follow" */
    const char *letter; /* "-n", or NULL */
    bool *flag;         /* set when given; NULL for an option with a value */
    const char **value; /* "--for 10m", "--for=10m", "-n 5" or "-n5" */
};

/*
 * Take the options out of argv[1..*argc-1]. With `command`, an option that is not in the list is an error and a "--" is
 * removed; without, unknown options and everything from "--" on are left in place. Returns 0 or CTL_USAGE,
 * having said why.
 */
int args_take(int *argc, char **argv, const struct args_option *options, size_t count, const char *command);

/* Only a command's own words remain: at least `least` and at most `most` of them. 0 or CTL_USAGE, having said why. */
int args_operands(int argc, char **argv, int least, int most);

/* "250ms", "5s", "10m", "2h", "1d": at least 1 ms, at most a year. 0 or CTL_USAGE, having said why. */
int args_duration(const char *command, const char *option, const char *text, uint64_t *ms);

/* A whole number from `least` to `most`. */
int args_number(const char *command, const char *option, const char *text, uint64_t least, uint64_t most,
                uint64_t *number);

#endif
