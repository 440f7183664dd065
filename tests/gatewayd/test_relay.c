/*
 * The client's side: the head goes out with the first bytes, bytes are framed when nobody knows how many will come, and
 * nothing is lost when the client has gone.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gatewayd/relay.h"

struct scene {
    struct sock client;
    struct relay relay;
    int peer;
    size_t length;
};

static int make_head(struct relay *relay, struct buf *head, size_t length)
{
    ((struct scene *)(void *)((char *)relay - offsetof(struct scene, relay)))->length = length;
    return buf_add_str(head, STR("HEAD\r\n\r\n"));
}

static void begin(struct scene *s)
{
    int pair[2];

    *s = (struct scene){.length = 77};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    s->client.fd = pair[0];
    s->peer = pair[1];
    s->relay = (struct relay){.client = &s->client, .make_head = make_head};
    relay_reset(&s->relay);
}

static void end(struct scene *s)
{
    close(s->client.fd);
    close(s->peer);
    relay_fini(&s->relay);
    buf_fini(&s->client.out);
}

static void assert_got(struct scene *s, const char *want)
{
    char got[256];
    ssize_t n = read(s->peer, got, sizeof got - 1);

    got[n > 0 ? n : 0] = '\0';
    assert_string_equal(got, want);
}

static void sends_the_head_with_the_first_bytes(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_int_equal(relay_commit(&s.relay, SIZE_MAX), 0);
    assert_true(s.relay.committed);
    assert_int_equal(s.length, SIZE_MAX);
    assert_got(&s, "");
    assert_int_equal(relay_pass(&s.relay, STR("one")), 0);
    assert_got(&s, "HEAD\r\n\r\none");
    assert_int_equal(relay_pass(&s.relay, STR("two")), 0);
    assert_int_equal(relay_end(&s.relay), 0);
    assert_got(&s, "two");
    assert_int_equal(s.relay.bytes, 6);
    end(&s);
}

static void frames_what_has_no_length(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.relay.chunked = true;
    assert_int_equal(relay_commit(&s.relay, SIZE_MAX), 0);
    assert_int_equal(relay_pass(&s.relay, STR("eighteen bytes it is")), 0);
    assert_int_equal(relay_pass(&s.relay, STR("")), 0); /* would be the end of the body */
    assert_int_equal(relay_end(&s.relay), 0);
    assert_got(&s, "HEAD\r\n\r\n14\r\neighteen bytes it is\r\n0\r\n\r\n");
    end(&s);
}

static void leaves_frames_out_of_a_known_length(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.relay.chunked = true;
    assert_int_equal(relay_commit(&s.relay, 3), 0);
    assert_int_equal(s.length, 3);
    assert_int_equal(relay_pass(&s.relay, STR("one")), 0);
    assert_int_equal(relay_end(&s.relay), 0);
    assert_got(&s, "HEAD\r\n\r\none");
    end(&s);
    begin(&s); /* no body at all: the head goes with the end */
    assert_int_equal(relay_commit(&s.relay, 0), 0);
    assert_int_equal(relay_end(&s.relay), 0);
    assert_got(&s, "HEAD\r\n\r\n");
    end(&s);
}

static void says_when_the_client_has_gone(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    close(s.peer);
    s.peer = -1;
    assert_int_equal(relay_commit(&s.relay, SIZE_MAX), 0);
    assert_true(relay_pass(&s.relay, STR("one")) < 0);
    assert_true(s.client.failed);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_the_head_with_the_first_bytes),
        cmocka_unit_test(frames_what_has_no_length),
        cmocka_unit_test(leaves_frames_out_of_a_known_length),
        cmocka_unit_test(says_when_the_client_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
