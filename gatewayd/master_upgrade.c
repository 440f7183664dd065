#include "gatewayd/master_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatewayd/keep.h"
#include "gatewayd/log.h"
#include "gatewayd/report.h"
#include "gatewayd/supervisor.h"
#include "gatewayd/wake.h"

/*
 * The upgrade: a new master with workers of its own beside the old one, on the same sockets and under the same lock,
 * until there is nothing left that could fail; then the region changes hands in one step.
 *
 * That step is the heir's claim in the region's claim word, or, when the layout is another one, its renaming of the new
 * file over the old; it may be taken once the old master has said "go". Who dies before it leaves the other side the
 * master: workers of a dead heir see that the claim is not theirs, and drain; workers of a dead master serve on until
 * somebody claims. An heir whose starter dies before it said "go" gives up: a service manager whose main process dies
 * starts another one, which has to find the lock free.
 */

enum { EXPORT_MS = 10000 };

/* The old one. */

static void refuse(struct master *m, const char *why)
{
    char lines[256];
    log_warn("no upgrade: %s", why);
    snprintf(lines, sizeof lines, "%s\n", why);
    report_lines(m->current->conf->state, lines);
    master_record(m, GWS_EVENT_UPGRADE_REFUSED, 0, 0);
}

static void begin(struct master *m)
{
    static struct inherit gift; /* some kilobytes */
    gift = (struct inherit)INHERIT_NOTHING;
    gift.lock_fd = m->nursery.lock_fd;
    gift.sockets = m->current->sockets;
    gift.wake_count = wake_ends(gift.wakes, INHERIT_WAKES_MAX);
    snprintf(gift.state, sizeof gift.state, "%s", m->current->conf->state);
    int rc = upgrade_begin(&m->upgrade, m->options->program, &gift, master_now_ms());
    if (rc != 0) {
        refuse(m, strerror(-rc));
        return;
    }
    m->nursery.talk_fd = m->upgrade.talk_fd;
    log_info("upgrade: starting %s (pid %d)", m->options->program->path, (int)m->upgrade.heir);
    master_record(m, GWS_EVENT_UPGRADE_BEGUN, 0, (uint64_t)m->upgrade.heir);
}

void master_upgrade(struct master *m)
{
    char why[128];
    if (m->upgrade.heir) {
        snprintf(why, sizeof why, "another upgrade is under way (pid %d is starting)", (int)m->upgrade.heir);
        refuse(m, why);
    } else if (m->options->text) {
        refuse(m, "this configuration is built in; stop gatewayd and start the new one");
    } else if (!m->options->program) {
        refuse(m, "it is not known where this program was started from; stop gatewayd and start the new one");
    } else {
        begin(m);
    }
}

static void forget_heir(struct master *m)
{
    m->nursery.talk_fd = -1;
    upgrade_end(&m->upgrade);
}

static void hand_over(struct master *m)
{
    log_info("upgraded: gatewayd %s (pid %d) serves as generation %llu; waiting for the requests in flight",
             m->upgrade.version, (int)m->upgrade.heir, (unsigned long long)m->upgrade.generation);
    if (m->upgrade.beside) /* else the heir has recorded it, in the same region */
        master_record(m, GWS_EVENT_UPGRADE, upgrade_version(m->upgrade.version), m->upgrade.generation);
    m->replaced = true;
}

/* The heir could serve. What was learned, spent and ordered since it began its own region goes after it. */
static void let_go(struct master *m)
{
    if (m->upgrade.beside)
        keep_write(&m->region, m->current->conf->state);
    supervisor_main_pid(m->upgrade.heir);
    gws_lock_sign(m->nursery.lock_fd, m->upgrade.heir);
    m->upgrade.agreed = true;
    m->upgrade.until = master_now_ms() + MASTER_COMING_MS;
    upgrade_answer(&m->upgrade, "go");
}

/* Whether the heir took the step. */
static bool is_given_away(const struct master *m)
{
    struct stat path, mapped;
    if (!m->upgrade.beside)
        return gws_region_claimed(&m->region) != m->nursery.claim;
    return stat(m->current->conf->state, &path) == 0 && fstat(m->region.fd, &mapped) == 0 &&
           (path.st_ino != mapped.st_ino || path.st_dev != mapped.st_dev);
}

