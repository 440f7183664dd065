#include "gatewayd/master_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/log.h"
#include "gatewayd/report.h"
#include "gatewayd/supervisor.h"
#include "gatewayd/unserved.h"

/*
 * Generations of the configuration. A new one is checked whole, bound to the region and given workers of its own; only
 * when all of them live do the old ones leave, so a reload that fails at any point has changed nothing.
 */

void master_generation_free(struct generation *g)
{
    if (!g)
        return;
    plan_free(g->plan);
    conf_free(g->conf);
    free(g->sockets.clients.list);
    free(g->sockets.admin.list);
    free(g);
}

void master_sweep_generations(struct master *m)
{
    for (struct generation **at = &m->retired; *at;) {
        struct generation *g = *at;
        if (children_use(&m->children, g)) {
            at = &g->next;
            continue;
        }
        *at = g->next;
        master_generation_free(g);
    }
}

/* Problems that a plan finds stand in the file like those of the file itself. */
int master_generation_new(struct master *m, struct conf *conf, const struct sockets *old, bool beside,
                          struct generation **out, struct conf_problems *problems)
{
    char why[512];
    struct generation *g = calloc(1, sizeof *g);
    if (!g)
        return -ENOMEM;
    g->number = gws_region_generation(&m->region) + 1;
    unsigned slots = m->region.dims.slots - m->region.dims.guests - 1;
    if (2 * (conf->workers + 1) > slots)
        conf_problem_add(problems, 0, 0,
                         "the shared region has slots for %u workers and their successors in a reload, not for %u: it "
                         "was made for fewer. Stop gatewayd and remove the state file to make a larger one",
                         slots / 2 - 1, conf->workers);
    if (plan_check_keys(conf, problems) != 0) {
        free(g);
        return 1;
    }
    if (net_open_all(&g->sockets, conf, old, beside, why, sizeof why) != 0) {
        conf_problem_add(problems, 0, 0, "%s", why);
        free(g);
        return 1;
    }
    int rc = plan_new(&g->plan, conf, &m->region, g->number, problems);
    if (rc != 0) {
        net_close_all(&g->sockets, old);
        free(g);
        return rc;
    }
    g->conf = conf;
    *out = g;
    return 0;
}

int master_generation_begin(struct master *m, struct generation *g)
{
    gws_region_generation_next(&m->region);
    return children_add(&m->children, g);
}

void master_names_again(struct master *m)
{
    struct conf_problems problems = {0};
    struct plan *again = NULL;
    if (plan_new(&again, m->current->conf, &m->region, gws_region_generation(&m->region), &problems) == 0)
        plan_free(again);
    conf_problems_fini(&problems);
}

/* An heir also tells the one who started it. */
void master_report(const struct master *m, const struct conf_problems *problems)
{
    conf_problems_print(problems, m->options->file, stderr);
    inherit_report(m->inherit, m->options->file, problems);
}

void master_tell_ready(const struct master *m)
{
    char status[128];
    snprintf(status, sizeof status, "serving: %u workers, %zu endpoints, generation %llu", m->current->conf->workers,
             m->current->conf->endpoint_count, (unsigned long long)m->current->number);
    supervisor_ready(status);
}

static void reload_failed(struct master *m, struct conf_problems *problems)
{
    const char *state = m->current->conf->state;
    log_error("the new configuration is bad; the one in force stays. See below, or `gatewayctl reload`");
    master_report(m, problems);
    report_write(state, m->options->file, problems);
    master_record(m, GWS_EVENT_RELOAD_FAILED, 0, problems->count);
    conf_problems_fini(problems);
    master_tell_ready(m);
}

/* What cannot change while running. */
static void check_change(const struct conf *old, const struct conf *new, struct conf_problems *problems)
{
    if (strcmp(old->state, new->state) != 0)
        conf_problem_add(problems, 0, 0, "`state` cannot change while running; restart gatewayd to move the region");
    if (strcmp(old->user ? old->user : "", new->user ? new->user : "") != 0)
        conf_problem_add(problems, 0, 0, "`user` cannot change while running; restart gatewayd");
    if (strcmp(old->log.access, new->log.access) != 0)
        conf_problem_add(problems, 0, 0, "`log.access` cannot change while running; restart gatewayd");
}

/* The new workers do not come up: those that did finish what they have, like the ones that left in earlier reloads, and
 * the names of the configuration in force are its own again. */
static void give_up_coming(struct master *m)
{
    struct conf_problems problems = {0};
    struct generation *failed = m->coming;
    m->coming = NULL;
    net_close_all(&failed->sockets, &m->current->sockets);
    children_retire(&m->children, m->current, PROCESS_SIGNAL_RETIRE);
    failed->next = m->retired;
    m->retired = failed;
    master_names_again(m);
    conf_problem_add(&problems, 0, 0, "its workers did not come up within %d s; see the log", MASTER_COMING_MS / 1000);
    reload_failed(m, &problems);
}

static struct conf *load_anew(struct master *m, struct conf_problems *problems)
{
    struct conf *conf = NULL;
    if (m->options->text)
        conf_problem_add(problems, 0, 0, "this configuration is built in and cannot be reloaded");
    else if (m->upgrade.heir)
        conf_problem_add(problems, 0, 0, "an upgrade is under way; reload again when it is over");
    else if (conf_load(m->options->file, &conf, problems) == 0) {
        unserved_check(conf, problems);
        check_change(m->current->conf, conf, problems);
    }
    return conf;
}

void master_reload(struct master *m)
{
    struct conf_problems problems = {0};
    supervisor_reloading();
    struct conf *conf = load_anew(m, &problems);
    if (problems.count == 0 &&
        master_generation_new(m, conf, &m->current->sockets, false, &m->coming, &problems) == 0) {
        conf_problems_fini(&problems);
        master_generation_begin(m, m->coming);
        m->coming_until = master_now_ms() + MASTER_COMING_MS;
        secret_scrub_environment(conf);
        m->nursery.json_log = conf->log.json;
        m->nursery.log_level = conf->log.level;
        log_info("starting the workers of the new configuration");
        return;
    }
    conf_free(conf);
    reload_failed(m, &problems);
}

/* The new workers serve: the old ones may finish. */
static void change_over(struct master *m)
{
    struct generation *old = m->current;
    char why[512];
    m->current = m->coming;
    m->coming = NULL;
    m->nursery.state = m->current->conf->state;
    if (net_publish_all(&m->current->sockets, why, sizeof why) != 0)
        log_warn("%s", why);
    /* First ours: who empties a queue after that and closes is the last to hold it. */
    net_close_all(&old->sockets, &m->current->sockets);
    children_retire(&m->children, m->current, PROCESS_SIGNAL_RETIRE);
    old->next = m->retired;
    m->retired = old;
    report_write(m->current->conf->state, m->options->file, NULL);
    master_record(m, GWS_EVENT_RELOAD, 0, m->current->number);
    log_info("reloaded: generation %llu", (unsigned long long)m->current->number);
    master_tell_ready(m);
}

void master_tend_coming(struct master *m)
{
    if (m->coming && children_live(&m->children, m->coming, &m->region))
        change_over(m);
    else if (m->coming && master_now_ms() > m->coming_until)
        give_up_coming(m);
}
