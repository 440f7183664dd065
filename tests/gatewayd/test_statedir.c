/*
 * The region's directory: made with all that is missing on the way to it, refused when others could put another region
 * in its place, and every refusal says what to do.
 */

#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gatewayd/statedir.h"

static const uint32_t no_gid = 4711;

struct scene {
    char dir[64];
    char path[256];
    char why[512];
    uint32_t gid;
    struct conf conf;
    struct process_user user;
};

static void begin(struct scene *s)
{
    memset(s, 0, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "%s/gwstate-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(s->dir));
    s->conf.state = s->path;
    s->user.uid = geteuid();
    s->user.gid = getegid();
    s->gid = no_gid;
}

static void end(struct scene *s)
{
    assert_int_equal(rmdir(s->dir), 0);
}

static int make(struct scene *s, const char *below)
{
    snprintf(s->path, sizeof s->path, "%s/%s", s->dir, below);
    s->why[0] = '\0';
    return statedir_make(&s->conf, &s->user, &s->gid, s->why, sizeof s->why);
}

static void remove_below(const struct scene *s, const char *below)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", s->dir, below);
    assert_int_equal(rmdir(path), 0);
}

static void makes_what_is_missing(void **state)
{
    struct scene s;
    struct stat st;
    char path[256];
    mode_t mask = umask(0);

    (void)state;
    begin(&s);
    assert_int_equal(make(&s, "a/b/c/state"), 0);
    snprintf(path, sizeof path, "%s/a/b/c", s.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0755); /* whatever the umask allows, nobody else writes there */
    assert_int_not_equal(access(s.path, F_OK), 0); /* the file itself is not its business */
    assert_int_equal(s.gid, no_gid);
    assert_int_equal(make(&s, "a/b/c/state"), 0);
    assert_int_equal(make(&s, "a/b//c/./state"), 0);
    remove_below(&s, "a/b/c");
    remove_below(&s, "a/b");
    remove_below(&s, "a");
    umask(mask);
    end(&s);
}

static void refuses_a_directory_of_others(void **state)
{
    static const struct {
        mode_t mode;
        bool good;
    } cases[] = {{0755, true},  {0700, true},  {0750, true},  {0775, false},
                 {0757, false}, {0777, false}, {01777, true}, {01775, true}};
    struct scene s;

    (void)state;
    begin(&s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(chmod(s.dir, cases[i].mode), 0);
        assert_int_equal(make(&s, "state"), cases[i].good ? 0 : 1);
        if (!cases[i].good && (!strstr(s.why, s.dir) || !strstr(s.why, "0755")))
            fail_msg("%s", s.why);
    }
    if (geteuid() == 0) { /* somebody else's, however narrow its mode */
        assert_int_equal(chmod(s.dir, 0755), 0);
        assert_int_equal(chown(s.dir, 12345, 12345), 0);
        assert_int_equal(make(&s, "state"), 1);
        s.user.uid = 12345; /* the workers' user may own it */
        assert_int_equal(make(&s, "state"), 0);
        assert_int_equal(chown(s.dir, 0, 0), 0);
    }
    end(&s);
}

static void refuses_what_is_no_directory(void **state)
{
    struct scene s;
    char path[256];

    (void)state;
    begin(&s);
    snprintf(path, sizeof path, "%s/file", s.dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(make(&s, "file/state"), 1);
    assert_true(s.why[0] != '\0');
    assert_int_equal(make(&s, "file/below/state"), 1);
    assert_int_equal(unlink(path), 0);

    snprintf(s.path, sizeof s.path, "state");
    assert_int_equal(statedir_make(&s.conf, &s.user, &s.gid, s.why, sizeof s.why), 1);
    assert_non_null(strstr(s.why, "directory"));
    char *much = malloc(9000);
    assert_non_null(much);
    memset(much, '/', 8999);
    much[8999] = '\0';
    s.conf.state = much;
    assert_int_equal(statedir_make(&s.conf, &s.user, &s.gid, s.why, sizeof s.why), 1);
    free(much);
    end(&s);
}

static void finds_the_operators_group(void **state)
{
    const struct group *group = getgrgid(getegid());
    struct scene s;

    (void)state;
    begin(&s);
    s.conf.admin.group = "no-such-group-anywhere";
    assert_int_equal(make(&s, "a/state"), 1);
    assert_non_null(strstr(s.why, "no-such-group-anywhere"));
    assert_int_equal(s.gid, no_gid);
    if (group) {
        s.conf.admin.group = group->gr_name;
        assert_int_equal(make(&s, "state"), 0);
        assert_int_equal(s.gid, getegid());
    }
    end(&s);
}

/* Made by root for a user it becomes later: that user can make the region in it. */
static void gives_it_to_the_user(void **state)
{
    struct scene s;
    struct stat st;
    char path[256];

    (void)state;
    if (geteuid() != 0)
        skip();
    begin(&s);
    s.user = (struct process_user){.drop = true, .uid = 12345, .gid = 12346};
    assert_int_equal(make(&s, "a/state"), 0);
    snprintf(path, sizeof path, "%s/a", s.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 12345);
    assert_int_equal(st.st_gid, 12346);
    assert_int_equal(stat(s.dir, &st), 0);
    assert_int_equal(st.st_uid, 0); /* what was there stays as it was */
    remove_below(&s, "a");
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_what_is_missing),
        cmocka_unit_test(refuses_a_directory_of_others),
        cmocka_unit_test(refuses_what_is_no_directory),
        cmocka_unit_test(finds_the_operators_group),
        cmocka_unit_test(gives_it_to_the_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
