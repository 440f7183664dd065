/*
 * The event rings. The owner of a slot is the only writer of its ring, so appending needs no compare-and-swap: the
 * record is marked as being written, filled, given its number, and then the head moves. A reader copies between two
 * looks at the number. A writer that dies before the number is stored loses that one record; one that dies before the
 * head moves loses nothing, because the slot's next owner finds the finished record (gws_event_resume).
 */

#include "libshm/event.h"

#include "libshm/word.h"

static struct gws_event_row *ring_of(const struct gws_region *region, uint32_t slot)
{
    return region->events + (size_t)slot * region->dims.events;
}

void gws_event_record(struct gws_region *region, enum gws_event_code code, uint32_t domain, uint64_t old, uint64_t new,
                      uint32_t who, uint64_t now)
{
    struct gws_slot_row *slot = slot_at(region, region->slot);
    struct gws_event_row *row;
    uint64_t head;

    if (slot == NULL || !may_change(region))
        return;
    head = word_load_relaxed(&slot->event_head);
    row = &ring_of(region, (uint32_t)region->slot)[head & (region->dims.events - 1)];
    word_store_relaxed(&row->seq, 0);
    atomic_thread_fence(memory_order_release);
    word_store_relaxed(&row->time, now);
    word_store_relaxed(&row->what, (uint64_t)code << 32 | domain);
    word_store_relaxed(&row->who, who);
    word_store_relaxed(&row->old, old);
    word_store_relaxed(&row->new, new);
    atomic_store_explicit(&row->seq, head + 1, memory_order_release);
    atomic_store_explicit(&slot->event_head, head + 1, memory_order_release);
}

void gws_event_resume(struct gws_region *region, int index)
{
    struct gws_slot_row *slot = slot_at(region, index);
    struct gws_event_row *row;
    uint64_t head;

    if (slot == NULL || !may_change(region))
        return;
    head = word_load(&slot->event_head);
    row = &ring_of(region, (uint32_t)index)[head & (region->dims.events - 1)];
    if (word_load(&row->seq) == head + 1)
        atomic_store_explicit(&slot->event_head, head + 1, memory_order_release);
}

/* Copy record number `seq`; false when it was overwritten, before or while we looked. */
static bool copy(const struct gws_event_row *row, uint64_t seq, uint32_t slot, struct gws_event *event)
{
    uint64_t what;

    if (word_load(&row->seq) != seq)
        return false;
    what = word_load_relaxed(&row->what);
    *event = (struct gws_event){
        .seq = seq,
        .time = word_load_relaxed(&row->time),
        .slot = slot,
        .code = (enum gws_event_code)(what >> 32),
        .domain = (uint32_t)what,
        .who = (uint32_t)word_load_relaxed(&row->who),
        .old = word_load_relaxed(&row->old),
        .new = word_load_relaxed(&row->new),
    };
    atomic_thread_fence(memory_order_acquire);
    return word_load_relaxed(&row->seq) == seq;
}

static bool older(const struct gws_event *a, const struct gws_event *b)
{
    if (a->time != b->time)
        return a->time < b->time;
    if (a->slot != b->slot)
        return a->slot < b->slot;
    return a->seq < b->seq;
}

/* Put `event` at the vacant place `at` of a heap with the oldest on top, moving younger ones down past it. */
static void sift_down(struct gws_event *heap, size_t count, size_t at, const struct gws_event *event)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && older(&heap[child + 1], &heap[child]))
            child++;
        if (!older(&heap[child], event))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = *event;
}

/* The oldest kept event is on top, so that it is the one to give way when `max` are kept and a newer one comes. */
static size_t keep(struct gws_event *heap, size_t count, size_t max, const struct gws_event *event)
{
    size_t at = count;

    if (count == max) {
        if (older(&heap[0], event))
            sift_down(heap, count, 0, event);
        return count;
    }
    while (at > 0 && older(event, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = *event;
    return count + 1;
}

/* Taking the oldest off the top to the end leaves newest first; turn it round. */
static void oldest_first(struct gws_event *heap, size_t count)
{
    for (size_t left = count; left > 1; left--) {
        struct gws_event last = heap[left - 1];
        heap[left - 1] = heap[0];
        sift_down(heap, left - 1, 0, &last);
    }
    for (size_t i = 0; i < count / 2; i++) {
        struct gws_event event = heap[i];
        heap[i] = heap[count - 1 - i];
        heap[count - 1 - i] = event;
    }
}

size_t gws_event_collect(const struct gws_region *region, struct gws_event_cursor *cursor, struct gws_event *out,
                         size_t max)
{
    uint64_t size = region->dims.events;
    size_t count = 0;

    for (uint32_t slot = 0; slot < region->dims.slots; slot++) {
        uint64_t head = word_load(&region->slots[slot].event_head);
        uint64_t next = cursor->next[slot];
        struct gws_event event;

        if (next > head)
            next = 0; /* another region than the last time */
        if (head - next > size)
            next = head - size;
        for (; next < head && max > 0; next++)
            if (copy(&ring_of(region, slot)[next & (size - 1)], next + 1, slot, &event))
                count = keep(out, count, max, &event);
        cursor->next[slot] = head;
    }
    oldest_first(out, count);
    return count;
}
