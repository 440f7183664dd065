/*
 * Making and opening the file. A new region is built under a temporary name, all its pages allocated before one of
 * them is touched, and renamed into place when it is whole. An existing one is read before it is mapped: what the
 * header says is compared with what this program would have made and with the size the kernel reports, so a file that
 * is cut short, scribbled on or somebody else's is refused with a sentence, and no address is ever computed from a
 * number that was not checked.
 */

#include "libshm/region.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libshm/boot.h"
#include "libshm/clock.h"
#include "libshm/fault.h"
#include "libshm/word.h"

/* What the header is checked by; a plain copy, so that nothing changes between the check and the use. */
union header_copy {
    struct gws_header header;
    unsigned char bytes[sizeof(struct gws_header)];
};

static const char remedy[] = "stop gatewayd and remove the file";

static struct gws_dims dims_of(const struct gws_header *header)
{
    struct gws_dims dims = {
        .slots = header->slots,
        .guests = header->guests,
        .domains = header->domains,
        .endpoints = header->endpoints,
        .limits = header->limits,
        .events = header->events,
        .quotas = header->quotas,
        .models = header->models,
    };
    return dims;
}

static int check_file(const char *path, const struct stat *st, uint32_t owner_uid, struct gws_fault *fault)
{
    if (!S_ISREG(st->st_mode))
        return fault_set(fault, GWS_OPEN_FOREIGN, "%s is not a regular file: remove it, or choose another path", path);
    if (st->st_uid != 0 && st->st_uid != geteuid() && st->st_uid != owner_uid)
        return fault_set(fault, GWS_OPEN_FOREIGN, "%s belongs to uid %u, not to root, to us or to uid %u: %s", path,
                         (unsigned)st->st_uid, (unsigned)owner_uid, remedy);
    if (st->st_nlink != 1)
        return fault_set(fault, GWS_OPEN_FOREIGN, "%s has %u names, a region has one: %s", path,
                         (unsigned)st->st_nlink, remedy);
    if ((st->st_mode & S_IWOTH) != 0)
        return fault_set(fault, GWS_OPEN_FOREIGN, "%s may be written by everyone (mode %04o): %s", path,
                         (unsigned)(st->st_mode & 07777), remedy);
    if (st->st_size < (off_t)sizeof(struct gws_header))
        return fault_set(fault, GWS_OPEN_FOREIGN, "%s is too short to be a region (%lld bytes): %s", path,
                         (long long)st->st_size, remedy);
    return 0;
}

static int check_header(const char *path, const struct gws_header *h, off_t size, struct gws_fault *fault)
{
    struct gws_dims dims = dims_of(h);
    struct gws_sections at;
    size_t needed = gws_layout_sections(&dims, &at) ? (size_t)at.end : 0;

    if (h->magic != GWS_MAGIC)
        return fault_set(fault, GWS_OPEN_FOREIGN, "%s is not a region (magic %016llx, not %016llx): %s", path,
                         (unsigned long long)h->magic, (unsigned long long)GWS_MAGIC,
                         "choose another path, or remove the file");
    if (h->abi != GWS_ABI || h->header_bytes != sizeof(*h))
        return fault_set(fault, GWS_OPEN_FOREIGN,
                         "%s was made by another version (abi %u, here %u): %s, or use the program that made it", path,
                         h->abi, GWS_ABI, remedy);
    if (h->layout != gws_layout_hash())
        return fault_set(fault, GWS_OPEN_FOREIGN,
                         "%s was made by another version (layout %016llx, here %016llx): %s, or use the program that "
                         "made it",
                         path, (unsigned long long)h->layout, (unsigned long long)gws_layout_hash(), remedy);
    if (needed == 0)
        return fault_set(fault, GWS_OPEN_FOREIGN,
                         "%s is damaged (dims out of range: slots %u guests %u domains %u endpoints %u limits %u "
                         "events %u quotas %u models %u): %s",
                         path, h->slots, h->guests, h->domains, h->endpoints, h->limits, h->events, h->quotas,
                         h->models, remedy);
    if (h->bytes != needed || size != (off_t)needed)
        return fault_set(fault, GWS_OPEN_FOREIGN,
                         "%s is damaged (size %lld, the header says %llu, its dims need %zu): %s", path,
                         (long long)size, (unsigned long long)h->bytes, needed, remedy);
    if (word_load_relaxed(&h->ready) != 1)
        return fault_set(fault, GWS_OPEN_UNREADY, "%s is not ready (%llu): its maker died; %s", path,
                         (unsigned long long)word_load_relaxed(&h->ready), remedy);
    return 0;
}

static int read_header(int fd, const char *path, union header_copy *copy, struct gws_fault *fault)
{
    ssize_t got;

    do
        got = pread(fd, copy->bytes, sizeof(copy->bytes), 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        int result = -errno;
        return fault_set(fault, result, "cannot read %s: %s", path, strerror(-result));
    }
    if (got != (ssize_t)sizeof(copy->bytes))
        return fault_set(fault, GWS_OPEN_FOREIGN, "%s is too short to be a region (%zd bytes): %s", path, got, remedy);
    return 0;
}

