#ifndef GATEWAYD_MASTER_H
#define GATEWAYD_MASTER_H

/* The master: takes the region, opens the listeners, keeps its children alive, and carries out reload, upgrade
 * and stop. */

#include "gatewayd/conf.h"
#include "gatewayd/inherit.h"
#include "gatewayd/upgrade.h"

struct master_options {
    const char *file;      /* the configuration file */
    const char *text;      /* instead of a file: a configuration in memory, which cannot be reloaded */
    void (*started)(void); /* called once everything serves; may be NULL */
    const struct upgrade_program *program; /* what an upgrade runs; NULL: there can be none */
    struct inherit *inherit;               /* NULL: nothing was given to it */
};

/* Runs until told to stop; returns the exit status. `conf` is the configuration to start with; the master frees it. */
int master_run(const struct master_options *options, struct conf *conf);

#endif
