/*
 * The report of a reload: the problems or nothing, replaced whole, never written through a link that somebody laid, and
 * no trouble when it cannot be written.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gatewayd/log.h"
#include "gatewayd/report.h"

struct scene {
    char dir[32];
    char state[48];
    char report[64];
    char temporary[72];
};

static void begin(struct scene *s)
{
    snprintf(s->dir, sizeof s->dir, "/tmp/gwreport-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->state, sizeof s->state, "%s/state", s->dir);
    snprintf(s->report, sizeof s->report, "%s.report", s->state);
    snprintf(s->temporary, sizeof s->temporary, "%s.new", s->report);
}

static void end(struct scene *s)
{
    assert_int_not_equal(access(s->temporary, F_OK), 0);
    unlink(s->report);
    assert_int_equal(rmdir(s->dir), 0);
}

static void assert_file(const char *path, const char *want)
{
    char text[512];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(len >= 0);
    text[len] = '\0';
    assert_string_equal(text, want);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
}

static void says_what_is_wrong(void **state)
{
    struct conf_problems problems = {0};
    struct scene s;
    struct stat st;

    (void)state;
    begin(&s);
    conf_problem_add(&problems, 3, 5, "unknown key '%s'", "wieght");
    conf_problem_add(&problems, 0, 0, "no endpoints");
    report_write(s.state, "/etc/gw.yaml", &problems);
    assert_file(s.report, "/etc/gw.yaml: no endpoints\n/etc/gw.yaml:3:5: unknown key 'wieght'\n");
    assert_int_equal(stat(s.report, &st), 0);
    assert_int_equal(st.st_mode & 027, 0); /* what stands in the file is nobody else's business */
    report_write(s.state, "/etc/gw.yaml", NULL);
    assert_file(s.report, "");
    report_write(s.state, "/etc/gw.yaml", &problems);
    conf_problems_fini(&problems);
    report_write(s.state, "/etc/gw.yaml", &problems);
    assert_file(s.report, "");
    end(&s);
}

/* A file or link under the temporary name is what a dead master left, or a trap: neither is written to. */
static void writes_through_no_link(void **state)
{
    char victim[48];
    struct scene s;
    struct stat st;

    (void)state;
    begin(&s);
    snprintf(victim, sizeof victim, "%s/victim", s.dir);
    write_file(victim, "precious");
    assert_int_equal(symlink(victim, s.temporary), 0);
    report_write(s.state, "f", NULL);
    assert_file(victim, "precious");
    assert_file(s.report, "");
    unlink(s.report);
    assert_int_equal(symlink(victim, s.report), 0);
    write_file(s.temporary, "half a report");
    report_write(s.state, "f", NULL);
    assert_file(victim, "precious");
    assert_int_equal(lstat(s.report, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_file(s.report, "");
    unlink(victim);
    end(&s);
}

/* It says so in the log and goes on; the report before, if there is one, stays whole. */
static void lives_without(void **state)
{
    char path[8192];
    struct scene s;

    (void)state;
    log_setup(LOG_ERROR_LEVEL, false, "test"); /* what it says is not for whoever runs this */
    report_write("/nowhere/at/all/state", "f", NULL);
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    report_write(path, "f", NULL);
    begin(&s);
    assert_int_equal(mkdir(s.report, 0700), 0); /* cannot be renamed over */
    report_write(s.state, "f", NULL);
    assert_int_equal(rmdir(s.report), 0);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(writes_through_no_link),
        cmocka_unit_test(lives_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
