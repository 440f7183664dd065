#include "gatewayd/inherit.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gatewayd/log.h"

/*
 * The text is words with a blank between them, NAME=VALUE, and begins with the number of its grammar: an older or newer
 * gatewayd that does not know it says so instead of guessing. Words that are not known are passed over, so that one may
 * be added.
 */

static const char variable[] = "GATEWAYD_INHERIT";
static const char grammar[] = "1";

enum { WORD_SIZE = 3 * INHERIT_STATE_SIZE };

/* Paths may hold anything; what separates words and parts is written as %XX. */
static void put_escaped(FILE *out, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at <= ' ' || *at == '%' || *at == ':' || *at == 0x7f)
            fprintf(out, "%%%02X", *at);
        else
            putc(*at, out);
    }
}

static bool get_escaped(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; *text; text++, n++) {
        unsigned code;
        if (n + 1 >= size)
            return false;
        out[n] = *text;
        if (*text != '%')
            continue;
        if (!isxdigit((unsigned char)text[1]) || !isxdigit((unsigned char)text[2]) ||
            sscanf(text + 1, "%2x", &code) != 1)
            return false;
        out[n] = (char)code;
        text += 2;
    }
    out[n] = '\0';
    return true;
}

static void put_listeners(FILE *out, const char *word, const struct listeners *all)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct listener *l = &all->list[i];
        fprintf(out, " %s=%d:%llu:%llu:%d:", word, l->fd, (unsigned long long)l->dev, (unsigned long long)l->inode,
                l->is_unix);
        put_escaped(out, l->where);
        putc(':', out);
        put_escaped(out, l->wanted);
    }
}

char *inherit_write(const struct inherit *inherit, int stderr_fd)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fprintf(out, "%s from=%d lock=%d talk=%d stderr=%d state=", grammar, (int)inherit->from, inherit->lock_fd,
            inherit->talk_fd, stderr_fd);
    put_escaped(out, inherit->state);
    for (uint32_t i = 0; i < inherit->wake_count; i++)
        fprintf(out, "%s%d", i == 0 ? " wakes=" : ",", inherit->wakes[i]);
    put_listeners(out, "listen", &inherit->sockets.clients);
    put_listeners(out, "admin", &inherit->sockets.admin);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static int read_wakes(struct inherit *inherit, const char *value)
{
    for (;;) {
        char *end;
        if (inherit->wake_count == INHERIT_WAKES_MAX)
            return 1;
        inherit->wakes[inherit->wake_count++] = (int)strtol(value, &end, 10);
        if (end == value)
            return 1;
        if (*end == '\0')
            return 0;
        value = end + 1;
    }
}

static int read_listener(struct listeners *all, char *value)
{
    unsigned long long dev, inode;
    int fd, is_unix, at = 0;
    char *wanted;
    if (sscanf(value, "%d:%llu:%llu:%d:%n", &fd, &dev, &inode, &is_unix, &at) != 4 || at == 0)
        return 1;
    wanted = strchr(value + at, ':');
    struct listener *larger = realloc(all->list, (all->count + 1) * sizeof *larger);
    if (!larger || !wanted) {
        all->list = larger ? larger : all->list;
        return 1;
    }
    *wanted++ = '\0';
    all->list = larger;
    struct listener *l = &all->list[all->count];
    *l = (struct listener){.fd = fd, .is_unix = is_unix != 0, .dev = dev, .inode = inode};
    if (!get_escaped(value + at, l->where, sizeof l->where) || !get_escaped(wanted, l->wanted, sizeof l->wanted))
        return 1;
    all->count++;
    return 0;
}

static int read_word(struct inherit *inherit, int *stderr_fd, char *word)
{
    char *value = strchr(word, '=');
    if (!value)
        return 1;
    *value++ = '\0';
    if (strcmp(word, "from") == 0)
        inherit->from = (pid_t)atoi(value);
    else if (strcmp(word, "lock") == 0)
        inherit->lock_fd = atoi(value);
    else if (strcmp(word, "talk") == 0)
        inherit->talk_fd = atoi(value);
    else if (strcmp(word, "stderr") == 0)
        *stderr_fd = atoi(value);
    else if (strcmp(word, "state") == 0)
        return get_escaped(value, inherit->state, sizeof inherit->state) ? 0 : 1;
    else if (strcmp(word, "wakes") == 0)
        return read_wakes(inherit, value);
    else if (strcmp(word, "listen") == 0)
        return read_listener(&inherit->sockets.clients, value);
    else if (strcmp(word, "admin") == 0)
        return read_listener(&inherit->sockets.admin, value);
    return 0;
}

