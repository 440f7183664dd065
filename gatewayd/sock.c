#include "gatewayd/sock.h"

#include <errno.h>
#include <sys/socket.h>

/*
 * Gathering costs a copy of a few hundred bytes and saves a system call for every event but the first of a turn, and
 * the kernel the work of taking a message apart into pieces. Large pieces are not worth a copy and go straight out.
 */

enum { GATHER_MAX = 16 * 1024 };

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
    return 0;
}

static void block(struct sock *sock)
{
    sock->blocked = true;
    sock_watch(sock, event_io_watched(&sock->io) & EVENT_READ);
}

static void join(struct sock *sock)
{
    if (sock->place)
        return;
    sock->next = sock->batch->first;
    if (sock->next)
        sock->next->place = &sock->next;
    sock->batch->first = sock;
    sock->place = &sock->batch->first;
}

static void leave(struct sock *sock)
{
    if (!sock->place)
        return;
    *sock->place = sock->next;
    if (sock->next)
        sock->next->place = sock->place;
    sock->place = NULL;
    sock->next = NULL;
}

static int send_now(struct sock *sock, const struct iovec *pieces, int count, size_t total)
{
    struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = (size_t)count};
    ssize_t n;
    do
        n = sendmsg(sock->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        return fail(sock, errno);
    size_t taken = n > 0 ? (size_t)n : 0;
    sock->sent += taken;
    if (taken == total)
        return 0;
    int rc = queue(sock, pieces, count, taken);
    if (rc == 0)
        block(sock);
    return rc;
}

/* What waits, as far as the kernel takes it. */
static void push(struct sock *sock)
{
    while (buf_len(&sock->out) > 0) {
        ssize_t n = send(sock->fd, buf_at(&sock->out), buf_len(&sock->out), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            block(sock);
            return;
        }
        if (n < 0) {
            fail(sock, errno);
            return;
        }
        sock->sent += (size_t)n;
        buf_consume(&sock->out, (size_t)n);
    }
}

int sock_send(struct sock *sock, const struct iovec *pieces, int count)
{
    size_t total = 0;
    if (sock->failed)
        return -EPIPE;
    for (int i = 0; i < count; i++)
        total += pieces[i].iov_len;
    if (sock->blocked)
        return queue(sock, pieces, count, 0);
    if (sock->batch && total <= GATHER_MAX && !sock_full(sock)) {
        join(sock);
        return queue(sock, pieces, count, 0);
    }
    push(sock); /* what was gathered stands before this */
    if (sock->failed)
        return -EPIPE;
    return sock->blocked ? queue(sock, pieces, count, 0) : send_now(sock, pieces, count, total);
}

void sock_flush(struct sock *sock)
{
    bool awaited = sock->awaited || sock->blocked || sock_full(sock);
    leave(sock);
    push(sock);
    if (buf_len(&sock->out) > 0)
        return;
    if (!awaited && !sock->failed)
        return;
    sock->blocked = false;
    buf_shrink(&sock->out, SOCK_HIGH_WATER);
    sock_watch(sock, event_io_watched(&sock->io) & EVENT_READ);
    sock->drained(sock);
}

void sock_batch_flush(struct sock_batch *batch)
{
    while (batch->first)
        sock_flush(batch->first);
}

void sock_watch(struct sock *sock, bool reading)
{
    event_io_watch(&sock->io, (reading ? EVENT_READ : 0) | (sock->blocked && !sock->failed ? EVENT_WRITE : 0));
}

void sock_fini(struct sock *sock)
{
    leave(sock);
    event_io_watch(&sock->io, 0);
    buf_fini(&sock->out);
}
