#ifndef LLMSIM_ANSWER_H
#define LLMSIM_ANSWER_H

/*
 * The bodies and events of every API, as bytes. The text of an answer is always the words "word01 word02 … ", one
 * token each with its blank, so that whoever receives it can tell exactly what is missing, doubled or changed.
 */

#include "gatewayd/buf.h"
#include "tools/llmsim/api.h"

enum { ANSWER_TOKENS_MAX = 1000000, ANSWER_BYTES_MAX = 8 << 20, ANSWER_MODEL_MAX = 256 };

/* The first `count` words, and where each begins. Grows, never shrinks; zeroed to start. */
struct words {
    struct buf text;
    uint32_t *ends;
    unsigned count, size;
};

void words_need(struct words *w, unsigned count);
struct str words_first(const struct words *w, unsigned count);
unsigned words_covering(struct words *w, size_t bytes); /* how many words it takes to make that many bytes */
void words_fini(struct words *w);

/* What one answer says. */
struct answer {
    enum api api;
    const struct words *words;
    unsigned tokens;         /* words of the text */
    size_t bytes;            /* of the text, when it must have a certain size; else 0 */
    unsigned prompt_tokens;
    bool usage;              /* a stream ends with its usage */
    bool shortened;          /* the caller's own token limit ended the text */
    unsigned inputs, dimensions; /* of embeddings and moderations */
    uint64_t number;         /* makes the ids of this answer */
    int64_t created;
    unsigned sequence;       /* next number of a /v1/responses event */
    size_t model_len;
    char model[ANSWER_MODEL_MAX]; /* still escaped, as it was asked */
};

void answer_whole(struct buf *out, const struct answer *a);
void answer_response(struct buf *out, const struct answer *a, const char *status); /* the object of /v1/responses */
void answer_models(struct buf *out, struct str one, int64_t created); /* all of them, or the one (unescaped) */

/* A stream is one opening, `tokens` tokens counted from 1, one closing and, where the API has one, a done mark. */
void answer_opening(struct buf *out, struct answer *a);
void answer_tokens(struct buf *out, struct answer *a, unsigned from, unsigned until); /* from < token <= until */
void answer_closing(struct buf *out, struct answer *a);
void answer_done(struct buf *out, const struct answer *a);
void answer_bad_event(struct buf *out, const struct answer *a);

struct shape;

struct answer_error {
    const struct shape *shape;           /* instead of the API's own; NULL: none, and the next three count */
    const char *type, *code, *anthropic; /* `code` may be NULL */
    struct str message, more;            /* `more`: further members, with a leading comma */
};

void answer_error(struct buf *out, enum api api, uint64_t number, const struct answer_error *e);
void answer_error_event(struct buf *out, struct answer *a, const struct answer_error *e);

#endif
