#include "tools/gatewayctl/colors.h"

enum out_color colors_of_state(enum state_kind kind)
{
    switch (kind) {
    case STATE_HEALTHY:
        return OUT_GREEN;
    case STATE_DEGRADED:
    case STATE_COOLING:
    case STATE_HALF_OPEN:
        return OUT_YELLOW;
    case STATE_DRAINED:
        return OUT_DIM;
    default:
        return OUT_RED;
    }
}
