#include "gatewayd/net_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gatewayd/log.h"

/*
 * Socket activation. The manager's sockets are matched to the configuration by where they listen and not by their
 * order, so that neither file has to know how the other is written. Their files stay the manager's: without an inode
 * nobody here removes one, or changes its mode.
 */

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage space;
};

static bool same_tcp(const union address *a, const struct sockaddr *other)
{
    const union address *b = (const void *)other;
    if (a->any.sa_family != other->sa_family)
        return false;
    if (other->sa_family == AF_INET)
        return a->in.sin_port == b->in.sin_port && a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    return a->in6.sin6_port == b->in6.sin6_port &&
           memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof b->in6.sin6_addr) == 0;
}

static bool is_there(const union address *address, const struct conf_listen *conf)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *info = NULL;
    char port[8];
    if (conf->path)
        return address->any.sa_family == AF_UNIX && strcmp(address->un.sun_path, conf->path) == 0;
    if (address->any.sa_family != AF_INET && address->any.sa_family != AF_INET6)
        return false;
    snprintf(port, sizeof port, "%u", conf->port);
    if (getaddrinfo(conf->host && conf->host[0] ? conf->host : NULL, port, &hints, &info) != 0)
        return false;
    bool same = same_tcp(address, info->ai_addr);
    freeaddrinfo(info);
    return same;
}

static bool listens(int fd)
{
    int kind = 0, on = 0;
    socklen_t size = sizeof kind;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size) == 0 && kind == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

static void prepare(int fd, bool is_unix)
{
    int on = 1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (!is_unix)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted connections inherit it */
}

/* Whether the list names where the descriptor listens; it is added to those of that list then. */
static bool take(struct listeners *listeners, int fd, const struct conf_listen *list, size_t count)
{
    struct listener *l = &listeners->list[listeners->count];
    union address address = {0};
    socklen_t len = sizeof address;
    if (!listens(fd) || getsockname(fd, &address.any, &len) != 0)
        return false;
    *l = (struct listener){.fd = fd, .is_unix = address.any.sa_family == AF_UNIX};
    for (size_t i = 0; i < count; i++) {
        if (!is_there(&address, &list[i]))
            continue;
        net_wanted(&list[i], l->wanted, sizeof l->wanted);
        if (l->is_unix)
            snprintf(l->where, sizeof l->where, "%s", l->wanted);
        else
            net_name(l, &address.any, len);
        prepare(fd, l->is_unix);
        listeners->count++;
        return true;
    }
    return false;
}

int net_given(struct sockets *given, int first, unsigned count, const struct conf *conf)
{
    given->clients = (struct listeners){calloc(count + 1, sizeof *given->clients.list), 0};
    given->admin = (struct listeners){calloc(count + 1, sizeof *given->admin.list), 0};
    if (!given->clients.list || !given->admin.list)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++) {
        int fd = first + (int)i;
        if (take(&given->clients, fd, conf->listen, conf->listen_count) ||
            take(&given->admin, fd, conf->admin.listen, conf->admin.listen_count))
            continue;
        log_warn("descriptor %d from the service manager is no listening socket that `listen` or `admin` names; "
                 "closing it", fd);
        close(fd);
    }
    return 0;
}
