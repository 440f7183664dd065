/*
 * The log, through pipes and files in place of stderr and stdout. Time is what this file says it is: it defines
 * clock_gettime() itself, so that a second of repetition passes without waiting; and poll(), for a race that is lost.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "gatewayd/log.h"

static struct timespec now = {.tv_sec = 1767225600, .tv_nsec = 7000000};

int clock_gettime(clockid_t clock, struct timespec *t)
{
    (void)clock;
    *t = now;
    return 0;
}

/* Of two processes that ask at once whether a pipe has room, both are told yes. */
static bool all_have_room;

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    struct timespec none = {0, 0};
    if (!all_have_room)
        return ppoll(fds, count, timeout == 0 ? &none : NULL, NULL);
    for (nfds_t i = 0; i < count; i++)
        fds[i].revents = fds[i].events;
    return (int)count;
}

static int saved_stderr = -1, saved_stdout = -1;
static int log_pipe[2] = {-1, -1};
static char text[256 * 1024];
static char folder[] = "/tmp/gatewayd-test-log-XXXXXX";

/* Everything that can be read from `fd` now. */
static const char *drain(int fd)
{
    size_t len = 0;
    ssize_t n;

    while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    return text;
}

static const char *logged(void)
{
    return drain(log_pipe[0]);
}

static size_t lines_in(const char *s)
{
    size_t n = 0;

    for (; *s != '\0'; s++)
        n += *s == '\n';
    return n;
}

/* Each test gets a pipe as its stderr and a second of its own. */
static int setup(void **state)
{
    (void)state;
    now.tv_sec += 10;
    saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    saved_stdout = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    if (saved_stderr < 0 || saved_stdout < 0 || pipe2(log_pipe, O_CLOEXEC) < 0 ||
        fcntl(log_pipe[0], F_SETFL, O_NONBLOCK) < 0 || dup2(log_pipe[1], STDERR_FILENO) < 0)
        return -1;
    log_setup(LOG_INFO_LEVEL, false, "worker 3");
    log_access_flush(); /* what the test before had held back */
    logged();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_access_open("off");
    dup2(saved_stderr, STDERR_FILENO);
    dup2(saved_stdout, STDOUT_FILENO);
    close(saved_stderr);
    close(saved_stdout);
    close(log_pipe[0]);
    close(log_pipe[1]);
    return 0;
}

static void writes_text_lines(void **state)
{
    (void)state;
    now = (struct timespec){.tv_sec = 1767225600, .tv_nsec = 7999999};
    log_warn("endpoint %s is %d%% slow", "us-east", 40);
    assert_string_equal(logged(), "2026-01-01T00:00:00.007Z WARN worker 3: endpoint us-east is 40% slow\n");
    log_info("one");
    log_error("two");
    assert_string_equal(logged(), "2026-01-01T00:00:00.007Z INFO worker 3: one\n"
                                  "2026-01-01T00:00:00.007Z ERROR worker 3: two\n");
}

/* No request waits for whoever reads the log. */
static void loses_lines_that_nobody_reads(void **state)
{
    unsigned sent = 0;

    (void)state;
    for (; sent < 3000; sent++) {
        now.tv_sec++; /* not one of them is held back as a repetition */
        log_warn("line %u of the many that a pipe has room for", sent);
    }
    unsigned got = (unsigned)lines_in(logged()), lost = 0;
    assert_in_range(got, 100, sent - 1);
    log_warn("somebody reads again");
    assert_int_equal(sscanf(strstr(logged(), "worker 3: ") + 10, "%u lines were lost: nobody read them,", &lost), 1);
    assert_int_equal(got + lost, sent);
    assert_non_null(strstr(text, ": somebody reads again\n"));
    assert_int_equal(lines_in(text), 2);
}

/* Nor for whoever else writes it, and was quicker. */
static void does_not_wait_for_room_that_another_took(void **state)
{
    (void)state;
    all_have_room = true;
    alarm(20);
    for (unsigned sent = 0; sent < 3000; sent++) {
        now.tv_sec++;
        log_warn("line %u of the many that a pipe has room for", sent);
    }
    alarm(0);
    all_have_room = false;
    assert_in_range(lines_in(logged()), 100, 2999);
}

static void counts_what_a_full_disk_loses(void **state)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    (void)state;
    assert_true(full >= 0);
    dup2(full, STDERR_FILENO);
    close(full);
    for (int i = 0; i < 5; i++)
        log_warn("line %d", i);
    dup2(log_pipe[1], STDERR_FILENO);
    log_warn("there is room again");
    assert_non_null(strstr(logged(), "5 lines were lost: "));
    assert_int_equal(lines_in(text), 2);
}

