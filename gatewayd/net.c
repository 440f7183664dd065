#include "gatewayd/net_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * One socket an address, shared by all workers. SO_REUSEPORT is set so that a successor of a dead master can bind
 * beside the workers it left behind; a Unix socket is bound under a temporary name and renamed over the old file, for
 * the same reason; where the old one is served, not before the new one is, because a successor may die or fail before.
 * A probe by connecting, made before SO_REUSEPORT would hide it, tells a live stranger on the address from that.
 */

enum { BACKLOG = 4096, ANSWER_MS = 200 };

static int refuse(char *why, size_t size, const char *where, const char *what)
{
    snprintf(why, size, "cannot listen on %s: %s", where, what);
    return 1;
}

static bool answers(const struct sockaddr *address, socklen_t len)
{
    /* Never waiting long: a full queue means that somebody listens, and who does not answer soon is not on this
     * host. */
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool answered = connect(fd, address, len) == 0 || errno == EAGAIN;
    if (!answered && errno == EINPROGRESS) {
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        int error = 0;
        socklen_t size = sizeof error;
        answered = poll(&wait, 1, ANSWER_MS) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && !error;
    }
    close(fd);
    return answered;
}

void net_name(struct listener *l, const struct sockaddr *address, socklen_t len)
{
    char host[100] = "?", port[16] = "?";
    getnameinfo(address, len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(l->where, sizeof l->where, address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/*
 * Beside a dead master's socket, the kernel would hand each of the two a share of the new connections, and reset those
 * still queued in one when its last owner ends. This program gives every new connection to the older socket, which is
 * served, until the younger one is; then to that. Once there is only one an index may be out of range, and the kernel
 * falls back to its own choice.
 */
enum { OLDER, YOUNGER };

static void prefer(int fd, unsigned which)
{
    struct sock_filter code[] = {{BPF_RET | BPF_K, 0, 0, which}};
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
}

static int bind_tcp(struct listener *l, const struct addrinfo *info, bool beside, bool may_be_us, char *why,
                    size_t size)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    int on = 1;
    uint16_t port = ((const struct sockaddr_in *)(const void *)info->ai_addr)->sin_port;
    if (!may_be_us && port != 0 && answers(info->ai_addr, info->ai_addrlen))
        return refuse(why, size, l->where, "something is listening there already; stop it or choose another port");
    l->fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return refuse(why, size, l->where, strerror(errno));
    setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted connections inherit it */
    if (info->ai_family == AF_INET6)
        setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(l->fd, info->ai_addr, info->ai_addrlen) != 0 || listen(l->fd, BACKLOG) != 0)
        return refuse(why, size, l->where,
                      errno == EADDRINUSE ? "the address is in use; stop what listens there or choose another port"
                                          : strerror(errno));
    prefer(l->fd, OLDER); /* what it is, until it has a successor */
    l->hidden = beside;
    if (getsockname(l->fd, (struct sockaddr *)&bound, &len) == 0)
        net_name(l, (struct sockaddr *)&bound, len);
    return 0;
}

static int open_tcp(struct listener *l, const struct conf_listen *conf, bool beside, bool may_be_us, char *why,
                    size_t size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *info = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", conf->port);
    int rc = getaddrinfo(conf->host && conf->host[0] ? conf->host : NULL, port, &hints, &info);
    if (rc != 0)
        return refuse(why, size, l->where, gai_strerror(rc));
    rc = bind_tcp(l, info, beside, may_be_us, why, size);
    freeaddrinfo(info);
    return rc;
}

/* Whose it is to be, and who may connect. 0, or 1 with the reason. */
static int find_access(struct listener *l, const struct conf_listen *conf, char *why, size_t size)
{
    const struct group *group = conf->group ? getgrnam(conf->group) : NULL;
    if (conf->group && !group)
        return refuse(why, size, l->where, "its group does not exist; create it or change `group`");
    l->mode = conf->mode;
    l->group = group ? group->gr_gid : (gid_t)-1;
    return 0;
}

static int set_access(const struct listener *l, const char *path, char *why, size_t size)
{
    if ((l->group != (gid_t)-1 && fchownat(AT_FDCWD, path, (uid_t)-1, l->group, AT_SYMLINK_NOFOLLOW) != 0) ||
        chmod(path, l->mode) != 0)
        return refuse(why, size, l->where, strerror(errno));
    return 0;
}

/* Whether the file of this name is the one that was made for this socket. */
static bool is_its_file(const struct listener *l, const char *path)
{
    struct stat st;
    return l->inode && stat(path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->inode;
}

/* Only who holds the lock opens sockets, and replaces what one that was killed has left under this name. */
static bool temporary_name(const char *path, char *out, size_t size)
{
    int len = snprintf(out, size, "%s.new", path);
    return len >= 0 && (size_t)len < size;
}

static int own_and_rename(struct listener *l, const struct conf_listen *conf, const char *temporary, bool beside,
                          char *why, size_t size)
{
    struct stat st;
    if (find_access(l, conf, why, size) != 0 || set_access(l, temporary, why, size) != 0)
        return 1;
    if (listen(l->fd, BACKLOG) != 0 || stat(temporary, &st) != 0 ||
        (!beside && rename(temporary, conf->path) != 0))
        return refuse(why, size, l->where, strerror(errno));
    l->hidden = beside;
    l->dev = st.st_dev;
    l->inode = st.st_ino;
    return 0;
}

/* One that was there before takes the mode and the group of a configuration when that one is in force, not sooner. */
static int publish(struct listener *l, char *why, size_t why_size)
{
    char temporary[sizeof(struct sockaddr_un)];
    if (l->is_unix && l->hidden) {
        if (!temporary_name(l->where, temporary, sizeof temporary) || rename(temporary, l->where) != 0)
            return refuse(why, why_size, l->where, strerror(errno));
    } else if (l->is_unix) {
        return is_its_file(l, l->where) ? set_access(l, l->where, why, why_size) : 0;
    } else if (l->hidden) {
        prefer(l->fd, YOUNGER);
    }
    l->hidden = false;
    return 0;
}

int net_publish(struct listeners *listeners, char *why, size_t why_size)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < listeners->count; i++)
        rc = publish(&listeners->list[i], why, why_size);
    return rc;
}

