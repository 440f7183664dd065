/*
 * One event after another is kept, or compared with what was kept. An event is compared whole before anything of it is
 * sent or kept, so that one which differs leaves nothing behind.
 */

#include "gatewayd/splice.h"

#include <errno.h>

#include "gatewayd/splice_edit.h"
#include "gatewayd/splice_take.h"

enum { SPLICE_IDLE = 64 * 1024 }; /* what each part of an idle splice may hold on to */

enum splice_api splice_api_of(struct str path)
{
    static const struct {
        struct str path;
        enum splice_api api;
    } known[] = {{{"/chat/completions", 17}, SPLICE_CHAT},
                 {{"/completions", 12}, SPLICE_TEXT},
                 {{"/responses", 10}, SPLICE_RESPONSES},
                 {{"/messages", 9}, SPLICE_MESSAGES}};
    const char *query = path.len > 0 ? memchr(path.at, '?', path.len) : NULL;

    if (query != NULL)
        path.len = (size_t)(query - path.at);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eq(path, known[i].path))
            return known[i].api;
    return SPLICE_NONE;
}

void splice_begin(struct splice *splice, enum splice_api api)
{
    struct buf *const kept[] = {&splice->kept.text,    &splice->kept.runs,    &splice->kept.tracks,
                                &splice->ids.text,     &splice->ids.calls,    &splice->taken.parts,
                                &splice->taken.labels, &splice->shape.bytes, &splice->edits};

    splice->api = api;
    splice->lost = splice->beyond = false;
    splice_ids_clear(&splice->ids);
    splice_shape_forget(&splice->shape);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        buf_clear(kept[i]);
        buf_shrink(kept[i], SPLICE_IDLE);
    }
}

void splice_fini(struct splice *splice)
{
    if (splice == NULL)
        return;
    splice_kept_fini(&splice->kept);
    splice_ids_fini(&splice->ids);
    buf_fini(&splice->shape.bytes);
    splice_taken_fini(&splice->taken);
    buf_fini(&splice->edits);
    *splice = (struct splice){.api = SPLICE_NONE};
}

/* Give up keeping. The ids stay: a replay that has caught up may still go on under them. */
static void lose(struct splice *splice, bool beyond)
{
    splice->lost = true;
    splice->beyond = beyond;
    splice_kept_fini(&splice->kept);
    buf_fini(&splice->shape.bytes);
    splice_shape_forget(&splice->shape);
}

bool splice_possible(const struct splice *splice)
{
    return splice->api != SPLICE_NONE && !splice->lost && buf_len(&splice->kept.runs) > 0;
}

bool splice_caught_up(const struct splice *splice)
{
    return splice->lost ? splice->beyond : splice_kept_is_passed(&splice->kept);
}

void splice_replay(struct splice *splice)
{
    splice->beyond = false;
    splice_kept_rewind(&splice->kept);
    splice_ids_rewind(&splice->ids);
    splice_shape_forget(&splice->shape);
}

/* The client is given this mark, and with it the ids of what begins there. */
static int give(struct splice *splice, struct splice_part *part)
{
    return part->begins ? splice_ids_give(&splice->ids, part->id, part->call_id, &part->given) : 0;
}

static int begin_call(struct splice *splice, const struct splice_part *part)
{
    if (!part->begins)
        return 0;
    return splice_ids_begin(&splice->ids, part->choice, part->index, splice_taken_label(&splice->taken, part),
                            part->id, part->given);
}

static int keep_part(struct splice *splice, const struct splice_part *part)
{
    struct str label = splice_taken_label(&splice->taken, part);
    uint64_t number;

    switch (part->kind) {
    case SPLICE_PART_CHOICE:
        return splice_kept_track(&splice->kept, part->choice);
    case SPLICE_PART_TEXT:
        return splice_kept_text(&splice->kept, part->choice, label, part->rest);
    case SPLICE_PART_MARK:
        return splice_kept_mark(&splice->kept, part->choice, label, part->given);
    case SPLICE_PART_FIRST:
        return splice_ids_learn(&splice->ids, (enum splice_first)part->index, part->value);
    case SPLICE_PART_SEQUENCE:
        if (str_to_u64(part->value, &number) && splice->ids.sequence <= number)
            splice->ids.sequence = number + 1;
        return 0;
    default:
        return 0;
    }
}

