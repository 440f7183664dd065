/*
 * Slots. Everything a process can hold stands in words of its slot, so its death is repaired by one pass over its
 * cells. A slot's life is one word that carries state, generation and pid, changed by compare-and-swap; its lock is
 * what tells whether the process lives. The order is always the lock first and the word second, on the side of the
 * child as on the side of whoever reaps without having waited for it: then a child that is late can neither enter a
 * slot that was given away nor be reaped once it is in.
 */

#include "libshm/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libshm/cells.h"
#include "libshm/clock.h"
#include "libshm/lock.h"
#include "libshm/word.h"

enum { GEN_MASK = 0x3fffffff, ENTER_TRIES = 100 };

struct life {
    enum gws_slot_state state;
    uint32_t gen;
    int32_t pid;
};

static struct life life_of(uint64_t word)
{
    struct life life = {
        .state = (enum gws_slot_state)(word >> 62),
        .gen = (uint32_t)(word >> 32) & GEN_MASK,
        .pid = (int32_t)(uint32_t)word,
    };
    return life;
}

static uint64_t join(enum gws_slot_state state, uint32_t gen, int32_t pid)
{
    return (uint64_t)state << 62 | (uint64_t)(gen & GEN_MASK) << 32 | (uint32_t)pid;
}

/* The byte of the file that stands for the slot. */
static uint64_t lock_byte(const struct gws_region *region, int slot)
{
    return (uint64_t)((const unsigned char *)(const void *)&region->slots[slot] - region->base);
}

static uint32_t own_slots(const struct gws_region *region)
{
    return region->dims.slots - region->dims.guests;
}

static void raise_mark(gws_word *mark, uint64_t least)
{
    uint64_t old = atomic_load_explicit(mark, memory_order_seq_cst);

    while (old < least && !atomic_compare_exchange_strong_explicit(mark, &old, least, memory_order_seq_cst,
                                                                   memory_order_seq_cst))
        ;
}

/* Who it is, before the word says that there is someone. */
static void describe(struct gws_slot_row *row, enum gws_role role, uint64_t config, uint64_t now)
{
    word_store_relaxed(&row->role, role);
    word_store_relaxed(&row->config, config);
    word_store_relaxed(&row->started_ms, now);
    word_store_relaxed(&row->connections, 0);
}

/* During an upgrade two masters look for slots: whoever describes one must be the one who gets it, hence the lock. */
static bool try_reserve(struct gws_region *region, uint32_t slot, enum gws_role role, uint64_t config, uint64_t now)
{
    struct gws_slot_row *row = &region->slots[slot];
    uint64_t word;
    bool taken = false;

    if (gws_lock_try(region->fd, lock_byte(region, (int)slot)) != 0)
        return false;
    word = word_load(&row->life);
    if (life_of(word).state == GWS_SLOT_FREE) {
        raise_mark(&region->header->slot_high, slot + 1);
        gws_event_resume(region, (int)slot);
        describe(row, role, config, now);
        taken = word_swap(&row->life, &word, join(GWS_SLOT_STARTING, life_of(word).gen + 1, (int32_t)getpid()));
    }
    gws_lock_drop(region->fd, lock_byte(region, (int)slot));
    return taken;
}

int gws_slot_reserve(struct gws_region *region, enum gws_role role, uint64_t config, uint64_t now)
{
    if (!may_change(region))
        return -EPERM;
    for (uint32_t i = 0; i < own_slots(region); i++)
        if (life_of(word_load(&region->slots[i].life)).state == GWS_SLOT_FREE &&
            try_reserve(region, i, role, config, now))
            return (int)i;
    return -EAGAIN;
}

/* A description of our own of the very file that is mapped; the path may lead to a newer one by now. */
static int open_again(const struct gws_region *region, const char *path)
{
    char link[32];
    struct stat mapped;
    struct stat opened;
    int result;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    /* The file may have been removed under those who use it: then by way of the descriptor, which still has it. */
    if (fd < 0 && errno == ENOENT) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", region->fd);
        fd = open(link, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    }
    if (fd < 0)
        return -errno;
    if (fstat(region->fd, &mapped) != 0 || fstat(fd, &opened) != 0) {
        result = -errno;
        close(fd);
        return result;
    }
    if (mapped.st_dev != opened.st_dev || mapped.st_ino != opened.st_ino) {
        close(fd);
        return -ESTALE;
    }
    return fd;
}

/* Whoever reaps holds the lock for a moment, so one refusal is not yet an answer. */
static int lock_patiently(int fd, uint64_t offset)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    for (int i = 0; i < ENTER_TRIES; i++) {
        int result = gws_lock_try(fd, offset);
        if (result != 1)
            return result;
        nanosleep(&pause, NULL);
    }
    return -EAGAIN;
}