/* What a full disk has cut spoils one line, and not the next as well. */
static void ends_a_cut_line(void **state)
{
    struct rlimit before, little = {100, RLIM_INFINITY};
    char path[64], found[1024];
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "%s/cut", folder);
    fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    unlink(path);
    dup2(fd, STDERR_FILENO);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    log_warn("one that fits");
    log_warn("one that is cut where the disk is full");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    log_warn("another");
    dup2(log_pipe[1], STDERR_FILENO);
    ssize_t got = pread(fd, found, sizeof(found) - 1, 0);
    assert_true(got > 0);
    found[got] = '\0';
    close(fd);
    assert_int_equal(lines_in(found), 4);
    assert_non_null(strstr(found, "1 lines were lost: "));
    assert_non_null(strstr(found, "full\n2026"));
    assert_non_null(strstr(found, ": another\n"));
}

/* What is held back is told by who held it, if not after the second then at the end. */
static void tells_what_was_held_at_the_end(void **state)
{
    (void)state;
    for (int i = 0; i < 25; i++)
        log_warn("again");
    logged();
    log_close();
    assert_non_null(strstr(logged(), "15 more like this: again\n"));
    for (int i = 0; i < 25; i++)
        log_warn("and again");
    logged();
    log_setup(LOG_INFO_LEVEL, false, "a child");
    now.tv_sec += 2;
    log_access_flush();
    log_close();
    assert_string_equal(logged(), "");
}

static void writes_json_lines(void **state)
{
    (void)state;
    now = (struct timespec){.tv_sec = 1767225601, .tv_nsec = 0};
    log_setup(LOG_DEBUG_LEVEL, true, "a\"b");
    log_debug("said \"%s\"\n\x01\xff", "hi");
    assert_string_equal(logged(), "{\"time\":\"2026-01-01T00:00:01.000Z\",\"level\":\"debug\",\"who\":\"a\\\"b\","
                                  "\"message\":\"said \\\"hi\\\"\\n\\u0001\\ufffd\"}\n");
}

static void keeps_messages_on_one_line(void **state)
{
    (void)state;
    log_info("a\nb\r\x1b[2Jc\x7f\xc3\xa9");
    assert_non_null(strstr(logged(), ": a?b??[2Jc?\xc3\xa9\n"));
}

static void leaves_out_lower_levels(void **state)
{
    (void)state;
    log_debug("hidden");
    log_setup(LOG_ERROR_LEVEL, false, "x");
    log_info("hidden too");
    log_warn("hidden as well");
    assert_string_equal(logged(), "");
    log_error("seen");
    assert_int_equal(lines_in(logged()), 1);
}

static void cuts_long_messages(void **state)
{
    static char bad[10000];

    (void)state;
    memset(bad, 0xff, sizeof(bad) - 1);
    for (int json = 0; json < 2; json++) {
        log_setup(LOG_INFO_LEVEL, json, "a name that is longer than any role has a right to be");
        log_info("%s", bad);
        logged();
        assert_in_range(strlen(text), 2000, 4096); /* one line, within what a pipe takes undivided */
        assert_int_equal(lines_in(text), 1);
        assert_int_equal(text[strlen(text) - 1], '\n');
        if (json)
            assert_string_equal(text + strlen(text) - 9, "\\ufffd\"}\n");
    }
}

static void keeps_errno(void **state)
{
    (void)state;
    errno = ENOSPC;
    log_info("%m");
    assert_int_equal(errno, ENOSPC);
    assert_non_null(strstr(logged(), "No space left on device\n"));
    for (int i = 0; i < 20; i++) {
        errno = EPIPE;
        log_info("again");
        assert_int_equal(errno, EPIPE);
    }
}

static void holds_back_repetition(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        log_warn("endpoint %d failed", i);
        log_warn("something else");
    }
    logged();
    assert_int_equal(lines_in(text), 20);
    assert_non_null(strstr(text, "endpoint 9 failed\n"));
    assert_null(strstr(text, "endpoint 10 failed\n"));
    /* Another line, even of the same second, is not held back with them. */
    log_warn("news");
    assert_int_equal(lines_in(logged()), 1);
    now.tv_nsec += 900000000;
    log_access_flush();
    assert_string_equal(logged(), "");
    now.tv_sec += 1;
    log_access_flush();
    logged();
    assert_int_equal(lines_in(text), 2);
    assert_non_null(strstr(text, " WARN worker 3: 90 more like this: endpoint 10 failed\n"));
    assert_non_null(strstr(text, " WARN worker 3: 90 more like this: something else\n"));
    log_access_flush();
    assert_string_equal(logged(), "");
    log_warn("endpoint %d failed", 1);
    assert_int_equal(lines_in(logged()), 1);
}

