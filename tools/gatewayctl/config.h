#ifndef GATEWAYCTL_CONFIG_H
#define GATEWAYCTL_CONFIG_H

/* The configuration, for commands that need more than the region knows. */

#include "gatewayd/conf.h"
#include "tools/gatewayctl/command.h"

/* The file that -c names, else the daemon's default. */
const char *config_file(const struct ctl *ctl);

/* Read it. 0 with *conf, or CTL_NO having said why. */
int config_load(const struct ctl *ctl, struct conf **conf);

#endif
