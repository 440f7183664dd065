#include "gatewayd/sock.h"

#include <errno.h>
#include <sys/socket.h>

/*
 * One sendmsg() for a whole answer (head and body as pieces) is what makes a small answer cheap; the buffer is touched
 * only for a reader that is slower than the upstream.
 */

static int fail(struct sock *sock, int error)
{
    sock->failed = true;
    buf_clear(&sock->out);
    return -error;
}

static int queue(struct sock *sock, const struct iovec *pieces, int count, size_t skip)
{
    for (int i = 0; i < count; i++) {
        if (skip >= pieces[i].iov_len) {
            skip -= pieces[i].iov_len;
            continue;
        }
        if (buf_add(&sock->out, (const char *)pieces[i].iov_base + skip, pieces[i].iov_len - skip) != 0)
            return fail(sock, ENOMEM);
        skip = 0;
    }
    sock_watch(sock, event_io_watched(&sock->io) & EVENT_READ);
    return 0;
}

int sock_send(struct sock *sock, const struct iovec *pieces, int count)
{
    if (sock->failed)
        return -EPIPE;
    if (buf_len(&sock->out) > 0)
        return queue(sock, pieces, count, 0);

    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += pieces[i].iov_len;
    struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = (size_t)count};
    ssize_t n;
    do
        n = sendmsg(sock->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        return fail(sock, errno);
    size_t taken = n > 0 ? (size_t)n : 0;
    sock->sent += taken;
    return taken == total ? 0 : queue(sock, pieces, count, taken);
}

void sock_flush(struct sock *sock)
{
    while (buf_len(&sock->out) > 0) {
        ssize_t n = send(sock->fd, buf_at(&sock->out), buf_len(&sock->out), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n < 0) {
            fail(sock, errno);
            break;
        }
        sock->sent += (size_t)n;
        buf_consume(&sock->out, (size_t)n);
    }
    buf_shrink(&sock->out, SOCK_HIGH_WATER);
    sock_watch(sock, event_io_watched(&sock->io) & EVENT_READ);
    sock->drained(sock);
}

void sock_watch(struct sock *sock, bool reading)
{
    event_io_watch(&sock->io, (reading ? EVENT_READ : 0) | (buf_len(&sock->out) > 0 ? EVENT_WRITE : 0));
}
