/*
 * A record that any process may write. It is claimed by a compare-and-swap that makes the claim's count odd, filled,
 * and released by a store that makes it even; a reader copies between two looks at the claim. The claim says who holds
 * it, down to the generation of the slot, so one whose holder is gone can be told from one that is being written, and
 * needs no repair: the next failure claims it over. Only a holder that is dead is passed over, so a release never
 * finds the claim to be another's.
 */

#include "libshm/evidence.h"

#include <string.h>

#include "libshm/slot.h"
#include "libshm/word.h"

enum { SLOT_SHIFT = 55, GEN_SHIFT = 25, GEN_MASK = 0x3fffffff, COUNT_MASK = 0x1ffffff, READ_TRIES = 4 };

_Static_assert((int)GWS_EVIDENCE_TEXT == (int)GWS_EVIDENCE_WORDS * 8, "the text fits its words");
_Static_assert((int)GWS_EVIDENCE_OUTCOMES == (int)sizeof(uint64_t), "the outcomes fit a word");
_Static_assert((int)GWS_SLOTS_MAX < 1 << (64 - SLOT_SHIFT), "a slot fits the claim");

static struct gws_evidence_row *evidence_at(const struct gws_region *region, uint32_t row)
{
    return row < region->dims.domains ? &region->evidence[row] : NULL;
}

static bool is_held(uint64_t claim)
{
    return (claim & 1) != 0;
}

/* Whether the process that holds the claim is gone. */
static bool is_orphan(const struct gws_region *region, uint64_t claim)
{
    const struct gws_slot_row *slot = slot_at(region, (int)(claim >> SLOT_SHIFT) - 1);
    uint64_t life = slot == NULL ? 0 : word_load(&slot->life);

    return life >> 62 == GWS_SLOT_FREE || (life >> 32 & GEN_MASK) != (claim >> GEN_SHIFT & GEN_MASK);
}

/* Claim the record for the caller's slot. 0 when somebody else has it: its claim is never 0. */
static uint64_t claim_it(struct gws_region *region, struct gws_evidence_row *row)
{
    uint64_t gen = word_load_relaxed(&region->slots[region->slot].life) >> 32 & GEN_MASK;
    uint64_t old = word_load(&row->claim);
    uint64_t count = (old + (is_held(old) ? 2 : 1)) & COUNT_MASK;
    uint64_t claim = (uint64_t)(region->slot + 1) << SLOT_SHIFT | gen << GEN_SHIFT | count;

    if (is_held(old) && !is_orphan(region, old))
        return 0;
    if (!word_swap(&row->claim, &old, claim))
        return 0;
    atomic_thread_fence(memory_order_release);
    return claim;
}

static void store_text(struct gws_evidence_row *row, const char *text, size_t length)
{
    char bytes[GWS_EVIDENCE_TEXT] = {0};
    uint64_t value;

    if (length > 0)
        memcpy(bytes, text, length < sizeof(bytes) ? length : sizeof(bytes));
    for (size_t i = 0; i < GWS_EVIDENCE_WORDS; i++) {
        memcpy(&value, bytes + i * sizeof(value), sizeof(value));
        word_store_relaxed(&row->text[i], value);
    }
}

void gws_evidence_note(struct gws_region *region, uint32_t row, uint8_t outcome, uint16_t status, const char *text,
                       size_t length, uint64_t now)
{
    struct gws_evidence_row *record = evidence_at(region, row);
    uint64_t claim;

    if (record == NULL || outcome == 0 || slot_at(region, region->slot) == NULL || !may_change(region))
        return;
    claim = claim_it(region, record);
    if (claim == 0)
        return;
    word_store_relaxed(&record->at, now);
    word_store_relaxed(&record->who, (uint64_t)region->slot << 32 |
                                         (uint32_t)word_load_relaxed(&region->slots[region->slot].life));
    word_store_relaxed(&record->outcomes, word_load_relaxed(&record->outcomes) << 8 | outcome);
    word_store_relaxed(&record->status, status);
    store_text(record, text, length);
    atomic_store_explicit(&record->claim, (claim & ~(uint64_t)COUNT_MASK) | ((claim + 1) & COUNT_MASK),
                          memory_order_release);
}

static void copy(const struct gws_evidence_row *row, struct gws_evidence *out)
{
    uint64_t who = word_load_relaxed(&row->who);
    uint64_t outcomes = word_load_relaxed(&row->outcomes);

    memset(out, 0, sizeof(*out));
    out->at = word_load_relaxed(&row->at);
    out->slot = (int32_t)(who >> 32);
    out->pid = (int32_t)(uint32_t)who;
    out->status = (uint16_t)word_load_relaxed(&row->status);
    for (int i = 0; i < GWS_EVIDENCE_OUTCOMES; i++)
        out->outcomes[i] = (uint8_t)(outcomes >> 8 * i);
    for (size_t i = 0; i < GWS_EVIDENCE_WORDS; i++) {
        uint64_t value = word_load_relaxed(&row->text[i]);
        memcpy(out->text + i * sizeof(value), &value, sizeof(value));
    }
}

bool gws_evidence_read(const struct gws_region *region, uint32_t row, struct gws_evidence *out)
{
    const struct gws_evidence_row *record = evidence_at(region, row);

    for (int i = 0; record != NULL && i < READ_TRIES; i++) {
        uint64_t claim = word_load(&record->claim);
        struct gws_evidence found;

        if (claim == 0 || is_held(claim))
            return false;
        copy(record, &found);
        atomic_thread_fence(memory_order_acquire);
        if (word_load_relaxed(&record->claim) != claim)
            continue;
        *out = found;
        return true;
    }
    return false;
}

/* The claim first: nobody who still looks takes half of it for a record. */
void gws_evidence_clear(struct gws_region *region, uint32_t row)
{
    struct gws_evidence_row *record = evidence_at(region, row);

    if (record == NULL || !may_change(region))
        return;
    word_store_relaxed(&record->claim, 0);
    atomic_thread_fence(memory_order_release);
    word_store_relaxed(&record->at, 0);
    word_store_relaxed(&record->who, 0);
    word_store_relaxed(&record->outcomes, 0);
    word_store_relaxed(&record->status, 0);
    store_text(record, NULL, 0);
}
