/*
 * As much of HTTP/2 as an upstream with one answer needs. Request headers are not decoded at all: whether an answer is
 * to be streamed stands in the body, and an encoder's state that nobody reads need not be kept. Answers use the static
 * header table alone. Flow control is kept in both directions, since a client's window is part of what is measured.
 */

#include "tests/bench/backend.h"

#include <string.h>

enum frame_type {
    FRAME_DATA,
    FRAME_HEADERS,
    FRAME_PRIORITY,
    FRAME_RST_STREAM,
    FRAME_SETTINGS,
    FRAME_PUSH_PROMISE,
    FRAME_PING,
    FRAME_GOAWAY,
    FRAME_WINDOW_UPDATE,
    FRAME_CONTINUATION,
};

enum { FRAME_HEAD = 9, FRAME_MAX = 16384, ACK = 1, END_STREAM = 1, END_HEADERS = 4, PADDED = 8 };
enum { MAX_CONCURRENT_STREAMS = 3, INITIAL_WINDOW_SIZE = 4, BODY_MAX = 1024 * 1024, ACKNOWLEDGE_AT = 16384 };

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static uint32_t read_u32(const char *at)
{
    const unsigned char *byte = (const unsigned char *)at;
    return (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
}

static void write_u32(char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(value >> (24 - 8 * i) & 0xff);
}

static void add_frame(struct conn *conn, enum frame_type type, unsigned flags, uint32_t id, const void *data,
                      size_t len)
{
    char head[FRAME_HEAD] = {(char)(len >> 16 & 0xff), (char)(len >> 8 & 0xff), (char)(len & 0xff), (char)type,
                             (char)flags};
    write_u32(head + 5, id);
    conn_add(conn, head, sizeof head);
    if (len)
        conn_add(conn, data, len);
}

static void add_window(struct conn *conn, uint32_t id, size_t more)
{
    char data[4];
    write_u32(data, (uint32_t)more);
    add_frame(conn, FRAME_WINDOW_UPDATE, 0, id, data, sizeof data);
}

/* :status 200 from the static table, then content-type as a literal that is not indexed. */
static void add_head(struct conn *conn, uint32_t id, const char *type)
{
    char block[64] = {(char)0x88, 0x0f, 0x10};
    size_t len = strlen(type);
    block[3] = (char)len;
    memcpy(block + 4, type, len);
    add_frame(conn, FRAME_HEADERS, END_HEADERS, id, block, len + 4);
}

bool h2_send_event(struct stream *stream, const struct event *event, bool first, bool last)
{
    struct conn *conn = stream->conn;
    if (stream->window < (int64_t)event->text_len || conn->h2.window < (int64_t)event->text_len)
        return false;
    if (first)
        add_head(conn, stream->id, "text/event-stream");
    stream->window -= (int64_t)event->text_len;
    conn->h2.window -= (int64_t)event->text_len;
    add_frame(conn, FRAME_DATA, last ? END_STREAM : 0, stream->id, event->text, event->text_len);
    return true;
}

static struct stream *find(struct conn *conn, uint32_t id)
{
    struct stream *stream = conn->streams;
    while (stream && stream->id != id)
        stream = stream->next;
    return stream;
}

/* The whole request is there. An answer that is not streamed goes out whole: it is smaller than any window. */
static void answer(struct stream *stream)
{
    struct conn *conn = stream->conn;
    if (stream_begin(stream, stream->body.at ? stream->body.at : "", stream->body.len)) {
        stream_start(stream);
        return;
    }
    add_head(conn, stream->id, "application/json");
    for (size_t at = 0; at < backend.answer_len; at += FRAME_MAX) {
        size_t left = backend.answer_len - at;
        size_t len = left < FRAME_MAX ? left : FRAME_MAX;
        add_frame(conn, FRAME_DATA, len == left ? END_STREAM : 0, stream->id, backend.answer + at, len);
    }
    conn->h2.window -= (int64_t)backend.answer_len;
    stream_free(stream);
}

static bool on_settings(struct conn *conn, unsigned flags, const char *data, size_t len)
{
    if (flags & ACK)
        return true;
    for (size_t at = 0; at + 6 <= len; at += 6) {
        unsigned name = (unsigned)(unsigned char)data[at] << 8 | (unsigned char)data[at + 1];
        int64_t value = read_u32(data + at + 2);
        if (name != INITIAL_WINDOW_SIZE)
            continue;
        for (struct stream *stream = conn->streams; stream; stream = stream->next)
            stream->window += value - conn->h2.stream_window;
        conn->h2.stream_window = value;
    }
    add_frame(conn, FRAME_SETTINGS, ACK, 0, NULL, 0);
    return true;
}

static bool on_data(struct conn *conn, unsigned flags, uint32_t id, const char *data, size_t len)
{
    conn->h2.unacknowledged += len;
    if (conn->h2.unacknowledged >= ACKNOWLEDGE_AT) {
        add_window(conn, 0, conn->h2.unacknowledged);
        conn->h2.unacknowledged = 0;
    }
    struct stream *stream = find(conn, id);
    if (!stream || stream->answered)
        return true;
    size_t whole = len;
    if (flags & PADDED) {
        if (len < 1 || (unsigned char)data[0] >= len)
            return false;
        len -= 1 + (size_t)(unsigned char)data[0];
        data++;
    }
    bytes_add(&stream->body, data, len);
    if (stream->body.len > BODY_MAX)
        return false;
    if (flags & END_STREAM)
        answer(stream);
    else if (whole)
        add_window(conn, id, whole);
    return true;
}

static bool on_frame(struct conn *conn, unsigned type, unsigned flags, uint32_t id, const char *data, size_t len)
{
    struct stream *stream;
    switch (type) {
    case FRAME_DATA:
        return on_data(conn, flags, id, data, len);
    case FRAME_HEADERS:
        if (id == 0 || find(conn, id))
            return id != 0;
        stream = stream_new(conn, id);
        if (flags & END_STREAM)
            answer(stream);
        return true;
    case FRAME_RST_STREAM:
        stream = find(conn, id);
        if (stream)
            stream_free(stream);
        return true;
    case FRAME_SETTINGS:
        return on_settings(conn, flags, data, len);
    case FRAME_PING:
        if (!(flags & ACK))
            add_frame(conn, FRAME_PING, ACK, 0, data, len);
        return true;
    case FRAME_WINDOW_UPDATE:
        if (len != 4)
            return false;
        stream = find(conn, id);
        if (id == 0)
            conn->h2.window += read_u32(data) & 0x7fffffff;
        else if (stream)
            stream->window += read_u32(data) & 0x7fffffff;
        return true;
    default:
        return true;
    }
}

ptrdiff_t h2_input(struct conn *conn, const char *data, size_t len)
{
    size_t used = 0;
    if (!conn->h2.greeted) {
        if (len < sizeof PREFACE - 1)
            return 0;
        if (memcmp(data, PREFACE, sizeof PREFACE - 1) != 0)
            return -1;
        used = sizeof PREFACE - 1;
        char settings[6] = {0, MAX_CONCURRENT_STREAMS};
        write_u32(settings + 2, backend.max_streams);
        add_frame(conn, FRAME_SETTINGS, 0, 0, settings, sizeof settings);
        conn->h2.greeted = true;
    }
    while (len - used >= FRAME_HEAD) {
        const char *head = data + used;
        size_t size = read_u32(head) >> 8;
        if (size > FRAME_MAX)
            return -1;
        if (len - used - FRAME_HEAD < size)
            break;
        if (!on_frame(conn, (unsigned char)head[3], (unsigned char)head[4], read_u32(head + 5) & 0x7fffffff,
                      head + FRAME_HEAD, size))
            return -1;
        used += FRAME_HEAD + size;
    }
    conn_flush(conn);
    return (ptrdiff_t)used;
}
