#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/demo.h"
#include "gatewayd/log.h"
#include "gatewayd/master.h"
#include "gatewayd/plan.h"
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

static int load(const char *file, struct conf **conf)
{
    struct conf_problems problems = {0};
    int rc = conf_load(file, conf, &problems);
    if (rc == 0)
        unserved_check(*conf, &problems);
    if (rc == 0)
        plan_check_keys(*conf, &problems);
    if (problems.count > 0) {
        conf_problems_print(&problems, file, stderr);
        if (rc == 0)
            conf_free(*conf);
        rc = 1;
    }
    conf_problems_fini(&problems);
    return rc;
}

static int test(const char *file)
{
    struct conf *conf = NULL;
    if (load(file, &conf) != 0)
        return 1;
    conf_free(conf);
    printf("%s: good\n", file);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int serve(const char *file)
{
    const struct master_options options = {.file = file};
    struct conf *conf = NULL;
    if (load(file, &conf) != 0)
        return 1;
    log_setup((enum log_level)conf->log.level, conf->log.json, "master");
    return master_run(&options, conf);
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"demo", no_argument, NULL, 'd'},
                                          {"version", no_argument, NULL, 'V'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"test", no_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
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
    if (secret_setup() != 0 || upstream_setup() != 0) {
        log_error("libsodium or libcurl cannot be set up on this machine");
        return 1;
    }
    return demo ? demo_run() : testing ? test(file) : serve(file);
}
