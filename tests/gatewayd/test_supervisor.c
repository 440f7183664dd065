/* What the service manager hears, on a socket of its own kind: a path and an abstract name, and the watchdog's time. */

#include "tests/gatewayd/rig.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "gatewayd/supervisor.h"

/* A manager that listens at `name`, and the environment it would have given. */
static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    memcpy(address.sun_path, name, len);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'))), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

/* The next datagram, or "" when there is none. */
static const char *heard(int fd)
{
    static char text[1024];
    ssize_t got = recv(fd, text, sizeof text - 1, 0);

    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void forget(int fd)
{
    supervisor_teardown();
    close(fd);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void say_everything(int fd)
{
    supervisor_ready("serving");
    assert_string_equal(heard(fd), "READY=1\nSTATUS=serving");
    supervisor_reloading();
    const char *text = heard(fd);
    assert_int_equal(strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    assert_true(strtoull(text + 27, NULL, 10) > 0);
    supervisor_stopping();
    assert_int_equal(strncmp(heard(fd), "STOPPING=1\n", 11), 0);
    supervisor_main_pid(4711);
    assert_string_equal(heard(fd), "MAINPID=4711");
    assert_string_equal(heard(fd), "");
}

static void test_a_path(void **state)
{
    char name[64];
    (void)state;
    snprintf(name, sizeof name, "/tmp/gwnotify-%d", (int)getpid());
    int fd = listen_at(name);
    supervisor_setup();
    say_everything(fd);
    unlink(name);
    forget(fd);
}

static void test_an_abstract_name(void **state)
{
    char name[64];
    (void)state;
    snprintf(name, sizeof name, "@gwnotify-%d", (int)getpid());
    int fd = listen_at(name);
    supervisor_setup();
    say_everything(fd);
    forget(fd);
}

static void test_nobody(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    supervisor_setup();
    supervisor_ready("serving");
    assert_int_equal(supervisor_alive(1), -1);
    setenv("NOTIFY_SOCKET", "vsock:2:1", 1); /* another kind, of other machines */
    supervisor_setup();
    supervisor_ready("serving");
    unsetenv("NOTIFY_SOCKET");
}

static void test_the_watchdog(void **state)
{
    char name[64], pid[16];
    (void)state;
    snprintf(name, sizeof name, "@gwwatch-%d", (int)getpid());
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    int fd = listen_at(name);
    setenv("WATCHDOG_USEC", "30000000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    supervisor_setup();
    assert_int_equal(supervisor_alive(1000), 15000);
    assert_string_equal(heard(fd), "WATCHDOG=1");
    assert_int_equal(supervisor_alive(15999), 1);
    assert_string_equal(heard(fd), "");
    assert_int_equal(supervisor_alive(16000), 15000);
    assert_string_equal(heard(fd), "WATCHDOG=1");
    setenv("WATCHDOG_PID", "1", 1); /* another process is watched */
    supervisor_setup();
    assert_int_equal(supervisor_alive(1000), -1);
    forget(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_path),
        cmocka_unit_test(test_an_abstract_name),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_the_watchdog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
