/*
 * What the benchmarks' upstream says: one answer of a fixed size, and the events of one stream, made once. Every event
 * has the size that a token of a chat completion commonly has on the wire.
 */

#include "tests/bench/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENT_BYTES = 180 };

bool stream_begin(struct stream *stream, const char *body, size_t len)
{
    stream->answered = true;
    if (!memmem(body, len, "\"stream\":true", 13) && !memmem(body, len, "\"stream\": true", 14))
        return false;
    stream->usage = memmem(body, len, "\"include_usage\"", 15) != NULL;
    return true;
}

const struct event *stream_event(const struct stream *stream, bool *last)
{
    *last = stream->event >= backend.event_count;
    return &backend.events[*last ? backend.event_count + stream->usage : stream->event];
}

static struct event make_event(const char *text)
{
    struct event event = {.text = strdup(text), .text_len = strlen(text)};
    char *chunk;
    int len = asprintf(&chunk, "%zx\r\n%s\r\n", event.text_len, text);
    if (!event.text || len < 0)
        die("memory");
    event.chunk = chunk;
    event.chunk_len = (size_t)len;
    return event;
}

#define CHUNK_HEAD "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
#define CHUNK_MODEL "\"model\":\"bench\",\"choices\":"
#define USAGE "\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":200,\"total_tokens\":400}"

void backend_make_answers(size_t answer_bytes)
{
    char text[1024];
    backend.events = calloc(backend.event_count + 2, sizeof *backend.events);
    if (!backend.events)
        die("memory");
    for (unsigned i = 0; i < backend.event_count; i++) {
        const char *role = i == 0 ? "\"role\":\"assistant\"," : "";
        int len = snprintf(text, sizeof text, CHUNK_HEAD CHUNK_MODEL
                           "[{\"index\":0,\"delta\":{%s\"content\":\" token %u\"},\"finish_reason\":null}]}", role, i);
        /* Spaces after the document fill the event up to its size: valid, and the same in every event. */
        while (len < EVENT_BYTES - 2)
            text[len++] = ' ';
        memcpy(text + len, "\n\n", 3);
        backend.events[i] = make_event(text);
    }
    static const char finish[] =
        CHUNK_HEAD CHUNK_MODEL "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    static const char usage[] = CHUNK_HEAD CHUNK_MODEL "[]," USAGE "}\n\n";
    snprintf(text, sizeof text, "%sdata: [DONE]\n\n", finish);
    backend.events[backend.event_count] = make_event(text);
    snprintf(text, sizeof text, "%s%sdata: [DONE]\n\n", finish, usage);
    backend.events[backend.event_count + 1] = make_event(text);

    static const char before[] =
        "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"bench\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"";
    static const char after[] = "\"},\"finish_reason\":\"stop\"}]," USAGE "}";
    struct bytes answer = {0};
    bytes_add(&answer, before, sizeof before - 1);
    while (answer.len + sizeof after - 1 < answer_bytes)
        bytes_add(&answer, &"the quick brown fox jumps over the lazy dog. "[answer.len % 45], 1);
    bytes_add(&answer, after, sizeof after - 1);
    backend.answer = answer.at;
    backend.answer_len = answer.len;
    int len = snprintf(text, sizeof text,
                       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", answer.len);
    bytes_add(&backend.answer_h1, text, (size_t)len);
    bytes_add(&backend.answer_h1, answer.at, answer.len);
}
