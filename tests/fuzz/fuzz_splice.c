/*
 * Answers told twice. The promise: an answer that is told once more, in other pieces, with other escapes and other ids,
 * goes on from any event at which the first telling was cut, and what the client then has is the whole answer, not one
 * character lost or doubled, under the ids that it knew first; an answer that is another one differs. And whatever a
 * stream holds, it agrees with itself, and is kept the same by the quick way as by the careful one.
 */

#include "gatewayd/splice_take.h"
#include "gatewayd/sse.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/retelling.h"

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition) ((condition) ? (void)0 : broken(__LINE__, #condition))

#define CHAT_DELTA "data: {\"id\":\"a\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{"
#define BLOCK "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
#define OUTPUT_TEXT "data: {\"type\":\"response.output_text.delta\",\"item_id\":\"i\",\"output_index\":0,"

const struct fuzz_word fuzz_seeds[] = {
    WORD("1" CHAT_DELTA "\"content\":\"Hello\"}}]}\n\n" CHAT_DELTA "\"content\":\" you\"}}]}\n\n"
         CHAT_DELTA "\"content\":\"\\ud83d\"},\"finish_reason\":null}],\"obfuscation\":\"abc\"}\n\n"
         CHAT_DELTA "\"content\":\"\\ude00\"},\"finish_reason\":null}],\"obfuscation\":\"d\"}\n\n"),
    WORD("1" CHAT_DELTA
         "\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n"
         CHAT_DELTA "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n"
         CHAT_DELTA "\"reasoning\":\"x\",\"reasoning_content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n"),
    WORD("2data: {\"choices\":[{\"text\":\"a\",\"index\":0}]}\n\n"
         "data: {\"choices\":[{\"text\":\"b\",\"index\":1}]}\n\n"),
    WORD("3" OUTPUT_TEXT "\"delta\":\"a\",\"sequence_number\":3}\n\n"
         OUTPUT_TEXT "\"delta\":\"b\",\"sequence_number\":4}\n\n"
         "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"id\":\"i\"}}\n\n"),
    WORD("4" BLOCK "\"text_delta\",\"text\":\"a\"}}\n\n"
         BLOCK "\"input_json_delta\",\"partial_json\":\"{\"}}\n\n"
         "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\"}}\n\n"),
    WORD("0 an answer of words, long enough to be cut \x01\x02\x03\x04\x05\x06\x07\x08\x09 more than once"),
    WORD("0aaaaaaaaaaaaaaaaaaaa\x05\x05\x05\x05\x05\x05\x06\x06\x07\x07"),
};
const size_t fuzz_seed_count = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);

const struct fuzz_word fuzz_words[] = {
    WORD("\n\n"), WORD("\n"), WORD("\r"), WORD("data: "), WORD("data:"), WORD("event: error"), WORD(": x\n\n"),
    WORD("data: [DONE]\n\n"), WORD("\""), WORD("\\"), WORD("{"), WORD("}"), WORD("["), WORD("]"), WORD(","), WORD(":"),
    WORD("null"), WORD("\\ud83d"), WORD("\\ude00"), WORD("\\u00"), WORD("\xf0\x9f\x98\x80"), WORD("\xf0\x9f"),
    WORD("\x98\x80"), WORD("\xef\xbb\xbf"), WORD("\"id\":\"b\","), WORD("\"index\":1,"), WORD("\"index\":999,"),
    WORD("\"name\":\"g\","), WORD("\"content\":\"z\","), WORD("\"delta\":{},"), WORD("\"delta\":"), WORD("0"),
    WORD("\"finish_reason\":\"stop\","), WORD("\"usage\":null,"), WORD("\"choices\":[]"), WORD("18446744073709551615"),
    WORD("response.created"), WORD("message_start"), WORD("\"sequence_number\":7,"), WORD("\x01"), WORD("\x07"),
};
const size_t fuzz_word_count = sizeof(fuzz_words) / sizeof(fuzz_words[0]);

static void broken(int line, const char *what)
{
    fprintf(stderr, "fuzz_splice.c:%d: not so: %s\n", line, what);
    abort();
}

/* The next event of a stream that is whatever it is. */
static bool next_event(struct str *stream, struct str *event)
{
    size_t scanned = 0, len = sse_event_end(*stream, &scanned);

    if (len == 0)
        return false;
    *event = (struct str){stream->at, len};
    *stream = (struct str){stream->at + len, stream->len - len};
    return true;
}

static void check_same(const struct splice *quick, const struct splice *careful)
{
    MUST(quick->lost == careful->lost);
    MUST(quick->ids.sequence == careful->ids.sequence);
    MUST(buf_len(&quick->kept.text) == buf_len(&careful->kept.text));
    if (buf_len(&quick->kept.text) > 0)
        MUST(str_eq(buf_str(&quick->kept.text), buf_str(&careful->kept.text)));
    MUST(buf_len(&quick->kept.runs) == buf_len(&careful->kept.runs));
}

static void note_all(struct splice *splice, enum splice_api api, struct str stream)
{
    struct splice careful = {.api = SPLICE_NONE};
    struct str event;

    splice_begin(splice, api);
    splice_begin(&careful, api);
    while (next_event(&stream, &event)) {
        splice_note(splice, event);
        splice_shape_forget(&careful.shape);
        splice_note(&careful, event);
        check_same(splice, &careful);
    }
    splice_fini(&careful);
}

/* A stream that is told once more word by word is the same, and brings nothing, but where it says that it ends. */
static void check_itself(enum splice_api api, struct str stream)
{
    struct splice splice = {.api = SPLICE_NONE};
    struct buf out = {.data = NULL};
    struct str event;
    int r = SPLICE_HAD;

    note_all(&splice, api, stream);
    if (splice_possible(&splice)) {
        splice_replay(&splice);
        while (!splice_caught_up(&splice) && r != SPLICE_DIFFERS) {
            MUST(next_event(&stream, &event));
            r = splice_event(&splice, event, &out);
            MUST(r == SPLICE_HAD || r == SPLICE_DIFFERS);
            MUST(buf_len(&out) == 0);
        }
        if (r == SPLICE_DIFFERS) {
            int kind = splice_take(&splice.taken, api, &splice.ids, event);
            MUST(kind == SPLICE_TERMINAL || kind == SPLICE_ERROR);
        }
    }
    buf_fini(&out);
    splice_fini(&splice);
}

/* One half of the stream is followed by the other; nothing is promised but that each event comes out whole or not. */
static void check_halves(enum splice_api api, struct str stream)
{
    struct splice splice = {.api = SPLICE_NONE};
    struct buf out = {.data = NULL};
    struct str event, half = {stream.at, stream.len / 2};

    note_all(&splice, api, half);
    splice_replay(&splice);
    while (next_event(&stream, &event)) {
        int r = splice_event(&splice, event, &out);
        MUST(r >= SPLICE_HAD && r <= SPLICE_DIFFERS);
        MUST((r == SPLICE_PASS) == (buf_len(&out) > 0));
        if (r == SPLICE_PASS) {
            size_t scanned = 0, came = 0;
            if (sse_event_end(event, &came) == event.len) /* not so when it ends in a CR that might have had a LF */
                MUST(sse_event_end(buf_str(&out), &scanned) == buf_len(&out));
            MUST(sse_judge(buf_str(&out)) != SSE_BAD || sse_judge(event) == SSE_BAD);
        }
        buf_clear(&out);
    }
    buf_fini(&out);
    splice_fini(&splice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    const char *what;

    if (size == 0)
        return 0;
    enum splice_api api = (enum splice_api)(SPLICE_CHAT + data[0] % 4);
    what = retelling(data, size);
    if (what != NULL)
        broken(__LINE__, what);
    in.at++;
    in.len--;
    check_itself(api, in);
    check_halves(api, in);
    return 0;
}
