/* The names that can be typed: endpoints, models, accounts and limits, from the region or the configuration. */

#include "tools/gatewayctl/complete.h"

#include <stdio.h>
#include <string.h>

#include "gatewayd/conf.h"
#include "gatewayd/names.h"
#include "gatewayd/show.h"
#include "libshm/name.h"
#include "tools/gatewayctl/config.h"
#include "tools/gatewayctl/region.h"

void complete_offer(const char *word, const char *begun, const char *meaning)
{
    if (strncmp(word, begun, strlen(begun)) != 0)
        return;
    printf("%s%s%s\n", word, meaning ? "\t" : "", meaning ? meaning : "");
}

static void offer_limits(const struct gws_region *region, const char *begun)
{
    struct gws_name_info info;
    for (uint32_t row = 0; row < region->dims.limits + region->dims.quotas; row++) {
        bool found = row < region->dims.limits ? gws_name_limit_read(region, row, &info)
                                               : gws_name_quota_read(region, row - region->dims.limits, &info);
        if (!found || !gws_name_current(region, &info))
            continue;
        show_clean(info.name);
        complete_offer(info.name, begun, NULL);
    }
}

/* An endpoint's models only when its name is there: there may be hundreds. */
static void offer_names(const struct gws_region *region, const char *command, const char *begun)
{
    struct names names;
    bool models = strcmp(command, "breaker") == 0 || strcmp(command, "cooldown") == 0;
    names_load(&names, region);
    for (size_t i = 0; i < names.count; i++) {
        const struct gws_name_info *info = &names.rows[i].info;
        if (info->kind == GWS_KIND_ENDPOINT)
            complete_offer(names.rows[i].label, begun, "endpoint");
        else if (info->kind == GWS_KIND_ACCOUNT && strcmp(command, "cooldown") == 0)
            complete_offer(names.rows[i].label, begun, "account");
        else if (info->kind == GWS_KIND_PAIR && models && strncmp(begun, info->name, strlen(info->name)) == 0)
            complete_offer(names.rows[i].label, begun, "model");
    }
    names_fini(&names);
}

static void offer_models(const struct ctl *ctl, const char *begun)
{
    struct conf *conf = NULL;
    if (config_load(ctl, &conf) != 0)
        return;
    for (size_t i = 0; i < conf->model_count; i++)
        complete_offer(conf->models[i].name, begun, "model");
    for (size_t i = 0; i < conf->alias_count; i++)
        complete_offer(conf->aliases[i].name, begun, "alias");
    conf_free(conf);
}

void complete_value(const struct ctl *ctl, const char *command, const char *placeholder, const char *begun)
{
    struct gws_region region;
    if (strcmp(placeholder, "FILE") == 0 || strcmp(placeholder, "CONFIG") == 0 || strcmp(placeholder, "OUT") == 0)
        puts(":files");
    if (strcmp(placeholder, "MODEL") == 0)
        offer_models(ctl, begun);
    if (strcmp(placeholder, "NAME") != 0 || region_enter(ctl, GWS_LOOK, &region) != 0)
        return;
    if (command && strcmp(command, "limits") == 0)
        offer_limits(&region, begun);
    else
        offer_names(&region, command ? command : "", begun);
    region_leave(&region);
}
