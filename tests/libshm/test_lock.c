/* The lock beside the region: one holder, known by pid, forgotten by the kernel when it dies. */

#include "libshm/lock.h"

#include <errno.h>
#include <fcntl.h>

#include "tests/libshm/fixture.h"

static void test_two_takers(void **state)
{
    struct fixture f;
    char says[32];
    int fd;

    (void)state;
    fixture_dir(&f);
    assert_int_equal(gws_lock_holder(f.path), 0);
    fd = gws_lock_take(f.path, &f.fault);
    assert_true(fd >= 0);
    assert_int_not_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    assert_int_equal(gws_lock_holder(f.path), getpid());
    assert_int_equal(gws_lock_take(f.path, &f.fault), -EBUSY); /* another open: another taker */
    snprintf(says, sizeof(says), "(pid %d)", (int)getpid());
    assert_non_null(strstr(f.fault.text, says));
    assert_int_equal(gws_lock_holder(f.path), getpid()); /* asking disturbs nothing */
    close(fd);
    assert_int_equal(gws_lock_holder(f.path), 0); /* the pid is still written there, and means nothing */
    fd = gws_lock_take(f.path, &f.fault);
    assert_true(fd >= 0);
    close(fd);
    fixture_close(&f);
}

static void test_dies_with_its_holder(void **state)
{
    struct fixture f;
    int pipes[2];
    char byte;
    pid_t pid;
    int fd;

    (void)state;
    fixture_dir(&f);
    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fixture_die_with_parent();
        if (gws_lock_take(f.path, NULL) < 0 || write(pipes[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(gws_lock_holder(f.path), pid);
    assert_int_equal(gws_lock_take(f.path, &f.fault), -EBUSY);
    kill(pid, SIGKILL);
    fixture_wait(pid);
    assert_int_equal(gws_lock_holder(f.path), 0);
    fd = gws_lock_take(f.path, &f.fault);
    assert_true(fd >= 0);
    assert_int_equal(gws_lock_holder(f.path), getpid());
    close(fd);
    close(pipes[0]);
    close(pipes[1]);
    fixture_close(&f);
}

/* Why a worker closes the inherited descriptor: the lock lives for as long as anybody has it. */
static void test_a_child_keeps_it(void **state)
{
    struct fixture f;
    int pipes[2];
    int back[2];
    char byte = 'x';
    pid_t pid;
    int fd;

    (void)state;
    fixture_dir(&f);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(pipe(back), 0);
    fd = gws_lock_take(f.path, &f.fault);
    assert_true(fd >= 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (read(pipes[0], &byte, 1) != 1)
            _exit(1);
        close(fd);
        if (write(back[1], &byte, 1) != 1 || read(pipes[0], &byte, 1) != 1)
            _exit(1);
        _exit(0);
    }
    close(fd);
    assert_int_equal(gws_lock_holder(f.path), getpid());
    assert_int_equal(write(pipes[1], &byte, 1), 1);
    assert_int_equal(read(back[0], &byte, 1), 1);
    assert_int_equal(gws_lock_holder(f.path), 0);
    assert_int_equal(write(pipes[1], &byte, 1), 1);
    assert_int_equal(fixture_wait(pid), 0);
    for (int i = 0; i < 2; i++) {
        close(pipes[i]);
        close(back[i]);
    }
    fixture_close(&f);
}

static void test_held_without_a_pid(void **state)
{
    struct fixture f;
    int fd;

    (void)state;
    fixture_dir(&f);
    fd = gws_lock_take(f.path, &f.fault);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(gws_lock_holder(f.path), -1);
    assert_int_equal(gws_lock_take(f.path, &f.fault), -EBUSY);
    assert_null(strstr(f.fault.text, "pid"));
    assert_int_equal(pwrite(fd, "99999999999999999999\n", 21, 0), 21);
    assert_int_equal(gws_lock_holder(f.path), -1);
    close(fd);
    fixture_close(&f);
}

static void test_refusals(void **state)
{
    struct fixture f;
    char path[128];
    char *longest = calloc(1, 5001);

    (void)state;
    fixture_dir(&f);
    assert_int_equal(gws_lock_take("/nonexistent/state", &f.fault), -ENOENT);
    assert_non_null(strstr(f.fault.text, "make the directory first"));
    assert_non_null(longest);
    memset(longest, 'x', 5000);
    assert_int_equal(gws_lock_take(longest, &f.fault), -ENAMETOOLONG);
    assert_int_equal(gws_lock_holder(longest), 0);
    free(longest);
    snprintf(path, sizeof(path), "%s.lock", f.path);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(gws_lock_take(f.path, &f.fault), -ELOOP);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(gws_lock_take(f.path, &f.fault), -EINVAL);
    fixture_close(&f);
}

static void test_bytes_are_apart(void **state)
{
    struct fixture f;
    int one;
    int two;

    (void)state;
    fixture_dir(&f);
    one = open(f.path, O_RDWR | O_CREAT, 0600);
    two = open(f.path, O_RDWR);
    assert_true(one >= 0 && two >= 0);
    assert_int_equal(gws_lock_try(one, 4096), 0);
    assert_int_equal(gws_lock_try(one, 4096), 0); /* its own is no obstacle */
    assert_int_equal(gws_lock_test(one, 4096), 0);
    assert_int_equal(gws_lock_try(two, 4096), 1);
    assert_int_equal(gws_lock_test(two, 4096), 1);
    assert_int_equal(gws_lock_try(two, 4097), 0);
    assert_int_equal(gws_lock_test(one, 4097), 1);
    gws_lock_drop(one, 4096);
    assert_int_equal(gws_lock_test(two, 4096), 0);
    assert_true(gws_lock_try(-1, 0) < 0);
    close(one);
    close(two);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_takers),
        cmocka_unit_test(test_dies_with_its_holder),
        cmocka_unit_test(test_a_child_keeps_it),
        cmocka_unit_test(test_held_without_a_pid),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bytes_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
