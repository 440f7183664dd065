/*
 * Texts of all tracks grow at the end of one buffer, each label standing before the text that it was first needed for.
 * So the common answer, one choice that says one thing, is one run that grows in place.
 */

#include "gatewayd/splice_kept.h"

#include <errno.h>

#include "gatewayd/splice.h"

void splice_kept_fini(struct splice_kept *kept)
{
    if (kept == NULL)
        return;
    buf_fini(&kept->text);
    buf_fini(&kept->runs);
    buf_fini(&kept->tracks);
}

bool splice_kept_is_full(const struct splice_kept *kept)
{
    return buf_len(&kept->text) > SPLICE_TEXT_MAX || buf_len(&kept->runs) > SPLICE_TEXT_MAX;
}

/* Nothing is ever consumed from these buffers, so what is in them begins at their beginning. */
static struct splice_run *run_at(const struct splice_kept *kept, uint32_t number)
{
    return (struct splice_run *)(void *)kept->runs.data + (number - 1);
}

static struct splice_track *tracks_of(const struct splice_kept *kept)
{
    return (struct splice_track *)(void *)kept->tracks.data;
}

static size_t track_count(const struct splice_kept *kept)
{
    return buf_len(&kept->tracks) / sizeof(struct splice_track);
}

static struct str text_at(const struct splice_kept *kept, struct splice_span span)
{
    return (struct str){kept->text.data + span.from, span.len};
}

static bool has_label(const struct splice_kept *kept, uint32_t number, struct str label)
{
    return str_eq(text_at(kept, run_at(kept, number)->label), label);
}

static bool is_mark(const struct splice_kept *kept, uint32_t number)
{
    return kept->text.data[run_at(kept, number)->label.from] == SPLICE_MARK_SIGN;
}

size_t splice_kept_find(const struct splice_kept *kept, uint64_t choice)
{
    const struct splice_track *tracks = tracks_of(kept);

    for (size_t i = 0; i < track_count(kept); i++)
        if (tracks[i].choice == choice)
            return i;
    return SIZE_MAX;
}

static struct splice_track *track_of(const struct splice_kept *kept, uint64_t choice)
{
    size_t i = splice_kept_find(kept, choice);

    return i != SIZE_MAX ? tracks_of(kept) + i : NULL;
}

int splice_kept_track(struct splice_kept *kept, uint64_t choice)
{
    struct splice_track track = {.choice = choice};

    if (track_of(kept, choice) != NULL)
        return 0;
    if (track_count(kept) == SPLICE_TRACKS_MAX)
        return 1;
    return buf_add(&kept->tracks, &track, sizeof track);
}

static void stand_behind(const struct splice_kept *kept, struct splice_track *track)
{
    track->at = track->last;
    track->offset = track->last != 0 ? run_at(kept, track->last)->text.len : 0;
}

/* A run more at the end of a track, without text. Its label is that of the run before it or a copy of its own. */
static int add_run(struct splice_kept *kept, struct splice_track *track, struct str label)
{
    struct splice_run run = {.next = 0};
    uint32_t number = (uint32_t)(buf_len(&kept->runs) / sizeof run) + 1;
    int r;

    if (track->last != 0 && has_label(kept, track->last, label)) {
        run.label = run_at(kept, track->last)->label;
    } else {
        run.label = (struct splice_span){(uint32_t)buf_len(&kept->text), (uint32_t)label.len};
        r = buf_add_str(&kept->text, label);
        if (r < 0)
            return r;
    }
    run.text.from = (uint32_t)buf_len(&kept->text);
    r = buf_add(&kept->runs, &run, sizeof run);
    if (r < 0)
        return r;
    if (track->last != 0)
        run_at(kept, track->last)->next = number;
    else
        track->first = number;
    track->last = number;
    return 0;
}

static bool can_grow(const struct splice_kept *kept, const struct splice_run *run)
{
    return run->text.from + run->text.len == buf_len(&kept->text);
}

/* Let the last run of a track, which can grow, have more text. */
static int grow(struct splice_kept *kept, struct splice_track *track, struct splice_text text)
{
    struct splice_run *run = run_at(kept, track->last);
    int r = splice_text_add(text, &kept->text);

    if (r != 0)
        return r;
    run->text.len = (uint32_t)buf_len(&kept->text) - run->text.from;
    stand_behind(kept, track);
    return 0;
}

