#ifndef GATEWAYCTL_PROCESS_H
#define GATEWAYCTL_PROCESS_H

/* What reload, upgrade and stop have in common: a signal to the master, and the wait for what comes of it. */

#include <jansson.h>
#include <stdint.h>

#include "tools/gatewayctl/command.h"

/* The clock of these waits, and a twentieth of a second's rest between two looks. */
uint64_t process_now_ms(void);
void process_rest(void);

/* Only --timeout is taken. 0 or CTL_USAGE. */
int process_words(int argc, char **argv, uint64_t *timeout_ms);

/* 0, or an exit status having said why. */
int process_signal(int32_t pid, int number);

/* The lines that the master leaves beside the region before it records that something was refused; and the same
 * printed. The caller owns the array. */
json_t *process_report(const char *path);
void process_print_report(const json_t *lines);

/* Nobody has said how it went: `line` says why; with --json what was asked is null. Returns the exit status. */
int process_unheard(const struct ctl *ctl, const char *asked, const char *line);

#endif
