#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/demo.h"
#include "gatewayd/log.h"
#include "gatewayd/master.h"
#include "gatewayd/plan.h"
#include "gatewayd/supervisor.h"
#include "gatewayd/unserved.h"
#include "gatewayd/upstream.h"

/* The command line: what to run, and the checks that need no region. */

#define DEFAULT_FILE "/etc/gatewayd/gatewayd.yaml"

static void usage(FILE *to)
{
    fprintf(to, "usage: gatewayd [-c FILE]      run in the foreground (default " DEFAULT_FILE ")\n"
                "       gatewayd -t [-c FILE]   test the configuration and exit\n"
                "       gatewayd --demo         run with three simulated endpoints, nothing to configure\n"
                "       gatewayd -V | -h\n");
}

static int load(const char *file, struct conf **conf, const struct inherit *inherit)
{
    struct conf_problems problems = {0};
    int rc = conf_load(file, conf, &problems);
    if (rc == 0)
        unserved_check(*conf, &problems);
    if (rc == 0)
        plan_check_keys(*conf, &problems);
    if (problems.count > 0) {
        conf_problems_print(&problems, file, stderr);
        inherit_report(inherit, file, &problems);
        if (rc == 0)
            conf_free(*conf);
        rc = 1;
    }
    conf_problems_fini(&problems);
    return rc;
}

static int test(const char *file)
{
    const struct inherit nothing = INHERIT_NOTHING;
    struct conf *conf = NULL;
    if (load(file, &conf, &nothing) != 0)
        return 1;
    conf_free(conf);
    printf("%s: good\n", file);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* What another master or a service manager gave is looked at before anything else opens a descriptor. */
static int serve(const char *file, char **argv, struct inherit *inherit)
{
    static struct upgrade_program program;
    const struct master_options options = {
        .file = file,
        .program = upgrade_find_program(&program, argv) == 0 ? &program : NULL,
        .inherit = inherit,
    };
    struct conf *conf = NULL;
    if (load(file, &conf, inherit) != 0)
        return 1;
    log_setup((enum log_level)conf->log.level, conf->log.json, "master");
    supervisor_setup();
    int rc = master_run(&options, conf);
    supervisor_teardown();
    return rc;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"demo", no_argument, NULL, 'd'},
                                          {"version", no_argument, NULL, 'V'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"test", no_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
    static struct inherit inherit = INHERIT_NOTHING;
    const char *file = DEFAULT_FILE;
    bool testing = false, demo = false;
    for (int option; (option = getopt_long(argc, argv, "c:tVh", longs, NULL)) != -1;) {
        switch (option) {
        case 'c':
            file = optarg;
            break;
        case 't':
            testing = true;
            break;
        case 'd':
            demo = true;
            break;
        case 'V':
            printf("gatewayd %s\n", GATEWAYD_VERSION);
            return 0;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (optind < argc) {
        usage(stderr);
        return 2;
    }
    log_setup(LOG_INFO_LEVEL, false, "master");
    if (!testing && !demo && inherit_take(&inherit) != 0)
        return 1;
    if (secret_setup() != 0 || upstream_setup() != 0) {
        log_error("libsodium or libcurl cannot be set up on this machine");
        return 1;
    }
    int rc = demo ? demo_run() : testing ? test(file) : serve(file, argv, &inherit);
    inherit_fini(&inherit);
    return rc;
}
