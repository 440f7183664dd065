#ifndef GATEWAYCTL_TOP_DRAW_H
#define GATEWAYCTL_TOP_DRAW_H

/* The pages of `top`, drawn from the model onto a screen in memory. Every size of screen gets what fits on it. */

#include "tools/gatewayctl/screen.h"
#include "tools/gatewayctl/top_view.h"

/* Draw all of it; puts right what the view holds about places on the screen. */
void top_draw(struct screen *screen, const struct top_model *model, struct top_view *view);

/* The pages between the first line and the last one, from row `from` down to `end`. */
void top_draw_list(struct screen *screen, int from, int end, const struct top_model *model, struct top_view *view);
void top_draw_details(struct screen *screen, int from, int end, const struct top_model *model, struct top_view *view);
void top_draw_log(struct screen *screen, int from, int end, const struct top_model *model, struct top_view *view);
void top_draw_help(struct screen *screen, int from, int end);

#endif