int splice_kept_text(struct splice_kept *kept, uint64_t choice, struct str label, struct splice_text text)
{
    int r = splice_kept_track(kept, choice);
    struct splice_track *track = track_of(kept, choice);

    if (r != 0)
        return r;
    if (track->last == 0 || !has_label(kept, track->last, label) || !can_grow(kept, run_at(kept, track->last))) {
        r = add_run(kept, track, label);
        if (r < 0)
            return r;
    }
    return grow(kept, track, text);
}

int splice_kept_more(struct splice_kept *kept, size_t number, struct splice_text text)
{
    struct splice_track *track = tracks_of(kept) + number;

    return can_grow(kept, run_at(kept, track->last)) ? grow(kept, track, text) : 1;
}

int splice_kept_mark(struct splice_kept *kept, uint64_t choice, struct str label, struct splice_span remember)
{
    int r = splice_kept_track(kept, choice);
    struct splice_track *track = track_of(kept, choice);

    if (r == 0)
        r = add_run(kept, track, label);
    if (r != 0)
        return r;
    run_at(kept, track->last)->text = remember;
    stand_behind(kept, track);
    return 0;
}

void splice_kept_rewind(struct splice_kept *kept)
{
    struct splice_track *tracks = tracks_of(kept);

    for (size_t i = 0; i < track_count(kept); i++)
        tracks[i].at = tracks[i].offset = 0;
}

/* Whether nothing is left in the run at which the replay stands. A mark has been matched by whoever stands at it. */
static bool is_exhausted(const struct splice_kept *kept, const struct splice_track *track)
{
    return track->at == 0 || is_mark(kept, track->at) || track->offset == run_at(kept, track->at)->text.len;
}

static uint32_t next_run(const struct splice_kept *kept, const struct splice_track *track)
{
    return track->at != 0 ? run_at(kept, track->at)->next : track->first;
}

static bool is_passed(const struct splice_kept *kept, const struct splice_track *track)
{
    return is_exhausted(kept, track) && next_run(kept, track) == 0;
}

bool splice_kept_is_passed(const struct splice_kept *kept)
{
    const struct splice_track *tracks = tracks_of(kept);

    for (size_t i = 0; i < track_count(kept); i++)
        if (!is_passed(kept, &tracks[i]))
            return false;
    return true;
}

/* Make the replay stand before a byte of text with this label. */
static enum splice_match reach_text(const struct splice_kept *kept, struct splice_track *track, struct str label)
{
    while (is_exhausted(kept, track)) {
        uint32_t next = next_run(kept, track);
        if (next == 0)
            return SPLICE_MATCH_NEW;
        if (!has_label(kept, next, label))
            return SPLICE_MATCH_OTHER;
        track->at = next;
        track->offset = 0;
    }
    return has_label(kept, track->at, label) ? SPLICE_MATCH_HAD : SPLICE_MATCH_OTHER;
}

/* A unit is there whole or not at all: half an escape cannot be sent. */
static enum splice_match match_unit(const struct splice_kept *kept, struct splice_track *track, struct str label,
                                    struct str unit)
{
    for (size_t i = 0; i < unit.len; i++) {
        enum splice_match match = reach_text(kept, track, label);
        if (match != SPLICE_MATCH_HAD)
            return i == 0 ? match : SPLICE_MATCH_OTHER;
        if (text_at(kept, run_at(kept, track->at)->text).at[track->offset] != unit.at[i])
            return SPLICE_MATCH_OTHER;
        track->offset++;
    }
    return SPLICE_MATCH_HAD;
}

enum splice_match splice_kept_match_text(struct splice_kept *kept, uint64_t choice, struct str label,
                                         struct splice_text *text)
{
    struct splice_track *track = track_of(kept, choice);
    char unit[SPLICE_UNIT_MAX];

    if (track == NULL)
        return SPLICE_MATCH_NEW;
    for (;;) {
        struct splice_text before = *text;
        size_t n = splice_text_next(text, unit);
        if (n == 0)
            return SPLICE_MATCH_HAD;
        enum splice_match match = match_unit(kept, track, label, (struct str){unit, n});
        if (match != SPLICE_MATCH_HAD) {
            *text = before;
            return match;
        }
    }
}

enum splice_match splice_kept_match_mark(struct splice_kept *kept, uint64_t choice, struct str label,
                                         struct splice_span *remembered)
{
    struct splice_track *track = track_of(kept, choice);
    uint32_t next = track != NULL && is_exhausted(kept, track) ? next_run(kept, track) : 0;

    if (track == NULL || is_passed(kept, track))
        return SPLICE_MATCH_NEW;
    if (next == 0 || !has_label(kept, next, label))
        return SPLICE_MATCH_OTHER;
    track->at = next;
    *remembered = run_at(kept, next)->text;
    return SPLICE_MATCH_HAD;
}
