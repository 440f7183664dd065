/*
 * Listening sockets. A socket file whose server has died is replaced; one that still answers is somebody else's, and is
 * left alone.
 */

#include "tools/llmsim/listen.h"

#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/llmsim/conn.h"

enum { BACKLOG = 4096, ACCEPT_AT_ONCE = 64, FLAGS = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC };

static void on_client(struct ev_loop *loop, struct ev_io *w, int events)
{
    struct listener *l = w->data;

    (void)loop, (void)events;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        conn_accept(l->sim, fd, !l->unix_path, l->control);
    }
}

/* Only a socket can be stale: connecting to a plain file is refused just the same, and that file is somebody's. */
static bool is_stale(const struct sockaddr_un *at)
{
    struct stat file;
    int fd = socket(AF_UNIX, FLAGS, 0);
    bool stale = fd >= 0 && lstat(at->sun_path, &file) == 0 && S_ISSOCK(file.st_mode) &&
                 connect(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 && errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return stale;
}

static int open_unix(const char *path, int *out)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, FLAGS, 0);

    if (fd < 0)
        return -errno;
    memcpy(at.sun_path, path, strlen(path));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
        int r = -errno;
        if (r != -EADDRINUSE || !is_stale(&at) || unlink(path) < 0 ||
            bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
            close(fd);
            return r;
        }
    }
    *out = fd;
    return 0;
}

static int open_tcp(const struct addrinfo *ai, int *out)
{
    int fd = socket(ai->ai_family, FLAGS, 0), on = 1;

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    *out = fd;
    return 0;
}

/* Split HOST:PORT, and resolve it. The result is the caller's to free; NULL when it makes no sense. */
static struct addrinfo *resolve(const char *address)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    const char *colon = strrchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : 0;
    uint64_t port;
    char host[128];

    if (len == 0 || len >= sizeof(host) || !str_to_u64(str_of(colon + 1), &port) || port > 65535)
        return NULL;
    if (address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    } else if (memchr(address, ':', len)) {
        return NULL;
    }
    memcpy(host, address, len);
    host[len] = '\0';
    return getaddrinfo(host, colon + 1, &hints, &found) == 0 ? found : NULL;
}

/* The address with the port that was really taken. */
static void name_tcp(struct listener *l, int fd, const char *address)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    char port[16] = "";

    if (getsockname(fd, (struct sockaddr *)&bound, &len) == 0)
        getnameinfo((struct sockaddr *)&bound, len, NULL, 0, port, sizeof(port), NI_NUMERICSERV);
    snprintf(l->url, sizeof(l->url), "http://%.*s:%s", (int)(strrchr(address, ':') - address), address, port);
}

int listen_open(struct listener *l, struct sim *sim, const char *address, bool control, char *why, size_t why_size)
{
    bool is_unix = strncmp(address, "unix:", 5) == 0;
    struct addrinfo *ai = is_unix ? NULL : resolve(address);
    size_t path_len = is_unix ? strlen(address + 5) : 0;
    int fd = -1, r;

    if (is_unix ? path_len == 0 || path_len >= sizeof(((struct sockaddr_un *)0)->sun_path) : !ai) {
        snprintf(why, why_size, "'%s' is no address; write HOST:PORT or unix:PATH", address);
        return 1;
    }
    r = is_unix ? open_unix(address + 5, &fd) : open_tcp(ai, &fd);
    if (ai)
        freeaddrinfo(ai);
    if (r == 0 && listen(fd, BACKLOG) < 0)
        r = -errno;
    if (r < 0) {
        snprintf(why, why_size, "cannot listen on %s: %s", address, strerror(-r));
        if (fd >= 0)
            close(fd);
        return 2;
    }
    *l = (struct listener){.sim = sim, .unix_path = is_unix, .control = control};
    if (is_unix)
        snprintf(l->url, sizeof(l->url), "%s", address);
    else
        name_tcp(l, fd, address);
    ev_io_init(&l->io, on_client, fd, EV_READ);
    l->io.data = l;
    ev_io_start(sim->loop, &l->io);
    return 0;
}

void listen_close(struct listener *l)
{
    if (!l->sim)
        return;
    ev_io_stop(l->sim->loop, &l->io);
    close(l->io.fd);
    if (l->unix_path)
        unlink(l->url + 5);
    l->sim = NULL;
}
