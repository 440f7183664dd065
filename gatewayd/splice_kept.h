#ifndef GATEWAYD_SPLICE_KEPT_H
#define GATEWAYD_SPLICE_KEPT_H

/*
 * What a client has been given: for each choice (its track) a sequence of runs, and where a replay stands in it. A run
 * is text or a mark, and its label says of what; the first byte of a label tells the two apart. Runs of one label that
 * follow each other are one text: they are several only because another track's text came between them.
 */

#include "gatewayd/splice_text.h"

enum { SPLICE_TRACKS_MAX = 128, SPLICE_MARK_SIGN = '!', SPLICE_TEXT_SIGN = '.' };

struct splice_span {
    uint32_t from;
    uint32_t len;
};

struct splice_run {
    struct splice_span label; /* in `text` */
    struct splice_span text;  /* in `text`; of a mark: whatever its owner wants to remember */
    uint32_t next;            /* the next one of this track, counted from 1; 0: none yet */
};

struct splice_track {
    uint64_t choice;
    uint32_t first; /* runs, counted from 1; 0: none yet */
    uint32_t last;
    uint32_t at; /* the run in which the replay stands; 0: before the first */
    uint32_t offset;
};

struct splice_kept {
    struct buf text;
    struct buf runs;
    struct buf tracks;
};

void splice_kept_fini(struct splice_kept *kept);
/* More than is kept of one answer. */
bool splice_kept_is_full(const struct splice_kept *kept);

/* Add to the end of a track, which begins to exist with that. The replay then stands behind it. 0, -ENOMEM, or 1 when
 * there are too many tracks. */
int splice_kept_track(struct splice_kept *kept, uint64_t choice);
int splice_kept_text(struct splice_kept *kept, uint64_t choice, struct str label, struct splice_text text);
int splice_kept_mark(struct splice_kept *kept, uint64_t choice, struct str label, struct splice_span remember);
/* The quick way for text of the same label as the last: `track` is what splice_kept_find() gave. 0; -ENOMEM; 1 when it
 * may not stand in a string or when that text does not end where `text` does. */
int splice_kept_more(struct splice_kept *kept, size_t track, struct splice_text text);
/* The number of a choice's track, or SIZE_MAX. */
size_t splice_kept_find(const struct splice_kept *kept, uint64_t choice);

/* Every replay begins before the first run of every track. */
void splice_kept_rewind(struct splice_kept *kept);
/* Whether the replay stands behind the last run of every track. */
bool splice_kept_is_passed(const struct splice_kept *kept);

enum splice_match {
    SPLICE_MATCH_HAD,  /* all of it is there */
    SPLICE_MATCH_NEW,  /* what is left of it stands behind all that is there */
    SPLICE_MATCH_OTHER /* something else is there */
};

/* Go on through a track. Of a text the part that is there is taken off its front, also when none is left. */
enum splice_match splice_kept_match_text(struct splice_kept *kept, uint64_t choice, struct str label,
                                         struct splice_text *text);
enum splice_match splice_kept_match_mark(struct splice_kept *kept, uint64_t choice, struct str label,
                                         struct splice_span *remembered);

#endif
