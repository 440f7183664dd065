#ifndef GATEWAYCTL_COMPLETE_H
#define GATEWAYCTL_COMPLETE_H

/*
 * What could come next on a command line, for the completions of the shells: `gatewayctl __complete WORD...` with the
 * words after the program's name, the last one unfinished and perhaps empty. Each line is a word, with a tab and what
 * it means where there is something to say; the line ":files" stands for the names of files.
 */

#include "tools/gatewayctl/command.h"

int complete(int argc, char **argv);

/* Print what a placeholder of a synopsis ("NAME", "MODEL", "FILE") stands for and begins with `begun`; nothing when
 * that is not known. */
void complete_value(const struct ctl *ctl, const char *command, const char *placeholder, const char *begun);

/* Print one word if it begins with `begun`. `meaning` may be NULL. */
void complete_offer(const char *word, const char *begun, const char *meaning);

#endif