/* What the event that was taken apart carries and the client did not have. 0, or no longer possible. */
static int keep_parts(struct splice *splice)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < splice_taken_count(&splice->taken); i++) {
        const struct splice_part *part = splice_taken_part(&splice->taken, i);
        if (part->match == SPLICE_MATCH_NEW)
            r = keep_part(splice, part);
    }
    if (r == 0 && (splice_kept_is_full(&splice->kept) || buf_len(&splice->ids.text) > SPLICE_TEXT_MAX))
        r = 1;
    return r;
}

/* All of the event is the client's first. */
static int take_as_new(struct splice *splice)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < splice_taken_count(&splice->taken); i++) {
        struct splice_part *part = splice_taken_part(&splice->taken, i);
        part->match = SPLICE_MATCH_NEW;
        part->rest = splice_text_of(part->value);
        r = give(splice, part);
        if (r == 0)
            r = begin_call(splice, part);
    }
    return r;
}

/* Where a part of such an event differs from event to event. */
static void make_hole(struct splice_shape *shape, const struct splice_part *part, struct str event)
{
    enum splice_hole_kind kind = SPLICE_HOLE_TEXT;

    if (part->kind == SPLICE_PART_SEQUENCE)
        kind = SPLICE_HOLE_NUMBER;
    else if (part->kind == SPLICE_PART_NOISE)
        kind = SPLICE_HOLE_NOISE;
    else if (part->kind != SPLICE_PART_TEXT)
        return;
    splice_shape_hole(shape, kind, (size_t)(part->value.at - event.at), part->value.len);
}

/* Remember what the event looks like, if the next one can be read by that: one text and no structure. */
static void learn_shape(struct splice *splice, struct str event)
{
    const struct splice_part *text = NULL;
    size_t count = splice_taken_count(&splice->taken);

    splice_shape_forget(&splice->shape);
    for (size_t i = 0; i < count; i++) {
        const struct splice_part *part = splice_taken_part(&splice->taken, i);
        if (part->kind == SPLICE_PART_MARK || part->kind == SPLICE_PART_MIRROR ||
            (part->kind == SPLICE_PART_TEXT && text != NULL))
            return;
        if (part->kind == SPLICE_PART_TEXT)
            text = part;
    }
    if (text == NULL)
        return;
    splice_shape_begin(&splice->shape, event, splice_kept_find(&splice->kept, text->choice));
    for (size_t i = 0; i < count; i++)
        make_hole(&splice->shape, splice_taken_part(&splice->taken, i), event);
}

static void note_with_care(struct splice *splice, struct str event)
{
    int kind = splice_take(&splice->taken, splice->api, &splice->ids, event);

    if (kind == SPLICE_COMMENT || kind == SPLICE_ERROR)
        return;
    if (kind < 0 || kind == SPLICE_GARBAGE || kind == SPLICE_STRANGE || take_as_new(splice) != 0 ||
        keep_parts(splice) != 0) {
        lose(splice, false);
        return;
    }
    learn_shape(splice, event);
}

void splice_note(struct splice *splice, struct str event)
{
    struct str text;
    uint64_t number = UINT64_MAX;

    if (splice->api == SPLICE_NONE || splice->lost)
        return;
    if (!splice_shape_fits(&splice->shape, event, &text, &number) ||
        splice_kept_more(&splice->kept, splice->shape.track, splice_text_of(text)) != 0) {
        note_with_care(splice, event);
        return;
    }
    if (number != UINT64_MAX && splice->ids.sequence <= number)
        splice->ids.sequence = number + 1;
    if (splice_kept_is_full(&splice->kept))
        lose(splice, false);
}

static int match_mark(struct splice *splice, struct splice_part *part)
{
    int r = 0;

    part->match = splice->lost ? SPLICE_MATCH_NEW
                               : splice_kept_match_mark(&splice->kept, part->choice,
                                                        splice_taken_label(&splice->taken, part), &part->given);
    if (part->match == SPLICE_MATCH_NEW)
        r = give(splice, part);
    if (r == 0 && part->match != SPLICE_MATCH_OTHER)
        r = begin_call(splice, part);
    return r;
}

