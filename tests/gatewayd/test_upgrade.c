/* The old master's side of an upgrade, with shells as heirs: what they say, how they end, and what is believed. */

#include "tests/gatewayd/rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "gatewayd/upgrade.h"

static struct upgrade_program program;
static struct inherit gift;
static struct upgrade upgrade;

/* The shell finds the socket in the variable, as a gatewayd would. */
static void begin(const char *script)
{
    static char text[1024];
    static const char *argv[] = {"/bin/sh", "-c", text, NULL};

    snprintf(text, sizeof text, "fd=${GATEWAYD_INHERIT##*talk=}; fd=${fd%%%% *}; %s", script);
    assert_int_equal(upgrade_find_program(&program, (char *const *)argv), 0);
    gift = (struct inherit)INHERIT_NOTHING;
    gift.lock_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(upgrade_begin(&upgrade, &program, &gift, 1000), 0);
    close(gift.lock_fd);
}

static enum upgrade_news wait_for_news(uint64_t now)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    for (int i = 0; i < 5000; i++) {
        enum upgrade_news news = upgrade_look(&upgrade, now);
        if (news != UPGRADE_QUIET)
            return news;
        nanosleep(&pause, NULL);
    }
    return UPGRADE_QUIET;
}

/* An heir in this process's place: the other end of the socket in our hands. */
static int talk_to(void)
{
    int ends[2], words[2];
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(pipe2(words, O_NONBLOCK | O_CLOEXEC), 0);
    close(words[1]);
    upgrade = (struct upgrade){.heir = pid, .talk_fd = ends[0], .hear_fd = words[0], .until = 5000};
    return ends[1];
}

static void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void test_the_talk(void **state)
{
    char text[16] = "";
    (void)state;
    int fd = talk_to();
    assert_int_equal(upgrade_look(&upgrade, 1000), UPGRADE_QUIET);
    say(fd, "exp");
    assert_int_equal(upgrade_look(&upgrade, 1000), UPGRADE_QUIET);
    say(fd, "ort\nlive 1.2.3 7 beside\n");
    assert_int_equal(upgrade_look(&upgrade, 1000), UPGRADE_WANTS_EXPORT);
    assert_int_equal(upgrade_answer(&upgrade, "exported"), 0);
    assert_int_equal(read(fd, text, sizeof text), 9);
    assert_string_equal(text, "exported\n");
    assert_int_equal(upgrade_look(&upgrade, 1000), UPGRADE_LIVE);
    assert_string_equal(upgrade.version, "1.2.3");
    assert_int_equal(upgrade.generation, 7);
    assert_true(upgrade.beside);
    say(fd, "serves\n"); /* nobody said that it may */
    assert_int_equal(upgrade_look(&upgrade, 1000), UPGRADE_QUIET);
    upgrade.agreed = true;
    say(fd, "nonsense\nserves\n");
    assert_int_equal(upgrade_look(&upgrade, 1000), UPGRADE_SERVES);
    kill(upgrade.heir, SIGKILL);
    assert_int_equal(wait_for_news(1000), UPGRADE_OVER);
    upgrade_end(&upgrade);
    close(fd);
}

static void test_too_late(void **state)
{
    (void)state;
    int fd = talk_to();
    assert_int_equal(upgrade_look(&upgrade, 4999), UPGRADE_QUIET);
    assert_int_equal(upgrade_look(&upgrade, 5000), UPGRADE_OVER);
    assert_non_null(strstr(upgrade.said, "did not come up within"));
    assert_int_equal(kill(upgrade.heir, 0), -1);
    upgrade_end(&upgrade);
    close(fd);
}

static void assert_end(const char *script, const char *said)
{
    begin(script);
    assert_int_equal(wait_for_news(1000), UPGRADE_OVER);
    if (!strstr(upgrade.said, said))
        fail_msg("%s: said %s", script, upgrade.said);
    upgrade_end(&upgrade);
}

static void test_bad_ones(void **state)
{
    static const char *argv[] = {"/nonexistent/gatewayd", NULL};
    (void)state;
    assert_end("exit 1", "ended with status 1 and without a word");
    assert_end("echo libx.so.1: cannot open >&2; exit 127", "libx.so.1: cannot open\n");
    assert_end("kill -9 $$", "was killed by signal 9");
    assert_end("test -n \"$GATEWAYD_INHERIT\" && test -e /proc/self/fd/$fd && echo all there >&2", "all there\n");
    assert_int_equal(upgrade_find_program(&program, (char *const *)argv), 0);
    gift = (struct inherit)INHERIT_NOTHING;
    gift.lock_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(upgrade_begin(&upgrade, &program, &gift, 0), 0);
    close(gift.lock_fd);
    assert_int_equal(wait_for_news(0), UPGRADE_OVER);
    assert_string_equal(upgrade.said, "cannot run /nonexistent/gatewayd: No such file or directory\n");
    upgrade_end(&upgrade);
}

static void test_where_it_was_started(void **state)
{
    static const char *by_path[] = {"sh", NULL}, *by_name[] = {"./sh", NULL}, *nowhere[] = {"no-such-program", NULL};
    char here[1024], want[1100];
    (void)state;
    setenv("PATH", "/nonexistent::/bin:/usr/bin", 1);
    assert_int_equal(upgrade_find_program(&program, (char *const *)by_path), 0);
    assert_string_equal(program.path, "/bin/sh");
    assert_non_null(getcwd(here, sizeof here));
    snprintf(want, sizeof want, "%s/./sh", here);
    assert_int_equal(upgrade_find_program(&program, (char *const *)by_name), 0);
    assert_string_equal(program.path, want);
    assert_int_equal(upgrade_find_program(&program, (char *const *)nowhere), 1);
}

static void test_versions(void **state)
{
    (void)state;
    assert_int_equal(upgrade_version("1.2.3"), 0x000100020003);
    assert_int_equal(upgrade_version("0.10"), 0x0000000a0000);
    assert_int_equal(upgrade_version("x"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_talk),   cmocka_unit_test(test_too_late),
        cmocka_unit_test(test_bad_ones),   cmocka_unit_test(test_where_it_was_started),
        cmocka_unit_test(test_versions),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