/* Point `region` into a mapping whose dims and size have been checked. */
static void lay_out(struct gws_region *region, unsigned char *base, int fd, enum gws_access access,
                    const struct gws_dims *dims)
{
    struct gws_sections at;
    bool valid = gws_layout_sections(dims, &at);

    assert(valid); /* only checked dims come here */
    *region = (struct gws_region){
        .base = base,
        .size = (size_t)at.end,
        .fd = fd,
        .slot = -1,
        .access = access,
        .dims = *dims,
        .header = (struct gws_header *)(void *)base,
        .slots = (struct gws_slot_row *)(void *)(base + at.slots),
        .stats = (gws_word *)(void *)(base + at.stats),
        .domains = (struct gws_domain_row *)(void *)(base + at.domains),
        .names = (struct gws_name_row *)(void *)(base + at.names),
        .gauges = (gws_word *)(void *)(base + at.gauges),
        .limits = (struct gws_limit_row *)(void *)(base + at.limits),
        .events = (struct gws_event_row *)(void *)(base + at.rings),
        .tallies = (gws_word *)(void *)(base + at.tallies),
        .waiters = (struct gws_waiter_row *)(void *)(base + at.waiters),
        .quotas = (struct gws_quota_row *)(void *)(base + at.quotas),
        .cells = (struct gws_quota_cell *)(void *)(base + at.cells),
        .models = (struct gws_model_row *)(void *)(base + at.models),
        .histograms = (struct gws_histogram *)(void *)(base + at.histograms),
        .series = (gws_word *)(void *)(base + at.series),
        .evidence = (struct gws_evidence_row *)(void *)(base + at.evidence),
        .measures = (struct gws_histogram *)(void *)(base + at.measures),
    };
}

/* A hole in a file on a full file system would be a SIGBUS on the first touch, so holes are filled while that can still
 * be refused. File systems that can not do it, can not have lost the pages either. */
static int fill_holes(int fd, const char *path, size_t size, struct gws_fault *fault)
{
#ifdef __linux__
    int result;

    do
        result = fallocate(fd, 0, 0, (off_t)size);
    while (result != 0 && errno == EINTR);
    if (result != 0 && errno == ENOSPC)
        return fault_set(fault, -ENOSPC, "%s has holes and its file system is full: make room, or %s", path, remedy);
#else
    (void)fd, (void)path, (void)size, (void)fault;
#endif
    return 0;
}

/* Map the checked file and look once more at its size: it may have been cut since it was read. */
static int map_checked(struct gws_region *region, int fd, const char *path, enum gws_access access,
                       const struct gws_dims *dims, struct gws_fault *fault)
{
    size_t size = gws_region_size(dims);
    int protection = access == GWS_CHANGE ? PROT_READ | PROT_WRITE : PROT_READ;
    struct stat st;
    void *base;
    int result;

    result = access == GWS_CHANGE ? fill_holes(fd, path, size, fault) : 0;
    if (result != 0)
        return result;
    base = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        result = -errno;
        return fault_set(fault, result, "cannot map %s: %s", path, strerror(-result));
    }
    if (fstat(fd, &st) != 0 || st.st_size != (off_t)size) {
        munmap(base, size);
        return fault_set(fault, GWS_OPEN_FOREIGN, "%s changed its size while it was opened: %s", path, remedy);
    }
    lay_out(region, base, fd, access, dims);
    return 0;
}

static int open_failed(const char *path, int result, struct gws_fault *fault)
{
    if (result == -ENOENT)
        return fault_set(fault, GWS_OPEN_NONE, "%s does not exist: is gatewayd running, and with this state?", path);
    if (result == -ELOOP)
        return fault_set(fault, GWS_OPEN_FOREIGN, "%s is a symbolic link: name the file itself", path);
    if (result == -EACCES || result == -EPERM)
        return fault_set(fault, result, "cannot open %s: %s: be root, or a member of the file's group", path,
                         strerror(-result));
    return fault_set(fault, result, "cannot open %s: %s", path, strerror(-result));
}

