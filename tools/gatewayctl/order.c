/*
 * drain and enable. They are orders about a whole endpoint: taking one model away is what holding its breaker open is
 * for. Saying again what already holds is not an error, so scripts may.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libshm/clock.h"
#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/command.h"
#include "gatewayd/change.h"
#include "gatewayd/names.h"
#include "tools/gatewayctl/out.h"
#include "tools/gatewayctl/region.h"

static void give_order(const struct ctl *ctl, struct gws_region *region, const struct names_row *name, bool drain)
{
    const struct change change = {.kind = drain ? CHANGE_DRAIN : CHANGE_ENABLE, .who = getuid()};
    struct change_done done;
    change_one(region, name, &change, gws_clock_ms(region), &done);
    if (ctl->json)
        out_json(json_pack("{s:[o]}", "changed", change_json(change.kind, &done)));
    else
        printf("%s: %s%s\n", name->label, strcmp(done.from.name, done.to.name) == 0 ? "already " : "", done.to.text);
}

static int order(const struct ctl *ctl, int argc, char **argv, bool drain)
{
    if (args_take(&argc, argv, NULL, 0, argv[0]) != 0)
        return CTL_USAGE;
    if (argc < 2)
        return out_usage(argv[0], "which endpoint? NAME is missing");
    if (args_operands(argc, argv, 1, 1) != 0)
        return CTL_USAGE;

    struct gws_region region;
    int status = region_enter(ctl, GWS_CHANGE, &region);
    if (status != 0)
        return status;
    struct names names;
    names_load(&names, &region);
    status = region_select(&names, argv[1], NAMES_ENDPOINTS | NAMES_MODELS);
    if (status == 0 && names.rows[0].info.kind != GWS_KIND_ENDPOINT)
        status = out_usage(argv[0], "%s takes a whole endpoint; for one model use: gatewayctl breaker %s %s", argv[0],
                           drain ? "open" : "auto", names.rows[0].label);
    else if (status == 0)
        give_order(ctl, &region, &names.rows[0], drain);
    names_fini(&names);
    region_leave(&region);
    return status;
}

int command_drain(const struct ctl *ctl, int argc, char **argv)
{
    return order(ctl, argc, argv, true);
}

int command_enable(const struct ctl *ctl, int argc, char **argv)
{
    return order(ctl, argc, argv, false);
}
