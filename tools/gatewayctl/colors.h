#ifndef GATEWAYCTL_COLORS_H
#define GATEWAYCTL_COLORS_H

/* The color a state is shown in: green is well, yellow passes by itself, red needs somebody, dim was ordered. */

#include "gatewayd/state.h"
#include "tools/gatewayctl/out.h"

enum out_color colors_of_state(enum state_kind kind);

#endif