int gws_region_open(struct gws_region *region, const char *path, enum gws_access access, uint32_t owner_uid,
                    struct gws_fault *fault)
{
    union header_copy copy;
    struct gws_dims dims;
    struct stat st;
    int result;
    /* O_NONBLOCK: a FIFO in its place must not make us wait for a writer. */
    int fd = open(path, (access == GWS_CHANGE ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0)
        return open_failed(path, -errno, fault);
    if (fstat(fd, &st) != 0) {
        result = -errno;
        fault_set(fault, result, "cannot look at %s: %s", path, strerror(-result));
        goto fail;
    }
    result = check_file(path, &st, owner_uid, fault);
    if (result != 0)
        goto fail;
    result = read_header(fd, path, &copy, fault);
    if (result != 0)
        goto fail;
    result = check_header(path, &copy.header, st.st_size, fault);
    if (result != 0)
        goto fail;
    dims = dims_of(&copy.header);
    result = map_checked(region, fd, path, access, &dims, fault);
    if (result != 0)
        goto fail;
    return GWS_OPEN_DONE;

fail:
    close(fd);
    return result;
}

static void init_header(struct gws_header *h, const struct gws_dims *dims, size_t size)
{
    struct gws_boot boot;

    gws_boot_read(&boot);
    h->magic = GWS_MAGIC;
    h->abi = GWS_ABI;
    h->header_bytes = sizeof(*h);
    h->layout = gws_layout_hash();
    h->bytes = size;
    h->slots = dims->slots;
    h->guests = dims->guests;
    h->domains = dims->domains;
    h->endpoints = dims->endpoints;
    h->limits = dims->limits;
    h->events = dims->events;
    h->quotas = dims->quotas;
    h->models = dims->models;
    word_store_relaxed(&h->boot_id[0], boot.id[0]);
    word_store_relaxed(&h->boot_id[1], boot.id[1]);
    word_store_relaxed(&h->time_namespace, boot.time_namespace);
    word_store_relaxed(&h->base_boot_ns, gws_clock_boot_ns());
    word_store_relaxed(&h->base_real_ms, gws_clock_real_ms());
    atomic_store_explicit(&h->ready, 1, memory_order_release);
}

/* Give the new file its pages and its owner. The mode comes last: until then nobody else may open it. */
static int furnish(int fd, const char *path, size_t size, const struct gws_owner *owner, struct gws_fault *fault)
{
    int result;

    do
        result = posix_fallocate(fd, 0, (off_t)size);
    while (result == EINTR);
    if (result != 0)
        return fault_set(fault, -result, "cannot allocate %zu bytes for %s: %s%s", size, path, strerror(result),
                         result == ENOSPC ? ": make room on its file system, or put the state elsewhere" : "");
    if (fchown(fd, owner->uid, owner->gid) != 0) {
        result = -errno;
        return fault_set(fault, result, "cannot give %s to uid %u, group %u: %s", path, (unsigned)owner->uid,
                         (unsigned)owner->gid, strerror(-result));
    }
    if (fchmod(fd, (mode_t)(owner->mode & 0660)) != 0) {
        result = -errno;
        return fault_set(fault, result, "cannot set the mode of %s: %s", path, strerror(-result));
    }
    return 0;
}

/* The temporary name is fixed, so that a maker that was killed leaves at most one; the lock file keeps makers apart. */
static int create_named(const char *temporary, struct gws_fault *fault)
{
    int result;
    int fd;

    if (unlink(temporary) != 0 && errno != ENOENT) {
        result = -errno;
        return fault_set(fault, result, "cannot remove the stale %s: %s", temporary, strerror(-result));
    }
    fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        result = -errno;
        return fault_set(fault, result, "cannot create %s: %s%s", temporary, strerror(-result),
                         result == -ENOENT ? ": make the directory first" : "");
    }
    return fd;
}

int gws_region_create(struct gws_region *region, const char *path, const struct gws_dims *given,
                      const struct gws_owner *owner, struct gws_fault *fault)
{
    char temporary[PATH_MAX];
    struct gws_dims whole = gws_dims_complete(given);
    const struct gws_dims *dims = &whole;
    struct gws_region made = {.fd = -1};
    size_t size = gws_region_size(dims);
    int length = snprintf(temporary, sizeof(temporary), "%s.new", path);
    int result;
    int fd;

    if (size == 0)
        return fault_set(fault, -EINVAL, "a region of these dims can not be made (slots %u guests %u domains %u "
                         "endpoints %u limits %u events %u quotas %u models %u)", dims->slots, dims->guests,
                         dims->domains, dims->endpoints, dims->limits, dims->events, dims->quotas, dims->models);
    if (length < 0 || (size_t)length >= sizeof(temporary))
        return fault_set(fault, -ENAMETOOLONG, "%s: the path of the state is too long", path);
    fd = create_named(temporary, fault);
    if (fd < 0)
        return fd;
    result = furnish(fd, temporary, size, owner, fault);
    if (result == 0)
        result = map_checked(&made, fd, temporary, GWS_CHANGE, dims, fault);
    if (result != 0)
        goto fail;
    init_header(made.header, dims, size);
    if (rename(temporary, path) != 0) {
        result = -errno;
        fault_set(fault, result, "cannot rename %s to %s: %s", temporary, path, strerror(-result));
        goto fail;
    }
    *region = made;
    return 0;

fail:
    if (made.base != NULL)
        munmap(made.base, made.size);
    unlink(temporary);
    close(fd);
    return result < 0 ? result : -EIO;
}

void gws_region_close(struct gws_region *region)
{
    /* Closing drops the locks, which is how a slot that was not left is seen to be dead. */
    if (region->base != NULL) {
        munmap(region->base, region->size);
        if (region->fd >= 0)
            close(region->fd);
    }
    memset(region, 0, sizeof(*region));
    region->fd = -1;
    region->slot = -1;
}