/* Compare one part with what the client has. 0, 1 or -ENOMEM. */
static int match_part(struct splice *splice, struct splice_part *part, const struct splice_part *text)
{
    part->match = SPLICE_MATCH_NEW;
    part->rest = splice_text_of(part->value);
    switch (part->kind) {
    case SPLICE_PART_CHOICE:
        if (splice->lost || splice_kept_find(&splice->kept, part->choice) != SIZE_MAX)
            part->match = SPLICE_MATCH_HAD;
        return 0;
    case SPLICE_PART_TEXT:
        if (!splice->lost)
            part->match = splice_kept_match_text(&splice->kept, part->choice,
                                                 splice_taken_label(&splice->taken, part), &part->rest);
        return 0;
    case SPLICE_PART_MIRROR:
        part->match = text->match;
        part->rest = (struct splice_text){part->value.at + (text->rest.at - text->value.at),
                                          part->value.at + part->value.len, text->rest.low};
        return 0;
    case SPLICE_PART_MARK:
        return match_mark(splice, part);
    case SPLICE_PART_SEQUENCE: /* the client's numbers go on, if its events have any */
        if (splice->ids.sequence != 0)
            part->match = SPLICE_MATCH_HAD;
        return 0;
    default:
        return 0;
    }
}

/* What an event of the replay brings. */
struct news {
    bool had;   /* texts or marks that the client has */
    bool begun; /* marks among them */
    bool fresh; /* texts, marks or choices that it has not */
    bool other; /* something else than what it has */
};

static int match_parts(struct splice *splice, struct news *news)
{
    const struct splice_part *text = NULL;
    int r = 0;

    for (size_t i = 0; r == 0 && i < splice_taken_count(&splice->taken); i++) {
        struct splice_part *part = splice_taken_part(&splice->taken, i);
        bool piece = part->kind == SPLICE_PART_TEXT || part->kind == SPLICE_PART_MARK;
        r = match_part(splice, part, text);
        if (part->kind == SPLICE_PART_TEXT)
            text = part;
        news->other = news->other || part->match == SPLICE_MATCH_OTHER;
        if (part->match == SPLICE_MATCH_HAD && piece) {
            news->had = true;
            news->begun = news->begun || part->kind == SPLICE_PART_MARK;
        }
        if (part->match == SPLICE_MATCH_NEW && (piece || part->kind == SPLICE_PART_CHOICE))
            news->fresh = true;
    }
    return r;
}

/* Give the event to the client, and keep what it had not. */
static int pass(struct splice *splice, struct str event, struct buf *out)
{
    bool beyond = splice_caught_up(splice);
    int r = splice_edit(splice, event, out);

    if (r < 0)
        return r;
    splice_shape_forget(&splice->shape);
    if (splice->taken.numbered && splice->ids.sequence != 0)
        splice->ids.sequence++;
    if (!splice->lost && keep_parts(splice) != 0)
        lose(splice, beyond);
    return SPLICE_PASS;
}

/* An event of the answer itself, taken apart. */
static int go_on(struct splice *splice, struct str event, struct buf *out)
{
    bool caught_up = splice_caught_up(splice);
    struct news news = {.had = false};
    int r = match_parts(splice, &news);

    if (r < 0)
        return r;
    /* An event that begins a block is not given twice, so nothing in it can be new when the block is not. */
    if (r > 0 || news.other || (news.begun && news.fresh && splice->api != SPLICE_CHAT && splice->api != SPLICE_TEXT))
        return SPLICE_DIFFERS;
    if (news.fresh)
        return pass(splice, event, out);
    return news.had || !caught_up ? SPLICE_HAD : pass(splice, event, out);
}

int splice_event(struct splice *splice, struct str event, struct buf *out)
{
    int kind;

    if (splice->api == SPLICE_NONE || (splice->lost && !splice->beyond))
        return SPLICE_DIFFERS;
    kind = splice_take(&splice->taken, splice->api, &splice->ids, event);
    switch (kind) {
    case SPLICE_COMMENT:
    case SPLICE_GARBAGE:
    case SPLICE_OPENING:
        return SPLICE_HAD;
    case SPLICE_PARTS:
        return go_on(splice, event, out);
    case SPLICE_TERMINAL:
        return splice_caught_up(splice) ? pass(splice, event, out) : SPLICE_DIFFERS;
    case SPLICE_STRANGE:
        if (!splice_caught_up(splice))
            return SPLICE_DIFFERS;
        lose(splice, true);
        return buf_add_str(out, event) < 0 ? -ENOMEM : SPLICE_PASS;
    default:
        return kind < 0 ? kind : SPLICE_DIFFERS;
    }
}
