#include "tools/gatewayctl/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/gatewayctl/out.h"

static const char default_file[] = "/etc/gatewayd/gatewayd.yaml";

const char *config_file(const struct ctl *ctl)
{
    return ctl->config ? ctl->config : default_file;
}

int config_load(const struct ctl *ctl, struct conf **conf)
{
    const char *file = config_file(ctl);
    struct conf_problems problems = {0};
    if (strcmp(file, "-") != 0 && access(file, R_OK) != 0) {
        int error = errno;
        out_say("cannot read the configuration %s: %s; name the one the daemon runs with, with -c CONFIG", file,
                strerror(error));
        return error == EACCES ? CTL_NO_REGION : CTL_NO;
    }
    int result = conf_load(file, conf, &problems);
    if (result < 0)
        show_must(NULL);
    if (result != 0) {
        conf_problems_print(&problems, file, stderr);
        out_say("%s is not a configuration; correct it, or name another with -c CONFIG", file);
    }
    conf_problems_fini(&problems);
    return result == 0 ? 0 : CTL_NO;
}
