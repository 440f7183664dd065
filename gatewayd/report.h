#ifndef GATEWAYD_REPORT_H
#define GATEWAYD_REPORT_H

/* What became of the last reload or upgrade, for whoever asked for it: a text beside the region ("STATE.report"),
 * replaced whole. */

#include "gatewayd/conf.h"

/* The problems of `file`, or an empty text when there are none (NULL). Failure to write is logged, no more. */
void report_write(const char *state, const char *file, const struct conf_problems *problems);
/* The same with lines as they are. */
void report_lines(const char *state, const char *lines);

#endif