/* The same format after its second says first how many it missed, without any flush. */
static void tells_what_was_held_back_before_the_next(void **state)
{
    const char *first;

    (void)state;
    for (int second = 0; second < 2; second++) {
        for (int i = 0; i < 15; i++)
            log_info("round %d", second);
        logged();
        assert_int_equal(lines_in(text), second == 0 ? 10 : 11);
        first = strstr(text, "5 more like this: round 0\n");
        assert_int_equal(first != NULL && first < strchr(text, '\n'), second == 1);
        now.tv_sec += 1;
    }
    log_info("other");
    assert_non_null(strstr(logged(), "5 more like this: round 1\n"));
    assert_int_equal(lines_in(text), 2);
}

/* More formats than are remembered: some lines come through that need not, none is lost without a word. */
static void remembers_many_formats(void **state)
{
    static char formats[300][32];
    size_t seen = 0;

    (void)state;
    for (int i = 0; i < 300; i++)
        snprintf(formats[i], sizeof(formats[i]), "format %d", i);
    for (int i = 0; i < 300; i++) {
        for (int k = 0; k < 12; k++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
            log_info(formats[i]);
#pragma GCC diagnostic pop
        }
        seen += lines_in(logged());
    }
    now.tv_sec += 1;
    log_access_flush();
    seen += lines_in(logged());
    assert_int_equal(seen, 300 * 11);
}

static void path_in_folder(char out[64], const char *name)
{
    snprintf(out, 64, "%s/%s", folder, name);
}

static const char *file_text(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    drain(fd);
    close(fd);
    return text;
}

static void access_log_gathers_and_flushes(void **state)
{
    char path[64];
    struct stat st;

    (void)state;
    path_in_folder(path, "access");
    assert_false(log_access_enabled());
    log_access_write(STR("nowhere\n"));
    assert_int_equal(log_access_open(path), 0);
    assert_true(log_access_enabled());
    log_access_write(STR("one\n"));
    log_access_write(STR("two\n"));
    assert_string_equal(file_text(path), "");
    log_access_flush();
    assert_string_equal(file_text(path), "one\ntwo\n");
    log_access_flush();
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 8);
    assert_int_equal(st.st_mode & 0137, 0);
    /* Others append to it as well. */
    FILE *other = fopen(path, "ae");
    assert_non_null(other);
    fputs("theirs\n", other);
    fclose(other);
    log_access_write(STR("three\n"));
    assert_int_equal(log_access_open("off"), 0);
    assert_false(log_access_enabled());
    assert_string_equal(file_text(path), "one\ntwo\ntheirs\nthree\n");
}

static void access_log_writes_when_full(void **state)
{
    char path[64];
    size_t lines = 0;

    (void)state;
    path_in_folder(path, "full");
    assert_int_equal(log_access_open(path), 0);
    for (; lines < 65536 / 16; lines++)
        log_access_write(STR("fifteen letters\n"));
    assert_string_equal(file_text(path), "");
    log_access_write(STR("one more\n"));
    assert_int_equal(lines_in(file_text(path)), lines);
    log_access_flush();
    assert_int_equal(lines_in(file_text(path)), lines + 1);
    assert_string_equal(logged(), "");
}

