/*
 * An event is never written anew: what must not be sent is cut out of it, and what has another name for the client is
 * replaced in its place. Every other byte stays what the upstream wrote.
 */

#include "gatewayd/splice_edit.h"

#include <stdio.h>

#include "gatewayd/splice_take.h"

/* Something of an event to be replaced. */
struct edit {
    const char *at;
    size_t len;
    struct str with; /* NULL: `written` */
    char written[24];
};

static int add_edit(struct splice *splice, struct str old, struct edit edit)
{
    struct edit *edits;
    size_t i = buf_len(&splice->edits) / sizeof edit;
    int r = buf_add(&splice->edits, &edit, sizeof edit);

    if (r < 0)
        return r;
    edits = (struct edit *)(void *)splice->edits.data;
    for (; i > 0 && edits[i - 1].at > old.at; i--)
        edits[i] = edits[i - 1];
    edits[i] = edit;
    edits[i].at = old.at;
    edits[i].len = old.len;
    return 0;
}

/* Put what the client knows in the place of what this stream says, if either says anything. */
static int replace(struct splice *splice, struct str old, struct str with)
{
    if (splice_ids_is_blank(old) || splice_ids_is_blank(with) || str_eq(old, with))
        return 0;
    return add_edit(splice, old, (struct edit){.with = with});
}

/* Cut the front of a text that the client has. Half a character that it has leaves the other half, as an escape. */
static int cut(struct splice *splice, const struct splice_part *part)
{
    const char *from = part->match == SPLICE_MATCH_HAD ? part->value.at + part->value.len : part->rest.at;
    struct str had = {part->value.at, (size_t)(from - part->value.at)};
    struct edit edit = {.with = {NULL, 0}};

    if (had.len == 0)
        return 0;
    if (part->rest.low != 0)
        snprintf(edit.written, sizeof edit.written, "\\u%04x", part->rest.low);
    return add_edit(splice, had, edit);
}

/* The number of the client's next event. */
static int renumber(struct splice *splice, const struct splice_part *part)
{
    struct edit edit = {.with = {NULL, 0}};

    if (splice->ids.sequence == 0)
        return 0;
    snprintf(edit.written, sizeof edit.written, "%llu", (unsigned long long)splice->ids.sequence);
    return add_edit(splice, part->value, edit);
}

/* Clients put names and ids of calls together like texts, so those that they have are not sent once more. */
static int silence(struct splice *splice, const struct splice_part *part)
{
    struct edit edit = {.with = STR("null")};
    int r = part->id.len > 0 ? add_edit(splice, part->id, edit) : 0;

    return r == 0 && part->name.len > 0 ? add_edit(splice, part->name, edit) : r;
}

static int edit_part(struct splice *splice, const struct splice_part *part)
{
    const struct splice_ids *ids = &splice->ids;

    switch (part->kind) {
    case SPLICE_PART_TEXT:
    case SPLICE_PART_MIRROR:
        return cut(splice, part);
    case SPLICE_PART_MARK:
        return part->match == SPLICE_MATCH_HAD ? silence(splice, part) : 0;
    case SPLICE_PART_FIRST:
        return replace(splice, part->value, splice_ids_first(ids, (enum splice_first)part->index));
    case SPLICE_PART_ID:
    case SPLICE_PART_CALL_ID:
        return replace(splice, part->value,
                       splice_ids_of(ids, part->choice, part->index, part->kind == SPLICE_PART_CALL_ID));
    case SPLICE_PART_SEQUENCE:
        return renumber(splice, part);
    default:
        return 0;
    }
}

static int write_edited(const struct splice *splice, struct str event, struct buf *out)
{
    const struct edit *edits = (const struct edit *)(const void *)splice->edits.data;
    const char *from = event.at;
    int r = 0;

    for (size_t i = 0; r == 0 && i < buf_len(&splice->edits) / sizeof *edits; i++) {
        const struct edit *edit = &edits[i];
        r = buf_add(out, from, (size_t)(edit->at - from));
        if (r == 0)
            r = buf_add_str(out, edit->with.at != NULL ? edit->with : str_of(edit->written));
        from = edit->at + edit->len;
    }
    return r == 0 ? buf_add(out, from, (size_t)(event.at + event.len - from)) : r;
}

int splice_edit(struct splice *splice, struct str event, struct buf *out)
{
    size_t before = buf_len(out);
    int r = 0;

    buf_clear(&splice->edits);
    for (size_t i = 0; r == 0 && i < splice_taken_count(&splice->taken); i++)
        r = edit_part(splice, splice_taken_part(&splice->taken, i));
    if (r == 0)
        r = write_edited(splice, event, out);
    if (r < 0)
        out->end = out->start + before;
    return r;
}
