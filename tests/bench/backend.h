#ifndef BENCH_BACKEND_H
#define BENCH_BACKEND_H

/*
 * What the two halves of the benchmark's upstream share: backend.c owns sockets, TLS, HTTP/1.1 and time, backend_h2.c
 * speaks HTTP/2 on top. Every answer is made once at the start and only copied afterwards, so the upstream stays far
 * cheaper than what is measured in front of it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

struct bytes {
    char *at;
    size_t len;
    size_t size;
};

/* One answer in progress. On HTTP/1.1 a connection has at most one, with id 0. */
struct stream {
    struct conn *conn;
    struct stream *next;     /* on its connection */
    struct stream *due_next; /* in the queue of streams by due time */
    struct stream *due_prev;
    uint64_t due; /* when its next event is to be sent, in ns */
    unsigned event; /* the next one */
    uint32_t id;
    int64_t window; /* HTTP/2: bytes that may still be sent on it */
    bool queued;
    bool usage; /* the request asked for a usage event */
    bool answered; /* HTTP/2: the whole request has arrived */
    struct bytes body; /* HTTP/2: of the request, so far */
};

enum conn_speaks { SPEAKS_HTTP1, SPEAKS_UNDECIDED, SPEAKS_HTTP2 };

struct conn {
    int fd;
    SSL *ssl; /* NULL on a plain port */
    enum conn_speaks speaks;
    bool dead; /* to be closed by the loop, which alone frees connections */
    bool wants_out;
    struct bytes in;  /* of input, what is not yet understood */
    struct bytes out; /* of output, what the kernel did not take */
    struct stream *streams;
    struct conn *dead_next;
    struct {
        bool greeted;
        int64_t window;
        int64_t stream_window; /* what the client grants every new stream */
        size_t unacknowledged;
    } h2;
};

/* An event of a stream, in both framings: as it is, and as a chunk. */
struct event {
    const char *chunk;
    size_t chunk_len;
    const char *text;
    size_t text_len;
};

struct backend {
    struct bytes answer_h1;
    const char *answer;
    size_t answer_len;
    struct event *events; /* `event_count`, then the two last ones: without and with usage */
    unsigned event_count;
    uint64_t interval; /* ns between two events of a stream */
    uint32_t max_streams;
};

extern struct backend backend;

/* Print what failed and the reason in errno, and exit. */
_Noreturn void die(const char *what);

/* Make `backend.answer` and its events; the numbers in `backend` are set. */
void backend_make_answers(size_t answer_bytes);

void bytes_add(struct bytes *bytes, const void *data, size_t len);

/* Queue output, and hand it to the kernel. Failure marks the connection dead. */
void conn_add(struct conn *conn, const void *data, size_t len);
void conn_flush(struct conn *conn);

struct stream *stream_new(struct conn *conn, uint32_t id);
void stream_free(struct stream *stream);

/* Look at a whole request body and say whether its answer is to be streamed. */
bool stream_begin(struct stream *stream, const char *body, size_t len);

/* Send the first event of a streamed answer; the others follow by themselves. */
void stream_start(struct stream *stream);

/* The event a stream has to send next; *last says whether it is its last. */
const struct event *stream_event(const struct stream *stream, bool *last);

/* Consume input and return how much of it, or -1 when the connection is beyond help. */
ptrdiff_t h2_input(struct conn *conn, const char *data, size_t len);

/* Send one event; false when flow control does not allow it now. */
bool h2_send_event(struct stream *stream, const struct event *event, bool first, bool last);

#endif
