/* What one master writes for the next, read back; and what is refused. */

#include "tests/gatewayd/rig.h"

#include <fcntl.h>

#include "gatewayd/inherit.h"

static struct listener listeners[] = {
    {.fd = 10, .is_unix = false, .where = "127.0.0.1:40123", .wanted = "127.0.0.1:0"},
    {.fd = 11, .is_unix = true, .where = "/run/a b:c%d.sock", .wanted = "/run/a b:c%d.sock", .dev = 26, .inode = 99},
    {.fd = 12, .is_unix = false, .where = "[::1]:8080", .wanted = "[::1]:8080"},
};

static struct inherit example(void)
{
    struct inherit gift = INHERIT_NOTHING;
    gift.from = 4711;
    gift.lock_fd = 5;
    gift.talk_fd = 6;
    snprintf(gift.state, sizeof gift.state, "/run/gate way/state\n=");
    for (int i = 0; i < 6; i++)
        gift.wakes[gift.wake_count++] = 20 + i / 2;
    gift.sockets.clients = (struct listeners){listeners, 2};
    gift.sockets.admin = (struct listeners){listeners + 2, 1};
    return gift;
}

static void assert_same(const struct listener *got, const struct listener *want)
{
    assert_int_equal(got->fd, want->fd);
    assert_int_equal(got->is_unix, want->is_unix);
    assert_int_equal(got->inode, want->inode);
    assert_int_equal(got->dev, want->dev);
    assert_string_equal(got->where, want->where);
    assert_string_equal(got->wanted, want->wanted);
}

static void test_there_and_back(void **state)
{
    struct inherit gift = example(), got;
    char *text = inherit_write(&gift, 7);
    int stderr_fd;

    (void)state;
    assert_non_null(text);
    assert_int_equal(inherit_read(&got, &stderr_fd, text), 0);
    assert_true(got.heir);
    assert_int_equal(got.from, 4711);
    assert_int_equal(got.lock_fd, 5);
    assert_int_equal(got.talk_fd, 6);
    assert_int_equal(stderr_fd, 7);
    assert_string_equal(got.state, gift.state);
    assert_int_equal(got.wake_count, 6);
    assert_memory_equal(got.wakes, gift.wakes, 6 * sizeof(int));
    assert_int_equal(got.sockets.clients.count, 2);
    assert_int_equal(got.sockets.admin.count, 1);
    for (int i = 0; i < 3; i++)
        assert_same(i < 2 ? &got.sockets.clients.list[i] : &got.sockets.admin.list[0], &listeners[i]);
    inherit_fini(&got);
    free(text);
}

static void test_a_word_that_is_not_known(void **state)
{
    struct inherit got;
    int stderr_fd;

    (void)state;
    assert_int_equal(inherit_read(&got, &stderr_fd, "1 from=1 lock=3 talk=4 stderr=5 state=/x new=thing"), 0);
    assert_string_equal(got.state, "/x");
    inherit_fini(&got);
}

static void test_nonsense(void **state)
{
    static const char *const texts[] = {
        "",
        "2 from=1 lock=3 talk=4 stderr=5 state=/x",             /* another grammar */
        "1 from=1 lock=3 talk=4 state=/x",                      /* something is missing */
        "1 from=1 lock=3 talk=4 stderr=5 state=/x%2",           /* half an escape */
        "1 from=1 lock=3 talk=4 stderr=5 state=/x wakes=1,",    /* a number is missing */
        "1 from=1 lock=3 talk=4 stderr=5 state=/x listen=9",    /* the rest is missing */
        "1 from=1 lock=3 talk=4 stderr=5 state=/x listen=9:0:0:1:/a",
        "1 from=1 lock=3 talk=4 stderr=5 state=/x word",
    };
    struct inherit got;
    int stderr_fd;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(inherit_read(&got, &stderr_fd, texts[i]), 1);
        assert_false(got.heir);
        assert_int_equal(got.lock_fd, -1);
    }
}

static void test_of_a_manager(void **state)
{
    struct inherit got;
    char pid[16];

    (void)state;
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "2", 1);
    assert_int_equal(inherit_take(&got), 0);
    assert_int_equal(got.given, 2);
    assert_false(got.heir);
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    setenv("LISTEN_PID", "1", 1); /* another process's */
    setenv("LISTEN_FDS", "2", 1);
    assert_int_equal(inherit_take(&got), 0);
    assert_int_equal(got.given, 0);
    assert_null(getenv("LISTEN_FDS"));
}

/* The variable names our parent; from anybody else it is refused, before a descriptor is touched. */
static void test_from_a_stranger(void **state)
{
    struct inherit got;

    (void)state;
    setenv("GATEWAYD_INHERIT", "1 from=1073741824 lock=0 talk=1 stderr=2 state=/x", 1);
    assert_int_equal(inherit_take(&got), 1);
    assert_null(getenv("GATEWAYD_INHERIT"));
    inherit_fini(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),   cmocka_unit_test(test_a_word_that_is_not_known),
        cmocka_unit_test(test_nonsense),         cmocka_unit_test(test_of_a_manager),
        cmocka_unit_test(test_from_a_stranger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
