/*
 * The output side of a client's socket: what the kernel does not take waits and goes out in order, the owner is told
 * when all has gone, and a peer that left is an error once and silence from then on.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gatewayd/sock.h"

struct scene {
    struct event_loop loop;
    struct sock sock;
    int peer;
    int drained;
    bool failed_when_drained;
    struct buf got;
    struct buf wanted;
};

static void ready(struct event_io *io, int what)
{
    struct scene *s = (struct scene *)(void *)((char *)io - offsetof(struct scene, sock.io));

    if (what & EVENT_WRITE)
        sock_flush(&s->sock);
}

static void drained(struct sock *sock)
{
    struct scene *s = (struct scene *)(void *)((char *)sock - offsetof(struct scene, sock));

    assert_int_equal(sock_pending(sock), 0);
    s->drained++;
    s->failed_when_drained = sock->failed;
}

static void begin(struct scene *s)
{
    int pair[2];

    *s = (struct scene){.peer = -1};
    assert_int_equal(event_loop_init(&s->loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    s->sock.fd = pair[0];
    s->sock.drained = drained;
    s->peer = pair[1];
    event_io_init(&s->sock.io, &s->loop, pair[0], ready);
}

static void end(struct scene *s)
{
    sock_fini(&s->sock);
    sock_fini(&s->sock);
    close(s->sock.fd);
    close(s->peer);
    buf_fini(&s->got);
    buf_fini(&s->wanted);
    event_loop_fini(&s->loop);
}

static bool read_some(struct scene *s)
{
    assert_int_equal(buf_room(&s->got, 65536), 0);
    ssize_t n = read(s->peer, s->got.data + s->got.end, 65536);
    if (n > 0)
        s->got.end += (size_t)n;
    return n > 0;
}

static void assert_all_came(struct scene *s)
{
    while (read_some(s))
        ;
    assert_int_equal(buf_len(&s->got), buf_len(&s->wanted));
    assert_memory_equal(buf_at(&s->got), buf_at(&s->wanted), buf_len(&s->wanted));
    assert_int_equal(s->sock.sent, buf_len(&s->wanted));
}

/* Send pieces whose every byte says where it stands; the empty ones among them are no trouble. */
static int send_pieces(struct scene *s, const size_t *sizes, int count)
{
    struct iovec pieces[8];
    size_t from = buf_len(&s->wanted);

    for (int i = 0; i < count; i++)
        for (size_t k = 0; k < sizes[i]; k++) {
            char byte = (char)(buf_len(&s->wanted) * 7 >> 3);
            assert_int_equal(buf_add(&s->wanted, &byte, 1), 0);
        }
    for (int i = 0; i < count; i++) {
        pieces[i] = (struct iovec){buf_at(&s->wanted) + from, sizes[i]};
        from += sizes[i];
    }
    return sock_send(&s->sock, pieces, count);
}

/* Until the kernel takes no more and so many bytes wait. */
static void fill(struct scene *s, size_t pending)
{
    while (sock_pending(&s->sock) < pending)
        assert_int_equal(send_pieces(s, (const size_t[]){1000, 0, 3000}, 3), 0);
}

static void sends_at_once(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_int_equal(send_pieces(&s, (const size_t[]){5, 0, 1, 700}, 4), 0);
    assert_int_equal(sock_pending(&s.sock), 0);
    assert_null(s.sock.out.data); /* nothing was copied */
    assert_int_equal(event_io_watched(&s.sock.io), 0);
    assert_int_equal(s.drained, 0);
    assert_int_equal(send_pieces(&s, (const size_t[]){0, 0}, 2), 0);
    assert_int_equal(send_pieces(&s, NULL, 0), 0);
    assert_all_came(&s);
    end(&s);
}

