#include "gatewayd/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * All descriptors are made before the first fork, because a process that is woken by a later one must have its own from
 * the beginning. Nobody counts wake-ups: a descriptor that is readable already says all there is to say, so a full one
 * is as good as written.
 */

#if defined(__linux__) && !defined(WAKE_BY_PIPE)
#include <sys/eventfd.h>
#define WAKE_BY_EVENTFD
#endif

struct ends {
    int read;
    int write; /* the same one, of an eventfd */
};

static struct ends *table;
static uint32_t count;

#ifdef WAKE_BY_EVENTFD
static int open_ends(struct ends *ends)
{
    ends->read = ends->write = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return ends->read >= 0 ? 0 : -errno;
}
#else
static int open_ends(struct ends *ends)
{
    int fds[2];
    if (pipe(fds) != 0)
        return -errno;
    *ends = (struct ends){fds[0], fds[1]};
    for (int i = 0; i < 2; i++)
        if (fcntl(fds[i], F_SETFD, FD_CLOEXEC) != 0 || fcntl(fds[i], F_SETFL, O_NONBLOCK) != 0)
            return -errno;
    return 0;
}
#endif

int wake_setup(uint32_t slots)
{
    wake_teardown();
    table = calloc(slots ? slots : 1, sizeof *table);
    if (!table)
        return -ENOMEM;
    for (uint32_t i = 0; i < slots; i++) {
        table[i] = (struct ends){-1, -1};
        count = i + 1;
        int rc = open_ends(&table[i]);
        if (rc != 0) {
            wake_teardown();
            return rc;
        }
    }
    return 0;
}

void wake_teardown(void)
{
    for (uint32_t i = 0; i < count; i++) {
        if (table[i].read >= 0)
            close(table[i].read);
        if (table[i].write >= 0 && table[i].write != table[i].read)
            close(table[i].write);
    }
    free(table);
    table = NULL;
    count = 0;
}

uint32_t wake_ends(int *out, uint32_t max)
{
    uint32_t slots = count <= max / 2 ? count : 0;
    for (uint32_t i = 0; i < slots; i++) {
        out[2 * i] = table[i].read;
        out[2 * i + 1] = table[i].write;
    }
    return 2 * slots;
}

int wake_adopt(const int *ends, uint32_t length)
{
    wake_teardown();
    table = calloc(length ? length : 1, sizeof *table);
    if (!table)
        return -ENOMEM;
    count = length / 2;
    for (uint32_t i = 0; i < count; i++)
        table[i] = (struct ends){ends[2 * i], ends[2 * i + 1]};
    return 0;
}

int wake_descriptor(int slot)
{
    return slot >= 0 && (uint32_t)slot < count ? table[slot].read : -1;
}

/* An eventfd gives all it has in one piece; of a pipe the rest keeps it readable, and is taken the next time. */
void wake_drain(int slot)
{
    char bytes[512];
    int fd = wake_descriptor(slot);
    ssize_t got = 0;
    if (fd >= 0)
        do
            got = read(fd, bytes, sizeof bytes);
        while (got < 0 && errno == EINTR);
}

static void wake(int fd)
{
    const uint64_t one = 1; /* what an eventfd wants, and as good as anything in a pipe */
    ssize_t put;
    do
        put = write(fd, &one, sizeof one);
    while (put < 0 && errno == EINTR);
}

void wake_slots(const struct gws_slots *slots)
{
    for (int slot = gws_slots_next(slots, -1); slot >= 0; slot = gws_slots_next(slots, slot))
        if ((uint32_t)slot < count)
            wake(table[slot].write);
}
