#ifndef GATEWAYD_UNSERVED_H
#define GATEWAYD_UNSERVED_H

/* What the schema knows, this version does not carry out, and must not be ignored. */

#include "gatewayd/conf.h"

/* Adds a problem for each such key that the configuration uses. */
void unserved_check(const struct conf *conf, struct conf_problems *problems);

#endif