static void access_log_reopens(void **state)
{
    char path[64], moved[64];

    (void)state;
    path_in_folder(path, "rotated");
    path_in_folder(moved, "rotated.1");
    assert_int_equal(log_access_reopen(), 0);
    assert_int_equal(log_access_open(path), 0);
    log_access_write(STR("old\n"));
    assert_int_equal(rename(path, moved), 0);
    log_access_write(STR("old too\n"));
    assert_int_equal(log_access_reopen(), 0);
    log_access_write(STR("new\n"));
    log_access_flush();
    assert_string_equal(file_text(moved), "old\nold too\n");
    assert_string_equal(file_text(path), "new\n");
    /* When it cannot be opened again, the old one goes on. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(moved, path), 0);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(log_access_reopen(), -EISDIR);
    assert_true(log_access_enabled());
    assert_int_equal(log_access_open(path), -EISDIR);
    assert_true(log_access_enabled());
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(log_access_reopen(), 0);
}

static void access_log_refuses_what_it_cannot_open(void **state)
{
    char path[64], *name = malloc(10000);

    (void)state;
    path_in_folder(path, "none/access");
    assert_int_equal(log_access_open(path), -ENOENT);
    assert_false(log_access_enabled());
    assert_non_null(name);
    memset(name, 'a', 9999);
    name[9999] = '\0';
    assert_int_equal(log_access_open(name), -ENAMETOOLONG);
    free(name);
    /* A named pipe that nobody reads must not hold the process up. */
    path_in_folder(path, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(log_access_open(path), -ENXIO);
    assert_false(log_access_enabled());
}

/* Put the writing end of something in place of stdout. */
static void replace_stdout(int fd)
{
    fflush(stdout);
    assert_true(dup2(fd, STDOUT_FILENO) >= 0);
    assert_int_equal(log_access_open("stdout"), 0);
}

static void access_log_goes_to_stdout(void **state)
{
    char path[64];
    int ends[2], fd;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    replace_stdout(ends[1]);
    log_access_write(STR("a line\n"));
    log_access_flush();
    assert_string_equal(drain(ends[0]), "a line\n");
    assert_int_equal(log_access_reopen(), 0);
    /* The shared description is left blocking for whoever else has it. */
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    close(ends[0]);
    close(ends[1]);

    /* A file that stderr shares: neither overwrites the other. */
    path_in_folder(path, "shared");
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    replace_stdout(fd);
    assert_int_equal(write(fd, "1\n", 2), 2);
    log_access_write(STR("2\n"));
    log_access_flush();
    assert_int_equal(write(fd, "3\n", 2), 2);
    assert_string_equal(file_text(path), "1\n2\n3\n");
    close(fd);
}

/* Write whole numbered lines until more than everything on the way is full. */
static unsigned fill(unsigned from, unsigned count)
{
    char line[128];

    for (unsigned i = from; i < from + count; i++) {
        int len = snprintf(line, sizeof(line), "line %06u %.80s\n", i,
                           "................................................................................");
        log_access_write((struct str){line, (size_t)len});
    }
    return from + count;
}

/* The numbers of the lines in `s` rise, and every line is whole. Returns how many there are. */
static unsigned whole_lines(const char *s)
{
    unsigned count = 0, last = 0, number;

    while (*s != '\0') {
        const char *end = strchr(s, '\n');
        assert_non_null(end);
        assert_int_equal(end - s, 92);
        assert_int_equal(sscanf(s, "line %6u .", &number), 1);
        assert_true(number > last);
        last = number;
        count++;
        s = end + 1;
    }
    return count;
}

/* A reader that stalls: what fits is kept, the rest is lost, counted, said once; what comes through is whole lines. */
static void stall(int reader)
{
    static char came[1024 * 1024];
    unsigned sent = fill(1, 10000) - 1, got, lost = 0;
    const char *said;
    size_t len = 0;

    log_access_flush();
    said = logged();
    assert_int_equal(lines_in(said), 1);
    assert_non_null(strstr(said, "WARN worker 3: access log: lines are being lost (its reader stalls)"));
    now.tv_sec += 2;
    for (int i = 0; i < 100; i++) {
        len += (size_t)snprintf(came + len, sizeof(came) - len, "%s", drain(reader));
        log_access_flush();
    }
    got = whole_lines(came);
    assert_in_range(got, 65536 / 92, sent - 1);
    said = strstr(logged(), "access log: written again; ");
    assert_non_null(said);
    assert_int_equal(sscanf(said, "access log: written again; %u lines were lost", &lost), 1);
    assert_int_equal(got + lost, sent);
    assert_int_equal(lines_in(text), 1);
    /* Then all is in order again. */
    fill(1, 3);
    log_access_flush();
    assert_int_equal(whole_lines(drain(reader)), 3);
    assert_string_equal(logged(), "");
}

static void access_log_survives_a_stalled_pipe(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    replace_stdout(ends[1]);
    stall(ends[0]);
    close(ends[0]);
    close(ends[1]);
}

/* A pipe that somebody else made cannot be opened a second time; being root is what it takes to show it. */
static void access_log_survives_a_stalled_foreign_pipe(void **state)
{
    int ends[2];

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(seteuid(65534), 0);
    replace_stdout(ends[1]);
    assert_int_equal(seteuid(0), 0);
    stall(ends[0]);
    close(ends[0]);
    close(ends[1]);
}

static void access_log_survives_a_stalled_named_pipe(void **state)
{
    char path[64];
    int reader;

    (void)state;
    path_in_folder(path, "fifo");
    reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(log_access_open(path), 0);
    stall(reader);
    close(reader);
}

static void access_log_survives_a_stalled_socket(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    replace_stdout(ends[1]);
    stall(ends[0]);
    close(ends[0]);
    close(ends[1]);
}

/* Every worker has the same one, so what fits into it no more must begin with a line, or others come in between. */
static void access_log_fills_a_socket_with_whole_lines(void **state)
{
    int ends[2], size = 16384;
    const char *came;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    replace_stdout(ends[1]);
    fill(1, 600);
    log_access_flush();
    came = drain(ends[0]);
    assert_true(strlen(came) > 0 && lines_in(came) < 600);
    assert_int_equal(came[strlen(came) - 1], '\n');
    close(ends[0]);
    close(ends[1]);
}

/* The process ends while its reader stalls: the number of the lines that go with it is the last word. */
static void access_log_counts_what_the_end_loses(void **state)
{
    (void)state;
    log_close(); /* says what the tests before lost */
    assert_int_equal(log_access_open("/dev/full"), 0);
    fill(1, 7);
    log_close();
    assert_non_null(strstr(logged(), "access log: 7 lines were lost, and this process ends\n"));
}

static void access_log_survives_a_reader_that_leaves(void **state)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        int ends[2];
        assert_int_equal(sigaction(SIGPIPE, &action, NULL), 0);
        if (kind == 0)
            assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        else
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        replace_stdout(ends[1]);
        close(ends[0]);
        for (int i = 0; i < 5; i++) {
            fill(1, 10);
            log_access_flush();
        }
        logged();
        assert_int_equal(lines_in(text), kind == 0); /* it was never in order again, so nothing new to say */
        if (kind == 0)
            assert_non_null(strstr(text, "lines are being lost (Broken pipe)"));
        close(ends[1]);
    }
}