int inherit_read(struct inherit *inherit, int *stderr_fd, const char *text)
{
    char *copy = strdup(text), *rest = copy;
    *inherit = (struct inherit)INHERIT_NOTHING;
    *stderr_fd = -1;
    const char *first = copy ? strsep(&rest, " ") : "";
    int rc = strcmp(first, grammar) != 0;
    for (char *word; rc == 0 && (word = strsep(&rest, " "));)
        rc = read_word(inherit, stderr_fd, word);
    free(copy);
    inherit->heir = rc == 0 && inherit->from > 0 && inherit->lock_fd >= 0 && inherit->talk_fd >= 0 && *stderr_fd >= 0;
    if (inherit->heir)
        return 0;
    inherit_fini(inherit);
    return 1;
}

void inherit_fini(struct inherit *inherit)
{
    free(inherit->sockets.clients.list);
    free(inherit->sockets.admin.list);
    *inherit = (struct inherit)INHERIT_NOTHING;
}

/* Every descriptor that is handed over, one after the other. */
static int each_descriptor(const struct inherit *inherit, int (*act)(int fd))
{
    int rc = act(inherit->lock_fd);
    if (rc == 0)
        rc = act(inherit->talk_fd);
    for (uint32_t i = 0; rc == 0 && i < inherit->wake_count; i++)
        rc = act(inherit->wakes[i]);
    for (size_t i = 0; rc == 0 && i < inherit->sockets.clients.count; i++)
        rc = act(inherit->sockets.clients.list[i].fd);
    for (size_t i = 0; rc == 0 && i < inherit->sockets.admin.count; i++)
        rc = act(inherit->sockets.admin.list[i].fd);
    return rc;
}

static int keep_over_exec(int fd)
{
    return fcntl(fd, F_SETFD, 0) == 0 ? 0 : -errno;
}

static int close_on_exec(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? 0 : -errno;
}

int inherit_give(const struct inherit *inherit, int stderr_fd)
{
    char *text = inherit_write(inherit, stderr_fd);
    int rc = text && setenv(variable, text, 1) == 0 ? 0 : -ENOMEM;
    free(text);
    if (rc == 0)
        rc = keep_over_exec(stderr_fd);
    return rc == 0 ? each_descriptor(inherit, keep_over_exec) : rc;
}

/* Until here standard error led to the one who started us: even a program that cannot begin is heard. */
static int restore_stderr(struct inherit *inherit, int stderr_fd)
{
    inherit->say_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (inherit->say_fd < 0 || dup2(stderr_fd, STDERR_FILENO) < 0)
        return -errno;
    close(stderr_fd);
    return 0;
}

static int take_legacy(struct inherit *inherit, const char *text)
{
    int stderr_fd;
    if (inherit_read(inherit, &stderr_fd, text) != 0) {
        log_error("the running gatewayd hands over in a way that this one does not know; stop it and start this one");
        return 1;
    }
    if (inherit->from != getppid()) {
        log_error("who began this upgrade (pid %d) is gone", (int)inherit->from);
        return 1;
    }
    int rc = each_descriptor(inherit, close_on_exec);
    if (rc == 0)
        rc = restore_stderr(inherit, stderr_fd);
    if (rc != 0)
        log_error("what the running gatewayd handed over cannot be used: %s", strerror(-rc));
    log_errors_also(inherit->say_fd);
    return rc != 0;
}

/* The variables are for the process they name and for no child of it. */
static unsigned take_given(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    unsigned given = 0;
    if (pid && count && strtoll(pid, NULL, 10) == (long long)getpid() && atoi(count) > 0)
        given = (unsigned)atoi(count);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return given;
}

int inherit_take(struct inherit *inherit)
{
    const char *text = getenv(variable);
    *inherit = (struct inherit)INHERIT_NOTHING;
    if (!text) {
        inherit->given = take_given();
        return 0;
    }
    int rc = take_legacy(inherit, text);
    unsetenv(variable);
    return rc;
}

void inherit_report(const struct inherit *inherit, const char *file, const struct conf_problems *problems)
{
    int fd = inherit->say_fd >= 0 ? fcntl(inherit->say_fd, F_DUPFD_CLOEXEC, 3) : -1;
    FILE *stream = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (stream) {
        conf_problems_print(problems, file, stream);
        fclose(stream);
    } else if (fd >= 0) {
        close(fd);
    }
}