/* Reading in bits of any size: the order stays, reading stays watched, and the owner hears of the end once. */
static void queues_what_is_not_taken(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    sock_watch(&s.sock, true);
    assert_int_equal(event_io_watched(&s.sock.io), EVENT_READ);
    fill(&s, 10000);
    assert_false(sock_full(&s.sock));
    assert_int_equal(event_io_watched(&s.sock.io), EVENT_READ | EVENT_WRITE);
    assert_int_equal(buf_len(&s.wanted), s.sock.sent + sock_pending(&s.sock));
    sock_flush(&s.sock); /* the peer has not read: nothing goes, nobody is told */
    assert_int_equal(s.drained, 0);
    assert_int_equal(event_io_watched(&s.sock.io), EVENT_READ | EVENT_WRITE);

    /* What comes while something waits goes behind it, even when the kernel could take it now. */
    read_some(&s);
    assert_int_equal(send_pieces(&s, (const size_t[]){17}, 1), 0);
    assert_true(sock_pending(&s.sock) > 17);
    while (sock_pending(&s.sock) > 0) {
        assert_true(read_some(&s));
        sock_flush(&s.sock);
    }
    assert_int_equal(s.drained, 1);
    assert_false(s.failed_when_drained);
    assert_int_equal(event_io_watched(&s.sock.io), EVENT_READ);
    assert_all_came(&s);
    assert_int_equal(send_pieces(&s, (const size_t[]){3}, 1), 0);
    assert_int_equal(sock_pending(&s.sock), 0);
    assert_all_came(&s);
    assert_int_equal(s.drained, 1);
    end(&s);
}

static void says_when_it_is_full(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    fill(&s, SOCK_HIGH_WATER - 4000);
    assert_false(sock_full(&s.sock));
    fill(&s, SOCK_HIGH_WATER);
    assert_true(sock_full(&s.sock));
    fill(&s, 10 * SOCK_HIGH_WATER); /* it is a word to the wise, not a wall */
    while (sock_pending(&s.sock) > 0) {
        read_some(&s);
        sock_flush(&s.sock);
    }
    assert_true(s.sock.out.size <= SOCK_HIGH_WATER); /* what one slow reader took is given back */
    assert_all_came(&s);
    end(&s);
}

static void watches_what_is_asked(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    fill(&s, 1);
    assert_int_equal(event_io_watched(&s.sock.io), EVENT_WRITE);
    sock_watch(&s.sock, true);
    assert_int_equal(event_io_watched(&s.sock.io), EVENT_READ | EVENT_WRITE);
    sock_watch(&s.sock, false);
    assert_int_equal(event_io_watched(&s.sock.io), EVENT_WRITE);
    while (sock_pending(&s.sock) > 0) {
        read_some(&s);
        sock_flush(&s.sock);
    }
    assert_int_equal(event_io_watched(&s.sock.io), 0);
    end(&s);
}

static void notices_that_the_peer_left(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    close(s.peer);
    s.peer = -1;
    assert_int_equal(send_pieces(&s, (const size_t[]){10}, 1), -EPIPE);
    assert_true(s.sock.failed);
    assert_int_equal(send_pieces(&s, (const size_t[]){10}, 1), -EPIPE);
    assert_int_equal(sock_pending(&s.sock), 0);
    assert_int_equal(s.sock.sent, 0);
    end(&s);
}

/* It leaves while something waits: that is dropped, and the owner, who waits for it, is told. */
static void notices_it_while_something_waits(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    sock_watch(&s.sock, true);
    fill(&s, 20000);
    close(s.peer);
    s.peer = -1;
    sock_flush(&s.sock);
    assert_true(s.sock.failed);
    assert_int_equal(sock_pending(&s.sock), 0);
    assert_int_equal(s.drained, 1);
    assert_true(s.failed_when_drained);
    assert_int_equal(event_io_watched(&s.sock.io), EVENT_READ);
    assert_true(send_pieces(&s, (const size_t[]){10}, 1) < 0);
    assert_int_equal(s.drained, 1);
    end(&s);
}