static int open_unix(struct listener *l, const struct conf_listen *conf, bool beside, char *why, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX}, there = {.sun_family = AF_UNIX};
    struct stat st;
    if (stat(conf->path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return refuse(why, size, l->where, "the file exists and is no socket; remove it or choose another path");
    snprintf(there.sun_path, sizeof there.sun_path, "%s", conf->path);
    if (!beside && answers((struct sockaddr *)&there, sizeof there))
        return refuse(why, size, l->where, "another process is listening there; stop it or choose another path");
    if (!temporary_name(conf->path, address.sun_path, sizeof address.sun_path))
        return refuse(why, size, l->where, "the path is too long for a socket");
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unlink(address.sun_path);
    if (l->fd < 0 || bind(l->fd, (struct sockaddr *)&address, sizeof address) != 0)
        return refuse(why, size, l->where,
                      errno == ENOENT ? "its directory does not exist; create it or change the path" : strerror(errno));
    int rc = own_and_rename(l, conf, address.sun_path, beside, why, size);
    if (rc != 0)
        unlink(address.sun_path);
    return rc;
}

void net_wanted(const struct conf_listen *conf, char *out, size_t size)
{
    if (conf->path)
        snprintf(out, size, "%s", conf->path);
    else
        snprintf(out, size, strchr(conf->host ? conf->host : "", ':') ? "[%s]:%u" : "%s:%u",
                 conf->host ? conf->host : "", conf->port);
}

static const struct listener *find(const struct listeners *listeners, const char *wanted)
{
    for (size_t i = 0; listeners && i < listeners->count; i++)
        if (strcmp(listeners->list[i].wanted, wanted) == 0)
            return &listeners->list[i];
    return NULL;
}

static bool on_port(const struct listeners *listeners, uint16_t port)
{
    char suffix[8];
    int len = snprintf(suffix, sizeof suffix, ":%u", port);
    for (size_t i = 0; i < listeners->count; i++) {
        size_t total = strlen(listeners->list[i].where);
        if (!listeners->list[i].is_unix && total > (size_t)len &&
            strcmp(listeners->list[i].where + total - (size_t)len, suffix) == 0)
            return true;
    }
    return false;
}

static int open_all(struct listeners *listeners, const struct conf_listen *list, size_t count, struct listeners *old,
                    bool beside, char *why, size_t why_size)
{
    struct listeners made = {calloc(count + 1, sizeof *made.list), 0};
    if (!made.list)
        return refuse(why, why_size, "anything", "out of memory");
    for (size_t i = 0; i < count; i++) {
        struct listener *l = &made.list[made.count++];
        l->fd = -1;
        net_wanted(&list[i], l->wanted, sizeof l->wanted);
        snprintf(l->where, sizeof l->where, "%s", l->wanted);
        l->is_unix = list[i].path != NULL;
        const struct listener *kept = find(old, l->wanted);
        if (kept) {
            *l = *kept;
            if (l->is_unix && find_access(l, &list[i], why, why_size) != 0) {
                net_close(&made, old);
                return 1;
            }
            continue;
        }
        /* What answers on another address of a port of ours may well be ourselves. */
        bool may_be_us = beside || (old && !l->is_unix && on_port(old, list[i].port));
        int rc = l->is_unix ? open_unix(l, &list[i], beside, why, why_size)
                            : open_tcp(l, &list[i], beside, may_be_us, why, why_size);
        if (rc != 0) {
            net_close(&made, old);
            return 1;
        }
    }
    *listeners = made;
    return 0;
}

int net_open(struct listeners *listeners, const struct conf *conf, struct listeners *old, bool beside, char *why,
             size_t why_size)
{
    return open_all(listeners, conf->listen, conf->listen_count, old, beside, why, why_size);
}

int net_open_admin(struct listeners *listeners, const struct conf *conf, struct listeners *old, bool beside, char *why,
                   size_t why_size)
{
    return open_all(listeners, conf->admin.listen, conf->admin.listen_count, old, beside, why, why_size);
}

static bool holds(const struct listeners *listeners, int fd)
{
    for (size_t i = 0; listeners && i < listeners->count; i++)
        if (listeners->list[i].fd == fd)
            return true;
    return false;
}

void net_settle(const struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++)
        if (!listeners->list[i].is_unix)
            prefer(listeners->list[i].fd, OLDER);
}

static void remove_file(const struct listener *l)
{
    char temporary[sizeof(struct sockaddr_un)];
    const char *path = l->where;
    if (l->hidden && temporary_name(l->where, temporary, sizeof temporary))
        path = temporary;
    if (is_its_file(l, path))
        unlink(path);
}

void net_close(struct listeners *listeners, const struct listeners *keep)
{
    for (size_t i = 0; i < listeners->count; i++) {
        struct listener *l = &listeners->list[i];
        if (l->fd < 0 || holds(keep, l->fd))
            continue;
        close(l->fd);
        remove_file(l);
    }
    free(listeners->list);
    *listeners = (struct listeners){0};
}

void net_forget(struct listeners *listeners, const struct listeners *keep)
{
    for (size_t i = 0; i < listeners->count; i++) {
        if (listeners->list[i].fd < 0 || holds(keep, listeners->list[i].fd))
            continue;
        close(listeners->list[i].fd);
        listeners->list[i].fd = -1;
    }
}

int net_accept(const struct listener *listener, bool *out_of_files)
{
    *out_of_files = false;
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            return fd;
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        *out_of_files = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        return -1;
    }
}