/*
 * The slot is still ours when the word names the process that reserved it: our parent, or ourselves. When the parent is
 * gone its successor may have given the slot away; then the parent's pid is no longer the one we see, or the word has
 * another generation and the swap fails.
 */
int gws_slot_enter(struct gws_region *region, int slot, const char *path)
{
    struct gws_slot_row *row = slot_at(region, slot);
    uint64_t word;
    struct life life;
    int result;
    int fd;

    if (row == NULL)
        return -EINVAL;
    if (!may_change(region))
        return -EPERM;
    word = word_load(&row->life);
    life = life_of(word);
    if (life.state != GWS_SLOT_STARTING || (life.pid != (int32_t)getppid() && life.pid != (int32_t)getpid()))
        return 1;
    fd = open_again(region, path);
    if (fd < 0)
        return fd;
    result = lock_patiently(fd, lock_byte(region, slot));
    if (result == 0 && !word_swap(&row->life, &word, join(GWS_SLOT_LIVE, life.gen, (int32_t)getpid())))
        result = 1;
    if (result != 0) {
        close(fd);
        return result;
    }
    close(region->fd);
    region->fd = fd;
    region->slot = slot;
    return 0;
}

/* Stops half way at any point and can be begun again: DYING says that it is to be. */
static void bury(struct gws_region *region, int slot, uint64_t word, bool died, uint64_t now)
{
    struct gws_slot_row *row = &region->slots[slot];
    struct life life = life_of(word);
    uint64_t dying = join(GWS_SLOT_DYING, life.gen, life.pid);

    if (life.state == GWS_SLOT_FREE || !(life.state == GWS_SLOT_DYING || word_swap(&row->life, &word, dying)))
        return;
    cells_clear(region, (uint32_t)slot);
    word_store_relaxed(&row->ended_ms, now);
    if (died)
        word_add_own(&row->restarts, 1);
    word_swap(&row->life, &dying, join(GWS_SLOT_FREE, life.gen, 0));
}

void gws_slot_reap(struct gws_region *region, int slot, bool died, uint64_t now)
{
    struct gws_slot_row *row = slot_at(region, slot);

    if (row != NULL && slot != region->slot && may_change(region))
        bury(region, slot, word_load(&row->life), died, now);
}

/* The lock keeps another master from burying the same one, or from giving it away under our hands. */
void gws_slot_reap_of(struct gws_region *region, int slot, int32_t pid, bool died, uint64_t now)
{
    struct gws_slot_row *row = slot_at(region, slot);
    struct life life;

    if (row == NULL || slot == region->slot || !may_change(region) ||
        lock_patiently(region->fd, lock_byte(region, slot)) != 0)
        return;
    life = life_of(word_load(&row->life));
    if (life.pid == pid || (life.state == GWS_SLOT_STARTING && life.pid == (int32_t)getpid()))
        bury(region, slot, word_load(&row->life), died, now);
    gws_lock_drop(region->fd, lock_byte(region, slot));
}

bool gws_slot_locked(const struct gws_region *region, int slot)
{
    if (slot_at(region, slot) == NULL)
        return false;
    /* Nobody is told of a lock of his own. */
    return slot == region->slot || gws_lock_test(region->fd, lock_byte(region, slot)) == 1;
}

/* A child of ours that has not entered yet holds no lock and is not dead: waitpid() will tell of it. */
static bool is_own_child_starting(struct life life)
{
    return life.state == GWS_SLOT_STARTING && life.pid == (int32_t)getpid();
}

int gws_slot_reap_dead(struct gws_region *region, uint64_t now)
{
    int alive = 0;

    if (!may_change(region))
        return -EPERM;
    for (int slot = 0; (uint32_t)slot < region->dims.slots; slot++) {
        gws_word *word = &region->slots[slot].life;
        struct life life = life_of(word_load(word));
        int result;

        if (slot == region->slot || life.state == GWS_SLOT_FREE)
            continue;
        result = is_own_child_starting(life) ? 1 : gws_lock_try(region->fd, lock_byte(region, slot));
        if (result != 0) {
            alive++;
            continue;
        }
        /* Under the lock the word can not be that of a living process; look again at what it is now. */
        life = life_of(word_load(word));
        if (life.state == GWS_SLOT_LIVE && word_load_relaxed(&region->slots[slot].role) != GWS_ROLE_GUEST)
            gws_event_record(region, GWS_EVENT_WORKER_DEATH, GWS_NO_DOMAIN, (uint64_t)life.pid, UINT64_MAX,
                             GWS_BY_GATEWAY, now);
        bury(region, slot, word_load(word), life.state == GWS_SLOT_LIVE, now);
        gws_lock_drop(region->fd, lock_byte(region, slot));
    }
    return alive;
}

