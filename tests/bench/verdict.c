/*
 * Reads events and JSON by looking for the few marks that llmsim's answers have. It shares no code with the gateway on
 * purpose: a parser that is wrong on both sides finds nothing.
 */

#include "tests/bench/verdict.h"

#include <string.h>

const char *const verdict_names[VERDICTS] = {"whole", "refused", "announced", "broken", "lost", "hung", "short",
                                             "wrong"};

struct said {
    size_t matched; /* bytes of the text, in order */
    bool wrong;
    bool done;
    bool error;
};

static const char *find(const char *at, const char *end, const char *mark)
{
    return at < end ? memmem(at, (size_t)(end - at), mark, strlen(mark)) : NULL;
}

static bool starts(const char *at, const char *end, const char *mark)
{
    return (size_t)(end - at) >= strlen(mark) && memcmp(at, mark, strlen(mark)) == 0;
}

/* Every "content" text between the two must be the next piece of what is expected. llmsim's words need no escapes. */
static void compare_content(const struct verdict_input *in, const char *at, const char *end, struct said *said)
{
    while ((at = find(at, end, "\"content\":\"")) != NULL) {
        at += strlen("\"content\":\"");
        const char *quote = find(at, end, "\"");
        size_t len = quote ? (size_t)(quote - at) : 0;
        if (!quote || len > in->text_len - said->matched || memcmp(at, in->text + said->matched, len) != 0) {
            said->wrong = true;
            return;
        }
        said->matched += len;
        at = quote;
    }
}

static void read_event(const struct verdict_input *in, const char *data, const char *end, struct said *said)
{
    if (said->done || said->error)
        said->wrong = true; /* nothing comes after either of them */
    else if (starts(data, end, "[DONE]"))
        said->done = true;
    else if (find(data, end, "\"error\":{"))
        said->error = true;
    else
        compare_content(in, data, end, said);
}

/* Whole lines only: what was cut in the middle of a line says nothing. */
static struct said read_stream(const struct verdict_input *in)
{
    struct said said = {0};
    const char *end = in->body + in->len;

    for (const char *line = in->body; line < end;) {
        const char *feed = memchr(line, '\n', (size_t)(end - line));
        if (!feed)
            break;
        if (starts(line, feed, "data: "))
            read_event(in, line + 6, feed, &said);
        line = feed + 1;
    }
    return said;
}

static enum verdict judge_stream(const struct verdict_input *in)
{
    struct said said = read_stream(in);
    bool all = said.matched == in->text_len;

    if (said.wrong || (said.done && !all))
        return said.done && !said.wrong ? VERDICT_SHORT : VERDICT_WRONG;
    if (said.error)
        return VERDICT_ANNOUNCED;
    if (!in->ended)
        return VERDICT_BROKEN;
    return said.done ? VERDICT_WHOLE : VERDICT_SHORT;
}

static enum verdict judge_whole(const struct verdict_input *in)
{
    struct said said = {0};

    if (!in->ended)
        return VERDICT_BROKEN;
    compare_content(in, in->body, in->body + in->len, &said);
    if (said.wrong || find(in->body, in->body + in->len, "\"error\":{"))
        return VERDICT_WRONG;
    return said.matched == in->text_len ? VERDICT_WHOLE : VERDICT_SHORT;
}

enum verdict verdict_of(const struct verdict_input *in)
{
    if (in->status < 200 || in->status > 299)
        return in->ended ? VERDICT_REFUSED : VERDICT_BROKEN;
    return in->streamed ? judge_stream(in) : judge_whole(in);
}
