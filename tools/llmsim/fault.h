#ifndef LLMSIM_FAULT_H
#define LLMSIM_FAULT_H

/*
 * What can go wrong, and when. A specification is one text:
 *
 *   KIND[=DURATION] then any of  @TOKEN  @FROM..UNTIL  :PERCENT%  #COUNT  /OPTION=VALUE
 *
 * Faults are asked in the order given and the first that fires is the request's only fault.
 */

#include "gatewayd/buf.h"
#include "tools/llmsim/api.h"

enum fault_effect {
    EFFECT_NONE,
    EFFECT_ERROR, /* an error answer instead of the real one */
    EFFECT_RESET,
    EFFECT_SILENCE,
    EFFECT_CLOSE_IDLE,
    EFFECT_SLOW_FIRST,
    EFFECT_SLOW_BODY,
    EFFECT_STALL,
    EFFECT_CUT,
    EFFECT_BAD_EVENT,
    EFFECT_NO_DONE,
    EFFECT_ERROR_IN_200,
    EFFECT_EMPTY
};

enum fault_takes { TAKES_NOTHING, TAKES_TOKEN, TAKES_DURATION };

/* One row per kind; adding a kind that is an error answer is adding a row. */
struct fault_kind {
    const char *name;
    enum fault_effect effect;
    enum fault_takes takes;
    unsigned token; /* when none is given */
    int status;
    const char *type, *code, *message; /* of the OpenAI error body */
    const char *anthropic;             /* the type in an Anthropic error body */
};

struct shape;
struct wait_format;

enum { FAULT_WAITS_MAX = 4, FAULTS_MAX = 64 };

struct fault_wait {
    const struct wait_format *format;
    char value[32];
};

struct fault {
    const struct fault_kind *kind;
    char text[160]; /* as it was given */
    double chance;
    int64_t from_ms, until_ms; /* since the set was installed */
    bool counted;              /* fires `left` more times */
    uint64_t left;
    unsigned token;
    int64_t duration_ms;
    char model[64];
    unsigned apis; /* bit set of enum api */
    const struct shape *shape; /* of a 429's body; NULL: the API's own */
    unsigned wait_count;
    struct fault_wait waits[FAULT_WAITS_MAX];
};

struct fault_set {
    int64_t since_ms;
    unsigned count;
    struct fault list[FAULTS_MAX];
};

/* The request that asks. */
struct fault_ask {
    int64_t now_ms;
    enum api api;
    struct str model;
    bool early; /* only the head is known: ask for what needs no more than a reused connection, else for all the rest */
};

/* True and `*out` written, or false and a message in `why`. */
bool fault_parse(const char *text, struct fault *out, char *why, size_t why_size);

/* The fault of this request, or NULL. Draws one number from `*random` per fault with a probability. */
const struct fault *fault_pick(struct fault_set *set, const struct fault_ask *ask, uint64_t *random);

/* The waits an error names: header lines with CRLF into `headers`, members of the error object (each with its leading
 * comma) into `members`, text for the end of the message into `message`. */
void fault_waits(const struct fault *f, int64_t epoch_s, struct buf *headers, struct buf *members, struct buf *message);

/* The next of a repeatable sequence, evenly spread in [0, 1). */
double fault_random(uint64_t *state);

#endif
