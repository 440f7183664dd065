#ifndef GATEWAYD_SPLICE_TAKE_H
#define GATEWAYD_SPLICE_TAKE_H

/*
 * An event taken apart: which pieces of the answer it carries and where its ids stand. Parts are views into the event,
 * in the order in which their texts belong to the answer.
 */

#include "gatewayd/json.h"
#include "gatewayd/splice.h"

enum splice_kind {
    SPLICE_COMMENT,  /* no data */
    SPLICE_OPENING,  /* announces the answer; a client is given it once */
    SPLICE_PARTS,    /* whatever it carries, and be it nothing */
    SPLICE_TERMINAL, /* announces the end */
    SPLICE_ERROR,
    SPLICE_GARBAGE, /* no JSON */
    SPLICE_STRANGE  /* several lines of data, or not the shape that this API promises */
};

enum splice_part_kind {
    SPLICE_PART_CHOICE,   /* the event speaks of this choice */
    SPLICE_PART_TEXT,     /* `value`: the inside of a string, never empty */
    SPLICE_PART_MIRROR,   /* `value`: the same string as the text before, in another member */
    SPLICE_PART_MARK,     /* `id`, `call_id`, `name`: literals, each may be empty */
    SPLICE_PART_FIRST,    /* `value`: the literal of which the client knows the first, `index` says which */
    SPLICE_PART_ID,       /* `value`: the literal of a call's or item's id */
    SPLICE_PART_CALL_ID,  /* the same of its call_id */
    SPLICE_PART_SEQUENCE, /* `value`: the number of this event */
    SPLICE_PART_NOISE     /* `value`: the inside of a string that is different in every event and means nothing */
};

struct splice_part {
    enum splice_part_kind kind;
    bool begins; /* a mark: a call or item of this `index` begins */
    uint64_t choice;
    uint64_t index;
    struct splice_span label; /* in the labels */
    struct str value;
    struct str id;
    struct str call_id;
    struct str name;
    enum splice_match match; /* what became of it */
    struct splice_text rest;
    struct splice_span given;
};

/* Take an event apart. Repeated beginnings of calls are told by what `ids` knows of this stream. -ENOMEM or its kind;
 * the parts are those of the latest call. */
int splice_take(struct splice_taken *taken, enum splice_api api, const struct splice_ids *ids, struct str event);

void splice_taken_fini(struct splice_taken *taken);
size_t splice_taken_count(const struct splice_taken *taken);
struct splice_part *splice_taken_part(const struct splice_taken *taken, size_t i);
struct str splice_taken_label(const struct splice_taken *taken, const struct splice_part *part);

/* What the files that know one API each are made of. Memory that runs out is remembered in `taken`; a part is NULL
 * then. */
struct splice_part *splice_take_part(struct splice_taken *taken, enum splice_part_kind kind, uint64_t choice);
/* A literal that the event may lack; a string of it keeps its quotes. */
struct str splice_take_literal(struct json_value value);
void splice_take_value(struct splice_taken *taken, enum splice_part_kind kind, uint64_t choice, uint64_t index,
                       struct json_value value);
/* A text under this label; nothing when it is empty, null or not there. False when it is something else. */
bool splice_take_text(struct splice_taken *taken, uint64_t choice, struct json_value value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
struct splice_part *splice_take_mark(struct splice_taken *taken, uint64_t choice, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Add a string, unescaped, to the label of the latest mark. */
void splice_take_more(struct splice_taken *taken, struct splice_part *mark, struct json_value value);
/* Some write indexes that others leave out. */
uint64_t splice_take_index(struct json_value value, uint64_t otherwise);

/* The APIs. Each is given the data of an event and says what kind it is. */
enum splice_kind splice_take_chunk(struct splice_taken *taken, enum splice_api api, const struct splice_ids *ids,
                                   struct str data);
enum splice_kind splice_take_message(struct splice_taken *taken, struct str event, struct str data);
enum splice_kind splice_take_response(struct splice_taken *taken, struct str event, struct str data);

#endif
