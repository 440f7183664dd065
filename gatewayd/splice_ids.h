#ifndef GATEWAYD_SPLICE_IDS_H
#define GATEWAYD_SPLICE_IDS_H

/*
 * The names by which a client knows an answer and its parts: those of the stream it was given first, whatever later
 * streams call them. All are JSON literals, a string with its quotes, so that one can stand in another's place.
 */

#include "gatewayd/splice_kept.h"

enum splice_first { SPLICE_ID, SPLICE_CREATED, SPLICE_MODEL, SPLICE_FIRSTS };

enum { SPLICE_CALLS_MAX = 1024 };

/* A tool call of a choice, or an output item (of choice 0). */
struct splice_call {
    uint64_t choice;
    uint64_t index;
    struct splice_span label;  /* of its mark in this stream */
    struct splice_span theirs; /* its id in this stream */
    struct splice_span given;  /* what the client was given: see splice_ids_give() */
};

struct splice_ids {
    struct buf text; /* into which every span points */
    struct splice_span firsts[SPLICE_FIRSTS];
    uint64_t sequence; /* the number that the client's next event bears; 0: its events have none */
    struct buf calls;  /* of the stream that is being read, each index's latest last */
};

void splice_ids_fini(struct splice_ids *ids);
void splice_ids_clear(struct splice_ids *ids);
/* Another stream begins, and with it its own calls. */
void splice_ids_rewind(struct splice_ids *ids);

/* What stands for nothing: an empty string, null, 0. Some announce a stream with it before the first real event. */
bool splice_ids_is_blank(struct str literal);

/* Remember, if it is the first that says anything. 0 or -ENOMEM. */
int splice_ids_learn(struct splice_ids *ids, enum splice_first which, struct str literal);
/* Empty when there is none. */
struct str splice_ids_first(const struct splice_ids *ids, enum splice_first which);

/* Keep the one or two ids (either may be empty) of a call that the client is given. 0 or -ENOMEM. */
int splice_ids_give(struct splice_ids *ids, struct str id, struct str call_id, struct splice_span *given);
/* A call begins in this stream, which calls it `theirs`. 0, -ENOMEM, or 1 when there are too many. */
int splice_ids_begin(struct splice_ids *ids, uint64_t choice, uint64_t index, struct str label, struct str theirs,
                     struct splice_span given);
/* Whether such a beginning only repeats that of the call there is: the same label, and no other id. */
bool splice_ids_repeats(const struct splice_ids *ids, uint64_t choice, uint64_t index, struct str label,
                        struct str theirs);
/* What the client calls it: its id or its call_id; empty when nothing is known. */
struct str splice_ids_of(const struct splice_ids *ids, uint64_t choice, uint64_t index, bool call_id);

#endif