static void access_log_survives_a_full_disk(void **state)
{
    char path[64];

    (void)state;
    path_in_folder(path, "after");
    assert_int_equal(log_access_open(path), 0);
    fill(1, 1);
    log_access_flush(); /* settles what the tests before lost */
    logged();
    assert_int_equal(log_access_open("/dev/full"), 0);
    fill(1, 7);
    log_access_flush();
    fill(1, 3);
    log_access_flush();
    logged();
    assert_int_equal(lines_in(text), 1);
    assert_non_null(strstr(text, "lines are being lost (No space left on device)"));
    assert_int_equal(log_access_open(path), 0);
    fill(2, 1);
    log_access_flush();
    assert_non_null(strstr(logged(), "access log: written again; 10 lines were lost\n"));
    assert_int_equal(whole_lines(file_text(path)), 2);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"access", "full", "rotated", "rotated.1", "fifo", "shared", "after"};
    char path[64];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_in_folder(path, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

#define LOG_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(writes_text_lines),
        LOG_TEST(loses_lines_that_nobody_reads),
        LOG_TEST(does_not_wait_for_room_that_another_took),
        LOG_TEST(counts_what_a_full_disk_loses),
        LOG_TEST(ends_a_cut_line),
        LOG_TEST(tells_what_was_held_at_the_end),
        LOG_TEST(writes_json_lines),
        LOG_TEST(keeps_messages_on_one_line),
        LOG_TEST(leaves_out_lower_levels),
        LOG_TEST(cuts_long_messages),
        LOG_TEST(keeps_errno),
        LOG_TEST(holds_back_repetition),
        LOG_TEST(tells_what_was_held_back_before_the_next),
        LOG_TEST(remembers_many_formats),
        LOG_TEST(access_log_gathers_and_flushes),
        LOG_TEST(access_log_writes_when_full),
        LOG_TEST(access_log_reopens),
        LOG_TEST(access_log_refuses_what_it_cannot_open),
        LOG_TEST(access_log_goes_to_stdout),
        LOG_TEST(access_log_survives_a_stalled_pipe),
        LOG_TEST(access_log_survives_a_stalled_foreign_pipe),
        LOG_TEST(access_log_survives_a_stalled_named_pipe),
        LOG_TEST(access_log_survives_a_stalled_socket),
        LOG_TEST(access_log_fills_a_socket_with_whole_lines),
        LOG_TEST(access_log_counts_what_the_end_loses),
        LOG_TEST(access_log_survives_a_reader_that_leaves),
        LOG_TEST(access_log_survives_a_full_disk),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
