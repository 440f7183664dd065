/* The client's reader of answers: one state, one step, in the order in which the parts of an answer come. */

#include "tests/bench/answer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_MAX = 64 * 1024 * 1024 };

void answer_begin(struct answer *answer)
{
    answer->reading = ANSWER_HEAD;
    answer->status = 0;
    answer->left = 0;
    answer->line = 0;
    answer->head_len = 0;
}

/* The head is whole: status and framing. */
static bool understand_head(struct answer *answer)
{
    answer->head[answer->head_len - 1] = '\0';
    if (strncmp(answer->head, "HTTP/1.1 ", 9) != 0)
        return false;
    answer->status = (int)strtol(answer->head + 9, NULL, 10);
    const char *length = strcasestr(answer->head, "\ncontent-length:");
    const char *coding = strcasestr(answer->head, "\ntransfer-encoding: chunked");
    if (!length == !coding)
        return false;
    if (coding) {
        answer->reading = ANSWER_CHUNK_SIZE;
    } else {
        answer->left = strtoul(length + 16, NULL, 10);
        answer->reading = answer->left ? ANSWER_BODY : ANSWER_NONE;
    }
    return true;
}

static ptrdiff_t read_head(struct answer *answer, const char *data, size_t len)
{
    size_t before = answer->head_len;
    size_t room = sizeof answer->head - before;
    size_t some = len < room ? len : room;
    memcpy(answer->head + before, data, some);
    size_t from = before > 3 ? before - 3 : 0;
    const char *end = memmem(answer->head + from, before + some - from, "\r\n\r\n", 4);
    if (!end) {
        answer->head_len = before + some;
        return answer->head_len < sizeof answer->head ? (ptrdiff_t)some : -1;
    }
    answer->head_len = (size_t)(end - answer->head) + 4;
    return understand_head(answer) ? (ptrdiff_t)(answer->head_len - before) : -1;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

ptrdiff_t answer_read(struct answer *answer, const char *data, size_t len, struct payload *payload)
{
    bool line_end = *data == '\n';
    bool in_line_end = line_end || *data == '\r';
    size_t some = len < answer->left ? len : answer->left;
    switch (answer->reading) {
    case ANSWER_HEAD:
        return read_head(answer, data, len);
    case ANSWER_BODY:
    case ANSWER_CHUNK:
        *payload = (struct payload){data, some};
        answer->left -= some;
        if (answer->left == 0)
            answer->reading = answer->reading == ANSWER_BODY ? ANSWER_NONE : ANSWER_CHUNK_END;
        return (ptrdiff_t)some;
    case ANSWER_CHUNK_SIZE:
        if (hex(*data) >= 0) {
            answer->left = answer->left * 16 + (size_t)hex(*data);
            return answer->left <= CHUNK_MAX ? 1 : -1;
        }
        if (line_end)
            answer->reading = answer->left ? ANSWER_CHUNK : ANSWER_TRAILER;
        return in_line_end ? 1 : -1;
    case ANSWER_CHUNK_END:
        if (line_end)
            answer->reading = ANSWER_CHUNK_SIZE;
        return in_line_end ? 1 : -1;
    case ANSWER_TRAILER:
        if (line_end && answer->line == 0)
            answer->reading = ANSWER_NONE;
        answer->line = line_end ? 0 : answer->line + !in_line_end;
        return 1;
    case ANSWER_NONE:
    default:
        return -1;
    }
}