static void failed(struct master *m)
{
    struct upgrade *u = &m->upgrade;
    bool given_away = u->agreed && is_given_away(m);
    log_error("the upgrade failed: %.*s; %s", (int)strcspn(u->said, "\n"), u->said,
              given_away ? "it had taken over, and its workers serve on: start gatewayd again" : "this one serves on");
    report_lines(m->current->conf->state, u->said);
    if (given_away) {
        m->replaced = true;
    } else {
        if (u->agreed) {
            supervisor_main_pid(getpid());
            gws_lock_sign(m->nursery.lock_fd, getpid());
        }
        master_remove_beside(m->current->conf->state);
        master_names_again(m);
        master_find_orphans(m);
    }
    master_record(m, GWS_EVENT_UPGRADE_FAILED, 0, 0);
}

void master_tend_upgrade(struct master *m)
{
    if (!m->upgrade.heir)
        return;
    switch (upgrade_look(&m->upgrade, master_now_ms())) {
    case UPGRADE_QUIET:
        return;
    case UPGRADE_WANTS_EXPORT:
        /* What stands there else is of the last stop, and worse than nothing. */
        upgrade_answer(&m->upgrade, keep_write(&m->region, m->current->conf->state) == 0 ? "exported" : "not exported");
        return;
    case UPGRADE_LIVE:
        let_go(m);
        return;
    case UPGRADE_SERVES:
        hand_over(m);
        break;
    case UPGRADE_OVER:
        failed(m);
        break;
    }
    forget_heir(m);
}

void master_drop_heir(struct master *m)
{
    if (m->upgrade.heir && upgrade_look(&m->upgrade, master_now_ms()) == UPGRADE_OVER)
        forget_heir(m);
}

/* The heir. */

static void say(const struct master *m, const char *line)
{
    send(m->inherit->talk_fd, line, strlen(line), MSG_NOSIGNAL);
}

/* Whether that word has come. Both are short, and neither is followed by another before it was asked for. */
static bool heard(const struct master *m, const char *word)
{
    char line[32] = "";
    return recv(m->inherit->talk_fd, line, sizeof line - 1, 0) > 0 && strncmp(line, word, strlen(word)) == 0;
}

int master_wait_for_export(struct master *m)
{
    struct pollfd wait = {.fd = m->inherit->talk_fd, .events = POLLIN};
    say(m, "export\n");
    if (poll(&wait, 1, EXPORT_MS) == 1 && heard(m, "exported\n"))
        return 0;
    log_error("the running gatewayd did not write its state down; the upgrade would forget it");
    return 1;
}

enum master_leave master_ask_leave(struct master *m)
{
    bool live = children_live(&m->children, m->current, &m->region);
    bool gone = getppid() != m->before; /* asked before the word is: the dead say nothing more */
    if (m->asked && heard(m, "go\n"))
        return MASTER_GO;
    if (gone) {
        log_error("the master that began this upgrade is gone before it was done; giving up");
        return MASTER_GIVE_UP;
    }
    if (live && !m->asked) {
        char line[160];
        snprintf(line, sizeof line, "live %s %llu %s\n", GATEWAYD_VERSION, (unsigned long long)m->current->number,
                 m->made ? "beside" : "same");
        m->asked = true;
        say(m, line);
    }
    if (!m->asked && master_now_ms() > m->coming_until) {
        log_error("its workers did not come up within %d s; see the log", MASTER_COMING_MS / 1000);
        return MASTER_GIVE_UP;
    }
    return MASTER_WAIT;
}

/* Take the step. The sockets that the configuration no longer names are closed, and the one before hears no more of
 * this one than that it serves. */
int master_serve(struct master *m)
{
    const char *state = m->current->conf->state;
    char why[512];
    if (m->made)
        keep_read(&m->region, state);
    if (m->made && rename(m->entrance, state) != 0) {
        log_error("cannot put the new region in its place: %s", strerror(errno));
        return 1;
    }
    if (!m->made)
        gws_region_claim(&m->region, m->nursery.claim);
    snprintf(m->entrance, sizeof m->entrance, "%s", state);
    if (net_publish_all(&m->current->sockets, why, sizeof why) != 0)
        log_warn("%s", why);
    net_close_all(&m->inherit->sockets, &m->current->sockets);
    report_lines(state, "");
    master_record(m, GWS_EVENT_UPGRADE, upgrade_version(GATEWAYD_VERSION), m->current->number);
    say(m, "serves\n");
    log_errors_also(-1);
    close(m->inherit->say_fd);
    close(m->inherit->talk_fd);
    m->inherit->say_fd = m->inherit->talk_fd = m->nursery.talk_fd = -1;
    m->made = false;
    return 0;
}