/* Within a turn small things are gathered, and nothing overtakes them; the turn's end hands all of it over. */
static void gathers_within_a_turn(void **state)
{
    struct sock_batch batch = {0};
    struct scene s;

    (void)state;
    begin(&s);
    s.sock.batch = &batch;
    for (int i = 0; i < 3; i++)
        assert_int_equal(send_pieces(&s, (const size_t[]){5, 100, 2}, 3), 0);
    assert_ptr_equal(batch.first, &s.sock);
    assert_int_equal(sock_pending(&s.sock), 3 * 107);
    assert_int_equal(s.sock.sent, 0);
    assert_int_equal(event_io_watched(&s.sock.io), 0); /* the kernel has room: nobody needs to be woken */
    sock_batch_flush(&batch);
    assert_null(batch.first);
    assert_int_equal(s.drained, 0); /* nothing had to wait, and nobody asked */
    assert_all_came(&s);
    s.sock.awaited = true;
    assert_int_equal(send_pieces(&s, (const size_t[]){10}, 1), 0);
    sock_batch_flush(&batch);
    assert_int_equal(s.drained, 1);
    assert_all_came(&s);
    sock_batch_flush(&batch);
    assert_int_equal(s.drained, 1);

    /* A large one does not wait, and goes behind what did. */
    assert_int_equal(send_pieces(&s, (const size_t[]){10}, 1), 0);
    assert_int_equal(send_pieces(&s, (const size_t[]){30000}, 1), 0);
    assert_int_equal(sock_pending(&s.sock), 0);
    assert_all_came(&s);
    sock_batch_flush(&batch);
    assert_all_came(&s);
    end(&s);
}

/* A reader that is slow: what is gathered behind a full kernel waits for it, however many turns that takes. */
static void waits_over_turns(void **state)
{
    struct sock_batch batch = {0};
    struct scene s;

    (void)state;
    begin(&s);
    s.sock.batch = &batch;
    while (!s.sock.blocked) {
        assert_int_equal(send_pieces(&s, (const size_t[]){4000}, 1), 0);
        sock_batch_flush(&batch);
    }
    int drains = s.drained;
    assert_null(batch.first);
    assert_int_equal(event_io_watched(&s.sock.io), EVENT_WRITE);
    assert_int_equal(send_pieces(&s, (const size_t[]){50}, 1), 0);
    assert_int_equal(send_pieces(&s, (const size_t[]){50000}, 1), 0);
    sock_batch_flush(&batch);
    assert_int_equal(s.drained, drains);
    while (sock_pending(&s.sock) > 0) {
        assert_true(read_some(&s));
        sock_flush(&s.sock);
    }
    assert_int_equal(s.drained, drains + 1);
    assert_false(s.sock.blocked);
    assert_int_equal(event_io_watched(&s.sock.io), 0);
    assert_all_came(&s);
    end(&s);
}

/* Many in one turn; some of them go before it ends, from any place, some find that their peer has gone. */
static void hands_over_for_all(void **state)
{
    enum { MANY = 5 };
    struct sock_batch batch = {0};
    static struct scene s[MANY];

    (void)state;
    for (int gone = 0; gone < MANY; gone++) {
        for (int i = 0; i < MANY; i++) {
            begin(&s[i]);
            s[i].sock.batch = &batch;
            s[i].sock.awaited = true;
            assert_int_equal(send_pieces(&s[i], (const size_t[]){10, 10}, 2), 0);
        }
        int left = (gone + 2) % MANY;
        close(s[left].peer);
        s[left].peer = -1;
        end(&s[gone]);
        sock_batch_flush(&batch);
        assert_null(batch.first);
        for (int i = 0; i < MANY; i++) {
            if (i == gone)
                continue;
            assert_int_equal(s[i].drained, 1);
            assert_int_equal(s[i].failed_when_drained, i == left);
            if (i != left)
                assert_all_came(&s[i]);
            end(&s[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_at_once),
        cmocka_unit_test(queues_what_is_not_taken),
        cmocka_unit_test(says_when_it_is_full),
        cmocka_unit_test(watches_what_is_asked),
        cmocka_unit_test(notices_that_the_peer_left),
        cmocka_unit_test(notices_it_while_something_waits),
        cmocka_unit_test(gathers_within_a_turn),
        cmocka_unit_test(waits_over_turns),
        cmocka_unit_test(hands_over_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