/* Guests have no master that waits for them: whoever holds the lock of a guest slot is its only writer. */
static int take_guest(struct gws_region *region, int fd, uint32_t slot, uint64_t now)
{
    struct gws_slot_row *row = &region->slots[slot];
    int result = gws_lock_try(fd, lock_byte(region, (int)slot));
    struct life life;

    if (result != 0)
        return result;
    bury(region, (int)slot, word_load(&row->life), false, now);
    life = life_of(word_load(&row->life));
    raise_mark(&region->header->guest_high, slot - own_slots(region) + 1);
    gws_event_resume(region, (int)slot);
    describe(row, GWS_ROLE_GUEST, gws_region_generation(region), now);
    atomic_store_explicit(&row->life, join(GWS_SLOT_LIVE, life.gen + 1, (int32_t)getpid()), memory_order_release);
    return 0;
}

int gws_slot_guest(struct gws_region *region, const char *path, uint64_t now)
{
    int fd;

    if (!may_change(region))
        return -EPERM;
    fd = open_again(region, path);
    if (fd < 0)
        return fd;
    for (uint32_t slot = own_slots(region); slot < region->dims.slots; slot++) {
        int result = take_guest(region, fd, slot, now);
        if (result == 1)
            continue;
        if (result < 0) {
            close(fd);
            return result;
        }
        close(region->fd);
        region->fd = fd;
        region->slot = (int)slot;
        return 0;
    }
    close(fd);
    return -EAGAIN;
}

void gws_slot_leave(struct gws_region *region)
{
    int slot = region->slot;
    struct gws_slot_row *row = slot_at(region, slot);

    if (row == NULL || !may_change(region))
        return;
    region->slot = -1;
    bury(region, slot, word_load(&row->life), false, gws_clock_ms(region));
    gws_lock_drop(region->fd, lock_byte(region, slot));
}

uint32_t gws_slot_high(const struct gws_region *region)
{
    struct slot_runs runs = slot_runs(region);
    return runs.guest_end > runs.guest_begin ? runs.guest_end : runs.own_end;
}

void gws_slot_read(const struct gws_region *region, int slot, struct gws_slot_info *info)
{
    const struct gws_slot_row *row = slot_at(region, slot);
    struct life life;
    uint64_t role;

    memset(info, 0, sizeof(*info));
    if (row == NULL)
        return;
    life = life_of(word_load(&row->life));
    role = word_load_relaxed(&row->role);
    info->state = life.state;
    info->role = role <= GWS_ROLE_GUEST ? (enum gws_role)role : GWS_ROLE_NONE;
    info->pid = life.pid;
    info->generation = life.gen;
    info->config = word_load_relaxed(&row->config);
    info->started_ms = word_load_relaxed(&row->started_ms);
    info->connections = word_load_relaxed(&row->connections);
    info->accepted = word_load_relaxed(&row->accepted);
    info->requests = word_load_relaxed(&row->requests);
    info->restarts = word_load_relaxed(&row->restarts);
    for (uint32_t endpoint = 0; endpoint < region->dims.endpoints; endpoint++)
        info->in_flight += word_load_relaxed(&gauges_of(region, endpoint)[slot]);
}

static struct gws_slot_row *own_row(const struct gws_region *region)
{
    return may_change(region) ? slot_at(region, region->slot) : NULL;
}

void gws_slot_count_accepted(struct gws_region *region)
{
    struct gws_slot_row *row = own_row(region);
    if (row != NULL)
        word_add_own(&row->accepted, 1);
}

void gws_slot_count_request(struct gws_region *region)
{
    struct gws_slot_row *row = own_row(region);
    if (row != NULL)
        word_add_own(&row->requests, 1);
}

void gws_slot_set_connections(struct gws_region *region, uint64_t connections)
{
    struct gws_slot_row *row = own_row(region);
    if (row != NULL)
        word_store_relaxed(&row->connections, connections);
}

uint64_t gws_slot_oldest_config(const struct gws_region *region)
{
    uint64_t oldest = UINT64_MAX;

    for (uint32_t i = 0; i < region->dims.slots; i++) {
        const struct gws_slot_row *row = &region->slots[i];
        uint64_t config;

        if (life_of(word_load(&row->life)).state == GWS_SLOT_FREE ||
            word_load_relaxed(&row->role) == GWS_ROLE_MASTER)
            continue;
        config = word_load_relaxed(&row->config);
        if (config < oldest)
            oldest = config;
    }
    return oldest;
}
