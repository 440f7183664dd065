#include "gatewayd/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatewayd/log.h"
#include "gatewayd/secret.h"

/*
 * The heir is a child, so that its end is seen by waitpid() and cannot be mistaken. Nothing is believed of it but that
 * end and what it says on its socket; a program that is none of ours says nothing there and ends, or is ended.
 */

enum { COMING_MS = 30000 }; /* its own workers have less, see master_start.c */

int upgrade_find_program(struct upgrade_program *program, char *const *argv)
{
    char here[PATH_MAX];
    const size_t size = sizeof program->path;
    int len = -1;
    program->argv = argv;
    if (argv[0][0] == '/')
        len = snprintf(program->path, size, "%s", argv[0]);
    else if (strchr(argv[0], '/'))
        len = getcwd(here, sizeof here) ? snprintf(program->path, size, "%s/%s", here, argv[0]) : -1;
    if (len >= 0 || strchr(argv[0], '/'))
        return len >= 0 && (size_t)len < size ? 0 : 1;
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; *at;) {
        int part = (int)strcspn(at, ":");
        len = snprintf(program->path, size, "%.*s/%s", part, at, argv[0]);
        if (part > 0 && (size_t)len < size && access(program->path, X_OK) == 0)
            return 0;
        at += part + (at[part] == ':');
    }
    return 1;
}

/* In the child, which has no one but the pipe to complain to. */
static _Noreturn void become(const struct upgrade_program *program, const struct inherit *gift, int say_fd)
{
    char pid[16];
    int stderr_fd = dup(STDERR_FILENO);
    if (stderr_fd < 0 || dup2(say_fd, STDERR_FILENO) < 0)
        _exit(127);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    if (getenv("WATCHDOG_PID"))
        setenv("WATCHDOG_PID", pid, 1);
    if (secret_restore_environment() == 0 && inherit_give(gift, stderr_fd) == 0)
        execv(program->path, program->argv);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", program->path, strerror(errno));
    _exit(127);
}

static int open_ways(int talk[2], int words[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, talk) != 0)
        return -errno;
    if (pipe2(words, O_CLOEXEC | O_NONBLOCK) == 0)
        return 0;
    int rc = -errno;
    close(talk[0]);
    close(talk[1]);
    return rc;
}

int upgrade_begin(struct upgrade *upgrade, const struct upgrade_program *program, struct inherit *gift,
                  uint64_t now_ms)
{
    int talk[2], words[2];
    int rc = open_ways(talk, words);
    if (rc != 0)
        return rc;
    gift->talk_fd = talk[1];
    gift->from = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(program, gift, words[1]);
    rc = -errno;
    close(talk[1]);
    close(words[1]);
    *upgrade = (struct upgrade){
        .heir = pid, .talk_fd = talk[0], .hear_fd = words[0], .until = now_ms + COMING_MS};
    if (pid > 0)
        return 0;
    upgrade_end(upgrade);
    return rc;
}

/* More than fits is dropped: the first words say what is wrong. */
static void listen_to(struct upgrade *upgrade)
{
    char spill[512];
    for (;;) {
        size_t room = sizeof upgrade->said - 1 - upgrade->said_length;
        ssize_t got = read(upgrade->hear_fd, room ? upgrade->said + upgrade->said_length : spill,
                           room ? room : sizeof spill);
        if (got <= 0)
            return;
        if (room)
            upgrade->said_length += (size_t)got;
    }
}

static void add_line(struct upgrade *upgrade, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_line(struct upgrade *upgrade, const char *format, ...)
{
    char *at = upgrade->said + upgrade->said_length;
    size_t room = sizeof upgrade->said - upgrade->said_length;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(at, room, format, args);
    va_end(args);
    upgrade->said_length += (size_t)len < room ? (size_t)len : room - 1;
}

static enum upgrade_news understand(struct upgrade *upgrade, const char *line)
{
    char kind[16] = "";
    if (strcmp(line, "export") == 0)
        return UPGRADE_WANTS_EXPORT;
    if (strcmp(line, "serves") == 0 && upgrade->agreed)
        return UPGRADE_SERVES;
    if (upgrade->agreed ||
        sscanf(line, "live %63s %" SCNu64 " %15s", upgrade->version, &upgrade->generation, kind) != 3)
        return UPGRADE_QUIET;
    upgrade->beside = strcmp(kind, "beside") == 0;
    return UPGRADE_LIVE;
}

static enum upgrade_news read_line(struct upgrade *upgrade)
{
    char byte;
    while (read(upgrade->talk_fd, &byte, 1) == 1) {
        if (byte != '\n') {
            upgrade->line[upgrade->line_length] = byte;
            upgrade->line_length += upgrade->line_length + 1 < sizeof upgrade->line;
            continue;
        }
        upgrade->line[upgrade->line_length] = '\0';
        upgrade->line_length = 0;
        enum upgrade_news news = understand(upgrade, upgrade->line);
        if (news != UPGRADE_QUIET)
            return news;
    }
    return UPGRADE_QUIET;
}

static void say_how_it_ended(struct upgrade *upgrade, int status)
{
    if (WIFSIGNALED(status))
        add_line(upgrade, "the new gatewayd (pid %d) was killed by signal %d\n", (int)upgrade->heir, WTERMSIG(status));
    else if (upgrade->said_length == 0)
        add_line(upgrade, "the new gatewayd (pid %d) ended with status %d and without a word; is it gatewayd?\n",
                 (int)upgrade->heir, WEXITSTATUS(status));
}

enum upgrade_news upgrade_look(struct upgrade *upgrade, uint64_t now_ms)
{
    int status;
    listen_to(upgrade);
    pid_t ended = waitpid(upgrade->heir, &status, WNOHANG);
    enum upgrade_news news = read_line(upgrade); /* what it said before it ended counts, and is read after */
    if (news != UPGRADE_QUIET && ended == 0)
        return news;
    if (ended == 0 && now_ms < upgrade->until)
        return UPGRADE_QUIET;
    if (news == UPGRADE_SERVES)
        return news;
    if (ended == 0) {
        kill(upgrade->heir, SIGKILL);
        waitpid(upgrade->heir, &status, 0);
        add_line(upgrade, "the new gatewayd did not come up within %d s\n", COMING_MS / 1000);
    }
    listen_to(upgrade);
    say_how_it_ended(upgrade, status);
    upgrade->said[upgrade->said_length] = '\0';
    return UPGRADE_OVER;
}

int upgrade_answer(struct upgrade *upgrade, const char *word)
{
    char line[32];
    int len = snprintf(line, sizeof line, "%s\n", word);
    return send(upgrade->talk_fd, line, (size_t)len, MSG_NOSIGNAL) == len ? 0 : -errno;
}

void upgrade_end(struct upgrade *upgrade)
{
    close(upgrade->talk_fd);
    close(upgrade->hear_fd);
    *upgrade = (struct upgrade){.talk_fd = -1, .hear_fd = -1};
}

uint64_t upgrade_version(const char *text)
{
    unsigned parts[3] = {0};
    sscanf(text, "%u.%u.%u", &parts[0], &parts[1], &parts[2]);
    return (uint64_t)(parts[0] & 0xffff) << 32 | (uint64_t)(parts[1] & 0xffff) << 16 | (parts[2] & 0xffff);
}
