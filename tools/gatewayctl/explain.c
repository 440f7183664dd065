/*
 * explain: where would a request for this model go now, and why not elsewhere? It needs the configuration besides the
 * region, which holds only what is shared and changes. Nothing is written, so a gateway that works can be asked.
 */

#include "tools/gatewayctl/explain.h"

#include <string.h>

#include "gatewayd/history.h"
#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/config.h"
#include "tools/gatewayctl/out.h"
#include "tools/gatewayctl/region.h"

enum { TOKENS_MAX = 1000000000 };

/* What limits by tokens are asked for when nobody says how large the request is. */
enum { USUAL_TOKENS = 1000 };

static int bind(const struct conf *conf, struct gws_region *region, struct plan **plan)
{
    struct conf_problems problems = {0};
    int result = plan_look(plan, conf, region, &problems);
    if (result < 0)
        show_must(NULL);
    if (result != 0)
        out_say("%s", problems.count ? problems.list[0].message : "the configuration does not fit the region");
    conf_problems_fini(&problems);
    return result == 0 ? 0 : CTL_NO;
}

static int explain(const struct ctl *ctl, struct gws_region *region, const struct plan *plan,
                   const struct explain_asked *asked)
{
    struct history_trips trips = {0};
    struct explain e = {.region = region, .plan = plan, .trips = &trips};
    char why[EXPLAIN_WHY_SIZE];
    int status = CTL_NO_NAME;
    if (explain_gather(&e, asked, why, sizeof(why)) != 0) {
        out_say("%s", why);
    } else {
        if (ctl->json)
            explain_json(&e);
        else
            explain_text(&e);
        status = e.ends && e.ends->fate == EXPLAIN_GOES ? CTL_DONE : CTL_NO;
    }
    explain_fini(&e);
    history_trips_fini(&trips);
    return status;
}

static int read_words(int argc, char **argv, const char *dialect, const char *tokens, struct explain_asked *asked)
{
    if (argc < 2)
        return out_usage(argv[0], "which model? MODEL is missing");
    if (args_operands(argc, argv, 1, 1) != 0)
        return CTL_USAGE;
    asked->model = argv[1];
    asked->anthropic = dialect && strcmp(dialect, "anthropic") == 0;
    if (dialect && !asked->anthropic && strcmp(dialect, "openai") != 0)
        return out_usage(argv[0], "--dialect takes openai or anthropic, not \"%s\"", dialect);
    asked->tokens = USUAL_TOKENS;
    return tokens ? args_number(argv[0], "--tokens", tokens, 1, TOKENS_MAX, &asked->tokens) : 0;
}

int command_explain(const struct ctl *ctl, int argc, char **argv)
{
    struct explain_asked asked = {0};
    const char *dialect = NULL, *tokens = NULL;
    const struct args_option options[] = {{"--endpoint", NULL, NULL, &asked.endpoint},
                                          {"--dialect", NULL, NULL, &dialect},
                                          {"--tokens", NULL, NULL, &tokens}};
    if (args_take(&argc, argv, options, 3, argv[0]) != 0 || read_words(argc, argv, dialect, tokens, &asked) != 0)
        return CTL_USAGE;

    struct conf *conf = NULL;
    struct gws_region region;
    struct ctl with = *ctl;
    with.config = config_file(ctl);
    int status = config_load(&with, &conf);
    if (status != 0)
        return status;
    status = region_enter(&with, GWS_LOOK, &region);
    if (status == 0) {
        struct plan *plan = NULL;
        status = bind(conf, &region, &plan);
        if (status == 0)
            status = explain(ctl, &region, plan, &asked);
        plan_free(plan);
        region_leave(&region);
    }
    conf_free(conf);
    return status;
}
